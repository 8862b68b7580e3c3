// SPDX-License-Identifier: Apache-2.0
/*
 * Requests and responses through the proxy.
 */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "h1_corpus.h"
#include "proxy/request/request.h"
#include "test_proxy_script.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_http, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

Test(proxy_http, a_request_and_its_response)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "C< -", "L 200 -");
	cr_expect_eq(e->outcome, OUTCOME_STATUS);
	cr_expect_eq(e->outcome_status, 200u);
}

Test(proxy_http, both_sides_are_kept_alive)
{
	for (int i = 0; i < 10; i++)
		PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	cr_expect_eq(e->picks, 10u);
	cr_expect_eq(e->worker.stats.connections, 1u);
}

Test(proxy_http, who_has_sent_many_requests_takes_turns_with_others)
{
	enum { REQUESTS = 100 };
	const struct addr none = { 0 };
	struct http_worker w;
	int ends[2];

	e->plan =
		(struct plan){ .action = PLAN_ANSWER, .answer = { .status = 404, .flags = "NR" } };
	cr_assert_eq(http_worker_open(&w, -1, &worker_defaults, &e->router), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	for (int i = 0; i < REQUESTS; i++)
		put(ends[1], GET);
	cr_assert_eq(worker_adopt(&w.io, ends[0], &none, 0, &none, 0), 0);
	cr_assert_eq(worker_once(&w.io, 0), 0);
	cr_expect_gt(w.stats.requests, 0u);
	cr_expect_lt(w.stats.requests, (uint64_t)REQUESTS / 2);
	while (w.io.tasks)
		cr_assert_eq(worker_once(&w.io, 0), 0);
	cr_expect_eq(w.stats.requests, (uint64_t)REQUESTS);
	worker_close(&w.io);
	close(ends[1]);
}

Test(proxy_http, a_request_byte_by_byte)
{
	int c = env_client(e), s;

	for (const char *p = GET; *p; p++) {
		put_bytes(c, p, 1);
		wait_ms(1);
	}
	s = env_accept(e);
	want(s, GOT);
	for (const char *p = OK; *p; p++) {
		put_bytes(s, p, 1);
		wait_ms(1);
	}
	want(c, OK);
}

Test(proxy_http, a_client_that_reads_no_hints_does_without_some)
{
	enum { HINTS = 1000, TIMES = 600 };
	static const char hint[] = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
	size_t one = sizeof(hint) - 1, received = 0;
	char *hints = malloc(HINTS * one + 1);
	int c = env_client(e), s;
	ssize_t n;

	for (size_t i = 0; i < HINTS; i++)
		memcpy(hints + i * one, hint, one + 1);
	put(c, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	s = env_accept(e);
	want(s, GOT);
	for (int i = 0; i < TIMES; i++)
		put(s, hints);
	put(s, OK);
	while ((n = recv(c, hints, HINTS * one, 0)) > 0)
		received += (size_t)n;
	cr_expect_eq(n, 0);
	cr_expect_lt(received, (size_t)TIMES * HINTS * one);
	cr_expect_eq(env_log(e, 1)->status, 200u);
	free(hints);
}

Test(proxy_http, an_upgrade_that_is_not_taken_up_changes_nothing)
{
	PLAY("C> GET /a HTTP/1.1|Host: h|Upgrade: websocket|Connection: Upgrade||"
	     "GET /a HTTP/1.1|Host: h||",
	     "U> GET /a HTTP/1.1|host: h|connection: upgrade|upgrade: websocket||", "U< 200",
	     "C< 200", "U> GET /a");
}

#define SWITCHES "U< 101 Switching Protocols|Connection: Upgrade|Upgrade: "

Test(proxy_http, switching_unasked_is_502)
{
	PLAY("C> GET /a", "U> GET /a", SWITCHES "x||", "C< 502 ...protocol error");
}

Test(proxy_http, h2c_is_not_switched_to)
{
	PLAY("C> GET /a HTTP/1.1|Host: h|Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|"
	     "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA||",
	     "U> GET /a", SWITCHES "h2c||", "C< 502 ...", "U> GONE");
}

Test(proxy_http, chunk_extensions_are_left_out_both_ways)
{
	PLAY("C> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||5;ext=1;q=\"a b\"|hello|0||",
	     "U> POST / HTTP/1.1|host: h|transfer-encoding: chunked||5|hello|0||");
	PLAY("U< 200 OK|Transfer-Encoding: chunked||2;a=b|hi|0  ||",
	     "C< 200 OK|transfer-encoding: chunked||2|hi|0||", "C> GET /a", "U> GET /a");
}

Test(proxy_http, chunk_extensions_that_come_byte_by_byte)
{
	int c = env_client(e), s;

	put(c, GET);
	s = env_accept(e);
	want(s, GOT);
	put(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (const char *p = "2 ;a=\"b\"\r\nhi\r\n0;c\r\nX: y\r\n\r\n"; *p; p++) {
		put_bytes(s, p, 1);
		wait_ms(1);
	}
	get_head(c);
	want(c, "2\r\nhi\r\n0\r\nX: y\r\n\r\n");
}

Test(proxy_http, an_absolute_targets_host_is_what_the_endpoint_is_told)
{
	PLAY("C> GET http://a/x HTTP/1.1|Host: 10.96.0.10||", "U> GET /x HTTP/1.1|host: a||");
}

Test(proxy_http, http_2_with_prior_knowledge_gets_a_clean_400)
{
	PLAY("C> PRI * HTTP/2.0||SM||", "C< 400 ...", "C< END");
	cr_expect_eq(e->picks, 0u);
}

/* It must not become a way past the rules; nor is what the client sends for the tunnel a request.
 */
Test(proxy_http, connect_makes_no_tunnel)
{
	PLAY("C> CONNECT h:443 HTTP/1.1|Host: h:443||GET /a HTTP/1.1|Host: h||",
	     "C< 403 ...connection: close...", "C< END", "L 403 - upgrade_failed", "U> -");
}

Test(proxy_http, a_client_that_half_closes_gets_its_response)
{
	PLAY("C> GET /a HTTP/1.1|Host: h|Connection: close||", "C> END", "U> GET /a", "T 50",
	     "U< 200", "C< 200 A|Content-Length: 2|connection: close||hi", "C< END");
}

/* It closes in order, as most clients do that have waited long enough. */
Test(proxy_http, a_client_that_gives_up_is_logged_when_it_goes)
{
	PLAY("C> GET /a", "U> GET /a", "C> END", "L 0 DC downstream_remote_disconnect", "U> GONE");
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED);
}

Test(proxy_http, a_client_that_leaves_a_quiet_stream_is_logged_when_it_goes)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200 OK|Transfer-Encoding: chunked||2|hi|",
	     "C< 200 OK|transfer-encoding: chunked||2|hi|", "C> END", "L 200 DC");
}

/* Pipelined requests are answered, although no more will come. */
Test(proxy_http, a_client_that_sends_all_at_once_and_ends_gets_its_first_response)
{
	PLAY("C> GET /a HTTP/1.1|Host: h||GET /a HTTP/1.1|Host: h||", "C> END", "U> GET /a", "T 50",
	     "U< 200", "C< 200");
}

Test(proxy_http, an_early_response_ends_the_connection_in_order)
{
	static char block[100000];

	PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 10000000||abc",
	     "U> POST / HTTP/1.1|host: h|Content-Length: 10000000||abc",
	     "U< 413 Too Large|Content-Length: 2||no", "C< 413 ...||no");
	put_bytes(script_socket(e, "C"), block, sizeof(block));
	PLAY("C< END");
}

Test(proxy_http, none_of_the_ambiguous_requests_reaches_an_endpoint)
{
	for (size_t i = 0; i < sizeof(h1_corpus) / sizeof(*h1_corpus); i++) {
		int c = env_client(e);

		put_bytes(c, h1_corpus[i].bytes, h1_corpus[i].len);
		want_message(c, i ? "HTTP/1.1 4" : "HTTP/1.1 400 ", "connection: close", NULL);
		want_end(c);
		close(c);
		cr_assert_eq(e->picks, 0u, "passed on: %s", h1_corpus[i].name);
	}
	cr_expect_lt(env_accept_maybe(e), 0);
}

Test(proxy_http, a_head_that_is_too_large_is_431)
{
	int c = env_client(e);
	char *line = malloc(70000);

	memset(line, 'a', 70000);
	put(c, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	put_bytes(c, line, 70000);
	want_message(c, "HTTP/1.1 431 ", NULL);
	free(line);
}

Test(proxy_http, a_large_head_is_no_problem)
{
	int c = env_client(e), s;
	char *line = malloc(50001);

	memset(line, 'a', 50000);
	line[50000] = 0;
	put(c, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	put(c, line);
	put(c, "\r\n\r\n" GET);
	s = env_accept(e);
	want(s, "GET / HTTP/1.1\r\nhost: h\r\nX: ");
	want(s, line);
	want(s, "\r\n\r\n");
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ");
	put(s, line);
	put(s, "\r\n\r\nhi");
	want(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ");
	want(c, line);
	want(c, "\r\n\r\nhi");
	want(s, GOT);
	free(line);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void want_keep_alive(int fd, int idle, int interval, int probes)
{
	cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), idle);
	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), interval);
	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), probes);
}

Test(proxy_http, a_peer_that_vanishes_without_a_word_will_be_noticed)
{
	PLAY("C> GET /a", "U> GET /a");
	want_keep_alive(e->worker.requests->down->half.transport.io.fd, 60, 15, 4);
	want_keep_alive(e->worker.requests->up->half.transport.io.fd, 60, 15, 4);
	PLAY("U< 200", "C< 200");
}

static int given_or(uint32_t given, int otherwise)
{
	return given ? (int)given : otherwise;
}

/* What the rule leaves open is as the kernel has it for a new socket. */
Test(proxy_http, an_endpoints_connection_has_the_keepalive_of_its_rule)
{
	static const struct keepalive rows[] = { { true, 300, 20, 7 },
						 { true, 32767, 0, 0 },
						 { true, 0, 32767, 127 },
						 { true, 0, 0, 0 } };
	int plain = socket(AF_INET, SOCK_STREAM, 0);
	int idle = option(plain, IPPROTO_TCP, TCP_KEEPIDLE);
	int interval = option(plain, IPPROTO_TCP, TCP_KEEPINTVL);
	int probes = option(plain, IPPROTO_TCP, TCP_KEEPCNT);

	close(plain);
	cr_assert_neq(idle, 60, "else nothing is shown");
	e->target.max_requests_per_connection = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct keepalive *k = &rows[i];

		e->target.keepalive = *k;
		PLAY("C> GET /a", "U> GET /a");
		want_keep_alive(e->worker.requests->up->half.transport.io.fd,
				given_or(k->time_s, idle), given_or(k->interval_s, interval),
				given_or(k->probes, probes));
		want_keep_alive(e->worker.requests->down->half.transport.io.fd, 60, 15, 4);
		PLAY("U< 200", "C< 200", "U> END", "U< END");
	}
}

/* ---- conversations: see test_proxy_script.h ---- */

#define A "GET /a HTTP/1.1|"
#define ASKS "C> " A "Host: h||", "U> " A "host: h||"
#define ASKS_1_0 "C> GET / HTTP/1.0|Connection: keep-alive||", "U> GET / HTTP/1.1|host: none||"
#define CHUNKS "5|hello|A|0123456789|0|X-Sum: 1||"
#define ANSWERS(response) "U< " response, "C< " response
#define HI "HTTP/1.1 200 OK|Content-Length: 2||hi"

static const struct {
	const char *what;
	const char *lines[SCRIPT_LINES];
} conversations[] = {
	{ "pipelined requests are answered in order",
	  { "C> GET /1 HTTP/1.1|Host: h||"
	    "POST /2 HTTP/1.1|Host: h|Content-Length: 3||abc"
	    "GET /3 HTTP/1.1|Host: h||",
	    "U> GET /1 HTTP/1.1|host: h||", "U> -", ANSWERS("HTTP/1.1 200 OK|Content-Length: 1||1"),
	    "U> POST /2 HTTP/1.1|host: h|Content-Length: 3||abc",
	    ANSWERS("HTTP/1.1 200 OK|Content-Length: 1||2"), "U> GET /3 HTTP/1.1|host: h||",
	    ANSWERS("HTTP/1.1 200 OK|Content-Length: 1||3") } },
	{ "what concerns one connection is not passed on",
	  { "C> GET / HTTP/1.1|Host: h|Connection: close, X-Mine|X-Mine: 1|Keep-Alive: 5|"
	    "TE: trailers|Upgrade: h2c|X-Other: 2||",
	    "U> GET / HTTP/1.1|host: h|X-Other: 2||",
	    "U< HTTP/1.1 200 OK|Connection: keep-alive, x-up|X-Up: 1|Keep-Alive: timeout=5|"
	    "Content-Length: 0|X-Down: 2||",
	    "C< HTTP/1.1 200 OK|Content-Length: 0|X-Down: 2|connection: close||", "C< END",
	    "U> -" } },
	{ "chunks and trailers both ways",
	  { "C> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||" CHUNKS,
	    "U> POST / HTTP/1.1|host: h|transfer-encoding: chunked||" CHUNKS,
	    "U< HTTP/1.1 200 OK|Transfer-Encoding: chunked||" CHUNKS,
	    "C< HTTP/1.1 200 OK|transfer-encoding: chunked||" CHUNKS, ASKS } },
	{ "chunks are passed on as they come",
	  { ASKS, "U< HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hel",
	    "C< HTTP/1.1 200 OK|transfer-encoding: chunked||5|hel", ANSWERS("lo|"),
	    ANSWERS("0||") } },
	{ "a 1.0 client gets no chunks",
	  { ASKS_1_0, "U< HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|6| world|0|X: y||",
	    "C< HTTP/1.1 200 OK|connection: close||hello world", "C< END" } },
	{ "a 1.0 client may be kept alive",
	  { ASKS_1_0, "U< " HI, "C< HTTP/1.1 200 OK|Content-Length: 2|connection: keep-alive||hi",
	    ASKS_1_0, "U< " HI, "C< HTTP/1.1 200 OK|Content-Length: 2|connection: keep-alive||hi",
	    "C> GET / HTTP/1.0||", "U> GET / HTTP/1.1|host: none||", "U< " HI,
	    "C< HTTP/1.1 200 OK|Content-Length: 2|connection: close||hi", "C< END" } },
	{ "a body that ends with the connection",
	  { ASKS, "U< HTTP/1.0 200 OK||hello", "C< HTTP/1.1 200 OK|connection: close||hello",
	    "U< END", "C< END" } },
	{ "HEAD, 204 and 304 have no body",
	  { "C> HEAD / HTTP/1.1|Host: h||", "U> HEAD / HTTP/1.1|host: h||",
	    ANSWERS("HTTP/1.1 200 OK|Content-Length: 5||"), ASKS,
	    ANSWERS("HTTP/1.1 204 No Content||"), ASKS,
	    ANSWERS("HTTP/1.1 304 Not Modified|Content-Length: 5||"), ASKS } },
	{ "a client that waits for 100 gets it",
	  { "C> POST / HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||",
	    "U> POST / HTTP/1.1|host: h|Content-Length: 5|Expect: 100-continue||",
	    ANSWERS("HTTP/1.1 100 Continue||"), "C> hello", "U> hello", ANSWERS(HI), ASKS } },
	{ "a client that is refused instead of 100 is closed",
	  { "C> POST / HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||",
	    "U> POST / HTTP/1.1|host: h|Content-Length: 5|Expect: 100-continue||",
	    "U< HTTP/1.1 417 No|Content-Length: 0||",
	    "C< HTTP/1.1 417 No|Content-Length: 0|connection: close||", "C< END" } },
	{ "a path is normalized",
	  { "C> GET /x/../y/./%61?b=/../%61 HTTP/1.1|Host: h||",
	    "U> GET /y/a?b=/../%61 HTTP/1.1|host: h||", ANSWERS(HI) } },
	{ "early hints are passed on",
	  { ASKS, ANSWERS("HTTP/1.1 103 Early Hints|Link: </a>||"), ANSWERS(HI) } },
	{ "websocket",
	  { "C> GET /ws HTTP/1.1|Host: h|Upgrade: websocket|Connection: Upgrade|"
	    "Sec-WebSocket-Version: 13||",
	    "U> GET /ws HTTP/1.1|host: h|Sec-WebSocket-Version: 13|connection: upgrade|"
	    "upgrade: websocket||",
	    "U< HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: Upgrade||first",
	    "C< HTTP/1.1 101 Switching Protocols|connection: upgrade|upgrade: websocket||first",
	    "C> \001\002ping", "U> \001\002ping", ANSWERS("pong"), "C> END", "U> END",
	    ANSWERS("after the end"), "U< END", "C< END" } },
};

Test(proxy_http, conversations)
{
	for (size_t i = 0; i < sizeof(conversations) / sizeof(*conversations); i++) {
		script_play(e, conversations[i].what, conversations[i].lines);
		/* With connections of its own. */
		env_free(e);
		e = env_new(NULL);
	}
}
