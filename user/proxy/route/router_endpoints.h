/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_ENDPOINTS_H
#define WEFT_PROXY_ROUTE_ROUTER_ENDPOINTS_H
/*
 * The endpoints that the rules of one worker know of: how many of their clusters have each of them.
 * One that has left all of them stays known, for requests that it is asked by, until the rules go.
 */
#include "proxy/route/shared_state.h"

struct router_endpoint {
	struct endpoint_state *state; /* held; NULL: the slot is free */
	uint32_t clusters;
};

struct router_endpoints {
	struct router_endpoint *slots; /* open addressing */
	size_t room;		       /* a power of two, or 0 */
	size_t count;
};

/* Zero-initialise `e`. The endpoint of that id, in as many clusters as before, which `last` most
 * likely knows already if it is not NULL; NULL: no memory. */
struct endpoint_state *router_endpoints_know(struct router_endpoints *e, struct shared_state *s,
					     uint32_t id, const struct router_endpoints *last);
/* One more cluster, or one less, has one that is known. What it is then. */
uint32_t router_endpoints_add(struct router_endpoints *e, uint32_t id);
uint32_t router_endpoints_remove(struct router_endpoints *e, uint32_t id);
/* Whether any cluster has it. */
bool router_endpoints_have(const struct router_endpoints *e, uint32_t id);
/* The worker goes by `now` instead of `last` from `at` (ms) on: for the state. */
void router_endpoints_succeed(const struct router_endpoints *now,
			      const struct router_endpoints *last, struct shared_state *s,
			      uint64_t at);
void router_endpoints_free(struct router_endpoints *e, struct shared_state *s);

#endif
