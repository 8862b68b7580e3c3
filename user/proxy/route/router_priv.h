/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_PRIV_H
#define WEFT_PROXY_ROUTE_ROUTER_PRIV_H
/*
 * Between the parts of the router.
 */
#include <time.h>

#include "lib/base/fnv.h"
#include "lib/model/hostname.h"
#include "lib/route/route.h"
#include "proxy/route/route.h"
#include "proxy/route/router_version.h"

enum {
	ROUTER_SHADOW = 320,
	ROUTER_AUDIT = 352, /* "ns[]-policy[]-rule[]" with names of 63 and 253 bytes */
	ROUTER_TRIED = 8,   /* endpoints that another try avoids */
};

#define ROUTER_HASH FNV1A_BEGIN /* to begin with */

/* Grows, and is kept with the plan for the next one. */
struct router_ops {
	struct plan_op *items;
	size_t count, room;
};

/* What a plan holds on to. */
struct router_plan {
	struct router_version *version; /* a reference; NULL: it is settled */
	struct http_request request;
	struct http_decision decision;
	struct addr client, called;
	uint16_t client_port, called_port;
	struct router_ops ops;	   /* the request's, then the response's */
	struct router_ops headers; /* of an answer of our own */
	/* Of the current try. The version holds it, or, of a settled plan, the plan does: then its
	 * cluster is `cluster`, and 0 if nothing about it is to be reported. */
	struct endpoint_state *endpoint;
	uint32_t cluster;
	uint32_t endpoint_at;	      /* where it was among the cluster's */
	uint32_t tried[ROUTER_TRIED]; /* their ids */
	uint32_t tried_count;
	bool gateway; /* a Gateway was called: its identity is the caller's to endpoints */
	bool inbound; /* a pod of this node was called by its own address */
	bool hashed;
	uint64_t hash; /* of what the cluster's consistentHash speaks of */
	uint64_t mirror_turn;
	uint32_t egress;		 /* the client's NetworkPolicies: as hs_source.egress */
	char shadow[ROUTER_SHADOW];	 /* their Host */
	char called_text[ADDR_TEXT_MAX]; /* the Host of a request without one */
	char cookie[HS_COOKIE_MAX];	 /* to be set, if cookie_len isn't 0 */
	size_t cookie_len;
	char *denied;		  /* what says so where policies refuse it; owned */
	char audit[ROUTER_AUDIT]; /* the rule of the AUDIT policy that is met */
	struct router_plan *next; /* among the unused ones */
	/* Who calls, where that is known by more than the address, for AuthorizationPolicies: as
	 * long as the client's connection. Empty: by its address. */
	struct authz_text caller_ns, caller_account;
};

/* ---- router_hash.c ---- */

/* Takes note of what consistentHash needs, while the request is at hand. */
void router_hash(struct router_plan *p);
uint64_t router_mix(uint64_t h, const void *bytes, size_t n);

/* ---- router_warm.c ---- */

/* When none of the cluster's endpoints is warming up any more. */
uint64_t router_warm_at(const struct router_members *m, const struct hs_cluster *c);
/* What an endpoint known for `age` ms gets of its share: more than 0, up to 1. */
double router_warmth(const struct hs_cluster *c, uint64_t age);

/* ---- router_client.c ---- */

/* Fills in how TLS is spoken with the target, whose address is known, if it is: with a reference,
 * until target_done(). Only where router_may_speak_tls(). */
void router_target_tls(const struct router_plan *p, const struct hs_cluster *c, struct target *out);

/* TLS is spoken with the cluster's endpoints by rules, or with those of the mesh that want it. */
static inline bool router_may_speak_tls(const struct router_version *v, const struct hs_cluster *c)
{
	return c->client_tls || hs_count(v->snapshot, HS_WORKLOADS);
}

/* ---- router_traffic.c ---- */

/* Who calls what, once it is decided; `row`: the pod at the client's address, or NULL. */
void router_traffic(const struct router_plan *p, const struct hs_source *row,
		    const struct route_ask *ask, struct plan_traffic *out);
/* What becomes of its trace; likewise. */
void router_tracing(const struct router_plan *p, const struct hs_source *row,
		    struct plan_tracing *out);
/* See struct router. */
void router_tags(struct router *r, const struct plan *plan, const struct addr *endpoint,
		 void (*each)(void *arg, const struct route_tag *tag), void *arg);
/* Who the endpoint in that place is, into `out`; the pod at out->addr. */
void router_target_peer(const struct router_version *v, const struct router_members *m, uint32_t at,
			struct target *out);
void router_address_peer(const struct router_version *v, struct target *out);

/* ---- router_pick.c: see struct router ---- */

enum pick router_pick(struct router *r, struct plan *plan, unsigned n, struct target *out);
enum pick router_pick_mirror(struct router *r, struct plan *plan, size_t i, struct target *out);
void router_done(struct router *r, struct plan *plan, struct target *t, enum outcome outcome,
		 unsigned status);
void router_reached(struct router *r, struct plan *plan);
void router_settle(struct router *r, struct plan *plan);

/* ---- router.c ---- */

/* The rules that it goes by. NULL: none yet. */
const struct router_version *router_current(const struct router *r);

/* ---- router_authz.c: likewise ---- */

bool router_allows(struct router *r, const struct plan *plan, const struct h1_request *request,
		   const struct target *target, struct route_rbac *out);

static inline uint64_t router_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
