// SPDX-License-Identifier: Apache-2.0
#include "lib/base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Most addresses are IPv4, and a big cluster has 100,000 of them: inet_pton() and inet_ntop() would
 * show. */
static int parse_v4(const char *s, unsigned char out[4])
{
	int i, digits;

	for (i = 0; i < 4; i++) {
		unsigned v = 0;

		for (digits = 0; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
			v = v * 10 + (*s - '0');
		if (!digits || v > 255 || (digits > 1 && s[-digits] == '0') ||
		    *s++ != (i < 3 ? '.' : '\0'))
			return -EINVAL;
		out[i] = v;
	}
	return 0;
}

int addr_parse(const char *text, struct addr *out)
{
	struct addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	if (parse_v4(text, a.b + 12) && inet_pton(AF_INET6, text, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	char *at = out;
	int i;

	if (!addr_is_v4(a)) {
		inet_ntop(AF_INET6, a->b, out, ADDR_TEXT_MAX);
		return strlen(out);
	}
	for (i = 12; i < 16; i++) {
		at = text_put_number(at, a->b[i]);
		*at++ = '.';
	}
	*--at = '\0';
	return at - out;
}

size_t addr_format_port(const struct addr *a, unsigned port, char out[ADDR_TEXT_MAX])
{
	bool brackets = !addr_is_v4(a);
	char text[ADDR_TEXT_MAX];
	size_t n = 0, len = addr_format(a, text);

	if (brackets)
		out[n++] = '[';
	memcpy(out + n, text, len);
	n += len;
	if (brackets)
		out[n++] = ']';
	out[n++] = ':';
	n = text_put_number(out + n, port) - out;
	out[n] = '\0';
	return n;
}

bool addr_parse_port(const char *text, struct addr *addr, unsigned *port)
{
	const char *colon = text ? strrchr(text, ':') : NULL;
	char copy[ADDR_TEXT_MAX];
	size_t len;

	if (!colon || (size_t)(colon - text) >= sizeof(copy))
		return false;
	text += *text == '[';
	len = (size_t)(colon - text) - (colon > text && colon[-1] == ']');
	memcpy(copy, text, len);
	copy[len] = '\0';
	*port = (unsigned)strtoul(colon + 1, NULL, 10);
	return addr_parse(copy, addr) == 0;
}

bool addr_is_v4(const struct addr *a)
{
	return !memcmp(a->b, mapped, sizeof(mapped));
}

struct addr addr_placeholder(__u32 number)
{
	struct addr a = { .b = { 0x01 } };

	number = htonl(number);
	memcpy(a.b + 12, &number, sizeof(number));
	return a;
}

bool addr_is_placeholder(const struct addr *a)
{
	static const unsigned char discard[8] = { 0x01 };

	return !memcmp(a->b, discard, sizeof(discard));
}

bool cidr_holds(const struct cidr *c, const struct addr *a)
{
	unsigned bytes = c->prefix / 8, bits = c->prefix % 8;

	if (memcmp(c->addr.b, a->b, bytes) != 0)
		return false;
	return !bits || !((c->addr.b[bytes] ^ a->b[bytes]) >> (8 - bits));
}

/* The number of bits that a text of at most three digits gives, or `most` + 1. */
static unsigned parse_bits(const char *text, unsigned most)
{
	size_t digits = strspn(text, "0123456789");
	unsigned bits = 0;

	if (!digits || digits > 3 || text[digits])
		return most + 1;
	for (; *text; text++)
		bits = bits * 10 + (unsigned)(*text - '0');
	return bits;
}

bool cidr_parse(const char *s, struct cidr *out)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_TEXT_MAX];
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	unsigned bits, most;

	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	if (addr_parse(text, &out->addr))
		return false;
	most = strchr(text, ':') ? 128 : 32;
	bits = slash ? parse_bits(slash + 1, most) : most;
	if (bits > most)
		return false;
	out->prefix = 128 - most + bits;
	return true;
}

/* "010.0.0.1" is 10.0.0.1 to the API server, in subnets alone: what it has taken is not to be left
 * out. */
static const char *without_zeros(const char *text, char out[ADDR_TEXT_MAX])
{
	const char *end = text + strcspn(text, "/");
	bool begins = true; /* a number */
	char *to = out;

	if (strlen(text) >= ADDR_TEXT_MAX || memchr(text, ':', (size_t)(end - text)))
		return text;
	for (const char *at = text; at < end; at++) {
		if (begins && *at == '0' && isdigit((unsigned char)at[1]))
			continue;
		begins = *at == '.';
		*to++ = *at;
	}
	memcpy(to, end, strlen(end) + 1);
	return out;
}

bool cidr_parse_subnet(const char *text, struct cidr *out)
{
	char plain[ADDR_TEXT_MAX];

	return strchr(text, '/') && cidr_parse(without_zeros(text, plain), out);
}
