// SPDX-License-Identifier: Apache-2.0
/*
 * What mutual TLS makes of the tables and the snapshot: rows for pods and for clients, ports that
 * weft-proxy has for its clients' sake, and those of this node's pods.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/explain/explain_http.h"
#include "lib/route/workload.h"
#include "test_compile_util.h"

/* clang-format off */
#define SERVICE(name, ip, ports)                                                              \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: foo}\nspec: "   \
	"{clusterIP: " ip ", selector: {app: " name "}, ports: [" ports "]}\n---\n"
#define PORTS "{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}, " \
	"{name: grpc, port: 9001}"
#define POD(name, app, node, ip, account)                                                       \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: " name ", namespace: foo, labels: {app: "  \
	app "}}\nspec: {nodeName: " node account "}\nstatus: {phase: Running, conditions: "     \
	"[{type: Ready, status: 'True'}], podIP: " ip "}\n---\n"
#define PEER(ns, name, spec)                                                                    \
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: " ns \
	", name: " name "}\nspec: " spec "\n---\n"
#define MODE(mode) PEER("foo", "default", "{mtls: {mode: " mode "}}")
#define OF(app, rest) PEER("foo", app, "{selector: {matchLabels: {app: " app "}}, " rest "}")
#define ISTIO(kind, name, spec)                                                                \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name          \
	", namespace: foo}\nspec: " spec "\n---\n"
#define RULE(host, tls) ISTIO("DestinationRule", host, "{host: " host ", trafficPolicy: {tls: {mode: " tls "}}}")
#define PORT_RULE(host, port, tls)                                                              \
	ISTIO("DestinationRule", host, "{host: " host ", trafficPolicy: {portLevelSettings: "   \
	"[{port: {number: " port "}, tls: {mode: " tls "}}]}}")
/* clang-format on */

/* `both` has a pod on either node, `near` on this one alone, `far` on the other one alone. */
static const char world[] = SERVICE("both", "10.96.0.1", PORTS) SERVICE("near", "10.96.0.2", PORTS)
	SERVICE("far", "10.96.0.3", PORTS)
		POD("both-a", "both", "a", "10.1.0.1", ", serviceAccountName: one")
			POD("both-b", "both", "b", "10.1.1.1", ", serviceAccountName: two")
				POD("near", "near", "a", "10.1.0.2", "") POD("far", "far", "b",
									     "10.1.1.2", "")
					POD("node", "x", "a", "10.9.0.1", ", hostNetwork: true")
						POD("apart", "apart", "a", "10.1.0.9", "");
/* Endpoints that no pod has. */
static const char strange[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: strange, namespace: foo}\nspec: "
	"{clusterIP: 10.96.0.4, ports: [" PORTS "]}\n---\napiVersion: v1\nkind: "
	"Endpoints\nmetadata: {name: strange, namespace: foo}\nsubsets: [{addresses: [{ip: "
	"192.0.2.1}], ports: [{name: http, port: 80}, {name: tcp, port: 9000}, {name: grpc, port: "
	"9001}]}]\n---\n";

static struct compiled c;

static void done(void)
{
	compiled_free(&c);
}

TestSuite(mutual_ports, .fini = done);

static int load(const char *rules)
{
	_cleanup_free_ char *yaml = NULL;

	cr_assert_geq(asprintf(&yaml, "%s%s%s", world, strange, rules), 0);
	compiled_free(&c);
	c.objects.node = "a";
	compiled_text(&c, yaml);
	return c.r;
}

static const struct http_snapshot *loaded(const char *rules)
{
	int r = load(rules);
	_cleanup_free_ char *text = errors_text(&c.errors);

	cr_assert_eq(r, 0, "%s", text);
	return c.tables->http;
}

static struct addr address(const char *ip)
{
	struct addr a;

	cr_assert_eq(addr_parse(ip, &a), 0);
	return a;
}

/* ---- pods ---- */

Test(mutual_ports, where_nobody_asks_for_it_there_is_nothing)
{
	static const char *const rules[] = { "", MODE("PERMISSIVE"), MODE("DISABLE"),
					     RULE("far", "DISABLE"),
					     RULE("far", "SIMPLE, insecureSkipVerify: true") };

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct http_snapshot *s = loaded(rules[i]);

		cr_expect(!s || !hs_count(s, HS_WORKLOADS), "%s", rules[i]);
		cr_expect(!s || !hs_count(s, HS_WORKLOAD_PORTS), "%s", rules[i]);
		cr_expect_eq(s && hs_count(s, HS_CLIENT_TLS), i == 4, "%s", rules[i]);
	}
}

static void want_pod(const struct http_snapshot *s, const char *ip, const char *account, bool here,
		     __u32 mode)
{
	struct addr a = address(ip);
	const struct hs_workload *w = http_workload(s, &a);
	char want[IDENTITY_MAX];

	cr_assert_not_null(w, "%s", ip);
	snprintf(want, sizeof(want), "spiffe://cluster.local/ns/foo/sa/%s", account);
	cr_expect_str_eq(hs_text(s, w->identity), want);
	cr_expect_eq(w->here, here, "%s", ip);
	cr_expect_eq(w->mode, mode, "%s", ip);
}

Test(mutual_ports, each_pod_of_the_mesh_has_a_row_on_every_node)
{
	const struct http_snapshot *s = loaded(MODE("STRICT") OF("near", "mtls: {mode: DISABLE}"));
	struct addr node = address("10.9.0.1"), none = address("192.0.2.1");

	cr_expect_eq(hs_count(s, HS_WORKLOADS), 5);
	want_pod(s, "10.1.0.1", "one", true, HS_MTLS_STRICT);
	want_pod(s, "10.1.1.1", "two", false, HS_MTLS_STRICT);
	want_pod(s, "10.1.0.2", "default", true, HS_MTLS_DISABLE);
	want_pod(s, "10.1.1.2", "default", false, HS_MTLS_STRICT);
	cr_expect_null(http_workload(s, &node));
	cr_expect_null(http_workload(s, &none));
}

/* "8080=STRICT 9000=PERMISSIVE+requests" */
static const char *ports_of(const struct http_snapshot *s, const char *ip)
{
	static const char *const modes[] = { "?", "DISABLE", "PERMISSIVE", "STRICT" };
	static char text[256];
	struct addr a = address(ip);
	const struct hs_workload *w = http_workload(s, &a);

	text[0] = '\0';
	cr_assert_not_null(w);
	for (__u32 i = 0; i < w->ports.count; i++) {
		const struct hs_workload_port *p = hs_workload_port(s, w->ports.first + i);
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%u=%s%s", i ? " " : "", p->port,
			 modes[p->mode], p->requests ? "+requests" : "");
	}
	return text;
}

/* "8080 9000", at which of the pod's ports weft-proxy has who calls in that scope. */
static const char *entries_of(const char *ip, unsigned scope)
{
	static char text[256];
	struct addr a = address(ip);

	text[0] = '\0';
	for (size_t i = 0; i < c.tables->services.count; i++) {
		const struct service_entry *e = &c.tables->services.items[i];
		size_t len = strlen(text);

		if (memcmp(&e->key.addr, &a, sizeof(a)) != 0 || e->key.scope != scope ||
		    c.tables->rules.items[e->value.rule_first].action != RULE_PROXY)
			continue;
		snprintf(text + len, sizeof(text) - len, "%s%u", len ? " " : "", e->key.port);
	}
	return text;
}

#define GET_ONLY                                                                                   \
	"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, "        \
	"namespace: foo}\nspec: {selector: {matchLabels: {app: both}}, rules: [{to: [{operation: " \
	"{methods: [GET]}}]}]}\n---\n"

Test(mutual_ports, what_calls_a_pod_from_elsewhere_comes_to_weft_proxy)
{
	static const struct {
		const char *rules, *ip, *ports, *outside, *mesh;
	} rows[] = {
		{ MODE("STRICT"), "10.1.0.1", "8080=STRICT+requests 9000=STRICT 9001=STRICT",
		  "8080 9000 9001", "" },
		{ MODE("STRICT"), "10.1.1.1", "", "", "" },
		/* It is behind no Service. */
		{ MODE("STRICT"), "10.1.0.9", "", "", "" },
		{ MODE("STRICT") OF("both", "mtls: {mode: PERMISSIVE}"), "10.1.0.1", "", "", "" },
		{ MODE("STRICT") OF("both", "mtls: {mode: STRICT}, portLevelMtls: {9000: {mode: "
					    "PERMISSIVE}, 7000: {mode: DISABLE}}"),
		  "10.1.0.1", "7000=DISABLE 8080=STRICT+requests 9000=PERMISSIVE 9001=STRICT",
		  "8080 9001", "" },
		/* What other nodes know of a pod: what portLevelMtls says. */
		{ OF("both", "mtls: {mode: STRICT}, portLevelMtls: {9000: {mode: DISABLE}}"),
		  "10.1.1.1", "9000=DISABLE", "", "" },
		{ OF("both", "portLevelMtls: {9000: {mode: STRICT}}"), "10.1.0.1", "9000=STRICT",
		  "9000", "" },
		{ RULE("both", "ISTIO_MUTUAL"), "10.1.0.1",
		  "8080=PERMISSIVE+requests 9000=PERMISSIVE 9001=PERMISSIVE", "8080 9000 9001",
		  "" },
		{ PORT_RULE("both", "9000", "ISTIO_MUTUAL"), "10.1.0.1", "9000=PERMISSIVE", "9000",
		  "" },
		{ RULE("both", "ISTIO_MUTUAL"), "10.1.0.2", "", "", "" },
		{ RULE("both", "ISTIO_MUTUAL") MODE("DISABLE"), "10.1.0.1", "", "", "" },
		{ MODE("STRICT") GET_ONLY, "10.1.0.1",
		  "8080=STRICT+requests 9000=STRICT 9001=STRICT", "8080 9000 9001", "8080" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct http_snapshot *s = loaded(rows[i].rules);

		cr_expect_str_eq(ports_of(s, rows[i].ip), rows[i].ports, "row %zu: %s", i,
				 ports_of(s, rows[i].ip));
		cr_expect_str_eq(entries_of(rows[i].ip, SCOPE_OUTSIDE), rows[i].outside,
				 "row %zu: %s", i, entries_of(rows[i].ip, SCOPE_OUTSIDE));
		cr_expect_str_eq(entries_of(rows[i].ip, SCOPE_MESH), rows[i].mesh, "row %zu: %s", i,
				 entries_of(rows[i].ip, SCOPE_MESH));
	}
}

/* An EndpointSlice names addresses; a headless Service has none of its own. */
Test(mutual_ports, pods_are_found_by_their_addresses_and_behind_headless_services)
{
	(void)loaded(MODE("STRICT") SERVICE("apart", "None", "{name: db, port: 5432}"));
	cr_expect_str_eq(entries_of("10.1.0.9", SCOPE_OUTSIDE), "5432");
	(void)loaded(MODE(
		"STRICT") "apiVersion: v1\nkind: Service\nmetadata: {name: given, namespace: foo}\n"
			  "spec: {clusterIP: 10.96.0.7, ports: [{port: 70}]}\n---\n"
			  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: "
			  "g, "
			  "namespace: foo, labels: {kubernetes.io/service-name: "
			  "given}}\naddressType: "
			  "IPv4\nports: [{port: 7070}]\nendpoints: [{addresses: "
			  "[10.1.0.9]}]\n---\n");
	cr_expect_str_eq(entries_of("10.1.0.9", SCOPE_OUTSIDE), "7070");
}

/* ---- clients ---- */

static const struct hs_client_tls *tls_of(const struct http_snapshot *s, const char *cluster)
{
	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++) {
		const struct hs_cluster *row = hs_cluster(s, i);

		if (!strcmp(hs_text(s, row->name), cluster))
			return row->client_tls ? hs_client_tls(s, row->client_tls - 1) : NULL;
	}
	cr_assert_fail("there is no %s", cluster);
	return NULL;
}

#define CLUSTER(port, subset, name) "outbound|" port "|" subset "|" name ".foo.svc.cluster.local"

Test(mutual_ports, a_cluster_says_what_its_rule_does)
{
	const struct http_snapshot *s = loaded(RULE("both", "ISTIO_MUTUAL") RULE("far", "DISABLE")
						       RULE("near", "ISTIO_MUTUAL"));

	cr_expect_eq(tls_of(s, CLUSTER("80", "", "both"))->mode, HS_TLS_ISTIO_MUTUAL);
	cr_expect_eq(tls_of(s, CLUSTER("9000", "", "both"))->mode, HS_TLS_ISTIO_MUTUAL);
	cr_expect_eq(tls_of(s, CLUSTER("80", "", "far"))->mode, HS_TLS_DISABLE);
	cr_expect_null(tls_of(s, CLUSTER("80", "", "strange")));
	cr_expect_eq(hs_count(s, HS_CLIENT_TLS), 2);
	s = loaded(
		ISTIO("DestinationRule", "both",
		      "{host: both, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}, subsets: "
		      "[{name: v1, labels: {app: both}, trafficPolicy: {tls: {mode: "
		      "DISABLE}}}, {name: v2, labels: {app: both}}]}")
			ISTIO("VirtualService", "both",
			      "{hosts: [both], http: [{route: [{destination: {host: both, "
			      "subset: v1, port: {number: 80}}, weight: 1}, {destination: {host: "
			      "both, subset: v2, port: {number: 80}}, weight: 1}]}]}"));
	cr_expect_eq(tls_of(s, CLUSTER("80", "v1", "both"))->mode, HS_TLS_DISABLE);
	cr_expect_eq(tls_of(s, CLUSTER("80", "v2", "both"))->mode, HS_TLS_ISTIO_MUTUAL);
}

/* ---- which ports go through weft-proxy ---- */

static bool is_proxied(const char *ip, unsigned port)
{
	struct addr a = address(ip);

	for (size_t i = 0; i < c.tables->services.count; i++) {
		const struct service_entry *e = &c.tables->services.items[i];

		if (!memcmp(&e->key.addr, &a, sizeof(a)) && e->key.port == port)
			return c.tables->rules.items[e->value.rule_first].action == RULE_PROXY;
	}
	cr_assert_fail("nothing at %s:%u", ip, port);
	return false;
}

/* Of 80, 9000 and 9001 of a Service; "TUNNEL" in lower case: requests, in upper case: as tunnels.
 */
static const char *ways_of(const char *ip)
{
	static char text[4];
	static const unsigned ports[] = { 80, 9000, 9001 };
	const struct http_snapshot *s = c.tables->http;
	struct addr a = address(ip);

	for (size_t i = 0; i < 3; i++) {
		const struct hs_address *row = s ? http_address_at(s, &a, ports[i]) : NULL;

		text[i] = !is_proxied(ip, ports[i])		  ? '-'
			  : row && http_address_is_opaque(s, row) ? 'T'
								  : 'h';
	}
	return text;
}

Test(mutual_ports, only_what_has_to_be_encrypted_or_refused_goes_through_weft_proxy)
{
	static const struct {
		const char *rules, *both, *near, *far, *strange;
	} rows[] = {
		{ "", "---", "---", "---", "---" },
		{ MODE("PERMISSIVE"), "---", "---", "---", "---" },
		{ MODE("STRICT"), "hTT", "---", "hTT", "---" },
		{ OF("far", "mtls: {mode: STRICT}"), "---", "---", "hTT", "---" },
		{ OF("far", "portLevelMtls: {8080: {mode: STRICT}}"), "---", "---", "h--", "---" },
		{ RULE("near", "ISTIO_MUTUAL"), "---", "---", "---", "---" },
		{ RULE("far", "ISTIO_MUTUAL"), "---", "---", "hTT", "---" },
		{ RULE("strange", "ISTIO_MUTUAL"), "---", "---", "---", "hTT" },
		{ PORT_RULE("far", "9000", "ISTIO_MUTUAL"), "---", "---", "-T-", "---" },
		{ ISTIO("DestinationRule", "all",
			"{host: '*.foo.svc.cluster.local', trafficPolicy: {tls: {mode: "
			"ISTIO_MUTUAL}}}"),
		  "hTT", "---", "hTT", "hTT" },
		{ OF("far", "mtls: {mode: STRICT}")
			  ISTIO("VirtualService", "near",
				"{hosts: [near], tcp: [{match: [{port: 9000}], route: "
				"[{destination: {host: far, port: {number: 9000}}}]}]}"),
		  "---", "-TT", "hTT", "---" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		(void)loaded(rows[i].rules);
		cr_expect_str_eq(ways_of("10.96.0.1"), rows[i].both, "row %zu, both", i);
		cr_expect_str_eq(ways_of("10.96.0.2"), rows[i].near, "row %zu, near", i);
		cr_expect_str_eq(ways_of("10.96.0.3"), rows[i].far, "row %zu, far", i);
		cr_expect_str_eq(ways_of("10.96.0.4"), rows[i].strange, "row %zu, strange", i);
	}
}

/* The cluster of an endpoint that is called itself; NULL: weft-proxy has nothing to do with it. */
static const struct hs_cluster *direct_cluster(const char *ip, unsigned port)
{
	const struct http_snapshot *s = c.tables->http;
	struct addr a = address(ip);
	const struct hs_address *row = http_address_at(s, &a, port);
	const struct hs_server *server;

	if (!row)
		return NULL;
	cr_assert(http_address_is_opaque(s, row));
	server = http_server_at(s, row, NULL, http_span(""));
	cr_assert(server && hs_action(s, server->action)->dests.count == 1);
	return hs_cluster(s, hs_dest(s, hs_action(s, server->action)->dests.first)->cluster);
}

#define HEADLESS                                                                                \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: foo}\nspec: "           \
	"{clusterIP: None, selector: {app: both}, ports: [{name: tcp, port: 5432, targetPort: " \
	"5433}]}\n---\n"

/* Pods behind it are called by their own addresses: those of other nodes by mutual TLS. */
Test(mutual_ports, clients_of_headless_services_call_pods_of_other_nodes_by_weft_proxy)
{
	const struct hs_cluster *to;

	(void)loaded(HEADLESS OF("far", "mtls: {mode: STRICT}"));
	cr_expect_str_eq(entries_of("10.1.1.1", SCOPE_MESH), "");
	(void)loaded(HEADLESS MODE("STRICT"));
	cr_expect_str_eq(entries_of("10.1.1.1", SCOPE_MESH), "5433");
	cr_expect_str_eq(entries_of("10.1.0.1", SCOPE_MESH), "");
	cr_expect_null(direct_cluster("10.1.0.1", 5433));
	to = direct_cluster("10.1.1.1", 5433);
	cr_assert_not_null(to);
	cr_expect(to->lb == LB_PASSTHROUGH && !to->endpoints.count && !to->client_tls);
	(void)loaded(HEADLESS RULE("db", "ISTIO_MUTUAL"));
	to = direct_cluster("10.1.1.1", 5433);
	cr_assert(to && to->client_tls);
	cr_expect_eq(hs_client_tls(c.tables->http, to->client_tls - 1)->mode, HS_TLS_ISTIO_MUTUAL);
	cr_expect_str_eq(entries_of("10.1.0.1", SCOPE_OUTSIDE), "5433");
}

/* ---- what is refused, and what is remarked ---- */

static bool says(const char *text)
{
	_cleanup_free_ char *all = errors_text(&c.errors);

	return strstr(all, text);
}

#define TCP_GATEWAY                                                            \
	ISTIO("Gateway", "door",                                               \
	      "{selector: {app: near}, servers: [{port: {number: 9000, name: " \
	      "tcp, protocol: TCP}, hosts: ['*']}]}")                          \
	ISTIO("VirtualService", "door",                                        \
	      "{hosts: ['*'], gateways: [door], tcp: [{route: "                \
	      "[{destination: {host: far, port: {number: 9000}}}]}]}")
#define SUBNETS                                                      \
	ISTIO("ServiceEntry", "wide",                                \
	      "{hosts: [wide.example], addresses: [10.200.0.0/16], " \
	      "ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: NONE}")

Test(mutual_ports, what_cannot_be_carried_out_is_refused)
{
	cr_expect_lt(load(TCP_GATEWAY RULE("far", "ISTIO_MUTUAL")), 0);
	cr_expect(says("server of protocol TCP"));
	cr_expect_eq(load(TCP_GATEWAY RULE("far", "DISABLE")), 0);
	cr_expect_lt(load(SUBNETS RULE("wide.example", "ISTIO_MUTUAL")), 0);
	cr_expect(says("no single addresses"));
	cr_expect_eq(load(SUBNETS MODE("STRICT")), 0);
	cr_expect_lt(load(ISTIO("DestinationRule", "far",
				"{host: far, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, "
				"subjectAltNames: [x]}}}")),
		     0);
	cr_expect(says("does not carry out subjectAltNames beside the mode ISTIO_MUTUAL"));
}

Test(mutual_ports, rules_that_get_in_the_way_are_remarked)
{
	cr_assert_eq(load(MODE("STRICT") RULE("far", "DISABLE")), 0);
	cr_expect(says("[WEFT0122]") && says("PeerAuthentication foo/default"));
	cr_assert_eq(load(MODE("STRICT") RULE("near", "DISABLE")), 0);
	cr_expect_not(says("[WEFT0122]"));
	cr_assert_eq(load(RULE("strange", "ISTIO_MUTUAL")), 0);
	cr_expect(says("[WEFT0123]") && says("192.0.2.1:80"));
	cr_assert_eq(load(RULE("far", "ISTIO_MUTUAL")), 0);
	cr_expect_not(says("[WEFT0123]"));
	cr_assert_eq(load(HEADLESS RULE("db", "ISTIO_MUTUAL")), 0);
	cr_expect_not(says("is headless"));
	cr_assert_eq(load(HEADLESS RULE("db", "DISABLE")), 0);
	cr_expect(says("is headless"));
	cr_assert_eq(load(ISTIO("DestinationRule", "far",
				"{host: far, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: "
				"x, privateKey: /k}}}")),
		     0);
	cr_expect(says("tls.sni: has no effect in the mode ISTIO_MUTUAL"));
	cr_expect(says("tls.privateKey: has no effect in the mode ISTIO_MUTUAL"));
}

/* ---- explain ---- */

/* What becomes of a request of that pod to that host, of its first destination: "tls" as JSON, or
 * why it fails. The caller frees. */
static char *explained(const char *rules, const char *pod, const char *host)
{
	const struct explain_query q = { .namespace = "foo", .pod = pod, .host = host, .port = 80 };
	const struct explain_request request = { 0 };
	_cleanup_(tables_freep) struct tables *apart = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	json_auto_t *answer = NULL;
	const json_t *d;
	char *text;

	(void)loaded(rules);
	cr_assert_eq(compile(&c.objects, c.registry, COMPILE_HTTP_APART, &apart, &errors), 0);
	if (explain_http(apart->http, apart, &c.objects, &q, &request, NULL, &answer, &errors))
		return strdup("error");
	text = explain_http_text(answer);
	cr_expect(text && strstr(text, "tls: "));
	free(text);
	d = json_array_get(json_object_get(answer, "destinations"), 0);
	return json_object_get(d, "reason")
		       ? strdup(json_string_value(json_object_get(d, "reason")))
		       : json_dumps(json_object_get(d, "tls"), JSON_SORT_KEYS);
}

#define SPIFFE "spiffe://cluster.local/ns/foo/sa/"

Test(mutual_ports, explain_tells_with_whom_it_is_spoken)
{
	static const struct {
		const char *rules, *pod, *host, *want;
	} rows[] = {
		{ MODE("STRICT"), "near", "both",
		  "{\"identity\": \"" SPIFFE "default\", \"in_clear\": [\"10.1.0.1:8080\"], "
		  "\"mode\": \"ISTIO_MUTUAL\", \"peers\": {\"10.1.1.1:8080\": \"" SPIFFE
		  "two\"}}" },
		{ RULE("far", "ISTIO_MUTUAL"), "both-a", "far",
		  "{\"identity\": \"" SPIFFE "one\", \"mode\": \"ISTIO_MUTUAL\", \"peers\": "
		  "{\"10.1.1.2:8080\": \"" SPIFFE "default\"}}" },
		{ MODE("STRICT"), "near", "far",
		  "{\"identity\": \"" SPIFFE "default\", \"mode\": \"ISTIO_MUTUAL\", \"peers\": "
		  "{\"10.1.1.2:8080\": \"" SPIFFE "default\"}}" },
		{ MODE("STRICT") RULE("far", "DISABLE"), "near", "far", "STRICT" },
		{ RULE("strange", "ISTIO_MUTUAL"), "near", "strange",
		  "the endpoint is refused: it is no pod of the mesh, with which ISTIO_MUTUAL "
		  "could "
		  "be spoken" },
		{ RULE("far", "ISTIO_MUTUAL"), "far", "far",
		  "the endpoint is refused: the client is no pod of the mesh on this node: it has "
		  "no "
		  "identity for mutual TLS" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *got = explained(rows[i].rules, rows[i].pod, rows[i].host);

		cr_expect(*rows[i].want == '{' ? !strcmp(got, rows[i].want)
					       : !!strstr(got, rows[i].want),
			  "row %zu: %s", i, got);
	}
}

/* ---- changes ---- */

static struct objects last_apart(struct object_change *change)
{
	tables_free(TAKE_PTR(c.tables));
	change->new = c.objects.items[--c.objects.count];
	return c.objects;
}

/* Of a pod that comes all of it has to be made anew. */
Test(mutual_ports, a_pod_that_comes_gets_its_row)
{
	_cleanup_(tables_freep) struct tables *before = NULL, *patched = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct compile_index *index = NULL;
	struct object_change change = { 0 };
	struct objects objects;

	(void)loaded(MODE("STRICT") POD("late", "far", "b", "10.1.1.7", ""));
	objects = last_apart(&change);
	cr_assert_eq(compile_keeping(&objects, c.registry, COMPILE_HTTP_ALWAYS, &before, &index,
				     &errors),
		     0);
	cr_expect_eq(compile_patch(&index, &change, 1, COMPILE_HTTP_ALWAYS, before, &patched),
		     COMPILE_ANEW);
	compile_index_free(index);
	c.objects.count++;
}

/* What follows from a rule, and from its going, is what a compilation of everything makes. */
static void check_change(const char *rules)
{
	_cleanup_(tables_freep) struct tables *before = NULL, *with = NULL, *after = NULL;
	_cleanup_(tables_freep) struct tables *want = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 }, ignored = { 0 };
	struct compile_index *index = NULL;
	struct object_change change = { 0 };
	struct objects objects;

	(void)loaded(rules);
	objects = last_apart(&change);
	cr_assert_eq(compile_keeping(&objects, c.registry, COMPILE_HTTP_ALWAYS, &before, &index,
				     &errors),
		     0);
	cr_assert_eq(compile_rules(&index, &change, 1, COMPILE_HTTP_ALWAYS, before, &with, &errors),
		     0);
	objects.count++;
	cr_assert_eq(compile(&objects, c.registry, COMPILE_HTTP_ALWAYS, &want, &ignored), 0);
	cr_expect(tables_same(with, want), "%s", rules);
	cr_expect_not(tables_same(with, before), "%s", rules);
	change = (struct object_change){ .old = change.new };
	cr_assert_eq(compile_rules(&index, &change, 1, COMPILE_HTTP_ALWAYS, with, &after, &errors),
		     0);
	cr_expect(tables_same(after, before), "%s", rules);
	compile_index_free(index);
	c.objects.count++;
}

Test(mutual_ports, a_change_of_rules_is_in_step)
{
	check_change(MODE("STRICT"));
	check_change(RULE("both", "ISTIO_MUTUAL"));
	check_change(MODE("STRICT") RULE("both", "DISABLE"));
	check_change(MODE("STRICT") OF("far", "mtls: {mode: DISABLE}"));
	check_change(RULE("both", "ISTIO_MUTUAL") MODE("DISABLE"));
	check_change(HEADLESS MODE("STRICT"));
	check_change(HEADLESS RULE("db", "ISTIO_MUTUAL"));
}
