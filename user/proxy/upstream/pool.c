// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "proxy/io/sock.h"
#include "proxy/upstream/upstream_tls.h"
#include "weft/tproxy.h"

enum {
	IDLE_MS = 3600 * 1000,
	PORT_TRIES = 64,
};

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static struct upstream_conn **bucket(struct upstreams *pool, const struct addr *endpoint,
				     uint16_t port, const struct addr *source)
{
	uint64_t h = port;

	for (size_t i = 0; i < sizeof(endpoint->b); i++)
		h = (h ^ endpoint->b[i]) * 0x100000001b3;
	for (size_t i = 0; i < sizeof(source->b); i++)
		h = (h ^ source->b[i]) * 0x100000001b3;
	return &pool->buckets[(h ^ h >> 32) % UPSTREAM_BUCKETS];
}

static void take_out(struct upstream_conn *u)
{
	*u->link = u->next;
	if (u->next)
		u->next->link = u->link;
	u->link = NULL;
	u->pool->idle_count--;
	loop_timer_clear(u->pool->loop, &u->idle);
}

static void put_in(struct upstream_conn *u)
{
	struct upstream_conn **head = bucket(u->pool, &u->endpoint, u->port, &u->source);

	u->next = *head;
	if (u->next)
		u->next->link = &u->next;
	u->link = head;
	*head = u;
	u->pool->idle_count++;
}

static void give_back(struct upstreams *pool, struct limit *l)
{
	if (!l)
		return;
	if (!limit_wanted(l) || !limit_pass_on(l, pool->waits_since(pool, l)))
		limit_disconnect(l);
	if (limit_wanted(l))
		pool->freed(pool);
}

static void count_bytes(struct upstream_conn *u)
{
	stat_add(&u->stat->upstream_cx_rx_bytes_total, u->stream.half.received - u->counted_rx);
	stat_add(&u->stat->upstream_cx_tx_bytes_total, u->stream.half.sent - u->counted_tx);
	u->counted_rx = u->stream.half.received;
	u->counted_tx = u->stream.half.sent;
}

static void count_open(struct http_cluster_stat *s, bool opaque)
{
	stat_inc(&s->upstream_cx_total);
	if (!opaque)
		stat_inc(&s->upstream_cx_http1_total);
	gauge_inc(s->upstream_cx_active);
}

static void count_close(struct http_cluster_stat *s, bool connected, bool by_endpoint)
{
	gauge_dec(s->upstream_cx_active);
	stat_inc(&s->upstream_cx_destroy);
	stat_inc(by_endpoint ? &s->upstream_cx_destroy_remote : &s->upstream_cx_destroy_local);
	if (!connected)
		stat_inc(&s->upstream_cx_connect_fail);
}

static void conn_close(struct upstream_conn *u)
{
	if (u->link)
		take_out(u);
	loop_timer_clear(u->pool->loop, &u->idle);
	count_bytes(u);
	count_close(u->stat, u->connected,
		    u->stream.half.eof || u->stream.half.hup || u->stream.half.broken);
	/* An endpoint of TLS is told that this is all (RFC 8446 6.1). */
	if (u->tls && u->connected && !u->stream.half.broken)
		half_shut(&u->stream.half);
	half_close(&u->stream.half);
	u->pool->count--;
	give_back(u->pool, u->limit);
	upstream_tls_free(u->tls);
	free(u);
}

void upstream_close(struct upstream *s)
{
	if (s)
		conn_close(s->conn);
}

bool upstreams_close_idle(struct upstreams *pool, const struct limit *l)
{
	for (size_t i = 0; pool->idle_count && i < UPSTREAM_BUCKETS; i++)
		for (struct upstream_conn *u = pool->buckets[i]; u; u = u->next)
			if (u->limit == l) {
				conn_close(u);
				return true;
			}
	return false;
}

void upstreams_close_gone(struct upstreams *pool)
{
	for (size_t i = 0; pool->idle_count && i < UPSTREAM_BUCKETS; i++)
		for (struct upstream_conn *u = pool->buckets[i], *next; u; u = next) {
			next = u->next;
			if (pool->gone(pool, u->known_by))
				conn_close(u);
		}
}

void upstreams_close_unusable(struct upstreams *pool)
{
	for (size_t i = 0; pool->idle_count && i < UPSTREAM_BUCKETS; i++)
		for (struct upstream_conn *u = pool->buckets[i], *next; u; u = next) {
			next = u->next;
			if (limit_wanted(u->limit))
				conn_close(u);
		}
}

int upstreams_open(struct upstreams *pool, const struct upstream_options *options)
{
	pool->options = *options;
	random_begin(&pool->random);
	if (!options->lookup)
		return source_lookup_open(&options->source, &pool->sources.lookup);
	pool->sources.lookup = *options->lookup;
	return 0;
}

void upstreams_close(struct upstreams *pool)
{
	for (size_t i = 0; i < UPSTREAM_BUCKETS; i++)
		while (pool->buckets[i])
			conn_close(pool->buckets[i]);
	if (!pool->options.lookup)
		source_lookup_close(&pool->sources.lookup);
}

/* Nothing is under way in either direction, and nothing unasked for has come. */
static bool quiet(struct half *h)
{
	if (h->eof || h->hup || h->broken || h->shut || buf_len(&h->in) || buf_len(&h->out) ||
	    h->pipe.n)
		return false;
	return !h->readable || half_receive(h) == -EAGAIN;
}

/* An endpoint sends nothing on an unused connection: any event there, data included, ends it. What
 * TLS sends on its own, such as a session for later, is no data. */
static void changed(struct half *h)
{
	struct upstream_conn *u = (struct upstream_conn *)h;

	if (u->stream.owner)
		u->stream.changed(&u->stream);
	else if (h->hup || h->broken || (h->readable && (!u->tls || !quiet(h))))
		conn_close(u);
}

static void idle_too_long(struct loop_timer *t)
{
	struct upstream_conn *u =
		(struct upstream_conn *)((char *)t - offsetof(struct upstream_conn, idle));

	stat_inc(&u->stat->upstream_cx_idle_timeout);
	conn_close(u);
}

bool upstream_is_node(struct upstreams *pool, const struct addr *a)
{
	return source_is_node(&pool->sources, a, loop_now(pool->loop));
}

struct addr upstream_source(struct upstreams *pool, const struct target *t,
			    const struct addr *client, const struct addr *called)
{
	static const struct addr own;

	if (!pool->options.transparent)
		return own;
	return source_for(&pool->sources, &t->addr, client, called, loop_now(pool->loop));
}

static bool suits(const struct upstream_conn *u, const struct target *t, const struct addr *source)
{
	return same_addr(&u->endpoint, &t->addr) && u->port == t->port &&
	       same_addr(&u->source, source) && u->limit == t->limit &&
	       upstream_tls_suits(u->tls, &t->tls);
}

struct upstream *upstream_reuse(struct upstreams *pool, const struct target *t,
				const struct addr *source)
{
	struct upstream_conn *u = *bucket(pool, &t->addr, t->port, source), *next;

	for (; u && !suits(u, t, source); u = next) {
		next = u->next;
		if (upstream_tls_is_stale(u->tls))
			conn_close(u);
	}
	if (!u)
		return NULL;
	take_out(u);
	u->reused = true;
	u->requests++;
	return &u->stream;
}

/* `source` is NULL for the node's own address. */
static int open_socket(const struct upstreams *pool, const struct target *t,
		       const struct addr *source, uint16_t source_port)
{
	uint32_t mark = pool->options.source.mark;
	int fd = sock_new(&t->addr, &t->keepalive), r = 0;

	if (fd < 0)
		return fd;
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		r = -errno;
	if (!r && source)
		r = sock_bind_foreign(fd, source, source_port);
	if (!r) {
		r = sock_connect(fd, &t->addr, t->port);
		if (r == -EINPROGRESS)
			r = 0;
	}
	if (r)
		close(fd);
	return r ? r : fd;
}

static uint16_t any_port(struct random *random)
{
	enum {
		LOW = PROXY_PORT_LAST + 1 - PROXY_PORT_FIRST,
		HIGH = PROXY_PORT_HIGH_LAST + 1 - PROXY_PORT_HIGH_FIRST,
	};
	uint64_t n = random_next(random) % (LOW + HIGH);

	return n < LOW ? PROXY_PORT_FIRST + n : PROXY_PORT_HIGH_FIRST + (n - LOW);
}

static int open_from(struct upstreams *pool, const struct target *t, const struct addr *source)
{
	static const struct addr own;
	int fd = -EADDRNOTAVAIL;

	if (same_addr(source, &own))
		return open_socket(pool, t, NULL, 0);
	for (int i = 0; i < PORT_TRIES && (fd == -EADDRINUSE || fd == -EADDRNOTAVAIL); i++)
		fd = open_socket(pool, t, source, any_port(&pool->random));
	return fd;
}

int upstream_connect(struct upstreams *pool, const struct target *t, const struct addr *source,
		     struct upstream **out)
{
	_cleanup_free_ struct upstream_conn *u = calloc(1, sizeof(*u));
	int fd, r;

	count_open(t->stat, t->opaque);
	if (u && t->tls.client)
		u->tls = upstream_tls_new(t);
	fd = u && !u->tls == !t->tls.client ? open_from(pool, t, source) : -ENOMEM;
	r = fd < 0 ? fd : half_open(&u->stream.half, fd, pool->loop, pool->buffers, changed);
	if (r) {
		if (u)
			upstream_tls_free(u->tls);
		count_close(t->stat, false, false);
		give_back(pool, t->limit);
		return r;
	}
	u->stream.conn = u;
	u->requests = 1;
	u->stat = t->stat;
	u->limit = t->limit;
	u->known_by = t->endpoint;
	u->pool = pool;
	u->endpoint = t->addr;
	u->port = t->port;
	u->source = *source;
	u->opened = loop_now(pool->loop);
	u->idle.fire = idle_too_long;
	pool->count++;
	*out = &TAKE_PTR(u)->stream;
	return 0;
}

int upstream_connected(struct upstream *s)
{
	struct upstream_conn *u = s->conn;
	int error = 0;
	socklen_t len = sizeof(error);

	if (u->connected)
		return 0;
	if (!u->stream.half.writable && !u->stream.half.broken)
		return -EAGAIN;
	if (getsockopt(u->stream.half.transport.io.fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	if (error)
		return -error;
	if (u->tls) {
		error = upstream_tls_handshake(u->tls, &u->stream.half.transport);
		if (error)
			return error;
		/* What came along with its end has no event left. */
		u->stream.half.readable = u->stream.half.writable = true;
	}
	u->connected = true;
	(void)sock_local(u->stream.half.transport.io.fd, &u->local, &u->local_port);
	return 0;
}

static bool used_up(const struct upstream_conn *u, const struct target *t)
{
	return t->max_requests_per_connection && u->requests >= t->max_requests_per_connection;
}

/* How long it may be left unused; 0: not at all. */
static uint64_t keep_ms(const struct upstream_conn *u, const struct target *t)
{
	uint64_t age = loop_now(u->pool->loop) - u->opened;
	uint64_t ms = t->idle_timeout_ms ? t->idle_timeout_ms : IDLE_MS;

	if (used_up(u, t))
		return 0;
	if (!t->max_duration_ms)
		return ms;
	if (age >= t->max_duration_ms)
		return 0;
	return ms < t->max_duration_ms - age ? ms : t->max_duration_ms - age;
}

void upstream_count(struct upstream *s)
{
	count_bytes(s->conn);
}

void upstream_reset(struct upstream *s)
{
	if (!s)
		return;
	count_bytes(s->conn);
	half_reset(&s->half);
	conn_close(s->conn);
}

void upstream_release(struct upstream *s, const struct target *t)
{
	struct upstream_conn *u = s->conn;
	bool wanted = limit_wanted(u->limit);
	uint64_t ms = keep_ms(u, t);

	u->stream.owner = NULL;
	count_bytes(u);
	if (used_up(u, t))
		stat_inc(&u->stat->upstream_cx_max_requests);
	if (u->pool->gone(u->pool, u->known_by) || upstream_tls_is_stale(u->tls))
		ms = 0;
	if (wanted && limit_asked_before(u->limit, u->pool->waits_since(u->pool, u->limit)))
		ms = 0;
	if (!ms || !quiet(&u->stream.half)) {
		conn_close(u);
		return;
	}
	put_in(u);
	if (wanted)
		u->pool->unused(u->pool);
	loop_timer_set(u->pool->loop, &u->idle, ms);
}
