/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of an API server, of which the text is kept in place of the tree.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/schema/object_text.h"
#include "lib/schema/parse.h"
#include "lib/yaml/json_text.h"
#include "lib/yaml/print.h"
#include "daemon/objects/stage.h"

/* Of the sanitizer: there is no header of it everywhere. */
size_t __sanitizer_get_current_allocated_bytes(void);

static char *printed(const struct node *root)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_eq(node_print(root, NULL, true, f), 0);
	fclose(f);
	return text;
}

Test(json_text, says_what_the_yaml_parser_says_and_can_be_had_again)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"\"\"",
		" {\"a\" : [ 1 , -20, 0,{\"b\":true }] ,\n\t\"c\":null,\"d\":false}\r\n",
		"{\"ports\":[{\"name\":\"http\",\"containerPort\":8080}],\"\":\"\"}",
		"{\"a\\\"b\":\"\\\\ \\/ \\n\\t\\u003c\\u003E\",\"y\":\"n\",\"1\":\"2\"}",
		"{\"a\":{\"a\":{\"a\":\"\\\"\"}},\"n\":123456789012345678}",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		size_t size = strlen(good[i]);
		_cleanup_free_ char *text = strdup(good[i]), *ours = NULL, *theirs = NULL;
		_cleanup_(arena_unrefp) struct arena *arena = arena_new();
		struct documents docs = { 0 };
		struct errors errors = { 0 };
		const struct node *root;

		cr_assert_eq(json_text_parse(text, size, arena, arena, &root), 0, "%s", good[i]);
		cr_assert_eq(yaml_parse_placeless("t", good[i], size, &docs, &errors), 0);
		ours = printed(root);
		theirs = printed(docs.items[0].root);
		cr_expect_str_eq(ours, theirs, "%s", good[i]);
		cr_expect_eq(root->line, docs.items[0].root->line);
		json_text_restore(text, size);
		cr_expect_str_eq(text, good[i]);
		documents_free(&docs);
	}
}

Test(json_text, what_is_not_plain_is_left_as_it_was)
{
	static const char *const bad[] = {
		"",
		"{",
		"{\"a\"}",
		"{\"a\":1,}",
		"[1,]",
		"[\"a\",\"b",
		"[\"a\",\"\\",
		"[\"a\"] x",
		"{\"a\":\"b\",\"a\":\"c\"}",
		"{\"<<\":{\"a\":1}}",
		"{\"a\":\"b\",\"c\":01}",
		"[\"a\",1.5]",
		"[\"a\",1e3]",
		"[\"a\",1234567890123456789]",
		"[\"a\",-]",
		"[\"a\",yes]",
		"{a:1}",
		"[\"\xc3\xa9\"]",
		"[\"a\",\"\\u00e9\"]",
		"[\"a\",\"\\u0000\"]",
		"[\"a\",\"\\ud83d\\ude00\"]",
		"[\"a\",\"\\q\"]",
		"[\"a\",\"\t\"]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *text = strdup(bad[i]);
		_cleanup_(arena_unrefp) struct arena *arena = arena_new();
		const struct node *root;

		cr_expect_eq(json_text_parse(text, strlen(text), arena, arena, &root), -EINVAL,
			     "%s", bad[i]);
		cr_expect_str_eq(text, bad[i]);
	}
}

Test(json_text, neither_depth_nor_width_is_without_end)
{
	_cleanup_(arena_unrefp) struct arena *arena = arena_new();
	char deep[2001], nul[] = "[\"a\0\"]", wide[4096] = "{";
	const struct node *root;

	memset(deep, '[', 1000);
	memset(deep + 1000, ']', 1000);
	cr_expect_eq(json_text_parse(deep, 2000, arena, arena, &root), -EINVAL);
	cr_expect_eq(json_text_parse(nul, sizeof(nul) - 1, arena, arena, &root), -EINVAL);
	for (int i = 0; i < 100; i++)
		sprintf(wide + strlen(wide), "%s\"key-%d\":\"\"", i ? "," : "", i);
	strcat(wide, "}");
	cr_expect_eq(json_text_parse(wide, strlen(wide), arena, arena, &root), -EINVAL);
	cr_expect_eq(wide[5], '-');
	cr_expect_eq(wide[7], '"');
}

/* As the API server tells of one, and weft keeps it. */
static const char pod[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"reviews-5d8c9b7f4-"
	"x2x7f\","
	"\"namespace\":\"default\",\"resourceVersion\":\"%d\",\"creationTimestamp\":\"2026-01-"
	"01T00:00:"
	"00Z\",\"labels\":{\"app\":\"reviews\",\"app.kubernetes.io/name\":\"reviews\","
	"\"pod-template-hash\":\"5d8c9b7f4\",\"version\":\"%s\"}},\"spec\":{\"containers\":[{"
	"\"ports\":["
	"{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}]}],\"serviceAccountName\":"
	"\"default\",\"nodeName\":\"%s\"},\"status\":{\"phase\":\"Running\",\"conditions\":[{"
	"\"type\":\"Ready\",\"status\":\"True\"}],\"podIP\":\"10.1.2.3\",\"podIPs\":[{\"ip\":"
	"\"10.1.2.3\"}]}}";

static struct object *decode(const char *json)
{
	const struct parse_options how = { .compact = true };
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct object *o;

	cr_assert_eq(rules_parse_with(&how, "pod/x", json, strlen(json), &objects, &errors, NULL),
		     0);
	cr_assert_eq(objects.count, 1);
	o = objects.items[0];
	objects.count = 0;
	objects_free(&objects);
	return o;
}

static struct object *pod_on(const char *node, int resource_version, const char *version)
{
	char json[2048];

	snprintf(json, sizeof(json), pod, resource_version, version, node);
	return decode(json);
}

static struct object *pod_of(int resource_version, const char *version)
{
	return pod_on("node-1", resource_version, version);
}

Test(json_text, an_object_can_be_read_and_printed_without_its_tree)
{
	char json[2048];
	_cleanup_free_ char *text = NULL;
	struct object *o;
	size_t size;

	snprintf(json, sizeof(json), pod, 7, "v1", "node-1");
	o = decode(json);
	cr_expect_null(o->tree);
	cr_expect_str_eq(o->meta.name, "reviews-5d8c9b7f4-x2x7f");
	cr_expect_str_eq(o->meta.labels.items[3].value, "v1");
	cr_expect_str_eq(o->pod.ips.items[0], "10.1.2.3");
	cr_expect_eq(o->pod.ports.items[0].port, 8080);
	text = object_json_text(o, &size);
	cr_expect_str_eq(text, json);
	cr_expect_eq(size, strlen(json));
	object_free(o);
}

Test(json_text, an_object_that_is_not_plain_has_its_tree)
{
	struct object *o = pod_on("\xc3\xa9", 7, "v1");

	cr_expect_not_null(o->tree);
	cr_expect_str_eq(o->pod.node_name, "\xc3\xa9");
	object_free(o);
}

Test(json_text, objects_are_compared_by_what_they_say)
{
	struct object *a = pod_of(7, "v1"), *b = pod_of(7, "v1"), *c = pod_of(8, "v1"),
		      *d = pod_of(8, "v2"), *e = pod_on("\xc3\xa9", 8, "v1"),
		      *f = pod_on("\xc3\xa9", 9, "v1");

	cr_expect(object_same(a, b));
	cr_expect(object_same(a, c));
	cr_expect_not(object_same(a, d));
	cr_expect_not(object_same(a, e));
	cr_expect_not(object_same(e, a));
	cr_expect(object_same(e, f));
	for (struct object *const *o = (struct object *[]){ a, b, c, d, e, f, NULL }; *o; o++)
		object_free(*o);
}

Test(json_text, a_list_is_no_object)
{
	const struct parse_options how = { .compact = true };
	static const char list[] = "{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":[{"
				   "\"apiVersion\":\"v1\",\"kind\":\"Pod\"}]}";
	struct objects objects = { 0 };
	struct errors errors = { 0 }, skipped = { 0 };

	rules_parse_with(&how, "x", list, strlen(list), &objects, &errors, &skipped);
	cr_expect_eq(objects.count, 0);
	errors_free(&errors);
	errors_free(&skipped);
}

Test(json_text, a_pod_takes_little_more_than_its_text)
{
	enum { PODS = 200, BYTES_MAX = 1600 };
	struct object *pods[PODS];
	size_t before = __sanitizer_get_current_allocated_bytes(), each;

	for (int i = 0; i < PODS; i++)
		pods[i] = pod_of(i, "v1");
	each = (__sanitizer_get_current_allocated_bytes() - before) / PODS;
	cr_log_info("%zu bytes", each);
	cr_expect_leq(each, BYTES_MAX, "%zu bytes", each);
	for (int i = 0; i < PODS; i++)
		object_free(pods[i]);
}
