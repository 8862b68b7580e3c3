// SPDX-License-Identifier: Apache-2.0
/*
 * Mutual TLS to endpoints of other nodes: a worker with rules, whose clients are pods of its node
 * and whose endpoints are the test's own servers. What the snapshot says of the mesh's pods is
 * added by hand.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "lib/route/workload.h"
#include "lib/wire/credentials.h"
#include "proxy/request/http_worker.h"
#include "proxy/route/tls_store.h"
#include "test_proxy_env.h"
#include "test_proxy_rules_env.h"
#include "test_tls_util.h"

#define ID(account) "spiffe://cluster.local/ns/default/sa/" account
#define CALLER(n)                                                                               \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: c" #n "}\nspec: {containers: "             \
	"[{name: c}]}\nstatus: {phase: Running, podIP: 10.1.0." #n ", podIPs: [{ip: 10.1.0." #n \
	"}], conditions: [{type: Ready, status: \"True\"}]}\n---\n"
#define CALLERS CALLER(1) CALLER(2) CALLER(3) CALLER(4) CALLER(5)
#define SHADOW                                                                        \
	"apiVersion: v1\nkind: Service\nmetadata: {name: shadow}\nspec: {clusterIP: " \
	"10.96.0.3, selector: {app: shadow}, ports: [{name: http, port: 80}]}\n---\n" \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: s, labels: {app: shadow}}\n"     \
	"spec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.0.0.2, " \
	"podIPs: [{ip: 10.0.0.2}], conditions: [{type: Ready, status: \"True\"}]}\n---\n"
#define TCP                                                                        \
	"apiVersion: v1\nkind: Service\nmetadata: {name: tcp}\nspec: {clusterIP: " \
	"10.96.0.2, selector: {app: svc}, ports: [{name: tcp, port: 7000}]}\n---\n"
#define TLS(host)                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                \
	"metadata: {name: " host "}\nspec: {host: " host ", trafficPolicy: {tls: {mode: " \
	"SIMPLE}}}\n"
#define WEB RULE "  - route: [{destination: {host: svc}}]\n    retries: {attempts: 0}\n"
#define RULES CALLERS SERVICE POD(1, "v1") TCP

enum { TEXTS = 8192, POD_ROWS = 16, PATIENCE_MS = 5000, A_WHILE_MS = 150, HEADS = 512 };

/* A pod of the mesh. */
struct mesh_pod {
	struct addr addr;
	const char *identity;
	bool here;
	enum hs_mtls mode, at_port; /* 0: the port is not listed */
};

/* ---- the snapshot ---- */

static char texts[TEXTS];
static size_t texts_len, texts_from;

static struct hs_str text(const char *s)
{
	struct hs_str out = { (__u32)(texts_from + texts_len), (__u32)strlen(s) };

	memcpy(texts + texts_len, s, strlen(s) + 1);
	texts_len += strlen(s) + 1;
	return out;
}

/* 10.1.0.1, .2 and .3 call: of the accounts a, b and a. 10.1.0.4 is of another node, 10.1.0.5 of
 * no mesh. The endpoint is `web`. */
static size_t pods_of(const struct mesh_pod *web, const struct mesh_pod *shadow,
		      struct mesh_pod out[POD_ROWS])
{
	static const struct {
		const char *identity;
		bool here;
	} callers[] = {
		{ ID("a"), true }, { ID("b"), true }, { ID("a"), true }, { ID("b"), false }
	};
	size_t n = 0;

	if (web)
		out[n++] = *web;
	if (shadow)
		out[n++] = *shadow;
	for (unsigned i = 0; i < sizeof(callers) / sizeof(*callers); i++)
		out[n++] = (struct mesh_pod){ .addr = ipv4(10, 1, 0, i + 1),
					      .identity = callers[i].identity,
					      .here = callers[i].here,
					      .mode = HS_MTLS_PERMISSIVE };
	return n;
}

/* Rules, those of TLS to endpoints with that mode, and the pods of the mesh. */
static void load(const char *yaml, enum hs_tls_mode mode, const struct mesh_pod *web,
		 const struct mesh_pod *shadow)
{
	struct mesh_pod pods[POD_ROWS];
	size_t count = pods_of(web, shadow, pods);
	struct hs_workload rows[POD_ROWS];
	struct hs_workload_port ports[POD_ROWS];
	struct http_part parts[HS_TABLES];
	_cleanup_free_ char *bytes = NULL;
	_cleanup_free_ void *packed = NULL;
	const struct hs_header *h;
	__u32 listed = 0;
	size_t size;

	rules_compile(yaml);
	h = rules_snapshot;
	for (int i = 0; i < HS_TABLES; i++)
		parts[i] = (struct http_part){ (char *)rules_snapshot + h->tables[i].at,
					       h->tables[i].count };
	texts_from = parts[HS_BYTES].count;
	texts_len = 0;
	for (size_t i = 0; i < parts[HS_CLIENT_TLS].count; i++)
		((struct hs_client_tls *)parts[HS_CLIENT_TLS].rows)[i].mode = mode;
	for (size_t i = 0; i < count; i++) {
		if (pods[i].at_port)
			ports[listed] =
				(struct hs_workload_port){ .port = 80, .mode = pods[i].at_port };
		rows[i] = (struct hs_workload){ .addr = pods[i].addr,
						.identity = text(pods[i].identity),
						.here = pods[i].here,
						.mode = pods[i].mode,
						.ports = { listed, pods[i].at_port > 0 } };
		listed += pods[i].at_port > 0;
	}
	parts[HS_WORKLOADS] = (struct http_part){ rows, count };
	parts[HS_WORKLOAD_PORTS] = (struct http_part){ ports, listed };
	bytes = malloc(texts_from + texts_len);
	memcpy(bytes, parts[HS_BYTES].rows, texts_from);
	memcpy(bytes + texts_from, texts, texts_len);
	parts[HS_BYTES] = (struct http_part){ bytes, texts_from + texts_len };
	cr_assert_eq(http_pack(parts, &packed, &size), 0);
	cr_assert_eq(rules_offer(rules_file(packed, size)), 0);
}

static struct mesh_pod elsewhere(enum hs_mtls mode)
{
	return (struct mesh_pod){ ipv4(10, 0, 0, 1), ID("web"), false, mode, 0 };
}

/* ---- certificates ---- */

/* An authority, the account's certificate by it (NULL: it has none yet), and the authority that is
 * believed. */
struct minted {
	const char *identity;
	const struct made_cert *by, *ca;
};

static struct made_cert ca, forger;

static struct credential_text text_of(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

static struct made_cert mint(const char *identity, const struct made_cert *by, int days)
{
	char names[IDENTITY_MAX];

	snprintf(names, sizeof(names), "URI:%s", identity);
	return cert_make("", names, by, days);
}

static void set_credentials(const struct minted *list, size_t count)
{
	struct credential items[4];
	char *texts_of[4][3];
	void *bytes;
	size_t size;
	int fd;

	for (size_t i = 0; i < count; i++) {
		struct made_cert cert = mint(list[i].identity, list[i].by ? list[i].by : &ca, 10);

		texts_of[i][0] = cert_pem(&cert);
		texts_of[i][1] = cert_key_pem(&cert);
		texts_of[i][2] = cert_pem(list[i].ca);
		items[i] = (struct credential){ text_of(list[i].identity), text_of(texts_of[i][0]),
						text_of(texts_of[i][1]), text_of(texts_of[i][2]),
						text_of("") };
		if (!list[i].by)
			items[i].chain = items[i].key = text_of("");
		cert_free(&cert);
	}
	cr_assert_eq(credentials_pack(items, count, &bytes, &size), 0);
	fd = rules_file(bytes, size);
	cr_assert_eq(tls_store_set(shared_state_tls(rules_state), fd), 0);
	close(fd);
	free(bytes);
	for (size_t i = 0; i < count; i++)
		for (int k = 0; k < 3; k++)
			free(texts_of[i][k]);
}

static void set_usual_credentials(void)
{
	const struct minted usual[] = { { ID("a"), &ca, &ca }, { ID("b"), &ca, &ca } };

	set_credentials(usual, 2);
}

/* ---- the endpoints' servers ---- */

/* What a server has seen of the connection's client. */
struct seen {
	char identity[IDENTITY_MAX];
	char offered[64]; /* by ALPN */
	const char *version;
	bool resumed;
};

struct served {
	int fd;
	SSL *ssl; /* NULL: in clear */
	struct seen seen;
};

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *len,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	struct seen *seen = SSL_get_app_data(ssl);

	(void)arg;
	cr_assert_lt(in_len, sizeof(seen->offered));
	memcpy(seen->offered, in, in_len);
	*out = in + 1;
	*len = *in;
	return SSL_TLSEXT_ERR_OK;
}

/* With the certificate of that identity. */
static SSL_CTX *server_as(const char *identity, const struct made_cert *by, int days)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	struct made_cert cert = mint(identity, by, days);

	SSL_CTX_use_certificate(c, cert.cert);
	SSL_CTX_use_PrivateKey(c, cert.key);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca.cert);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"t", 1);
	SSL_CTX_set_alpn_select_cb(c, select_protocol, NULL);
	cert_free(&cert);
	return c;
}

static void read_identity(SSL *ssl, char out[IDENTITY_MAX])
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, 0);

	cr_assert_eq(n->type, GEN_URI);
	snprintf(out, IDENTITY_MAX, "%s",
		 (const char *)ASN1_STRING_get0_data(n->d.uniformResourceIdentifier));
	GENERAL_NAMES_free(names);
}

/* The proxy's next connection to the endpoint; false: no handshake came about. */
static bool accept_tls(int listener, SSL_CTX *ctx, struct served *out)
{
	*out = (struct served){ .fd = env_accept_at(listener), .ssl = SSL_new(ctx) };
	SSL_set_fd(out->ssl, out->fd);
	SSL_set_app_data(out->ssl, &out->seen);
	if (SSL_accept(out->ssl) != 1)
		return false;
	read_identity(out->ssl, out->seen.identity);
	out->seen.version = SSL_get_version(out->ssl);
	out->seen.resumed = SSL_session_reused(out->ssl);
	return true;
}

static void accept_clear(int listener, struct served *out)
{
	*out = (struct served){ .fd = env_accept_at(listener) };
}

static void hang_up(struct served *s)
{
	if (s->ssl) {
		SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	close(s->fd);
}

/* A request's head, and 200 for it. */
static void answer(struct served *s)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
	char got[HEADS];
	int n = s->ssl ? SSL_read(s->ssl, got, sizeof(got) - 1)
		       : (int)recv(s->fd, got, sizeof(got) - 1, 0);

	cr_assert_gt(n, 0);
	got[n] = 0;
	cr_assert_eq(strncmp(got, "GET / HTTP/1.1\r\n", 16), 0, "%s", got);
	if (s->ssl)
		cr_assert_eq(SSL_write(s->ssl, ok, sizeof(ok) - 1), (int)sizeof(ok) - 1);
	else
		put(s->fd, ok);
}

/* ---- the worker ---- */

static struct http_worker worker;
static pthread_t thread;
static int listener, endpoint, shadow_endpoint = -1;
static char last_flags[FLAGS_TEXT], last_details[128];
static unsigned logged, expected_logs; /* of what got no 200 */

static void log_entry(void *arg, const struct access_entry *e)
{
	(void)arg;
	if (e->status == 200)
		return;
	snprintf(last_flags, sizeof(last_flags), "%s", e->flags);
	snprintf(last_details, sizeof(last_details), "%s", e->details ? e->details : "-");
	__atomic_add_fetch(&logged, 1, __ATOMIC_SEQ_CST);
}

/* For the next one. */
static void wait_for_log(void)
{
	unsigned n = ++expected_logs;

	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&logged, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(logged, n);
}

/* One of the test's own, in which 10.0.0.0/8 is the machine itself. */
static void enter_namespace(void)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP }, ten = { .ifr_name = "lo:1" };
	struct sockaddr_in *at = (struct sockaddr_in *)&ten.ifr_addr;
	int fd;

	if (unshare(CLONE_NEWNET))
		cr_assert_eq(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0, "%s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &up), 0);
	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000063) };
	cr_assert_eq(ioctl(fd, SIOCSIFADDR, &ten), 0, "%s", strerror(errno));
	close(fd);
}

static void patient(int fd)
{
	struct timeval t = { PATIENCE_MS / 1000, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static struct sockaddr_in at_addr(const struct addr *a, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	memcpy(&at.sin_addr, a->b + 12, 4);
	return at;
}

static int listen_at(struct addr a, uint16_t port)
{
	struct sockaddr_in at = at_addr(&a, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s", strerror(errno));
	cr_assert_eq(listen(fd, 16), 0);
	patient(fd);
	return fd;
}

static void *run(void *arg)
{
	cr_assert_eq(worker_run(arg), 0);
	return NULL;
}

/* The Service at 10.96.0.`host` is called by way of the worker. */
static void begin(unsigned host, uint16_t port)
{
	struct worker_options o = worker_defaults;

	o.log = log_entry;
	worker = (struct http_worker){ 0 };
	enter_namespace();
	listener = listen_at(ipv4(10, 96, 0, host), port);
	endpoint = listen_at(ipv4(10, 0, 0, 1), port);
	cr_assert_eq(http_worker_open(&worker, dup(listener), &o,
				      router_interface(rules_workers[0])),
		     0);
	cr_assert_eq(pthread_create(&thread, NULL, run, &worker.io), 0);
}

static void finish(void)
{
	worker_stop(&worker.io);
	pthread_join(thread, NULL);
	worker_close(&worker.io);
	cr_expect_eq(worker.upstreams.count, 0u);
	close(listener);
	close(endpoint);
	if (shadow_endpoint >= 0)
		close(shadow_endpoint);
	cert_free(&ca);
	cert_free(&forger);
}

static void begin_web(const char *yaml, enum hs_tls_mode mode, const struct mesh_pod *web)
{
	ca = cert_make("the mesh's authority", NULL, NULL, 10);
	forger = cert_make("the mesh's authority", NULL, NULL, 10);
	set_usual_credentials();
	load(yaml, mode, web, NULL);
	begin(1, 80);
}

/* ---- clients ---- */

static int client_at(unsigned caller, unsigned host, uint16_t port)
{
	struct addr from = ipv4(10, 1, 0, caller), to = ipv4(10, 96, 0, host);
	struct sockaddr_in own = at_addr(&from, 0), at = at_addr(&to, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0, "%s", strerror(errno));
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s", strerror(errno));
	patient(fd);
	return fd;
}

static void request(int fd)
{
	put(fd, "GET / HTTP/1.1\r\nHost: svc.default\r\n\r\n");
}

static int ask_as_pod(unsigned caller)
{
	int fd = client_at(caller, 1, 80);

	request(fd);
	return fd;
}

static void want_ok(int client)
{
	want_message(client, "HTTP/1.1 200 ", NULL);
}

static void want_refused(int client, const char *details)
{
	want_message(client, "HTTP/1.1 503 ", NULL);
	wait_for_log();
	cr_expect_str_eq(last_flags, "UF");
	cr_expect_str_eq(last_details, details);
	close(client);
}

/* Nobody calls the endpoint. */
static void want_silence(void)
{
	struct pollfd p = { endpoint, POLLIN, 0 };

	cr_expect_eq(poll(&p, 1, A_WHILE_MS), 0, "the endpoint was called");
}

static struct http_cluster_stat *counters(void)
{
	static const char name[] = "outbound|80||svc.default.svc.cluster.local";

	return stats_cluster(shared_state_stats(rules_state), name, sizeof(name) - 1);
}

#define NOT_BELIEVED "upstream_reset_before_response_started{connection_failure|TLS_error}"
#define NO_CERTIFICATE \
	"upstream_reset_before_response_started{connection_failure|TLS_error:no_identity}"

/* ---- requests ---- */

Test(proxy_rules, mutual_each_side_knows_who_the_other_is)
{
	struct mesh_pod web = elsewhere(HS_MTLS_PERMISSIVE);
	SSL_CTX *ctx;
	struct served s;
	int client;

	begin_web(RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, &web);
	ctx = server_as(ID("web"), &ca, 10);
	client = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, ctx, &s));
	cr_expect_str_eq(s.seen.identity, ID("a"));
	cr_expect_str_eq(s.seen.offered, "\005istio");
	cr_expect_str_eq(s.seen.version, "TLSv1.3");
	cr_expect_null(SSL_get_servername(s.ssl, TLSEXT_NAMETYPE_host_name));
	answer(&s);
	want_ok(client);
	cr_expect_eq(counters()->handshake, 1u);
	close(client);
	hang_up(&s);
	SSL_CTX_free(ctx);
	finish();
}

/* All connections come from the same address here, as a Gateway's do. */
Test(proxy_rules, mutual_a_connection_is_of_one_identity)
{
	struct mesh_pod web = elsewhere(HS_MTLS_PERMISSIVE);
	int first, second, third;
	struct served of_a, of_b;
	SSL_CTX *ctx;

	begin_web(RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, &web);
	ctx = server_as(ID("web"), &ca, 10);
	first = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, ctx, &of_a));
	answer(&of_a);
	want_ok(first);
	second = ask_as_pod(2);
	cr_assert(accept_tls(endpoint, ctx, &of_b));
	cr_expect_str_eq(of_b.seen.identity, ID("b"));
	cr_expect_not(of_b.seen.resumed, "the session was another identity's");
	answer(&of_b);
	want_ok(second);
	/* The same account as the first one. */
	third = ask_as_pod(3);
	answer(&of_a);
	want_ok(third);
	cr_expect_eq(counters()->handshake, 2u);
	close(first);
	close(second);
	close(third);
	hang_up(&of_a);
	hang_up(&of_b);
	SSL_CTX_free(ctx);
	finish();
}

Test(proxy_rules, mutual_a_session_is_resumed_by_its_own_identity)
{
	static const struct {
		unsigned caller;
		bool resumed;
	} rows[] = { { 1, false }, { 2, false }, { 1, true }, { 2, true }, { 3, true } };
	struct mesh_pod web = elsewhere(HS_MTLS_PERMISSIVE);
	SSL_CTX *ctx;

	begin_web(RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, &web);
	ctx = server_as(ID("web"), &ca, 10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int client = ask_as_pod(rows[i].caller);
		struct served s;

		cr_assert(accept_tls(endpoint, ctx, &s));
		cr_expect_str_eq(s.seen.identity, rows[i].caller == 2 ? ID("b") : ID("a"));
		cr_expect_eq(s.seen.resumed, rows[i].resumed, "row %zu", i);
		answer(&s);
		want_ok(client);
		hang_up(&s);
		close(client);
		wait_ms(20); /* the unused connection ends */
	}
	SSL_CTX_free(ctx);
	finish();
}

Test(proxy_rules, mutual_an_endpoint_that_is_not_who_it_should_be_gets_nothing)
{
	static const struct {
		const char *identity;
		bool forged;
		int days;
		bool san; /* it is believed, but another one's */
	} rows[] = {
		{ ID("other"), false, 10, true },
		{ ID("web") ",URI:" ID("other"), false, 10, true },
		{ "spiffe://elsewhere/ns/default/sa/web", false, 10, true },
		{ ID("web"), true, 10, false },
		{ ID("web"), false, -1, false },
	};
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	uint64_t san = 0, error = 0;

	begin_web(RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, &web);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		SSL_CTX *ctx =
			server_as(rows[i].identity, rows[i].forged ? &forger : &ca, rows[i].days);
		int client = ask_as_pod(1);
		struct served s;

		cr_expect_not(accept_tls(endpoint, ctx, &s), "row %zu", i);
		san += rows[i].san;
		error += !rows[i].san;
		want_refused(client, NOT_BELIEVED);
		cr_expect_eq(counters()->fail_verify_san, san, "row %zu", i);
		cr_expect_eq(counters()->fail_verify_error, error, "row %zu", i);
		hang_up(&s);
		SSL_CTX_free(ctx);
	}
	cr_expect_eq(counters()->handshake, 0u);
	finish();
}

Test(proxy_rules, mutual_an_endpoint_without_tls_gets_no_request)
{
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	struct served s;
	char got[HEADS];
	ssize_t n;
	int client;

	begin_web(RULES WEB, HS_TLS_DISABLE, &web);
	client = ask_as_pod(1);
	accept_clear(endpoint, &s);
	n = recv(s.fd, got, sizeof(got), 0);
	cr_assert_gt(n, 5);
	cr_expect_eq(got[0], 22, "a handshake's record");
	cr_expect_null(memmem(got, (size_t)n, "GET", 3));
	put(s.fd, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
	want_refused(client, NOT_BELIEVED);
	want_silence();
	hang_up(&s);
	finish();
}

/* What the endpoint is and what rules say decide whether TLS is spoken, or nothing. */
Test(proxy_rules, mutual_who_gets_what)
{
	enum { CLEAR, MUTUAL, NO_IDENTITY, NOT_IN_MESH };
	static const struct {
		const char *yaml;
		enum hs_tls_mode rule; /* of no effect without TLS() */
		bool known, here;
		enum hs_mtls mode, at_port;
		unsigned caller;
		int expected;
	} rows[] = {
		/* a rule asks for it */
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, true, false, HS_MTLS_DISABLE, 0, 1,
		  MUTUAL },
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, true, true, HS_MTLS_STRICT, 0, 1,
		  CLEAR },
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, true, true, HS_MTLS_STRICT, 0, 5,
		  CLEAR },
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, false, false, 0, 0, 1, NOT_IN_MESH },
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, true, false, HS_MTLS_PERMISSIVE, 0, 4,
		  NO_IDENTITY },
		{ RULES WEB TLS("svc"), HS_TLS_ISTIO_MUTUAL, true, false, HS_MTLS_PERMISSIVE, 0, 5,
		  NO_IDENTITY },
		/* the endpoint does */
		{ RULES WEB, 0, true, false, HS_MTLS_STRICT, 0, 1, MUTUAL },
		{ RULES WEB, 0, true, false, HS_MTLS_STRICT, 0, 5, NO_IDENTITY },
		{ RULES WEB, 0, true, false, HS_MTLS_PERMISSIVE, HS_MTLS_STRICT, 1, MUTUAL },
		{ RULES WEB, 0, true, false, HS_MTLS_STRICT, HS_MTLS_PERMISSIVE, 1, CLEAR },
		{ RULES WEB, 0, true, false, HS_MTLS_PERMISSIVE, 0, 1, CLEAR },
		{ RULES WEB, 0, true, true, HS_MTLS_STRICT, 0, 1, CLEAR },
		{ RULES WEB, 0, false, false, 0, 0, 1, CLEAR },
		/* a rule forbids it */
		{ RULES WEB TLS("svc"), HS_TLS_DISABLE, true, false, HS_MTLS_STRICT, 0, 1, CLEAR },
	};
	static const char *const details[] = {
		[NO_IDENTITY] = "upstream_reset_before_response_started{connection_failure|"
				"TLS_error:no_identity}",
		[NOT_IN_MESH] = "upstream_reset_before_response_started{connection_failure|"
				"TLS_error:not_in_mesh}",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct mesh_pod web = { ipv4(10, 0, 0, 1), ID("web"), rows[i].here, rows[i].mode,
					rows[i].at_port };
		struct served s = { .fd = -1 };
		SSL_CTX *ctx;
		int client;

		begin_web(rows[i].yaml, rows[i].rule, rows[i].known ? &web : NULL);
		ctx = server_as(ID("web"), &ca, 10);
		client = ask_as_pod(rows[i].caller);
		if (rows[i].expected == CLEAR)
			accept_clear(endpoint, &s);
		else if (rows[i].expected == MUTUAL)
			cr_assert(accept_tls(endpoint, ctx, &s), "row %zu", i);
		if (s.fd >= 0) {
			answer(&s);
			want_ok(client);
			close(client);
			hang_up(&s);
		} else {
			want_refused(client, details[rows[i].expected]);
			want_silence();
		}
		SSL_CTX_free(ctx);
		finish();
	}
}

Test(proxy_rules, mutual_without_a_certificate_nothing_is_sent_until_there_is_one)
{
	const struct minted others[] = { { ID("b"), &ca, &ca } };
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	struct served s;
	SSL_CTX *ctx;
	int client;

	begin_web(RULES WEB, 0, &web);
	set_credentials(others, 1);
	want_refused(
		ask_as_pod(1),
		"upstream_reset_before_response_started{connection_failure|TLS_error:no_identity}");
	want_silence();
	set_usual_credentials();
	ctx = server_as(ID("web"), &ca, 10);
	client = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, ctx, &s));
	answer(&s);
	want_ok(client);
	close(client);
	hang_up(&s);
	SSL_CTX_free(ctx);
	finish();
}

/* A weftd that has just been started has no certificates: those of the former one stay. */
Test(proxy_rules, mutual_a_certificate_stays_until_there_is_another)
{
	const struct minted none_yet[] = { { ID("a"), NULL, &ca } };
	const struct minted other_roots[] = { { ID("a"), NULL, &forger } };
	const struct minted others[] = { { ID("b"), &ca, &ca } };
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	struct served s;
	SSL_CTX *ctx;
	int client;

	begin_web(RULES WEB, 0, &web);
	ctx = server_as(ID("web"), &ca, 10);
	for (int i = 0; i < 2; i++) {
		set_credentials(none_yet, 1);
		client = ask_as_pod(1);
		cr_assert(accept_tls(endpoint, ctx, &s));
		answer(&s);
		want_ok(client);
		close(client);
		hang_up(&s);
		wait_ms(20);
	}
	/* Who is believed does not hang on that. */
	set_credentials(other_roots, 1);
	client = ask_as_pod(1);
	cr_expect_not(accept_tls(endpoint, ctx, &s));
	want_refused(client, NOT_BELIEVED);
	hang_up(&s);
	/* One that is not needed any more goes, and does not come back. */
	set_credentials(others, 1);
	set_credentials(none_yet, 1);
	want_refused(ask_as_pod(1), NO_CERTIFICATE);
	want_silence();
	SSL_CTX_free(ctx);
	finish();
}

/* The next weft-proxy begins with what the one before it has. */
Test(proxy_rules, mutual_certificates_go_from_one_process_to_the_next)
{
	const struct minted none_yet[] = { { ID("a"), NULL, &ca } };
	const struct minted others[] = { { ID("b"), &ca, &ca } };
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	int file = memfd_create("identities", MFD_CLOEXEC), client;
	struct tls_store *next = tls_store_new(), *store;
	struct tls_context *server;
	struct served s;
	SSL_CTX *ctx;

	begin_web(RULES WEB, 0, &web);
	store = shared_state_tls(rules_state);
	cr_assert_eq(tls_store_tell_identities(store, file), 0);
	/* One that weftd has told of nothing yet. */
	cr_assert_eq(tls_store_workload(next, ID("a"), strlen(ID("a")), &server), -ENOKEY);
	cr_assert_eq(tls_store_take_identities(next, file), 0);
	cr_assert_eq(tls_store_workload(next, ID("a"), strlen(ID("a")), &server), 0);
	tls_context_unref(server);
	tls_store_free(next);
	/* One that knows what is needed. */
	set_credentials(others, 1);
	set_credentials(none_yet, 1);
	want_refused(ask_as_pod(1), NO_CERTIFICATE);
	cr_assert_eq(tls_store_take_identities(store, file), 0);
	cr_expect_eq(tls_store_workload(store, ID("b"), strlen(ID("b")), &server), -ENOKEY);
	ctx = server_as(ID("web"), &ca, 10);
	client = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, ctx, &s));
	answer(&s);
	want_ok(client);
	close(client);
	hang_up(&s);
	SSL_CTX_free(ctx);
	close(file);
	finish();
}

/* Another root is believed with the next credentials, and the one before not any more. */
Test(proxy_rules, mutual_new_roots_are_for_the_next_connections)
{
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	const struct minted next[] = { { ID("a"), &ca, &forger } };
	struct served old, s;
	SSL_CTX *before, *after;
	int first, client;
	char end;

	begin_web(RULES WEB, 0, &web);
	before = server_as(ID("web"), &ca, 10);
	after = server_as(ID("web"), &forger, 10);
	first = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, before, &old));
	answer(&old);
	want_ok(first);
	set_credentials(next, 1);
	client = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, after, &s), "a connection of before is not used again");
	answer(&s);
	want_ok(client);
	cr_expect_eq(SSL_read(old.ssl, &end, 1), 0, "nor kept");
	request(first);
	answer(&s);
	want_ok(first);
	close(first);
	close(client);
	hang_up(&old);
	hang_up(&s);
	wait_ms(20); /* the unused connection ends */
	client = ask_as_pod(1);
	cr_expect_not(accept_tls(endpoint, before, &s));
	want_refused(client, NOT_BELIEVED);
	hang_up(&s);
	SSL_CTX_free(before);
	SSL_CTX_free(after);
	finish();
}

/* Another certificate of the same workload: what is under way goes on, and is not kept. */
Test(proxy_rules, mutual_a_renewed_certificate_is_for_the_next_connection)
{
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	struct served old, s;
	int first, third;
	SSL_CTX *ctx;
	char end;

	begin_web(RULES WEB, 0, &web);
	ctx = server_as(ID("web"), &ca, 10);
	first = ask_as_pod(1);
	cr_assert(accept_tls(endpoint, ctx, &old));
	set_usual_credentials(); /* with keys of their own */
	third = ask_as_pod(3);	 /* of the same account */
	cr_assert(accept_tls(endpoint, ctx, &s));
	answer(&s);
	want_ok(third);
	answer(&old);
	want_ok(first);
	cr_expect_eq(SSL_read(old.ssl, &end, 1), 0);
	request(first);
	answer(&s);
	want_ok(first);
	close(first);
	close(third);
	hang_up(&old);
	hang_up(&s);
	SSL_CTX_free(ctx);
	finish();
}

/* ---- copies ---- */

Test(proxy_rules, mutual_copies_have_the_identity_of_who_asks)
{
	struct mesh_pod web = { ipv4(10, 0, 0, 1), ID("web"), true, HS_MTLS_STRICT, 0 };
	struct mesh_pod shadow = { ipv4(10, 0, 0, 2), ID("shadow"), false, HS_MTLS_STRICT, 0 };
	struct served s, copy;
	SSL_CTX *ctx;
	int client;

	ca = cert_make("the mesh's authority", NULL, NULL, 10);
	forger = cert_make("the mesh's authority", NULL, NULL, 10);
	set_usual_credentials();
	load(RULES SHADOW RULE "  - route: [{destination: {host: svc}}]\n"
			       "    mirror: {host: shadow}\n" TLS("svc") TLS("shadow"),
	     HS_TLS_ISTIO_MUTUAL, &web, &shadow);
	begin(1, 80);
	shadow_endpoint = listen_at(ipv4(10, 0, 0, 2), 80);
	ctx = server_as(ID("shadow"), &ca, 10);
	client = ask_as_pod(2);
	accept_clear(endpoint, &s);
	cr_assert(accept_tls(shadow_endpoint, ctx, &copy));
	cr_expect_str_eq(copy.seen.identity, ID("b"));
	answer(&copy);
	answer(&s);
	want_ok(client);
	close(client);
	hang_up(&s);
	hang_up(&copy);
	SSL_CTX_free(ctx);
	finish();
}

Test(proxy_rules, mutual_no_copy_without_an_identity)
{
	struct mesh_pod web = { ipv4(10, 0, 0, 1), ID("web"), true, HS_MTLS_STRICT, 0 };
	struct mesh_pod shadow = { ipv4(10, 0, 0, 2), ID("shadow"), false, HS_MTLS_STRICT, 0 };
	struct pollfd p;
	struct served s;
	int client;

	ca = cert_make("the mesh's authority", NULL, NULL, 10);
	forger = cert_make("the mesh's authority", NULL, NULL, 10);
	set_usual_credentials();
	load(RULES SHADOW RULE "  - route: [{destination: {host: svc}}]\n"
			       "    mirror: {host: shadow}\n",
	     HS_TLS_DISABLE, &web, &shadow);
	begin(1, 80);
	shadow_endpoint = listen_at(ipv4(10, 0, 0, 2), 80);
	client = ask_as_pod(5);
	accept_clear(endpoint, &s);
	answer(&s);
	want_ok(client);
	p = (struct pollfd){ shadow_endpoint, POLLIN, 0 };
	cr_expect_eq(poll(&p, 1, A_WHILE_MS), 0, "a copy was sent");
	close(client);
	hang_up(&s);
	finish();
}

/* ---- connections without requests ---- */

static void begin_tunnel(const struct mesh_pod *web)
{
	ca = cert_make("the mesh's authority", NULL, NULL, 10);
	forger = cert_make("the mesh's authority", NULL, NULL, 10);
	set_usual_credentials();
	load(RULES TLS("tcp"), HS_TLS_ISTIO_MUTUAL, web, NULL);
	begin(2, 7000);
}

Test(proxy_rules, mutual_tunnels_have_the_identity_of_who_connects)
{
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);
	struct served s;
	char got[4];
	SSL_CTX *ctx;
	int client;

	begin_tunnel(&web);
	ctx = server_as(ID("web"), &ca, 10);
	client = client_at(2, 2, 7000);
	cr_assert(accept_tls(endpoint, ctx, &s));
	cr_expect_str_eq(s.seen.identity, ID("b"));
	put(client, "ping");
	cr_assert_eq(SSL_read(s.ssl, got, 4), 4);
	cr_expect_arr_eq(got, "ping", 4);
	cr_assert_eq(SSL_write(s.ssl, "pong", 4), 4);
	want(client, "pong");
	close(client);
	hang_up(&s);
	SSL_CTX_free(ctx);
	finish();
}

static void want_reset(int fd, const char *details)
{
	char c;

	cr_expect_eq(recv(fd, &c, 1, 0), -1);
	cr_expect_eq(errno, ECONNRESET, "%s", strerror(errno));
	wait_for_log();
	cr_expect_str_eq(last_flags, "UF,URX");
	cr_expect_str_eq(last_details, details);
	close(fd);
}

Test(proxy_rules, mutual_a_tunnel_without_an_identity_is_reset)
{
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);

	begin_tunnel(&web);
	want_reset(client_at(5, 2, 7000), "no_identity");
	want_silence();
	finish();
}

Test(proxy_rules, mutual_a_tunnel_to_what_is_no_workload_is_reset)
{
	begin_tunnel(NULL);
	want_reset(client_at(1, 2, 7000), "not_in_mesh");
	want_silence();
	finish();
}

/* ---- Gateways ---- */

/* By HTTP, and by TLS that passes through. */
#define DOOR                                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"      \
	"spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: "      \
	"http, protocol: HTTP}, hosts: ['*']}, {port: {number: 443, name: tls, protocol: "    \
	"TLS}, hosts: [a.test], tls: {mode: PASSTHROUGH}}]}\n"                                \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                     \
	"metadata: {name: door}\nspec: {hosts: ['*'], gateways: [gw], http: "                 \
	"[{route: [{destination: {host: svc}}]}]}\n"                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                     \
	"metadata: {name: pass}\nspec: {hosts: [a.test], gateways: [gw], tls: [{match: "      \
	"[{port: 443, sniHosts: [a.test]}], route: [{destination: {host: tcp, port: {number:" \
	" 7000}}}]}]}\n"

static struct tls_client *gateway;

/* A pod of this node calls the Gateway. */
static struct route_ask begin_gateway(uint16_t port)
{
	const struct minted usual[] = { { GATEWAY_IDENTITY, &ca, &ca }, { ID("a"), &ca, &ca } };
	struct mesh_pod web = elsewhere(HS_MTLS_STRICT);

	ca = cert_make("the mesh's authority", NULL, NULL, 10);
	set_credentials(usual, 2);
	load(RULES DOOR, 0, &web, NULL);
	cr_assert_eq(tls_store_identity_client(shared_state_tls(rules_state),
					       http_span(GATEWAY_IDENTITY), &gateway),
		     0);
	return (struct route_ask){ .client = ipv4(10, 1, 0, 1),
				   .called = ipv4(192, 0, 2, 2),
				   .client_port = 1000,
				   .called_port = port,
				   .called_node = true };
}

/* Ends the plan. */
static void want_gateway(struct asked *a)
{
	cr_assert_eq(asked_pick(a, 0), 1u);
	cr_expect_eq(a->target.tls.client, gateway, "not with that of the pod that calls it");
	cr_expect_str_eq(a->target.tls.peer, ID("web"));
	asked_done(a, OUTCOME_STATUS, 200);
	asked_release(a);
	tls_client_unref(gateway);
	cert_free(&ca);
}

Test(proxy_rules, mutual_a_gateway_has_an_identity_of_its_own)
{
	struct route_ask ask = begin_gateway(80);
	struct asked a = { .worker = 0 };
	int n = snprintf(a.text, sizeof(a.text), "GET / HTTP/1.1\r\nHost: any.test\r\n\r\n");

	cr_assert_eq(h1_parse_request(a.text, (size_t)n, 0, &a.q), n);
	ask.request = &a.q;
	asked_router(&a)->plan(asked_router(&a), &ask, &rules_buffers, &a.plan);
	want_gateway(&a);
}

Test(proxy_rules, mutual_what_passes_through_a_gateway_has_its_identity)
{
	const struct route_hello hello = { .tls = true, .name = { "a.test", 6 } };
	struct route_ask ask = begin_gateway(443);
	struct asked a = { .worker = 0 };

	cr_assert(asked_router(&a)->tunnel(asked_router(&a), &ask, &hello, &a.plan));
	cr_assert_eq(a.plan.action, PLAN_FORWARD);
	want_gateway(&a);
}
