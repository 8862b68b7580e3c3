/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"
#include "lib/schema/parse.h"
#include "lib/yaml/print.h"

struct tree {
	struct documents docs;
	struct errors errors;
	int r;
};

static void tree_free(struct tree *t)
{
	documents_free(&t->docs);
	errors_free(&t->errors);
}

static void tree_parse(struct tree *t, const char *yaml)
{
	t->r = yaml_parse("t.yaml", yaml, strlen(yaml), &t->docs, &t->errors);
}

#define _cleanup_tree_ _cleanup_(tree_free)

Test(tree, every_value_knows_where_it_stood)
{
	_cleanup_tree_ struct tree t = { 0 };
	const struct node *b, *c;

	tree_parse(&t, "a: 1\nb:\n- x\n- {c: \"\xc3\xa9\", d: 2}\n");
	cr_assert_eq(t.r, 0);
	cr_assert_eq(t.docs.count, 1);
	b = node_get(t.docs.items[0].root, "b");
	cr_assert_not_null(b);
	cr_expect_eq(b->count, 2);
	c = node_get(b->child->next, "d");
	cr_assert_not_null(c);
	cr_expect_eq(node_pos(c).line, 4);
	/* Columns count characters, not bytes. */
	cr_expect_eq(node_pos(c).col, 15);
	cr_expect_eq(node_pos(node_key(b->child->next, "c")).col, 4);
}

Test(tree, plain_scalars_have_the_types_that_kubectl_gives_them)
{
	static const struct {
		const char *yaml;
		enum scalar_type type;
	} rows[] = {
		{ "a", SCALAR_STRING },	       { "1", SCALAR_INT },
		{ "-1", SCALAR_INT },	       { "0x1F", SCALAR_INT },
		{ "0o17", SCALAR_INT },	       { "1.5", SCALAR_FLOAT },
		{ "1e3", SCALAR_FLOAT },       { ".5", SCALAR_FLOAT },
		{ "1.2.3", SCALAR_STRING },    { "1s", SCALAR_STRING },
		{ "0x", SCALAR_STRING },       { "true", SCALAR_BOOL },
		{ "off", SCALAR_BOOL },	       { "y", SCALAR_STRING },
		{ "null", SCALAR_NULL },       { "~", SCALAR_NULL },
		{ "\"\"", SCALAR_STRING },     { "'1'", SCALAR_STRING },
		{ "!!str 1", SCALAR_STRING },  { "-", SCALAR_STRING },
		{ "10.0.0.1", SCALAR_STRING }, { "1e", SCALAR_STRING },
		{ "+1", SCALAR_INT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_tree_ struct tree t = { 0 };
		_cleanup_free_ char *yaml = NULL;

		/* A lone "-" would be a list. */
		cr_assert(asprintf(&yaml, "[ %s ]\n", rows[i].yaml) > 0);
		if (!strcmp(rows[i].yaml, "-"))
			continue;
		tree_parse(&t, yaml);
		cr_assert_eq(t.r, 0, "%s", rows[i].yaml);
		cr_expect_eq(node_scalar(t.docs.items[0].root->child), rows[i].type, "%s",
			     rows[i].yaml);
	}
}

Test(tree, an_alias_is_what_it_stands_for)
{
	_cleanup_tree_ struct tree t = { 0 };
	const struct node *b;

	tree_parse(&t, "a: &x {c: 1}\nb: *x\n");
	cr_assert_eq(t.r, 0);
	b = node_get(t.docs.items[0].root, "b");
	cr_expect_str_eq(node_text(node_get(b, "c")), "1");
	cr_expect_eq(node_pos(b).line, 2);
}

Test(tree, documents_before_a_broken_one_are_kept)
{
	_cleanup_tree_ struct tree t = { 0 };

	tree_parse(&t, "a: 1\n---\nb: 2\n---\n}\n");
	cr_expect_eq(t.r, -EINVAL);
	cr_expect_eq(t.docs.count, 2);
	cr_expect_eq(t.errors.count, 1);
}

Test(tree, many_keys_are_checked_for_duplicates_quickly, .timeout = 10)
{
	_cleanup_tree_ struct tree t = { 0 };
	_cleanup_free_ char *yaml = NULL;
	size_t size;
	FILE *f = open_memstream(&yaml, &size);

	for (int i = 0; i < 100000; i++)
		fprintf(f, "k%d: v\n", i);
	fputs("k77: again\n", f);
	fclose(f);
	tree_parse(&t, yaml);
	cr_expect_eq(t.r, -EINVAL);
	cr_expect_str_eq(
		t.errors.items[0].text,
		"t.yaml:100001:1: expected each key once, not \"k77\" as in line 78 again");
}

Test(tree, durations_are_read_as_go_reads_them)
{
	static const struct {
		const char *text;
		int64_t ns;
		int r;
	} rows[] = {
		{ "1s", 1000000000, 0 },
		{ "500ms", 500000000, 0 },
		{ "1h30m", 5400000000000, 0 },
		{ "0.5s", 500000000, 0 },
		{ ".5s", 500000000, 0 },
		{ "1.s", 1000000000, 0 },
		{ "100us", 100000, 0 },
		{ "100\xc2\xb5s", 100000, 0 },
		{ "7ns", 7, 0 },
		{ "-1s", -1000000000, 0 },
		{ "0", 0, 0 },
		{ "2m3.5s", 123500000000, 0 },
		{ "0.000000001s", 1, 0 },
		{ "", 0, -EINVAL },
		{ "1", 0, -EINVAL },
		{ "s", 0, -EINVAL },
		{ "1d", 0, -EINVAL },
		{ "1s ", 0, -EINVAL },
		{ ".s", 0, -EINVAL },
		{ "9999999999h", 0, -ERANGE },
		{ "99999999999999999999s", 0, -ERANGE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t ns = 0;

		cr_expect_eq(decode_duration_ns(rows[i].text, &ns), rows[i].r, "%s", rows[i].text);
		cr_expect_eq(ns, rows[i].ns, "%s: %ld", rows[i].text, ns);
	}
}

/* The first document as JSON, "null" if there is none, "refused". The caller frees. */
static char *read_as_json(const char *yaml)
{
	_cleanup_tree_ struct tree t = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f;

	tree_parse(&t, yaml);
	if (t.r || !t.docs.count)
		return strdup(t.r ? "refused" : "null");
	f = open_memstream(&text, &size);
	cr_expect_eq(node_print(t.docs.items[0].root, NULL, true, f), 0);
	fclose(f);
	return text;
}

/* What weft makes of it on purpose; else the same as Kubernetes. */
static bool read_as_expected(const char *got, const char *truth, const char *weft)
{
	const size_t flags = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL;
	json_t *is, *want;
	bool same;

	if (*weft)
		truth = weft;
	if (!strcmp(truth, "refused") || !strcmp(got, "refused"))
		return !strcmp(truth, got);
	is = json_loads(got, flags, NULL);
	want = json_loads(truth, flags, NULL);
	cr_assert_not_null(want, "%s", truth);
	same = is && json_equal(is, want);
	json_decref(is);
	json_decref(want);
	return same;
}

Test(tree, a_letter_is_printed_as_what_it_was_taken_for)
{
	static const char yaml[] =
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: y}\n"
		"spec: {hosts: [a], http: [{match: [{ignoreUriCase: y}, {ignoreUriCase: N}], "
		"route: "
		"[{destination: {host: a}}]}]}\n";
	static const struct {
		bool json;
		const char *name, *yes, *no;
	} rows[] = {
		{ true, "\"name\": \"y\"", "\"ignoreUriCase\": true", "\"ignoreUriCase\": false" },
		{ false, "name: \"y\"", "ignoreUriCase: true", "ignoreUriCase: false" },
	};
	_cleanup_(objects_free) struct objects objects = { 0 };
	_cleanup_(errors_free) struct errors errors = { 0 };

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		cr_expect_eq(node_print(objects.items[0]->tree, NULL, rows[i].json, f), 0);
		fclose(f);
		cr_expect(strstr(text, rows[i].name), "%s", text);
		cr_expect(strstr(text, rows[i].yes), "%s", text);
		cr_expect(strstr(text, rows[i].no), "%s", text);
	}
}

/*
 * selftests/rules/yaml.tsv: a document (as a JSON string), what sigs.k8s.io/yaml 1.4.0, which
 * kubectl and the API server read with, makes of it (as JSON, or "refused"), and, where weft does
 * otherwise on purpose, what that is.
 */
Test(tree, yaml_is_read_as_kubernetes_reads_it)
{
	FILE *f = fopen("selftests/rules/yaml.tsv", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, rows = 0;

	cr_assert_not_null(f);
	while (getline(&line, &size, f) > 0) {
		char *rest = line, *doc = strsep(&rest, "\t\n"), *truth = strsep(&rest, "\t\n");
		const char *weft = rest ? strsep(&rest, "\n") : "";
		json_t *yaml = json_loads(doc, JSON_DECODE_ANY, NULL);
		_cleanup_free_ char *got = NULL;

		cr_assert(yaml && truth, "%s", doc);
		got = read_as_json(json_string_value(yaml));
		cr_expect(read_as_expected(got, truth, weft ? weft : ""), "%s: %s, not %s", doc,
			  got, truth);
		json_decref(yaml);
		rows++;
	}
	fclose(f);
	cr_expect_geq(rows, 250);
}
