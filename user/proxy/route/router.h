/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_H
#define WEFT_PROXY_ROUTE_ROUTER_H
/*
 * The router over a snapshot (http_route.h): one per worker.
 */
#include "proxy/route/route.h"
#include "proxy/route/shared_state.h"

struct config; /* rules_version.h */
struct rules;

/* A router without rules: every request is answered with 503. */
int rules_new(struct state *state, struct rules **out);
void rules_free(struct rules *r); /* accepts NULL */
struct router *rules_router(struct rules *r);
/* From any thread: takes one more reference; the worker goes over to it at its next turn. */
void rules_offer(struct rules *r, struct config *c);
/* How the last offer went: 0, -errno (the old rules stay), or 1 as long as nobody has looked. */
int rules_adopted(const struct rules *r);

#endif
