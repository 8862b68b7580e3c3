/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_INFORMER_PRIV_H
#define WEFT_DAEMON_SOURCE_INFORMER_PRIV_H
/*
 * The informer's insides. Its thread has everything but what is said to be of both or of the loop.
 */
#include <stdatomic.h>

#include "daemon/source/discovery.h"
#include "daemon/source/informer.h"
#include "daemon/source/informer_queue.h"
#include "lib/kube/json_stream.h"
#include "lib/kube/object_fields.h"
#include "lib/kube/proto_stream.h"
#include "lib/kube/transfer.h"

enum { COUNT_REQUESTS, COUNT_LISTS, COUNT_WATCHES, COUNT_EVENTS, COUNT_BYTES, COUNT_MAX };

/* What a transfer of libcurl belongs to. */
struct informer_transfer {
	struct kube_transfer kube;
	void (*over)(struct informer_transfer *t, CURLcode code);
};

/* A resource. */
struct informer_watch {
	struct informer_transfer transfer; /* first: what leads from the one to the other */
	struct informer *informer;
	struct reflector reflector;
	struct object_fields *fields;
	const char *accept;	 /* NULL: JSON alone, for good once protobuf did not do */
	struct json_stream json; /* one of both, by the answer's format */
	struct proto_stream proto;
	struct buffer body; /* of an answer other than 200 */
	char path[REFLECTOR_PATH_MAX];
	bool busy;
	long status; /* of the answer; 0: none yet */
	int r;	     /* why it was given up */
	uint64_t bytes;
	int served,
		seen; /* the version that discovery tells of; in the answer that is being read */
	_Atomic uint64_t counts[COUNT_MAX]; /* of both */
	struct informer_status shown;	    /* of the loop */
};

/* Which of the optional resources the server has, and in which version: one request for all of
 * them. */
struct informer_discovery {
	struct informer_transfer transfer; /* first */
	struct informer *informer;
	struct json_stream stream;
	/* Of what `served` of each says; of the answer that is being read. "": of nothing. */
	char etag[DISCOVERY_ETAG_MAX], seen_etag[DISCOVERY_ETAG_MAX];
	bool busy;
	int r;			   /* why it was given up */
	_Atomic uint64_t requests; /* of both */
};

/* A store that was restored from a backup has versions that it had before, and no watch of a later
 * one ever hears of them. The list of what tells the cluster (informer_resource.anew) shows it, as
 * versions count all that a store has: its version is then one before those that other resources
 * have come to. What is in another store has versions of its own, so that the one which has come
 * farthest is listed to be sure. */
struct informer_past {
	struct informer_watch *farthest; /* when that list was asked for */
	uint64_t version;		 /* of it; 0: nothing to compare with */
	struct informer_watch *suspect;	 /* is listed to be sure; NULL: none is */
	bool apart;			 /* that has shown that there are several stores */
};

struct informer_call;

struct informer {
	struct kube_config *config;
	struct kube_credentials *credentials;
	struct informer_watch *watches;
	size_t count;
	struct informer_discovery discovery;
	struct informer_past past;
	CURLM *multi;
	uint64_t due_ms; /* when libcurl wants to be called; UINT64_MAX: for no time */
	int epoll;
	struct informer_message *batch; /* of events that have not been put into the queue */
	struct informer_call *calls;	/* under way */
	bool list_told, synced;

	/* Of both. */
	struct informer_queue queue;
	pthread_mutex_t lock;
	struct informer_call *asked; /* not begun */
	int wake;		     /* an eventfd: the thread is to look at these */
	atomic_bool stop;

	/* Of the loop. */
	struct informer_sink sink; /* gather_ms: of both */
	struct event_loop *loop;
	struct event event;
	pthread_t thread;
	bool started;
};

/* ---- informer_thread.c ---- */

/* 0 or -errno; to be closed also then. */
int informer_thread_open(struct informer *i);
/* Once no transfer is under way. */
void informer_thread_close(struct informer *i);
void *informer_thread(void *informer);
/* In the thread of the loop. */
void informer_wake(struct informer *i);
/* Puts a transfer that has been opened among those that libcurl works on. */
int informer_transfer_start(struct informer *i, struct informer_transfer *t,
			    void (*over)(struct informer_transfer *t, CURLcode code));

/* ---- informer_watch.c ---- */

/* 0 or -ENOMEM. */
int informer_watch_open(struct informer *i, unsigned resource,
			const struct informer_resource *definition);
void informer_watch_close(struct informer_watch *w);
/* Begins what is due, and gives up what is silent. */
void informer_watch_turn(struct informer_watch *w, uint64_t now_ms);
/* Gives up what is under way, for the reflector to be told what to do instead. */
void informer_watch_cancel(struct informer_watch *w);
/* When to do that again. */
uint64_t informer_watch_deadline(const struct informer_watch *w);
/* Takes the message over. While the queue is full nothing is read, nor is anything given up. */
void informer_put(struct informer *i, struct informer_message *m);
/* Puts what there is to be told into the queue. */
void informer_flush(struct informer *i);

/* ---- informer_past.c ---- */

/* The watch's reflector has said what to ask. */
void informer_past_asked(const struct informer_watch *w);
/* Lists and tells all resources anew if the server's versions have gone back. */
void informer_past_check(struct informer *i);

/* ---- informer_discovery.c ---- */

/* Asks, if it is time to. */
void informer_discovery_turn(struct informer *i, uint64_t now_ms);
/* When to do that again. */
uint64_t informer_discovery_deadline(const struct informer *i);
void informer_discovery_close(struct informer *i);

/* ---- informer_call.c ---- */

/* Begins what has been asked for. */
void informer_calls_turn(struct informer *i);
void informer_calls_free(struct informer *i);

#endif
