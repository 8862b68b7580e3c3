// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <string.h>

#include "proxy/h1/h1.h"

static struct h1_response s;

static const struct {
	const char *name, *text;
	enum h1_asked asked;
	unsigned status;
	enum h1_framing framing;
	uint64_t length;
	bool keep_alive;
} good[] = {
	{ "length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, 200, H1_LENGTH, 5, true },
	{ "length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200, H1_NO_BODY, 0, true },
	{ "chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200, H1_CHUNKED, 0,
	  true },
	{ "until close", "HTTP/1.1 200 OK\r\n\r\n", 0, 200, H1_UNTIL_CLOSE, 0, true },
	{ "1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 0, 200, H1_LENGTH, 1, false },
	{ "1.0 keep-alive",
	  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", 0, 200,
	  H1_LENGTH, 1, true },
	{ "close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 0, 200, H1_UNTIL_CLOSE, 0,
	  false },
	{ "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", H1_ASKED_HEAD, 200, H1_NO_BODY, 5,
	  true },
	{ "HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", H1_ASKED_HEAD,
	  200, H1_NO_BODY, 0, true },
	{ "HEAD, nothing", "HTTP/1.1 200 OK\r\n\r\n", H1_ASKED_HEAD, 200, H1_NO_BODY, 0, true },
	{ "204", "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, H1_NO_BODY, 0, true },
	{ "204 with length 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 0, 204,
	  H1_NO_BODY, 0, true },
	{ "304 with the length it would have",
	  "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 0, 304, H1_NO_BODY, 9, true },
	{ "100", "HTTP/1.1 100 Continue\r\n\r\n", 0, 100, H1_NO_BODY, 0, true },
	{ "103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0, 103, H1_NO_BODY, 0, true },
	{ "101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, 101,
	  H1_TUNNEL, 0, true },
	{ "later version", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200, H1_NO_BODY, 0,
	  true },
	{ "space before colon", "HTTP/1.1 200 OK\r\nContent-Length \t: 5\r\n\r\n", 0, 200,
	  H1_LENGTH, 5, true },
	{ "no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0, 200, H1_NO_BODY, 0, true },
	{ "no reason, no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 200, H1_NO_BODY, 0,
	  true },
	{ "odd reason", "HTTP/1.1 299 \303\274 (a)\r\nContent-Length: 0\r\n\r\n", 0, 299,
	  H1_NO_BODY, 0, true },
};

static const struct {
	const char *name, *text;
	enum h1_asked asked;
} bad[] = {
	{ "both lengths",
	  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0 },
	{ "both lengths on HEAD",
	  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	  H1_ASKED_HEAD },
	{ "length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 0 },
	{ "length signed", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", 0 },
	{ "other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0 },
	{ "chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0 },
	{ "204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0 },
	{ "204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 0 },
	{ "100 with a body", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", 0 },
	{ "101 with a body", "HTTP/1.1 101 Switching\r\nContent-Length: 5\r\n\r\n", 0 },
	{ "obs-fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", 0 },
	{ "bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0 },
	{ "bare LF in fields", "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", 0 },
	{ "bare CR", "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 0\r\n\r\n", 0 },
	{ "a line of blanks", "HTTP/1.1 200 OK\r\nX: a\r\n \r\n\r\n", 0 },
	{ "blank within a name", "HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n", 0 },
	{ "HTTP/0.9", "<html></html>", 0 },
	{ "HTTP/2", "HTTP/2 200\r\n\r\n", 0 },
	{ "ICY", "ICY 200 OK\r\n\r\n", 0 },
	{ "empty line in front", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0 },
	{ "status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 0 },
	{ "status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0 },
	{ "status 099", "HTTP/1.1 099 OK\r\n\r\n", 0 },
	{ "status 600", "HTTP/1.1 600 OK\r\n\r\n", 0 },
	{ "status signed", "HTTP/1.1 +20 OK\r\n\r\n", 0 },
	{ "two spaces", "HTTP/1.1  200 OK\r\n\r\n", 0 },
	{ "control character in the reason", "HTTP/1.1 200 O\001K\r\n\r\n", 0 },
};

Test(h1_response, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int len = (int)strlen(good[i].text);
		int r = h1_parse_response(good[i].text, (size_t)len, 0, good[i].asked, &s);

		cr_expect_eq(r, len, "%s: %d, %s", good[i].name, r, h1_error_text(s.m.error));
		cr_expect_eq(s.status, good[i].status, "%s: status", good[i].name);
		cr_expect_eq(s.m.framing, good[i].framing, "%s: framing %d", good[i].name,
			     s.m.framing);
		cr_expect_eq(s.m.content_length, good[i].length, "%s: length", good[i].name);
		cr_expect_eq(s.m.keep_alive, good[i].keep_alive, "%s: keep-alive", good[i].name);
		while (--len >= 0)
			cr_expect_eq(h1_parse_response(good[i].text, (size_t)len, 0, good[i].asked,
						       &s),
				     H1_MORE, "%s: %d bytes", good[i].name, len);
	}
}

Test(h1_response, bad)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int r = h1_parse_response(bad[i].text, strlen(bad[i].text), 0, bad[i].asked, &s);

		cr_expect_eq(r, H1_BAD, "accepted: %s", bad[i].name);
	}
}

Test(h1_response, reason_may_be_empty)
{
	const char *text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

	cr_assert_gt(h1_parse_response(text, strlen(text), 0, 0, &s), 0);
	cr_assert(h1_is(s.reason, "Not Found"));
	text = "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n";
	cr_assert_gt(h1_parse_response(text, strlen(text), 0, 0, &s), 0);
	cr_assert_eq(s.reason.n, 0u);
}
