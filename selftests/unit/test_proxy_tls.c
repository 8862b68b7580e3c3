// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that come by TLS, through a worker.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proxy/log/access_line.h"
#include "proxy/process/workers.h"
#include "test_proxy_env.h"
#include "test_tls_util.h"

enum { PATIENCE_MS = 5000, BODY = 2 * 1024 * 1024, TERMS = 7 };

#define ASK "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct env *e;
static struct made_cert ca, server, client;
static struct tls_base *base;
static struct tls_context *context;
static SSL_CTX *client_ctx;
static char line[ACCESS_LINE_MAX];
static bool json, pair;
static unsigned lines;

static const struct tls_base *speaks_tls(struct router *r, const struct route_ask *ask)
{
	(void)r;
	cr_expect_eq(ask->called_port, e->port);
	cr_expect_null(ask->request);
	return base;
}

static int choose(struct router *r, const struct route_ask *ask, const char *name, size_t n,
		  struct tls_context **out, struct route_tls *tls)
{
	(void)r;
	(void)ask;
	if (n == 6 && !memcmp(name, "nobody", n))
		return -ENOENT;
	*out = tls_context_ref(context);
	tls->terms = TERMS;
	return 0;
}

static void logged(void *arg, const struct access_entry *entry)
{
	size_t n = access_line(line, json, entry);

	(void)arg;
	line[n - 1] = 0;
	__atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static void begin(enum tls_mode mode, uint32_t handshake_ms)
{
	char *ca_pem, *server_pem, *server_key;
	struct worker_options o = worker_defaults;
	struct tls_settings s;
	const char *why;

	ca = cert_make("an authority", NULL, NULL, 10);
	server = cert_make("server", "DNS:a.test", &ca, 10);
	client = cert_make("a client", "URI:spiffe://td/c", &ca, 10);
	ca_pem = cert_pem(&ca);
	server_pem = cert_pem(&server);
	server_key = cert_key_pem(&server);
	s = settings_make("s", server_pem, server_key, mode == TLS_SIMPLE ? NULL : ca_pem);
	s.mode = mode;
	cr_assert_eq(tls_base_new(&base), 0);
	cr_assert_eq(tls_context_new(base, &s, &context, &why), 0, "%s", why);
	client_ctx = client_context(&ca, mode == TLS_SIMPLE ? NULL : &client);
	free(ca_pem);
	free(server_pem);
	free(server_key);
	if (handshake_ms)
		o.handshake_timeout_ms = handshake_ms;
	e = pair ? env_new_pair() : env_new(&o);
	e->worker.options.log = logged;
	e->plan.gateway = e->plan.identify = true;
	e->plan.scheme = (struct h1_span){ "https", 5 };
	e->router.speaks_tls = speaks_tls;
	e->router.server = choose;
	__atomic_store_n(&e->router.tls, true, __ATOMIC_SEQ_CST);
}

static void end(void)
{
	env_free(e);
	SSL_CTX_free(client_ctx);
	tls_context_unref(context);
	tls_base_free(base);
	cert_free(&ca);
	cert_free(&server);
	cert_free(&client);
}

TestSuite(proxy_tls, .timeout = 60);

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

static void send_text(SSL *s, const char *text)
{
	cr_assert_eq(SSL_write(s, text, (int)strlen(text)), (int)strlen(text));
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

static const char *endpoint_answers(void)
{
	int fd = env_accept(e);
	const char *head = get_head(fd);

	put(fd, ANSWER);
	close(fd);
	return head;
}

static uint64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wait_for_line(unsigned n)
{
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&lines, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(lines, n);
}

Test(proxy_tls, a_request_and_what_is_said_of_it)
{
	const char *head;
	SSL *s;

	begin(TLS_SIMPLE, 0);
	json = true;
	s = call("A.test");
	send_text(s,
		  "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-Client-Cert: URI=spiffe://forged\r\n"
		  "X-Forwarded-Proto: http\r\n\r\n");
	head = endpoint_answers();
	cr_expect(strstr(head, "\r\nx-forwarded-proto: https\r\n"), "%s", head);
	cr_expect_null(strcasestr(head, "x-forwarded-client-cert"), "%s", head);
	want_text(s, "\r\n\r\nhi");
	wait_for_line(1);
	cr_expect(strstr(line, "\"requested_server_name\":\"a.test\""), "%s", line);
	cr_expect(strstr(line, "\"downstream_tls_version\":\"TLSv1.3\""), "%s", line);
	cr_expect(strstr(line, "\"downstream_tls_cipher\":\"TLS_"), "%s", line);
	cr_expect(strstr(line, "\"downstream_peer_subject\":null"), "%s", line);
	send_text(s, ASK);
	endpoint_answers();
	want_text(s, "\r\n\r\nhi");
	cr_expect_eq(e->worker.stats.handshakes, 1u);
	cr_expect_eq(e->worker.stats.connections, 1u);
	hang_up(s);
	end();
}

Test(proxy_tls, a_client_s_certificate_goes_to_the_endpoint)
{
	const char *head;
	SSL *s;

	begin(TLS_MUTUAL, 0);
	s = call("a.test");
	send_text(s, "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-Client-Cert: "
		     "URI=spiffe://forged\r\n\r\n");
	head = endpoint_answers();
	cr_expect(strstr(head, "\r\nx-forwarded-client-cert: Hash="), "%s", head);
	cr_expect(strstr(head, ";Subject=\"CN=a client\";URI=spiffe://td/c\r\n"), "%s", head);
	cr_expect_null(strstr(head, "forged"), "%s", head);
	want_text(s, "\r\n\r\nhi");
	wait_for_line(1);
	cr_expect(strstr(line, " a.test "), "%s", line);
	hang_up(s);
	end();
}

Test(proxy_tls, large_bodies_in_both_directions)
{
	char *body = malloc(BODY), *got = malloc(BODY);
	char head[128];
	int fd, n = 0;
	SSL *s;

	for (int i = 0; i < BODY; i++)
		body[i] = (char)(i * 7 + i / 253);
	begin(TLS_SIMPLE, 0);
	s = call("a.test");
	snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
		 BODY);
	send_text(s, head);
	cr_assert_eq(SSL_write(s, body, BODY), BODY);
	fd = env_accept(e);
	cr_assert_not_null(get_head(fd));
	while (n < BODY) {
		ssize_t r = recv(fd, got + n, (size_t)(BODY - n), 0);

		cr_assert_gt(r, 0);
		n += (int)r;
	}
	cr_expect_arr_eq(got, body, BODY);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
	put(fd, head);
	put_bytes(fd, body, 64);
	want_text(s, "\r\n\r\n");
	hang_up(s);
	close(fd);
	s = call("a.test");
	send_text(s, ASK);
	fd = env_accept(e);
	cr_assert_not_null(get_head(fd));
	put(fd, head);
	if (!fork()) {
		put_bytes(fd, body, BODY);
		_exit(0);
	}
	for (n = 0; n < BODY;) {
		int r = SSL_read(s, got + n, n ? BODY - n : (int)strlen(head));

		cr_assert_gt(r, 0, "%d", n);
		if (!n && !memcmp(got, "HTTP/1.1 200", 12)) {
			char *rest = memmem(got, (size_t)r, "\r\n\r\n", 4);

			if (rest) {
				n = (int)(got + r - rest - 4);
				memmove(got, rest + 4, (size_t)n);
			}
			continue;
		}
		n += r;
	}
	close(fd);
	hang_up(s);
	end();
	free(body);
	free(got);
}

Test(proxy_tls, who_is_silent_or_wrong_is_sent_away)
{
	SSL *s;
	char c;
	int fd;

	begin(TLS_SIMPLE, 150);
	fd = env_client(e);
	want_end(fd);
	close(fd);
	s = client_new(client_ctx, env_client(e), "nobody");
	cr_expect_leq(SSL_connect(s), 0);
	cr_expect_str_eq(client_alert(), "unrecognized name");
	hang_up(s);
	fd = env_client(e);
	put(fd, ASK);
	cr_expect_geq(recv(fd, &c, 1, 0), 0, "an alert or the end, no RST");
	close(fd);
	cr_expect_eq(e->worker.stats.handshakes, 0u);
	cr_expect_eq(e->worker.stats.handshake_failures, 2u);
	cr_expect_eq(e->picks, 0u);
	end();
}

/* All of it is read, or its last bytes would make the close a RST. */
Test(proxy_tls, who_was_wrong_and_goes_on_gets_an_orderly_end)
{
	enum { MUCH = 600 * 1024, LINGER_MS = 2000 };
	char *junk = calloc(1, MUCH);
	int fd, error;
	socklen_t n = sizeof(error);

	begin(TLS_SIMPLE, 0);
	fd = env_client(e);
	put(fd, ASK);
	want_end(fd);
	put_bytes(fd, junk, MUCH);
	wait_ms(LINGER_MS + 500);
	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n), 0);
	cr_expect_eq(error, 0, "%s", strerror(error));
	close(fd);
	end();
	free(junk);
}

/* In one segment: the end has no event of its own. */
Test(proxy_tls, a_request_and_the_end_right_behind_it)
{
	int on = 1, off = 0, fd;
	uint64_t before;
	char c;
	SSL *s;

	begin(TLS_SIMPLE, 0);
	s = call("a.test");
	fd = SSL_get_fd(s);
	send_text(s, ASK);
	endpoint_answers();
	want_text(s, "\r\n\r\nhi");
	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
	send_text(s, ASK);
	SSL_shutdown(s);
	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)), 0);
	endpoint_answers();
	before = milliseconds();
	while (recv(fd, &c, 1, 0) > 0)
		;
	cr_expect_lt(milliseconds() - before, 2000u);
	hang_up(s);
	end();
}

/* ---- draining ---- */

static void drain(int drained)
{
	struct http_worker *w = &e->worker;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_drain(&w, 1, ends[1], 1, drained), 0);
	close(ends[0]);
	close(ends[1]);
}

static bool has_drained(void)
{
	struct http_worker *w = &e->worker;
	int i;

	for (i = 0; i < PATIENCE_MS && !workers_drained(&w, 1); i++)
		wait_ms(1);
	return i < PATIENCE_MS;
}

/* Its handshake has not begun: the next one may do that as well. */
Test(proxy_tls, a_client_that_has_not_begun_goes_to_the_next_one)
{
	struct http_worker *old, *next;
	int drained = eventfd(0, EFD_CLOEXEC), ends[2], fd;
	SSL *s;

	pair = true;
	begin(TLS_SIMPLE, 0);
	old = &e->worker;
	next = env_other_worker(e);
	fd = env_client(e);
	wait_ms(50);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(workers_succeed(&next, 1, ends[0]), 0);
	cr_assert_eq(workers_drain(&old, 1, ends[1], 1, drained), 0);
	close(ends[0]);
	close(ends[1]);
	cr_expect(has_drained());
	s = client_new(client_ctx, fd, "a.test");
	cr_assert_eq(SSL_connect(s), 1, "%s", client_alert());
	send_text(s, ASK);
	endpoint_answers();
	want_text(s, "\r\n\r\nhi");
	cr_expect_eq(next->stats.handshakes, 1u);
	cr_expect_eq(old->stats.handshakes, 0u);
	hang_up(s);
	end();
	close(drained);
}

static void want_close_notify(SSL *s)
{
	char c;
	int r = SSL_read(s, &c, 1);

	cr_expect_eq(r, 0);
	cr_expect_eq(SSL_get_error(s, r), SSL_ERROR_ZERO_RETURN);
}

Test(proxy_tls, an_idle_client_of_one_that_drains_is_told_of_the_end)
{
	int drained = eventfd(0, EFD_CLOEXEC);
	SSL *s;

	begin(TLS_SIMPLE, 0);
	s = call("a.test");
	send_text(s, ASK);
	endpoint_answers();
	want_text(s, "\r\n\r\nhi");
	drain(drained);
	want_close_notify(s);
	hang_up(s);
	cr_expect(has_drained());
	end();
	close(drained);
}

/* The client could not know yet. */
Test(proxy_tls, a_request_that_is_on_its_way_is_answered)
{
	int drained = eventfd(0, EFD_CLOEXEC);
	SSL *fresh, *used;

	begin(TLS_SIMPLE, 0);
	fresh = call("a.test");
	used = call("a.test");
	send_text(used, ASK);
	endpoint_answers();
	want_text(used, "\r\n\r\nhi");
	drain(drained);
	wait_ms(50);
	send_text(fresh, ASK);
	endpoint_answers();
	want_text(fresh, "\r\nconnection: close\r\n\r\nhi");
	want_close_notify(fresh);
	hang_up(fresh);
	send_text(used, ASK);
	endpoint_answers();
	want_text(used, "\r\nconnection: close\r\n\r\nhi");
	want_close_notify(used);
	hang_up(used);
	cr_expect(has_drained());
	end();
	close(drained);
}

Test(proxy_tls, a_request_under_way_is_the_last_one)
{
	int drained = eventfd(0, EFD_CLOEXEC), fd;
	SSL *s, *half;

	begin(TLS_SIMPLE, 0);
	s = call("a.test");
	half = call("a.test");
	send_text(half, "GET /a HTTP/1.1\r\nHo");
	send_text(s, ASK);
	fd = env_accept(e);
	cr_assert_not_null(get_head(fd));
	wait_ms(50);
	drain(drained);
	put(fd, ANSWER);
	close(fd);
	want_text(s, "\r\nconnection: close\r\n\r\nhi");
	want_close_notify(s);
	hang_up(s);
	send_text(half, "st: h\r\n\r\n");
	endpoint_answers();
	want_text(half, "\r\nconnection: close\r\n\r\nhi");
	want_close_notify(half);
	hang_up(half);
	cr_expect(has_drained());
	end();
	close(drained);
}
