// SPDX-License-Identifier: Apache-2.0
/*
 * Questions about requests to the rules of selftests/rules/routes;
 * selftests/rules/http/answers.json has the documented JSON for each. WEFT_DUMPS=write rewrites it,
 * to be read before it is committed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/explain/explain_http.h"
#include "test_compile_util.h"
#include "test_http_util.h"

#define ANSWERS "selftests/rules/http/answers.json"

static const char *const origin[] = { "Origin=https://ok", "Access-Control-Request-Method=GET" };
static const char *const other_host[] = { "Host=order:80", "x==" };

static const struct {
	const char *about;
	struct explain_query q;
	struct explain_request request;
} rows[] = {
	{ "endpoints, rewrite", { .host = "uri", .port = 80 }, { .path = "/a1?q" } },
	{ "weights and headers of destinations", { .host = "multi", .port = 80 }, { 0 } },
	{ "headers at both levels", { .host = "hdr", .port = 80 }, { .path = "/one" } },
	{ "faults", { .host = "fault", .port = 80 }, { .path = "/both" } },
	{ "a delegate", { .host = "root", .port = 80 }, { .path = "/shop" } },
	{ "skipped", { .host = "fault", .port = 80 }, { .path = "/never" } },
	{ "mirror", { .host = "mirror", .port = 80 }, { .path = "/quarter" } },
	{ "timeout and retries", { .host = "timeout", .port = 80 }, { .path = "/retried" } },
	{ "redirect", { .host = "redirect", .port = 8080 }, { .path = "/derive?x" } },
	{ "preflight",
	  { .host = "cors", .port = 80 },
	  { .method = "OPTIONS", .headers = origin, .header_count = 2 } },
	{ "direct response", { .host = "direct", .port = 80 }, { 0 } },
	{ "no rule holds", { .host = "uri", .port = 80 }, { .path = "/none" } },
	{ "the plain service", { .host = "plain", .port = 8080 }, { 0 } },
	{ "by address", { .address = "10.96.0.30", .port = 80 }, { 0 } },
	{ "a subset that is not defined",
	  { .host = "subset", .port = 80 },
	  { .path = "/undefined" } },
	{ "another host than the one called",
	  { .host = "plain", .port = 80 },
	  { .headers = other_host, .header_count = 2 } },
	{ "a gateway",
	  { .gateway = "gw", .host = "c.example.com", .port = 80 },
	  { .path = "/rewritten" } },
	{ "to https", { .gateway = "gw", .host = "redirected.test", .port = 8081 }, { 0 } },
};

struct loaded {
	struct http_tables http;
	const struct tables *l4;
};

static void load(struct loaded *l)
{
	http_tables_routes(&l->http);
	l->l4 = l->http.tables;
}

static void loaded_free(struct loaded *l)
{
	http_tables_free(&l->http);
}

static int ask(const struct loaded *l, const struct explain_query *q,
	       const struct explain_request *request, json_t **out)
{
	struct errors errors = { 0 };
	int r = explain_http(l->http.snapshot, l->l4, &l->http.objects, q, request, NULL, out,
			     &errors);

	errors_free(&errors);
	return r;
}

Test(http_explain, answers_as_documented)
{
	json_auto_t *got = json_object(), *want = NULL;
	_cleanup_(loaded_free) struct loaded l = { 0 };
	const char *about;
	json_t *each;

	load(&l);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *text = NULL;
		json_t *answer = NULL;

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

	load(&l);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect_eq(ask(&l, &cases[i].q, cases[i].request, &out), cases[i].r, "%zu", i);
	cr_expect_null(out);
}

/* It says what the proxy would do. */
Test(http_explain, no_rule_goes_by_a_field_that_only_the_mesh_may_set)
{
	static const char *const forged[] = { "X-Forwarded-Client-Cert=x" };
	const struct explain_query q = { .host = "svc.default", .port = 80 };
	const struct explain_request request = { .headers = forged, .header_count = 1 };
	_cleanup_(loaded_free) struct loaded l = { 0 };
	json_auto_t *answer = NULL;

	http_tables_text(&l.http,
			 "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"
			 "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n---\n"
			 "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			 "metadata: {name: svc}\nspec: {hosts: [svc], http: [{match: [{headers: "
			 "{x-forwarded-client-cert: {}}}], redirect: {uri: /fooled}}, "
			 "{redirect: {uri: /right, redirectCode: 307}}]}\n");
	cr_assert_eq(l.http.r, 0);
	l.l4 = l.http.tables;
	cr_assert_eq(ask(&l, &q, &request, &answer), 0);
	cr_expect_eq(json_integer_value(json_object_get(answer, "status")), 307);
}
