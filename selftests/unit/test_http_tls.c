// SPDX-License-Identifier: Apache-2.0
/*
 * HTTPS servers of Gateways: which one the ClientHello chooses, what its requests may ask for, and
 * what of `tls` reaches the snapshot.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "test_http_util.h"

static const char rules[] =
	"apiVersion: networking.istio.io/v1\n"
	"kind: Gateway\n"
	"metadata: {name: gw, namespace: default}\n"
	"spec:\n"
	"  selector: {istio: ingressgateway}\n"
	"  servers:\n"
	"  - port: {number: 443, name: a, protocol: HTTPS}\n"
	"    hosts: [a.example.com, \"default/Short.example.com\"]\n"
	"    tls: {mode: SIMPLE, credentialName: a}\n"
	"  - port: {number: 443, name: wild, protocol: HTTPS}\n"
	"    hosts: [\"*.example.com\"]\n"
	"    tls:\n"
	"      mode: MUTUAL\n"
	"      credentialName: wild\n"
	"      caCrl: /crl.pem\n"
	"      minProtocolVersion: TLSV1_3\n"
	"      cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, unheard-of, AES256-SHA]\n"
	"      subjectAltNames: [client.example.com, spiffe://cluster.local/ns/x/sa/y]\n"
	"      verifyCertificateSpki: [AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=]\n"
	"      verifyCertificateHash:\n"
	"      - "
	"AA:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
	"00:00:00:bB\n"
	"  - port: {number: 443, name: narrow, protocol: HTTPS}\n"
	"    hosts: [\"*.deep.example.com\", a.example.com]\n"
	"    tls: {mode: OPTIONAL_MUTUAL, credentialName: narrow, maxProtocolVersion: TLSV1_2}\n"
	"  - port: {number: 8443, name: all, protocol: HTTPS}\n"
	"    hosts: [\"*\"]\n"
	"    tls:\n"
	"      mode: SIMPLE\n"
	"      serverCertificate: /c.pem\n"
	"      privateKey: /k.pem\n"
	"      caCertificates: /ca.pem\n"
	"      minProtocolVersion: TLSV1_0\n"
	"      subjectAltNames: [client.example.com]\n"
	"      verifyCertificateSpki: [AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=]\n"
	"---\n"
	"apiVersion: networking.istio.io/v1\n"
	"kind: VirtualService\n"
	"metadata: {name: a, namespace: default}\n"
	"spec:\n"
	"  hosts: [a.example.com]\n"
	"  gateways: [gw]\n"
	"  http: [{directResponse: {status: 201}}]\n"
	"---\n"
	"apiVersion: networking.istio.io/v1\n"
	"kind: VirtualService\n"
	"metadata: {name: b, namespace: default}\n"
	"spec:\n"
	"  hosts: [b.example.com, x.deep.example.com, short.example.com]\n"
	"  gateways: [gw]\n"
	"  http:\n"
	"  - match: [{scheme: {exact: https}, port: 443}]\n"
	"    directResponse: {status: 202}\n"
	"  - match: [{port: 8443}]\n"
	"    directResponse: {status: 203}\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Secret\n"
	"metadata: {name: a, namespace: istio-system}\n"
	"type: kubernetes.io/tls\n"
	"data: {tls.crt: Yw==, tls.key: aw==}\n";

static struct http_tables t;

static void compile_rules_text(void)
{
	http_tables_text(&t, rules);
	cr_assert_eq(t.r, 0);
	cr_assert_not_null(t.snapshot);
}

static void done(void)
{
	http_tables_free(&t);
}

TestSuite(http_tls, .init = compile_rules_text, .fini = done);

static const struct hs_server *server_of(unsigned port, const char *sni)
{
	const struct hs_listener *l = http_listener(t.snapshot, SCOPE_NODE, port);

	cr_assert_not_null(l);
	cr_assert(l->tls);
	return http_server_for(t.snapshot, l, NULL, http_span(sni));
}

Test(http_tls, the_most_specific_name_chooses_the_server)
{
	static const struct {
		unsigned port;
		const char *sni, *server; /* NULL: none */
	} rows[] = {
		{ 443, "a.example.com", "default/gw servers[0]" },
		{ 443, "A.Example.COM", "default/gw servers[0]" },
		{ 443, "a.example.com.", "default/gw servers[0]" },
		{ 443, "short.example.com", "default/gw servers[0]" },
		{ 443, "b.example.com", "default/gw servers[1]" },
		{ 443, "x.deep.example.com", "default/gw servers[2]" },
		{ 443, "deep.example.com", "default/gw servers[1]" },
		{ 443, "example.com", NULL },
		{ 443, "a.example.org", NULL },
		{ 443, "", NULL },
		{ 8443, "a.example.org", "default/gw servers[3]" },
		{ 8443, "", "default/gw servers[3]" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct hs_server *s = server_of(rows[i].port, rows[i].sni);

		cr_expect_str_eq(s ? hs_text(t.snapshot, s->name) : "none",
				 rows[i].server ? rows[i].server : "none", "%u %s", rows[i].port,
				 rows[i].sni);
	}
}

Test(http_tls, a_request_is_matched_by_the_hosts_of_its_server)
{
	static const struct {
		unsigned port;
		const char *sni, *host, *said;
	} rows[] = {
		{ 443, "a.example.com", "a.example.com", "201" },
		{ 443, "a.example.com", "a.example.com:443", "201" },
		{ 443, "a.example.com", "short.example.com", "202" },
		/* Another server's. */
		{ 443, "a.example.com", "b.example.com", "421" },
		{ 443, "b.example.com", "b.example.com", "202" },
		{ 443, "x.deep.example.com", "b.example.com", "421" },
		{ 443, "x.deep.example.com", "x.deep.example.com", "202" },
		/* Served by the wildcard, too. */
		{ 443, "b.example.com", "a.example.com", "201" },
		/* Nobody's. */
		{ 443, "a.example.com", "elsewhere.org", "404" },
		{ 443, "b.example.com", "c.example.com", "404" },
		{ 443, "elsewhere.org", "a.example.com", "unrecognized_name" },
		{ 443, NULL, "a.example.com", "unrecognized_name" },
		{ 8443, NULL, "b.example.com", "203" },
		{ 8443, NULL, "nothing.org", "404" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct http_ask ask = { .from = "gateway",
					      .scheme = "https",
					      .port = rows[i].port,
					      .sni = rows[i].sni,
					      .host = rows[i].host };
		_cleanup_free_ char *said = http_said(&t, &ask);

		cr_expect_str_eq(said, rows[i].said, "%s asked for, Host %s: %s",
				 rows[i].sni ? rows[i].sni : "nothing", rows[i].host, said);
	}
}

static const char *nth_text(struct hs_range list, __u32 i)
{
	return i < list.count ? hs_text(t.snapshot, hs_text_row(t.snapshot, list.first + i)->text)
			      : "none";
}

Test(http_tls, the_snapshot_has_what_the_handshake_needs)
{
	const struct hs_server *a = server_of(443, "a.example.com");
	const struct hs_server *wild = server_of(443, "b.example.com");
	const struct hs_server *narrow = server_of(443, "x.deep.example.com");
	const struct hs_server *all = server_of(8443, "");

	cr_expect_eq(a->mode, HS_TLS_SIMPLE);
	cr_expect_eq(a->min_version, 0x0303);
	cr_expect_eq(a->max_version, 0x0304);
	cr_expect_eq(a->ciphers.len, 0);
	cr_expect_eq(a->alt_names.count + a->spkis.count + a->hashes.count, 0);
	/* Where no namespace is weft's own: the Gateway's, or istio-system if only that has it. */
	cr_expect_str_eq(hs_text(t.snapshot, a->credential), "kubernetes://istio-system/a");
	cr_expect_str_eq(hs_text(t.snapshot, wild->credential), "kubernetes://default/wild");
	cr_expect_str_eq(hs_text(t.snapshot, all->credential), "file:///c.pem;/k.pem;/ca.pem;");

	cr_expect_eq(wild->mode, HS_TLS_MUTUAL);
	cr_expect_eq(wild->min_version, 0x0304);
	cr_expect_str_eq(hs_text(t.snapshot, wild->ciphers),
			 "ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA");
	cr_expect_str_eq(nth_text(wild->alt_names, 0), "client.example.com");
	cr_expect_str_eq(nth_text(wild->alt_names, 1), "spiffe://cluster.local/ns/x/sa/y");
	cr_expect_str_eq(nth_text(wild->spkis, 0), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	cr_expect_str_eq(nth_text(wild->hashes, 0),
			 "aa0000000000000000000000000000000000000000000000"
			 "00000000000000bb");

	cr_expect_eq(narrow->mode, HS_TLS_OPTIONAL_MUTUAL);
	cr_expect_eq(narrow->max_version, 0x0303);
}

static bool warned(const char *what)
{
	for (size_t i = 0; i < t.errors.count; i++)
		if (t.errors.items[i].text && strstr(t.errors.items[i].text, what))
			return true;
	return false;
}

Test(http_tls, what_is_missing_or_taken_is_warned_of)
{
	cr_expect(warned("servers[1].tls.credentialName: no secret default/wild"));
	cr_expect(warned("servers[2].hosts: an older server of TLS at port 443 has "
			 "\"a.example.com\" already"));
	cr_expect(warned("is none of the cipher suites that Istio knows"));
	cr_expect(warned("servers[1].tls.caCrl: has no effect beside credentialName"));
	cr_expect(warned("servers[3].tls.subjectAltNames: has no effect in the mode SIMPLE"));
	cr_expect(warned("servers[3].tls.verifyCertificateSpki: has no effect in the mode SIMPLE"));
	cr_expect(warned("servers[3].tls.caCertificates: has no effect in the mode SIMPLE"));
	cr_expect(warned("servers[3].tls.minProtocolVersion: has no effect below TLSV1_2 without "
			 "cipherSuites"));
	cr_expect(!warned("servers[1].tls.subjectAltNames"));
	cr_expect(!warned("servers[0].tls"));
	cr_expect(!warned("istio-system/a"));
}
