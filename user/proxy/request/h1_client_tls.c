// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/h1_client_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/log.h"
#include "proxy/request/drain.h"

enum { DRAIN_IDLE_MS = 3000 }; /* that a client has for one more request */

struct route_ask h1_client_ask(const struct h1_client *c)
{
	return (struct route_ask){
		.tls = c->down.tls,
		.client = c->down.client_addr,
		.called = c->down.called,
		.client_port = c->down.client_port,
		.called_port = c->down.called_port,
		.called_node = upstream_is_node(&c->worker->upstreams, &c->down.called),
	};
}

/* For transport_tls_open(). */
static int choose_server(void *arg, const char *name, size_t n, struct tls_context **out)
{
	struct h1_client *c = arg;
	struct router *r = c->worker->router;
	const struct route_ask a = h1_client_ask(c);

	return r->server(r, &a, name, n, out, c->tls);
}

static void tell_failure(const struct h1_client *c, int error)
{
	char text[ADDR_TEXT_MAX];

	addr_format_port(&c->down.client_addr, c->down.client_port, text);
	log_debug("TLS handshake with %s for \"%s\": %s", text, c->tls->facts.name,
		  error == -ENOENT ? "no server has the name" : strerror(-error));
}

static void count_failure(const struct route_tls *tls)
{
	struct http_listener_stat *s = tls->stat;
	__u64 *const counters[] = {
		[TLS_NO_SERVER] = &s->no_filter_chain_match,
		[TLS_CONNECTION_ERROR] = &s->connection_error,
		[TLS_FAIL_VERIFY_NO_CERT] = &s->fail_verify_no_cert,
		[TLS_FAIL_VERIFY_ERROR] = &s->fail_verify_error,
		[TLS_FAIL_VERIFY_SAN] = &s->fail_verify_san,
		[TLS_FAIL_VERIFY_HASH] = &s->fail_verify_cert_hash,
	};

	if (counters[tls->facts.failure])
		stat_inc(counters[tls->facts.failure]);
}

static void count_handshake(const struct route_tls *tls)
{
	stat_inc(&tls->stat->handshake);
	if (tls->facts.resumed)
		stat_inc(&tls->stat->session_reused);
	if (!tls->facts.certified)
		stat_inc(&tls->stat->no_certificate);
}

/* The client has been told why by an alert, which is to arrive. */
static enum step handshake_failed(struct h1_client *c, int error)
{
	c->worker->stats.handshake_failures++;
	count_failure(c->tls);
	tell_failure(c, error);
	h1_client_linger(c);
	return STEP_AGAIN;
}

enum step h1_client_tls_tunnel(struct h1_client *c)
{
	struct router *r = c->worker->router;
	const struct route_ask a = h1_client_ask(c);
	struct plan plan = { 0 };

	(void)r->tunnel(r, &a, NULL, &plan);
	return h1_client_begin_tunnel(c, &plan, (struct h1_span){ 0 }) ? STEP_END : STEP_AGAIN;
}

enum step h1_client_handshake(struct h1_client *c)
{
	struct transport *t = &c->down.half.transport;
	int r;

	if (c->worker->draining && transport_tls_is_fresh(t))
		return drain_client(c) ? STEP_END : STEP_WAIT;
	if (c->down.half.broken || c->fired)
		return STEP_END;
	r = transport_tls_handshake(t);
	if (r == -EAGAIN)
		return STEP_WAIT;
	if (r)
		return handshake_failed(c, r);
	c->worker->stats.handshakes++;
	count_handshake(c->tls);
	c->down.tls = c->tls;
	c->down.half.readable = true; /* a request may have come along */
	if (c->tls->tcp)
		return h1_client_tls_tunnel(c);
	c->unsorted = c->tls->mutual;
	c->state = H1_CLIENT_HEAD;
	h1_client_wait(c, c->worker->options.head_timeout_ms);
	return STEP_AGAIN;
}

int h1_client_begin_tls(struct h1_client *c)
{
	struct router *r = c->worker->router;
	const struct route_ask a = h1_client_ask(c);
	struct http_listener_stat *stat = NULL;
	const struct tls_base *b = r->speaks_tls(r, &a, &stat);

	if (!b)
		return 0;
	c->tls = calloc(1, sizeof(*c->tls));
	if (!c->tls)
		return -ENOMEM;
	c->tls->stat = stat;
	c->state = H1_CLIENT_HANDSHAKE;
	return transport_tls_open(&c->down.half.transport, b, choose_server, c, &c->tls->facts);
}

/* ---- draining ---- */

enum step h1_client_drain_tls(struct h1_client *c)
{
	const struct half *h = &c->down.half;

	if (!c->granted) {
		c->granted = true;
		h1_client_wait(c, DRAIN_IDLE_MS);
	}
	if (!c->fired && !h->eof && !h->broken)
		return STEP_WAIT;
	h1_client_linger(c);
	return STEP_AGAIN;
}

bool h1_client_is_idle(struct h1_client *c)
{
	struct half *h = &c->down.half;

	if (buf_len(&h->in))
		return false;
	if (!h->readable || half_receive(h) <= 0)
		return true;
	h1_client_wait(c, c->worker->options.head_timeout_ms);
	return false;
}
