/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_INFORMER_H
#define WEFT_DAEMON_SOURCE_INFORMER_H
/*
 * Keeps a copy of some resources of the Kubernetes API in step: lists them, watches them, and lists
 * them anew when a watch can't go on (Kubernetes API Concepts, "Efficient detection of changes").
 * It has a thread of its own; everything that it tells is told in the thread of the event loop.
 * It remembers the resourceVersion of every object, so that a list tells only what is not known.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"
#include "daemon/source/reflector.h"
#include "lib/kube/config.h"

struct informer;

enum informer_change {
	INFORMER_PUT,  /* the object is there, or is another than before */
	INFORMER_GONE, /* it is not there any more */
};

/* Valid during the call that tells it. */
struct informer_event {
	unsigned resource; /* its place in the list */
	enum informer_change change;
	const char *namespace, *name; /* namespace "" for what is in none */
	const char *resource_version; /* of PUT */
	const char *json; /* of PUT: the object, with apiVersion and kind, `size` bytes and a NUL */
	size_t size;
};

/* How it is going with a resource, for `weft status`. */
struct informer_status {
	enum informer_phase phase;
	int64_t since;			 /* Unix seconds of the phase */
	char error[REFLECTOR_ERROR_MAX]; /* the last one, in a user's words; "" when there is none
					  */
	const char *api_version;	 /* the one that is asked for */
	uint64_t requests, lists, watches, events, bytes; /* so far */
};

/* None of these may call informer_close(). */
struct informer_sink {
	/* Some events, in order. */
	void (*events)(void *arg, const struct informer_event *events, size_t count);
	/* Every resource that there is and may be read has been listed, and all of it was told. Is
	 * called once, and again when a list after a break has been told. */
	void (*synced)(void *arg);
	/* The status of a resource has another phase or error. */
	void (*status)(void *arg, unsigned resource, const struct informer_status *status);
	/* All that had come by now has been told. NULL: that is of no interest. */
	void (*told)(void *arg);
	void *arg;
	/* Once all is synced, so long an event waits for others to be told with. 0: not at all. */
	unsigned gather_ms;
};

/* Copies the configuration; borrows the rest. 0 or -errno. */
int informer_open(const struct kube_config *config, const struct informer_resource *resources,
		  size_t count, const struct informer_sink *sink, struct event_loop *loop,
		  struct informer **out);
/* What is known from before, to be told of only when it has changed or gone. Before
 * informer_start(). 0 or -ENOMEM. */
int informer_seed(struct informer *i, unsigned resource, const char *namespace, const char *name,
		  const char *resource_version);
/* Begins to ask, and keeps what it is answered until informer_start(). 0 or -errno. */
int informer_begin(struct informer *i);
/* Begins, if that has not been done, and tells. 0 or -errno. */
int informer_start(struct informer *i);
/* Ends the thread; tells nothing more. Accepts NULL. */
void informer_close(struct informer *i);

/* Valid until the loop turns. */
const struct informer_status *informer_status(struct informer *i, unsigned resource);
/* How often the server was asked which kinds it has, so far. */
uint64_t informer_discoveries(const struct informer *i);

/* ---- single requests, over the same connection ---- */

/* What has become of a request: the HTTP status and the body, with a NUL behind it, or a status of
 * 0 and why in `error` (NULL otherwise). */
typedef void (*informer_reply_fn)(void *arg, long status, const char *body, size_t size,
				  const char *error);

/* Sends a request: METHOD PATH, with a body of `type` (NULL: none). Everything is copied. done() is
 * called once in the thread of the loop, unless the informer is closed before: 30 seconds later at
 * the latest. 0 or -ENOMEM. After informer_start(). */
int informer_request(struct informer *i, const char *method, const char *path, const char *type,
		     const char *body, size_t size, informer_reply_fn done, void *arg);

#endif
