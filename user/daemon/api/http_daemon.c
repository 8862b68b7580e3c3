// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/http_daemon.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/mhd.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	CONNECTIONS_MAX = 16,
	LASTS_MAX_S = 5, /* a connection, whatever is said on it */
	MEMORY_PER_CONNECTION = 4096,
};

/* A connection that is open. */
struct open_one {
	struct open_one *before, *next;
	int fd;		/* the library's */
	uint64_t until; /* clock_ms() when it is ended */
};

struct http_daemon {
	struct http_daemon_options options;
	struct MHD_Daemon *daemon;     /* NULL until a connection comes */
	struct event event;	       /* its epoll descriptor, which stays the library's */
	struct event_timer timer;      /* what it has to do by itself */
	bool broken;		       /* it can't be had: has been logged */
	struct open_one *first, *last; /* those that are open, the oldest first */
};

/* ---- a question ---- */

/* The library's own yes or no. */
static int reply(void *connection, const struct http_reply *r)
{
	struct MHD_Response *response =
		mhd.create_response_from_buffer(strlen(r->text), r->text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done;

	if (!response)
		return MHD_NO;
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	for (const char *const *h = r->headers; h && *h; h += 2)
		mhd.add_response_header(response, h[0], h[1]);
	done = mhd.queue_response(connection, r->status, response);
	mhd.destroy_response(response);
	return (int)done;
}

static uint16_t port_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} at = { 0 };
	socklen_t size = sizeof(at);

	if (!info || getsockname(info->connect_fd, &at.any, &size))
		return 0;
	return ntohs(at.any.sa_family == AF_INET6 ? at.in6.sin6_port : at.in4.sin_port);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *body,
				  size_t *body_size, void **state)
{
	const struct http_daemon *h = arg;
	struct http_ask ask = { .method = method, .path = path };

	(void)version;
	(void)body;
	if (!mhd_is_whole(body_size, state))
		return MHD_YES;
	ask.port = port_of(c);
	return (enum MHD_Result)h->options.ask(h->options.arg, &ask, reply, c);
}

/* ---- how long it may take ---- */

static void begin(struct http_daemon *h, struct MHD_Connection *c, void **one)
{
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct open_one *o = info ? calloc(1, sizeof(*o)) : NULL;

	*one = o;
	if (!o) /* the library's own limit holds: of silence */
		return;
	o->fd = info->connect_fd;
	o->until = clock_ms() + LASTS_MAX_S * 1000;
	o->before = h->last;
	*(h->last ? &h->last->next : &h->first) = o;
	h->last = o;
}

static void end(struct http_daemon *h, struct open_one *o)
{
	if (!o)
		return;
	*(o->before ? &o->before->next : &h->first) = o->next;
	*(o->next ? &o->next->before : &h->last) = o->before;
	free(o);
}

static void on_notice(void *arg, struct MHD_Connection *c, void **one,
		      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		begin(arg, c, one);
	else
		end(arg, *one);
}

/* The library's own limit is one of silence: a byte now and then would do. It closes those that are
 * shut down. */
static bool end_late(struct http_daemon *h)
{
	uint64_t now = clock_ms();
	bool late = false;

	for (struct open_one *o = h->first; o && o->until <= now; o = o->next) {
		shutdown(o->fd, SHUT_RDWR);
		o->until = now + LASTS_MAX_S * 1000; /* once */
		late = true;
	}
	return late;
}

/* ---- in the loop ---- */

/* 0: nothing is to be done by then. */
static uint64_t next_turn(const struct http_daemon *h)
{
	uint64_t now = clock_ms(), until = h->first ? h->first->until : 0;
	MHD_UNSIGNED_LONG_LONG ms;

	if (mhd.get_timeout(h->daemon, &ms) == MHD_YES && (!until || now + ms < until))
		until = now + ms;
	return !until ? 0 : until > now ? until - now : 1;
}

static void turn(void *arg)
{
	struct http_daemon *h = arg;
	uint64_t ms;

	mhd.run(h->daemon);
	if (end_late(h))
		mhd.run(h->daemon);
	ms = next_turn(h);
	if (ms)
		event_timer_set(&h->timer, (unsigned)ms);
	else
		event_timer_stop(&h->timer);
}

static void on_ready(void *arg, uint32_t events)
{
	(void)events;
	turn(arg);
}

static int start(struct http_daemon *h)
{
	unsigned max = h->options.connections_max ? h->options.connections_max : CONNECTIONS_MAX;
	unsigned per_address = h->options.per_address_max ? h->options.per_address_max : max;
	int r = mhd_load();

	if (r)
		return r;
	h->daemon = mhd.start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				     on_request, h, MHD_OPTION_CONNECTION_LIMIT, max,
				     MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_address,
				     MHD_OPTION_NOTIFY_CONNECTION, on_notice, h,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LASTS_MAX_S,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_END);
	if (!h->daemon)
		return -ENOMEM;
	return mhd_watch(h->daemon, h->options.loop, &h->event, on_ready, h);
}

DEFINE_CLEANUP(struct http_daemon *, http_daemon_close);

int http_daemon_open(const struct http_daemon_options *o, struct http_daemon **out)
{
	_cleanup_(http_daemon_closep) struct http_daemon *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->options = *o;
	r = event_timer_open(o->loop, &h->timer, turn, h);
	if (r)
		return r;
	*out = TAKE_PTR(h);
	return 0;
}

void http_daemon_take(struct http_daemon *h, int fd)
{
	struct sockaddr_in6 from = { 0 };
	socklen_t size = sizeof(from);
	int r = h->daemon || h->broken ? 0 : start(h);

	if (r) {
		log_err(r, "answer for health");
		h->broken = true;
	}
	if (h->broken || getpeername(fd, (struct sockaddr *)&from, &size)) {
		close(fd);
		return;
	}
	/* The library closes it where it can't serve it. */
	mhd.add_connection(h->daemon, fd, (const struct sockaddr *)&from, size);
	turn(h);
}

void http_daemon_close(struct http_daemon *h)
{
	if (!h)
		return;
	event_forget(&h->event);
	event_timer_close(&h->timer);
	if (h->daemon)
		mhd.stop_daemon(h->daemon);
	free(h);
}
