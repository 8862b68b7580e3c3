// SPDX-License-Identifier: Apache-2.0
/*
 * ServiceEntries and ExternalNames: names that DNS has answered, hosts that are told apart by Host
 * and SNI, and subnets; what explain says of them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/explain/explain.h"
#include "lib/mesh/names_wanted.h"
#include "lib/model/resolved.h"
#include "lib/route/route.h"
#include "test_compile_util.h"

/* clang-format off */
#define ENTRY(name, spec)                                                                         \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name "}\nspec: " \
	spec "\n---\n"
#define NAMESPACED(kind, name, ns, spec)                                                            \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name ", namespace: " \
	ns "}\nspec: " spec "\n---\n"

static const char rules[] =
	ENTRY("dns", "{hosts: [API.example.com.], addresses: [240.0.0.1], resolution: DNS, "
		     "ports: [{number: 5000, name: tcp, protocol: TCP, targetPort: 6000}]}")
	ENTRY("named", "{hosts: [named.example.com], addresses: [240.0.0.2], resolution: DNS, "
		       "ports: [{number: 5000, name: tcp, protocol: TCP}], endpoints: "
		       "[{address: One.example.net, labels: {v: a}}, {address: 192.0.2.9, labels: {v: b}}]}")
	NAMESPACED("DestinationRule", "named", "default",
		   "{host: named.example.com, subsets: [{name: a, labels: {v: a}}]}")
	NAMESPACED("VirtualService", "named", "default",
		   "{hosts: [named.example.com], tcp: [{match: [{sourceNamespace: b}], "
		   "route: [{destination: {host: named.example.com, subset: a}}]}]}")
	"apiVersion: v1\nkind: Service\nmetadata: {name: alias}\n"
	"spec: {type: ExternalName, externalName: alias.example.net, ports: [{port: 5000, name: tcp}]}\n---\n"
	ENTRY("to-alias", "{hosts: [to-alias.example.com], addresses: [240.0.0.3], "
			  "ports: [{number: 5000, name: tcp, protocol: TCP}]}")
	NAMESPACED("VirtualService", "to-alias", "default",
		   "{hosts: [to-alias.example.com], tcp: [{route: [{destination: {host: alias}}]}]}");

static const char names[] =
	ENTRY("web", "{hosts: [web.example.com, \"*.wild.example.com\"], ports: "
		     "[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]}")
	NAMESPACED("ServiceEntry", "own", "b",
		   "{hosts: [own.example.com], exportTo: [\".\"], ports: "
		   "[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: HTTPS}]}")
	NAMESPACED("VirtualService", "narrow", "default",
		   "{hosts: [a.wild.example.com], tls: [{match: [{port: 443, sniHosts: [a.wild.example.com]}], "
		   "route: [{destination: {host: web.example.com}}]}]}")
	ENTRY("range", "{hosts: [range.example.com], addresses: [198.51.100.0/24], "
		       "ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: STATIC, "
		       "endpoints: [{address: 192.0.2.1}]}")
	ENTRY("narrower", "{hosts: [narrower.example.com], addresses: [198.51.100.128/25], "
			  "ports: [{number: 9000, name: tcp, protocol: TCP}]}");
/* clang-format on */

static struct addr addr_of(const char *text)
{
	struct addr a;

	cr_assert_eq(addr_parse(text, &a), 0);
	return a;
}

static void compile_it(struct compiled *c, const char *yaml, const struct resolved *resolved)
{
	_cleanup_free_ char *errors = NULL;

	c->registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL), 0);
	c->objects.resolved = resolved;
	c->r = compile(&c->objects, c->registry, COMPILE_HTTP_NEEDED, &c->tables, &c->errors);
	errors = errors_text(&c->errors);
	cr_assert_eq(c->r, 0, "%s", errors);
}

static bool has(const struct compiled *c, const char *line)
{
	_cleanup_free_ char *text = tables_text(c->tables);

	return strstr(text, line);
}

static int add_name(void *ctx, const char *name)
{
	strcat(strcat((char *)ctx, name), " ");
	return 0;
}

static int stop(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return -EBUSY;
}

Test(service_entry, names_that_dns_is_asked_for)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	char text[512] = "";

	compile_it(&c, rules, NULL);
	cr_expect_eq(names_wanted(&c.objects, add_name, text), 0);
	cr_expect_str_eq(text, "api.example.com one.example.net alias.example.net ");
	cr_expect_eq(names_wanted(&c.objects, stop, NULL), -EBUSY);
}

Test(service_entry, endpoints_are_what_dns_says)
{
	struct addr api[] = { addr_of("203.0.113.1"), addr_of("203.0.113.2"),
			      addr_of("2001:db8::1") };
	struct addr one[] = { addr_of("203.0.113.3") }, alias[] = { addr_of("203.0.113.4") };
	const struct resolved_name answers[] = { { "alias.example.net", alias, 1 },
						 { "api.example.com", api, 3 },
						 { "one.example.net", one, 1 } };
	const struct resolved all = { answers, 3 };
	_cleanup_compiled_ struct compiled c = { 0 }, before = { 0 };

	compile_it(&before, rules, NULL);
	cr_expect(has(&before, "outbound|5000||api.example.com []"));
	compile_it(&c, rules, &all);
	cr_expect(has(&c, "outbound|5000||api.example.com [203.0.113.1:6000 203.0.113.2:6000]"));
	cr_expect(has(&c, "outbound|5000||named.example.com [203.0.113.3:5000 192.0.2.9:5000]"));
	cr_expect(has(&c, "outbound|5000|a|named.example.com [203.0.113.3:5000]"));
	cr_expect(has(&c, "outbound|5000||alias.default.svc.cluster.local [203.0.113.4:5000]"));
	cr_expect(!tables_same(before.tables, c.tables));
}

/* The cluster that a request with that Host goes to; "": on to where it was sent. */
static const char *by_host(const struct compiled *c, const char *ns, const char *host)
{
	const struct http_snapshot *s = c->tables->http;
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span(host),
					.path = http_span("/") };
	const struct http_turns turns = { 0 };
	struct http_decision d = { 0 };
	struct http_source source;

	http_source_given(s, ns, NULL, &source);
	http_route(s, http_listener(s, SCOPE_MESH, 80), NULL, &source, &q, &turns, &d, NULL);
	return d.cluster ? hs_text(s, d.cluster->name) : "";
}

static const char *by_sni(const struct compiled *c, const char *ns, const char *name)
{
	static const struct addr any;
	const struct http_snapshot *s = c->tables->http;
	const struct hs_address *at = http_address_at(s, &any, 443);
	const struct hs_server *server;
	const struct hs_action *a;
	struct http_source source;

	cr_assert(at);
	http_source_given(s, ns, NULL, &source);
	server = http_server_at(s, at, &source, http_span(name));
	if (!server)
		return "";
	a = hs_action(s, server->action);
	return hs_text(s, hs_cluster(s, hs_dest(s, a->dests.first)->cluster)->name);
}

Test(service_entry, host_and_sni_say_what_is_called)
{
	static const struct {
		const char *ns, *name, *http, *tls;
	} rows[] = {
		{ "default", "web.example.com", "outbound|80||web.example.com",
		  "outbound|443||web.example.com" },
		{ "default", "b.wild.example.com", "outbound|80||*.wild.example.com",
		  "outbound|443||*.wild.example.com" },
		{ "default", "a.wild.example.com", "outbound|80||*.wild.example.com",
		  "outbound|443||web.example.com" },
		{ "b", "own.example.com", "outbound|80||own.example.com",
		  "outbound|443||own.example.com" },
		{ "default", "own.example.com", "", "" },
		{ "default", "unknown.example.com", "", "" },
	};
	_cleanup_compiled_ struct compiled c = { 0 };

	compile_it(&c, names, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cr_expect_str_eq(by_host(&c, rows[i].ns, rows[i].name), rows[i].http, "%s: %s",
				 rows[i].name, by_host(&c, rows[i].ns, rows[i].name));
		cr_expect_str_eq(by_sni(&c, rows[i].ns, rows[i].name), rows[i].tls, "%s: %s",
				 rows[i].name, by_sni(&c, rows[i].ns, rows[i].name));
	}
}

Test(service_entry, explain_knows_subnets)
{
	static const struct {
		const char *address, *host; /* NULL: it passes */
	} rows[] = {
		{ "198.51.100.1", "range.example.com" },
		{ "198.51.100.129", "narrower.example.com" },
		{ "203.0.113.1", NULL },
	};
	_cleanup_compiled_ struct compiled c = { 0 };

	compile_it(&c, names, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct explain_query q = { .address = rows[i].address,
						 .port = 9000,
						 .enrol = ENROL_ALL };
		struct explain_answer a = { 0 };
		struct errors errors = { 0 };

		cr_assert_eq(explain(c.tables, &c.objects, &q, NULL, NULL, &a, &errors), 0);
		if (rows[i].host && a.destinations.count)
			cr_expect_str_eq(a.destinations.items[0].host, rows[i].host);
		cr_expect_eq(a.destinations.count, rows[i].host ? 1 : 0, "%s", rows[i].address);
		explain_done(&a);
		errors_free(&errors);
	}
}
