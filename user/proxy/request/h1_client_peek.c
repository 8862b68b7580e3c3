// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/h1_client_peek.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "lib/wire/client_hello.h"
#include "proxy/request/drain.h"
#include "proxy/request/h1_client_tls.h"

bool h1_client_begin_peek(struct h1_client *c)
{
	struct router *r = c->worker->router;
	const struct route_ask a = h1_client_ask(c);

	if (!r->peeks || !r->peeks(r, &a))
		return false;
	c->state = H1_CLIENT_PEEK;
	c->opaque = r->opaque && r->opaque(r, &a);
	c->hurries = r->hurries && r->hurries(r, &a);
	c->mixed = r->mixed && r->mixed(r, &a);
	return true;
}

/* There is an event when so many bytes are there: what comes in small pieces is not looked at for
 * each of them. */
static void wait_for_bytes(struct h1_client *c, int n)
{
	if (n == (c->low_mark ? c->low_mark : 1))
		return;
	c->low_mark = n;
	setsockopt(c->down.half.transport.io.fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

/* Of what is no TLS, where it may be requests or not: as client_hello_read(); -ENOMSG: it is
 * neither. */
static int look_further(const struct h1_client *c, const char *bytes, size_t n,
			struct client_hello *out)
{
	int r = c->mixed ? h1_begins(bytes, n) : 0;

	if (r == H1_MORE && n < CLIENT_HELLO_MAX) {
		out->needed = n + 1;
		return -EAGAIN;
	}
	return r == H1_BAD ? -ENOMSG : -EPROTO;
}

/* What is there of it: as client_hello_read(), -ENOMSG, or another -errno. */
static int look(const struct h1_client *c, struct client_hello *out)
{
	char bytes[CLIENT_HELLO_MAX];
	ssize_t n;
	int r;

	do
		n = recv(c->down.half.transport.io.fd, bytes, sizeof(bytes),
			 MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	r = client_hello_read(bytes, n > 0 ? (size_t)n : 0, out);
	return r == -EPROTO ? look_further(c, bytes, (size_t)n, out) : r;
}

static enum step end_tls(struct h1_client *c)
{
	if (h1_client_begin_tls(c) || c->state != H1_CLIENT_HANDSHAKE)
		return STEP_END;
	h1_client_wait(c, c->worker->options.handshake_timeout_ms);
	return STEP_AGAIN;
}

/* Nothing has been taken of it: it is read from the beginning. */
static enum step begin_http(struct h1_client *c)
{
	c->state = H1_CLIENT_HEAD;
	c->down.half.readable = true; /* what was only looked at has no event left */
	h1_client_wait(c, c->worker->options.head_timeout_ms);
	return STEP_AGAIN;
}

/* `other`: see struct route_hello. */
static enum step go_on(struct h1_client *c, const struct client_hello *read, bool other)
{
	struct router *r = c->worker->router;
	const struct route_ask a = h1_client_ask(c);
	const struct route_hello hello = {
		.tls = read,
		.mesh = read && read->mesh,
		.other = other,
		.name = { read ? read->name : NULL, read ? read->name_len : 0 },
	};
	struct plan plan = { 0 };

	wait_for_bytes(c, 1);
	if (!r->tunnel(r, &a, &hello, &plan))
		return read ? end_tls(c) : begin_http(c);
	if (read)
		log_debug("a ClientHello for \"%s\", protocols \"%s\"", read->name, read->alpn);
	return h1_client_begin_tunnel(c, &plan, hello.name) ? STEP_END : STEP_AGAIN;
}

/* The worker's successor looks at it anew. */
static enum step drain(struct h1_client *c)
{
	wait_for_bytes(c, 1);
	return drain_client(c) ? STEP_END : STEP_WAIT;
}

/* Whether the client's time is up. One whose ClientHello is on its way has as long as any other. */
static bool is_late(struct h1_client *c, const struct client_hello *begun)
{
	if (!c->fired || !c->hurries || begun->needed <= 1)
		return c->fired;
	c->hurries = false;
	h1_client_wait(c, c->worker->options.handshake_timeout_ms);
	return false;
}

enum step h1_client_peek(struct h1_client *c)
{
	const struct half *h = &c->down.half;
	struct client_hello hello = { .needed = 1 };
	int r;

	if (h->broken)
		return STEP_END;
	if (c->worker->draining)
		return drain(c);
	if (c->opaque)
		return go_on(c, NULL, false);
	r = look(c, &hello);
	switch (r) {
	case 0:
		return go_on(c, &hello, false);
	case -EPROTO:
	case -E2BIG:
		return go_on(c, NULL, false);
	case -ENOMSG:
		return go_on(c, NULL, true);
	case -EAGAIN:
		/* No more comes, or not in time. */
		if (h->hup || is_late(c, &hello))
			return go_on(c, NULL, false);
		wait_for_bytes(c, (int)hello.needed);
		return STEP_WAIT;
	default:
		return STEP_END;
	}
}
