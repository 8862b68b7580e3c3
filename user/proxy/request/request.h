/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_REQUEST_H
#define WEFT_PROXY_REQUEST_REQUEST_H
/*
 * A request, from its head until its response is out.
 *
 * The state says what is waited for. Each event of the client's side, the endpoint's or a timer
 * runs the step of the state until nothing more can be done; only steps and what they call change
 * the state.
 */
#include "lib/base/response_flags.h"
#include "proxy/request/downstream.h"
#include "proxy/request/http_worker.h"
#include "proxy/request/request_headers.h"
#include "proxy/route/route.h"
#include "proxy/upstream/pool.h"

enum request_state {
	REQUEST_DELAY,	  /* a fault's delay to be over */
	REQUEST_PENDING,  /* leave to open a connection to the endpoint */
	REQUEST_CONNECT,  /* that connection */
	REQUEST_FORWARD,  /* the response's head; the request's body moves */
	REQUEST_BACKOFF,  /* the time for another try */
	REQUEST_RESPONSE, /* the response's body; the request's may still move, too */
	REQUEST_TUNNEL,	  /* bytes in both directions, until both sides have ended */
	REQUEST_ANSWER,	  /* room to send the rest of a response, or one of the proxy's own */
	REQUEST_STATES,
};

enum step {
	STEP_AGAIN, /* the state's step (maybe of another state now) is to run again */
	STEP_WAIT,
	STEP_LATER, /* likewise again, but after others had their turn */
	STEP_DONE,  /* the response is out */
	STEP_END,   /* it will never be */
};

/* The endpoint's side of a request, or of a connection without any, to `http_traffic`. */
struct traffic_end {
	bool reached; /* the last try has; else nothing else counts */
	bool in_mesh, mutual;
	bool traced; /* it has a span of its own, which is made here */
	uint32_t peer;
};

struct request {
	struct h1_request request; /* first; its spans are in `head` */
	struct downstream *down;   /* the client's side */
	struct upstream *up;	   /* the endpoint's, of the current try, or NULL */
	struct http_worker *worker;
	enum request_state state;
	bool waiting; /* `timer` counts */
	bool fired;   /* and has fired */
	bool over;    /* `deadline` has fired */
	bool running;
	size_t seen;		      /* bytes of the response's head that have been looked at */
	uint64_t moved;		      /* bytes, when `timer` was set */
	struct request *next, **link; /* worker->requests */
	struct limit *pending;	      /* counts it as a waiter, in worker->waiting */
	uint64_t pending_since;	      /* ms */
	struct request *next_waiting, **link_waiting;
	struct buf head;
	struct plan plan;
	struct target target;	/* while `picked` */
	struct mirror *mirrors; /* copies that still want to hear of the body */
	bool planned, picked;
	bool timed;	    /* the route's time has begun */
	bool close;	    /* what the client sends behind it is not looked at */
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
	uint32_t flags;	     /* response_flags.h */
	uint64_t sent_up;    /* up->half.sent when the try began */
	uint64_t started;    /* ms */
	uint64_t started_us; /* the same, finer */
	struct traffic_end end;
	bool grpc; /* request_traffic.h: the request is; its status */
	uint8_t grpc_status;
	uint64_t asked;	     /* ms: when the route's time began; 0: it has not */
	const char *details; /* NULL: none */
	const char *audit;   /* as in struct route_rbac, of the last try that has one */
	uint64_t answered;   /* ms: when the endpoint's response began, if `asked` was known then */
	uint64_t sent_before, received_before;
	uint64_t heads;		     /* bytes of the responses' heads */
	struct addr endpoint, local; /* of the last try */
	uint16_t endpoint_port, local_port;
	struct request *spare; /* the next one, while it is none: worker->spare */
	/* Filled in when it is needed. */
	struct request_headers headers;
	/* While headers.sampled: when the last try reached its endpoint and when it was over, as
	 * started_us. */
	uint64_t reached_us, left_us;
	/* The timers of one that is spare stay where they are: that costs less than taking them
	 * out. */
	struct loop_timer timer;    /* of the state */
	struct loop_timer deadline; /* of the route */
	struct worker_task later;   /* another turn */
};

/* ---- request.c ---- */

/* Memory for one, which does not run before request_enter(). NULL: there is none. */
struct request *request_new(struct http_worker *w, struct downstream *down);
/* Gives one back that has not begun. */
void request_drop(struct request *rq);
/* Its head has been read, and what is known of its body begun: decides what is to be done. */
enum step request_begin(struct request *rq);
/* Goes on with what came of the first step. May free `rq`. */
void request_enter(struct request *rq, enum step first);
/* Something has happened: goes on as far as possible. May free `rq`. */
void request_run(struct request *rq);
/* Gives it and all it holds back; nothing is said to the client. */
void request_forget(struct request *rq);
void request_free_spares(struct http_worker *w); /* when it has no requests any more */
void request_upstream_changed(struct upstream *u);
/* Sets rq->timer for the state; 0: none. */
void request_wait(struct request *rq, uint64_t ms);
/* The step when there is a head to be sent. Where that takes long, for TLS, it is sent once all
 * that has come has been read: what comes to a process in a row wakes it once. */
enum step request_step_to_send(const struct request *rq);
/* The state's time is over, and no byte has moved in it. */
bool request_stuck(struct request *rq, uint64_t ms);
/* The client can't be answered any more. */
bool request_client_gone(struct request *rq);
/* The route's time begins when all of the request has been received. */
void request_time(struct request *rq);
enum step request_step_delay(struct request *rq);

/* What the access log is told of it at its end. */
void request_entry(const struct request *rq, char flags[FLAGS_TEXT], struct access_entry *out);

/* ---- try.c ---- */

/* Why a try has come to nothing. */
enum failure {
	FAIL_CONNECT,
	FAIL_NETWORK_POLICY, /* no connection may be made */
	FAIL_CONNECT_TIMEOUT,
	FAIL_RESET,    /* the endpoint ended the connection */
	FAIL_PROTOCOL, /* it answered something that can't be understood */
	FAIL_TIMEOUT,  /* of the try */
	FAIL_IDLE,     /* nothing moves */
	FAIL_TLS,      /* no TLS handshake with the endpoint, or no certificate for one */
	/* Mutual TLS can't be spoken: the caller has no identity, the endpoint has none. */
	FAIL_NO_IDENTITY,
	FAIL_NOT_IN_MESH,
	FAILURES,
};

enum step request_try(struct request *rq);
/* Gets a connection for the try, or waits for one. */
enum step request_reach(struct request *rq);
enum step request_step_connect(struct request *rq);
/* The current try has come to nothing: another one, or an answer that says so. */
enum step request_try_failed(struct request *rq, enum failure failure);
/* The route's time is over before there was a response. */
enum step request_route_timeout(struct request *rq);
/* The endpoint's part is over. */
void request_try_end(struct request *rq, enum outcome outcome, unsigned status, bool reusable);

/* ---- retry.c ---- */

/* The endpoint has closed an unused connection just when it was used again, which is no failure of
 * the endpoint (RFC 9110 9.2.2). */
bool request_was_stale(const struct request *rq, enum failure f);
/* Whether such a failure is followed by another try: request_try_later(). */
bool request_try_after(struct request *rq, enum failure f);
enum step request_try_later(struct request *rq);
/* Whether the response is to be thrown away for another try, which begins then. */
bool request_try_again(struct request *rq, const struct h1_response *r);
/* Whether the plan would have a response with that status be followed by another try. */
bool request_retriable(const struct plan *p, unsigned status);
enum step request_step_backoff(struct request *rq);

/* ---- wait_queue.c: each counts one more, if that isn't too many ---- */

/* A request for the target's cluster, with a connection or waiting for one. */
bool request_admit(struct request *rq);
/* A connection of the cluster. */
bool request_may_connect(struct request *rq);
/* The request has got its connection. */
bool request_attach(struct request *rq);
/* The try is over: gives back what was admitted and attached. */
void request_give_places(struct request *rq);
/* Another try, until request_end_retry(). */
bool request_may_retry(struct request *rq);
void request_end_retry(struct request *rq);
/* Of worker->poll_timer. */
void request_poll(struct loop_timer *t);
/* Waits for a connection that request_may_connect() has refused. */
enum step request_queue(struct request *rq);
void request_leave_queue(struct request *rq); /* also if it isn't in it */
enum step request_step_pending(struct request *rq);

/* ---- response.c ---- */

enum step request_step_forward(struct request *rq);
enum step request_step_response(struct request *rq);
enum step request_step_tunnel(struct request *rq);

/* ---- answer.c ---- */

struct plan_answer;
enum step request_answer(struct request *rq, const struct plan_answer *a);
/* What is in down->half.out; then the request is over. */
enum step request_send_rest(struct request *rq);
enum step request_answer_bad(struct request *rq, enum h1_error error);
enum step request_step_answer(struct request *rq);

/* ---- request_stat.c: counting ---- */

/* The try has to wait for a connection, has got one, is over; `up` may be NULL. */
void request_count_pending(struct request *rq);
void request_count_attached(struct request *rq);
void request_count_end(struct request *rq, const struct upstream *up, enum outcome outcome);
void request_count_failure(struct request *rq, enum failure f);
void request_count_timeout(struct request *rq);
void request_count_retry(struct request *rq);
/* Another try was wanted, but may not be. */
void request_count_no_retry(struct request *rq, bool overflow);
/* An answer has come that makes no other try wanted. */
void request_count_good(struct request *rq);
/* rq->status is the cluster's answer, or the proxy's own for it. */
void request_count_answer(struct request *rq);
/* And the end of it has come. */
void request_count_time(struct request *rq);

/* ---- head_writer.c: 0 or -ENOMEM ---- */

/* The request as the endpoint is to see it. */
int head_write_request(struct buffer_pool *pool, struct buf *out, const struct request *rq,
		       struct h1_span authority);
/* The response as the client is to see it. */
int head_write_response(struct buffer_pool *pool, struct buf *out, const struct request *rq,
			const struct h1_response *r, bool dechunk);
/* A response of the proxy's own. */
int head_write_answer(struct buffer_pool *pool, struct buf *out, const struct request *rq,
		      const struct plan_answer *a);

#endif
