// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/h1/h1.h"

static struct h1_request q;

enum { CLOSE = 1, EXPECT = 2, UPGRADE = 4 };

static const struct {
	const char *name, *text;
	const char *authority, *path; /* NULL: none */
	enum h1_framing framing;
	uint64_t length;
	int flags;
} good[] = {
	{ "plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "query", "GET /x?y=z HTTP/1.1\r\nHost: a:80\r\n\r\n", "a:80", "/x?y=z", 0, 0, 0 },
	{ "odd but visible target", "GET /{a}|^\\`\"<> HTTP/1.1\r\nHost: a\r\n\r\n", "a",
	  "/{a}|^\\`\"<>", 0, 0, 0 },
	{ "double slash", "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", "a", "//b/c", 0, 0, 0 },
	{ "absolute target", "GET http://a.b/c?d HTTP/1.1\r\nHost: A.b\r\n\r\n", "a.b", "/c?d", 0,
	  0, 0 },
	{ "absolute target without path", "GET http://a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "a:80",
	  "/", 0, 0, 0 },
	{ "absolute target with another Host", "GET http://a.b/c HTTP/1.1\r\nHost: x\r\n\r\n",
	  "a.b", "/c", 0, 0, 0 },
	{ "absolute target with a query only", "GET HTTP://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "a",
	  "?b", 0, 0, 0 },
	{ "absolute target with an empty port", "GET http://a:/b HTTP/1.1\r\nHost: a\r\n\r\n", "a",
	  "/b", 0, 0, 0 },
	{ "OPTIONS of a whole server", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", 0,
	  0, 0 },
	{ "Host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "absolute target, 1.0, no Host", "GET http://a/ HTTP/1.0\r\n\r\n", "a", "/", 0, 0,
	  CLOSE },
	{ "star", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", 0, 0, 0 },
	{ "CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "a:443", NULL, 0, 0, 0 },
	{ "CONNECT, Host without port", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "a:443", NULL,
	  0, 0, 0 },
	{ "CONNECT to IPv6", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "[::1]:443",
	  NULL, 0, 0, 0 },
	{ "IPv6 host", "GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n", "[fd00::1]:80", "/", 0, 0,
	  0 },
	{ "IPv4 host", "GET / HTTP/1.1\r\nHost: 10.0.0.1:65535\r\n\r\n", "10.0.0.1:65535", "/", 0,
	  0, 0 },
	{ "underscore in the host", "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n", "a_b", "/", 0, 0, 0 },
	{ "later version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "1.0", "GET / HTTP/1.0\r\n\r\n", NULL, "/", 0, 0, CLOSE },
	{ "1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", NULL, "/", 0, 0,
	  0 },
	{ "close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", "a", "/", 0, 0,
	  CLOSE },
	{ "close and keep-alive",
	  "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", "a", "/", 0, 0,
	  CLOSE },
	{ "length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "a", "/", H1_LENGTH,
	  5, 0 },
	{ "length 0", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "a", "/", 0, 0,
	  0 },
	{ "length of 18 digits",
	  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", "a", "/",
	  H1_LENGTH, 999999999999999999, 0 },
	{ "GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", "a", "/",
	  H1_LENGTH, 1, 0 },
	{ "chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tChunked \r\n\r\n", "a", "/",
	  H1_CHUNKED, 0, 0 },
	{ "expects",
	  "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "a",
	  "/", H1_LENGTH, 1, EXPECT },
	{ "1.0 can't expect",
	  "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", NULL, "/",
	  H1_LENGTH, 1, CLOSE },
	{ "WebSocket",
	  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, "
	  "Upgrade\r\n\r\n",
	  "a", "/", 0, 0, UPGRADE },
	{ "WebSocket among others, in other letters",
	  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: upgrade\r\n\r\n",
	  "a", "/", 0, 0, UPGRADE },
	{ "Upgrade to HTTP/2",
	  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
	  "HTTP2-Settings: AAMA\r\n\r\n",
	  "a", "/", 0, 0, 0 },
	{ "Upgrade to what only begins like WebSocket",
	  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket2\r\nConnection: Upgrade\r\n\r\n", "a",
	  "/", 0, 0, 0 },
	{ "Upgrade that Connection doesn't name",
	  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "empty line in front", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\n\r\n", "a", "/", 0, 0, 0 },
	{ "high bytes in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \303\274\r\n\r\n", "a", "/", 0,
	  0, 0 },
	{ "extension method", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", 0, 0, 0 },
	{ "underscore in a name", "GET / HTTP/1.1\r\nHost: a\r\nx_y: z\r\n\r\n", "a", "/", 0, 0,
	  0 },
};

static void check_span(const char *name, const char *what, struct h1_span s, const char *want)
{
	if (!want)
		cr_expect_null(s.p, "%s: %s is there", name, what);
	else
		cr_expect(s.p && h1_is(s, want), "%s: %s is '%.*s', not '%s'", name, what, (int)s.n,
			  s.p, want);
}

/* In a buffer of its own, so that AddressSanitizer sees a read past the end. */
static int parse(const char *text, size_t len)
{
	static char *copy;

	free(copy);
	copy = malloc(len ? len : 1);
	cr_assert(copy);
	memcpy(copy, text, len);
	return h1_parse_request(copy, len, 0, &q);
}

Test(h1_request, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		const char *n = good[i].name;
		int r = parse(good[i].text, strlen(good[i].text));

		cr_expect_eq(r, (int)strlen(good[i].text), "%s: %d, %s", n, r,
			     h1_error_text(q.m.error));
		if (r < 0)
			continue;
		check_span(n, "authority", q.authority, good[i].authority);
		check_span(n, "path", q.path, good[i].path);
		cr_expect_eq(q.m.framing, good[i].framing, "%s: framing %d", n, q.m.framing);
		cr_expect_eq(q.m.content_length, good[i].length, "%s: length", n);
		cr_expect_eq(!q.m.keep_alive, !!(good[i].flags & CLOSE), "%s: keep-alive", n);
		cr_expect_eq(q.expect_continue, !!(good[i].flags & EXPECT), "%s: expect", n);
		cr_expect_eq(q.m.has_upgrade, !!(good[i].flags & UPGRADE), "%s: upgrade", n);
	}
}

Test(h1_request, the_beginning_of_a_good_one_asks_for_more)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		for (size_t len = 0; len < strlen(good[i].text); len++)
			cr_expect_eq(parse(good[i].text, len), H1_MORE, "%s: %zu bytes",
				     good[i].name, len);
}

Test(h1_request, what_follows_is_left_alone)
{
	const char *text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
	int r = h1_parse_request(text, strlen(text), 0, &q);

	cr_assert_gt(r, 0);
	check_span("first", "path", q.path, "/1");
	cr_assert_eq(h1_parse_request(text + r, strlen(text) - (size_t)r, 0, &q),
		     (int)strlen(text) - r);
	check_span("second", "path", q.path, "/2");
}

Test(h1_request, fields_keep_their_order_and_lose_white_space)
{
	const char *text = "GET / HTTP/1.1\r\nB: \t1 2\t \r\nHost: a\r\nb:3\r\n\r\n";

	cr_assert_gt(h1_parse_request(text, strlen(text), 0, &q), 0);
	cr_assert_eq(q.m.header_count, 3u);
	check_span("first", "name", q.m.headers[0].name, "B");
	check_span("first", "value", q.m.headers[0].value, "1 2");
	cr_assert_eq(q.m.headers[1].field, H1_HOST);
	check_span("third", "value", q.m.headers[2].value, "3");
}

Test(h1_request, what_concerns_one_connection_is_marked)
{
	const char *text = "GET / HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\nConnection: x-mine\r\n"
			   "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: close\r\n"
			   "Upgrade: h2c\r\nX-Other: 2\r\n\r\n";
	static const bool hop[] = { false, true, true, true, true, true, true, false };

	cr_assert_gt(h1_parse_request(text, strlen(text), 0, &q), 0);
	cr_assert_eq(q.m.header_count, sizeof(hop));
	for (size_t i = 0; i < q.m.header_count; i++)
		cr_expect_eq(q.m.headers[i].hop, hop[i], "%.*s", (int)q.m.headers[i].name.n,
			     q.m.headers[i].name.p);
	cr_assert(q.m.keep_alive);
}

static char *with_fields(size_t count, size_t value, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	cr_assert(f);
	fputs("GET / HTTP/1.1\r\nHost: a\r\n", f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "X-%zu: %0*d\r\n", i, (int)value, 0);
	fputs("\r\n", f);
	fclose(f);
	return text;
}

Test(h1_request, limits)
{
	size_t len;
	char *text = with_fields(H1_MAX_HEADERS - 1, 10, &len);

	cr_expect_eq(h1_parse_request(text, len, 0, &q), (int)len);
	free(text);

	text = with_fields(H1_MAX_HEADERS, 10, &len);
	cr_expect_eq(h1_parse_request(text, len, 0, &q), H1_BAD);
	cr_expect_eq(q.m.error, H1_ERR_TOO_MANY);
	free(text);

	text = with_fields(1, H1_MAX_HEAD - 40, &len);
	cr_expect_eq(h1_parse_request(text, len, 0, &q), (int)len, "%zu bytes", len);
	free(text);

	text = with_fields(1, H1_MAX_HEAD, &len);
	cr_expect_eq(h1_parse_request(text, len, 0, &q), H1_BAD);
	cr_expect_eq(q.m.error, H1_ERR_TOO_LARGE);
	cr_expect_eq(h1_error_status(q.m.error), 431u);
	free(text);
}

Test(h1_request, an_expectation_that_nobody_knows_is_417)
{
	const char *text = "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n";

	cr_assert_eq(h1_parse_request(text, strlen(text), 0, &q), H1_BAD);
	cr_assert_eq(h1_error_status(q.m.error), 417u);
}

Test(h1_request, many_connection_options_are_refused)
{
	char text[512] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: a";

	for (int i = 0; i < 40; i++)
		strcat(text, ",a");
	strcat(text, "\r\n\r\n");
	cr_assert_eq(h1_parse_request(text, strlen(text), 0, &q), H1_BAD);
	cr_assert_eq(q.m.error, H1_ERR_CONNECTION);
}

/* Values are looked at eight bytes at a time: wherever a byte stands, it counts. */
Test(h1_request, every_byte_at_every_place_of_a_value)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ", rest[] = "\r\n\r\n";
	enum { FROM = sizeof(head) - 1, VALUE = 21 };
	char text[FROM + VALUE + sizeof(rest)];

	for (int at = 1; at < VALUE - 1; at++)
		for (int byte = 0; byte < 256; byte++) {
			bool good = byte == '\t' || (byte >= ' ' && byte != 0x7f);
			int len = (int)sizeof(text) - 1, r;

			memcpy(text, head, FROM);
			memset(text + FROM, byte % 2 ? 0xff : '!', VALUE);
			memcpy(text + FROM + VALUE, rest, sizeof(rest));
			text[FROM + at] = (char)byte;
			r = h1_parse_request(text, (size_t)len, 0, &q);
			cr_expect_eq(r, good ? len : H1_BAD, "byte %d at %d: %d", byte, at, r);
			cr_expect(!good || q.m.headers[1].value.n == VALUE);
		}
}

Test(h1_request, what_begins_like_a_request)
{
	static const struct {
		const char *text;
		int begins;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n", 0 },
		{ "GET / HTTP/1.0\r\n", 0 },
		{ "\r\nGET / HTTP/1.1\r\n", 0 },
		{ "GET / HTTP/1.1\n", 0 },
		{ "get a b c HTTP/1.1\r\n", 0 }, /* a bad one: 400 */
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H1_BAD },
		{ "GET /\r\n", H1_BAD },
		{ "HTTP/1.\r\n", H1_BAD },
		{ "HTTP/1.1\r\n", 0 },
		{ "PING\r\n", H1_BAD },
		{ "EHLO mail.example.com\r\n", H1_BAD },
		{ "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", H1_BAD },
		{ "", H1_MORE },
		{ "\r", H1_MORE },
		{ "\r\n", H1_MORE },
		{ "GET", H1_MORE },
		{ "GET / HTTP/1.1\r", H1_MORE },
		{ "GET / HTTP/1.1\rx", H1_BAD },
		{ "\x03\x01", H1_BAD },
		{ "\r\rx", H1_BAD },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(h1_begins(rows[i].text, strlen(rows[i].text)), rows[i].begins, "%s",
			     rows[i].text);
	cr_expect_eq(h1_begins("\0\0\0\x08\x04\xd2\x16/", 8), H1_BAD, "PostgreSQL's SSLRequest");
}
