// SPDX-License-Identifier: Apache-2.0
/*
 * What the rows of selftests/rules/routes can't say (test_http_rows.c): requests that came by TLS,
 * the numbers behind a policy, and why a rule was passed over.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "test_http_util.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

struct row {
	struct http_ask ask;
	const char *want;
};

static void check(const struct row *rows, size_t count)
{
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_routes(&t);
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *said = http_said(&t, &rows[i].ask);

		cr_expect_str_eq(said, rows[i].want, "%s %s: \"%s\", not \"%s\"", rows[i].ask.host,
				 rows[i].ask.path ? rows[i].ask.path : "/", said, rows[i].want);
	}
}

Test(http_route, requests_by_tls)
{
	static const struct row rows[] = {
		{ { .host = "method", .method = "PUT", .scheme = "https" }, "v1" },
		{ { .host = "both", .path = "/https", .scheme = "https" }, "v3" },
		{ { .host = "both", .path = "/scheme", .scheme = "https" }, "404" },
		{ { .from = "gateway", .host = "redirected.test", .port = 8081, .scheme = "https" },
		  "404" },
	};

	check(rows, COUNT(rows));
}

Test(http_route, numbers_of_policies)
{
	static const struct row rows[] = {
		{ { .host = "timeout", .path = "/retried" }, "v1 timeout=500 retries=5/200/4" },
		{ { .host = "retries", .path = "/gateway-error" }, "v1 retries=3/0/2" },
		{ { .host = "retries", .path = "/status" }, "v1 retry-on=418" },
		{ { .host = "retries", .path = "/off" }, "v1 retries=0/0/0" },
		{ { .host = "mirror", .path = "/quarter" }, "v1 mirror=v2@25" },
		{ { .host = "fault", .path = "/some" }, "v1 abort=500@25" },
	};

	check(rows, COUNT(rows));
}

Test(http_route, why_a_rule_is_passed_over)
{
	static const struct row rows[] = {
		{ { .host = "headers", .headers = "end-user: x" },
		  "headers http[0].match[0]: header end-user: 'x' is not 'jason'\n"
		  "headers http[1].match[0]: header x-tier: missing\n"
		  "headers http[2].match[0]: header x-c: missing\n"
		  "headers http[2].match[1]: header cookie: missing\n404" },
		{ { .host = "uri", .path = "/a" },
		  "uri http[0].match[0]: uri: '/a' is not '/exact'\n"
		  "uri http[1].match[0]: uri: '/a' does not start with '/pre'\n"
		  "uri http[2].match[0]: uri: '/a' does not match '/a[0-9]+|/b.*c'\n404" },
		{ { .host = "ports" },
		  "ports http[0].match[0]: port: 80 is not 8080\n"
		  "ports http[1].match[0]: uri: '/' does not start with '/x'\n404" },
		{ { .host = "source.default", .from = "x" },
		  "source http[2].match[1]: gateways: mesh is not among them\n"
		  "source http[0].match[0]: sourceNamespace: 'x' is not 'default'\n"
		  "source http[1].match[0]: sourceLabels: the client does not have app=sleep, "
		  "version=v2\n"
		  "source http[2].match[0]: sourceNamespace: 'x' is not 'other'\n"
		  "80||source.default.svc.cluster.local" },
		{ { .host = "without", .path = "/value", .headers = "x-a: 1" },
		  "without http[0].match[0]: withoutHeaders x-a: is '1'\n"
		  "without http[1].match[0]: uri: '/value' does not start with '/star'\n"
		  "without http[2].match[0]: uri: '/value' does not start with '/any'\n"
		  "without http[3].match[0]: uri: '/value' does not start with '/empty'\nv3" },
	};
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_routes(&t);
	for (size_t i = 0; i < COUNT(rows); i++) {
		_cleanup_free_ char *said = http_said_skipped(&t, &rows[i].ask);

		cr_expect_str_eq(said, rows[i].want, "\n%s\nnot\n%s", said, rows[i].want);
	}
}
