/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_H
#define WEFT_PROXY_ROUTE_ROUTER_H
/*
 * The router over a snapshot (lib/route/route.h): one per worker.
 */
#include "proxy/route/route.h"
#include "proxy/route/shared_state.h"

struct config; /* router_version.h */
struct snapshot_router;

/* A router without rules: every request is answered with 503. */
int router_new(struct shared_state *state, struct snapshot_router **out);
void router_free(struct snapshot_router *r); /* accepts NULL */
struct router *router_interface(struct snapshot_router *r);
/* From any thread: takes one more reference; the worker switches to it at its next turn, and
 * answers by config_answer(): an error, and the old rules stay. In the place of one that it has not
 * taken yet, which it never answers. */
void router_offer(struct snapshot_router *r, struct config *c);

#endif
