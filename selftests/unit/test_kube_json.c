/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/kube/json_span.h"
#include "lib/kube/json_stream.h"
#include "lib/kube/object_fields.h"

static struct json_span span(const char *text)
{
	return (struct json_span){ text, strlen(text) };
}

static bool is(struct json_span s, const char *text)
{
	return json_span_is(s, text);
}

Test(kube_json, a_member_is_found_through_what_is_around_it)
{
	static const char *const path[] = { "metadata", "labels", "app", NULL };
	struct json_span object =
		span(" { \"a\" : [1, {\"metadata\": 2}, \"}\\\"{\"], \"metadata\":{\"x\":null,"
		     "\"labels\" : {\"app\":\"we\\u0062\", \"b\":\"c\"} } }");

	cr_expect(is(json_at(object, path), "\"we\\u0062\""));
	cr_expect(is(json_member(object, "a"), "[1, {\"metadata\": 2}, \"}\\\"{\"]"));
	cr_expect_null(json_member(object, "none").at);
	cr_expect_null(json_member(json_member(object, "metadata"), "x").at, "null is nothing");
	cr_expect(is(json_plain(span("\"abc\"")), "abc"));
	cr_expect_null(json_plain(span("12")).at);
	cr_expect_null(json_plain(span("\"a\\n\"")).at);
}

Test(kube_json, what_is_broken_ends_a_walk)
{
	static const char *const bad[] = { "",	       "12",	    "{\"a\"}",	  "{\"a\":}",
					   "{\"a\":1", "{\"a\":[1", "{\"a\":\"x", "{\"a\":1 2}",
					   "{a:1}",    "{\"a\\",    "[1}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		/* On the heap, so that a byte too far is found. */
		_cleanup_free_ char *text = malloc(strlen(bad[i]) ? strlen(bad[i]) : 1);
		struct json_span key, value;
		struct json_walk w;

		memcpy(text, bad[i], strlen(bad[i]));
		w = json_members((struct json_span){ text, strlen(bad[i]) });
		while (json_next_member(&w, &key, &value))
			;
		cr_expect(w.bad, "%s", bad[i]);
	}
}

/* ---- streams ---- */

struct taken {
	char text[512];
	int r;
};

static int take(void *arg, const char *json, size_t size)
{
	struct taken *t = arg;

	snprintf(t->text + strlen(t->text), sizeof(t->text) - strlen(t->text), "%.*s;", (int)size,
		 json);
	return t->r;
}

/* In pieces of that size. */
static int feed(struct json_stream *s, const char *text, size_t piece, struct taken *t)
{
	size_t len = strlen(text);
	int r = 0;

	for (size_t at = 0; at < len && !r; at += piece)
		r = json_stream_feed(s, text + at, piece < len - at ? piece : len - at, take, t);
	return r;
}

Test(kube_json, a_watch_is_cut_into_events_wherever_its_pieces_end)
{
	static const char text[] = "{\"a\":\"}\"}\n{\"b\":{\"c\":[{}]}}\r\n{}{\"d\":\"\\\"\"}\n";

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct json_stream s = { .mode = JSON_STREAM_VALUES };
		struct taken t = { 0 };

		cr_assert_eq(feed(&s, text, piece, &t), 0);
		cr_expect_str_eq(t.text, "{\"a\":\"}\"};{\"b\":{\"c\":[{}]}};{};{\"d\":\"\\\"\"};");
		cr_expect(json_stream_complete(&s));
		json_stream_free(&s);
	}
}

Test(kube_json, a_list_gives_its_items_and_what_is_around_them)
{
	static const char text[] =
		"{\"kind\":\"items\",\"x\":[{\"no\":1}],\"metadata\":{\"items\":[{\"no\":2}]},"
		"\"items\": [ {\"a\":[{}]} ,{\"items\":[{}]}], "
		"\"z\":{\"resourceVersion\":\"5\"}}\n";

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct json_stream s = { .mode = JSON_STREAM_LIST };
		struct taken t = { 0 };

		cr_assert_eq(feed(&s, text, piece, &t), 0);
		cr_expect_str_eq(t.text, "{\"a\":[{}]};{\"items\":[{}]};", "%zu", piece);
		cr_expect(json_stream_complete(&s));
		buffer_add(&s.rest, "", 1);
		cr_expect_str_eq(s.rest.bytes,
				 "{\"kind\":\"items\",\"x\":[{\"no\":1}],\"metadata\":{\"items\":[{"
				 "\"no\":2}]},\"items\": [], \"z\":{\"resourceVersion\":\"5\"}}\n");
		json_stream_free(&s);
	}
}

Test(kube_json, an_empty_list_has_no_items)
{
	static const char *const texts[] = { "{\"items\":[]}", "{\"items\":null}", "{\"a\":1}" };

	for (size_t i = 0; i < 3; i++) {
		struct json_stream s = { .mode = JSON_STREAM_LIST };
		struct taken t = { 0 };

		cr_assert_eq(feed(&s, texts[i], 3, &t), 0);
		cr_expect_str_eq(t.text, "");
		cr_expect(json_stream_complete(&s));
		json_stream_free(&s);
	}
}

Test(kube_json, what_ends_early_is_not_complete)
{
	static const char *const texts[] = { "{\"items\":[{\"a\":1},", "{\"items\":[{\"a\"", "{" };

	for (size_t i = 0; i < 3; i++) {
		struct json_stream s = { .mode = JSON_STREAM_LIST };
		struct taken t = { 0 };

		cr_assert_eq(feed(&s, texts[i], 100, &t), 0);
		cr_expect_not(json_stream_complete(&s));
		json_stream_free(&s);
	}
}

Test(kube_json, what_is_no_stream_of_objects_is_refused)
{
	static const struct {
		const char *text;
		enum json_stream_mode mode;
	} bad[] = { { "x", JSON_STREAM_VALUES },    { "}", JSON_STREAM_VALUES },
		    { "[{}]", JSON_STREAM_VALUES }, { "{}}", JSON_STREAM_VALUES },
		    { "}", JSON_STREAM_LIST },	    { "{\"items\":[1]}", JSON_STREAM_LIST } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct json_stream s = { .mode = bad[i].mode };
		struct taken t = { 0 };

		cr_expect_eq(feed(&s, bad[i].text, 100, &t), -EPROTO, "%s", bad[i].text);
		json_stream_free(&s);
	}
}

Test(kube_json, a_huge_value_is_refused_before_it_is_in_memory)
{
	struct json_stream s = { .mode = JSON_STREAM_VALUES };
	_cleanup_free_ char *piece = malloc(1 << 20);
	struct taken t = { 0 };
	int r = json_stream_feed(&s, "{\"a\":\"", 6, take, &t), pieces = 0;

	memset(piece, 'x', 1 << 20);
	for (; !r && pieces < 20; pieces++)
		r = json_stream_feed(&s, piece, 1 << 20, take, &t);
	cr_expect_eq(r, -EFBIG);
	cr_expect_eq(pieces, 16);
	json_stream_free(&s);
}

Test(kube_json, what_the_taker_says_ends_the_stream)
{
	struct json_stream s = { .mode = JSON_STREAM_VALUES };
	struct taken t = { .r = -ECANCELED };

	cr_expect_eq(feed(&s, "{}{}", 10, &t), -ECANCELED);
	cr_expect_str_eq(t.text, "{};");
	json_stream_free(&s);
}

/* ---- what is kept ---- */

static int keep(const char *const *paths, const char *object, char *out, size_t size)
{
	struct object_fields *f;
	struct buffer b = { 0 };
	int r = object_fields_new(paths, NULL, &f);

	cr_assert_eq(r, 0);
	r = object_fields_keep(f, KUBE_JSON, span(object), "v1", "Pod", &b);
	snprintf(out, size, "%.*s", (int)b.size, b.bytes ? b.bytes : "");
	buffer_free(&b);
	object_fields_free(f);
	return r;
}

static const char pod[] =
	"{\"kind\":\"Other\",\"apiVersion\":\"other/"
	"v2\",\"metadata\":{\"name\":\"a\",\"namespace\":\"b\","
	"\"managedFields\":[{}],\"resourceVersion\":\"5\",\"labels\":{\"x\":\"y\"},\"annotations\":"
	"{"
	"\"kubectl.kubernetes.io/"
	"last-applied-configuration\":\"{}\",\"k\":\"v\"}},\"spec\":{\"node\":\"n\","
	"\"containers\":[{\"image\":\"i\",\"ports\":[{\"containerPort\":80,\"name\":\"http\"}]},"
	"{\"image\":\"j\"}]},\"status\":{\"podIP\":\"10.0.0.1\",\"phase\":null}}";

Test(kube_json, only_the_fields_that_are_named_are_kept)
{
	static const char *const paths[] = { "metadata.labels", "spec.containers.ports",
					     "status.podIP", "status.none", NULL };
	char out[1024];

	cr_assert_eq(keep(paths, pod, out, sizeof(out)), 0);
	cr_expect_str_eq(out,
			 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
			 "\"namespace\":\"b\",\"resourceVersion\":\"5\",\"labels\":{\"x\":\"y\"}},"
			 "\"spec\":{\"containers\":[{\"ports\":[{\"containerPort\":80,\"name\":"
			 "\"http\"}]},{}]},\"status\":{\"podIP\":\"10.0.0.1\"}}");
}

Test(kube_json, of_a_list_only_the_elements_that_are_meant_are_kept)
{
	static const char *const some[] = { "status.conditions[type=Ready].type",
					    "status.conditions[type=Ready].status", NULL };
	static const char *const whole[] = { "status.conditions[type=Ready]", NULL };
	static const char object[] =
		"{\"status\":{\"conditions\":[{\"type\":\"Initialized\",\"status\":\"True\"},"
		"{\"at\":1,\"status\":\"False\",\"type\":\"Ready\"},{\"status\":\"x\"},{\"type\":"
		"\"ReadyToo\"}]}}";
	char out[1024];

	cr_assert_eq(keep(some, object, out, sizeof(out)), 0);
	cr_expect_str_eq(out, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"status\":{\"conditions\":"
			      "[{\"status\":\"False\",\"type\":\"Ready\"}]}}");
	cr_assert_eq(keep(whole, object, out, sizeof(out)), 0);
	cr_expect_str_eq(out, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"status\":{\"conditions\":"
			      "[{\"at\":1,\"status\":\"False\",\"type\":\"Ready\"}]}}");
}

Test(kube_json, without_names_all_is_kept_but_what_nobody_reads)
{
	char out[1024];

	cr_assert_eq(keep(NULL, pod, out, sizeof(out)), 0);
	cr_expect_str_eq(out,
			 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
			 "\"namespace\":\"b\",\"resourceVersion\":\"5\",\"labels\":{\"x\":\"y\"},"
			 "\"annotations\":{\"k\":\"v\"}},\"spec\":{\"node\":\"n\",\"containers\":[{"
			 "\"image\":\"i\",\"ports\":[{\"containerPort\":80,\"name\":\"http\"}]},{"
			 "\"image\":\"j\"}]},\"status\":{\"podIP\":\"10.0.0.1\",\"phase\":null}}");
}

Test(kube_json, what_is_no_object_is_not_kept)
{
	static const char *const paths[] = { "spec.a", NULL };
	char deep[400] = "{\"spec\":", out[1024];

	cr_expect_eq(keep(paths, "[]", out, sizeof(out)), -EPROTO);
	cr_expect_eq(keep(paths, "{\"spec\":{\"a\"}}", out, sizeof(out)), -EPROTO);
	memset(deep + strlen(deep), '[', 100);
	memset(deep + strlen(deep), ']', 100);
	strcat(deep, "}");
	cr_expect_eq(keep(paths, deep, out, sizeof(out)), -EPROTO);
}
