// SPDX-License-Identifier: Apache-2.0
/*
 * What the client sees when something is missing, slow or broken.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "test_proxy_script.h"

static struct env *e;

static void setup(void)
{
	struct worker_options o = worker_defaults;

	o.head_timeout_ms = 300;
	o.idle_timeout_ms = 600;
	o.stream_timeout_ms = 400;
	e = env_new(&o);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_failures, .init = setup, .fini = teardown, .timeout = 60);

static void nobody_listens(struct target *t)
{
	int fd = env_listen(&t->port);

	close(fd);
}

Test(proxy_failures, malformed_chunks_of_the_endpoint_are_a_502)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200 OK|Transfer-Encoding: chunked||hello|0||",
	     "C< 502 ...protocol error", "U> GONE",
	     "L 502 UPE upstream_reset_before_response_started{protocol_error}");
}

/* The client has the head by then: all that is left is to break off. */
Test(proxy_failures, malformed_chunks_of_the_endpoint_end_it)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200 OK|Transfer-Encoding: chunked||",
	     "C< 200 OK|transfer-encoding: chunked||", "U< 5;x=|hello|", "C< GONE", "U> GONE",
	     "L 200 UPE upstream_reset_after_response_started{protocol_error}");
}

Test(proxy_failures, malformed_chunks_of_the_client_that_come_late)
{
	PLAY("C> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|",
	     "U> POST / HTTP/1.1|host: h|transfer-encoding: chunked||5|hello|", "C> 5;x=|hello|",
	     "C< 400 ...", "C< END", "U> GONE");
}

Test(proxy_failures, a_response_that_stops_is_given_up)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200 OK|Content-Length: 10||h",
	     "C< 200 OK|Content-Length: 10||h");
	for (int i = 0; i < 4; i++)
		PLAY("T 150", "U< i", "C< i");
	PLAY("C< GONE", "U> GONE");
}

#define ABORTED "500 Internal Server Error|...content-length: 18|...||fault filter abort"

Test(proxy_failures, an_abort_asks_no_endpoint)
{
	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 500,
					       .body = { "fault filter abort", 18 },
					       .flags = "FI" };
	for (int i = 0; i < 3; i++)
		PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 3||abc", "C< " ABORTED);
	PLAY("C> HEAD / HTTP/1.1|Host: h||GET /a HTTP/1.1|Host: h||");
	get_head(script_socket(e, "C"));
	PLAY("C< " ABORTED, "L5 500 FI");
	cr_expect_eq(e->picks, 0u);
	cr_expect_eq(e->releases, 5u);
}

Test(proxy_failures, a_client_that_says_nothing_is_closed)
{
	PLAY("C< END", "C2> GET /a", "U> GET /a", "U< 200", "C2< 200", "C2< END");
}

Test(proxy_failures, a_connection_serves_as_many_requests_as_it_may)
{
	e->target.max_requests_per_connection = 2;
	for (int i = 0; i < 2; i++) {
		PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
		PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "U> END", "U< END");
	}
}

Test(proxy_failures, a_connection_is_used_as_long_as_it_may)
{
	e->target.max_duration_ms = 150;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	PLAY("C> GET /a", "U> GET /a", "T 200", "U< 200", "C< 200", "U> END");
	PLAY("C> GET /a", "U2> GET /a", "U2< 200", "C< 200", "U2> END");
}

Test(proxy_failures, an_unused_connection_is_kept_as_long_as_it_may)
{
	e->target.idle_timeout_ms = 50;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "U> END");
}

static void other_rules(void)
{
	__atomic_store_n(&e->other_rules, true, __ATOMIC_SEQ_CST);
	loop_wake(e->worker.io.loop);
}

Test(proxy_failures, connections_to_what_is_no_endpoint_any_more_are_closed)
{
	const uint32_t one = 1, two = 2;

	e->target.endpoint = one;
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "U2> GET /a", "U< 200", "C< 200");
	/* One unused, one in use: that goes on. */
	__atomic_store_n(&e->gone, one, __ATOMIC_SEQ_CST);
	other_rules();
	PLAY("U> END", "U2> -", "U2< 200", "C2< 200", "U2> END");
	e->target.endpoint = two;
	PLAY("C> GET /a", "U3> GET /a", "U3< 200", "C< 200");
	other_rules();
	PLAY("U3> -", "C2> GET /a", "U3> GET /a", "U3< 200", "C2< 200");
}

/* ---- conversations: see test_proxy_script.h ---- */

#define A "GET /a HTTP/1.1|"
#define ASKS "C> " A "Host: h||", "U> " A "host: h||"
#define ASKED_AGAIN "U> " A "host: h||"
#define POST "POST /a HTTP/1.1|"
#define ABC "Content-Length: 3||abc"
#define CHUNKED "chunked||3|abc|0||"
#define HI "HTTP/1.1 200 OK|Content-Length: 2||hi"
#define ANSWERS(response) "U< " response, "C< " response
#define NO "HTTP/1.1 503 No|Content-Length: 3||bad"
#define RESET "upstream connect error or disconnect/reset before headers. reset reason: "
#define UNAVAILABLE "C< HTTP/1.1 503 Service Unavailable|..."
#define TOO_LATE "C< HTTP/1.1 504 Gateway Timeout|content-length: 24|...||upstream request timeout"
#define BAD(response) \
	ASKS, "U< " response, "C< HTTP/1.1 502 Bad Gateway|...||" RESET "protocol error", "U> GONE"

static const uint32_t just_503[] = { 503 };

static const struct {
	const char *what;
	struct plan plan;
	enum pick pick;
	bool refused;	   /* nothing listens at the endpoint ... */
	bool another;	   /* ... but at the next one */
	unsigned picks;	   /* 0: are not looked at */
	unsigned logs;	   /* 0: 1 */
	const char *flags; /* of the last request; NULL: are not looked at */
	enum outcome outcome;
	const char *lines[SCRIPT_LINES];
} rows[] = {
	{ "no endpoint", .pick = PICK_NONE, .flags = "UH",
	  .lines = { "C> " A "Host: h||",
		     "C< HTTP/1.1 503 Service Unavailable|content-length: 19|"
		     "content-type: text/plain|...|server: weft||no healthy upstream" } },
	{ "no such cluster", .pick = PICK_NO_CLUSTER, .flags = "NC",
	  .lines = { "C> " A "Host: h||",
		     "C< HTTP/1.1 503 Service Unavailable|content-length: 0|...|server: weft||" } },
	{ "connection refused", .refused = true, .flags = "UF", .outcome = OUTCOME_CONNECT,
	  .lines = { "C> " A "Host: h||", UNAVAILABLE "||" RESET "connection failure" } },
	{ "refused, then another endpoint",
	  { .retries = 2, .retry_on = PLAN_RETRY_CONNECT_FAILURE, .backoff_ms = 25 },
	  .refused = true,
	  .another = true,
	  .picks = 2,
	  .lines = { "C> " POST "Host: h|" ABC, "U> " POST "host: h|" ABC, ANSWERS(HI) } },
	{ "tries come to an end",
	  { .retries = 3, .retry_on = PLAN_RETRY_CONNECT_FAILURE },
	  .refused = true,
	  .picks = 4,
	  .flags = "UF,URX",
	  .outcome = OUTCOME_CONNECT,
	  .lines = { "C> " A "Host: h||", UNAVAILABLE "||" RESET "connection failure" } },
	{ "a 503 is tried again if the rule says so",
	  { .retries = 1, .retry_statuses = just_503, .retry_status_count = 1 },
	  .picks = 2,
	  .flags = "URX",
	  .lines = { "C> " POST "Host: h|Transfer-Encoding: " CHUNKED,
		     "U> " POST "host: h|transfer-encoding: " CHUNKED, "U< " NO, "U> GONE",
		     "U> " POST "host: h|transfer-encoding: " CHUNKED, ANSWERS(NO) } },
	{ "an endpoint that resets", .flags = "UC", .outcome = OUTCOME_RESET,
	  .lines = { ASKS, "U< RST", UNAVAILABLE "||" RESET "connection termination" } },
	{ "an unused connection that the endpoint closed is not used", .picks = 2, .logs = 2,
	  .flags = "-", .lines = { ASKS, ANSWERS(HI), "U< END", ASKS, ANSWERS(HI) } },
	{ "a reused connection that ends is tried again", .picks = 3, .logs = 2, .flags = "-",
	  .lines = { ASKS, ANSWERS(HI), ASKS, "U< END", ASKED_AGAIN, ANSWERS(HI) } },
	/* It was alive when the request was sent, and may have carried it out. */
	{ "... only if that is safe", .picks = 2, .logs = 2, .flags = "UC",
	  .outcome = OUTCOME_RESET,
	  .lines = { ASKS, ANSWERS(HI), "C> " POST "Host: h|" ABC, "U> " POST "host: h|" ABC,
		     "U< END", UNAVAILABLE } },
	{ "two framings make no sense", .flags = "UPE", .outcome = OUTCOME_RESET,
	  .lines = { BAD("HTTP/1.1 200 OK|Content-Length: 2|Transfer-Encoding: chunked||hi") } },
	{ "nor do lines without a CR", .flags = "UPE", .outcome = OUTCOME_RESET,
	  .lines = { BAD("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi") } },
	{ "nor two lengths", .flags = "UPE", .outcome = OUTCOME_RESET,
	  .lines = { BAD("HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 3||hi") } },
	{ "nor what is no response", .flags = "UPE", .outcome = OUTCOME_RESET,
	  .lines = { BAD("hi|") } },
	{ "a response that breaks off is seen to", .flags = "UC", .outcome = OUTCOME_RESET,
	  .lines = { ASKS, ANSWERS("HTTP/1.1 200 OK|Content-Length: 10||hi"), "U< END",
		     "C< RST" } },
	{ "a client that goes away takes the request with it", .flags = "DC",
	  .outcome = OUTCOME_ABANDONED, .lines = { ASKS, "C> RST", "U> GONE" } },
	{ "a client that goes away within the body, too", .flags = "DC",
	  .outcome = OUTCOME_ABANDONED,
	  .lines = { "C> " POST "Host: h|Content-Length: 10||abc",
		     "U> " POST "host: h|Content-Length: 10||abc", "C> END", "U> GONE" } },
	{ "the route's time is over",
	  { .timeout_ms = 100 },
	  .flags = "UT",
	  .outcome = OUTCOME_TIMEOUT,
	  .lines = { ASKS, TOO_LATE, "U> GONE" } },
	{ "... but not for the next request",
	  { .timeout_ms = 100 },
	  .picks = 2,
	  .logs = 2,
	  .flags = "-",
	  .lines = { ASKS, TOO_LATE, "U> GONE", ASKS, ANSWERS(HI) } },
	{ "each try has its time",
	  { .per_try_timeout_ms = 100, .retries = 1, .retry_on = PLAN_RETRY_5XX },
	  .picks = 2,
	  .flags = "UT,URX",
	  .outcome = OUTCOME_TIMEOUT,
	  .lines = { ASKS, "U> GONE", ASKED_AGAIN, TOO_LATE } },
	{ "a delay comes first",
	  { .delay_ms = 200, .timeout_ms = 150 },
	  .flags = "DI",
	  .lines = { "C> " A "Host: h||", "C< -", ASKED_AGAIN, ANSWERS(HI) } },
	{ "a head that comes too slowly is 408", .flags = "DT",
	  .lines = { "C> GET / HTTP/1.1|Ho",
		     "C< HTTP/1.1 408 Request Timeout|...|connection: close||", "C< END" } },
};

static void play(size_t i)
{
	const struct access_entry *entry;

	e->plan = rows[i].plan;
	e->pick = rows[i].pick;
	if (rows[i].another)
		e->second = e->target;
	if (rows[i].refused)
		nobody_listens(&e->target);
	script_play(e, rows[i].what, rows[i].lines);
	entry = env_log(e, rows[i].logs ? rows[i].logs : 1);
	if (rows[i].flags)
		cr_expect_str_eq(entry->flags, rows[i].flags, "%s: %s", rows[i].what, entry->flags);
	cr_expect_eq(e->outcome, rows[i].outcome, "%s: outcome %d", rows[i].what, e->outcome);
	if (rows[i].picks)
		cr_expect_eq(e->picks, rows[i].picks, "%s: %u picks", rows[i].what, e->picks);
}

Test(proxy_failures, conversations)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		play(i);
		teardown();
		setup();
	}
}
