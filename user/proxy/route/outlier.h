/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_OUTLIER_H
#define WEFT_PROXY_ROUTE_OUTLIER_H
/*
 * Outlier detection as Envoy does it: an endpoint is out at once when a count is reached, and back
 * at the first tick of the interval after its time is over. Times are in ms.
 */
#include "lib/route/snapshot.h"
#include "proxy/route/route.h"
#include "proxy/route/shared_state.h"

/* A cluster's endpoints, of one family; what is known of each belongs to the cluster, too. */
struct outliers {
	const struct hs_outliers *rules;
	struct cluster_state *cluster;
	struct outlier_state **endpoints;
	uint32_t count;
};

/* Whether the endpoint is to be left alone. */
bool outlier_ejected(const struct outliers *o, uint32_t endpoint, uint64_t now);
/* How a try has ended; `status` is that of the response, 0 if there was none. */
void outlier_result(const struct outliers *o, uint32_t endpoint, enum outcome outcome,
		    unsigned status, uint64_t now);

/* Whether nothing is known of it but that it is there. */
bool outlier_is_blank(const struct outlier_state *e);
/* It is no endpoint of the cluster's any more: if it is out, it is back. */
void outlier_forget(struct outlier_state *e);

#endif
