// SPDX-License-Identifier: Apache-2.0
/*
 * Gateways of several selectors, and servers that are bound to an address: who answers where, by
 * the kernel's tables and weft-proxy's together.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/explain/decide_user.h"
#include "lib/model/hostname.h"
#include "lib/route/route.h"
#include "test_compile_util.h"

#define GATEWAY(name, selector, servers)                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " name \
	"}\nspec: {selector: {" selector "}, servers: [" servers "]}\n"
#define HTTP(port, host, more)                                                            \
	"{port: {number: " port ", name: http-" port ", protocol: HTTP}, hosts: [\"" host \
	"\"]" more "}"
#define TCP(port, more) \
	"{port: {number: " port ", name: tcp-" port ", protocol: TCP}, hosts: [\"*\"]" more "}"
#define ANSWERS(name, host, status)                                                             \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name \
	"}\nspec: {hosts: [\"" host "\"], gateways: [" name                                     \
	"], http: [{directResponse: {status: " status "}}]}\n"
#define LEADS(name, service)                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name \
	"}\nspec: {hosts: [\"*\"], gateways: [" name                                            \
	"], tcp: [{route: [{destination: {host: " service ", port: {number: 9000}}}]}]}\n"
#define SERVICE(name, ip, spec)                                                                 \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: " ip \
	", " spec "}\n"

/* Their ages are those of this order. */
static const char rules[] = SERVICE(
	"in", "10.96.0.1",
	"type: LoadBalancer, selector: {istio: ingressgateway, app: in}, ports: "
	"[{name: a, port: "
	"80, targetPort: 8080, nodePort: 30080}, {name: t, port: 31400, nodePort: "
	"31401}]") "status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}\n" SERVICE("c"
										    "u"
										    "s"
										    "t"
										    "o"
										    "m",
										    "1"
										    "0"
										    "."
										    "9"
										    "6"
										    "."
										    "0"
										    "."
										    "2",
										    "s"
										    "e"
										    "l"
										    "e"
										    "c"
										    "t"
										    "o"
										    "r"
										    ":"
										    " "
										    "{"
										    "i"
										    "s"
										    "t"
										    "i"
										    "o"
										    ":"
										    " "
										    "c"
										    "u"
										    "s"
										    "t"
										    "o"
										    "m"
										    "}"
										    ","
										    " "
										    "e"
										    "x"
										    "t"
										    "e"
										    "r"
										    "n"
										    "a"
										    "l"
										    "I"
										    "P"
										    "s"
										    ":"
										    " "
										    "["
										    "1"
										    "9"
										    "2"
										    "."
										    "0"
										    "."
										    "2"
										    "."
										    "2"
										    "]"
										    ","
										    " "
										    "p"
										    "o"
										    "r"
										    "t"
										    "s"
										    ":"
										    " "
										    "["
										    "{"
										    "n"
										    "a"
										    "m"
										    "e"
										    ":"
										    " "
										    "a"
										    ","
										    " "
										    "p"
										    "o"
										    "r"
										    "t"
										    ":"
										    " "
										    "8"
										    "0"
										    ","
										    " "
										    "n"
										    "o"
										    "d"
										    "e"
										    "P"
										    "o"
										    "r"
										    "t"
										    ":"
										    " "
										    "3"
										    "0"
										    "0"
										    "8"
										    "1"
										    "}"
										    ","
										    " "
										    "{"
										    "n"
										    "a"
										    "m"
										    "e"
										    ":"
										    " "
										    "b"
										    ","
										    " "
										    "p"
										    "o"
										    "r"
										    "t"
										    ":"
										    " "
										    "8"
										    "1"
										    ","
										    " "
										    "t"
										    "a"
										    "r"
										    "g"
										    "e"
										    "t"
										    "P"
										    "o"
										    "r"
										    "t"
										    ":"
										    " "
										    "8"
										    "0"
										    "8"
										    "1"
										    "}"
										    ","
										    " "
										    "{"
										    "n"
										    "a"
										    "m"
										    "e"
										    ":"
										    " "
										    "t"
										    ","
										    " "
										    "p"
										    "o"
										    "r"
										    "t"
										    ":"
										    " "
										    "3"
										    "1"
										    "4"
										    "0"
										    "0"
										    "}"
										    "]")
	SERVICE("egress", "10.96.0.3",
		"selector: {istio: egressgateway}, ports: [{name: a, port: 80}]")
		SERVICE("plain", "10.96.0.4",
			"selector: {app: plain}, ports: [{name: tcp, port: 9000}]") SERVICE("other",
											    "10.96."
											    "0.5",
											    "select"
											    "or: "
											    "{app: "
											    "other}"
											    ", "
											    "ports:"
											    " [{"
											    "name: "
											    "tcp, "
											    "port: "
											    "9000}"
											    "]")
			GATEWAY("egress", "istio: egressgateway",
				HTTP("80", "e.example.com",
				     "")) ANSWERS("egress", "e.example.com",
						  "205") GATEWAY("in", "istio: ingressgateway",
								 HTTP("80", "a.example.com",
								      "")) ANSWERS("in",
										   "a.example.com",
										   "201")
				GATEWAY("in2", "app: in", HTTP("80", "b.example.com", "")) ANSWERS(
					"in2", "b.example.com",
					"202") GATEWAY("custom", "istio: custom",
						       HTTP("80", "a.example.com", "") ", " HTTP(
							       "8081", "*",
							       "")) ANSWERS("custom",
									    "a.example.com",
									    "203") GATEWAY("everywh"
											   "ere",
											   "",
											   HTTP("8"
												"0",
												"al"
												"l."
												"ex"
												"am"
												"pl"
												"e."
												"co"
												"m",
												""))
					ANSWERS("everywhere", "all.example.com", "206") GATEWAY(
						"nowhere", "istio: nowhere",
						HTTP("80", "n.example.com",
						     "")) ANSWERS("nowhere", "n.example.com",
								  "207") GATEWAY("bound",
										 "istio: "
										 "ingressgateway",
										 HTTP("80", "*",
										      ", bind: "
										      "10.0.0.1"))
						ANSWERS("bound", "*", "204") GATEWAY(
							"bound-out", "istio: ingressgateway",
							HTTP("81", "*",
							     ", bind: 192.0.2.9") ", " HTTP("82",
											    "*",
											    ", "
											    "bind: "
											    "127.0."
											    "0.1"))
							ANSWERS("bound-out", "*", "208") GATEWAY(
								"tcp", "istio: ingressgateway",
								TCP("31400", "")) LEADS("tcp",
											"plain")
								GATEWAY("tcp-custom",
									"istio: custom",
									TCP("31400",
									    "")) LEADS("tcp-custom",
										       "other")
									GATEWAY("tcp-late",
										"istio: "
										"ingressgateway",
										TCP("31400",
										    "")) LEADS("tcp"
											       "-la"
											       "te",
											       "oth"
											       "er")
										GATEWAY("tcp-bound",
											"istio: "
											"ingressgat"
											"eway",
											TCP("31400",
											    ", "
											    "bind: "
											    "10.0."
											    "0.1"))
											LEADS("tcp-"
											      "boun"
											      "d",
											      "othe"
											      "r");

static struct compiled c;

static void compile_rules_text(void)
{
	c.registry = registry_new();
	c.r = rules_parse("t.yaml", rules, strlen(rules), &c.objects, &c.errors, NULL);
	if (!c.r)
		c.r = compile(&c.objects, c.registry, COMPILE_HTTP_NEEDED, &c.tables, &c.errors);
	cr_assert_eq(c.r, 0, "%s", errors_text(&c.errors));
}

static void done(void)
{
	compiled_free(&c);
}

TestSuite(gateway_sites, .init = compile_rules_text, .fini = done);

static bool is_node(const char *address)
{
	return !strncmp(address, "10.0.", 5);
}

static bool has_entry(const struct service_key *key)
{
	for (size_t i = 0; i < c.tables->services.count; i++)
		if (!memcmp(&c.tables->services.items[i].key, key, sizeof(*key)))
			return true;
	return false;
}

/* As the hook on a NIC, or on a pod's veth, asks. */
static struct verdict ask_kernel(const struct addr *addr, unsigned port, bool node, bool pod)
{
	struct service_key key = { .addr = *addr,
				   .port = port,
				   .scope = pod ? SCOPE_MESH : SCOPE_OUTSIDE };
	struct decide_context context = { .given = true };
	struct question q = { .port = port };
	struct verdict v = { 0 };

	if (!has_entry(&key) && node) {
		addr_parse("0.0.0.0", &key.addr);
		if (pod || !has_entry(&key))
			key.scope = SCOPE_NODE;
	}
	q.dst = key.addr;
	q.scope = key.scope;
	decide_tables(c.tables, &context, &q, &v);
	return v;
}

static const char *say_http(const struct addr *addr, unsigned port, bool node, const char *host)
{
	static char text[16];
	const struct hs_listener *l = http_listener_at(c.tables->http, addr, port, node);
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span(host),
					.path = http_span("/") };
	struct http_turns turns = { 0 };
	struct http_decision d;

	if (!l || l->scope != SCOPE_NODE)
		return "no listener";
	http_route(c.tables->http, l, NULL, NULL, &q, &turns, &d, NULL);
	snprintf(text, sizeof(text), "%u", d.status);
	return text;
}

static const char *said(const char *address, unsigned port, const char *host, bool pod)
{
	bool node = is_node(address);
	struct addr addr;
	struct verdict v;

	cr_assert_eq(addr_parse(address, &addr), 0);
	v = ask_kernel(&addr, port, node, pod);
	if (v.action == VERDICT_PROXY)
		return say_http(&addr, port, node, host);
	if (!v.service)
		return "none";
	return v.cluster ? c.tables->cluster_origins.items[v.cluster_index].host : "?";
}

struct row {
	const char *address;
	unsigned port;
	const char *host, *says;
};

static void ask_all(const struct row *rows, size_t count, bool pod)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];
		const char *got = said(r->address, r->port, r->host ? r->host : "", pod);

		cr_expect_str_eq(got, r->says, "%s:%u %s: %s, not %s", r->address, r->port,
				 r->host ? r->host : "", got, r->says);
	}
}

#define PLAIN "plain.default.svc.cluster.local"
#define OTHER "other.default.svc.cluster.local"

Test(gateway_sites, a_service_leads_to_the_gateways_of_its_own_workloads)
{
	static const struct row rows[] = {
		{ "192.0.2.1", 80, "a.example.com", "201" },
		{ "192.0.2.1", 80, "b.example.com", "202" },
		{ "192.0.2.1", 80, "all.example.com", "206" },
		{ "192.0.2.1", 80, "e.example.com", "404" },
		{ "192.0.2.2", 80, "a.example.com", "203" },
		{ "192.0.2.2", 80, "b.example.com", "404" },
		{ "192.0.2.2", 80, "all.example.com", "206" },
		{ "10.0.0.2", 30080, "a.example.com", "201" },
		{ "10.0.0.2", 30080, "b.example.com", "202" },
		{ "10.0.0.2", 30081, "a.example.com", "203" },
		{ "10.0.0.2", 30081, "b.example.com", "404" },
		{ "192.0.2.1", 31400, NULL, PLAIN },
		{ "192.0.2.2", 31400, NULL, OTHER },
		{ "10.0.0.2", 31401, NULL, PLAIN },
	};

	ask_all(rows, sizeof(rows) / sizeof(*rows), false);
}

Test(gateway_sites, pods_reach_them_by_the_cluster_ip_alike)
{
	static const struct row rows[] = {
		{ "10.96.0.1", 80, "a.example.com", "201" },
		{ "10.96.0.2", 80, "a.example.com", "203" },
		{ "10.96.0.3", 80, "e.example.com", "205" },
		{ "10.96.0.3", 80, "a.example.com", "404" },
		{ "10.0.0.1", 80, "a.example.com", "204" },
		{ "10.0.0.2", 80, "a.example.com", "201" },
	};

	ask_all(rows, sizeof(rows) / sizeof(*rows), true);
}

Test(gateway_sites, the_nodes_own_port_is_that_of_the_oldest_that_is_open_to_the_outside)
{
	static const struct row rows[] = {
		{ "10.0.0.2", 80, "a.example.com", "201" },
		{ "10.0.0.2", 80, "b.example.com", "202" },
		{ "10.0.0.2", 80, "all.example.com", "206" },
		{ "10.0.0.2", 80, "e.example.com", "404" },
		{ "10.0.0.2", 80, "n.example.com", "404" },
		{ "10.0.0.2", 31400, NULL, PLAIN },
	};

	ask_all(rows, sizeof(rows) / sizeof(*rows), false);
}

Test(gateway_sites, a_bound_server_is_served_at_its_address_alone)
{
	static const struct row rows[] = {
		{ "10.0.0.1", 80, "a.example.com", "204" },
		{ "10.0.0.1", 80, "b.example.com", "204" },
		{ "192.0.2.9", 81, "a.example.com", "208" },
		{ "10.0.0.1", 81, "a.example.com", "none" },
		{ "10.0.0.2", 82, "a.example.com", "none" },
		{ "10.0.0.1", 31400, NULL, OTHER },
		{ "10.0.0.2", 31400, NULL, PLAIN },
	};

	ask_all(rows, sizeof(rows) / sizeof(*rows), false);
}

Test(gateway_sites, a_service_may_have_another_port_than_the_server)
{
	static const struct row rows[] = {
		{ "192.0.2.2", 81, "a.example.com", "203" },
		{ "10.0.0.2", 8081, "a.example.com", "203" },
		{ "192.0.2.1", 8080, "a.example.com", "none" },
	};

	ask_all(rows, sizeof(rows) / sizeof(*rows), false);
}

Test(gateway_sites, what_nobody_reaches_is_told)
{
	_cleanup_free_ char *said = errors_text(&c.errors);
	static const char *const has[] = {
		"port 80 of the node is a gateway's of another selector",
		"an older gateway serves port 31400 already",
		"spec.servers[1].bind: 127.0.0.1 is open to the gateway itself alone",
	};

	for (size_t i = 0; i < sizeof(has) / sizeof(*has); i++)
		cr_expect(strstr(said, has[i]), "%s is not in:\n%s", has[i], said);
	/* Once each. */
	cr_expect_null(strstr(strstr(said, has[1]) + 1, has[1]), "%s", said);
	cr_expect_null(strstr(strstr(said, has[0]) + 1, has[0]), "%s", said);
}

#define BOUND(name, port, address)                                                         \
	GATEWAY(name, "istio: ingressgateway", HTTP(port, "*", ", bind: \"" address "\"")) \
	ANSWERS(name, "*", "209")

/* A row of that scope, and whether it counts at addresses of the node's alone. */
static const struct service_entry *row_at(const struct tables *t, const char *address,
					  unsigned port, enum service_scope scope)
{
	struct service_key key = { .port = port, .scope = scope };

	cr_assert_eq(addr_parse(address, &key.addr), 0);
	for (size_t i = 0; i < t->services.count; i++)
		if (!memcmp(&t->services.items[i].key, &key, sizeof(key)))
			return &t->services.items[i];
	return NULL;
}

Test(gateway_sites, no_server_is_bound_to_what_others_have)
{
	static const char yaml[] = BOUND("pod", "80", "10.1.0.7")
		BOUND("balancer", "80", "192.0.2.7") BOUND("ip", "80", "10.96.0.7")
			BOUND("second", "80", "192.0.2.7") BOUND("port", "81", "192.0.2.7")
				SERVICE("other", "10.96.0.7",
					"type: LoadBalancer, selector: {app: other}, ports: "
					"[{port: 80}]") "status: {loadBalancer: {ingress: [{ip: "
							"192.0.2.7}]}}\n"
							"---\napiVersion: v1\nkind: Pod\nmetadata: "
							"{name: p}\nspec: {}\nstatus: {phase: "
							"Running, podIP: 10.1.0.7}\n";
	static const char *const theirs[] = { "10.1.0.7", "192.0.2.7", "10.96.0.7" };
	_cleanup_compiled_ struct compiled own = { 0 };
	_cleanup_free_ char *said = NULL;

	compiled_text(&own, yaml);
	said = errors_text(&own.errors);
	cr_assert_eq(own.r, 0, "%s", said);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(*theirs); i++) {
		const struct service_entry *mesh = row_at(own.tables, theirs[i], 80, SCOPE_MESH);
		_cleanup_free_ char *want = NULL;

		cr_expect(!mesh || !(mesh->value.flags & SERVICE_DOOR), "%s", theirs[i]);
		cr_assert(asprintf(&want, "bind: %s, port 80, is an older gateway's", theirs[i]) >
			  0);
		cr_expect(strstr(said, want), "%s is not in:\n%s", want, said);
	}
	/* Of two that are bound to one address each is told. */
	cr_expect(strstr(strstr(said, "192.0.2.7, port 80,") + 1, "192.0.2.7, port 80,"), "%s",
		  said);
	for (int scope = SCOPE_MESH; scope <= SCOPE_OUTSIDE; scope += SCOPE_OUTSIDE) {
		const struct service_entry *e =
			row_at(own.tables, "192.0.2.7", 81, (enum service_scope)scope);

		cr_assert(e, "%s", said);
		cr_expect(e->value.flags & SERVICE_BOUND);
	}
}

Test(gateway_sites, what_istio_ignores_is_passed_over_with_a_warning)
{
	static const char yaml[] =
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: "
		"{servers: [{port: {number: 80, name: a, protocol: HTTP, targetPort: 8080}, hosts: "
		"[\"*\"], defaultEndpoint: \"127.0.0.1:80\"}]}\n";
	_cleanup_compiled_ struct compiled own = { 0 };
	_cleanup_free_ char *said = NULL;

	compiled_text(&own, yaml);
	said = errors_text(&own.errors);
	cr_expect_eq(own.r, 0, "%s", said);
	cr_expect(strstr(said, "spec.servers[0].port.targetPort: has no effect"), "%s", said);
	cr_expect(strstr(said, "spec.servers[0].defaultEndpoint: has no effect"), "%s", said);
}

#define HTTPS(port, host, secret)                                                           \
	"{port: {number: " port ", name: https-" port ", protocol: HTTPS}, hosts: [\"" host \
	"\"], tls: {mode: SIMPLE, credentialName: " secret "}}"

static const char *credential_at(const struct http_snapshot *s, const char *address, unsigned port,
				 bool node, const char *sni)
{
	const struct hs_listener *l;
	const struct hs_server *server;
	struct addr addr;

	addr_parse(address, &addr);
	l = http_listener_at(s, &addr, port, node);
	cr_assert(l && l->tls, "%s:%u", address, port);
	server = http_server_for(s, l, NULL, http_span(sni));
	return server ? hs_text(s, server->credential) : "none";
}

Test(gateway_sites, one_name_has_a_certificate_for_each_selector)
{
	static const char yaml[] = SERVICE(
		"in", "10.96.0.1",
		"selector: {istio: ingressgateway}, externalIPs: [192.0.2.1], ports: "
		"[{name: s, port: 443, nodePort: 30443}]")
		SERVICE("custom", "10.96.0.2",
			"selector: {istio: custom}, externalIPs: [192.0.2.2], ports: [{name: s, "
			"port: 443, nodePort: 30444}]") GATEWAY("in", "istio: ingressgateway",
								HTTPS("443", "a.example.com", "x"))
			GATEWAY("custom", "istio: custom", HTTPS("443", "a.example.com", "y"))
				GATEWAY("late", "istio: custom",
					HTTPS("443", "A.example.com", "z"));
	_cleanup_compiled_ struct compiled own = { .registry = registry_new() };
	const struct http_snapshot *s;
	_cleanup_free_ char *said = NULL;

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &own.objects, &own.errors, NULL), 0);
	cr_assert_eq(compile(&own.objects, own.registry, COMPILE_HTTP_NEEDED, &own.tables,
			     &own.errors),
		     0);
	s = own.tables->http;
	cr_expect_str_eq(credential_at(s, "192.0.2.1", 443, false, "a.example.com"),
			 "kubernetes://default/x");
	cr_expect_str_eq(credential_at(s, "192.0.2.2", 443, false, "a.example.com"),
			 "kubernetes://default/y");
	cr_expect_str_eq(credential_at(s, "10.0.0.1", 30444, true, "a.example.com"),
			 "kubernetes://default/y");
	cr_expect_str_eq(credential_at(s, "10.0.0.1", 443, true, "a.example.com"),
			 "kubernetes://default/x");
	said = errors_text(&own.errors);
	cr_expect(strstr(said, "an older server of TLS at port 443 has \"A.example.com\" already"),
		  "%s", said);
	cr_expect_null(strstr(said, "has \"a.example.com\" already"), "%s", said);
}

/* The namespace in front of a host says whose VirtualServices may be for it. */
Test(gateway_sites, hosts_are_for_virtual_services_of_their_namespaces)
{
	static const char yaml[] =
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: "
		"front}\nspec: {servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: "
		"[\"./own.com\", \"back/back.com\", \"*/all.com\", \"plain.com\", "
		"\"back/*.wild.com\"]}]}\n";
	static const struct {
		const char *ns, *host;
		bool taken;
	} rows[] = {
		{ "front", "own.com", true },	{ "back", "own.com", false },
		{ "back", "back.com", true },	{ "front", "back.com", false },
		{ "front", "all.com", true },	{ "back", "all.com", true },
		{ "front", "plain.com", true }, { "back", "plain.com", true },
		{ "back", "x.wild.com", true }, { "front", "x.wild.com", false },
		{ "back", "other.com", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_compiled_ struct compiled own = { 0 };
		_cleanup_free_ char *text = NULL;
		const struct http_request q = { .method = http_span("GET"),
						.scheme = http_span("http"),
						.authority = http_span(rows[i].host),
						.path = http_span("/") };
		struct http_turns turns = { 0 };
		struct http_decision d;

		cr_assert_gt(asprintf(&text,
				      "%s---\napiVersion: networking.istio.io/v1\nkind: "
				      "VirtualService\nmetadata: {name: v, namespace: %s}\nspec: "
				      "{hosts: [%s], gateways: [front/g], http: "
				      "[{directResponse: {status: 201}}]}\n",
				      yaml, rows[i].ns, rows[i].host),
			     0);
		own.registry = registry_new();
		cr_assert_eq(rules_parse("t.yaml", text, strlen(text), &own.objects, &own.errors,
					 NULL),
			     0);
		cr_assert_eq(compile(&own.objects, own.registry, COMPILE_HTTP_NEEDED, &own.tables,
				     &own.errors),
			     0);
		http_route(own.tables->http, http_listener(own.tables->http, SCOPE_NODE, 80), NULL,
			   NULL, &q, &turns, &d, NULL);
		cr_expect_eq(d.status, rows[i].taken ? 201 : 404, "%s %s: %u", rows[i].ns,
			     rows[i].host, d.status);
	}
}
