/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/validate.h"

enum { LABEL_MAX = 63, NAME_MAX_LEN = 253, HOST_MAX = 255 };

static bool alnum(char c)
{
	return isalnum((unsigned char)c);
}

bool valid_dns_label(const char *s, size_t len)
{
	if (!len || len > LABEL_MAX || !alnum(s[0]) || !alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool valid_dns_label_s(const char *s)
{
	return valid_dns_label(s, strlen(s));
}

bool valid_dns_name(const char *s)
{
	if (strlen(s) > NAME_MAX_LEN)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");

		if (!valid_dns_label(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

static bool lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool object_name(const char *s, size_t len)
{
	if (!len || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool edge = !i || i == len - 1 || s[i - 1] == '.' || s[i + 1] == '.';

		if (!lower(s[i]) && (edge || (s[i] != '-' && s[i] != '.')))
			return false;
	}
	return true;
}

bool valid_object_name(const char *s)
{
	return object_name(s, strlen(s));
}

bool valid_object_label(const char *s)
{
	return strlen(s) <= LABEL_MAX && valid_object_name(s) && !strchr(s, '.');
}

/* The part of a label's key behind the slash, and a label's value. */
static bool qualified_name(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > LABEL_MAX || !alnum(s[0]) || !alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

bool valid_label_key(const char *s)
{
	const char *slash = strchr(s, '/');

	if (!slash)
		return qualified_name(s);
	return object_name(s, (size_t)(slash - s)) && qualified_name(slash + 1);
}

bool valid_label_value(const char *s)
{
	return !*s || qualified_name(s);
}

/* RFC 6265: anything but controls and semicolons. */
bool valid_cookie_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f || *s == ';')
			return false;
	return true;
}

/* A token of RFC 9110, with the colon of HTTP/2's pseudo-headers in front if there is one. */
bool valid_header_name(const char *s)
{
	s += *s == ':';
	if (!*s)
		return false;
	for (; *s; s++)
		if (!alnum(*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

/* The first label of a host: a wildcard may stand for all of it or for its beginning. */
static bool wildcard_label(const char *s, size_t len)
{
	if (len && s[0] == '*') {
		if (len == 1)
			return true;
		s++;
		len--;
		if (s[0] == '-' && len > 1) {
			s++;
			len--;
		}
	}
	return valid_dns_label(s, len);
}

static bool all_digits(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

const char *host_problem(const char *s)
{
	const char *last = strrchr(s, '.');
	size_t len = strcspn(s, ".");

	if (!*s)
		return "a host name";
	if (strlen(s) > HOST_MAX)
		return "a host name of at most 255 characters";
	if (!wildcard_label(s, len))
		return "a host name, with at most a * in front";
	while (s[len]) {
		s += len + 1;
		len = strcspn(s, ".");
		/* One dot at the end makes a name absolute. */
		if (!s[0])
			break;
		if (!valid_dns_label(s, len))
			return "a host name, with at most a * in front";
	}
	if (last && all_digits(last + 1))
		return "a host name, whose last part is not a number";
	return NULL;
}

bool valid_ip(const char *s, struct addr *out)
{
	struct in6_addr six;
	struct in_addr four;
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, s, &four) == 1)
		memcpy(a.b + 12, &four, 4);
	else if (inet_pton(AF_INET6, s, &six) == 1)
		memcpy(a.b, &six, 16);
	else
		return false;
	if (out)
		*out = a;
	return true;
}

bool parse_cidr(const char *s, struct cidr *out)
{
	return cidr_parse(s, out);
}

bool host_covers(const char *a, const char *b)
{
	size_t suffix, len = strlen(b);

	if (*a != '*')
		return !strcasecmp(a, b);
	suffix = strlen(a) - 1;
	if (*b == '*') {
		b++;
		len--;
	}
	return len >= suffix && !strcasecmp(b + len - suffix, a + 1);
}
