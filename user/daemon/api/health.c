// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/http_daemon.h"
#include "daemon/api/listen_address.h"
#include "lib/base/cleanup.h"

enum {
	OK = 200,
	NOT_FOUND = 404,
	METHOD_NOT_ALLOWED = 405,
	UNAVAILABLE = 503,
};

struct health {
	struct health_options options;
	struct event listener;
	struct http_daemon *http;
};

bool health_address_valid(const char *address)
{
	return !strcmp(address, "off") || listen_address_valid(address, LISTEN_ONE);
}

/* ---- answers ---- */

typedef int (*reply_fn)(void *connection, const struct http_reply *r);

static int answer(reply_fn reply, void *connection, unsigned status, char *text)
{
	const struct http_reply r = { .status = status, .type = "text/plain", .text = text };

	return reply(connection, &r);
}

struct reasons {
	FILE *f;
	unsigned count;
};

static void add_reason(void *list, const char *what)
{
	struct reasons *reasons = list;

	reasons->count++;
	fprintf(reasons->f, "%s\n", what);
}

static int answer_ready(const struct health *h, reply_fn reply, void *connection)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct reasons reasons = { .f = open_memstream(&text, &size) };

	if (!reasons.f)
		return 0;
	h->options.each_reason(h->options.arg, add_reason, &reasons);
	if (!reasons.count)
		fputs("ok\n", reasons.f);
	if (fclose(reasons.f))
		return 0;
	return answer(reply, connection, reasons.count ? UNAVAILABLE : OK, text);
}

static int on_ask(void *arg, const struct http_ask *ask, reply_fn reply, void *connection)
{
	static char ok[] = "ok\n", unknown[] = "there are /healthz and /readyz\n",
		    only_get[] = "GET is expected\n";

	if (strcmp(ask->method, "GET") != 0 && strcmp(ask->method, "HEAD") != 0)
		return answer(reply, connection, METHOD_NOT_ALLOWED, only_get);
	if (!strcmp(ask->path, "/healthz"))
		return answer(reply, connection, OK, ok);
	if (!strcmp(ask->path, "/readyz"))
		return answer_ready(arg, reply, connection);
	return answer(reply, connection, NOT_FOUND, unknown);
}

/* ---- in the loop ---- */

static void on_connection(void *arg, uint32_t events)
{
	struct health *h = arg;
	int fd = accept4(h->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		http_daemon_take(h->http, fd);
}

DEFINE_CLEANUP(struct health *, health_close);

int health_open(const struct health_options *o, struct health **out)
{
	_cleanup_(health_closep) struct health *h = calloc(1, sizeof(*h));
	const struct http_daemon_options http = { .loop = o->loop, .ask = on_ask, .arg = h };
	_cleanup_close_ int fd = -1;
	int r;

	if (!h)
		return -ENOMEM;
	h->listener.fd = -1;
	h->options = *o;
	fd = listen_address_open(o->address, LISTEN_ONE);
	if (fd < 0)
		return fd;
	h->listener = (struct event){ .fd = TAKE_FD(fd), .ready = on_connection, .arg = h };
	r = http_daemon_open(&http, &h->http);
	if (!r)
		r = event_watch(o->loop, &h->listener, EPOLLIN);
	if (r)
		return r;
	*out = TAKE_PTR(h);
	return 0;
}

void health_close(struct health *h)
{
	if (!h)
		return;
	event_close(&h->listener);
	http_daemon_close(h->http);
	free(h);
}
