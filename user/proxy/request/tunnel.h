/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_TUNNEL_H
#define WEFT_PROXY_REQUEST_TUNNEL_H
/*
 * A client's connection without requests, and its endpoint's: bytes in both directions, until both
 * sides have ended, one has broken off, or nothing moves for too long. As Envoy's TCP proxy there
 * is one try; what can't be carried out is a reset.
 *
 * The client's connection is its owner's, who runs it.
 */
#include "proxy/request/downstream.h"
#include "proxy/request/http_worker.h"
#include "proxy/request/request.h"
#include "proxy/route/route.h"
#include "proxy/upstream/pool.h"

enum tunnel_state {
	TUNNEL_PICK,	/* nothing has been done yet */
	TUNNEL_CONNECT, /* the connection to the endpoint */
	TUNNEL_OPEN,
};

struct tunnel {
	struct downstream *down;
	struct upstream *up; /* NULL: none yet */
	struct http_worker *worker;
	void (*changed)(struct tunnel *t); /* it is to be run */
	void *owner;
	enum tunnel_state state;
	struct plan plan;
	struct target target; /* while `picked` */
	bool picked;
	bool fired;		  /* `timer` has */
	uint32_t flags;		  /* response_flags.h */
	const char *details;	  /* NULL: none */
	const char *audit;	  /* as in struct route_rbac; NULL: none */
	uint64_t started, opened; /* ms */
	uint64_t moved;		  /* bytes in all, when that was looked at last */
	uint64_t moved_at;	  /* ms */
	uint64_t counted;	  /* of them, in the counters of others */
	struct traffic_end end;	  /* `reached`: it has been counted as opened */
	uint64_t received, sent;  /* from and to the client, as counted there */
	struct addr endpoint, local;
	uint16_t endpoint_port, local_port;
	struct loop_timer timer;
	char name[TLS_NAME_MAX + 1]; /* that the ClientHello asks for, if TLS is passed through */
	struct tunnel *next, **link; /* worker->tunnels */
};

/* Takes the plan over, also on failure. `name` is copied. 0 or -ENOMEM. */
int tunnel_new(struct http_worker *w, struct downstream *down, const struct plan *plan,
	       struct h1_span name, struct tunnel **out);
/* STEP_WAIT, STEP_AGAIN, STEP_LATER; STEP_END: it is over, and the client's connection of no
 * further use. */
enum step tunnel_run(struct tunnel *t);
/* Gives it and all it holds back, the client's connection excepted. Accepts NULL. */
void tunnel_free(struct tunnel *t);

#endif
