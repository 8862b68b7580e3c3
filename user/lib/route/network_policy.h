/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_NETWORK_POLICY_H
#define WEFT_LIB_ROUTE_NETWORK_POLICY_H
/*
 * Whether NetworkPolicies let a request's connection through. Most have none to ask: an endpoint's
 * `ingress` and a client's `egress` are 0 then, and the caller need not ask.
 */
#include <stdbool.h>

#include "lib/route/snapshot.h"

/* What holds for connections to an address, and from one; 0: nothing. */
__u32 http_ingress_at(const struct http_snapshot *s, const struct addr *addr);
__u32 http_egress_at(const struct http_snapshot *s, const struct addr *addr);

/* `ingress` is the endpoint's, `egress` the client's. */
bool http_policies_let(const struct http_snapshot *s, __u32 ingress, __u32 egress,
		       const struct addr *client, const struct addr *endpoint, unsigned port);

#endif
