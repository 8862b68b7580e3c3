// SPDX-License-Identifier: Apache-2.0
/*
 * What RFC 9110 and RFC 9112 ask of an intermediary, and what Envoy does at its edge beside it:
 * each row is a requirement, bytes that bring it to the test, and weft's decision. "differs" says
 * where that is not the RFC's word, or not Envoy's, and why. weft is a gateway in the RFCs' sense:
 * clients have not chosen it as their proxy.
 *
 * '|' and "..." are the script's (test_proxy_script.h).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "test_proxy_script.h"

#define G "GET / HTTP/1.1|"
#define H "Host: h||"
#define GH G H
#define UP "GET / HTTP/1.1|host: h||"
#define POST "POST / HTTP/1.1|Host: h|"
#define OK "HTTP/1.1 200 OK|Content-Length: 0||"
#define TE "Transfer-Encoding: chunked|"
#define CHUNKED_UP "POST / HTTP/1.1|host: h|transfer-encoding: chunked||"
#define K                                                                                          \
	"0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdef" \
	"ghijklmn"
#define LONG K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K K
#define BAD NULL, NULL, "HTTP/1.1 400 Bad Request|...", CLOSED
#define BAD_GATEWAY "HTTP/1.1 502 Bad Gateway|..."
#define PASSES OK, OK, 0

enum { CLOSED = 1, CUT = 2 }; /* the client sees an orderly end; any end, in the midst of it */

static const struct {
	const char *section, *requirement;
	const char *sent;     /* by the client */
	const char *asked;    /* of the endpoint; NULL: it hears nothing */
	const char *answered; /* by the endpoint */
	const char *got;      /* by the client */
	int end;
	const char *differs;
} rows[] = {
	/* ---- RFC 9112 2: messages ---- */
	{ "9112 2.2", "an empty line before a request SHOULD be ignored", "|" GH, UP, PASSES,
	  NULL },
	{ "9112 2.2", "a bare LF MAY end a line", "GET / HTTP/1.1\nHost: h\n\n", BAD,
	  "refused: other readers see other lines; Envoy takes it" },
	{ "9112 2.2", "a bare CR MUST be invalid or replaced", G "X: a\rb|" H, BAD, NULL },
	{ "9112 2.2", "blanks before the first field MUST be refused or left out", G " X: a|" H,
	  BAD, NULL },
	{ "9112 2.2", "what is not HTTP SHOULD get 400 and be closed", "\026\003\001\002|" H, BAD,
	  NULL },
	{ "9112 2.3", "an intermediary MUST send its own version: requests", "GET / HTTP/1.0|" H,
	  UP, OK, "HTTP/1.1 200 OK|Content-Length: 0|connection: close||", CLOSED, NULL },
	{ "9112 2.3", "an intermediary MUST send its own version: responses", GH, UP,
	  "HTTP/1.0 200 OK|Content-Length: 0||", OK, 0, NULL },
	{ "9110 2.5", "a later minor version SHOULD be read as the latest known",
	  "GET / HTTP/1.3|" H, UP, PASSES, NULL },
	{ "9110 2.5", "the same, in a response", GH, UP, "HTTP/1.2 200 OK|Content-Length: 0||", OK,
	  0, NULL },
	{ "9110 15.6.6", "another major version: 505", "GET / HTTP/2.0|" H, BAD,
	  "400, as Envoy: HTTP/1 can't tell it from garbage" },
	{ "9113 3.4", "HTTP/2 with prior knowledge makes no tunnel", "PRI * HTTP/2.0||SM||", BAD,
	  "Envoy goes over to HTTP/2 by itself" },
	{ "9112 2.3", "HTTP/0.9", "GET /|", BAD, NULL },

	/* ---- RFC 9112 3: request lines and targets ---- */
	{ "9112 3", "a request line of 8000 bytes SHOULD be taken",
	  "GET /" LONG LONG " HTTP/1.1|" H, "GET /" LONG LONG " HTTP/1.1|host: h||", PASSES, NULL },
	{ "9112 3", "two spaces MAY be taken for one", "GET  / HTTP/1.1|" H, BAD,
	  "refused, as Envoy" },
	{ "9112 3", "a space within the target SHOULD get 400", "GET /a b HTTP/1.1|" H, BAD, NULL },
	{ "9112 3", "a blank behind the version", "GET / HTTP/1.1 |" H, BAD, NULL },
	{ "9110 9.1", "a method that it doesn't know is the endpoint's to judge",
	  "BREW / HTTP/1.1|" H, "BREW / HTTP/1.1|host: h||", "HTTP/1.1 501 No|Content-Length: 0||",
	  "HTTP/1.1 501 No|Content-Length: 0||", 0, "Envoy knows a list of them" },
	{ "9110 9.1", "methods are case-sensitive", "get / HTTP/1.1|" H, BAD,
	  "no method has small letters, as Envoy" },
	{ "9112 3.2", "no Host: MUST get 400", "GET / HTTP/1.1||", BAD, NULL },
	{ "9112 3.2", "two Hosts: MUST get 400", G "Host: h|" H, BAD, NULL },
	{ "9112 3.2", "a malformed Host: MUST get 400", G "Host: h/x||", BAD, NULL },
	{ "9110 4.2.3", "an empty port is the scheme's", G "Host: h:||", UP, PASSES, NULL },
	{ "9112 3.2.1", "origin form, with its query", "GET /a?b=c HTTP/1.1|" H,
	  "GET /a?b=c HTTP/1.1|host: h||", PASSES, NULL },
	{ "9112 3.2.1", "origin form MUST begin with a path", "GET ?a HTTP/1.1|" H, BAD, NULL },
	{ "9112 3.2.2", "absolute form MUST be taken", "GET http://h/a HTTP/1.1|" H,
	  "GET /a HTTP/1.1|host: h||", PASSES, NULL },
	{ "9112 3.2.2", "its host MUST take the place of Host",
	  "GET http://h/a HTTP/1.1|Host: other||", "GET /a HTTP/1.1|host: h||", PASSES, NULL },
	{ "9112 3.2.2", "Host MUST still be well-formed", "GET http://h/a HTTP/1.1|Host: a/b||",
	  BAD, NULL },
	{ "9110 4.2.3", "an empty path is /", "GET http://h HTTP/1.1|" H, UP, PASSES, NULL },
	{ "9110 4.2.3", "an empty path before a query, too", "GET http://h?a HTTP/1.1|" H,
	  "GET /?a HTTP/1.1|host: h||", PASSES, NULL },
	{ "9110 4.2.3", "the scheme ignores case", "GET HTTP://h/a HTTP/1.1|" H,
	  "GET /a HTTP/1.1|host: h||", PASSES, NULL },
	{ "9110 7.4", "https MUST be rejected on a plain connection", "GET https://h/ HTTP/1.1|" H,
	  BAD, NULL },
	{ "9110 4.2.1", "an empty host MUST be rejected", "GET http:///a HTTP/1.1|" H, BAD, NULL },
	{ "9110 4.2.4", "user information SHOULD be an error", "GET http://u@h/ HTTP/1.1|" H, BAD,
	  NULL },
	{ "9110 7.1", "a fragment is not sent", "GET /a#b HTTP/1.1|" H, BAD, NULL },
	{ "9112 3.3", "HTTP/1.0 may do without a host", "GET http://h/ HTTP/1.0||", UP, OK,
	  "HTTP/1.1 200 OK|Content-Length: 0|connection: close||", CLOSED, "Envoy: 426" },
	{ "9112 3.2.3", "authority form is for CONNECT", "GET h:80 HTTP/1.1|" H, BAD, NULL },
	{ "9110 9.3.6", "CONNECT MAY be refused", "CONNECT h:443 HTTP/1.1|" H, NULL, NULL,
	  "HTTP/1.1 403 Forbidden|...", CLOSED, NULL },
	{ "9112 3.2.4", "asterisk form", "OPTIONS * HTTP/1.1|" H, "OPTIONS * HTTP/1.1|host: h||",
	  PASSES, NULL },
	{ "9112 3.2.4", "OPTIONS with neither path nor query MUST become *",
	  "OPTIONS http://h HTTP/1.1|" H, "OPTIONS * HTTP/1.1|host: h||", PASSES, "Envoy: /" },
	{ "9112 3.2.4", "the asterisk is for OPTIONS", "GET * HTTP/1.1|" H, BAD, NULL },
	{ "9110 7.7", "path and query MUST NOT be changed", "GET /a/../b/%41 HTTP/1.1|" H,
	  "GET /b/A HTTP/1.1|host: h||", PASSES,
	  "normalized, as Istio has Envoy do it: rules go by what the endpoint sees" },

	/* ---- RFC 9112 4: status lines ---- */
	{ "9112 4", "the reason may be empty", GH, UP, "HTTP/1.1 200 |Content-Length: 0||",
	  "HTTP/1.1 200 |Content-Length: 0||", 0, NULL },
	{ "9112 4", "the space before an empty reason is left out by many", GH, UP,
	  "HTTP/1.1 200|Content-Length: 0||", "HTTP/1.1 200 |Content-Length: 0||", 0, NULL },
	{ "9112 4", "a status has three digits", GH, UP, "HTTP/1.1 20 OK||", BAD_GATEWAY, 0, NULL },
	{ "9110 15", "an unknown status passes", GH, UP, "HTTP/1.1 299 Odd|Content-Length: 0||",
	  "HTTP/1.1 299 Odd|Content-Length: 0||", 0, NULL },
	{ "9110 15", "one beyond 599 SHOULD count as a server's error", GH, UP, "HTTP/1.1 600 No||",
	  BAD_GATEWAY, 0, NULL },
	{ "9112 2.2", "what is no response is 502", GH, UP, "<html></html>|", BAD_GATEWAY, 0,
	  NULL },

	/* ---- RFC 9112 5, RFC 9110 5: fields ---- */
	{ "9112 5.1", "blanks before the colon: MUST get 400", G "X : a|" H, BAD, NULL },
	{ "9112 5.1", "in a response they MUST be removed", GH, UP,
	  "HTTP/1.1 200 OK|Content-Length : 0||", OK, 0, NULL },
	{ "9112 5.2", "a folded line: MUST get 400 or be unfolded", G "X: a| b|" H, BAD, NULL },
	{ "9112 5.2", "in a response: 502 or unfolded", GH, UP, "HTTP/1.1 200 OK|X: a| b||",
	  BAD_GATEWAY, 0, NULL },
	{ "9112 5", "blanks around a value are no part of it", G "X: \t a \t|" H,
	  "GET / HTTP/1.1|host: h|X: a||", PASSES, NULL },
	{ "9110 5.5", "control characters in a value MUST be refused or replaced", G "X: a\001b|" H,
	  BAD, NULL },
	{ "9110 5.5", "bytes above 127 are opaque", G "X: \303\274|" H,
	  "GET / HTTP/1.1|host: h|X: \303\274||", PASSES, NULL },
	{ "9110 5.6.2", "a name is a token", G "X(a): b|" H, BAD, NULL },
	{ "9110 5.3", "the order of fields of one name MUST NOT change", G "X: 1|Y: 2|x: 3|" H,
	  "GET / HTTP/1.1|host: h|X: 1|Y: 2|x: 3||", PASSES, NULL },
	{ "9110 5.1", "unknown fields MUST be passed on, both ways", G "X-New: 1|" H,
	  "GET / HTTP/1.1|host: h|X-New: 1||", "HTTP/1.1 200 OK|X-New: 2|Content-Length: 0||",
	  "HTTP/1.1 200 OK|X-New: 2|Content-Length: 0||", 0, NULL },
	{ "9110 5.4", "more than it wants to take SHOULD get 4xx",
	  G "X: " LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG
	    "|" H,
	  NULL, NULL, "HTTP/1.1 431 Request Header Fields Too Large|...", CLOSED, NULL },

	/* ---- RFC 9112 6: bodies ---- */
	{ "9112 6.1", "a coding in HTTP/1.0 is faulty framing", "POST / HTTP/1.0|" TE H "0||", BAD,
	  NULL },
	{ "9112 6.3", "both lengths MAY be refused", POST "Content-Length: 5|" TE "|0||", BAD,
	  "refused, as Envoy" },
	{ "9112 6.3", "both lengths in a response: MUST be 502 or read as chunks", GH, UP,
	  "HTTP/1.1 200 OK|Content-Length: 5|" TE "|0||", BAD_GATEWAY, 0, NULL },
	{ "9112 6.1", "chunked MUST NOT be applied twice",
	  POST "Transfer-Encoding: chunked, chunked||0||", BAD, NULL },
	{ "9112 6.3", "a last coding other than chunked: MUST get 400",
	  POST "Transfer-Encoding: chunked, gzip||0||", BAD, NULL },
	{ "9112 6.1", "an unknown coding SHOULD get 501",
	  POST "Transfer-Encoding: gzip, chunked||0||", BAD,
	  "400: it is more often an attempt at smuggling; Envoy: 501" },
	{ "9112 6.1", "a server MUST NOT send codings with 204", GH, UP,
	  "HTTP/1.1 204 No|" TE "|0||", BAD_GATEWAY, 0, NULL },
	{ "9112 6.3", "a bad length: MUST get 400", POST "Content-Length: +5||hello", BAD, NULL },
	{ "9112 6.3", "a bad length in a response: MUST be 502", GH, UP,
	  "HTTP/1.1 200 OK|Content-Length: five||hello", BAD_GATEWAY, 0, NULL },
	{ "9110 8.6", "a list of one and the same length MAY be taken",
	  POST "Content-Length: 5, 5||hello", BAD, "refused, as Envoy" },
	{ "9112 6.3", "without a length a request has no body", "POST / HTTP/1.1|" H,
	  "POST / HTTP/1.1|host: h||", PASSES, NULL },
	{ "9112 6.3", "without a length a response goes until the end", GH, UP,
	  "HTTP/1.1 200 OK||hello", "HTTP/1.1 200 OK|connection: close||hello", CLOSED,
	  "Envoy makes chunks of it" },
	{ "9112 6.3", "a response to HEAD has no body", "HEAD / HTTP/1.1|" H,
	  "HEAD / HTTP/1.1|host: h||", "HTTP/1.1 200 OK|Content-Length: 5||",
	  "HTTP/1.1 200 OK|Content-Length: 5||", 0, NULL },
	{ "9112 6.3", "304 has no body, whatever length it names", GH, UP,
	  "HTTP/1.1 304 Not|Content-Length: 5||", "HTTP/1.1 304 Not|Content-Length: 5||", 0, NULL },
	{ "9112 6.1", "chunks MUST NOT be sent to HTTP/1.0", "GET / HTTP/1.0|" H, UP,
	  "HTTP/1.1 200 OK|" TE "|2;a|hi|0||", "HTTP/1.1 200 OK|connection: close||hi", CLOSED,
	  NULL },

	/* ---- RFC 9112 7: chunks ---- */
	{ "9112 7.1", "chunks MUST be understood, and any zeros before a size",
	  POST TE "|005|hello|0||", CHUNKED_UP "005|hello|0||", PASSES, NULL },
	{ "9112 7.1.1", "unknown extensions MUST be ignored",
	  POST TE "|5;ext=1;q=\"a b\"|hello|0;x||", CHUNKED_UP "5|hello|0||", PASSES,
	  "and left out: the endpoint can't misread them" },
	{ "9112 7.1.1", "unknown extensions MUST be ignored, of a response", GH, UP,
	  "HTTP/1.1 200 OK|" TE "|2;a=b|hi|0||",
	  "HTTP/1.1 200 OK|transfer-encoding: chunked||2|hi|0||", 0, NULL },
	{ "9112 7.1", "a padded size is what some servers send", GH, UP,
	  "HTTP/1.1 200 OK|" TE "|2  |hi|0 ||",
	  "HTTP/1.1 200 OK|transfer-encoding: chunked||2|hi|0||", 0,
	  "beyond the grammar, as Envoy" },
	{ "9112 7.1.1", "an extension ends with its line", POST TE "|5;a=\"b|hello|0||", BAD,
	  NULL },
	{ "9112 7.1", "a size that is too large MUST be noticed",
	  POST TE "|10000000000000005|hello", BAD, NULL },
	{ "9112 7.1", "a chunk's data ends in CR LF", POST TE "|5|hello!|0||", BAD, NULL },
	{ "9112 7.1", "bad chunks of a response are 502, not a reset", GH, UP,
	  "HTTP/1.1 200 OK|" TE "|zz|hi|0||", BAD_GATEWAY, 0, NULL },
	{ "9112 7.1.2", "trailers MAY be passed on", POST TE "|1|a|0|X-Sum: 1||",
	  CHUNKED_UP "1|a|0|X-Sum: 1||", PASSES, "Envoy drops them unless told otherwise" },
	{ "9110 6.5.1", "a trailer MUST NOT change the framing",
	  POST TE "|1|a|0|Content-Length: 1||", BAD, NULL },
	{ "9112 7.4", "TE is for one connection", G "TE: trailers|" H, UP, PASSES, NULL },

	/* ---- RFC 9112 8 and 9: incomplete messages, connections ---- */
	{ "9112 8", "a response that breaks off MUST be seen to", GH, UP,
	  "HTTP/1.1 200 OK|Content-Length: 10||hi", "HTTP/1.1 200 OK|Content-Length: 10||hi", CUT,
	  NULL },
	{ "9112 9.3", "a connection persists, unless it says close", GH, UP, PASSES, NULL },
	{ "9112 9.6", "close MUST be answered in kind, and nothing read after it",
	  G "Connection: close|" H GH, UP, OK,
	  "HTTP/1.1 200 OK|Content-Length: 0|connection: close||", CLOSED, NULL },
	{ "9112 9.6", "the endpoint's close is not the client's", GH, UP,
	  "HTTP/1.1 200 OK|Connection: close|Content-Length: 0||", OK, 0, NULL },
	{ "9112 9.3", "HTTP/1.0 persists if it asks to", "GET / HTTP/1.0|Connection: keep-alive|" H,
	  UP, OK, "HTTP/1.1 200 OK|Content-Length: 0|connection: keep-alive||", 0,
	  "not for what the RFC calls a proxy; Envoy does" },

	/* ---- RFC 9110 7: what intermediaries do ---- */
	{ "9110 7.6.1", "what Connection names MUST be removed",
	  G "Connection: x-a, X-B|X-A: 1|X-B: 2|X-C: 3|" H, "GET / HTTP/1.1|host: h|X-C: 3||",
	  PASSES, NULL },
	{ "9110 7.6.1", "of a response, too", GH, UP,
	  "HTTP/1.1 200 OK|Connection: X-A|X-A: 1|Content-Length: 0||", OK, 0, NULL },
	{ "9110 7.6.1", "Keep-Alive, Proxy-Connection and TE SHOULD be removed",
	  G "Keep-Alive: 5|Proxy-Connection: a|TE: a|" H, UP, PASSES, NULL },
	{ "9110 7.6.1", "Connection MUST NOT name what is for all",
	  POST "Connection: content-length|Content-Length: 2||hi", BAD, NULL },
	{ "9110 7.6.2", "Max-Forwards MUST be counted down", "TRACE / HTTP/1.1|Max-Forwards: 1|" H,
	  "TRACE / HTTP/1.1|host: h|Max-Forwards: 1||", PASSES,
	  "passed on, as Envoy: weft is not to be seen" },
	{ "9110 7.6.3", "Via MUST be added to", G "Via: 1.1 a|" H,
	  "GET / HTTP/1.1|host: h|Via: 1.1 a||", PASSES, "passed on, as Envoy" },
	{ "9110 7.8", "Upgrade to websocket", G "Connection: Upgrade|Upgrade: WebSocket|" H,
	  "GET / HTTP/1.1|host: h|connection: upgrade|upgrade: websocket||",
	  "HTTP/1.1 101 Yes|Connection: upgrade|Upgrade: websocket||frame",
	  "HTTP/1.1 101 Yes|connection: upgrade|upgrade: websocket||frame", CLOSED, NULL },
	{ "9110 7.8", "Upgrade MAY be ignored: h2c",
	  G "Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAMA|" H, UP, PASSES,
	  "only websocket, as Istio: a tunnel goes past all rules" },
	{ "9110 7.8", "Upgrade MAY be ignored: HTTP2-Settings without Connection",
	  G "HTTP2-Settings: AAMA|" H, UP, PASSES, NULL },
	{ "9110 7.8", "Upgrade MUST be ignored in HTTP/1.0",
	  "GET / HTTP/1.0|Connection: Upgrade|Upgrade: websocket|" H, UP, OK,
	  "HTTP/1.1 200 OK|Content-Length: 0|connection: close||", CLOSED, NULL },
	{ "9110 7.8", "Connection MUST name Upgrade", G "Upgrade: websocket|" H, UP, PASSES, NULL },
	{ "9110 7.8", "a server MUST NOT switch unasked", GH, UP,
	  "HTTP/1.1 101 Yes|Connection: upgrade|Upgrade: websocket||", BAD_GATEWAY, 0, NULL },
	{ "9110 7.8", "a server MUST NOT switch to what was not offered",
	  G "Connection: Upgrade|Upgrade: h2c, websocket|" H,
	  "GET / HTTP/1.1|host: h|connection: upgrade|upgrade: websocket||",
	  "HTTP/1.1 101 Yes|Connection: upgrade|Upgrade: h2c||", BAD_GATEWAY, 0, NULL },

	/* ---- RFC 9110 6, 10, 11, 15 ---- */
	{ "9110 6.6.1", "a response without Date MUST get one", GH, UP, OK, OK, 0,
	  "passed on without: it is the endpoint's to say; Envoy adds it" },
	{ "9110 10.1.1", "Expect: 100-continue is the endpoint's to answer",
	  POST "Expect: 100-continue|Content-Length: 0||",
	  "POST / HTTP/1.1|host: h|Expect: 100-continue|Content-Length: 0||", PASSES,
	  "Envoy answers 100 itself" },
	{ "9110 10.1.1", "another expectation MAY get 417", POST "Expect: tea|Content-Length: 0||",
	  NULL, NULL, "HTTP/1.1 417 Expectation Failed|...", CLOSED, NULL },
	{ "9110 15.2", "1xx MUST be passed on", GH, UP, "HTTP/1.1 103 Early|Link: a||" OK,
	  "HTTP/1.1 103 Early|Link: a||" OK, 0, NULL },
	{ "9110 15.2", "1xx MUST NOT go to HTTP/1.0", "GET / HTTP/1.0|" H, UP,
	  "HTTP/1.1 103 Early||" OK, "HTTP/1.1 200 OK|Content-Length: 0|connection: close||",
	  CLOSED, NULL },
	{ "9110 11.7.2", "Proxy-Authorization is for the first proxy that expects it",
	  G "Proxy-Authorization: Basic YTpi|" H,
	  "GET / HTTP/1.1|host: h|Proxy-Authorization: Basic YTpi||", PASSES, "weft expects none" },
};

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
	e->target.max_requests_per_connection = 1;
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_rfc, .init = setup, .fini = teardown, .timeout = 60);

static void play(size_t row, const char *begin, const char *text)
{
	_cleanup_free_ char *line = NULL;

	cr_assert_gt(asprintf(&line, "%s%s", begin, text), 0);
	script_play(e, rows[row].requirement, (const char *const[]){ line, NULL });
}

/* The client's connection is as it should be; the next row has others. */
static void end(int how)
{
	char byte;

	if (how)
		PLAY(how == CLOSED ? "C< END" : "C< GONE");
	else
		cr_expect(recv(script_socket(e, "C"), &byte, 1, MSG_DONTWAIT) < 0 &&
				  errno == EAGAIN,
			  "not kept");
	PLAY("C> RST");
}

/* --verbose says which row it is. */
Test(proxy_rfc, requirements)
{
	size_t n = sizeof(rows) / sizeof(*rows);

	cr_assert_geq(n, 60u);
	for (size_t i = 0; i < n; i++) {
		unsigned picks = e->picks;

		cr_log_info("%s: %s", rows[i].section, rows[i].requirement);
		play(i, "C> ", rows[i].sent);
		if (rows[i].asked) {
			play(i, "U> ", rows[i].asked);
			play(i, "U< ", rows[i].answered);
		}
		if (rows[i].asked && rows[i].end)
			PLAY("U< END");
		play(i, "C< ", rows[i].got);
		end(rows[i].end);
		if (rows[i].asked && !rows[i].end)
			PLAY("U< END");
		cr_expect_eq(e->picks != picks, !!rows[i].asked, "%s: %s", rows[i].section,
			     rows[i].requirement);
	}
}
