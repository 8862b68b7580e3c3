/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_PLAN_H
#define WEFT_PROXY_ROUTE_ROUTER_PLAN_H

#include "proxy/route/router_priv.h"

/* What p->decision means for the proxy. 0 or -errno. */
int router_plan_fill(struct router_plan *p, struct buffer_pool *buffers, struct plan *out);
/* Likewise for a connection without requests, none of which is counted. */
void router_plan_fill_tunnel(const struct router_plan *p, struct plan *out);

#endif
