/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_LEASE_H
#define WEFT_DAEMON_SOURCE_LEASE_H
/*
 * Which of the agents does what only one may do: the one that holds a Lease
 * (coordination.k8s.io/v1), with client-go's times: it is good for 15 seconds, renewed every 2, and
 * given up after 10 without success. Clocks need not agree: what counts is for how long a Lease has
 * not been seen to change. An agent that has nothing to do for the holder leaves the Lease alone,
 * and asks nothing.
 */
#include <stdbool.h>

#include "daemon/loop/event.h"
#include "daemon/source/informer.h"

struct lease;

/* informer_request(), or a test's. */
typedef int (*lease_request_fn)(void *server, const char *method, const char *path,
				const char *type, const char *body, size_t size,
				informer_reply_fn done, void *arg);

struct lease_options {
	const char *namespace, *name, *identity; /* copied */
	lease_request_fn request;
	void *server;
	/* It is held from now on, or no longer. */
	void (*changed)(void *arg, bool held);
	void *arg;
};

/* 0 or -errno. */
int lease_open(const struct lease_options *options, struct event_loop *loop, struct lease **out);
/* After the informer that answers it has been closed: no reply may come any more. Accepts NULL. */
void lease_close(struct lease *l);

/* Whether there is something to be done by the holder. One that holds it and wants it no more lets
 * it end. */
void lease_want(struct lease *l, bool wanted);
bool lease_held(const struct lease *l);
/* Whether another agent has been seen to renew it since it was wanted. */
bool lease_is_others(const struct lease *l);
/* Why the last attempt at it failed, in the server's words; "" if it did not. */
const char *lease_error(const struct lease *l);

/* For lease_options.request: `server` is the informer. */
int lease_request(void *server, const char *method, const char *path, const char *type,
		  const char *body, size_t size, informer_reply_fn done, void *arg);

/* ---- for tests: the time is theirs ---- */

void lease_turn(struct lease *l, uint64_t now_ms);

#endif
