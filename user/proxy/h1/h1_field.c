// SPDX-License-Identifier: Apache-2.0
/*
 * Names of fields, lists in values, the syntax of an authority.
 */
#include <string.h>

#include "proxy/h1/h1_priv.h"

#define NAME(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}

static const struct {
	struct h1_span name;
	enum h1_field field;
} fields[] = {
	{ NAME("host"), H1_HOST },
	{ NAME("content-length"), H1_CONTENT_LENGTH },
	{ NAME("transfer-encoding"), H1_TRANSFER_ENCODING },
	{ NAME("connection"), H1_CONNECTION },
	{ NAME("keep-alive"), H1_KEEP_ALIVE },
	{ NAME("proxy-connection"), H1_PROXY_CONNECTION },
	{ NAME("te"), H1_TE },
	{ NAME("trailer"), H1_TRAILER },
	{ NAME("upgrade"), H1_UPGRADE },
	{ NAME("expect"), H1_EXPECT },
	{ NAME("http2-settings"), H1_HTTP2_SETTINGS },
};

bool h1_is(struct h1_span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

bool h1_same_nocase(struct h1_span a, struct h1_span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (h1_lower(a.p[i]) != h1_lower(b.p[i]))
			return false;
	return true;
}

bool h1_is_nocase(struct h1_span s, const char *text)
{
	return h1_same_nocase(s, (struct h1_span){ text, strlen(text) });
}

enum h1_field h1_field_of(struct h1_span name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (name.n == fields[i].name.n && h1_same_nocase(name, fields[i].name))
			return fields[i].field;
	return H1_OTHER;
}

bool h1_field_lookalike(struct h1_span name)
{
	char plain[24] = { 0 };

	if (name.n >= sizeof(plain) || !memchr(name.p, '_', name.n))
		return false;
	for (size_t i = 0; i < name.n; i++)
		plain[i] = name.p[i] == '_' ? '-' : name.p[i];
	return h1_field_of((struct h1_span){ plain, name.n }) != H1_OTHER;
}

static struct h1_span trim(struct h1_span s)
{
	while (s.n && h1_blank(*s.p)) {
		s.p++;
		s.n--;
	}
	while (s.n && h1_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool h1_list_next(struct h1_span *list, struct h1_span *element)
{
	const char *comma;

	if (!list->n)
		return false;
	comma = memchr(list->p, ',', list->n);
	*element = *list;
	if (comma)
		element->n = (size_t)(comma - list->p);
	list->p += element->n + !!comma;
	list->n -= element->n + !!comma;
	*element = trim(*element);
	return true;
}

static bool all_of(const char *p, const char *end, enum h1_class class)
{
	for (; p < end; p++)
		if (!h1_char(*p, class))
			return false;
	return true;
}

/* An empty port is the scheme's own (RFC 3986 3.2.3). */
static bool port_ok(const char *p, const char *end)
{
	unsigned port = 0;

	if (p == end)
		return true;
	if (end - p > 5)
		return false;
	for (; p < end; p++) {
		if (!h1_digit(*p))
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	return port >= 1 && port <= 65535;
}

/* What stands between [ and ]. Whether it is an address is for the caller to find out. */
static bool literal_ok(const char *p, const char *end)
{
	bool colon = false;

	for (; p < end; p++) {
		if (*p == ':')
			colon = true;
		else if (h1_hex(*p) < 0 && *p != '.')
			return false;
	}
	return colon;
}

bool h1_authority_ok(struct h1_span s)
{
	const char *end = s.p + s.n, *host_end;

	if (!s.n)
		return false;
	if (*s.p == '[') {
		host_end = memchr(s.p, ']', s.n);
		if (!host_end || !literal_ok(s.p + 1, host_end))
			return false;
		host_end++;
	} else {
		host_end = memchr(s.p, ':', s.n);
		if (!host_end)
			host_end = end;
		if (host_end == s.p || !all_of(s.p, host_end, H1_C_HOST))
			return false;
	}
	return host_end == end || (*host_end == ':' && port_ok(host_end + 1, end));
}
