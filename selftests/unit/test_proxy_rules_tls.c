// SPDX-License-Identifier: Apache-2.0
/*
 * The router's HTTPS servers: which one a ClientHello gets, what its requests get, and what changes
 * when certificates, or what is asked of clients, do.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "lib/wire/credentials.h"
#include "proxy/io/transport_tls.h"
#include "proxy/route/tls_store.h"
#include "test_proxy_rules_env.h"
#include "test_tls_util.h"

#define HOSTS_RULE(host)                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"             \
	"metadata: {name: " host "}\nspec: {hosts: [" host ".test], gateways: [gw], " \
	"http: [{match: [{scheme: {exact: https}}], redirect: {uri: /" host "}}]}\n"
#define RULES                                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"                \
	"spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, "     \
	"protocol: HTTP}, hosts: [a.test, b.test]}]}\n" HOSTS_RULE("a")                            \
		HOSTS_RULE("b") "---\napiVersion: v1\nkind: Service\nmetadata: {name: in}\nspec: " \
				"{type: NodePort, clusterIP: "                                     \
				"10.96.0.1, selector: {istio: ingressgateway}, ports: [{name: "    \
				"http, port: 80, nodePort: 30080}]}\n"

enum { TEXTS = 4096, PATIENCE = 1000 };

/* Strings that are added to the snapshot's. */
static char texts[TEXTS];
static size_t texts_len, texts_from;

static struct hs_str text(const char *s)
{
	struct hs_str out = { (__u32)(texts_from + texts_len), (__u32)strlen(s) };

	memcpy(texts + texts_len, s, strlen(s) + 1);
	texts_len += strlen(s) + 1;
	return out;
}

static void take_tables(struct http_part parts[HS_TABLES])
{
	const struct hs_header *h = rules_snapshot;

	for (int i = 0; i < HS_TABLES; i++)
		parts[i] = (struct http_part){ (char *)rules_snapshot + h->tables[i].at,
					       h->tables[i].count };
}

/* The Gateway's port becomes one of HTTPS: a.test has a server of its own, b.test another one. */
static void load(enum hs_tls_mode mode, const char *spki)
{
	struct http_part parts[HS_TABLES];
	struct hs_listener *l;
	struct hs_server servers[2];
	struct hs_sni sni[2];
	struct hs_text_row row;
	_cleanup_free_ char *bytes = NULL;
	_cleanup_free_ void *packed = NULL;
	size_t size;

	rules_compile(RULES);
	take_tables(parts);
	texts_from = parts[HS_BYTES].count;
	texts_len = 0;
	l = (struct hs_listener *)parts[HS_LISTENERS].rows;
	while (l->scope != SCOPE_NODE)
		l++;
	cr_assert_eq(l->exact.count, 2);
	row.text = text(spki ? spki : "");
	for (__u32 i = 0; i < 2; i++) {
		sni[i] = (struct hs_sni){ text(i ? "b.test" : "a.test"), i, HS_NONE };
		servers[i] = (struct hs_server){
			.exact = { l->exact.first + i, 1 },
			.name = text(i ? "default/gw servers[1]" : "default/gw servers[0]"),
			.credential = text(i ? "kubernetes://n/b" : "kubernetes://n/a"),
			.mode = i ? HS_TLS_SIMPLE : mode,
			.min_version = 0x0303,
			.max_version = 0x0304,
			.ciphers = text(""),
			.spkis = { 0, !i && spki },
			.kind = HS_SERVER_HTTP,
			.action = HS_NONE,
			.place = HS_NONE,
		};
	}
	l->exact = l->wild = (struct hs_range){ 0, 0 };
	l->tls = 1;
	l->sni_exact = (struct hs_range){ 0, 2 };
	l->sni_wild = (struct hs_range){ 0, 0 };
	parts[HS_SNI] = (struct http_part){ sni, 2 };
	parts[HS_SERVERS] = (struct http_part){ servers, 2 };
	parts[HS_TEXTS] = (struct http_part){ &row, 1 };
	bytes = malloc(texts_from + texts_len);
	memcpy(bytes, parts[HS_BYTES].rows, texts_from);
	memcpy(bytes + texts_from, texts, texts_len);
	parts[HS_BYTES] = (struct http_part){ bytes, texts_from + texts_len };
	cr_assert_eq(http_pack(parts, &packed, &size), 0);
	cr_assert_eq(rules_offer(rules_file(packed, size)), 0);
}

/* ---- certificates ---- */

static struct credential_text text_of(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

/* Those of both servers, by `ca`, which is also what clients are checked by. */
static int set_credentials(const struct made_cert *ca, const char *cn, bool with_b)
{
	struct made_cert cert = cert_make(cn, NULL, ca, 10);
	_cleanup_free_ char *chain = cert_pem(&cert), *key = cert_key_pem(&cert),
			    *by = cert_pem(ca);
	const struct credential items[] = {
		{ text_of("kubernetes://n/a"), text_of(chain), text_of(key), text_of(by),
		  text_of("") },
		{ text_of("kubernetes://n/b"), text_of(chain), text_of(key), text_of(""),
		  text_of("") },
	};
	_cleanup_free_ void *bytes = NULL;
	size_t size;
	int fd, r;

	cr_assert_eq(credentials_pack(items, with_b ? 2 : 1, &bytes, &size), 0);
	fd = rules_file(bytes, size);
	r = tls_store_set(shared_state_tls(rules_state), fd);
	close(fd);
	cert_free(&cert);
	return r;
}

/* ---- connections ---- */

struct connection {
	struct transport transport;
	struct route_tls tls;
	SSL *peer;
	int fd;
	int worker;
	char cn[64]; /* of the server's certificate */
};

static struct router *router_of(const struct connection *c)
{
	return router_interface(rules_workers[c->worker]);
}

static struct route_ask about(void)
{
	return (struct route_ask){ .client = ipv4(192, 0, 2, 1),
				   .called = ipv4(192, 0, 2, 2),
				   .client_port = 1000,
				   .called_port = 30080, /* the NodePort of the Gateway's */
				   .called_node = true };
}

static int choose(void *arg, const char *name, size_t n, struct tls_context **out)
{
	struct connection *c = arg;
	const struct route_ask ask = about();

	return router_of(c)->server(router_of(c), &ask, name, n, out, &c->tls);
}

static void ready(struct loop_io *io, unsigned events)
{
	(void)io;
	(void)events;
}

static void shake_hands(struct connection *c, int *r)
{
	bool done = false;

	*r = -EAGAIN;
	for (int i = 0; i < PATIENCE && (*r == -EAGAIN || (!*r && !done)); i++) {
		done |= SSL_do_handshake(c->peer) == 1;
		if (*r == -EAGAIN)
			*r = transport_tls_handshake(&c->transport);
	}
	if (done)
		X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(c->peer)),
					  NID_commonName, c->cn, sizeof(c->cn));
}

static int connect_to(struct connection *c, int worker, SSL_CTX *ctx, const char *name)
{
	const struct route_ask ask = about();
	struct http_listener_stat *stat = NULL;
	const struct tls_base *b;
	int fds[2], r;

	*c = (struct connection){ .worker = worker };
	cr_assert(router_of(c)->tls);
	b = router_of(c)->speaks_tls(router_of(c), &ask, &stat);
	cr_assert_not_null(b);
	cr_assert_not_null(stat);
	cr_expect_str_eq(stat->name, "0.0.0.0_80");
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c->transport = (struct transport){ .io = { fds[0], ready } };
	c->fd = fds[1];
	cr_assert_eq(transport_tls_open(&c->transport, b, choose, c, &c->tls.facts), 0);
	c->peer = client_new(ctx, c->fd, name);
	shake_hands(c, &r);
	return r;
}

static void hang_up(struct connection *c)
{
	SSL_free(c->peer);
	close(c->fd);
	transport_close(&c->transport);
	tls_peer_free(&c->tls.facts.peer);
}

static void want(struct connection *c, const char *host, unsigned status, bool last)
{
	struct route_ask ask = about();
	struct asked a = { .worker = c ? c->worker : 0 };
	int n = snprintf(a.text, sizeof(a.text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);

	cr_assert_eq(h1_parse_request(a.text, (size_t)n, 0, &a.q), n);
	ask.request = &a.q;
	ask.tls = c ? &c->tls : NULL;
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	cr_expect_eq(a.plan.action, PLAN_ANSWER);
	cr_expect_eq(a.plan.answer.status, status, "%s: %u", host, a.plan.answer.status);
	cr_expect_eq(a.plan.answer.last, last, "%s", host);
	cr_expect(a.plan.gateway);
	asked_release(&a);
}

Test(proxy_rules, a_connection_s_name_chooses_its_server_and_that_its_hosts)
{
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	SSL_CTX *ctx = client_context(&ca, NULL);
	struct connection c;

	load(HS_TLS_SIMPLE, NULL);
	cr_assert_eq(set_credentials(&ca, "first", true), 0);
	cr_assert_eq(connect_to(&c, 0, ctx, "a.test"), 0);
	want(&c, "a.test", 301, false);
	want(&c, "A.test:443", 301, false);
	want(&c, "b.test", 421, false);
	want(&c, "c.test", 404, false);
	hang_up(&c);
	cr_assert_eq(connect_to(&c, 1, ctx, "b.test"), 0);
	want(&c, "b.test", 301, false);
	want(&c, "a.test", 421, false);
	hang_up(&c);
	cr_expect_eq(connect_to(&c, 0, ctx, "c.test"), -ENOENT);
	hang_up(&c);
	cr_expect_eq(connect_to(&c, 0, ctx, NULL), -ENOENT);
	hang_up(&c);
	want(NULL, "a.test", 404, false);
	SSL_CTX_free(ctx);
	cert_free(&ca);
}

Test(proxy_rules, elsewhere_no_tls_is_spoken)
{
	struct route_ask ask = about();
	struct router *r = router_interface(rules_workers[0]);
	struct http_listener_stat *stat = NULL;

	rules_load(RULES);
	cr_expect_not(r->tls);
	load(HS_TLS_SIMPLE, NULL);
	cr_expect(r->tls);
	ask.called_port = 8080;
	cr_expect_null(r->speaks_tls(r, &ask, &stat));
	ask = about();
	ask.called_node = false;
	cr_expect_null(r->speaks_tls(r, &ask, &stat));
}

Test(proxy_rules, certificates_change_for_new_connections)
{
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	SSL_CTX *ctx = client_context(&ca, NULL);
	struct connection c, next;

	load(HS_TLS_SIMPLE, NULL);
	cr_assert_eq(connect_to(&c, 0, ctx, "a.test"), -ENOKEY, "there is none yet");
	hang_up(&c);
	cr_assert_eq(set_credentials(&ca, "first", true), 0);
	cr_assert_eq(connect_to(&c, 0, ctx, "a.test"), 0);
	cr_expect_str_eq(c.cn, "first");
	cr_assert_eq(set_credentials(&ca, "second", false), 0);
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(connect_to(&next, i, ctx, "a.test"), 0);
		cr_expect_str_eq(next.cn, "second");
		hang_up(&next);
		cr_expect_eq(connect_to(&next, i, ctx, "b.test"), -ENOKEY, "it has gone");
		hang_up(&next);
	}
	want(&c, "a.test", 301, false);
	hang_up(&c);
	SSL_CTX_free(ctx);
	cert_free(&ca);
}

Test(proxy_rules, a_server_is_made_once_for_all)
{
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	struct tls_context *first = NULL, *again = NULL;
	const struct route_ask ask = about();
	struct route_tls tls;

	load(HS_TLS_MUTUAL, NULL);
	cr_assert_eq(set_credentials(&ca, "first", true), 0);
	for (int i = 0; i < WORKERS; i++) {
		struct router *r = router_interface(rules_workers[i]);

		cr_assert_eq(r->server(r, &ask, "a.test", 6, &again, &tls), 0);
		cr_expect(!first || first == again);
		first = again;
		tls_context_unref(again);
	}
	cert_free(&ca);
}

Test(proxy_rules, who_was_asked_for_less_has_to_connect_again)
{
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	struct made_cert own = cert_make("client", NULL, &ca, 10);
	SSL_CTX *ctx = client_context(&ca, NULL), *known = client_context(&ca, &own);
	struct connection plain, a, b;

	load(HS_TLS_SIMPLE, NULL);
	cr_assert_eq(set_credentials(&ca, "first", true), 0);
	cr_assert_eq(connect_to(&plain, 0, ctx, "a.test"), 0);
	cr_assert_eq(connect_to(&b, 0, ctx, "b.test"), 0);
	load(HS_TLS_MUTUAL, NULL);
	want(&plain, "a.test", 421, true);
	want(&b, "b.test", 301, false);
	hang_up(&plain);
	cr_assert_eq(connect_to(&plain, 0, ctx, "a.test"), -EPROTO, "it has no certificate");
	hang_up(&plain);
	cr_assert_eq(connect_to(&a, 0, known, "a.test"), 0);
	want(&a, "a.test", 301, false);
	load(HS_TLS_MUTUAL, "AAAA");
	want(&a, "a.test", 421, true);
	rules_load(RULES);
	want(&b, "b.test", 421, true);
	hang_up(&a);
	hang_up(&b);
	SSL_CTX_free(ctx);
	SSL_CTX_free(known);
	cert_free(&ca);
	cert_free(&own);
}

Test(proxy_rules, a_file_that_is_none_changes_nothing)
{
	struct made_cert ca = cert_make("ca", NULL, NULL, 10);
	SSL_CTX *ctx = client_context(&ca, NULL);
	struct connection c;
	int fd = rules_file("nothing of the kind", 19);

	load(HS_TLS_SIMPLE, NULL);
	cr_assert_eq(set_credentials(&ca, "first", true), 0);
	cr_expect_eq(tls_store_set(shared_state_tls(rules_state), fd), -EBADMSG);
	cr_assert_eq(connect_to(&c, 0, ctx, "a.test"), 0);
	hang_up(&c);
	close(fd);
	SSL_CTX_free(ctx);
	cert_free(&ca);
}
