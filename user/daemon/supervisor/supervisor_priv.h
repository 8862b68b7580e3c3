/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_SUPERVISOR_PRIV_H
#define WEFT_DAEMON_SUPERVISOR_SUPERVISOR_PRIV_H
/*
 * What the files behind supervisor.h share: the proxy that runs, and the orders that it has not
 * answered yet.
 */
#include "daemon/loop/event.h"
#include "daemon/supervisor/proxy_process.h"
#include "daemon/supervisor/proxy_words.h"
#include "daemon/supervisor/supervisor.h"

/* What became of an order. */
struct answer {
	int error; /* what the proxy says; -ETIMEDOUT; -ECONNRESET, when it has gone; other -errno
		    */
	const struct proxy_hello *hello; /* of PROXY_HELLO, or NULL */
	const int *fds;			 /* that came with it, the callee's from now on */
	unsigned fd_count;
};

struct order {
	struct order *next;
	struct proxy_order order;
	int fd;		     /* goes with it, owned; -1: none */
	struct draining *to; /* who is to answer; NULL: the proxy that runs */
	uint64_t due_ms;
	unsigned tries; /* proxies that have had it */
	/* Called once; the order is freed afterwards. */
	void (*answered)(struct supervisor *s, struct order *o, const struct answer *a);
	struct http_snapshot *snapshot; /* that the proxy has then, owned; or NULL */
	uint64_t generation;		/* of it */
	const void *bytes;		/* a patch that goes with it, of `snapshot`; or NULL */
	size_t size;			/* of a patch */
	void (*done)(void *arg, int r); /* of a snapshot, or a patch */
	void *arg;
};

/* A proxy that drains, or is about to. */
struct draining {
	struct draining *next; /* the next older one */
	struct supervisor *s;
	struct proxy_process proxy;
	struct event pid_event, conn_event;
	int slot;
	unsigned shared; /* of its listening sockets, that another one accepts from */
};

struct supervisor {
	struct supervisor_options options;
	struct event_loop *loop;
	char *program, *identity;
	int listeners[PROXY_MAX_WORKERS];
	struct event_timer start_timer; /* runs while a proxy is to be started */
	int messages[2];		/* a pipe: what proxies have to say comes out of [0] */
	struct event message_event;
	struct proxy_words words;
	struct http_snapshot *snapshot; /* the one that the proxy has; NULL: there is none yet */
	bool follows;			/* proxies tell of their requests */
	int follow;			/* where, borrowed */
	unsigned follow_waits;		/* for so many answers */
	void (*follow_done)(void *arg);
	void *follow_arg;
	int credentials; /* all certificates and keys, a sealed file; -1: there are none yet */
	bool credentials_refused;   /* by the proxy that runs, or not given for lack of memory */
	uint32_t state, last_state; /* its number; the last one that was given out */
	/* Patches that made it of what was last handed over as a whole. */
	unsigned patches;
	size_t patched;
	struct proxy_process proxy;
	int slot;			    /* its */
	uint32_t can;			    /* PROXY_CAN_... */
	bool cannot_patch;		    /* it does not know how to */
	bool unsure;			    /* whether all of it has the snapshot */
	struct draining *draining;	    /* the youngest first */
	bool succeeds;			    /* the proxy has been told of all of them */
	unsigned shared;		    /* listening sockets that a former proxy has, too */
	struct event pid_event, conn_event; /* of the proxy */
	unsigned unasked;     /* answers since it was started, or answered what it was asked */
	struct order *orders; /* not answered yet, in the order they were given */
	struct event_timer order_timer;
	bool begun;	      /* weftd has started: what dies is replaced */
	bool ended;	      /* no other one is started */
	bool took_over;	      /* the first proxy */
	bool had_credentials; /* perhaps: the proxy that runs is another weftd's */
	uint64_t started_ms;
	unsigned restarts, pause_ms;
};

/* supervisor.c. A proxy runs when this returns 0, if one can be started; whether it really starts,
 * its answers say. */
int supervisor_ensure(struct supervisor *s);

/* drain.c: those that drain. */

/* The proxy that runs becomes one of them, and none runs. 0, or -errno: it goes on. */
int drain_current(struct supervisor *s);
/* One that was found running in a slot becomes one of them, which takes it over. Likewise. */
int drain_add(struct supervisor *s, struct proxy_process *proxy, int slot, unsigned shared);
/* Has them drain, and the proxy that runs take their clients. */
void drain_all(struct supervisor *s);
/* A slot that none is in; where all are, the oldest one is ended. */
int drain_free_slot(struct supervisor *s);
/* Lets go of them; `end`: ends them. */
void drain_forget(struct supervisor *s, bool end);

/* orders.c. NULL when out of memory, having closed `fd`. */
struct order *order_new(enum proxy_order_type type, int fd,
			void (*answered)(struct supervisor *s, struct order *o,
					 const struct answer *a));
/* Gives it to the proxy that runs, and takes it over. */
void order_give(struct supervisor *s, struct order *o, unsigned limit_ms);
/* Waits for the answer to what has been given to the proxy last, by other ways. */
void order_expect(struct supervisor *s, struct order *o, unsigned limit_ms);
/* Has the proxy that serves resume the sessions of one that drains. */
void orders_pass_tickets(struct supervisor *s, struct draining *from);
/* Has the one that has just been started given the certificates of identities that those which
 * drain have: weftd may have none yet. */
void orders_pass_identities(struct supervisor *s);
/* Has the proxy write its access log where it is to go. */
void orders_give_log(struct supervisor *s);
/* follow.c: has the proxy that runs tell its requests, if anything follows them. */
void follow_give(struct supervisor *s);
/* Gives the proxy all certificates and keys, if there are any. */
void orders_give_credentials(struct supervisor *s);
/* An order whose answer is of no further interest than its error; takes `fd` over. False: out of
 * memory. */
bool orders_give_plain(struct supervisor *s, struct proxy_order order, int fd);
/* Reads what the proxy has answered. -ECONNRESET: it says nothing any more, or is killed for what
 * it says. */
int orders_read(struct supervisor *s);
/* Whether an order must be repeated to the next proxy, if the one that runs dies. */
bool orders_must_repeat(const struct supervisor *s);
/* The proxy has died: repeats those orders to the next one, if it runs, and ends the others. */
void orders_died(struct supervisor *s);
/* When the timer has fired. */
void orders_overdue(void *supervisor);
/* Whether it is yet to answer a snapshot, or a patch. */
bool orders_have_snapshot(const struct supervisor *s);
/* One that drains has answered what it was asked, or has ended. */
void orders_drain_answered(struct draining *d, const struct proxy_reply *reply);
void orders_drain_over(struct draining *d);
/* Hands the snapshot in force over, to a proxy whose answer is not waited for. 0 or -errno. */
int orders_restore(struct supervisor *s);
/* Frees all orders without calling their callbacks, but for supervisor_requests(). */
void orders_free(struct supervisor *s);

#endif
