// SPDX-License-Identifier: Apache-2.0
/*
 * What the SNI chooses where no requests are looked at: at Gateways that pass TLS through or end it
 * for TCP, and at services whose port carries TLS and that `tls` rules are for.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/explain/explain_http.h"
#include "test_http_util.h"

/* clang-format off */
#define SERVICE(name, ns, ip, ports)                                               \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns \
	"}\nspec: {clusterIP: " ip ", selector: {app: " name "}, ports: [" ports "]}\n---\n"
#define ISTIO(kind, name, ns, spec)                                                  \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name \
	", namespace: " ns "}\nspec: " spec "\n---\n"
#define TO(host) "route: [{destination: {host: " host "}}]"
#define TO_PORT(host, port) "route: [{destination: {host: " host ", port: {number: " port "}}}]"

static const char rules[] =
	SERVICE("web", "default", "10.96.0.1", "{name: tls, port: 443}, {name: plain, port: 9443}")
	SERVICE("db", "default", "10.96.0.2", "{name: db, port: 5432, appProtocol: tls}")
	SERVICE("dual", "default", "10.96.0.3", "{name: https-a, port: 443}")
	SERVICE("other", "default", "10.96.0.4", "{name: tcp, port: 443}")
	SERVICE("two", "default", "10.96.0.5", "{name: tls, port: 443}")
	SERVICE("web", "b", "10.96.1.1", "{name: tls, port: 443}")
	SERVICE("odd", "default", "10.96.0.6", "{name: odd, port: 4443}, {name: any, port: 4444}")
	"apiVersion: v1\nkind: Service\nmetadata: {name: near, namespace: default}\n"
	"spec: {clusterIP: 10.96.0.7, internalTrafficPolicy: Local, selector: {app: near}, "
	"ports: [{name: tls, port: 443}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: foreign, namespace: default, "
	"labels: {service.kubernetes.io/service-proxy-name: x}}\n"
	"spec: {clusterIP: 10.96.0.8, selector: {app: near}, ports: [{name: tls, port: 443}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: unnumbered, namespace: default}\n"
	"spec: {ports: [{name: tls, port: 443}]}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: db-1, namespace: default, labels: {app: db}}\n"
	"spec: {containers: [{name: m, image: i}]}\nstatus: {phase: Running, podIP: 10.244.0.2}\n---\n"

	/* ---- gateways ---- */
	ISTIO("Gateway", "gw", "default", "\n"
	"  selector: {istio: ingressgateway}\n"
	"  servers:\n"
	"  - port: {number: 443, name: a, protocol: TLS}\n"
	"    tls: {mode: PASSTHROUGH}\n"
	"    hosts: [\"*.through.test\", b/in-b.test]\n"
	"  - port: {number: 443, name: b, protocol: HTTPS}\n"
	"    tls: {mode: SIMPLE, credentialName: c}\n"
	"    hosts: [web.through.test, \"*.test\"]\n"
	"  - port: {number: 443, name: c, protocol: TLS}\n"
	"    tls: {mode: MUTUAL, credentialName: d, minProtocolVersion: TLSV1_3}\n"
	"    hosts: [db.test]\n"
	"  - port: {number: 443, name: d, protocol: TLS}\n"
	"    tls: {mode: SIMPLE, credentialName: e}\n"
	"    hosts: [nowhere.test]\n"
	"  - port: {number: 8443, name: e, protocol: HTTPS}\n"
	"    tls: {}\n"
	"    hosts: [\"*\"]")
	ISTIO("VirtualService", "through", "default", "\n"
	"  hosts: [\"*.through.test\"]\n"
	"  gateways: [gw]\n"
	"  tls:\n"
	"  - match: [{port: 8443, sniHosts: [a.through.test]}]\n"
	"    " TO_PORT("web", "9443") "\n"
	"  - match:\n"
	"    - {port: 443, sniHosts: [\"*.Deep.through.test\"]}\n"
	"    - {sniHosts: [A.through.test], sourceLabels: {app: none}, sourceNamespace: none}\n"
	"    name: named\n"
	"    route:\n"
	"    - {destination: {host: web, port: {number: 443}}, weight: 80}\n"
	"    - {destination: {host: other}, weight: 20}\n"
	"    - {destination: {host: db}}\n"
	"  - match: [{sniHosts: [elsewhere.through.test], gateways: [other/gw]}]\n"
	"    " TO("db") "\n"
	"  - match: [{sniHosts: [a.through.test]}]\n"
	"    " TO("db"))
	ISTIO("VirtualService", "in-b", "b", "\n"
	"  hosts: [in-b.test, in-a.test]\n"
	"  gateways: [default/gw]\n"
	"  tls: [{match: [{sniHosts: [in-b.test, in-a.test]}], " TO("web") "}]")
	ISTIO("VirtualService", "db", "default", "\n"
	"  hosts: [db.test]\n"
	"  gateways: [gw]\n"
	"  tcp: [{match: [{port: 1}], " TO_PORT("web", "443") "}, {" TO("db") "}]")
	ISTIO("VirtualService", "narrow", "default", "\n"
	"  hosts: [db.test]\n"
	"  gateways: [gw]\n"
	"  tcp:\n"
	"  - match: [{port: 443, sourceLabels: {a: b}}]\n"
	"    route:\n"
	"    - {destination: {host: web, port: {number: 443}}, weight: 1}\n"
	"    - {destination: {host: db}, weight: 1}")

	/* ---- the mesh ---- */
	ISTIO("VirtualService", "web", "default", "\n"
	"  hosts: [web.default.svc.cluster.local, \"*.example.com\"]\n"
	"  tls:\n"
	"  - match: [{sniHosts: [a.example.com], sourceLabels: {app: sleep}}]\n"
	"    " TO("db") "\n"
	"  - match: [{sniHosts: [a.example.com], sourceNamespace: b}]\n"
	"    " TO("other") "\n"
	"  - match: [{sniHosts: [\"*.example.com\"], port: 443}]\n"
	"    route:\n"
	"    - {destination: {host: web, port: {number: 443}, subset: v1}, weight: 1}\n"
	"    - {destination: {host: other}, weight: 3}\n"
	"  - match: [{sniHosts: [\"*.deep.example.com\"], destinationSubnets: [10.97.0.0/16]}]\n"
	"    " TO("dual") "\n"
	"  - match: [{sniHosts: [p.example.com], port: 9443}]\n"
	"    " TO("dual") "\n"
	"  tcp:\n"
	"  - match: [{port: 443, sourceLabels: {app: plain}}]\n"
	"    " TO("dual"))
	ISTIO("DestinationRule", "web", "default",
	"{host: web, subsets: [{name: v1, labels: {version: v1}}]}")
	ISTIO("VirtualService", "own", "b", "\n"
	"  hosts: [db.default.svc.cluster.local, x.example.org]\n"
	"  exportTo: [\".\"]\n"
	"  tls: [{match: [{sniHosts: [x.example.org]}], " TO("web") "}]")
	ISTIO("DestinationRule", "db", "b", "\n"
	"  host: db.default.svc.cluster.local\n"
	"  exportTo: [\".\"]\n"
	"  trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}")
	ISTIO("VirtualService", "dual", "default", "\n"
	"  hosts: [dual.default.svc.cluster.local]\n"
	"  tls: [{match: [{sniHosts: [dual.default.svc.cluster.local]}], " TO("db") "}]")
	/* Both take every name of the host: the most specific counts. */
	ISTIO("VirtualService", "two", "default", "\n"
	"  hosts: [two.default.svc.cluster.local]\n"
	"  tls:\n"
	"  - match: [{sniHosts: [two.default.svc.cluster.local, two.default.svc.cluster.local]}]\n"
	"    " TO("db") "\n"
	"  - match: [{sniHosts: [two.default.svc.cluster.local], sourceNamespace: b}]\n"
	"    " TO("other"))
	ISTIO("VirtualService", "unnumbered", "default", "\n"
	"  hosts: [unnumbered.default.svc.cluster.local, u.example.net]\n"
	"  tls: [{match: [{sniHosts: [u.example.net]}], " TO("db") "}]")
	ISTIO("VirtualService", "near", "default", "\n"
	"  hosts: [near.default.svc.cluster.local, foreign.default.svc.cluster.local, n.example.net]\n"
	"  tls: [{match: [{sniHosts: [n.example.net]}], " TO("db") "}]")
	/* The match says what the port carries, though there are rules for requests. */
	ISTIO("VirtualService", "odd", "default", "\n"
	"  hosts: [odd.default.svc.cluster.local, o.example.net]\n"
	"  http: [{route: [{destination: {host: other}}]}]\n"
	"  tls: [{match: [{port: 4443, sniHosts: [o.example.net]}], " TO("db") "}]");
/* clang-format on */

static struct http_tables t;

static void compile_text(void)
{
	http_tables_text(&t, rules);
	for (size_t i = 0; t.r && i < t.errors.count; i++)
		cr_expect(false, "%s", t.errors.items[i].text);
	cr_assert_eq(t.r, 0);
	cr_assert_not_null(t.snapshot);
}

static void done(void)
{
	http_tables_free(&t);
}

TestSuite(http_sni, .init = compile_text, .fini = done);

static void say_action(FILE *f, const struct hs_action *a)
{
	__u32 before = 0;

	for (__u32 i = 0; i < a->dests.count; i++) {
		const struct hs_dest *d = hs_dest(t.snapshot, a->dests.first + i);
		const struct hs_cluster *c = hs_cluster(t.snapshot, d->cluster);

		fprintf(f, " %u:%s", d->end - before,
			hs_text(t.snapshot, c->name) + strlen("outbound|"));
		before = d->end;
	}
}

/* "PASSTHROUGH default/through/tls[1] at tls[1].match[0] 80:443||web... 20:..." */
static char *said(const struct hs_server *server)
{
	static const char *const kinds[] = { [HS_SERVER_HTTP] = "HTTP",
					     [HS_SERVER_TCP] = "TCP",
					     [HS_SERVER_PASSTHROUGH] = "PASSTHROUGH" };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs(server ? kinds[server->kind] : "none", f);
	if (server && server->action != HS_NONE) {
		const struct hs_action *a = hs_action(t.snapshot, server->action);

		fprintf(f, " %s", hs_text(t.snapshot, a->name));
		if (server->place != HS_NONE)
			fprintf(f, " at %s",
				hs_text(t.snapshot, hs_place(t.snapshot, server->place)->route));
		say_action(f, a);
	}
	fclose(f);
	return text;
}

#define LOCAL ".default.svc.cluster.local"

Test(http_sni, a_gateway_goes_by_the_name_that_the_client_asks_for)
{
	static const struct {
		unsigned port;
		const char *sni, *want;
	} rows[] = {
		{ 443, "x.deep.through.test",
		  "PASSTHROUGH default/through/tls[1] at tls[1].match[0] 80:443||web" LOCAL
		  " 20:443||other" LOCAL },
		{ 443, "a.through.test",
		  "PASSTHROUGH default/through/tls[1] at tls[1].match[1] 80:443||web" LOCAL
		  " 20:443||other" LOCAL },
		/* A match for another gateway, and none at all: nowhere, rather than to *.test. */
		{ 443, "elsewhere.through.test", "PASSTHROUGH" },
		{ 443, "through.test", "HTTP" },
		{ 443, "web.through.test", "HTTP" },
		/* hosts of a server that are for one namespace's rules */
		{ 443, "in-b.test",
		  "PASSTHROUGH b/in-b/tls[0] at tls[0].match[0] "
		  "1:443||web.b.svc.cluster.local" },
		{ 443, "in-a.test", "HTTP" },
		{ 443, "db.test",
		  "TCP default/narrow/tcp[0] at tcp[0].match[0] 1:443||web" LOCAL
		  " 1:5432||db" LOCAL },
		{ 443, "nowhere.test", "TCP" },
		{ 443, "", "none" },
		{ 8443, "a.through.test",
		  "PASSTHROUGH default/through/tls[0] at tls[0].match[0] 1:9443||web" LOCAL },
		{ 8443, "b.through.test", "PASSTHROUGH" },
		{ 8443, "", "PASSTHROUGH" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct hs_listener *l = http_listener(t.snapshot, SCOPE_NODE, rows[i].port);
		_cleanup_free_ char *text = NULL;

		cr_assert_not_null(l);
		cr_expect(l->tls);
		cr_expect(l->peek);
		text = said(http_server_for(t.snapshot, l, NULL, http_span(rows[i].sni)));
		cr_expect_str_eq(text, rows[i].want, "%u %s: %s", rows[i].port, rows[i].sni, text);
	}
}

Test(http_sni, a_server_that_ends_tls_has_what_the_handshake_needs)
{
	const struct hs_listener *l = http_listener(t.snapshot, SCOPE_NODE, 443);
	const struct hs_server *db = http_server_for(t.snapshot, l, NULL, http_span("db.test"));

	cr_expect_str_eq(hs_text(t.snapshot, db->name), "default/gw servers[2]");
	cr_expect_str_eq(hs_text(t.snapshot, db->credential), "kubernetes://default/d");
	cr_expect_eq(db->mode, HS_TLS_MUTUAL);
	cr_expect_eq(db->min_version, 0x0304);
	for (__u32 i = 0; i < hs_count(t.snapshot, HS_SERVERS); i++)
		if (hs_server(t.snapshot, i)->kind == HS_SERVER_PASSTHROUGH)
			cr_expect_eq(hs_server(t.snapshot, i)->credential.len, 0);
}

static const struct hs_address *address_at(const char *text, unsigned port)
{
	struct addr addr;

	cr_assert_eq(addr_parse(text, &addr), 0);
	return http_address_at(t.snapshot, &addr, port);
}

static char *said_at(const char *address, unsigned port, const char *ns, const char *app,
		     const char *sni)
{
	const struct hs_address *row = address_at(address, port);
	struct kv kv = { .key = "app", .value = app };
	struct kvs labels = { &kv, app ? 1 : 0 };
	struct http_source source;

	cr_assert_not_null(row, "%s:%u", address, port);
	cr_assert(http_address_has_sni(row));
	http_source_given(t.snapshot, ns, &labels, &source);
	return said(http_server_at(t.snapshot, row, &source, http_span(sni)));
}

Test(http_sni, in_the_mesh_the_client_counts_too)
{
	static const struct {
		const char *address;
		unsigned port;
		const char *ns, *app, *sni, *want;
	} rows[] = {
		{ "10.96.0.1", 443, "default", "sleep", "a.example.com",
		  "PASSTHROUGH default/web/tls[0] at tls[0].match[0] 1:5432||db" LOCAL },
		{ "10.96.0.1", 443, "b", "sleep", "A.EXAMPLE.com.",
		  "PASSTHROUGH default/web/tls[0] at tls[0].match[0] 1:5432||db" LOCAL },
		{ "10.96.0.1", 443, "b", NULL, "a.example.com",
		  "PASSTHROUGH default/web/tls[1] at tls[1].match[0] 1:443||other" LOCAL },
		/* No match of the name holds for the client: the next less specific name. */
		{ "10.96.0.1", 443, "default", "x", "a.example.com",
		  "PASSTHROUGH default/web/tls[2] at tls[2].match[0] 1:443|v1|web" LOCAL
		  " 3:443||other" LOCAL },
		/* The address is in none of the subnets. */
		{ "10.96.0.1", 443, "default", "x", "b.deep.example.com",
		  "PASSTHROUGH default/web/tls[2] at tls[2].match[0] 1:443|v1|web" LOCAL
		  " 3:443||other" LOCAL },
		{ "10.96.0.1", 443, "default", "x", "example.com",
		  "PASSTHROUGH default/web:443 1:443||web" LOCAL },
		{ "10.96.0.1", 443, "default", "plain", "example.com",
		  "PASSTHROUGH default/web/tcp[0] at tcp[0].match[0] 1:443||dual" LOCAL },
		{ "10.96.0.1", 443, "default", "plain", "",
		  "PASSTHROUGH default/web/tcp[0] at tcp[0].match[0] 1:443||dual" LOCAL },
		{ "10.96.0.1", 443, "default", "x", "",
		  "PASSTHROUGH default/web:443 1:443||web" LOCAL },
		/* A port that says nothing of TLS, but that the match names. */
		{ "10.96.0.1", 9443, "default", "x", "p.example.com",
		  "PASSTHROUGH default/web/tls[4] at tls[4].match[0] 1:443||dual" LOCAL },
		{ "10.96.0.1", 9443, "default", "sleep", "a.example.com",
		  "PASSTHROUGH default/web:9443 1:9443||web" LOCAL },
		/* Rules of one namespace alone. */
		{ "10.96.0.2", 5432, "b", NULL, "x.example.org",
		  "PASSTHROUGH b/own/tls[0] at tls[0].match[0] 1:443||web.b.svc.cluster.local" },
		{ "10.96.0.2", 5432, "default", NULL, "x.example.org",
		  "PASSTHROUGH default/db:5432 1:5432||db" LOCAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *text = said_at(rows[i].address, rows[i].port, rows[i].ns,
						    rows[i].app, rows[i].sni);

		cr_expect_str_eq(text, rows[i].want, "%s:%u %s/%s %s: %s", rows[i].address,
				 rows[i].port, rows[i].ns, rows[i].app ? rows[i].app : "",
				 rows[i].sni, text);
	}
}

/* A DestinationRule that only one namespace sees. */
Test(http_sni, the_service_itself_is_what_the_client_sees_of_it)
{
	static const struct {
		const char *ns;
		__u32 max;
	} rows[] = { { "b", 7 }, { "default", 0 } };

	for (size_t i = 0; i < 2; i++) {
		const struct hs_address *row = address_at("10.96.0.2", 5432);
		const struct hs_server *server;
		const struct hs_action *a;
		struct http_source source;

		http_source_given(t.snapshot, rows[i].ns, NULL, &source);
		server = http_server_at(t.snapshot, row, &source, http_span("y.example.org"));
		cr_assert_not_null(server);
		a = hs_action(t.snapshot, server->action);
		cr_expect_eq(hs_cluster(t.snapshot, hs_dest(t.snapshot, a->dests.first)->cluster)
				     ->max_connections,
			     rows[i].max, "%s", rows[i].ns);
	}
}

static enum rule_action kernel_rule(const char *text, unsigned port)
{
	struct service_key key = { .port = port, .scope = SCOPE_MESH };

	cr_assert_eq(addr_parse(text, &key.addr), 0);
	for (size_t i = 0; i < t.tables->services.count; i++) {
		const struct service_entry *e = &t.tables->services.items[i];

		if (!memcmp(&e->key, &key, sizeof(key)))
			return t.tables->rules.items[e->value.rule_first].action;
	}
	cr_assert(false, "%s:%u", text, port);
	return RULE_PASS;
}

/* Where every name that clients may give is taken, the kernel needs no SNI. */
Test(http_sni, only_what_asks_for_the_sni_goes_through_the_proxy)
{
	cr_expect_eq(kernel_rule("10.96.0.1", 443), RULE_PROXY);
	cr_expect_eq(kernel_rule("10.96.0.1", 9443), RULE_PROXY);
	cr_expect_eq(kernel_rule("10.96.0.2", 5432), RULE_PROXY);
	cr_expect_eq(kernel_rule("10.96.0.3", 443), RULE_ROUTE);
	cr_expect_eq(kernel_rule("10.96.0.4", 443), RULE_ROUTE);
	cr_expect_eq(kernel_rule("10.96.0.5", 443), RULE_PROXY);
	cr_expect_null(address_at("10.96.0.3", 443));
	cr_expect_null(address_at("10.96.0.4", 443));
}

/* The endpoints of this node alone are no reason not to look: those of another proxy's are. */
Test(http_sni, a_service_of_this_node_alone_has_its_tls_rules)
{
	const struct hs_address *row = address_at("10.96.0.7", 443);

	cr_expect_eq(kernel_rule("10.96.0.7", 443), RULE_PROXY);
	cr_assert_not_null(row);
	cr_expect(http_address_has_sni(row));
	cr_expect_null(address_at("10.96.0.8", 443));
}

Test(http_sni, a_match_that_names_a_port_says_that_it_carries_tls)
{
	const struct hs_address *row = address_at("10.96.0.6", 4443);

	cr_assert_not_null(row);
	cr_expect(http_address_has_sni(row));
	row = address_at("10.96.0.6", 4444);
	cr_assert_not_null(row);
	cr_expect_not(http_address_has_sni(row), "it is HTTP's");
}

/* ---- explain ---- */

static char *explained(const struct explain_query *q, int *r)
{
	static const struct explain_request none = { 0 };
	struct errors errors = { 0 };
	json_auto_t *json = NULL;
	char *text;

	*r = explain_http(t.snapshot, t.tables, &t.objects, q, &none, NULL, &json, &errors);
	text = *r == -ENOENT && errors.count ? strdup(errors.items[0].text)
	       : *r			     ? strdup("")
					     : explain_http_text(json);
	errors_free(&errors);
	return text;
}

Test(http_sni, explain_says_which_rule_the_name_chooses)
{
	static const struct kv sleep = { .key = "app", .value = "sleep" };
	static const struct kvs labels = { (struct kv *)&sleep, 1 };
	static const struct {
		struct explain_query q;
		int r;
		const char *want[4]; /* all of them */
	} rows[] = {
		{ { .gateway = "gw", .host = "a.through.test", .port = 443 },
		  0,
		  { "protocol: tls\ntls: PASSTHROUGH at gateway default/gw servers[0], the client "
		    "asks for a.through.test\naction: no_endpoint UH: web" LOCAL " has no endpoint",
		    "rule: VirtualService default/through tls[1] \"named\" (t.yaml:",
		    "80      web" LOCAL ":443", "20      other" LOCAL ":443" } },
		{ { .gateway = "gw", .host = "x", .sni = "elsewhere.through.test", .port = 443 },
		  0,
		  { "action: refuse NR: no tls rule has the name: the connection is closed" } },
		{ { .gateway = "gw", .host = "db.test", .port = 443 },
		  0,
		  { "tls: MUTUAL at gateway default/gw servers[2], with kubernetes://default/d, "
		    "the "
		    "client asks for db.test\n",
		    "rule: VirtualService default/narrow tcp[0] (" } },
		{ { .gateway = "gw", .host = "nowhere.test", .port = 443 },
		  0,
		  { "action: refuse NR: no tcp rule is for the server: the connection is "
		    "closed" } },
		{ { .gateway = "gw", .host = "web.through.test", .port = 443 },
		  0,
		  { "protocol: http\ntls: SIMPLE at gateway default/gw servers[1], with "
		    "kubernetes://default/c\n" } },
		{ { .gateway = "gw", .host = "none", .port = 443 },
		  -ENOENT,
		  { "no server of TLS at port 443 has \"none\": the handshake fails" } },
		{ { .host = "web", .sni = "a.example.com", .labels = &labels, .port = 443 },
		  0,
		  { "tls: PASSTHROUGH, the client asks for a.example.com\naction: route\n"
		    "rule: VirtualService default/web tls[0] (",
		    "100     db" LOCAL ":5432", "10.244.0.2:5432" } },
		{ { .address = "10.96.0.1", .sni = "A.example.com.", .port = 443 },
		  0,
		  { "rule: VirtualService default/web tls[2] (",
		    "web tls[0].match[0]: sourceLabels: the client does not have app=sleep\n",
		    "web tls[1].match[0]: sourceNamespace: 'default' is not 'b'\n" } },
		{ { .host = "web", .port = 443 },
		  0,
		  { "the client asks for web\naction: no_endpoint UH",
		    "rule: Service default/web (",
		    "web tls[0].match[0]: sniHosts: 'web' is not 'a.example.com'\n",
		    "web tls[2].match[0]: sniHosts: 'web' is not '*.example.com'\n" } },
		{ { .address = "10.96.0.1", .port = 443 }, 0, { "the client asks for no name\n" } },
		{ { .host = "unnumbered", .sni = "u.example.net", .port = 443 },
		  0,
		  { "rule: VirtualService default/unnumbered tls[0] (" } },
		{ { .host = "dual", .sni = "dual", .port = 443 }, -EPROTONOSUPPORT, { NULL } },
		{ { .host = "other", .port = 443 }, -EPROTONOSUPPORT, { NULL } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r;
		_cleanup_free_ char *text = explained(&rows[i].q, &r);

		cr_expect_eq(r, rows[i].r, "%zu: %d", i, r);
		for (size_t k = 0; k < 4 && rows[i].want[k]; k++)
			cr_expect(strstr(text, rows[i].want[k]), "%zu: no \"%s\" in\n%s", i,
				  rows[i].want[k], text);
	}
}

Test(http_sni, explain_gives_a_connection_no_status)
{
	static const struct explain_request none = { 0 };
	const struct explain_query q = { .gateway = "gw", .host = "a.through.test", .port = 443 };
	struct errors errors = { 0 };
	json_auto_t *json = NULL;
	const json_t *tls;

	cr_assert_eq(
		explain_http(t.snapshot, t.tables, &t.objects, &q, &none, NULL, &json, &errors), 0);
	tls = json_object_get(json, "tls");
	cr_expect_null(json_object_get(json, "status"));
	cr_expect_null(json_object_get(json_array_get(json_object_get(json, "destinations"), 0),
				       "status"));
	cr_expect_str_eq(json_string_value(json_object_get(json, "response_flags")), "UH");
	cr_expect_str_eq(json_string_value(json_object_get(tls, "sni")), "a.through.test");
	cr_expect_str_eq(json_string_value(json_object_get(tls, "mode")), "PASSTHROUGH");
	errors_free(&errors);
}

/* Though it has rows for another namespace, too. */
Test(http_sni, explain_does_not_skip_the_rule_that_it_chooses)
{
	const struct explain_query q = { .host = "web", .sni = "x.example.com", .port = 443 };
	int r;
	_cleanup_free_ char *text = explained(&q, &r);

	cr_expect_eq(r, 0);
	cr_expect(strstr(text, "rule: VirtualService default/web tls[2] ("), "%s", text);
	cr_expect_null(strstr(text, "skipped:"), "%s", text);
}

/* ---- snapshots that are out of order ---- */

static int open_bytes(const char *bytes)
{
	struct http_snapshot *s = NULL;
	int r = http_snapshot_open(bytes, t.snapshot->header->size, &s);

	http_snapshot_close(s);
	return r;
}

/* Of that kind, and with a route or without. */
static struct hs_server *server_in(char *bytes, __u32 kind, bool routed)
{
	const struct hs_header *h = (const struct hs_header *)bytes;
	struct hs_server *rows = (struct hs_server *)(bytes + h->tables[HS_SERVERS].at);

	for (__u32 i = 0; i < h->tables[HS_SERVERS].count; i++)
		if (rows[i].kind == kind && (rows[i].action != HS_NONE) == routed)
			return &rows[i];
	cr_assert(false, "no such server");
	return NULL;
}

static void no_kind(char *bytes)
{
	server_in(bytes, HS_SERVER_TCP, true)->kind = 0;
}

static void another_kind(char *bytes)
{
	server_in(bytes, HS_SERVER_PASSTHROUGH, true)->kind = HS_SERVER_PASSTHROUGH + 1;
}

/* One of a Gateway, whose listener has been told of it, or one that is to end what it can't. */
static void nothing_to_end_tls_with(char *bytes)
{
	server_in(bytes, HS_SERVER_PASSTHROUGH, false)->kind = HS_SERVER_TCP;
}

static void requests_with_a_route(char *bytes)
{
	server_in(bytes, HS_SERVER_HTTP, false)->action = 0;
}

static void no_such_route(char *bytes)
{
	server_in(bytes, HS_SERVER_TCP, true)->action =
		((struct hs_header *)bytes)->tables[HS_ACTIONS].count;
}

static void no_such_place(char *bytes)
{
	server_in(bytes, HS_SERVER_TCP, true)->place =
		((struct hs_header *)bytes)->tables[HS_PLACES].count;
}

static void an_answer_in_place_of_a_route(char *bytes)
{
	const struct hs_header *h = (const struct hs_header *)bytes;
	struct hs_action *rows = (struct hs_action *)(bytes + h->tables[HS_ACTIONS].at);
	struct hs_action *a = &rows[server_in(bytes, HS_SERVER_TCP, true)->action];

	a->type = HS_DIRECT_RESPONSE;
	a->status = 200;
}

/* TLS that goes on would be ended. */
static void an_unread_hello(char *bytes)
{
	const struct hs_header *h = (const struct hs_header *)bytes;
	struct hs_listener *rows = (struct hs_listener *)(bytes + h->tables[HS_LISTENERS].at);

	for (__u32 i = 0; i < h->tables[HS_LISTENERS].count; i++)
		rows[i].peek = 0;
}

static void no_such_match(char *bytes)
{
	const struct hs_header *h = (const struct hs_header *)bytes;
	struct hs_sni *rows = (struct hs_sni *)(bytes + h->tables[HS_SNI].at);

	rows[0].match = h->tables[HS_MATCHES].count;
}

/* Of a service, that would end TLS. */
static void a_certificate_in_the_mesh(char *bytes)
{
	const struct hs_header *h = (const struct hs_header *)bytes;
	struct hs_address *row = (struct hs_address *)(bytes + h->tables[HS_ADDRESSES].at);
	struct hs_sni *names = (struct hs_sni *)(bytes + h->tables[HS_SNI].at);
	const struct hs_server *first =
		(const struct hs_server *)(bytes + h->tables[HS_SERVERS].at);

	while (!row->sni_wild.count)
		row++;
	names[row->sni_wild.first].server = (__u32)(server_in(bytes, HS_SERVER_TCP, true) - first);
}

Test(http_sni, what_no_reader_could_carry_out_is_refused)
{
	static const struct {
		const char *what;
		void (*damage)(char *bytes);
	} rows[] = {
		{ "no kind", no_kind },
		{ "another kind", another_kind },
		{ "nothing to end TLS with", nothing_to_end_tls_with },
		{ "requests with a route", requests_with_a_route },
		{ "no such route", no_such_route },
		{ "no such place", no_such_place },
		{ "an answer in place of a route", an_answer_in_place_of_a_route },
		{ "an unread hello", an_unread_hello },
		{ "no such match", no_such_match },
		{ "a certificate in the mesh", a_certificate_in_the_mesh },
	};
	_cleanup_free_ char *copy = malloc(t.snapshot->header->size);

	memcpy(copy, t.snapshot->header, t.snapshot->header->size);
	cr_assert_eq(open_bytes(copy), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memcpy(copy, t.snapshot->header, t.snapshot->header->size);
		rows[i].damage(copy);
		cr_expect_eq(open_bytes(copy), -EBADMSG, "%s", rows[i].what);
	}
}
