// SPDX-License-Identifier: Apache-2.0
/*
 * What the rows of selftests/rules/routes can't say (test_http_rows.c): requests that came by TLS,
 * the numbers behind a policy, and why a rule was passed over.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/hostname.h"
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

#define SERVICE(name, ip, ports)                                                           \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: " ip \
	", selector: {app: " name "}, ports: [" ports "]}\n---\n"
#define HTTP(name, port) "{name: http-" name ", port: " port "}"
#define RULE(name)                                                                         \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name \
	"}\nspec:\n"

/* Istio's GetDestinationCluster: a service's only port, or the one that was called. */
Test(http_route, a_rule_for_a_service_hides_those_for_less_specific_hosts_even_if_it_can_not_hold)
{
	static const char yaml[] =
		"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"
		"spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: narrow}\nspec: {hosts: [svc], http: [{match: [{port: 1}, "
		"{sourceNamespace: other}], directResponse: {status: 201}}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: wide}\nspec: {hosts: ['*.svc.cluster.local'], http: "
		"[{directResponse: {status: 202}}]}\n";
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	_cleanup_free_ char *other = NULL, *plain = NULL;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	other = http_said(&t, &(struct http_ask){ .from = "other", .host = "svc.default" });
	plain = http_said(&t, &(struct http_ask){ .host = "svc" });
	cr_expect_str_eq(other, "201");
	cr_expect_str_eq(plain, "80||svc.default.svc.cluster.local", "as with Istio's sidecars");
}

#define GATEWAY(ns)                                                                               \
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: " ns  \
	"}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, " \
	"protocol: HTTP}, hosts: ['*/*']}]}\n---\n"

Test(http_route, a_gateway_is_the_same_in_each_spelling_to_root_and_delegate)
{
	static const char *const spellings[] = { "other/gw", "gw.other",
						 "gw.other.svc.cluster.local" };

	for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
		_cleanup_(http_tables_free) struct http_tables t = { 0 };
		_cleanup_free_ char *said = NULL;
		char yaml[2048];

		snprintf(yaml, sizeof(yaml),
			 GATEWAY("other") "apiVersion: networking.istio.io/v1\nkind: "
					  "VirtualService\nmetadata: {name: root}\n"
					  "spec: {hosts: [m.example.com], gateways: [other/gw], "
					  "http: [{match: [{gateways: [%s]}], delegate: {name: "
					  "leaf, namespace: other}}]}\n---\n"
					  "apiVersion: networking.istio.io/v1\nkind: "
					  "VirtualService\nmetadata: {name: leaf, namespace: "
					  "other}\n"
					  "spec: {http: [{match: [{gateways: [gw]}], "
					  "directResponse: {status: 201}}]}\n",
			 spellings[i]);
		http_tables_text(&t, yaml);
		cr_assert_not_null(t.snapshot, "%s", spellings[i]);
		said = http_said(&t,
				 &(struct http_ask){ .from = "gateway", .host = "m.example.com" });
		cr_expect_str_eq(said, "201", "%s: %s", spellings[i], said);
	}
}

Test(http_route, a_reference_to_a_gateway_in_full)
{
	static const struct {
		const char *ref, *full;
	} rows[] = {
		{ "gw", "n/gw" },	  { "./gw", "n/gw" },
		{ "a/gw", "a/gw" },	  { "gw.a", "a/gw" },
		{ "gw.a.svc", "a/gw" },	  { "gw.a.svc.cluster.local", "a/gw" },
		{ "gw.a.b", "n/gw.a.b" }, { "gw.", "n/gw." },
		{ "a/gw.b", "a/gw.b" },	  { "mesh", "mesh" },
		{ "./gw.b", "n/gw.b" },
	};
	char out[HOST_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cr_assert_eq(gateway_ref_full(rows[i].ref, "n", out), 0);
		cr_expect_str_eq(out, rows[i].full, "%s: %s", rows[i].ref, out);
	}
}

Test(http_route, a_destination_without_a_port_takes_the_only_one_of_its_service)
{
	static const char yaml[] = SERVICE("a", "10.96.0.1", HTTP("a", "80")) SERVICE(
		"one", "10.96.0.2",
		HTTP("a", "8000")) SERVICE("two", "10.96.0.3",
					   HTTP("a", "80") ", " HTTP(
						   "b", "81")) SERVICE("other", "10.96.0.4",
								       HTTP("a", "81") ", " HTTP(
									       "b", "82"))
		RULE("a") "  hosts: [a]\n  http:\n"
			  "  - match: [{uri: {prefix: /one}}]\n    route: [{destination: {host: "
			  "one}}]\n"
			  "  - match: [{uri: {prefix: /two}}]\n    route: [{destination: {host: "
			  "two}}]\n"
			  "  - match: [{uri: {prefix: /other}}]\n    route: [{destination: {host: "
			  "other}}]\n"
			  "  - match: [{uri: {prefix: /weighted}}]\n    route: [{destination: "
			  "{host: one}, "
			  "weight: 1}, {destination: {host: a}, weight: 0}]\n"
			  "  - match: [{uri: {prefix: /delegated}}]\n    delegate: {name: leaf}\n"
			  "  - route: [{destination: {host: a}}]\n    mirrors: [{destination: "
			  "{host: one}}, "
			  "{destination: {host: two}}, {destination: {host: other}}]\n---\n" RULE(
				  "leaf") "  http:\n  - route: [{destination: {host: one}}]\n    "
					  "mirror: {host: one}\n";
#define AT(port, name) port "||" name ".default.svc.cluster.local"
	static const struct row rows[] = {
		{ { .host = "a", .path = "/one" }, AT("8000", "one") },
		{ { .host = "a", .path = "/two" }, AT("80", "two") },
		{ { .host = "a", .path = "/other" }, "none:" AT("80", "other") },
		{ { .host = "a", .path = "/weighted" }, AT("8000", "one") },
		{ { .host = "a", .path = "/delegated" },
		  AT("8000", "one") " mirror=" AT("8000", "one") "@100" },
		{ { .host = "a" },
		  AT("80", "a") " mirror=" AT("8000", "one") "@100 mirror=" AT(
			  "80", "two") "@100 mirror=" AT("80", "other") "@100" },
	};
#undef AT
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	for (size_t i = 0; i < COUNT(rows); i++) {
		_cleanup_free_ char *said = http_said(&t, &rows[i].ask);

		cr_expect_str_eq(said, rows[i].want, "%s: \"%s\", not \"%s\"", rows[i].ask.path,
				 said, rows[i].want);
	}
}
