// SPDX-License-Identifier: Apache-2.0
/*
 * What a DestinationRule's tls becomes: rows of the snapshot, and ports that weft-proxy has.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/route/route.h"
#include "test_compile_util.h"
#include "weft/policy.h"

/* clang-format off */
#define SERVICE(name, ip)                                                                  \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: default}\n"  \
	"spec: {clusterIP: " ip ", selector: {app: " name "}, ports: [{name: http, port: 80}, " \
	"{name: tcp, port: 9000}, {name: tcp-b, port: 9001}]}\n---\n"
#define ISTIO(kind, name, spec)                                                      \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name \
	", namespace: default}\nspec: " spec "\n---\n"
#define RULE(host, policy) ISTIO("DestinationRule", host, "{host: " host ", trafficPolicy: {" policy "}}")
/* clang-format on */

static struct compiled c;

static void done(void)
{
	compiled_free(&c);
}

TestSuite(http_client_tls, .fini = done);

static const struct http_snapshot *compiled_rules(const char *rules)
{
	char *text;

	compiled_text(&c, rules);
	text = errors_text(&c.errors);
	cr_assert_eq(c.r, 0, "%s", text);
	free(text);
	return c.tables->http;
}

/* The first row of that name's clusters with TLS, or without (NULL); `skip` of them are passed. */
static const struct hs_client_tls *tls_of(const char *cluster, unsigned skip)
{
	const struct http_snapshot *s = c.tables->http;

	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++) {
		const struct hs_cluster *row = hs_cluster(s, i);

		if (!strcmp(hs_text(s, row->name), cluster) && !skip--)
			return row->client_tls ? hs_client_tls(s, row->client_tls - 1) : NULL;
	}
	cr_assert_fail("there is no %s", cluster);
	return NULL;
}

static bool is_proxied(const char *ip, unsigned port)
{
	const struct tables *t = c.tables;
	struct addr a;

	cr_assert_eq(addr_parse(ip, &a), 0);
	for (size_t i = 0; i < t->services.count; i++) {
		const struct service_entry *e = &t->services.items[i];

		if (!memcmp(&e->key.addr, &a, sizeof(a)) && e->key.port == port)
			return t->rules.items[e->value.rule_first].action == RULE_PROXY;
	}
	return false;
}

static void want(const struct hs_client_tls *row, __u32 mode, const char *credential,
		 const char *ca, const char *sni, bool checks)
{
	const struct http_snapshot *s = c.tables->http;

	cr_assert(row);
	cr_expect_eq(row->mode, mode);
	cr_expect_str_eq(hs_text(s, row->credential), credential);
	cr_expect_str_eq(hs_text(s, row->ca), ca);
	cr_expect_str_eq(hs_text(s, row->sni), sni);
	cr_expect_eq(row->check_host, checks);
}

#define CLUSTER(host, port) "outbound|" port "||" host ".default.svc.cluster.local"

Test(http_client_tls, a_rule_is_for_all_ports_and_a_port_for_itself)
{
	compiled_rules(
		SERVICE("a", "10.96.0.1") SERVICE("b", "10.96.0.2") SERVICE("c", "10.96.0.3")
			RULE("a", "tls: {mode: SIMPLE}")
				RULE("b", "tls: {mode: SIMPLE, sni: x}, portLevelSettings: [{port: "
					  "{number: 9000}, tls: {mode: DISABLE}}]")
					RULE("c", "portLevelSettings: [{port: {number: 9001}, tls: "
						  "{mode: SIMPLE, insecureSkipVerify: true}}]"));
	want(tls_of(CLUSTER("a", "80"), 0), HS_TLS_SIMPLE, "", "system://", "", true);
	want(tls_of(CLUSTER("a", "9000"), 0), HS_TLS_SIMPLE, "", "system://", "", true);
	want(tls_of(CLUSTER("b", "80"), 0), HS_TLS_SIMPLE, "", "system://", "x", false);
	want(tls_of(CLUSTER("c", "9001"), 0), HS_TLS_SIMPLE, "", "", "", false);
	cr_expect(is_proxied("10.96.0.1", 80) && is_proxied("10.96.0.1", 9000));
	cr_expect(is_proxied("10.96.0.3", 9001));
	cr_expect_not(is_proxied("10.96.0.3", 9000), "the kernel's alone");
	cr_expect_not(is_proxied("10.96.0.3", 80));
}

Test(http_client_tls, nobody_looks_at_what_a_tunnel_carries)
{
	const struct http_snapshot *s =
		compiled_rules(SERVICE("a", "10.96.0.1") RULE("a", "tls: {mode: SIMPLE}"));
	struct addr a;
	const struct hs_address *at;

	cr_assert_eq(addr_parse("10.96.0.1", &a), 0);
	at = http_address_at(s, &a, 9000);
	cr_assert(at);
	cr_expect(http_address_has_sni(at) && http_address_is_opaque(s, at));
	cr_expect_not(http_address_has_sni(http_address_at(s, &a, 80)));
}

Test(http_client_tls, files_are_those_of_the_mode)
{
	compiled_rules(SERVICE("a", "10.96.0.1") SERVICE("b", "10.96.0.2") RULE(
		"a", "tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: "
		     "/ca, caCrl: /crl, subjectAltNames: [x, y]}")
			       RULE("b", "tls: {mode: SIMPLE, clientCertificate: /c, privateKey: "
					 "/k, caCertificates: system, caCrl: /crl}"));
	want(tls_of(CLUSTER("a", "80"), 0), HS_TLS_MUTUAL, "file:///c;/k;/ca;/crl",
	     "file:///c;/k;/ca;/crl", "", false);
	cr_expect_eq(tls_of(CLUSTER("a", "80"), 0)->alt_names.count, 2);
	want(tls_of(CLUSTER("b", "80"), 0), HS_TLS_SIMPLE, "file://;;;/crl", "system://", "", true);
}

#define DOOR(kind, protocol)                                                                  \
	ISTIO("Gateway", "gw",                                                                \
	      "{selector: {istio: ingressgateway}, servers: [{port: {number: 8080, name: a, " \
	      "protocol: " protocol "}, hosts: [\"*\"]}]}")                                   \
	ISTIO("VirtualService", "gw",                                                         \
	      "{hosts: [\"*\"], gateways: [gw], " kind                                        \
	      ": [{route: [{destination: {host: a, port: "                                    \
	      "{number: 80}}}]}]}")

Test(http_client_tls, a_secret_is_for_gateways)
{
	compiled_rules(SERVICE("a", "10.96.0.1") DOOR("http", "HTTP")
			       RULE("a", "tls: {mode: MUTUAL, credentialName: mine}"));
	cr_expect_not(is_proxied("10.96.0.1", 9000), "clients in the mesh speak none");
	cr_expect_eq(hs_count(c.tables->http, HS_CLIENT_TLS), 1);
	want(hs_client_tls(c.tables->http, 0), HS_TLS_MUTUAL, "kubernetes://default/mine",
	     "kubernetes://default/mine", "", true);
}

Test(http_client_tls, a_gateway_of_plain_tcp_is_refused)
{
	char *text;

	compiled_text(&c, SERVICE("a", "10.96.0.1") DOOR("tcp", "TCP")
				  RULE("a", "tls: {mode: SIMPLE}"));
	text = errors_text(&c.errors);
	cr_expect_eq(c.r, -EINVAL);
	cr_expect(strstr(text, "does not carry out the tls of a DestinationRule"), "%s", text);
	free(text);
}

Test(http_client_tls, tcp_rules_that_lead_to_it_go_to_the_proxy)
{
	compiled_rules(SERVICE("a", "10.96.0.1") SERVICE("b", "10.96.0.2") ISTIO(
		"DestinationRule", "a",
		"{host: a, subsets: [{name: s, trafficPolicy: {tls: {mode: SIMPLE}}}]}")
			       ISTIO("VirtualService", "b",
				     "{hosts: [b], tcp: [{route: [{destination: {host: a, subset: "
				     "s, port: {number: 9000}}}]}]}"));
	cr_expect(is_proxied("10.96.0.2", 9000));
	cr_expect_not(is_proxied("10.96.0.1", 9000), "no rule leads to the subset from there");
	want(tls_of("outbound|9000|s|a.default.svc.cluster.local", 0), HS_TLS_SIMPLE, "",
	     "system://", "", true);
}

#define ENTRY(name, spec)                                                                \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name \
	", namespace: default}\nspec: {hosts: [" name                                    \
	".example.com], resolution: STATIC, endpoints: "                                 \
	"[{address: 192.0.2.1}], " spec "}\n---\n"
#define TCP "ports: [{number: 9000, name: tcp, protocol: TCP}]"

static void refused(const char *rules, const char *why)
{
	char *text;

	compiled_text(&c, rules);
	text = errors_text(&c.errors);
	cr_expect_eq(c.r, -EINVAL, "%s", why);
	cr_expect(strstr(text, why), "%s", text);
	free(text);
	compiled_free(&c);
}

Test(http_client_tls, what_is_called_at_no_single_address_gets_no_tls)
{
	static const char why[] = "spec.trafficPolicy.tls: weft does not carry out tls for port "
				  "9000 of \"out.example.com\"";

	refused(ENTRY("out", "addresses: [198.51.101.0/24], " TCP)
			RULE("out.example.com", "tls: {mode: SIMPLE}"),
		why);
	refused(ENTRY("out", "addresses: [198.51.101.0/24, 198.51.100.1], " TCP)
			RULE("out.example.com", "portLevelSettings: [{port: {number: 9000}, tls: "
						"{mode: SIMPLE}}]"),
		why);
	refused(ENTRY("out", TCP) RULE("out.example.com", "tls: {mode: SIMPLE}"), why);
	refused(ENTRY("out", "addresses: [198.51.101.0/24], " TCP) SERVICE("a", "10.96.0.1")
			RULE("a", "tls: {mode: SIMPLE}")
				ISTIO("VirtualService", "out",
				      "{hosts: [out.example.com], tcp: [{route: [{destination: "
				      "{host: a, port: {number: 9000}}}]}]}"),
		"spec.tcp: weft does not carry out rules that");
	refused(ENTRY("out", "addresses: [198.51.101.0/24], ports: [{number: 9000, name: tls, "
			     "protocol: TLS}]")
			ISTIO("VirtualService", "out",
			      "{hosts: [out.example.com], tls: [{match: [{port: 9000, sniHosts: "
			      "[out.example.com]}], route: [{destination: {host: "
			      "out.example.com}}]}], tcp: [{route: [{destination: {host: "
			      "out.example.com}}]}]}"),
		"spec.tls: weft does not carry out rules that");
	compiled_rules(ENTRY("out", "addresses: [198.51.100.1], " TCP)
			       RULE("out.example.com", "tls: {mode: SIMPLE}"));
	cr_expect(is_proxied("198.51.100.1", 9000));
}

Test(http_client_tls, a_service_entry_says_who_its_servers_are)
{
	const struct hs_client_tls *row;

	compiled_rules(
		ENTRY("out", "subjectAltNames: [x, y], addresses: [198.51.100.1], ports: [{number: "
			     "80, name: http, protocol: HTTP}, {number: 9000, name: tcp, protocol: "
			     "TCP}]")
			ENTRY("own", "subjectAltNames: [x, y], addresses: [198.51.100.2], " TCP)
				RULE("out.example.com", "tls: {mode: SIMPLE}")
					RULE("own.example.com",
					     "tls: {mode: SIMPLE, subjectAltNames: [z]}"));
	row = tls_of("outbound|80||out.example.com", 0);
	want(row, HS_TLS_SIMPLE, "", "system://", "", false);
	cr_assert_eq(row->alt_names.count, 2);
	cr_expect_str_eq(hs_text(c.tables->http,
				 hs_text_row(c.tables->http, row->alt_names.first + 1)->text),
			 "y");
	cr_expect_eq(tls_of("outbound|9000||out.example.com", 0)->alt_names.count, 2);
	row = tls_of("outbound|9000||own.example.com", 0);
	cr_assert_eq(row->alt_names.count, 1);
	cr_expect_str_eq(hs_text(c.tables->http,
				 hs_text_row(c.tables->http, row->alt_names.first)->text),
			 "z");
}

Test(http_client_tls, files_are_beneath_the_directory)
{
	static const struct {
		const char *dir, *tls, *wrong; /* NULL: it is right */
	} rows[] = {
		{ "/etc/certs", "caCertificates: /etc/certs/ca.pem", NULL },
		{ "/etc/certs/", "caCertificates: /etc/certs//a..b/ca.pem", NULL },
		{ "", "caCertificates: system", NULL },
		{ "", "clientCertificate: /read/by/nobody", NULL },
		{ "", "caCertificates: /etc/certs/ca.pem", "caCertificates" },
		{ "/etc/certs", "caCertificates: /etc/certs", "caCertificates" },
		{ "/etc/certs", "caCertificates: /etc/certs-of-others/ca", "caCertificates" },
		{ "/etc/certs", "caCertificates: /etc/certs/../shadow", "caCertificates" },
		{ "/etc/certs", "caCertificates: /etc/certs/a/..", "caCertificates" },
		{ "/etc/certs", "caCertificates: certs/ca.pem", "caCertificates" },
		{ "/etc/certs", "caCertificates: etc/certs/ca.pem", NULL },
		{ "/", "caCertificates: ca.pem", NULL },
		{ "/", "caCertificates: ../ca.pem", "caCertificates" },
		{ "/", "caCertificates: /", "caCertificates" },
		{ "/etc/certs", "caCrl: /etc/crl", "caCrl" },
		{ "/c", "mode: MUTUAL, clientCertificate: /x, privateKey: /c/k",
		  "clientCertificate" },
		{ "/c", "mode: MUTUAL, clientCertificate: /c/x, privateKey: /k", "privateKey" },
	};
	char rules[1024], wrong[128], *text;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *mode = strstr(rows[i].tls, "mode") ? "" : "mode: SIMPLE, ";

		snprintf(rules, sizeof(rules), SERVICE("a", "10.96.0.1") RULE("a", "tls: {%s%s}"),
			 mode, rows[i].tls);
		c.objects.client_tls_dir = rows[i].dir;
		compiled_text(&c, rules);
		text = errors_text(&c.errors);
		cr_expect_eq(c.r, rows[i].wrong ? -EINVAL : 0, "row %zu: %s", i, text);
		snprintf(wrong, sizeof(wrong), "spec.trafficPolicy.tls.%s: expected a file beneath",
			 rows[i].wrong ? rows[i].wrong : "");
		cr_expect_eq(!!strstr(text, wrong), !!rows[i].wrong, "row %zu: %s", i, text);
		free(text);
		compiled_free(&c);
	}
}
