// SPDX-License-Identifier: Apache-2.0
/*
 * Connections without requests, through a worker: those whose ClientHello is looked at and passed
 * on, and those whose TLS has been ended.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/wire/proxy_orders.h"
#include "proxy/log/access_line.h"
#include "proxy/process/requests.h"
#include "proxy/process/workers.h"
#include "proxy/request/h1_client.h"
#include "test_proxy_env.h"
#include "test_tls_util.h"

enum { PATIENCE_MS = 5000, MUCH = 6 * 1024 * 1024 };

static struct env *e;
static struct made_cert ca, server;
static struct tls_base *base;
static struct tls_context *context;
static SSL_CTX *client_ctx;
static bool ends_tls, tcp_inside, json, pair;
static struct limit limit;
static struct cluster_limit row;
static uint32_t held;

/* What the router has been asked, and told. */
static char asked_name[256];
static bool asked_tls;
static unsigned asks, reached;

static char line[ACCESS_LINE_MAX];
static unsigned lines;

/* ---- the router ---- */

static bool peeks(struct router *r, const struct route_ask *ask)
{
	(void)r;
	cr_expect_null(ask->request);
	cr_expect_eq(ask->called_port == e->port || pair, true);
	return !tcp_inside;
}

static bool tunnel(struct router *r, const struct route_ask *ask, const struct route_hello *hello,
		   struct plan *out)
{
	(void)r;
	cr_expect_eq(!ask->tls, !!hello);
	asked_tls = hello && hello->tls;
	*asked_name = 0;
	if (hello && hello->name.n)
		memcpy(asked_name, hello->name.p, hello->name.n + 1);
	__atomic_add_fetch(&asks, 1, __ATOMIC_SEQ_CST);
	if (hello && ends_tls)
		return false;
	*out = e->plan;
	if (out->action == PLAN_FORWARD) {
		out->cluster = &e->cluster;
		out->route = &e->route;
	}
	return true;
}

static void on_reached(struct router *r, struct plan *p)
{
	(void)r;
	cr_expect_not_null(p->cluster);
	__atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST);
}

static const struct tls_base *speaks_tls(struct router *r, const struct route_ask *ask,
					 struct http_listener_stat **stat)
{
	static struct http_listener_stat counters;

	*stat = &counters;
	(void)r;
	(void)ask;
	return base;
}

static int choose(struct router *r, const struct route_ask *ask, const char *name, size_t n,
		  struct tls_context **out, struct route_tls *tls)
{
	(void)r;
	(void)ask;
	(void)name;
	(void)n;
	*out = tls_context_ref(context);
	tls->tcp = tcp_inside;
	return 0;
}

static void logged(void *arg, const struct access_entry *entry)
{
	size_t n = access_line(line, json, entry);

	(void)arg;
	line[n - 1] = 0;
	__atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static void make_certificates(void)
{
	char *chain, *key;
	struct tls_settings s;
	const char *why;

	ca = cert_make("an authority", NULL, NULL, 10);
	server = cert_make("server", "DNS:a.test", &ca, 10);
	chain = cert_pem(&server);
	key = cert_key_pem(&server);
	s = settings_make("s", chain, key, NULL);
	s.opaque = tcp_inside;
	cr_assert_eq(tls_base_new(&base), 0);
	cr_assert_eq(tls_context_new(base, &s, &context, &why), 0, "%s", why);
	client_ctx = client_context(&ca, NULL);
	free(chain);
	free(key);
}

static void begin(uint32_t hello_ms)
{
	struct worker_options o = worker_defaults;

	if (hello_ms)
		o.handshake_timeout_ms = hello_ms;
	make_certificates();
	e = pair ? env_new_pair() : env_new(&o);
	e->worker.options.log = logged;
	strcpy(e->cluster.name, "outbound|443||b");
	strcpy(e->route.name, "default/b/tls[0]");
	e->router.speaks_tls = speaks_tls;
	e->router.server = choose;
	e->router.peeks = peeks;
	e->router.tunnel = tunnel;
	e->router.reached = on_reached;
	__atomic_store_n(&e->router.tls, true, __ATOMIC_SEQ_CST);
}

static void finish(void)
{
	env_free(e);
	SSL_CTX_free(client_ctx);
	tls_context_unref(context);
	tls_base_free(base);
	cert_free(&ca);
	cert_free(&server);
	cr_expect_eq(row.proxied, 0u);
}

TestSuite(proxy_tunnel, .timeout = 60);

/* ---- clients and endpoints ---- */

struct hello {
	char at[4096];
	size_t n;
};

static struct hello hello(const char *name)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct hello h = { .n = 0 };
	SSL *s = SSL_new(client_ctx);
	char *text;

	if (name)
		SSL_set_tlsext_host_name(s, name);
	SSL_set_bio(s, in, out);
	SSL_set_connect_state(s);
	(void)SSL_do_handshake(s);
	h.n = (size_t)BIO_get_mem_data(out, &text);
	cr_assert_leq(h.n, sizeof(h.at));
	memcpy(h.at, text, h.n);
	SSL_free(s);
	return h;
}

static void want_bytes(int fd, const char *bytes, size_t n)
{
	char *got = malloc(n);
	size_t have = 0;

	while (have < n) {
		ssize_t r = recv(fd, got + have, n - have, 0);

		cr_assert_gt(r, 0, "%zu of %zu bytes", have, n);
		have += (size_t)r;
	}
	cr_expect_arr_eq(got, bytes, n);
	free(got);
}

static void want_reset(int fd)
{
	char c[256];
	ssize_t r;

	while ((r = recv(fd, c, sizeof(c), 0)) > 0)
		;
	cr_expect_eq(r, -1, "an orderly end");
	cr_expect_eq(errno, ECONNRESET, "%s", strerror(errno));
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static const char *wait_for_line(unsigned n)
{
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&lines, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(lines, n, "%u lines", lines);
	return line;
}

/* A client that has sent its ClientHello, and the endpoint that has got it. */
static void open_both(const char *name, int *client, int *endpoint)
{
	struct hello h = hello(name);

	*client = env_client(e);
	put_bytes(*client, h.at, h.n);
	*endpoint = env_accept(e);
	want_bytes(*endpoint, h.at, h.n);
}

/* ---- what goes through ---- */

Test(proxy_tunnel, bytes_go_on_as_they_are_and_back)
{
	int client, endpoint;

	begin(0);
	open_both("A.Test", &client, &endpoint);
	cr_expect(asked_tls);
	cr_expect_str_eq(asked_name, "a.test");
	put(endpoint, "server hello");
	want(client, "server hello");
	put(client, "finished");
	want(endpoint, "finished");
	close(client);
	want_end(endpoint);
	close(endpoint);
	wait_for_line(1);
	cr_expect(strstr(line, "] \"- - -\" 0 - - - \"-\" "), "%s", line);
	cr_expect(strstr(line, " outbound|443||b "), "%s", line);
	cr_expect(strstr(line, " a.test default/b/tls[0]"), "%s", line);
	cr_expect_eq(e->worker.stats.requests, 0u);
	cr_expect_eq(e->cluster.upstream_rq_total, 0u);
	cr_expect_eq(e->route.rq_total, 0u);
	cr_expect_eq(e->cluster.upstream_cx_total, 1u);
	cr_expect_eq(e->cluster.upstream_cx_http1_total, 0u);
	cr_expect_eq(e->cluster.upstream_cx_destroy, 1u);
	cr_expect_eq(e->cluster.upstream_cx_rx_bytes_total, strlen("server hello"));
	cr_expect_gt(e->cluster.upstream_cx_tx_bytes_total, strlen("finished"));
	cr_expect_eq(reached, 1u);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED, "it has been told of before");
	finish();
}

Test(proxy_tunnel, in_json_there_is_no_request)
{
	int client, endpoint;

	json = true;
	begin(0);
	open_both(NULL, &client, &endpoint);
	cr_expect(asked_tls);
	cr_expect_str_eq(asked_name, "");
	close(endpoint);
	want_end(client);
	close(client);
	wait_for_line(1);
	cr_expect(strstr(line, "\"method\":null,\"path\":null,\"protocol\":null"), "%s", line);
	cr_expect(strstr(line, "\"response_code\":0,\"response_flags\":\"-\""), "%s", line);
	cr_expect(strstr(line, "\"requested_server_name\":null"), "%s", line);
	cr_expect(strstr(line, "\"bytes_sent\":0,"), "%s", line);
	finish();
}

Test(proxy_tunnel, a_hello_that_comes_byte_by_byte)
{
	struct hello h;
	int client, endpoint;

	begin(0);
	h = hello("a.test");
	client = env_client(e);
	for (size_t i = 0; i < h.n; i++) {
		cr_expect_eq(asks, 0u, "%zu", i);
		put_bytes(client, h.at + i, 1);
		/* Each in a segment of its own. */
		if (i % 16 == 0)
			wait_ms(2);
	}
	endpoint = env_accept(e);
	want_bytes(endpoint, h.at, h.n);
	cr_expect_eq(asks, 1u);
	close(client);
	close(endpoint);
	wait_for_line(1);
	finish();
}

/* The kernel calls when there is enough: a worker does not look at each byte. */
Test(proxy_tunnel, what_is_missing_is_waited_for)
{
	struct hello h;
	int client, endpoint;

	begin(0);
	h = hello("a.test");
	client = env_client(e);
	put_bytes(client, h.at, 100);
	wait_ms(50);
	cr_assert_not_null(e->worker.clients);
	cr_expect_eq(e->worker.clients->state, H1_CLIENT_PEEK);
	cr_expect_eq(e->worker.clients->low_mark, (int)h.n);
	put_bytes(client, h.at + 100, h.n - 100);
	endpoint = env_accept(e);
	want_bytes(endpoint, h.at, h.n);
	/* Afterwards single bytes go on at once. */
	put(client, "x");
	want(endpoint, "x");
	close(client);
	close(endpoint);
	wait_for_line(1);
	finish();
}

struct flood {
	int fd;
	const char *bytes;
};

static void *send_flood(void *arg)
{
	const struct flood *f = arg;

	put_bytes(f->fd, f->bytes, MUCH);
	shutdown(f->fd, SHUT_WR);
	return NULL;
}

/* Both directions at once. */
static void exchange(int a, int b)
{
	char *there = malloc(MUCH), *back = malloc(MUCH);
	struct flood floods[2] = { { a, there }, { b, back } };
	pthread_t threads[2];

	for (int i = 0; i < MUCH; i++) {
		there[i] = (char)(i * 7 + i / 253);
		back[i] = (char)(i * 11 + i / 251);
	}
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, send_flood, &floods[i]), 0);
	want_bytes(b, there, MUCH);
	want_bytes(a, back, MUCH);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	want_end(a);
	want_end(b);
	free(there);
	free(back);
}

Test(proxy_tunnel, much_in_both_directions)
{
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	exchange(client, endpoint);
	wait_for_line(1);
	cr_expect(strstr(line, " 0 - - - \"-\" "), "%s", line);
	cr_expect_geq(e->cluster.upstream_cx_rx_bytes_total, (unsigned)MUCH);
	cr_expect_geq(e->cluster.upstream_cx_tx_bytes_total, (unsigned)MUCH);
	close(client);
	close(endpoint);
	finish();
}

Test(proxy_tunnel, what_has_moved_is_counted_meanwhile)
{
	char *much = calloc(1, 100000);
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	put_bytes(endpoint, much, 100000);
	want_bytes(client, much, 100000);
	for (int i = 0; i < PATIENCE_MS && !e->cluster.upstream_cx_rx_bytes_total; i++)
		wait_ms(1);
	cr_expect_gt(e->cluster.upstream_cx_rx_bytes_total, 60000u);
	free(much);
	close(client);
	close(endpoint);
	wait_for_line(1);
	cr_expect_eq(e->cluster.upstream_cx_rx_bytes_total, 100000u);
	finish();
}

Test(proxy_tunnel, one_side_may_end_before_the_other)
{
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	shutdown(client, SHUT_WR);
	want_end(endpoint);
	put(endpoint, "still there");
	want(client, "still there");
	wait_ms(50);
	put(endpoint, "and there");
	want(client, "and there");
	close(endpoint);
	want_end(client);
	close(client);
	open_both("a.test", &client, &endpoint);
	shutdown(endpoint, SHUT_WR);
	want_end(client);
	put(client, "still there");
	want(endpoint, "still there");
	close(client);
	want_end(endpoint);
	close(endpoint);
	wait_for_line(2);
	finish();
}

/* ---- how it ends otherwise ---- */

Test(proxy_tunnel, a_reset_is_passed_on)
{
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	reset(client);
	want_reset(endpoint);
	close(endpoint);
	cr_expect(strstr(wait_for_line(1), "\" 0 DC - "), "%s", line);
	open_both("a.test", &client, &endpoint);
	put(endpoint, "a bit");
	want(client, "a bit");
	reset(endpoint);
	want_reset(client);
	close(client);
	cr_expect(strstr(wait_for_line(2), "\" 0 UC - "), "%s", line);
	finish();
}

/* What is read after the other's orderly end says nothing of a reset. */
static void want_late_reset(int fd)
{
	struct pollfd p = { .fd = fd };

	cr_expect_eq(poll(&p, 1, PATIENCE_MS), 1, "no reset");
	cr_expect(p.revents & POLLERR, "%x", (unsigned)p.revents);
	close(fd);
}

/* Nothing is read of it any more. */
Test(proxy_tunnel, a_side_that_is_done_may_still_be_reset)
{
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	shutdown(client, SHUT_WR);
	want_end(endpoint);
	reset(client);
	want_late_reset(endpoint);
	cr_expect(strstr(wait_for_line(1), "\" 0 DC - "), "%s", line);
	open_both("a.test", &client, &endpoint);
	shutdown(endpoint, SHUT_WR);
	want_end(client);
	reset(endpoint);
	want_late_reset(client);
	cr_expect(strstr(wait_for_line(2), "\" 0 UC - "), "%s", line);
	finish();
}

/* An orderly end could be taken for the other side's. */
Test(proxy_tunnel, the_end_of_the_worker_is_a_reset)
{
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	finish();
	want_reset(client);
	want_reset(endpoint);
	close(client);
	close(endpoint);
	cr_expect(strstr(wait_for_line(1), "\" 0 DT drain_time "), "%s", line);
}

/* A client that asks for that: what it sees, and the log. */
static void want_refusal(unsigned n, const char *flags)
{
	struct hello h = hello("a.test");
	int client = env_client(e);

	put_bytes(client, h.at, h.n);
	want_reset(client);
	close(client);
	cr_expect(strstr(wait_for_line(n), flags), "%s", line);
}

Test(proxy_tunnel, what_can_not_be_done_is_a_reset)
{
	begin(0);
	e->pick = PICK_NONE;
	want_refusal(1, "\" 0 UH - ");
	cr_expect_eq(e->cluster.upstream_cx_none_healthy, 1u);
	e->pick = PICK_NO_CLUSTER;
	want_refusal(2, "\" 0 NC - ");
	e->pick = PICK_OK;
	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .flags = "NR", .details = "filter_chain_not_found" };
	want_refusal(3, "\" 0 NR filter_chain_not_found ");
	cr_expect_eq(e->picks, 0u);
	cr_expect_eq(e->releases, 3u);
	e->plan.action = PLAN_FORWARD;
	e->target.closed = true;
	want_refusal(4, "\" 0 UF,URX network_policy ");
	cr_expect_eq(e->cluster.network_policy, 1u);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED);
	e->target.closed = false;
	e->target.port = 1;
	want_refusal(5, "\" 0 UF,URX - ");
	cr_expect_eq(e->outcome, OUTCOME_CONNECT);
	cr_expect_eq(e->cluster.upstream_cx_connect_fail, 1u);
	cr_expect_eq(reached, 0u);
	finish();
}

Test(proxy_tunnel, an_endpoint_that_does_not_answer)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int full = socket(AF_INET, SOCK_STREAM, 0), first = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);

	begin(0);
	close(full);
	close(first);
	full = socket(AF_INET, SOCK_STREAM, 0); /* of the namespace */
	first = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(full, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(full, 0), 0);
	cr_assert_eq(getsockname(full, (struct sockaddr *)&at, &len), 0);
	cr_assert_eq(connect(first, (struct sockaddr *)&at, sizeof(at)), 0);
	e->target.port = ntohs(at.sin_port);
	e->target.connect_timeout_ms = 150;
	want_refusal(1, "\" 0 UF,URX - ");
	cr_expect_eq(e->outcome, OUTCOME_CONNECT);
	cr_expect_eq(e->cluster.upstream_cx_connect_timeout, 1u);
	close(full);
	close(first);
	finish();
}

Test(proxy_tunnel, no_more_connections_than_there_may_be)
{
	int client, endpoint;

	begin(0);
	limit = (struct limit){ .connections = &row, .held = &held };
	e->target.limit = &limit;
	e->target.max.connections = 1;
	open_both("a.test", &client, &endpoint);
	want_refusal(1, "\" 0 UO - ");
	cr_expect_eq(e->cluster.upstream_cx_overflow, 1u);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED);
	close(client);
	close(endpoint);
	wait_for_line(2);
	open_both("a.test", &client, &endpoint);
	close(client);
	close(endpoint);
	wait_for_line(3);
	finish();
}

static uint64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

Test(proxy_tunnel, nothing_moves_for_too_long)
{
	int client, endpoint;
	uint64_t last;

	begin(0);
	e->target.tunnel_idle_ms = 300;
	open_both("a.test", &client, &endpoint);
	for (int i = 0; i < 6; i++) {
		wait_ms(100);
		put(i % 2 ? client : endpoint, "x");
		want(i % 2 ? endpoint : client, "x");
	}
	last = milliseconds();
	want_end(client);
	cr_expect_geq(milliseconds() - last, 250u);
	cr_expect_lt(milliseconds() - last, 550u);
	want_end(endpoint);
	close(client);
	close(endpoint);
	cr_expect(strstr(wait_for_line(1), "\" 0 SI idle_timeout "), "%s", line);
	cr_expect_eq(e->cluster.upstream_cx_idle_timeout, 1u);
	finish();
}

Test(proxy_tunnel, no_longer_than_max_connection_duration)
{
	int client, endpoint;
	uint64_t first;

	begin(0);
	e->target.tunnel_idle_ms = 10000;
	e->target.max_duration_ms = 300;
	first = milliseconds();
	open_both("a.test", &client, &endpoint);
	wait_ms(200);
	put(client, "x");
	want(endpoint, "x");
	want_end(client);
	want_end(endpoint);
	cr_expect_geq(milliseconds() - first, 300u);
	cr_expect_lt(milliseconds() - first, 1000u);
	close(client);
	close(endpoint);
	cr_expect(strstr(wait_for_line(1), "\" 0 - max_duration_timeout "), "%s", line);
	finish();
}

/* ---- what says no hello ---- */

Test(proxy_tunnel, what_speaks_no_tls_goes_by_its_own_plan)
{
	int client, endpoint;

	begin(0);
	client = env_client(e);
	put(client, "hi"); /* a ClientHello would have a longer one */
	endpoint = env_accept(e);
	want(endpoint, "hi");
	cr_expect_not(asked_tls);
	put(endpoint, "220 ready");
	want(client, "220 ready");
	close(client);
	want_end(endpoint);
	close(endpoint);
	wait_for_line(1);
	finish();
}

/* Where only TLS goes on by its own plan. */
Test(proxy_tunnel, what_speaks_no_tls_may_be_http)
{
	static const char ask[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
	int client, endpoint;

	ends_tls = true;
	begin(0);
	client = env_client(e);
	put(client, ask);
	endpoint = env_accept(e);
	cr_assert_not_null(get_head(endpoint));
	put(endpoint, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	want(client, "HTTP/1.1 200 OK\r\n");
	close(client);
	close(endpoint);
	finish();
}

Test(proxy_tunnel, who_waits_for_the_server_gets_it_after_a_while)
{
	int client, endpoint;
	uint64_t first;

	begin(200);
	first = milliseconds();
	client = env_client(e);
	endpoint = env_accept(e);
	cr_expect_geq(milliseconds() - first, 200u);
	cr_expect_not(asked_tls);
	put(endpoint, "220 ready");
	want(client, "220 ready");
	close(client);
	close(endpoint);
	wait_for_line(1);
	finish();
}

Test(proxy_tunnel, a_hello_that_is_not_finished_is_none)
{
	struct hello h;
	int client, endpoint;

	begin(200);
	h = hello("a.test");
	client = env_client(e);
	put_bytes(client, h.at, h.n / 2);
	endpoint = env_accept(e);
	want_bytes(endpoint, h.at, h.n / 2);
	cr_expect_not(asked_tls);
	close(client);
	close(endpoint);
	wait_for_line(1);
	/* Nor is one that ends; then nothing is waited for. */
	e->worker.options.handshake_timeout_ms = 60000;
	client = env_client(e);
	put_bytes(client, h.at, h.n / 2);
	wait_ms(50);
	shutdown(client, SHUT_WR);
	endpoint = env_accept(e);
	want_bytes(endpoint, h.at, h.n / 2);
	want_end(endpoint);
	put(endpoint, "what?");
	want(client, "what?");
	close(client);
	close(endpoint);
	wait_for_line(2);
	finish();
}

Test(proxy_tunnel, one_that_is_broken_off_leaves_nothing)
{
	struct hello h;
	int client;

	begin(0);
	h = hello("a.test");
	client = env_client(e);
	put_bytes(client, h.at, h.n / 2);
	wait_ms(50);
	reset(client);
	for (int i = 0; i < PATIENCE_MS && e->worker.stats.active; i++)
		wait_ms(1);
	cr_expect_eq(e->worker.stats.active, 0u);
	cr_expect_eq(asks, 0u);
	finish();
}

/* ---- TLS that is ended ---- */

static SSL *call(const char *name)
{
	SSL *s = client_new(client_ctx, env_client(e), name);

	cr_assert_eq(SSL_connect(s), 1, "%s", client_alert());
	return s;
}

static void hang_up(SSL *s)
{
	close(SSL_get_fd(s));
	SSL_free(s);
}

static void want_text(SSL *s, const char *text)
{
	char got[4096] = "";
	size_t n = 0;

	while (!strstr(got, text)) {
		int r = SSL_read(s, got + n, (int)(sizeof(got) - n - 1));

		cr_assert_gt(r, 0, "only '%s'", got);
		n += (size_t)r;
	}
}

/* Nothing of the ClientHello has been taken away. */
Test(proxy_tunnel, a_hello_that_was_looked_at_may_begin_tls_here)
{
	static const char ask[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
	int fd;
	SSL *s;

	ends_tls = true;
	begin(0);
	s = call("a.test");
	cr_expect_str_eq(asked_name, "a.test");
	cr_assert_eq(SSL_write(s, ask, sizeof(ask) - 1), (int)sizeof(ask) - 1);
	fd = env_accept(e);
	cr_assert_not_null(get_head(fd));
	put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	want_text(s, "\r\n\r\nhi");
	close(fd);
	hang_up(s);
	cr_expect_eq(e->worker.stats.handshakes, 1u);
	finish();
}

Test(proxy_tunnel, what_is_in_tls_goes_on_by_the_plan)
{
	static const unsigned char offers[] = "\x04mqtt";
	const unsigned char *agreed = NULL;
	unsigned n = 0;
	int fd;
	SSL *s;

	tcp_inside = json = true;
	begin(0);
	SSL_CTX_set_alpn_protos(client_ctx, offers, sizeof(offers) - 1);
	s = call("a.test");
	SSL_get0_alpn_selected(s, &agreed, &n);
	cr_expect_eq(n, 0u, "what is inside is not for us");
	cr_assert_eq(SSL_write(s, "hello", 5), 5);
	fd = env_accept(e);
	want(fd, "hello");
	put(fd, "one hello");
	want_text(s, "one hello");
	SSL_shutdown(s);
	want_end(fd);
	put(fd, "the rest");
	want_text(s, "the rest");
	close(fd);
	cr_expect_eq(SSL_read(s, &(char){ 0 }, 1), 0);
	cr_expect_eq(SSL_get_shutdown(s), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	hang_up(s);
	wait_for_line(1);
	cr_expect(strstr(line, "\"requested_server_name\":\"a.test\""), "%s", line);
	cr_expect(strstr(line, "\"downstream_tls_version\":\"TLSv1.3\""), "%s", line);
	cr_expect(strstr(line, "\"bytes_received\":5,\"bytes_sent\":17,"), "%s", line);
	cr_expect(strstr(line, "\"method\":null"), "%s", line);
	cr_expect_eq(e->worker.stats.requests, 0u);
	finish();
}

/* The server speaks first. */
Test(proxy_tunnel, in_tls_nothing_need_be_said)
{
	int fd;
	SSL *s;

	tcp_inside = true;
	begin(0);
	s = call("a.test");
	fd = env_accept(e);
	put(fd, "220 ready");
	want_text(s, "220 ready");
	reset(fd);
	cr_expect_lt(SSL_read(s, &(char){ 0 }, 1), 1);
	cr_expect_eq(SSL_get_shutdown(s) & SSL_RECEIVED_SHUTDOWN, 0, "not all has come");
	hang_up(s);
	wait_for_line(1);
	finish();
}

/* ---- looking, and draining ---- */

static struct proxy_request look(void)
{
	struct http_worker *w = &e->worker;
	int fd = memfd_create("requests", MFD_CLOEXEC);
	struct proxy_request out = { 0 };

	cr_assert_eq(requests_write(&w, 1, fd), 0);
	cr_expect_eq(pread(fd, &out, sizeof(out), 0), (ssize_t)sizeof(out));
	close(fd);
	return out;
}

Test(proxy_tunnel, it_is_told_of_with_the_requests)
{
	struct proxy_request q;
	int client, endpoint;

	begin(0);
	open_both("a.test", &client, &endpoint);
	put(endpoint, "12345");
	want(client, "12345");
	q = look();
	cr_expect_str_eq(q.state, "tunnel");
	cr_expect_str_eq(q.authority, "a.test");
	cr_expect_str_eq(q.method, "");
	cr_expect_str_eq(q.cluster, "outbound|443||b");
	cr_expect_str_eq(q.route, "default/b/tls[0]");
	cr_expect_eq(q.endpoint_port, e->endpoint_port);
	cr_expect_eq(q.sent, 5u);
	close(client);
	close(endpoint);
	wait_for_line(1);
	finish();
}

static bool has_drained(int ms)
{
	struct http_worker *w = &e->worker;
	int i;

	for (i = 0; i < ms && !workers_drained(&w, 1); i++)
		wait_ms(1);
	return i < ms;
}

static void drain(int drained)
{
	struct http_worker *old = &e->worker, *next = env_other_worker(e);
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	cr_assert_eq(workers_drain(&old, 1, ends[1], 1, drained), 0);
	close(ends[0]);
	close(ends[1]);
}

Test(proxy_tunnel, one_that_drains_keeps_its_tunnels)
{
	int drained = eventfd(0, EFD_CLOEXEC), client, endpoint;

	pair = true;
	begin(0);
	open_both("a.test", &client, &endpoint);
	drain(drained);
	cr_expect_not(has_drained(150));
	put(client, "still");
	want(endpoint, "still");
	put(endpoint, "here");
	want(client, "here");
	close(client);
	want_end(endpoint);
	close(endpoint);
	cr_expect(has_drained(PATIENCE_MS));
	finish();
	close(drained);
}

Test(proxy_tunnel, half_a_hello_is_the_next_one_s)
{
	int drained = eventfd(0, EFD_CLOEXEC), client, endpoint;
	struct hello h;

	pair = true;
	begin(0);
	h = hello("a.test");
	client = env_client(e);
	put_bytes(client, h.at, h.n / 2);
	wait_ms(50);
	drain(drained);
	cr_expect(has_drained(PATIENCE_MS));
	put_bytes(client, h.at + h.n / 2, h.n - h.n / 2);
	endpoint = env_accept(e);
	want_bytes(endpoint, h.at, h.n);
	cr_expect_eq(env_other_worker(e)->stats.connections, 1u);
	cr_expect_str_eq(asked_name, "a.test");
	close(client);
	close(endpoint);
	finish();
	close(drained);
}

/* ---- in time ---- */

/* What comes in one go and is not followed by more for now is passed on at once: nothing is in
 * flight then that would take it along. */
Test(proxy_tunnel, the_last_bytes_of_much_do_not_wait)
{
	enum { TIMES = 5, FIRST = 16384 + 20000, NEXT = 20000, CORKED_MS = 200 };
	char *some = calloc(1, FIRST);
	int client, endpoint;
	uint64_t before;

	begin(0);
	open_both("a.test", &client, &endpoint);
	put_bytes(endpoint, some, FIRST);
	want_bytes(client, some, FIRST);
	for (int i = 0; i < TIMES; i++) {
		wait_ms(100);
		before = milliseconds();
		put_bytes(endpoint, some, NEXT);
		want_bytes(client, some, NEXT);
		cr_expect_lt(milliseconds() - before, (unsigned)CORKED_MS - 50);
	}
	free(some);
	close(client);
	close(endpoint);
	wait_for_line(1);
	finish();
}
