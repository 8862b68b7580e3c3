// SPDX-License-Identifier: Apache-2.0
/*
 * A question about one Gateway is answered by its own servers and VirtualServices, whatever others
 * have on the same port.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/explain/explain_gateway.h"
#include "lib/explain/explain_http.h"
#include "test_compile_util.h"

#define GATEWAY(ns, name, servers)                                                           \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " name     \
	", namespace: " ns "}\nspec: {selector: {istio: ingressgateway}, servers: [" servers \
	"]}\n"
#define HTTP(port, host) \
	"{port: {number: " port ", name: h" port ", protocol: HTTP}, hosts: [\"" host "\"]}"
#define HTTPS(port, name, host)                                                       \
	"{port: {number: " port ", name: " name ", protocol: HTTPS}, hosts: [\"" host \
	"\"], tls: {mode: SIMPLE, credentialName: c}}"
#define TCP(port) "{port: {number: " port ", name: t" port ", protocol: TCP}, hosts: [\"*\"]}"
#define ANSWERS(name, gateway, host, status)                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name \
	"}\nspec: {hosts: [\"" host "\"], gateways: [" gateway                                  \
	"], http: [{directResponse: {status: " status "}}]}\n"
#define LEADS(name, gateway, port)                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name \
	"}\nspec: {hosts: [\"*\"], gateways: [" gateway                                         \
	"], tcp: [{route: [{destination: {host: plain, port: {number: " port "}}}]}]}\n"

static const char rules[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: in}\nspec: {clusterIP: 10.96.0.1, "
	"selector: {istio: ingressgateway}, ports: [{name: a, port: 80, nodePort: 30080}]}\n"
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: plain}\nspec: {clusterIP: "
	"10.96.0.2, ports: [{name: tcp-a, port: 1}, {name: tcp-b, port: 2}]}\n"
	/* The older one has the more specific host. */
	GATEWAY("default", "old",
		HTTP("80", "a.example.com") ", " TCP("31400") ", " HTTPS("443", "s",
									 "a.example.com"))
		GATEWAY("other", "young",
			HTTP("80", "*") ", " TCP("31400") ", " HTTPS(
				"443", "s", "*.example.com") ", " HTTP("81", "*"))
			GATEWAY("default", "bound",
				"{port: {number: 82, name: b, protocol: HTTP}, hosts: [\"*\"], "
				"bind: 192.0.2.9}") ANSWERS("old", "old", "a.example.com", "201")
				ANSWERS("young", "other/young", "*", "202")
					ANSWERS("both", "\"other/young\", old", "b.example.com",
						"203") ANSWERS("bound", "bound", "*", "204")
						LEADS("tcp-old", "old", "1")
							LEADS("tcp-young", "other/young", "2");

static struct compiled c;

static void compile_rules_text(void)
{
	compiled_text(&c, rules);
	cr_assert_eq(c.r, 0, "%s", errors_text(&c.errors));
}

static void done(void)
{
	compiled_free(&c);
}

TestSuite(explain_gateway, .init = compile_rules_text, .fini = done);

/* The status of the answer, or the result where it is not 0. */
static int asked(struct explain_query q, struct errors *errors)
{
	_cleanup_(explain_gateway_free) struct explain_gateway alone = { 0 };
	static const struct explain_request request;
	json_auto_t *answer = NULL;
	int r = explain_gateway_make(&c.objects, &q, c.registry, &alone, errors);

	if (!r)
		r = explain_http(alone.tables->http, alone.tables, &alone.objects, &q, &request,
				 NULL, &answer, errors);
	return r ? r : (int)json_integer_value(json_object_get(answer, "status"));
}

Test(explain_gateway, a_request_comes_to_the_one_that_is_named)
{
	static const struct {
		struct explain_query q;
		int status;
	} rows[] = {
		{ { .gateway = "old", .host = "a.example.com", .port = 80 }, 201 },
		{ { .gateway = "old", .host = "b.example.com", .port = 80 }, 404 },
		{ { .gateway = "old", .host = "x.org", .port = 80 }, 404 },
		{ { .gateway = "old", .host = "a.example.com", .port = 30080 }, 201 },
		{ { .gateway = "young",
		    .gateway_namespace = "other",
		    .host = "a.example.com",
		    .port = 80 },
		  202 },
		{ { .gateway = "young",
		    .gateway_namespace = "other",
		    .host = "b.example.com",
		    .port = 80 },
		  203 },
		{ { .gateway = "young", .gateway_namespace = "other", .host = "x", .port = 30080 },
		  202 },
		{ { .gateway = "bound", .host = "x.org", .port = 82 }, 204 },
		{ { .gateway = "bound", .host = "192.0.2.9", .port = 82 }, 204 },
		{ { .gateway = "old", .host = "a.example.com", .port = 443 }, 201 },
		{ { .gateway = "young",
		    .gateway_namespace = "other",
		    .host = "a.example.com",
		    .port = 443 },
		  202 },
		{ { .gateway = "young",
		    .gateway_namespace = "other",
		    .host = "a.example.com",
		    .sni = "b.example.com",
		    .port = 443 },
		  202 },
		{ { .gateway = "old",
		    .host = "a.example.com",
		    .sni = "b.example.com",
		    .port = 443 },
		  -ENOENT },
		{ { .gateway = "old", .host = "x", .port = 31400 }, -EPROTONOSUPPORT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct errors errors = { 0 };

		cr_expect_eq(asked(rows[i].q, &errors), rows[i].status, "row %zu", i);
		errors_free(&errors);
	}
}

/* The port of the service that a connection goes to. */
static unsigned connected(const char *ns, const char *name)
{
	_cleanup_(explain_gateway_free) struct explain_gateway alone = { 0 };
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	const struct explain_query q = {
		.gateway_namespace = ns, .gateway = name, .host = "x", .port = 31400
	};
	struct errors errors = { 0 };

	cr_assert_eq(explain_gateway_make(&c.objects, &q, c.registry, &alone, &errors), 0);
	cr_assert_eq(explain(alone.tables, &alone.objects, &q, NULL, NULL, &a, &errors), 0);
	cr_assert_eq(a.destinations.count, 1);
	return a.destinations.items[0].port;
}

Test(explain_gateway, a_connection_does_too)
{
	cr_expect_eq(connected("default", "old"), 1);
	cr_expect_eq(connected("other", "young"), 2);
}

Test(explain_gateway, a_port_that_it_does_not_serve_is_an_error)
{
	static const struct {
		struct explain_query q;
		const char *says;
	} rows[] = {
		{ { .gateway = "old", .host = "x", .port = 81 },
		  "gateway default/old has no server at port 81, and nothing leads to it there: "
		  "its "
		  "ports are 80, 31400, 443" },
		{ { .gateway = "bound", .host = "x", .port = 80 }, "its ports are 82" },
		{ { .gateway = "young", .host = "x", .port = 80 },
		  "no such gateway: default/young" },
		{ { .gateway = "old", .namespace = "elsewhere", .host = "x", .port = 80 },
		  "no such gateway: elsewhere/old" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(errors_free) struct errors errors = { 0 };
		_cleanup_free_ char *text = NULL;

		cr_expect_eq(asked(rows[i].q, &errors), -ENOENT, "row %zu", i);
		text = errors_text(&errors);
		cr_expect(text && strstr(text, rows[i].says), "row %zu: %s", i, text);
	}
}
