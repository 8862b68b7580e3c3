// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/wire/proxy_orders.h"
#include "proxy/request/request.h"
#include "proxy/request/tunnel.h"
#include "proxy/process/proxy.h"

enum { ANSWER_MS = 1000 };

static const char *const states[REQUEST_STATES] = {
	[REQUEST_DELAY] = "delayed",	  [REQUEST_PENDING] = "pending",
	[REQUEST_CONNECT] = "connecting", [REQUEST_FORWARD] = "waiting",
	[REQUEST_BACKOFF] = "backoff",	  [REQUEST_RESPONSE] = "answered",
	[REQUEST_TUNNEL] = "tunnel",	  [REQUEST_ANSWER] = "answered",
};

/* Cut if it is too long. The row was zeroed. */
static void put(char *to, size_t size, const char *text, size_t len)
{
	if (text)
		memcpy(to, text, len < size ? len : size - 1);
}

static void put_text(char *to, size_t size, const char *text)
{
	put(to, size, text, text ? strlen(text) : 0);
}

static void fill(const struct request *rq, struct proxy_request *row)
{
	const struct downstream *d = rq->down;
	const struct h1_request *q = &rq->request;

	*row = (struct proxy_request){
		.client = d->client_addr,
		.called = d->called,
		.endpoint = rq->endpoint,
		.client_port = d->client_port,
		.called_port = d->called_port,
		.endpoint_port = rq->endpoint_port,
		.tries = (uint16_t)rq->tries,
		.status = rq->status,
		.age_ms = loop_now(rq->worker->io.loop) - rq->started,
		.received = d->half.received - rq->received_before,
		.sent = d->half.sent - rq->sent_before,
	};
	put_text(row->state, sizeof(row->state), states[rq->state]);
	put_text(row->cluster, sizeof(row->cluster),
		 rq->plan.cluster ? rq->plan.cluster->name : "");
	put_text(row->route, sizeof(row->route), rq->plan.route ? rq->plan.route->name : "");
	put(row->method, sizeof(row->method), q->method.p, q->method.n);
	put(row->authority, sizeof(row->authority), q->authority.p, q->authority.n);
	/* As it is routed: the target in the buffer may be half of that by now. */
	put(row->path, sizeof(row->path), q->path.p, q->path.n);
}

/* It has no method and no path; its name is the one that a ClientHello has asked for. */
static void fill_tunnel(const struct tunnel *t, struct proxy_request *row)
{
	const struct downstream *d = t->down;

	*row = (struct proxy_request){
		.client = d->client_addr,
		.called = d->called,
		.endpoint = t->endpoint,
		.client_port = d->client_port,
		.called_port = d->called_port,
		.endpoint_port = t->endpoint_port,
		.tries = 1,
		.age_ms = loop_now(t->worker->io.loop) - t->started,
		.received = d->half.received,
		.sent = d->half.sent,
	};
	put_text(row->state, sizeof(row->state),
		 states[t->state == TUNNEL_OPEN ? REQUEST_TUNNEL : REQUEST_CONNECT]);
	put_text(row->cluster, sizeof(row->cluster), t->plan.cluster ? t->plan.cluster->name : "");
	put_text(row->route, sizeof(row->route), t->plan.route ? t->plan.route->name : "");
	put_text(row->authority, sizeof(row->authority), d->tls ? d->tls->facts.name : t->name);
}

struct answer {
	struct worker_call call;
	struct proxy_request *rows;
	size_t count;
};

/* In the worker's thread. */
static void collect(struct worker *io, struct worker_call *call)
{
	const struct http_worker *w = (struct http_worker *)io;
	struct answer *a = (struct answer *)call;
	size_t n = 0;

	for (const struct request *rq = w->requests; rq; rq = rq->next)
		n += rq->planned;
	for (const struct tunnel *t = w->tunnels; t; t = t->next)
		n++;
	a->rows = calloc(n + 1, sizeof(*a->rows));
	for (const struct request *rq = w->requests; a->rows && rq; rq = rq->next)
		if (rq->planned)
			fill(rq, &a->rows[a->count++]);
	for (const struct tunnel *t = w->tunnels; a->rows && t; t = t->next)
		fill_tunnel(t, &a->rows[a->count++]);
}

int requests_write(struct http_worker *const *workers, size_t count, int fd)
{
	_cleanup_free_ struct answer *answers = calloc(count, sizeof(*answers));
	int r = 0;

	if (!answers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		answers[i].call.run = collect;
		worker_call(&workers[i]->io, &answers[i].call);
	}
	for (size_t i = 0; i < count; i++) {
		if (!worker_called(&workers[i]->io, &answers[i].call, ANSWER_MS))
			continue;
		if (!r)
			r = bytes_write(fd, answers[i].rows,
					answers[i].count * sizeof(*answers[i].rows));
		free(answers[i].rows);
	}
	return r;
}
