// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "proxy/request/conn.h"
#include "proxy/process/proxy.h"

enum { ANSWER_MS = 1000 };

static const char *const states[CONN_STATES] = {
	[CONN_HEAD] = "idle",	       [CONN_DELAY] = "delayed",   [CONN_PENDING] = "pending",
	[CONN_CONNECT] = "connecting", [CONN_FORWARD] = "waiting", [CONN_BACKOFF] = "backoff",
	[CONN_RESPONSE] = "answered",  [CONN_TUNNEL] = "tunnel",   [CONN_ANSWER] = "answered",
	[CONN_LINGER] = "closing",
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

static void fill(const struct conn *c, struct proxy_request *row)
{
	const struct exchange *x = c->x;
	const struct h1_request *q = &x->request;

	*row = (struct proxy_request){
		.client = c->client_addr,
		.called = c->called,
		.endpoint = x->endpoint,
		.client_port = c->client_port,
		.called_port = c->called_port,
		.endpoint_port = x->endpoint_port,
		.tries = (uint16_t)x->tries,
		.status = x->status,
		.age_ms = loop_now(c->worker->loop) - x->started,
		.received = c->client.received - x->received_before,
		.sent = c->client.sent - x->sent_before,
	};
	put_text(row->state, sizeof(row->state), states[c->state]);
	put_text(row->cluster, sizeof(row->cluster), x->plan.cluster ? x->plan.cluster->name : "");
	put_text(row->route, sizeof(row->route), x->plan.route ? x->plan.route->name : "");
	put(row->method, sizeof(row->method), q->method.p, q->method.n);
	put(row->authority, sizeof(row->authority), q->authority.p, q->authority.n);
	/* As it is routed: the target in the buffer may be half of that by now. */
	put(row->path, sizeof(row->path), q->path.p, q->path.n);
}

struct answer {
	struct worker_call call;
	struct proxy_request *rows;
	size_t count;
};

/* In the worker's thread. */
static void collect(struct worker *w, struct worker_call *call)
{
	struct answer *a = (struct answer *)call;
	size_t n = 0;

	for (const struct conn *c = w->conns; c; c = c->next)
		n += c->x && c->x->planned;
	a->rows = calloc(n + 1, sizeof(*a->rows));
	for (const struct conn *c = w->conns; a->rows && c; c = c->next)
		if (c->x && c->x->planned)
			fill(c, &a->rows[a->count++]);
}

static int write_all(int fd, const void *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return -errno;
		bytes = (const char *)bytes + n;
		size -= (size_t)n;
	}
	return 0;
}

int requests_write(struct worker *const *workers, size_t count, int fd)
{
	_cleanup_free_ struct answer *answers = calloc(count, sizeof(*answers));
	int r = 0;

	if (!answers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		answers[i].call.run = collect;
		worker_call(workers[i], &answers[i].call);
	}
	for (size_t i = 0; i < count; i++) {
		if (!worker_called(workers[i], &answers[i].call, ANSWER_MS))
			continue;
		if (!r)
			r = write_all(fd, answers[i].rows,
				      answers[i].count * sizeof(*answers[i].rows));
		free(answers[i].rows);
	}
	return r;
}
