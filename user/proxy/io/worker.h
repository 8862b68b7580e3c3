/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_WORKER_H
#define WEFT_PROXY_IO_WORKER_H
/*
 * One thread of the proxy: a loop, a listener, memory for buffers. What is done with the
 * connections that it accepts is its service's. Workers share nothing.
 */
#include <linux/types.h>

#include "proxy/io/buf.h"
#include "proxy/io/loop.h"
#include "proxy/io/random.h"
#include "weft/addr.h"

struct worker;

struct worker_service {
	/* Serves a connected socket, which it takes over. 0 or -errno. */
	int (*on_accept)(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
			 const struct addr *called, uint16_t called_port);
	/* The events at hand have been handled. True: there is more to do even without events. */
	bool (*between_events)(struct worker *w);
	/* Ends all connections; also of a worker whose opening has failed half-way. */
	void (*on_close)(struct worker *w);
};

/* Part of its owner's structure, zeroed but for run(). */
struct worker_task {
	void (*run)(struct worker_task *t);
	struct worker_task *next; /* private */
	bool queued;		  /* private */
};

/* Something for the worker's thread to do. */
struct worker_call {
	void (*run)(struct worker *w, struct worker_call *call);
	bool done; /* atomic */
};

struct worker {
	struct loop *loop;
	struct buffer_pool buffers;
	struct random random;
	const struct worker_service *service;
	struct loop_io listener;
	struct loop_timer accept_again;
	struct worker_task *tasks; /* for the next turn, the last first */
	struct worker_task *due;   /* of this one, not run yet */
	bool busy;		   /* the service has more to do */
	struct worker_call *call;  /* atomic */
	bool stopping;		   /* atomic */
};

/* Takes the listening socket over, also on failure; -1: connections come by worker_adopt() or after
 * worker_listen(). 0 or -errno; after that, too, the worker is to be closed. */
int worker_open(struct worker *w, int listener, const struct worker_service *service);
/* Ends all connections. */
void worker_close(struct worker *w);
/* From any thread: takes a listening socket over, also on failure, from a worker that has none. 0
 * or -errno. */
int worker_listen(struct worker *w, int listener);
/* From the worker's thread: accepts no more. The socket stays open. */
void worker_unlisten(struct worker *w);
/* Serves a connected socket, which it takes over. 0 or -errno. */
int worker_adopt(struct worker *w, int fd, const struct addr *client, uint16_t client_port,
		 const struct addr *called, uint16_t called_port);
/* Until worker_stop(). 0 or -errno. */
int worker_run(struct worker *w);
/* Waits at most `ms` milliseconds for events and handles them. 0 or -errno. */
int worker_once(struct worker *w, int ms);
/* From any thread. */
void worker_stop(struct worker *w);
bool worker_stopping(const struct worker *w);
/* From the worker's thread: runs the task after the events at hand, once. */
void worker_later(struct worker *w, struct worker_task *t);
/* Also of a task that is not queued. */
void worker_not_later(struct worker *w, struct worker_task *t);
/* From one other thread: has it done soon. Each call is to be waited for. */
void worker_call(struct worker *w, struct worker_call *call);
/* Whether it has been, within about `ms` milliseconds; if not, it will not be any more. */
bool worker_called(struct worker *w, struct worker_call *call, unsigned ms);

#endif
