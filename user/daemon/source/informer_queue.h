/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_INFORMER_QUEUE_H
#define WEFT_DAEMON_SOURCE_INFORMER_QUEUE_H
/*
 * What the informer's thread has to tell, on its way to the thread of the loop. It is bounded: the
 * informer reads no faster than the loop takes.
 */
#include <pthread.h>

#include "daemon/source/informer.h"
#include "lib/base/buffer.h"
#include "lib/base/table.h"

enum informer_message_kind {
	MESSAGE_EVENTS,
	MESSAGE_STATUS,
	MESSAGE_SYNCED,
	MESSAGE_REPLY,
};

/* An event whose texts stand one behind the other in the message's bytes, from `at` on: namespace,
 * name, version and JSON, each with a NUL. */
struct informer_record {
	unsigned resource;
	enum informer_change change;
	size_t at, size; /* size: of the JSON */
};

struct informer_message {
	struct informer_message *next;
	enum informer_message_kind kind;
	struct buffer bytes; /* of events; or the body of a reply, with a NUL */
	TABLE(struct informer_record) records;
	unsigned resource;
	struct informer_status status;
	/* A reply. */
	informer_reply_fn done;
	void *arg;
	long code;
	char error[KUBE_ERROR_MAX];
};

struct informer_queue {
	pthread_mutex_t lock;
	pthread_cond_t taken;
	struct informer_message *first, **last;
	size_t size;
	bool stopped;
	uint64_t due_ms; /* when the first is to be taken, by clock_ms(); UINT64_MAX: there is none
			  */
	int fd;		 /* a timerfd: readable from then on */
};

/* NULL without memory. */
struct informer_message *informer_message_new(enum informer_message_kind kind);
void informer_message_free(struct informer_message *m); /* accepts NULL */

/* 0 or -errno. */
int informer_queue_open(struct informer_queue *q);
void informer_queue_close(struct informer_queue *q);
/* Takes the message over, which may wait for `ms` to be taken with others; blocks until there is
 * room for it. One that has been stopped drops it. */
void informer_queue_put(struct informer_queue *q, struct informer_message *m, unsigned ms);
/* All that there is, for the caller to free, or NULL. */
struct informer_message *informer_queue_take(struct informer_queue *q);
/* Whoever waits does not wait any longer, and nothing is taken in any more. */
void informer_queue_stop(struct informer_queue *q);

#endif
