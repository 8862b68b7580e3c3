/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_PEER_H
#define WEFT_LIB_MESH_PEER_H
/*
 * Who a pod is to those that watch: the labels of Istio's standard metrics.
 */
#include "lib/model/model.h"
#include "lib/tables/registry.h"
#include "weft/traffic.h"

/* Each is "unknown" where it isn't known, never NULL. The texts are in `text`. */
struct peer {
	const char *workload, *ns;
	const char *app, *version;			    /* labels of those names */
	const char *canonical_service, *canonical_revision; /* service.istio.io/canonical-*, else
							     * app.kubernetes.io/name and version,
							     * else app and version; the revision
							     * else "latest" */
	const char *principal; /* spiffe://..., where the pod's account is known */
	char text[TRAFFIC_PEER_NAME_MAX];
};

/* The name by which a peer is registered: what struct peer has of the pod, and nothing else of it.
 * What is too long is cut. */
void peer_name(const struct object *pod, char out[TRAFFIC_PEER_NAME_MAX]);
/* The id of that name (REG_PEER), a new one if it has none. 0: out of memory, or out of ids. */
__u32 peer_id(struct registry *r, const struct object *pod);
/* Who calls through a Gateway: Istio has its ingress gateway there. */
__u32 peer_gateway_id(struct registry *r);
/* The name in its parts. NULL, or no such name: all "unknown". */
void peer_parse(const char *name, struct peer *out);

#endif
