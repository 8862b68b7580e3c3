/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HTTP_DAEMON_H
#define WEFT_DAEMON_API_HTTP_DAEMON_H
/*
 * libmicrohttpd in weftd's event loop: short questions by HTTP, each of which is answered at once.
 * The library is loaded when the first connection comes.
 */
#include <stdint.h>

#include "daemon/loop/event.h"

struct http_daemon;

struct http_ask {
	const char *method, *path;
	uint16_t port; /* that was called, in host byte order; 0: not known */
};

/* What is answered. The text is copied. */
struct http_reply {
	unsigned status;
	const char *type; /* Content-Type */
	char *text;
	const char *const *headers; /* NAME, VALUE, ..., NULL; or NULL: no others */
};

struct http_daemon_options {
	struct event_loop *loop; /* borrowed until http_daemon_close() */
	/* Calls reply(connection, ...) once, and returns what that returned. */
	int (*ask)(void *arg, const struct http_ask *ask,
		   int (*reply)(void *connection, const struct http_reply *r), void *connection);
	void *arg;
	/* Connections at a time, of all callers and of one address: more are closed at once. 0: 16,
	 * and as many of one address. None lasts longer than 5 s. */
	unsigned connections_max, per_address_max;
};

/* Nothing is loaded yet. 0 or -errno. */
int http_daemon_open(const struct http_daemon_options *o, struct http_daemon **out);
/* A connection that was accepted, which is the daemon's from now on; closed where it can't be
 * served. */
void http_daemon_take(struct http_daemon *h, int fd);
void http_daemon_close(struct http_daemon *h); /* accepts NULL */

#endif
