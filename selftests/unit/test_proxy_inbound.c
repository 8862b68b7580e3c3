// SPDX-License-Identifier: Apache-2.0
/*
 * Mutual TLS that a worker ends for a pod of its node, with the router's own rules: the test is the
 * proxy of another node, and the pod. The pod's address is the worker's, the port of what answers
 * for it is another one.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/base/cleanup.h"
#include "proxy/log/access_line.h"
#include "proxy/process/workers.h"
#include "test_proxy_env.h"
#include "test_proxy_workloads.h"

enum { PATIENCE_MS = 5000, SHORT_MS = 200, MUCH = 1024 * 1024 };

#define CART IDENTITY("shop", "cart")
#define SVC IDENTITY("default", "default")
#define GATEWAY "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
#define ISTIO "\x05istio"
#define RULES                                                                                     \
	"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"                                  \
	"spec: {clusterIP: 10.96.0.1, selector: {app: svc}, ports: [{name: http, port: 80}]}\n"   \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: svc}}\nspec: "         \
	"{containers: [{name: c}]}\nstatus: {phase: Running, podIP: 127.0.0.1, podIPs: [{ip: "    \
	"127.0.0.1}], conditions: [{type: Ready, status: \"True\"}]}\n"                           \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n" \
	"spec: {selector: {matchLabels: {app: svc}}, rules: [{from: [{source: {principals: "      \
	"[cluster.local/ns/shop/sa/cart, " GATEWAY "]}}]}, {from: [{source: {principals: "        \
	"[cluster.local/ns/shop/sa/reader]}}], to: [{operation: {methods: [GET]}}]}, {from: "     \
	"[{source: {ipBlocks: [127.0.0.3]}}]}]}\n"

static struct env *e;
static struct made_cert ca;
static char line[ACCESS_LINE_MAX];
static unsigned lines;
static bool pair;

/* ---- the pod, as the router finds it ---- */

static bool is_pod(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return true;
}

static int find_route(void *arg, const struct addr *to, struct source_route *out)
{
	(void)arg;
	(void)to;
	*out = (struct source_route){ 0 };
	return 0;
}

static bool is_ours(void *arg, uint32_t ifindex)
{
	(void)arg;
	(void)ifindex;
	return true;
}

static enum pick pick(struct router *r, struct plan *plan, unsigned n, struct target *out)
{
	enum pick result = router_pick(r, plan, n, out);

	if (result == PICK_OK) {
		cr_expect_eq(out->port, e->port, "exactly what was called");
		out->port = e->endpoint_port;
	}
	return result;
}

static void logged(void *arg, const struct access_entry *entry)
{
	size_t n = access_line(line, true, entry);

	(void)arg;
	line[n - 1] = 0;
	__atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static void route_by_rules(struct http_worker *w, int worker)
{
	struct router *r = router_interface(rules_workers[worker]);

	r->pick = pick;
	w->options.log = logged;
	__atomic_store_n(&w->router, r, __ATOMIC_SEQ_CST);
}

static void begin(enum hs_mtls mode, bool requests, uint32_t handshake_ms)
{
	static const struct source_lookup lookup = { is_pod, find_route, is_ours, NULL };
	static const char *const identities[] = { SVC, NULL };
	struct worker_options o = worker_defaults;
	struct mesh_pod pod = {
		.addr = ipv4(127, 0, 0, 1), .identity = SVC, .here = true, .mode = mode
	};

	o.upstream.transparent = true;
	o.upstream.lookup = &lookup;
	if (handshake_ms)
		o.handshake_timeout_ms = handshake_ms;
	ca = cert_make("the mesh", NULL, NULL, 10);
	pods_certify(identities, &ca, NULL);
	e = pair ? env_new_pair() : env_new(&o);
	pod.ports[0] =
		(struct hs_workload_port){ .port = e->port, .mode = mode, .requests = requests };
	pods_load(RULES, &pod, 1);
	route_by_rules(&e->worker, 0);
	if (pair)
		route_by_rules(env_other_worker(e), 1);
}

static void end(void)
{
	env_free(e);
	cert_free(&ca);
}

static struct http_listener_stat *stat(void)
{
	return stats_listener(shared_state_stats(rules_state), "0.0.0.0_15006", 13);
}

/* ---- its callers ---- */

static int client_from(unsigned last)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + last - 1) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(e->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static SSL_CTX *context_of(const struct made_cert *own, const char *protocols)
{
	SSL_CTX *c = client_context(&ca, own);

	if (*protocols)
		SSL_CTX_set_alpn_protos(c, (const unsigned char *)protocols,
					(unsigned)strlen(protocols));
	return c;
}

/* A proxy of another node: the handshake is done as far as the client can tell. */
static SSL *call_by(SSL_CTX *ctx)
{
	SSL *s = client_new(ctx, client_from(2), NULL);

	(void)SSL_connect(s);
	return s;
}

static void hang_up(SSL *s)
{
	close(SSL_get_fd(s));
	SSL_free(s);
}

static SSL *call_as(const struct made_cert *own)
{
	SSL_CTX *ctx = context_of(own, ISTIO);
	SSL *s = call_by(ctx);

	SSL_CTX_free(ctx);
	return s;
}

/* With TLS 1.3 what the server says of a certificate comes after the client's handshake. */
static const char *answer_to(const struct made_cert *own)
{
	static char alert[64];
	SSL *s = call_as(own);
	char c;

	ERR_clear_error();
	if (SSL_is_init_finished(s))
		cr_expect_leq(SSL_read(s, &c, 1), 0);
	snprintf(alert, sizeof(alert), "%s", client_alert());
	hang_up(s);
	return alert;
}

static void send_text(SSL *s, const char *text)
{
	cr_assert_eq(SSL_write(s, text, (int)strlen(text)), (int)strlen(text));
}

/* Overwritten by the next one. */
static const char *get_text(SSL *s, const char *last)
{
	static char got[4096];
	size_t n = 0;

	*got = 0;
	while (!strstr(got, last)) {
		int r = SSL_read(s, got + n, (int)(sizeof(got) - n - 1));

		cr_assert_gt(r, 0, "only '%s', %s", got, client_alert());
		n += (size_t)r;
		got[n] = 0;
	}
	return got;
}

static void want_reset(int fd)
{
	char c;

	cr_expect_eq(recv(fd, &c, 1, 0), -1);
	cr_expect_eq(errno, ECONNRESET, "%s", strerror(errno));
	close(fd);
}

static void want_caller(int fd, unsigned last)
{
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);

	cr_assert_eq(getpeername(fd, (struct sockaddr *)&from, &len), 0);
	cr_expect_eq(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK + last - 1);
}

static void wait_for_line(unsigned n)
{
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&lines, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(lines, n, "%u", lines);
}

static void want_in_line(const char *text)
{
	cr_expect(strstr(line, text), "no %s in %s", text, line);
}

/* ---- a connection in it ---- */

Test(proxy_rules, what_is_in_mutual_tls_goes_to_the_pod_as_it_is)
{
	struct made_cert cart;
	char *much = malloc(MUCH), *got = malloc(MUCH);
	size_t n = 0;
	SSL *s;
	int fd;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	memset(much, 'x', MUCH);
	s = call_as(&cart);
	cr_assert(SSL_is_init_finished(s), "%s", client_alert());
	cr_expect_eq(SSL_version(s), TLS1_3_VERSION);
	send_text(s, "\x01\x02 no HTTP");
	fd = env_accept(e);
	want_caller(fd, 2);
	want(fd, "\x01\x02 no HTTP");
	put(fd, "nor this");
	(void)get_text(s, "nor this");
	if (!fork()) {
		put_bytes(fd, much, MUCH);
		_exit(0);
	}
	while (n < MUCH) {
		int r = SSL_read(s, got + n, (int)(MUCH - n));

		cr_assert_gt(r, 0);
		n += (size_t)r;
	}
	cr_expect_arr_eq(got, much, MUCH);
	SSL_shutdown(s);
	want_end(fd);
	close(fd);
	wait_for_line(1);
	want_in_line("\"downstream_peer_uri_san\":\"" CART "\"");
	want_in_line("\"downstream_tls_version\":\"TLSv1.3\"");
	want_in_line("\"downstream_remote_address\":\"127.0.0.2:");
	cr_expect_eq(stat()->handshake, 1u);
	cr_expect_eq(stat()->no_certificate, 0u);
	cr_expect_eq(stat()->no_filter_chain_match, 0u);
	hang_up(s);
	cert_free(&cart);
	end();
	free(much);
	free(got);
}

/* By its certificate, whatever its address may do. */
Test(proxy_rules, policies_judge_a_tunnel_by_its_certificate)
{
	struct made_cert other;
	SSL *s;
	char c;
	int fd;

	begin(HS_MTLS_PERMISSIVE, false, 0);
	other = pod_cert(IDENTITY("shop", "other"), "", &ca, 1);
	s = call_as(&other);
	cr_expect_leq(SSL_read(s, &c, 1), 0);
	wait_for_line(1);
	want_in_line("\"response_code_details\":\"rbac_access_denied");
	hang_up(s);
	/* In clear nobody is known but by the address. */
	fd = client_from(2);
	put(fd, "x");
	want_reset(fd);
	fd = client_from(3);
	put(fd, "x");
	close(env_accept(e));
	close(fd);
	cert_free(&other);
	end();
}

/* ---- who gets in ---- */

/* The worker counts when it has answered. */
static void want_count(const __u64 *counter, __u64 n, const char *what)
{
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(counter, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_expect_eq(*counter, n, "%s: %llu", what, (unsigned long long)*counter);
}

static void want_refused(const char *what, const struct made_cert *own, const char *alert,
			 const __u64 *counter)
{
	const __u64 before = *counter, done = stat()->handshake;
	const char *answer = answer_to(own);

	cr_expect_str_eq(answer, alert, "%s: %s", what, answer);
	want_count(counter, before + 1, what);
	cr_expect_eq(stat()->handshake, done, "%s", what);
}

Test(proxy_rules, only_identities_of_the_mesh_get_in)
{
	static const char *const names[] = {
		"DNS:svc.default",
		"URI:spiffe://elsewhere/ns/shop/sa/cart",
		"URI:spiffe://cluster.local.evil/ns/shop/sa/cart",
		"URI:spiffe://cluster.local/ns/shop",
		"URI:spiffe://cluster.local/ns/shop/sa/cart/more",
		"URI:spiffe://cluster.local/ns//sa/cart",
		"URI:https://cluster.local/ns/shop/sa/cart",
		"URI:" CART ",URI:" IDENTITY("shop", "reader"),
		"URI:" CART ",URI:" CART,
	};
	struct made_cert stranger = cert_make("the mesh", NULL, NULL, 10);
	struct made_cert forged = pod_cert(CART, "", &stranger, 1), old, fine, bad;
	struct http_listener_stat *s = stat();
	SSL *ssl;

	begin(HS_MTLS_STRICT, false, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		bad = cert_make("a pod", names[i], &ca, 1);
		want_refused(names[i], &bad, "bad certificate", &s->fail_verify_san);
		cert_free(&bad);
	}
	/* An authority is no workload. */
	bad = cert_make("an authority", "URI:" CART, NULL, 1);
	want_refused("one that vouches for itself", &bad, "unknown CA", &s->fail_verify_error);
	cert_free(&bad);
	want_refused("another authority of the same name", &forged, "decrypt error",
		     &s->fail_verify_error);
	old = pod_cert(CART, "", &ca, -1);
	want_refused("one that has expired", &old, "certificate expired", &s->fail_verify_error);
	want_refused("none", NULL, "certificate required", &s->fail_verify_no_cert);
	/* Other kinds of names are nothing to it. */
	fine = pod_cert(CART, ",DNS:a,IP:10.0.0.1", &ca, 1);
	ssl = call_as(&fine);
	send_text(ssl, "x");
	close(env_accept(e));
	hang_up(ssl);
	cr_expect_eq(s->handshake, 1u);
	cr_expect_eq(e->picks, 0u);
	cert_free(&fine);
	cert_free(&old);
	cert_free(&forged);
	cert_free(&stranger);
	end();
}

static void extend(struct made_cert *c, int nid, const char *value)
{
	X509_EXTENSION *x;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, ca.cert, c->cert, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	cr_assert_not_null(x);
	/* In place of one that there is. */
	X509_EXTENSION_free(X509_delete_ext(c->cert, X509_get_ext_by_NID(c->cert, nid, -1)));
	X509_add_ext(c->cert, x, -1);
	X509_EXTENSION_free(x);
	cr_assert_gt(X509_sign(c->cert, ca.key, EVP_sha256()), 0);
}

Test(proxy_rules, a_leaf_may_be_for_servers_but_no_authority)
{
	struct made_cert cart, authority;
	SSL *s;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	extend(&cart, NID_ext_key_usage, "serverAuth");
	s = call_as(&cart);
	send_text(s, "x");
	close(env_accept(e));
	hang_up(s);
	authority = pod_cert(CART, "", &ca, 1);
	extend(&authority, NID_basic_constraints, "critical,CA:TRUE");
	want_refused("an intermediate authority", &authority, "bad certificate",
		     &stat()->fail_verify_san);
	cert_free(&cart);
	cert_free(&authority);
	end();
}

/* ---- protocols ---- */

Test(proxy_rules, the_mesh_s_own_protocol_is_agreed_on)
{
	static const struct {
		const char *offered, *agreed;
	} rows[] = {
		{ ISTIO, "istio" },
		{ "\x05istio\x0eistio-http/1.1\x08http/1.1", "istio-http/1.1" },
		{ "\x13istio-peer-exchange\x05istio", "istio" },
		{ "\x13istio-peer-exchange", "" },
	};
	struct made_cert cart;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		SSL_CTX *ctx = context_of(&cart, rows[i].offered);
		const unsigned char *agreed = NULL;
		unsigned n = 0;
		SSL *s = call_by(ctx);

		SSL_get0_alpn_selected(s, &agreed, &n);
		cr_expect_eq(n, strlen(rows[i].agreed), "%zu: %.*s", i, (int)n, agreed);
		cr_expect(!n || !memcmp(agreed, rows[i].agreed, n), "%zu", i);
		send_text(s, "x");
		close(env_accept(e));
		hang_up(s);
		SSL_CTX_free(ctx);
	}
	cert_free(&cart);
	end();
}

Test(proxy_rules, nothing_before_tls_1_3_will_do)
{
	struct made_cert cart;
	SSL_CTX *ctx;
	SSL *s;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	ctx = context_of(&cart, ISTIO);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	s = call_by(ctx);
	cr_expect_not(SSL_is_init_finished(s));
	cr_expect_str_eq(client_alert(), "protocol version");
	want_count(&stat()->connection_error, 1, "no version in common");
	hang_up(s);
	SSL_CTX_free(ctx);
	cert_free(&cart);
	end();
}

/* ---- what is no mutual TLS ---- */

Test(proxy_rules, under_strict_all_else_is_reset)
{
	struct made_cert cart;
	SSL_CTX *ctx;
	int fd;
	SSL *s;

	begin(HS_MTLS_STRICT, true, SHORT_MS);
	fd = client_from(3);
	put(fd, "GET / HTTP/1.1\r\nHost: svc\r\n\r\n");
	want_reset(fd);
	wait_for_line(1);
	want_in_line("\"response_flags\":\"-\"");
	want_in_line("\"response_code_details\":\"plaintext_denied\"");
	cr_expect_eq(stat()->no_filter_chain_match, 1u);
	want_reset(client_from(3)); /* one that says nothing */
	/* TLS of another kind, though with the right certificate. */
	cart = pod_cert(CART, "", &ca, 1);
	ctx = context_of(&cart, "\x08http/1.1");
	s = call_by(ctx);
	cr_expect_not(SSL_is_init_finished(s));
	hang_up(s);
	SSL_CTX_free(ctx);
	wait_for_line(3);
	cr_expect_eq(stat()->no_filter_chain_match, 3u);
	cr_expect_eq(stat()->handshake, 0u);
	cr_expect_lt(env_accept_maybe(e), 0);
	cert_free(&cart);
	end();
}

static uint64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

Test(proxy_rules, under_permissive_a_server_may_speak_first)
{
	uint64_t before;
	int fd, pod;

	begin(HS_MTLS_PERMISSIVE, false, 0);
	before = milliseconds();
	fd = client_from(3);
	pod = env_accept(e);
	cr_expect_lt(milliseconds() - before, 3000u, "not after the 15 s of a handshake");
	want_caller(pod, 3);
	put(pod, "220 ready");
	want(fd, "220 ready");
	put(fd, "HELO");
	want(pod, "HELO");
	close(fd);
	close(pod);
	end();
}

/* What the client has to say, to the socket. */
static void flush(SSL *s, int fd, size_t from, size_t to)
{
	char *text;
	size_t n = (size_t)BIO_get_mem_data(SSL_get_wbio(s), &text);

	put_bytes(fd, text + from, (to < n ? to : n) - from);
	if (to >= n)
		(void)BIO_reset(SSL_get_wbio(s));
}

Test(proxy_rules, under_permissive_a_hello_may_come_in_pieces)
{
	enum { PIECE = 20, PAUSE_MS = 1300 };
	struct made_cert cart;
	char bytes[4096];
	SSL_CTX *ctx;
	int fd, pod;
	SSL *s;

	begin(HS_MTLS_PERMISSIVE, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	ctx = context_of(&cart, ISTIO);
	s = client_new(ctx, -1, NULL);
	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	(void)SSL_do_handshake(s);
	fd = client_from(2);
	flush(s, fd, 0, PIECE);
	wait_ms(PAUSE_MS);
	flush(s, fd, PIECE, SIZE_MAX);
	while (SSL_do_handshake(s) != 1) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		cr_assert_gt(n, 0);
		BIO_write(SSL_get_rbio(s), bytes, (int)n);
	}
	send_text(s, "x");
	flush(s, fd, 0, SIZE_MAX);
	pod = env_accept(e);
	want(pod, "x");
	close(pod);
	close(fd);
	SSL_free(s);
	SSL_CTX_free(ctx);
	cert_free(&cart);
	end();
}

Test(proxy_rules, under_permissive_requests_in_clear_are_judged_by_address)
{
	int fd, pod;

	begin(HS_MTLS_PERMISSIVE, true, 0);
	fd = client_from(3);
	put(fd, "GET /a HTTP/1.1\r\nHost: svc\r\n\r\n");
	pod = env_accept(e);
	cr_expect_null(strcasestr(get_head(pod), "x-forwarded-client-cert"));
	put(pod, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	want_message(fd, "200 OK", NULL);
	close(fd);
	close(pod);
	fd = client_from(2);
	put(fd, "GET /a HTTP/1.1\r\nHost: svc\r\n\r\n");
	want_message(fd, "403 Forbidden", NULL);
	close(fd);
	end();
}

/* ---- requests in it ---- */

Test(proxy_rules, what_a_gateway_has_said_of_its_client_stays)
{
	struct made_cert gateway;
	const char *head;
	SSL *s;
	int fd;

	begin(HS_MTLS_STRICT, true, 0);
	gateway = pod_cert("spiffe://" GATEWAY, "", &ca, 1);
	s = call_as(&gateway);
	send_text(s, "GET /b HTTP/1.1\r\nHost: svc\r\nX-Forwarded-Client-Cert: Hash=12\r\n\r\n");
	fd = env_accept(e);
	head = get_head(fd);
	cr_expect(strstr(head, "\r\nx-forwarded-client-cert: Hash=12,By=" SVC ";Hash="), "%s",
		  head);
	hang_up(s);
	close(fd);
	end();
}

/* HTTP/2 with prior knowledge, on a port that is said to carry HTTP. */
Test(proxy_rules, what_is_no_request_behind_mutual_tls_goes_on_as_it_is)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct made_cert cart;
	char got[sizeof(preface)] = "";
	SSL *s;
	int fd;

	begin(HS_MTLS_STRICT, true, 0);
	cart = pod_cert(CART, "", &ca, 1);
	s = call_as(&cart);
	send_text(s, preface);
	fd = env_accept(e);
	want_caller(fd, 2);
	for (size_t n = 0; n < sizeof(preface) - 1;) {
		ssize_t r = recv(fd, got + n, sizeof(preface) - 1 - n, 0);

		cr_assert_gt(r, 0);
		n += (size_t)r;
	}
	cr_expect_str_eq(got, preface);
	put(fd, "an answer");
	(void)get_text(s, "an answer");
	hang_up(s);
	close(fd);
	end();
}

Test(proxy_rules, requests_are_judged_one_by_one_and_say_who_calls)
{
	struct made_cert reader;
	const char *head;
	SSL *s;
	int fd;

	begin(HS_MTLS_STRICT, true, 0);
	reader = pod_cert(IDENTITY("shop", "reader"), ",DNS:reader.shop", &ca, 1);
	s = call_as(&reader);
	send_text(s, "GET /a HTTP/1.1\r\nHost: svc\r\nX-Envoy-Attempt-Count: 2\r\n\r\n");
	fd = env_accept(e);
	want_caller(fd, 2);
	head = get_head(fd);
	cr_expect(strstr(head, "\r\nx-forwarded-client-cert: By=" SVC ";Hash="), "%s", head);
	cr_expect(strstr(head, ";Subject=\"CN=a pod\";URI=" IDENTITY(
				       "shop", "reader") ";DNS=reader.shop\r\n"),
		  "%s", head);
	cr_expect_null(strstr(head, ";Cert="), "%s", head);
	cr_expect(strcasestr(head, "\r\nx-envoy-attempt-count: 2\r\n"), "%s", head);
	cr_expect(strcasestr(head, "\r\nx-forwarded-proto: http\r\n"), "%s", head);
	put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	(void)get_text(s, "\r\n\r\nhi");
	/* It has nothing to say of others. */
	send_text(s, "GET /b HTTP/1.1\r\nHost: svc\r\nX-Forwarded-Client-Cert: Hash=12\r\n\r\n");
	head = get_head(fd);
	cr_expect(strstr(head, "\r\nx-forwarded-client-cert: By=" SVC ";Hash="), "%s", head);
	cr_expect_null(strstr(head, "Hash=12"), "%s", head);
	put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho");
	(void)get_text(s, "\r\n\r\nho");
	send_text(s, "POST /a HTTP/1.1\r\nHost: svc\r\nContent-Length: 0\r\n\r\n");
	cr_expect(strstr(get_text(s, "RBAC: access denied"), "HTTP/1.1 403"));
	wait_for_line(3);
	want_in_line("\"downstream_peer_uri_san\":\"" IDENTITY("shop", "reader") "\"");
	want_in_line("\"response_code_details\":\"rbac_access_denied");
	hang_up(s);
	close(fd);
	cert_free(&reader);
	end();
}

/* ---- time goes by ---- */

static SSL_SESSION *session;

static int keep(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = s;
	return 1;
}

static SSL_CTX *keeping_context(const struct made_cert *own)
{
	SSL_CTX *ctx = context_of(own, ISTIO);

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ctx, keep);
	return ctx;
}

/* Another connection, with the session of the last one. */
static SSL *call_again(SSL_CTX *ctx)
{
	SSL *s = client_new(ctx, client_from(2), NULL);

	if (session)
		SSL_set_session(s, session);
	(void)SSL_connect(s);
	return s;
}

/* The pod answers, which brings the tickets along. */
static void exchange(SSL *s)
{
	int fd;

	send_text(s, "x");
	fd = env_accept(e);
	want(fd, "x");
	put(fd, "y");
	(void)get_text(s, "y");
	SSL_set_shutdown(s, SSL_SENT_SHUTDOWN); /* its session is good all the same */
	close(fd);
}

Test(proxy_rules, a_session_that_is_resumed_is_still_the_caller_s)
{
	static const char *const identities[] = { SVC, NULL };
	struct made_cert cart, other;
	SSL_CTX *ctx;
	SSL *s;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	other = pod_cert(IDENTITY("shop", "other"), "", &ca, 1);
	ctx = keeping_context(&cart);
	s = call_again(ctx);
	exchange(s);
	hang_up(s);
	/* Whose certificate it would show now is not asked. */
	SSL_CTX_use_certificate(ctx, other.cert);
	SSL_CTX_use_PrivateKey(ctx, other.key);
	s = call_again(ctx);
	cr_expect(SSL_session_reused(s));
	exchange(s);
	hang_up(s);
	wait_for_line(2);
	want_in_line("\"downstream_peer_uri_san\":\"" CART "\"");
	cr_expect_eq(stat()->session_reused, 1u);
	/* Another certificate of the pod's own: all is said anew. */
	pods_certify(identities, &ca, NULL);
	SSL_CTX_use_certificate(ctx, cart.cert);
	SSL_CTX_use_PrivateKey(ctx, cart.key);
	s = call_again(ctx);
	cr_expect_not(SSL_session_reused(s));
	exchange(s);
	hang_up(s);
	SSL_CTX_free(ctx);
	SSL_SESSION_free(session);
	cert_free(&cart);
	cert_free(&other);
	end();
}

Test(proxy_rules, a_session_does_not_outlive_the_certificate)
{
	struct made_cert cart;
	SSL_CTX *ctx;
	SSL *s;
	char c;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	X509_gmtime_adj(X509_getm_notAfter(cart.cert), 2);
	cr_assert_gt(X509_sign(cart.cert, ca.key, EVP_sha256()), 0);
	ctx = keeping_context(&cart);
	s = call_again(ctx);
	exchange(s);
	hang_up(s);
	wait_ms(3200);
	s = call_again(ctx);
	cr_expect_not(SSL_session_reused(s));
	cr_expect_leq(SSL_read(s, &c, 1), 0);
	cr_expect_str_eq(client_alert(), "certificate expired");
	want_count(&stat()->fail_verify_error, 1, "expired");
	hang_up(s);
	SSL_CTX_free(ctx);
	SSL_SESSION_free(session);
	cert_free(&cart);
	end();
}

/* While one authority takes another's place both are believed. */
Test(proxy_rules, authorities_change_under_open_connections)
{
	static const char *const identities[] = { SVC, NULL };
	struct made_cert next = cert_make("the next one", NULL, NULL, 10);
	_cleanup_free_ char *ca_text = NULL, *next_text = cert_pem(&next), *both = NULL;
	struct made_cert cart, new;
	SSL *open, *s;
	int fd;

	begin(HS_MTLS_STRICT, false, 0);
	cart = pod_cert(CART, "", &ca, 1);
	new = pod_cert(CART, "", &next, 1);
	want_refused("not yet", &new, "unknown CA", &stat()->fail_verify_error);
	open = call_as(&cart);
	send_text(open, "x");
	fd = env_accept(e);
	ca_text = cert_pem(&ca);
	cr_assert_geq(asprintf(&both, "%s%s", ca_text, next_text), 0);
	pods_certify(identities, &ca, both);
	for (int i = 0; i < 2; i++) {
		s = call_as(i ? &new : &cart);
		exchange(s);
		hang_up(s);
	}
	pods_certify(identities, &ca, next_text);
	want_refused("no longer", &cart, "unknown CA", &stat()->fail_verify_error);
	s = call_as(&new);
	exchange(s);
	hang_up(s);
	send_text(open, "still open");
	want(fd, "xstill open");
	close(fd);
	hang_up(open);
	cert_free(&cart);
	cert_free(&new);
	cert_free(&next);
	end();
}

/* ---- another weft-proxy takes over ---- */

Test(proxy_rules, one_that_is_looked_at_goes_to_the_next_worker)
{
	int drained = eventfd(0, EFD_CLOEXEC), ends[2], fd, pod, i;
	struct http_worker *old, *next;
	struct made_cert cart;
	SSL_CTX *ctx;
	SSL *s, *open;

	pair = true;
	begin(HS_MTLS_STRICT, false, 0);
	old = &e->worker;
	next = env_other_worker(e);
	cart = pod_cert(CART, "", &ca, 1);
	ctx = context_of(&cart, ISTIO);
	open = call_by(ctx);
	send_text(open, "x");
	pod = env_accept(e);
	fd = client_from(2);
	wait_ms(50);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	cr_assert_eq(workers_drain(&old, 1, ends[1], 1, drained), 0);
	close(ends[0]);
	close(ends[1]);
	s = client_new(ctx, fd, NULL);
	cr_assert_eq(SSL_connect(s), 1, "%s", client_alert());
	exchange(s);
	cr_expect_eq(next->stats.handshakes, 1u);
	cr_expect_eq(old->stats.handshakes, 1u);
	/* What is open goes on where it is, until it ends. */
	send_text(open, "y");
	want(pod, "xy");
	cr_expect_not(workers_drained(&old, 1));
	hang_up(open);
	close(pod);
	for (i = 0; i < PATIENCE_MS && !workers_drained(&old, 1); i++)
		wait_ms(1);
	cr_expect_lt(i, (int)PATIENCE_MS);
	hang_up(s);
	SSL_CTX_free(ctx);
	cert_free(&cart);
	end();
	close(drained);
}
