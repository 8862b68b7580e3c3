/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_INBOUND_H
#define WEFT_PROXY_ROUTE_ROUTER_INBOUND_H
/*
 * Connections that call a pod of this node by its own address: the server's side of mutual TLS
 * within the mesh. A ClientHello that offers a protocol of the mesh has TLS ended for it, with the
 * pod's identity; what else may come is for PeerAuthentications to say. Either way it goes on to
 * exactly the pod and port that were called. Callers of this node are known without TLS: for them
 * nothing of this holds.
 */
#include "lib/route/workload.h"
#include "proxy/route/route.h"
#include "proxy/route/tls_store.h"

enum { ROUTER_INBOUND_PORT = 15006 }; /* of Istio's listener: by it handshakes are counted */

/* Whom a connection has called. */
struct router_inbound {
	const struct hs_workload *workload; /* NULL: no mutual TLS is ended for this connection */
	enum hs_mtls mode;		    /* HS_MTLS_PERMISSIVE or HS_MTLS_STRICT */
	bool requests;			    /* what is inside is read as HTTP */
	bool judged;			    /* the pod has AuthorizationPolicies */
};

/* What becomes of a connection by what it begins with. */
enum router_inbound_way {
	INBOUND_TLS, /* its TLS is to be ended first */
	INBOUND_HTTP,
	INBOUND_TUNNEL,
	INBOUND_REFUSED, /* it is none of mutual TLS, and nothing else may come */
};

/* The plan for a connection that is refused. */
extern const struct plan router_inbound_refused;

struct router_inbound router_inbound_at(const struct http_snapshot *s, const struct route_ask *ask);
enum router_inbound_way router_inbound_way(const struct router_inbound *in,
					   const struct route_hello *hello);
/* The pod's server, and in *tls what it is to its client: as struct router.server(). `in` has a
 * workload. */
int router_inbound_choose(struct tls_store *store, const struct http_snapshot *s,
			  const struct router_inbound *in, struct tls_context **out,
			  struct route_tls *tls);
/* Whether the pod that a connection of mutual TLS has reached is still the one that is called: the
 * address may have become another one's. */
bool router_inbound_holds(const struct http_snapshot *s, const struct route_ask *ask);
/* The caller by its certificate, of a connection of mutual TLS: points into `tls`. */
void router_inbound_caller(const struct route_tls *tls, struct authz_text *ns,
			   struct authz_text *account);

#endif
