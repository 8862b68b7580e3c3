/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_VERSION_H
#define WEFT_PROXY_ROUTE_ROUTER_VERSION_H
/*
 * Rules: a snapshot, mapped once for all workers, opened by each of them. A request ends by the
 * rules that it began with, unless it lasts longer than they do: see struct router.settle(). A
 * patch changes a version in place: endpoints, so that another try of a request chooses among those
 * that there are by then; pods; and which rows virtual hosts consist of, while those that requests
 * began with stay where they are.
 */
#include "lib/base/table.h"
#include "lib/route/route.h"
#include "proxy/route/router_endpoints.h"
#include "proxy/route/shared_state.h"

/* The bytes of a snapshot, or of a patch, shared by the workers that use it. */
struct config;

/* Maps the snapshot in the file, which stays the caller's. 0 or -errno. */
int config_map(int fd, struct config **out);
/* A patch (lib/route/patch.h): from a file, likewise; a copy of these bytes. */
int config_read_patch(int fd, struct config **out);
int config_copy_patch(const void *bytes, size_t size, struct config **out);
bool config_is_patch(const struct config *c);
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* accepts NULL */
/* One more worker has switched to it, or not: 0 or -errno. From any thread. */
void config_answer(struct config *c, int r);
/* Waits until so many workers have. 0; the first of their errors; -ETIMEDOUT, which says nothing of
 * those that have not answered. */
int config_wait(struct config *c, unsigned workers, unsigned ms);

/* What a cluster consists of. */
struct router_members {
	const struct hs_endpoint *rows;
	struct endpoint_state **endpoints; /* parallel */
	struct outlier_state **outliers;   /* parallel; NULL without outlier detection */
	uint32_t *peers;    /* parallel; what router_target_peer() has found; 0: nothing yet */
	uint32_t count, v4; /* those of IPv4 come first */
	uint64_t warm_at;   /* ms: when none is warming up any more */
};

/* A client for TLS with endpoints, made of the credentials of that round (tls_store.h). */
struct router_client {
	struct tls_client *client; /* a reference; NULL: there is none */
	uint64_t round;		   /* 0: it has not been asked for */
};

/* A snapshot in use by one worker, with the rows of the state that belong to its tables. */
struct router_version {
	struct config *config;
	struct http_snapshot *snapshot;
	struct shared_state *state;
	struct route_state **routes;	 /* by row of HS_ACTIONS */
	struct cluster_state **clusters; /* by row of HS_CLUSTERS */
	struct router_members *members;	 /* likewise */
	struct router_endpoints endpoints;
	TABLE(struct outlier_state *) outliers; /* held, some more than once */
	struct router_client *clients;		/* by row of HS_CLIENT_TLS; NULL: there is none */
	/* For mutual TLS as a workload of this node, by row of HS_WORKLOADS, and behind them as a
	 * Gateway; NULL: there are no workloads. */
	struct router_client *identities;
	/* Of what goes to the address that was called because no rule knows better. */
	struct http_cluster_stat *passthrough;
	struct http_route_stat *allow_any;
	bool traced;   /* spans are told of some pods */
	unsigned refs; /* requests that began with it, and the router while it is current */
};

/* `last`: those that the worker goes by so far, or NULL. 0 or -errno. */
int router_version_open(struct shared_state *state, struct config *config,
			const struct router_version *last, struct router_version **out);
/* The worker goes by these rules from now on; `last` likewise. */
void router_version_succeed(struct router_version *v, const struct router_version *last);
/* It goes by none any more. */
void router_version_end(const struct router_version *v);
/* Carries a patch out on the rules that the worker goes by. 0, or -errno: nothing has changed. */
int router_version_patch(struct router_version *v, const struct config *patch);
void router_version_unref(struct router_version *v); /* accepts NULL */

static inline const struct router_members *router_members(const struct router_version *v,
							  const struct hs_cluster *c)
{
	return &v->members[c - hs_cluster(v->snapshot, 0)];
}

#endif
