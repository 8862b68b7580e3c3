/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_TRACING_NAMES_H
#define WEFT_DAEMON_TRACING_NAMES_H
/*
 * What the thread of traces has of the event loop's: who is behind an id, or at an address. It asks
 * for many at once, and waits; the loop looks them up and goes on.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "daemon/loop/event.h"
#include "weft/addr.h"

struct engine;
struct names;

/* Who has made a span. */
struct names_end {
	__u32 peer;	  /* as in weft/traffic.h; 0: not known */
	__u32 cluster;	  /* likewise; of what was called */
	struct addr addr; /* of the pod; all 0: of none */
	/* The answer, the caller's to free; each is NULL where it isn't known. */
	char *name;	  /* of the peer (lib/mesh/peer.h) */
	char *pod, *node; /* of the pod that is at the address now */
	char *cluster_name;
};

struct names_question {
	struct names_end *ends;
	size_t count;
	/* A Service whose address is wanted; NULL: none. */
	const char *service, *namespace;
	/* The answer: the first of its cluster IPs. */
	bool has_address;
	struct addr address;
};

/* The loop is borrowed until names_close(). 0 or -errno. */
int names_open(struct event_loop *loop, struct names **out);
/* From now on the loop answers, by what the engine, borrowed, has. */
void names_answer_by(struct names *n, const struct engine *engine);
/* No question is answered any more: names_ask() returns. From any thread. */
void names_stop(struct names *n);
/* Once the thread has ended. Accepts NULL. */
void names_close(struct names *n);

/* In the thread: waits for the answer. False: there is none any more. */
bool names_ask(struct names *n, struct names_question *q);
void names_end_free(struct names_end *e);

#endif
