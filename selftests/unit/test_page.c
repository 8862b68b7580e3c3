// SPDX-License-Identifier: Apache-2.0
/*
 * The page in the browser: rates of the traffic graph, what is not told, who may ask.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "daemon/page/assets.h"
#include "daemon/page/feed.h"
#include "daemon/page/message.h"
#include "daemon/page/page_api.h"
#include "daemon/page/page_http.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "weft/traffic.h"

DEFINE_CLEANUP(struct feed *, feed_free);

/* ---- rates ---- */

/* An answer to "traffic" with a row of HTTP, in the bucket of 10 to 25 ms, and one of TCP. */
static json_t *answer(int requests, int opened, int closed, int received)
{
	return json_pack("{s:[{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:s, "
			 "s:s, s:s, s:i, "
			 "s:s, s:s, s:i, s:{s:[i,i,i,i,i], s:i}, s:{s:i}, s:{s:i}},"
			 "{s:{s:s, s:s}, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i}]}",
			 "traffic", "source", "workload", "productpage-v1", "namespace", "default",
			 "version", "v1", "app", "productpage", "destination", "workload",
			 "reviews-v2", "namespace", "default", "version", "v2", "app", "reviews",
			 "service", "reviews.default.svc.cluster.local", "service_name", "reviews",
			 "service_namespace", "default", "cluster",
			 "outbound|9080|v2|reviews.default.svc.cluster.local", "protocol", "http",
			 "security", "mutual_tls", "code", 503, "flags", "UO,URX", "grpc_status",
			 "", "requests", requests, "duration", "buckets", 0, 0, 0, 0, requests,
			 "sum_us", 0, "request_bytes", "sum", 100 * requests, "response_bytes",
			 "sum", 1000 * requests, "source", "workload", "client", "namespace",
			 "default", "destination", "workload", "unknown", "namespace", "unknown",
			 "service_name", "echo", "service_namespace", "default", "cluster", "",
			 "protocol", "tcp", "opened", opened, "closed", closed, "received",
			 received, "sent", 0);
}

static void take(struct feed *f, json_t *data, double seconds)
{
	cr_assert(data);
	cr_assert_eq(feed_take(f, data, seconds), 0);
	json_decref(data);
}

/* Of the edge from a node to another one, by their names. Borrowed. */
static json_t *value_between(const json_t *message, const char *from, const char *to)
{
	json_t *edge, *nodes = json_object_get(message, "nodes");
	size_t i;

	json_array_foreach(json_object_get(message, "edges"), i, edge)
	{
		const json_t *a =
			json_array_get(nodes, (size_t)json_integer_value(json_array_get(edge, 1)));
		const json_t *b =
			json_array_get(nodes, (size_t)json_integer_value(json_array_get(edge, 2)));

		if (!strcmp(json_string_value(json_array_get(a, 3)), from) &&
		    !strcmp(json_string_value(json_array_get(b, 3)), to))
			return json_array_get(json_object_get(message, "values"), i);
	}
	return NULL;
}

static double at(const json_t *value, size_t i)
{
	return json_number_value(json_array_get(value, i));
}

Test(page, rates_are_of_the_last_answers)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	_cleanup_json_ json_t *all = NULL;
	json_t *value;

	take(f, answer(1000, 50, 40, 7000), 0);
	take(f, answer(1010, 52, 43, 9000), 1);
	take(f, answer(1030, 52, 43, 9000), 1);
	all = feed_all(f);
	value = value_between(all, "productpage-v1", "reviews");
	cr_assert(value, "the caller calls the service");
	cr_expect_float_eq(at(value, 1), 15, 1e-6, "requests a second: %f", at(value, 1));
	cr_expect_float_eq(at(value, 3), 15, 1e-6, "all of which failed");
	cr_expect_float_eq(at(value, 4), 17.5, 1e-6, "p50 is in the middle of its bucket");
	cr_expect_float_eq(at(value, 6), 1500, 1e-6);
	cr_expect_float_eq(at(value, 7), 15000, 1e-6);
	cr_expect_float_eq(at(value, 9), 1, 1e-6, "by mutual TLS");
	cr_expect_eq(json_get_int(json_array_get(value, 10), "URX", 0), 30);
	cr_expect(value_between(all, "reviews", "reviews-v2"), "the service leads to a workload");
	value = value_between(all, "client", "echo");
	cr_assert(value);
	cr_expect_float_eq(at(value, 1), 1, 1e-6, "connections opened a second");
	cr_expect_float_eq(at(value, 8), 9, 1e-6, "that are open");
	cr_expect_float_eq(at(value, 6), 1000, 1e-6);
	cr_expect_null(value_between(all, "echo", "unknown"), "no endpoint is known");
}

Test(page, what_is_long_ago_does_not_count)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	_cleanup_json_ json_t *all = NULL;

	take(f, answer(0, 0, 0, 0), 0);
	take(f, answer(500, 0, 0, 0), 1);
	for (int i = 0; i < FEED_WINDOW; i++)
		take(f, answer(500, 0, 0, 0), 1);
	all = feed_all(f);
	cr_expect_float_eq(at(value_between(all, "productpage-v1", "reviews"), 1), 0, 1e-9);
}

Test(page, changes_are_told_once)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	json_t *changes;

	take(f, answer(10, 0, 0, 0), 0);
	changes = feed_changes(f);
	cr_expect_eq(json_array_size(json_object_get(changes, "edges")), 3);
	cr_expect_null(json_object_get(changes, "full"));
	json_decref(changes);
	take(f, answer(10, 0, 0, 0), 1);
	changes = feed_changes(f);
	cr_expect_eq(json_array_size(json_object_get(changes, "nodes")), 0);
	cr_expect_eq(json_array_size(json_object_get(changes, "values")), 0);
	json_decref(changes);
	take(f, answer(30, 0, 0, 0), 1);
	changes = feed_changes(f);
	cr_expect_eq(json_array_size(json_object_get(changes, "values")), 2,
		     "both edges of the request");
	json_decref(changes);
}

Test(page, counters_that_begin_anew_are_no_flood)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	_cleanup_json_ json_t *all = NULL;

	take(f, answer(1000, 0, 0, 0), 0);
	take(f, answer(20, 0, 0, 0), 1);
	all = feed_all(f);
	cr_expect_float_eq(at(value_between(all, "productpage-v1", "reviews"), 1), 20, 1e-6);
}

Test(page, rows_that_come_back_count_from_0)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	_cleanup_json_ json_t *all = NULL;

	take(f, answer(5, 4, 1, 0), 0);
	take(f, json_pack("{s:[]}", "traffic"), 1);
	all = feed_all(f);
	cr_expect_eq(at(value_between(all, "client", "echo"), 8), 0, "none of them is open");
	json_decref(all);
	take(f, answer(7, 2, 0, 0), 1);
	all = feed_all(f);
	cr_expect_float_eq(at(value_between(all, "productpage-v1", "reviews"), 1), 3.5, 1e-6);
	cr_expect_eq(at(value_between(all, "client", "echo"), 8), 2);
}

/* Connections of one kind, those that weft-proxy counts and those of the programs. */
static json_t *tcp_answer(int by_proxy, int by_kernel)
{
	return json_pack("{s:[{s:s, s:s, s:s, s:i, s:i}, {s:s, s:s, s:s, s:i, s:i}]}", "traffic",
			 "service_name", "db", "protocol", "tcp", "by", "proxy", "opened", by_proxy,
			 "received", 10 * by_proxy, "service_name", "db", "protocol", "tcp", "by",
			 "kernel", "opened", by_kernel, "received", 10 * by_kernel);
}

Test(page, rows_of_equal_labels_that_others_count_are_two)
{
	_cleanup_(feed_freep) struct feed *f = feed_new();
	_cleanup_json_ json_t *all = NULL;
	json_t *value;

	take(f, tcp_answer(7, 1000), 0);
	take(f, tcp_answer(7, 1000), 1);
	all = feed_all(f);
	value = value_between(all, "unknown", "db");
	cr_assert(value);
	cr_expect_eq(at(value, 1), 0, "%f", at(value, 1));
	cr_expect_eq(at(value, 6), 0, "%f", at(value, 6));
	cr_expect_eq(at(value, 8), 1007, "open are all of them");
	take(f, tcp_answer(9, 1001), 1);
	json_decref(all);
	all = feed_all(f);
	cr_expect_float_eq(at(value_between(all, "unknown", "db"), 1), 1.5, 1e-6);
}

/* Rows that nothing was counted in, of codes that no other row has. */
static int take_many(struct feed *f, int from, int count)
{
	_cleanup_json_ json_t *rows = json_array(), *data = json_pack("{s:O}", "traffic", rows);

	for (int i = from; i < from + count; i++)
		json_array_append_new(rows,
				      json_pack("{s:s, s:i}", "service_name", "a", "code", i));
	return feed_take(f, data, 1);
}

Test(page, rows_are_not_kept_without_end)
{
	const int most = 4 * (TRAFFIC_HTTP_ROWS + TRAFFIC_TCP_ROWS), half = most / 2;
	_cleanup_(feed_freep) struct feed *f = feed_new();

	cr_assert_eq(take_many(f, 0, half), 0);
	cr_assert_eq(take_many(f, half, most - half), 0);
	cr_assert_eq(take_many(f, 0, half), 0, "those that it has");
	cr_assert_eq(take_many(f, most, 1), -E2BIG);
}

/* ---- what is not told ---- */

Test(page, yaml_keeps_secrets_of_headers)
{
	static const char yaml[] = "spec:\n"
				   "  http:\n"
				   "  - match:\n"
				   "    - headers:\n"
				   "        end-user:\n"
				   "          exact: jason\n"
				   "        Authorization:\n"
				   "          exact: Bearer one\n"
				   "    headers:\n"
				   "      request:\n"
				   "        set:\n"
				   "          \"cookie\": two\n"
				   "          x-api-key: |\n"
				   "            three\n"
				   "          x-more: four\n";
	_cleanup_free_ char *told = page_api_redact_yaml(yaml);

	cr_assert(told);
	for (const char *const *word = (const char *const[]){ "one", "two", "three", NULL }; *word;
	     word++)
		cr_expect_null(strstr(told, *word), "%s is told: %s", *word, told);
	cr_expect(strstr(told, "jason") && strstr(told, "x-more: four\n"), "%s", told);
	cr_expect(strstr(told, "          \"cookie\": (not shown)\n"), "%s", told);
	cr_expect(strstr(told, "        Authorization: (not shown)\n"), "%s", told);
}

/* Wherever in the condition its key stands, and lists as weftd writes them, or deeper. */
Test(page, yaml_keeps_secrets_of_conditions)
{
	static const char yaml[] = "metadata:\n"
				   "  annotations:\n"
				   "    kubectl.kubernetes.io/last-applied-configuration: |\n"
				   "      {\"one\": 1}\n"
				   "    plain: told-1\n"
				   "spec:\n"
				   "  rules:\n"
				   "  - when:\n"
				   "    - key: request.headers[X-Api-Key]\n"
				   "      values:\n"
				   "      - two\n"
				   "      - three*\n"
				   "      notValues:\n"
				   "        - four\n"
				   "    - values:\n"
				   "      - five\n"
				   "      key: \"request.headers[cookie]\"\n"
				   "    - notValues: [six]\n"
				   "      key: request.headers[authorization]\n"
				   "    - key: request.headers[x-more]\n"
				   "      values:\n"
				   "      - told-2\n"
				   "    - key: source.ip\n"
				   "      notValues:\n"
				   "      - told-3\n"
				   "  values: told-4\n";
	_cleanup_free_ char *told = page_api_redact_yaml(yaml);

	cr_assert(told);
	for (const char *const *word =
		     (const char *const[]){ "one", "two", "three", "four", "five", "six", NULL };
	     *word; word++)
		cr_expect_null(strstr(told, *word), "%s is told: %s", *word, told);
	for (const char *const *word =
		     (const char *const[]){ "told-1", "told-2", "told-3", "told-4", NULL };
	     *word; word++)
		cr_expect(strstr(told, *word), "%s is not told: %s", *word, told);
	cr_expect(strstr(told, "    - values: (not shown)\n"
			       "      key: \"request.headers[cookie]\"\n"),
		  "%s", told);
	cr_expect(strstr(told, "      values: (not shown)\n"
			       "      notValues: (not shown)\n"
			       "    - values"),
		  "%s", told);
}

Test(page, json_keeps_secrets_of_conditions)
{
	_cleanup_json_ json_t *json =
		json_pack("{s:{s:s}, s:[{s:s, s:[s], s:[s]}, {s:s, s:[s]}]}", "annotations",
			  "kubectl.kubernetes.io/last-applied-configuration", "one", "when", "key",
			  "request.headers[x-api-key]", "values", "two", "notValues", "three",
			  "key", "request.headers[x-more]", "values", "four");
	_cleanup_free_ char *text = NULL;

	cr_assert_eq(page_api_redact(json), 0);
	text = json_dumps(json, 0);
	for (const char *const *word = (const char *const[]){ "one", "two", "three", NULL }; *word;
	     word++)
		cr_expect_null(strstr(text, *word), "%s is told: %s", *word, text);
	cr_expect(strstr(text, "four"), "%s", text);
	cr_expect(strstr(text, "request.headers[x-api-key]"), "%s", text);
}

Test(page, json_keeps_secrets_of_headers)
{
	_cleanup_json_ json_t *json = json_pack(
		"{s:{s:s, s:s}, s:[{s:s}], s:s}", "set", "Set-Cookie", "one", "x-more", "two",
		"rules", "conditions", "uri prefix /a, header authorization exact Bearer three",
		"text",
		"request header set: proxy-authorization: four\nrequest header set: x: five\n");
	_cleanup_free_ char *text = NULL;

	cr_assert_eq(page_api_redact(json), 0);
	text = json_dumps(json, 0);
	for (const char *const *word = (const char *const[]){ "one", "three", "four", NULL }; *word;
	     word++)
		cr_expect_null(strstr(text, *word), "%s is told: %s", *word, text);
	cr_expect(strstr(text, "two") && strstr(text, "five") && strstr(text, "uri prefix /a"));
}

/* ---- who may ask ---- */

Test(page, only_by_addresses_and_localhost)
{
	static const char *const good[] = { "127.0.0.1",     "127.0.0.1:15021", "[::1]:15021",
					    "[::1]",	     "localhost",	"LocalHost:8080",
					    "10.1.0.1:15021" };
	static const char *const bad[] = { "example.com",	    "127.0.0.1.example.com:15021",
					   "localhost.example.com", "",
					   "127.0.0.1:15021x",	    "[::1",
					   "localhost:80:80",	    "::1:99999x" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(page_host_allowed(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(page_host_allowed(bad[i]), "%s", bad[i]);
	cr_expect_not(page_host_allowed(NULL));
}

Test(page, not_by_pages_of_other_sites)
{
	static const struct {
		const char *site, *mode, *path;
		bool allowed;
	} rows[] = {
		{ NULL, NULL, "/api/conns", true },
		{ "same-origin", "cors", "/api/events", true },
		{ "none", "navigate", "/", true },
		{ "cross-site", "navigate", "/", true },
		{ "cross-site", "no-cors", "/", false },
		{ "cross-site", NULL, "/", false },
		{ "cross-site", "navigate", "/api/conns", false },
		{ "same-site", "cors", "/api/events", false },
		{ "", "cors", "/api/conns", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(page_site_allowed(rows[i].site, rows[i].mode, rows[i].path),
			     rows[i].allowed, "%zu", i);
}

/* ---- the stream ---- */

Test(page, messages_go_at_their_readers_pace)
{
	struct message *one = message_new("first "), *two = message_new("second");
	struct message_queue fast = { 0 }, slow = { 0 };
	char out[32] = "";
	int more = 0;

	cr_assert(message_queue_add(&fast, one) && message_queue_add(&slow, one));
	cr_assert_eq(message_queue_read(&slow, out, 3), 3);
	cr_assert(message_queue_add(&fast, two) && message_queue_add(&slow, two));
	cr_assert_eq(message_queue_read(&fast, out, sizeof(out)), 12);
	cr_expect_str_eq(out, "first second");
	memset(out, 0, sizeof(out));
	cr_assert_eq(message_queue_read(&slow, out, sizeof(out)), 9);
	cr_expect_str_eq(out, "st second");
	cr_expect_eq(message_queue_read(&slow, out, sizeof(out)), 0);
	while (message_queue_add(&slow, two))
		more++;
	cr_expect_eq(more, MESSAGES_MAX, "then it is dropped");
	message_unref(one);
	message_unref(two);
	message_queue_free(&fast);
	message_queue_free(&slow);
}

Test(page, assets_are_in_the_program)
{
	struct asset asset;

	cr_assert(asset_find("/", &asset));
	cr_expect_str_eq(asset.type, "text/html; charset=utf-8");
	cr_expect_eq(memcmp(asset.bytes, "\x1f\x8b", 2), 0, "compressed");
	cr_expect_gt(asset.size, 500);
	cr_expect(asset_find("/cytoscape.js", &asset));
	cr_expect_not(asset_find("/../etc/passwd", &asset));
	cr_expect_not(asset_find("/index.html", &asset));
}
