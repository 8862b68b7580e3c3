// SPDX-License-Identifier: Apache-2.0
#include "lib/base/collector.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PATH "/v1/traces"

static const char *behind_scheme(const char *url)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			return url + strlen(schemes[i]);
	return NULL;
}

/* Digits, 1 to 65535. */
static bool is_port(const char *text, size_t n)
{
	unsigned port = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)text[i]) || port > 65535)
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return n && port && port <= 65535;
}

/* Of an IPv6 address in brackets (RFC 3986 3.2.2), maybe with a zone (%25 and its name, RFC 6874);
 * 0: it is none. */
static size_t bracketed_length(const char *at, size_t n)
{
	const char *end = memchr(at, ']', n);
	const char *zone = end ? memmem(at, (size_t)(end - at), "%25", 3) : NULL;
	size_t len = end ? (size_t)((zone ? zone : end) - at - 1) : 0;
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr address;

	if (len >= sizeof(text) || (zone && zone + 3 == end))
		return 0;
	memcpy(text, at + 1, len);
	return inet_pton(AF_INET6, text, &address) == 1 ? (size_t)(end + 1 - at) : 0;
}

/* How long the host is; 0: it is none. */
static size_t host_length(const char *at, size_t n)
{
	size_t len = *at == '[' ? bracketed_length(at, n) : 0;

	if (*at != '[')
		while (len < n && (isalnum((unsigned char)at[len]) || at[len] == '-' ||
				   at[len] == '.' || at[len] == '_'))
			len++;
	if (len < n && (at[len] != ':' || !is_port(at + len + 1, n - len - 1)))
		return 0;
	return len;
}

static bool take(char out[64], const char *text, size_t n)
{
	if (!n || n >= 64)
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return true;
}

/* What consists of digits and dots is an address. */
static void name_service(const char *host, size_t n, struct collector *out)
{
	const char *dot = memchr(host, '.', n), *next;
	size_t rest = dot ? n - (size_t)(dot + 1 - host) : 0, len;

	if (!dot || strspn(host, "0123456789.") >= n)
		return;
	next = memchr(dot + 1, '.', rest);
	len = next ? (size_t)(next - dot - 1) : rest;
	if (next &&
	    (rest - len < 4 || memcmp(next, ".svc", 4) != 0 || (rest - len > 4 && next[4] != '.')))
		return;
	if (!take(out->service, host, (size_t)(dot - host)) || !take(out->namespace, dot + 1, len))
		out->service[0] = '\0';
}

int collector_parse(const char *url, struct collector *out)
{
	const char *host = behind_scheme(url);
	const size_t n = host ? strcspn(host, "/?#") : 0,
		     len = n && strcspn(host, "@ ") >= n ? host_length(host, n) : 0;
	struct collector e = { .url = "" };
	const char *path = host ? host + n : NULL;

	if (!len || strpbrk(url, "?# \t\r\n") || strlen(url) + sizeof(PATH) > sizeof(e.url))
		return -EINVAL;
	snprintf(e.url, sizeof(e.url), "%.*s%s", (int)(path - url), url,
		 !*path || !strcmp(path, "/") ? PATH : path);
	name_service(host, len, &e);
	*out = e;
	return 0;
}
