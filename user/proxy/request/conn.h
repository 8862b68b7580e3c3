/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_CONN_H
#define WEFT_PROXY_REQUEST_CONN_H
/*
 * A client's connection and the request under way on it.
 *
 * The state says what is waited for. Each event of either socket or a timer runs the step of the
 * state until nothing more can be done; only steps and what they call change the state.
 */
#include "proxy/request/http_worker.h"
#include "proxy/request/request_headers.h"
#include "proxy/route/route.h"
#include "proxy/stream/half.h"
#include "proxy/upstream/pool.h"

enum conn_state {
	CONN_HEAD,     /* a request, or the rest of its head */
	CONN_DELAY,    /* a fault's delay to be over */
	CONN_PENDING,  /* leave to open a connection to the endpoint */
	CONN_CONNECT,  /* that connection */
	CONN_FORWARD,  /* the response's head; the request's body moves */
	CONN_BACKOFF,  /* the time for another try */
	CONN_RESPONSE, /* the response's body; the request's may still move, too */
	CONN_TUNNEL,   /* bytes in both directions, until both sides have ended */
	CONN_ANSWER,   /* room to send the rest of a response, or one of the proxy's own */
	CONN_LINGER,   /* the client to take notice that we have ended */
	CONN_STATES,
};

enum step {
	STEP_AGAIN, /* the state's step (maybe of another state now) is to run again */
	STEP_WAIT,
	STEP_LATER, /* likewise again, but after others had their turn */
	STEP_END,   /* the connection is of no further use */
};

/* A request, from its head until its response is out. */
struct exchange {
	struct h1_request request; /* its spans are in `head` */
	struct buf head;
	struct plan plan;
	struct target target;	/* while `picked` */
	struct mirror *mirrors; /* copies that still want to hear of the body */
	bool planned, picked;
	bool timed;	    /* the route's time has begun */
	bool close;	    /* the client's connection ends with this exchange */
	bool request_cut;   /* the endpoint took no more of the request */
	bool keep_up;	    /* the endpoint's connection can be used again */
	bool fresh;	    /* don't try an unused connection again */
	bool again;	    /* such a try has been made */
	bool pends, active; /* counted as waiting for a connection, as having got one */
	bool admitted,
		attached; /* counted for target.limit: as a request, as one with a connection */
	struct limit *retrying; /* counted there as being tried again, or NULL */
	unsigned tries;
	unsigned status;     /* sent to the client; 0: none yet */
	uint32_t flags;	     /* flags.h */
	uint64_t sent_up;    /* up->half.sent when the try began */
	uint64_t started;    /* ms */
	uint64_t asked;	     /* ms: when the route's time began; 0: it has not */
	const char *details; /* NULL: none */
	uint64_t answered;   /* ms: when the endpoint's response began, if `asked` was known then */
	uint64_t sent_before, received_before;
	uint64_t heads;		     /* bytes of the responses' heads */
	struct addr endpoint, local; /* of the last try */
	uint16_t endpoint_port, local_port;
	struct exchange *spare; /* the next one, while it is none: worker->spare */
	struct added added;	/* last: filled in when it is needed */
};

struct conn {
	struct half client; /* first: client.changed() finds the rest */
	struct http_worker *worker;
	enum conn_state state;
	struct upstream *up; /* of the current try, or NULL */
	struct exchange *x;  /* NULL: between requests */
	struct addr client_addr, called;
	uint16_t client_port, called_port;
	size_t seen;  /* bytes of the next head that have been looked at */
	bool waiting; /* `timer` counts */
	bool fired;   /* and has fired */
	bool over;    /* `deadline` has fired */
	bool running;
	uint64_t moved;		    /* bytes, when `timer` was set */
	struct loop_timer timer;    /* of the state */
	struct loop_timer deadline; /* of the route */
	struct conn *next, **link;  /* worker->conns */
	struct worker_task later;   /* another turn */
	struct limit *pending;	    /* counts it among those who wait, in worker->waiting */
	uint64_t pending_since;	    /* ms */
	struct conn *next_waiting, **link_waiting;
};

/* ---- conn.c ---- */

int conn_open(struct http_worker *w, int fd, struct conn **out); /* takes fd over; 0 or -errno */
void conn_close(struct conn *c);
/* Something has happened: goes on as far as possible. May free `c`. */
void conn_run(struct conn *c);
void conn_upstream_changed(struct upstream *u);
/* Sets c->timer for the state; 0: none. */
void conn_wait(struct conn *c, uint64_t ms);
/* The state's time is over, and no byte has moved in it. */
bool conn_stuck(struct conn *c, uint64_t ms);
/* The client can't be answered any more. */
bool conn_client_gone(struct conn *c);
/* The route's time begins when all of the request has been received. */
void conn_time(struct conn *c);

/* ---- conn_request.c ---- */

void conn_free_spares(struct http_worker *w); /* when it has no connections any more */
enum step conn_step_head(struct conn *c);
enum step conn_step_delay(struct conn *c);
/* The response is out: on to the next request, or the end. */
enum step conn_finish(struct conn *c);
/* Gives the exchange and all it holds back. */
void conn_forget_exchange(struct conn *c);

/* ---- conn_try.c ---- */

/* Why a try has come to nothing. */
enum failure {
	FAIL_CONNECT,
	FAIL_CONNECT_TIMEOUT,
	FAIL_RESET,    /* the endpoint ended the connection */
	FAIL_PROTOCOL, /* it answered something that can't be understood */
	FAIL_TIMEOUT,  /* of the try */
	FAIL_IDLE,     /* nothing moves */
	FAILURES,
};

enum step conn_try(struct conn *c);
/* Gets a connection for the try, or waits for one. */
enum step conn_reach(struct conn *c);
enum step conn_step_connect(struct conn *c);
/* The current try has come to nothing: another one, or an answer that says so. */
enum step conn_try_failed(struct conn *c, enum failure failure);
/* The route's time is over before there was a response. */
enum step conn_route_timeout(struct conn *c);
/* The endpoint's part is over. */
void conn_try_end(struct conn *c, enum outcome outcome, unsigned status, bool reusable);

/* ---- conn_retry.c ---- */

/* The endpoint has closed an unused connection just when it was used again: nobody's fault (RFC
 * 9110 9.2.2). */
bool conn_was_stale(const struct conn *c, enum failure f);
/* Whether such a failure is followed by another try: conn_try_later(). */
bool conn_try_after(struct conn *c, enum failure f);
enum step conn_try_later(struct conn *c);
/* Whether the response is to be thrown away for another try, which begins then. */
bool conn_try_again(struct conn *c, const struct h1_response *r);
/* Whether the plan would have a response with that status be followed by another try. */
bool conn_retriable(const struct plan *p, unsigned status);
enum step conn_step_backoff(struct conn *c);

/* ---- conn_limit.c: each counts one more, if that isn't too many ---- */

/* A request for the target's cluster, with a connection or waiting for one. */
bool conn_admit(struct conn *c);
/* A connection of the cluster. */
bool conn_may_connect(struct conn *c);
/* The request has got its connection. */
bool conn_attach(struct conn *c);
/* The try is over: gives back what was admitted and attached. */
void conn_give_places(struct exchange *x);
/* Another try, until conn_end_retry(). */
bool conn_may_retry(struct exchange *x);
void conn_end_retry(struct exchange *x);
/* Of worker->look. */
void conn_look(struct loop_timer *t);
/* Waits for a connection that conn_may_connect() has refused. */
enum step conn_queue(struct conn *c);
void conn_leave_queue(struct conn *c); /* also if it isn't in it */
enum step conn_step_pending(struct conn *c);

/* ---- conn_response.c ---- */

enum step conn_step_forward(struct conn *c);
enum step conn_step_response(struct conn *c);
enum step conn_step_tunnel(struct conn *c);

/* ---- conn_answer.c ---- */

struct plan_answer;
enum step conn_answer(struct conn *c, const struct plan_answer *a);
/* What is in client.out; then the exchange is over. */
enum step conn_send_rest(struct conn *c);
enum step conn_answer_bad(struct conn *c, enum h1_error error);
enum step conn_step_answer(struct conn *c);
enum step conn_step_linger(struct conn *c);

/* ---- conn_stat.c: counting ---- */

/* The try has to wait for a connection, has got one, is over; `up` may be NULL. */
void conn_count_pending(struct exchange *x);
void conn_count_attached(struct exchange *x);
void conn_count_end(struct exchange *x, const struct upstream *up, enum outcome outcome);
void conn_count_failure(struct exchange *x, enum failure f);
void conn_count_timeout(struct exchange *x);
void conn_count_retry(struct exchange *x);
/* Another try was wanted, but may not be. */
void conn_count_no_retry(struct exchange *x, bool overflow);
/* An answer has come that makes no other try wanted. */
void conn_count_good(struct exchange *x);
/* x->status is the cluster's answer, or the proxy's own for it. */
void conn_count_answer(struct exchange *x);
/* And the end of it has come. */
void conn_count_time(struct conn *c);

/* ---- heads.c: 0 or -ENOMEM ---- */

/* The request as the endpoint is to see it. */
int heads_request(struct supply *s, struct buf *out, const struct exchange *x,
		  struct h1_span authority);
/* The response as the client is to see it. */
int heads_response(struct supply *s, struct buf *out, const struct exchange *x,
		   const struct h1_response *r, bool dechunk);

#endif
