/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_VERSION_H
#define WEFT_PROXY_ROUTE_ROUTER_VERSION_H
/*
 * Snapshots: mapped once for all workers, opened by each of them.
 */
#include "lib/route/route.h"
#include "proxy/route/shared_state.h"

/* The bytes of a snapshot, shared by the workers that use it. */
struct config;

/* Maps the file, which stays the caller's. 0 or -errno. */
int config_map(int fd, struct config **out);
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* accepts NULL */

/* A snapshot in use by one worker, with the rows of the state that belong to its tables. */
struct router_version {
	struct config *config;
	struct http_snapshot *snapshot;
	struct route_state **routes;	   /* by row of HS_ACTIONS */
	struct cluster_state **clusters;   /* by row of HS_CLUSTERS */
	struct endpoint_state **endpoints; /* by row of HS_ENDPOINTS */
	struct outlier_state **outliers;   /* likewise; NULL without outlier detection */
	uint64_t *warm_at; /* ms, by row of HS_CLUSTERS: when no endpoint is warming up any more */
	/* Of what goes to the address that was called because no rule knows better. */
	struct http_cluster_stat *passthrough;
	struct http_route_stat *allow_any;
	unsigned refs; /* requests that began with it, and the router while it is current */
};

/* After `last`, which may be NULL. 0 or -errno. */
int router_version_open(struct shared_state *state, struct config *config,
			const struct router_version *last, struct router_version **out);
void router_version_unref(struct router_version *v);		/* accepts NULL */
uint64_t router_version_number(const struct router_version *v); /* of its snapshot */

#endif
