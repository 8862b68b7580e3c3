// SPDX-License-Identifier: Apache-2.0
/*
 * Questions about requests to the rules of selftests/rules/http; answers.json there has the
 * documented JSON for each. WEFT_DUMPS=write rewrites it, to be read before it is committed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "explain_http.h"
#include "test_compile_util.h"
#include "test_http_util.h"

#define RULES "selftests/rules/http/"
#define ANSWERS RULES "answers.json"

static const char *const jason[] = { "end-user=jason" };
static const char *const origin[] = { "Origin=https://ok", "Access-Control-Request-Method=GET" };
static const char *const other_host[] = { "Host=order:80", "x==" };

static const struct {
	const char *about, *file;
	struct explain_query q;
	struct explain_request request;
} rows[] = {
	{ "endpoints, rewrite", "mesh", { .host = "uri", .port = 80 }, { .path = "/a1?q" } },
	{ "weights and headers of destinations", "mesh", { .host = "multi", .port = 80 }, { 0 } },
	{ "headers at both levels", "mesh", { .host = "hdr", .port = 80 }, { .path = "/one" } },
	{ "faults",
	  "mesh",
	  { .host = "fault", .port = 80 },
	  { .headers = jason, .header_count = 1 } },
	{ "skipped", "mesh", { .host = "fault", .port = 80 }, { .path = "/never" } },
	{ "mirror", "mesh", { .host = "mirror", .port = 80 }, { .path = "/some" } },
	{ "timeout and retries",
	  "mesh",
	  { .host = "timeout", .port = 80 },
	  { .path = "/retries" } },
	{ "redirect", "mesh", { .host = "redirect", .port = 8080 }, { .path = "/derive?x" } },
	{ "preflight",
	  "mesh",
	  { .host = "cors", .port = 80 },
	  { .method = "OPTIONS", .headers = origin, .header_count = 2 } },
	{ "direct response", "mesh", { .host = "direct", .port = 80 }, { 0 } },
	{ "no rule holds", "mesh", { .host = "uri", .port = 80 }, { .path = "/none" } },
	{ "the plain service", "mesh", { .host = "plain", .port = 8080 }, { 0 } },
	{ "by address", "mesh", { .address = "10.96.0.21", .port = 80 }, { 0 } },
	{ "a subset that is not defined",
	  "mesh",
	  { .host = "subset", .port = 80 },
	  { .path = "/undefined" } },
	{ "another host than the one called",
	  "mesh",
	  { .host = "plain", .port = 80 },
	  { .headers = other_host, .header_count = 2 } },
	{ "a gateway",
	  "gateway",
	  { .gateway = "gw", .host = "root.test", .port = 8080 },
	  { .path = "/login" } },
	{ "to https",
	  "gateway",
	  { .gateway = "gw", .host = "redirected.test", .port = 8081 },
	  { 0 } },
};

struct loaded {
	struct http_tables http;
	struct tables *l4;
};

static void load(struct loaded *l, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct errors errors = { 0 };

	if (asprintf(&path, RULES "%s.yaml", name) < 0)
		cr_assert_fail();
	http_tables_file(&l->http, path);
	cr_assert_eq(compile_l4(&l->http.objects, l->http.registry, &l->l4, &errors), 0);
	errors_free(&errors);
}

static void loaded_free(struct loaded *l)
{
	tables_free(l->l4);
	http_tables_free(&l->http);
}

static int ask(const struct loaded *l, const struct explain_query *q,
	       const struct explain_request *request, json_t **out)
{
	struct errors errors = { 0 };
	int r = explain_http(l->http.snapshot, l->l4, &l->http.objects, q, request, out, &errors);

	errors_free(&errors);
	return r;
}

Test(http_explain, answers_as_documented)
{
	json_auto_t *got = json_object(), *want = NULL;
	const char *about;
	json_t *each;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(loaded_free) struct loaded l = { 0 };
		_cleanup_free_ char *text = NULL;
		json_t *answer = NULL;

		load(&l, rows[i].file);
		cr_assert_eq(ask(&l, &rows[i].q, &rows[i].request, &answer), 0, "%s",
			     rows[i].about);
		text = explain_http_text(answer);
		cr_expect(text && strstr(text, "protocol: http\n"), "%s", rows[i].about);
		json_object_set_new(got, rows[i].about, answer);
	}
	if (getenv("WEFT_DUMPS"))
		json_dump_file(got, ANSWERS, JSON_INDENT(2));
	want = json_load_file(ANSWERS, 0, NULL);
	cr_assert_not_null(want, "no " ANSWERS);
	cr_expect_eq(json_object_size(got), json_object_size(want));
	json_object_foreach(got, about, each)
	{
		_cleanup_free_ char *text = json_dumps(each, JSON_INDENT(1));

		cr_expect(json_equal(each, json_object_get(want, about)), "%s: %s", about, text);
	}
}

Test(http_explain, what_is_not_http_is_left_to_others)
{
	static const char *const no_value[] = { "name" };
	static const struct explain_request none, bad = { .headers = no_value, .header_count = 1 };
	static const struct {
		struct explain_query q;
		const struct explain_request *request;
		int r;
	} cases[] = {
		{ { .host = "sniffed", .port = 9001 }, &none, -EPROTONOSUPPORT },
		{ { .host = "quiet", .port = 9000 }, &none, -EPROTONOSUPPORT },
		{ { .host = "plain", .port = 81 }, &none, -EPROTONOSUPPORT },
		{ { .namespace = "other", .host = "plain", .port = 80 }, &none, -EPROTONOSUPPORT },
		{ { .gateway = "gone", .host = "x", .port = 80 }, &none, -EPROTONOSUPPORT },
		{ { .pod = "gone", .host = "plain", .port = 80 }, &none, -ENOENT },
		{ { .host = "plain", .port = 80 }, &bad, -EINVAL },
	};
	_cleanup_(loaded_free) struct loaded l = { 0 };
	json_t *out = NULL;

	load(&l, "mesh");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect_eq(ask(&l, &cases[i].q, cases[i].request, &out), cases[i].r, "%zu", i);
	cr_expect_null(out);
}
