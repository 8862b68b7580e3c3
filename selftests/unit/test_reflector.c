/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "daemon/source/informer_priv.h"

/* A resource, its clock, and what was told: "+ns/name@version ", "-ns/name ", "= " for a list. */
struct env {
	struct reflector r;
	uint64_t now;
	char told[1024], path[REFLECTOR_PATH_MAX];
	int refuse; /* what the next put() returns */
};

static void tell(struct env *e, const char *sign, struct json_span ns, struct json_span name)
{
	snprintf(e->told + strlen(e->told), sizeof(e->told) - strlen(e->told), "%s%.*s/%.*s", sign,
		 (int)ns.len, ns.at ? ns.at : "", (int)name.len, name.at);
}

static int put(void *arg, struct told_key key, struct json_span version, struct json_span object)
{
	struct env *e = arg;
	char text[64];

	cr_expect(object.len > 2);
	if (e->refuse)
		return e->refuse;
	tell(e, "+", key.namespace, key.name);
	snprintf(text, sizeof(text), "@%.*s ", (int)version.len, version.at);
	strcat(e->told, text);
	return 0;
}

static int gone(void *arg, const char *namespace, const char *name)
{
	struct env *e = arg;
	struct told_key key = told_key(namespace, name);

	tell(e, "-", key.namespace, key.name);
	strcat(e->told, " ");
	return 0;
}

static int listed(void *arg)
{
	strcat(((struct env *)arg)->told, "= ");
	return 0;
}

static const char *const older[] = { "example.io/v1beta1", NULL };
static const struct informer_resource services = { .path = "/api/v1/services",
						   .api_version = "v1",
						   .kind = "Service" };
static const struct informer_resource widgets = { .path = "/apis/example.io/v1/widgets",
						  .api_version = "example.io/v1",
						  .kind = "Widget",
						  .query = "labelSelector=a",
						  .other_versions = older,
						  .optional = true };

static void env_open(struct env *e, const struct informer_resource *resource)
{
	const struct reflector_sink sink = { put, gone, listed, e };

	reflector_init(&e->r, resource, &sink, 7);
	e->now = 1000;
}

static void env_free(struct env *e)
{
	reflector_free(&e->r);
}

#define _cleanup_env_ _cleanup_(env_free)

/* What is asked next, waiting at most so long for it. */
static const char *ask_within(struct env *e, uint64_t ms)
{
	if (!reflector_next(&e->r, e->now, e->path)) {
		cr_assert(e->r.not_before <= e->now + ms, "it waits for %d ms",
			  (int)(e->r.not_before - e->now));
		e->now = e->r.not_before;
		cr_assert(reflector_next(&e->r, e->now, e->path));
	}
	return e->path;
}

static const char *ask(struct env *e)
{
	return ask_within(e, 0);
}

/* It waits for the server's discovery, at most so long until that is asked. */
static void expect_discovers(struct env *e, uint64_t ms)
{
	cr_assert(reflector_discovers(&e->r));
	cr_assert_not(reflector_next(&e->r, e->now, e->path));
	cr_assert(e->r.not_before <= e->now + ms, "it waits for %d ms",
		  (int)(e->r.not_before - e->now));
	e->now = e->now > e->r.not_before ? e->now : e->r.not_before;
}

static void discovered(struct env *e, int version, uint64_t ms)
{
	expect_discovers(e, ms);
	cr_expect_eq(reflector_discovered(&e->r, e->now, version),
		     version != REFLECTOR_NONE && e->r.not_found > 1);
}

/* Discovery is not allowed. */
static void undiscovered(struct env *e, uint64_t ms)
{
	expect_discovers(e, ms);
	reflector_undiscovered(&e->r, e->now,
			       &(struct reflector_end){ .status = 403, .complete = true });
}

static void expect_told(struct env *e, const char *told)
{
	cr_expect_str_eq(e->told, told);
	e->told[0] = '\0';
}

static int value(struct env *e, const char *json)
{
	return reflector_value(&e->r, json, strlen(json));
}

static void answered(struct env *e)
{
	reflector_answered(&e->r, e->now, 200, KUBE_JSON);
}

static void end(struct env *e, struct reflector_end how)
{
	if (how.body)
		how.size = strlen(how.body);
	if (how.status && !e->r.answered)
		reflector_answered(&e->r, e->now, how.status, KUBE_JSON);
	reflector_end(&e->r, e->now, &how);
}

#define OBJECT(ns, name, version)                                  \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns \
	"\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"
#define BOOKMARK(version, annotations)                                                            \
	EVENT("BOOKMARK", "{\"kind\":\"Service\",\"metadata\":{\"resourceVersion\":\"" version    \
			  "\",\"creationTimestamp\":null" annotations "},\"spec\":{},\"status\":" \
			  "{\"loadBalancer\":{}}}")
#define LAST ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}"
#define LIST(version, more)                                                                   \
	"{\"kind\":\"ServiceList\",\"items\":[],\"metadata\":{\"resourceVersion\":\"" version \
	"\"" more "}}"
#define FAILURE(code, message) \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"" message "\",\"code\":" code "}"

static void sync_with(struct env *e, const char *first)
{
	cr_assert(strstr(ask(e), "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"), "%s",
		  e->path);
	answered(e);
	cr_assert_eq(value(e, first), 0);
	cr_assert_eq(value(e, BOOKMARK("10", LAST)), 0);
	cr_expect_eq(e->r.phase, INFORMER_SYNCED);
}

Test(reflector, a_streamed_list_goes_on_as_a_watch)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	cr_expect(strstr(ask(&e), "/api/v1/services?watch=1&allowWatchBookmarks=true&"
				  "timeoutSeconds="));
	cr_expect_not(reflector_is_list(&e.r));
	answered(&e);
	cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	cr_expect_eq(value(&e, EVENT("ADDED", OBJECT("shop", "web", "3"))), 0);
	cr_expect_eq(value(&e, BOOKMARK("9", "")), 0, "one in between ends nothing");
	cr_expect_not(e.r.settled);
	cr_expect_eq(value(&e, BOOKMARK("10", LAST)), 0);
	cr_expect(e.r.settled);
	cr_expect_eq(value(&e, EVENT("MODIFIED", OBJECT("shop", "web", "11"))), 0);
	cr_expect_eq(value(&e, EVENT("DELETED", OBJECT("shop", "web", "12"))), 0);
	expect_told(&e, "+shop/web@3 = +shop/web@11 -shop/web ");
	/* The server ends it: the next one goes on where it ended. */
	e.now += 300000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	cr_expect(strstr(ask(&e), "&resourceVersion=12"), "%s", e.path);
	cr_expect_null(strstr(e.path, "sendInitialEvents"));
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, a_server_that_streams_no_lists_gives_pages)
{
	static const long statuses[] = { 400, 422 };

	for (size_t i = 0; i < 2; i++) {
		_cleanup_env_ struct env e = { 0 };

		env_open(&e, &widgets);
		discovered(&e, 0, 0);
		ask(&e);
		end(&e, (struct reflector_end){
				.status = statuses[i],
				.complete = true,
				.body = FAILURE("422", "sendInitialEvents: Forbidden") });
		discovered(&e, 0, 0);
		cr_expect_str_eq(ask(&e), "/apis/example.io/v1/widgets?labelSelector=a&limit=500");
		cr_expect(reflector_is_list(&e.r));
		cr_expect_eq(value(&e, OBJECT("a", "x", "1")), 0);
		end(&e, (struct reflector_end){ .status = 200,
						.complete = true,
						.body = LIST("20", ",\"continue\":\"a/b=\"") });
		cr_expect_not(e.r.settled);
		cr_expect_str_eq(ask(&e), "/apis/example.io/v1/widgets?labelSelector=a&limit=500&"
					  "continue=a%2Fb%3D");
		cr_expect_eq(value(&e, OBJECT("a", "y", "2")), 0);
		end(&e, (struct reflector_end){
				.status = 200, .complete = true, .body = LIST("20", "") });
		cr_expect(strstr(ask(&e), "watch=1"));
		cr_expect(strstr(e.path, "resourceVersion=20"));
		expect_told(&e, "+a/x@1 +a/y@2 = ");
	}
}

Test(reflector, a_server_that_ignores_streaming_is_found_out_by_its_silence)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	answered(&e);
	e.now = reflector_deadline(&e.r);
	end(&e, (struct reflector_end){ .status = 200, .error = "silent" });
	cr_expect_str_eq(ask_within(&e, 1000), "/api/v1/services?limit=500");
}

Test(reflector, a_list_tells_only_what_has_changed_or_gone)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	told_put(&e.r.told, told_key("a", "same"), (struct json_span){ "5", 1 });
	told_put(&e.r.told, told_key("a", "other"), (struct json_span){ "5", 1 });
	told_put(&e.r.told, told_key("", "none"), (struct json_span){ "5", 1 });
	ask(&e);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "same", "5")));
	value(&e, EVENT("ADDED", OBJECT("a", "other", "6")));
	expect_told(&e, "+a/other@6 ");
	value(&e, BOOKMARK("10", LAST));
	expect_told(&e, "-/none = ");
}

Test(reflector, a_list_that_breaks_takes_nothing_away)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	told_put(&e.r.told, told_key("a", "x"), (struct json_span){ "5", 1 });
	ask(&e);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "y", "6")));
	end(&e, (struct reflector_end){ .status = 200, .error = "connection reset" });
	cr_expect_str_eq(e.r.error, "connection reset");
	cr_expect(strstr(ask_within(&e, 1000), "sendInitialEvents"));
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "5")));
	value(&e, EVENT("ADDED", OBJECT("a", "y", "6")));
	value(&e, BOOKMARK("10", LAST));
	expect_told(&e, "+a/y@6 = ");
}

/* ---- too old ---- */

static void expect_list_at_once(struct env *e)
{
	cr_expect(strstr(ask(e), "sendInitialEvents"), "%s", e->path);
	answered(e);
	value(e, BOOKMARK("30", LAST));
	expect_told(e, "-a/x = ");
	cr_expect_eq(e->r.phase, INFORMER_SYNCED);
}

Test(reflector, too_old_as_a_status_lists_anew)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 = ");
	e.now += 60000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	ask(&e);
	end(&e, (struct reflector_end){
			.status = 410, .complete = true, .body = FAILURE("410", "old") });
	expect_list_at_once(&e);
}

Test(reflector, too_old_as_an_event_lists_anew)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 = ");
	cr_expect_eq(value(&e, EVENT("ERROR", FAILURE("410", "too old resource version: 5 (237)"))),
		     -ECANCELED);
	end(&e, (struct reflector_end){ .status = 200, .r = -ECANCELED });
	expect_list_at_once(&e);
}

Test(reflector, another_error_event_lists_anew_after_a_while)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	cr_expect_eq(value(&e, EVENT("ERROR", FAILURE("500", "etcd is unwell"))), -ECANCELED);
	end(&e, (struct reflector_end){ .status = 200, .r = -ECANCELED });
	cr_expect_str_eq(e.r.error, "etcd is unwell");
	cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	cr_expect(e.r.not_before > e.now);
	cr_expect(strstr(ask_within(&e, 1000), "sendInitialEvents"));
}

Test(reflector, a_continue_token_that_expires_begins_the_list_anew)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	e.r.no_stream = true;
	e.r.ask = REFLECTOR_PAGES;
	for (int i = 0; i < 3; i++) {
		cr_expect_str_eq(ask_within(&e, 0), "/api/v1/services?limit=500", "%d", i);
		end(&e, (struct reflector_end){ .status = 200,
						.complete = true,
						.body = LIST("20", ",\"continue\":\"t\"") });
		ask(&e);
		end(&e, (struct reflector_end){
				.status = 410,
				.complete = true,
				.body = FAILURE("410", "The provided continue parameter is "
						       "too old") });
	}
	/* It takes longer than the server keeps its history: all of it at a time. */
	cr_expect_str_eq(ask(&e), "/api/v1/services?");
}

/* ---- what goes wrong ---- */

Test(reflector, tries_come_slower_and_slower_up_to_half_a_minute)
{
	_cleanup_env_ struct env e = { 0 };
	uint64_t waits[12];

	env_open(&e, &services);
	for (size_t i = 0; i < 12; i++) {
		ask_within(&e, 50000);
		end(&e, (struct reflector_end){ .error = "connection refused" });
		waits[i] = e.r.not_before - e.now;
		cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	}
	cr_expect(waits[0] >= 375 && waits[0] <= 625, "%d", (int)waits[0]);
	cr_expect(waits[3] >= 3000 && waits[3] <= 5000, "%d", (int)waits[3]);
	cr_expect(waits[10] >= 22500 && waits[10] <= 37500, "%d", (int)waits[10]);
	cr_expect_neq(waits[10], waits[11], "they are spread");
	/* The server answers somebody else: it is there. */
	reflector_wake(&e.r, e.now);
	cr_expect(e.r.not_before <= e.now + 250);
}

Test(reflector, the_server_says_how_long_to_wait)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	end(&e,
	    (struct reflector_end){
		    .status = 429, .complete = true, .body = "slow down", .retry_after_ms = 7000 });
	cr_expect(e.r.not_before >= e.now + 7000 && e.r.not_before < e.now + 8000);
	cr_expect_str_eq(e.r.error, "the API server answered with status 429: slow down");
	reflector_wake(&e.r, e.now);
	cr_expect(e.r.not_before >= e.now + 7000, "it was reachable all the time");
}

Test(reflector, a_broken_watch_goes_on_where_it_was)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	value(&e, EVENT("MODIFIED", OBJECT("a", "x", "11")));
	end(&e, (struct reflector_end){ .status = 200, .error = "connection reset" });
	cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	cr_expect(strstr(ask_within(&e, 1000), "&resourceVersion=11"));
	answered(&e);
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
	cr_expect_str_eq(e.r.error, "");
	/* Silence is no error: it is asked for again at once. */
	e.now = reflector_deadline(&e.r);
	cr_expect(e.now > 120000);
	end(&e, (struct reflector_end){ .status = 200, .error = "silent" });
	cr_expect(strstr(ask(&e), "&resourceVersion=11"));
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, a_watch_that_ends_at_once_is_not_begun_at_once)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	for (int i = 0; i < 5; i++) {
		end(&e, (struct reflector_end){ .status = 200, .complete = true });
		cr_expect(e.r.not_before > e.now);
		ask_within(&e, 30000);
		answered(&e);
	}
	cr_expect(e.now > 10000);
}

Test(reflector, a_version_that_the_server_does_not_take_lists_anew)
{
	static const long statuses[] = { 400, 500, 504 };

	for (size_t i = 0; i < 3; i++) {
		_cleanup_env_ struct env e = { 0 };

		env_open(&e, &services);
		sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
		e.now += 60000;
		end(&e, (struct reflector_end){ .status = 200, .complete = true });
		ask(&e);
		end(&e,
		    (struct reflector_end){
			    .status = statuses[i],
			    .complete = true,
			    .body = FAILURE("504", "Too large resource version: 9, current: 2") });
		cr_expect(strstr(ask_within(&e, 1000), "sendInitialEvents"), "%s", e.path);
	}
}

Test(reflector, a_token_that_has_ended_is_tried_again_at_once_but_only_once)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	end(&e, (struct reflector_end){
			.status = 401, .complete = true, .body = FAILURE("401", "Unauthorized") });
	ask(&e);
	end(&e, (struct reflector_end){
			.status = 401, .complete = true, .body = FAILURE("401", "Unauthorized") });
	cr_expect_str_eq(e.r.error, "Unauthorized");
	cr_expect(e.r.not_before > e.now);
	ask_within(&e, 1000);
	answered(&e);
	cr_expect_eq(e.r.refusals, 0);
}

Test(reflector, what_is_forbidden_stays_as_it_was)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 = ");
	e.now += 60000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	for (int i = 0; i < 8; i++) {
		ask_within(&e, 15000);
		end(&e, (struct reflector_end){ .status = 403,
						.complete = true,
						.body = FAILURE("403", "services is forbidden") });
		cr_expect_eq(e.r.phase, INFORMER_FORBIDDEN);
	}
	cr_expect_str_eq(e.r.error, "services is forbidden");
	expect_told(&e, "");
	/* It may be read again. */
	cr_expect(strstr(ask_within(&e, 15000), "&resourceVersion=10"));
	answered(&e);
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, what_is_forbidden_from_the_start_counts_as_listed_once_that_is_sure)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	for (int i = 0; i < 3; i++) {
		cr_expect_not(e.r.settled, "a server that starts forbids everything");
		ask_within(&e, 5000);
		end(&e, (struct reflector_end){ .status = 403, .complete = true });
	}
	cr_expect(e.r.settled);
	cr_expect(e.now < 5000);
}

/* The answer waits in the socket, however long. */
Test(reflector, while_nothing_is_read_the_server_is_not_silent)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	answered(&e);
	e.now += 20000;
	cr_assert_eq(value(&e, EVENT("ADDED", OBJECT("a", "x", "3"))), 0);
	reflector_heard(&e.r, e.now);
	reflector_paused(&e.r, 100000);
	e.now += 100000;
	cr_expect_eq(reflector_deadline(&e.r), e.now + 30000);
	reflector_heard(&e.r, e.now + 29000);
	cr_expect_eq(reflector_deadline(&e.r), e.now + 40000, "a minute in all");
}

/* In protobuf, that is. */
Test(reflector, what_has_no_name_lists_anew_soon)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	answered(&e);
	e.refuse = -EOPNOTSUPP;
	cr_expect_eq(value(&e, EVENT("ADDED", OBJECT("a", "x", "3"))), -EOPNOTSUPP);
	end(&e, (struct reflector_end){ .status = 200, .r = -EOPNOTSUPP });
	cr_expect(strstr(e.r.error, "JSON"), "%s", e.r.error);
	e.refuse = 0;
	cr_expect(strstr(ask_within(&e, 1000), "sendInitialEvents"), "%s", e.path);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 ");
}

Test(reflector, a_streamed_list_that_never_ends_gives_pages)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	ask(&e);
	answered(&e);
	for (int i = 0; i < 12; i++) {
		cr_expect(e.now < reflector_deadline(&e.r));
		e.now += 5000;
		reflector_heard(&e.r, e.now);
	}
	cr_expect(e.now >= reflector_deadline(&e.r));
	end(&e, (struct reflector_end){ .status = 200, .error = "given up" });
	cr_expect(strstr(ask_within(&e, 1000), "limit=500"), "%s", e.path);
}

/* ---- another cluster at the same place ---- */

static const struct informer_resource namespaces = { .path = "/api/v1/namespaces",
						     .api_version = "v1",
						     .kind = "Namespace",
						     .anew = true };

/* The watch, and what tries to begin it again, end by no answer. */
static void lose(struct env *e)
{
	end(e, (struct reflector_end){ .status = 200, .error = "reset" });
	ask_within(e, 1000);
	end(e, (struct reflector_end){ .error = "refused" });
}

Test(reflector, what_tells_the_cluster_is_told_anew_after_the_server_was_lost)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &namespaces);
	sync_with(&e, EVENT("ADDED", OBJECT("", "kube-system", "9")));
	expect_told(&e, "+/kube-system@9 = ");
	lose(&e);
	cr_expect(strstr(ask_within(&e, 2000), "sendInitialEvents"), "%s", e.path);
	answered(&e);
	/* Its uid may be another one in the same version. */
	value(&e, EVENT("ADDED", OBJECT("", "kube-system", "9")));
	value(&e, BOOKMARK("10", LAST));
	expect_told(&e, "+/kube-system@9 = ");
}

/* It may be another server that goes on. */
Test(reflector, what_tells_the_cluster_is_told_anew_after_its_watch_has_ended)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &namespaces);
	sync_with(&e, EVENT("ADDED", OBJECT("", "kube-system", "4")));
	e.now += 300000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	sync_with(&e, EVENT("ADDED", OBJECT("", "kube-system", "4")));
	expect_told(&e, "+/kube-system@4 = +/kube-system@4 = ");
	cr_expect_not(e.r.went_back);
}

/* Streamed, or in a page where the server does not stream. */
static void list_of_version(struct env *e, const char *version)
{
	char text[256];

	ask_within(e, 1000);
	answered(e);
	if (reflector_is_list(&e->r)) {
		snprintf(text, sizeof(text), LIST("%s", ""), version);
		end(e, (struct reflector_end){ .status = 200, .complete = true, .body = text });
		ask_within(e, 1000);
		return;
	}
	snprintf(text, sizeof(text), BOOKMARK("%s", LAST), version);
	cr_assert_eq(value(e, text), 0);
}

Test(reflector, versions_that_go_back_are_noticed)
{
	static const struct {
		const char *list, *event;
		bool back, paged;
	} rows[] = {
		{ "10", NULL, false, false },  { "11", NULL, false, false },
		{ "100", NULL, false, false }, { "9", NULL, true, false },
		{ "10", "10", false, false },  { "10", "11", false, false },
		{ "10", "9", true, false },    { "2", NULL, true, false },
		{ "x9", NULL, false, false },  { "99999999999999999999999", NULL, false, false },
		{ "9", NULL, true, true },     { "11", "10", true, true },
		{ "11", "11", false, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_env_ struct env e = { 0 };
		char text[256];

		env_open(&e, &services);
		sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
		e.r.no_stream = rows[i].paged;
		end(&e, (struct reflector_end){ .status = 410, .complete = true });
		list_of_version(&e, rows[i].list);
		snprintf(text, sizeof(text), EVENT("MODIFIED", OBJECT("a", "x", "%s")),
			 rows[i].event ? rows[i].event : "");
		cr_expect(!rows[i].event || !value(&e, text));
		cr_expect_eq(e.r.went_back, rows[i].back, "%s %s", rows[i].list,
			     rows[i].event ? rows[i].event : "");
	}
}

/* What tells the cluster is compared with others, which are ahead while it is only watched: the
 * cluster's changes go on. */
Test(reflector, only_a_list_tells_that_the_store_has_gone_back)
{
	static const struct {
		const char *list; /* NULL: its watch goes on instead */
		bool back;
	} rows[] = { { NULL, false }, { "21", false }, { "15", true } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_env_ struct env of_cluster = { 0 }, other = { 0 };
		struct informer_watch watches[2] = { 0 };
		struct informer informer = { .watches = watches, .count = 2 };

		watches[0].informer = watches[1].informer = &informer;
		env_open(&of_cluster, &namespaces);
		env_open(&other, &services);
		list_of_version(&of_cluster, "10");
		list_of_version(&other, "20");
		if (rows[i].list)
			end(&of_cluster, (struct reflector_end){ .status = 410, .complete = true });
		ask_within(&of_cluster, 1000);
		watches[0].reflector = of_cluster.r;
		watches[1].reflector = other.r;
		informer_past_asked(&watches[0]);
		of_cluster.r = watches[0].reflector;
		if (rows[i].list) {
			char text[256];

			answered(&of_cluster);
			snprintf(text, sizeof(text), BOOKMARK("%s", LAST), rows[i].list);
			cr_assert_eq(value(&of_cluster, text), 0);
		}
		watches[0].reflector = of_cluster.r;
		informer_past_check(&informer);
		cr_expect_eq(informer.past.suspect == &watches[1], rows[i].back, "row %zu", i);
		of_cluster.r = watches[0].reflector;
		other.r = watches[1].reflector;
	}
}

/* The same version is another object's in another history. */
Test(reflector, after_that_everything_is_told_anew)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	reflector_list_anew(&e.r);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 = +a/x@3 = ");
	reflector_list_anew(&e.r);
	ask(&e);
	answered(&e);
	cr_assert_eq(value(&e, EVENT("ADDED", OBJECT("a", "x", "3"))), 0);
	cr_assert_eq(value(&e, BOOKMARK("5", LAST)), 0);
	cr_expect_not(e.r.went_back, "that is known");
	expect_told(&e, "+a/x@3 = ");
	reflector_list_anew(&e.r);
	ask(&e);
	end(&e, (struct reflector_end){ .status = 410, .complete = true });
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	end(&e, (struct reflector_end){ .status = 410, .complete = true });
	ask_within(&e, 1000);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	value(&e, BOOKMARK("12", LAST));
	expect_told(&e, "+a/x@3 = = ");
}

Test(reflector, what_is_known_from_before_may_be_of_a_later_version_than_the_server_has)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	cr_assert_eq(reflector_seed(&e.r, told_key("a", "x"), (struct json_span){ "9", 1 }), 0);
	cr_assert_eq(reflector_seed(&e.r, told_key("a", "y"), (struct json_span){ "11", 2 }), 0);
	cr_assert_eq(reflector_seed(&e.r, told_key("a", "z"), (struct json_span){ "5", 1 }), 0);
	cr_assert_eq(reflector_seed(&e.r, told_key("a", "w"), (struct json_span){ "", 0 }), 0);
	cr_expect(strstr(ask(&e), "sendInitialEvents"));
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "9")));
	value(&e, BOOKMARK("10", LAST));
	cr_expect(e.r.went_back);
}

Test(reflector, other_watches_go_on_where_they_were_lost)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	lose(&e);
	cr_expect(strstr(ask_within(&e, 2000), "resourceVersion=10"), "%s", e.path);
}

/* ---- definitions ---- */

static void not_found(struct env *e)
{
	end(e, (struct reflector_end){
		       .status = 404, .complete = true, .body = "404 page not found" });
}

/* Discovery does not tell of it, and neither version is there. */
static void nowhere(struct env *e, uint64_t ms)
{
	discovered(e, REFLECTOR_NONE, ms);
	cr_expect_not(reflector_discovers(&e->r));
	cr_expect(strstr(ask(e), "/apis/example.io/v1/widgets?"));
	not_found(e);
	cr_expect(strstr(ask(e), "/apis/example.io/v1beta1/widgets?"));
	not_found(e);
}

Test(reflector, a_kind_without_definition_is_empty_and_looked_for_again)
{
	_cleanup_env_ struct env e = { 0 };
	uint64_t requests;

	env_open(&e, &widgets);
	nowhere(&e, 0);
	cr_expect_not(e.r.settled, "a server that is starting may not know of it yet");
	nowhere(&e, 1000);
	requests = e.r.requests;
	cr_expect_eq(e.r.phase, INFORMER_ABSENT);
	cr_expect(e.r.settled);
	expect_told(&e, "= ");
	for (int i = 0; i < 40; i++)
		discovered(&e, REFLECTOR_NONE, 30000);
	expect_told(&e, "");
	cr_expect_eq(e.r.requests, requests, "it asks for nothing itself");
	/* Thousands of nodes look for it, and a user waits for that. */
	cr_expect(e.r.not_before >= e.now + 15000);
	cr_expect(e.r.not_before <= e.now + 25000);
	discovered(&e, 1, 25000);
	cr_expect(strstr(ask(&e), "/apis/example.io/v1beta1/widgets?"), "%s", e.path);
	cr_expect_str_eq(reflector_api_version(&e.r), "example.io/v1beta1");
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	value(&e, BOOKMARK("10", LAST));
	expect_told(&e, "+a/x@3 = ");
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, what_another_kind_s_request_has_found_counts_at_once)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &widgets);
	nowhere(&e, 0);
	nowhere(&e, 1000);
	cr_expect(e.r.not_before > e.now);
	e.now++;
	reflector_discovered(&e.r, e.now, REFLECTOR_NONE);
	cr_expect_leq(e.r.not_before, e.now + 2500);
	for (int i = 0; i < 20; i++)
		discovered(&e, REFLECTOR_NONE, 25000);
	/* Others have been defined: this one may be before long. */
	reflector_expect(&e.r, e.now);
	cr_expect_leq(e.r.not_before, e.now + 500);
	cr_expect(reflector_discovered(&e.r, e.now, 0));
	cr_expect(strstr(ask(&e), "/apis/example.io/v1/widgets?"), "%s", e.path);
	cr_expect_not(reflector_discovered(&e.r, e.now, 1), "it waits no more");
	reflector_expect(&e.r, e.now);
	cr_expect_str_eq(reflector_api_version(&e.r), "example.io/v1");
}

Test(reflector, a_kind_that_is_told_of_and_not_there_yet_is_not_asked_for_all_the_time)
{
	_cleanup_env_ struct env e = { 0 };
	uint64_t began;

	env_open(&e, &widgets);
	nowhere(&e, 0);
	nowhere(&e, 1000);
	began = e.now;
	for (int i = 0; i < 10; i++) {
		expect_discovers(&e, 40000);
		reflector_discovered(&e.r, e.now, 0);
		ask(&e);
		not_found(&e);
	}
	cr_expect_geq(e.now, began + 60000);
	cr_expect_neq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, a_server_whose_discovery_does_not_tell_is_asked_for_one_version_after_the_other)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &widgets);
	for (int i = 0; i < 2; i++) {
		cr_expect_not(e.r.settled);
		undiscovered(&e, 1000);
		cr_expect(strstr(ask(&e), "/apis/example.io/v1/widgets?"));
		not_found(&e);
		cr_expect(strstr(ask(&e), "/apis/example.io/v1beta1/widgets?"));
		cr_expect_str_eq(reflector_api_version(&e.r), "example.io/v1beta1");
		not_found(&e);
	}
	cr_expect_eq(e.r.phase, INFORMER_ABSENT);
	cr_expect(e.r.settled);
	expect_told(&e, "= ");
	undiscovered(&e, 30000);
	cr_expect(strstr(ask(&e), "sendInitialEvents"), "%s", e.path);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	value(&e, BOOKMARK("10", LAST));
	expect_told(&e, "+a/x@3 = ");
	cr_expect_eq(e.r.phase, INFORMER_SYNCED);
}

Test(reflector, discovery_that_fails_is_tried_again)
{
	_cleanup_env_ struct env e = { 0 };
	const struct reflector_end away = { .error = "no answer" }, busy = {
		.status = 429, .complete = true, .retry_after_ms = 5000
	};

	env_open(&e, &widgets);
	expect_discovers(&e, 0);
	reflector_undiscovered(&e.r, e.now, &away);
	cr_expect_str_eq(e.r.error, "no answer");
	cr_expect(e.r.unreachable);
	e.r.bad_event = true; /* of a watch before */
	e.now = e.r.not_before;
	reflector_undiscovered(&e.r, e.now, &away);
	cr_expect(e.r.unreachable, "it is this answer that counts");
	reflector_wake(&e.r, e.now);
	expect_discovers(&e, 250);
	reflector_undiscovered(&e.r, e.now, &busy);
	cr_expect_geq(e.r.not_before, e.now + 5000);
	reflector_undiscovered(&e.r, e.now, &away);
	cr_expect_str_neq(e.r.error, "no answer", "that was for another one");
	discovered(&e, 0, 6000);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
}

Test(reflector, a_definition_that_is_deleted_takes_its_objects_along)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &widgets);
	discovered(&e, 0, 0);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	e.now += 60000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	ask(&e);
	not_found(&e);
	nowhere(&e, 0);
	expect_told(&e, "+a/x@3 = ");
	cr_expect(e.r.not_before >= e.now + 2000, "one answer is not taken for it");
	reflector_discovered(&e.r, e.now + 1, REFLECTOR_NONE);
	expect_told(&e, "");
	nowhere(&e, 2000);
	expect_told(&e, "-a/x = ");
	cr_expect_eq(e.r.phase, INFORMER_ABSENT);
}

/* It answers with 503 where it does not know yet, but its discovery tells of nothing. */
Test(reflector, a_server_that_is_just_starting_drops_no_kind)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &widgets);
	discovered(&e, 0, 0);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	e.now += 60000;
	end(&e, (struct reflector_end){ .status = 410, .complete = true });
	discovered(&e, REFLECTOR_NONE, 40000);
	for (int i = 0; i < 10; i++) {
		ask_within(&e, 40000);
		end(&e, (struct reflector_end){ .status = 503, .complete = true });
		cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	}
	expect_told(&e, "+a/x@3 = ");
	e.now = e.r.not_before;
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "= ");
}

Test(reflector, a_kind_that_must_be_there_is_never_absent)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	expect_told(&e, "+a/x@3 = ");
	e.now += 60000;
	end(&e, (struct reflector_end){ .status = 200, .complete = true });
	for (int i = 0; i < 4; i++) {
		ask_within(&e, 50000);
		not_found(&e);
		cr_expect_eq(e.r.phase, INFORMER_CONNECTING);
	}
	expect_told(&e, "");
}

/* ---- what is no object ---- */

Test(reflector, what_is_no_event_breaks_the_watch_and_lists_anew)
{
	static const char *const bad[] = { "{}",
					   "{\"type\":\"ADDED\"}",
					   EVENT("ADDED", "{\"metadata\":{\"name\":\"x\"}}"),
					   EVENT("ADDED", "[]"),
					   EVENT("STRANGE", OBJECT("a", "b", "1")),
					   EVENT("BOOKMARK", "{\"metadata\":null}") };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_env_ struct env e = { 0 };

		env_open(&e, &services);
		sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
		cr_expect_eq(value(&e, bad[i]), -EPROTO, "%s", bad[i]);
		end(&e, (struct reflector_end){ .status = 200, .r = -EPROTO });
		cr_expect_str_eq(e.r.error, "the API server sent what is no object");
		cr_expect(strstr(ask_within(&e, 1000), "sendInitialEvents"));
	}
}

Test(reflector, what_could_not_be_told_comes_again)
{
	_cleanup_env_ struct env e = { 0 };

	env_open(&e, &services);
	sync_with(&e, EVENT("ADDED", OBJECT("a", "x", "3")));
	e.refuse = -ENOMEM;
	cr_expect_eq(value(&e, EVENT("MODIFIED", OBJECT("a", "x", "11"))), -ENOMEM);
	end(&e, (struct reflector_end){ .status = 200, .r = -ENOMEM });
	e.refuse = 0;
	expect_told(&e, "+a/x@3 = ");
	ask_within(&e, 1000);
	answered(&e);
	value(&e, EVENT("ADDED", OBJECT("a", "x", "11")));
	expect_told(&e, "+a/x@11 ");
}

Test(reflector, thousands_are_remembered_by_name_and_version)
{
	struct told t = { 0 };
	char name[32];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		cr_assert_eq(told_put(&t, told_key("shop", name), (struct json_span){ "1", 1 }), 0);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		cr_assert(told_is(&t, told_key("shop", name), (struct json_span){ "1", 1 }));
		cr_assert_not(told_is(&t, told_key("shop", name), (struct json_span){ "2", 1 }));
		cr_assert_not(told_is(&t, told_key("sho", name), (struct json_span){ "1", 1 }));
		if (i % 2)
			cr_assert(told_remove(&t, told_key("shop", name)));
	}
	cr_expect_eq(t.count, 2500);
	cr_expect_not(told_remove(&t, told_key("shop", "pod-1")));
	told_free(&t);
}
