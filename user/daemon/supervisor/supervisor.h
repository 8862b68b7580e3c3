/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_SUPERVISOR_H
#define WEFT_DAEMON_SUPERVISOR_SUPERVISOR_H
/*
 * Keeps a weft-proxy running, and never waits for it: its listening sockets and the last snapshot
 * are weftd's, so that a proxy that dies is replaced by one that goes on with both. A proxy that
 * another weftd of the same run directory has left behind is taken over. If it was started
 * differently it drains: the one in its place takes its clients over, and it ends by itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/loop/event.h"
#include "lib/wire/proxy_orders.h"
#include "lib/base/log.h"
#include "lib/route/snapshot.h"
#include "weft/http_stat.h"

enum { SUPERVISOR_MAX_FDS = 8 };

/* A descriptor that the proxy gets: its option, e.g. "--limits-fd". */
struct supervisor_fd {
	const char *option;
	int fd;
};

/* Everything is borrowed until supervisor_close(). */
struct supervisor_options {
	const char *run_dir;
	unsigned workers;
	enum log_level log_level;
	uint32_t mark;	/* of its packets to endpoints; 0: none */
	int access_log; /* a descriptor, or -1 */
	bool access_log_json;
	int spans; /* a FIFO in which spans are told, or -1 */
	uint32_t drain_ms;
	struct supervisor_fd fds[SUPERVISOR_MAX_FDS];
	size_t fd_count;
	/* The proxy of a slot has ended: releases what it held, as the file `held` (struct
	 * proxy_held) says, or -1. Slot -1: none runs, and nothing is held. */
	void (*on_death)(void *arg, int slot, int held);
	void *arg;
};

struct supervisor_status {
	pid_t pid; /* 0: none runs at the moment */
	unsigned workers;
	unsigned restarts; /* by this weftd */
	unsigned draining; /* so many others */
	pid_t draining_pids[HTTP_PROXIES];
};

struct supervisor;

/* Whether there is a weft-proxy to start, for callers that must fail before they have made
 * anything. 0, or -errno after having logged. */
int supervisor_check(void);

/* Returns when a proxy runs, and turns the loop until then. The loop is borrowed. 0, or -errno
 * after having logged. */
int supervisor_open(const struct supervisor_options *o, struct event_loop *loop,
		    struct supervisor **out);
/* Leaves the proxy running. Callbacks of unanswered orders are not called. Accepts NULL. */
void supervisor_close(struct supervisor *s);
/* Ends the proxy. */
void supervisor_end(struct supervisor *s);
/* The same for a proxy that was left running in `run_dir`, if there is one. */
void supervisor_stop(const char *run_dir);
/* Whether one was. */
bool supervisor_runs(const char *run_dir);

/* Whether there is a proxy that another weftd had started, with the connections that it has. */
bool supervisor_took_over(const struct supervisor *s);
/* weftd has started. Where there are no rules, and so no proxy that could take clients over, those
 * that are to drain do so without: clients wait for the first rules. */
void supervisor_settle(struct supervisor *s);
/* Whether there are proxies that drain, or are to. */
bool supervisor_drains(const struct supervisor *s);
/* Whether there are, and the proxy that runs is a new one, which has not had them drain yet. */
bool supervisor_is_to_succeed(const struct supervisor *s);
unsigned supervisor_workers(const struct supervisor *s);
/* The listening socket of a worker, the same one until supervisor_close(). */
int supervisor_listener(const struct supervisor *s, unsigned worker);

/* A snapshot as compile() has made it, on which the supervisor takes its own reference; one that
 * was made of the last one by a patch is handed over as that. Calls done() once, perhaps before it
 * returns: with 0 when every worker has switched to it; with -errno, after having logged, when it
 * has been refused or could not be handed over: then the old one stays. */
void supervisor_snapshot(struct supervisor *s, uint64_t generation, struct http_snapshot *snapshot,
			 void (*done)(void *arg, int r), void *arg);
/* The same for the start of weftd: turns the loop until the proxy has answered. A proxy that was
 * taken over and refuses the snapshot is replaced, and the next one asked. 0, or -errno after
 * having logged. */
int supervisor_snapshot_first(struct supervisor *s, uint64_t generation,
			      struct http_snapshot *snapshot);
/* All certificates and keys, a file of lib/wire/credentials.h, which is copied into a sealed memory
 * file: for the proxy that runs, and for each that is started, before it is given rules. What it
 * answers is logged if it is no. 0 or -errno. */
int supervisor_credentials(struct supervisor *s, const void *bytes, size_t size);
/* Gives them to the proxy that runs once more, if it has refused them or not answered. */
void supervisor_credentials_again(struct supervisor *s);
/* Whether the proxy that runs may have such of another weftd, and has none of this one. */
bool supervisor_had_credentials(const struct supervisor *s);
/* Whether the last one that it has switched to says the same: then this one is taken for it. */
bool supervisor_has_snapshot(struct supervisor *s, struct http_snapshot *snapshot);

/* The snapshot in force, which stays the supervisor's; NULL: there is none. */
struct http_snapshot *supervisor_in_force(const struct supervisor *s);

/* A request that is under way in a proxy, which may be one that drains. */
struct supervisor_request {
	struct proxy_request request;
	bool draining;
};

/* Calls done() once, perhaps before it returns, with the requests under way in all proxies that
 * run; they are gone when done() returns. 0; -errno, if not all of them could be asked: the rows
 * are those of the others. */
typedef void (*supervisor_requests_fn)(void *arg, int r, const struct supervisor_request *rows,
				       size_t count);
void supervisor_requests(struct supervisor *s, supervisor_requests_fn done, void *arg);
/* Waits for no more answers: done() is called with -ECANCELED. */
void supervisor_cancel_requests(struct supervisor *s);

/* Has all proxies that run, and each that is started from now on, write their access log to the
 * pipe `fd`, too, as PROXY_FOLLOW says; -1: to none any more. Borrowed until then. Calls done(),
 * unless it is NULL or this is called again before, once all of them do, or can't: perhaps before
 * it returns. */
void supervisor_follow(struct supervisor *s, int fd, void (*done)(void *arg), void *arg);

void supervisor_status(const struct supervisor *s, struct supervisor_status *out);

/* Calls each() with a line for every thing that a container in which weftd runs should have of the
 * node, and has not: connections end with it. */
void supervisor_each_lacking(const struct supervisor *s, const char *state_dir,
			     void (*each)(void *arg, const char *what), void *arg);

#endif
