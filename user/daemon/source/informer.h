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
#include "lib/kube/config.h"

struct informer;

/* A resource to be watched. Borrowed for the life of the informer. */
struct informer_resource {
	const char *path;		/* of the collection in all namespaces: "/api/v1/services",
					   "/apis/networking.istio.io/v1/virtualservices" */
	const char *api_version, *kind; /* of its items: lists of built-in kinds do not say */
	const char *query;		/* more of the query ("labelSelector=..."), or NULL */
	/* A kind that the server may not have (yet): without its definition the resource is empty,
	 * and counts as listed. */
	bool optional;
	/* The fields that are kept of an object, as paths; NULL: all but metadata.managedFields and
	 * the annotation kubectl.kubernetes.io/last-applied-configuration. */
	const char *const *fields;
};

enum informer_change {
	INFORMER_PUT,  /* the object is there, or is another than before */
	INFORMER_GONE, /* it is not there any more */
};

/* Valid during the call that tells it. */
struct informer_event {
	unsigned resource; /* its place in the list */
	enum informer_change change;
	const char *namespace, *name; /* namespace "" for what is in none */
	const char *resource_version;
	const char *json; /* of PUT: the object, with apiVersion and kind, and `size` bytes */
	size_t size;
};

enum informer_phase {
	INFORMER_CONNECTING, /* not listed yet, or the watch is broken: tries again */
	INFORMER_SYNCED,     /* listed once, and watched */
	INFORMER_ABSENT,     /* the server has no such resource */
	INFORMER_FORBIDDEN,  /* RBAC does not allow it */
};

/* How it is going with a resource, for `weft status`. */
struct informer_status {
	enum informer_phase phase;
	int64_t since;	 /* Unix seconds of the phase */
	char error[256]; /* the last one, in a user's words; "" when there is none */
	uint64_t lists, watches, events, bytes; /* so far */
};

struct informer_sink {
	/* Some events, in order. */
	void (*events)(void *arg, const struct informer_event *events, size_t count);
	/* Every resource that there is and may be read has been listed, and all of it was told. Is
	 * called once, and again when a list after a break has been told. */
	void (*synced)(void *arg);
	/* The status of a resource has another phase or error. */
	void (*status)(void *arg, unsigned resource, const struct informer_status *status);
	void *arg;
};

/* Copies the configuration; borrows the rest. 0 or -errno. */
int informer_open(const struct kube_config *config, const struct informer_resource *resources,
		  size_t count, const struct informer_sink *sink, struct event_loop *loop,
		  struct informer **out);
/* What is known from before, to be told of only when it has changed or gone. Before
 * informer_start(). 0 or -ENOMEM. */
int informer_seed(struct informer *i, unsigned resource, const char *namespace, const char *name,
		  const char *resource_version);
/* Begins. 0 or -errno. */
int informer_start(struct informer *i);
/* Ends the thread; tells nothing more. Accepts NULL. */
void informer_close(struct informer *i);

/* Valid until the loop turns. */
const struct informer_status *informer_status(const struct informer *i, unsigned resource);

/* ---- single requests, over the same connection ---- */

/* What has become of a request: the HTTP status and the body, or a status of 0 and why in `error`.
 */
typedef void (*informer_reply_fn)(void *arg, long status, const char *body, size_t size,
				  const char *error);

/* Sends a request: METHOD PATH, with a body of `type` (NULL: none). Everything is copied. done() is
 * called once in the thread of the loop, unless the informer is closed before. 0 or -ENOMEM. */
int informer_request(struct informer *i, const char *method, const char *path, const char *type,
		     const char *body, size_t size, informer_reply_fn done, void *arg);

#endif
