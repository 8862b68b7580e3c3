/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_GATEWAYS_H
#define WEFT_LIB_MESH_GATEWAYS_H
/*
 * Gateways: what their servers carry, which rules are bound to them, and which Services lead there.
 */
#include "lib/mesh/mesh.h"

/* What a Gateway's server carries. */
enum server_kind {
	SERVER_NONE,	    /* nothing that weft carries out */
	SERVER_TCP,	    /* connections, in the kernel */
	SERVER_HTTP,	    /* requests */
	SERVER_HTTPS,	    /* requests, over TLS that ends there */
	SERVER_TLS,	    /* connections over TLS that ends there */
	SERVER_PASSTHROUGH, /* connections of TLS, as they are */
};

enum server_kind server_kind(const struct gw_server *server);
/* Whether clients speak TLS to it: the port is one listener for all such servers. */
bool server_has_tls(enum server_kind kind);
/* Whether weft-proxy has it. */
bool server_is_proxied(enum server_kind kind);
/* The Secret of that name in that namespace, or NULL. */
const struct object *mesh_secret(const struct mesh *mesh, const char *ns, const char *name);
/* The namespace of the Secret that a Gateway's credentialName means: the one that weft is installed
 * in, as Istio's is that of the gateway's workload. Where weft is in none, as it is by files, the
 * Gateway's own, or else istio-system if only that has one of this name. */
const char *gateway_secret_namespace(const struct mesh *mesh, const struct object *gw,
				     const char *name);
/* The name of an HTTPS server's credential (lib/wire/credentials.h), in the mesh's pool; NULL when
 * out of memory. */
const char *gateway_credential(struct mesh *mesh, const struct object *gw,
			       const struct gw_server *server);
/* The Secret of an HTTPS server's clients' CA: that of credentialName with -cacert behind it, or
 * else the same. NULL: there is none of either name. */
const struct object *gateway_ca_secret(const struct mesh *mesh, const char *ns, const char *name);

/* A reference to "mesh" among the object's gateways, or none given. */
bool gateways_have_mesh(const struct strs *gateways);
/* Whether references made in namespace `ns` lead to that Gateway. */
bool gateways_have(const struct strs *refs, const char *ns, const struct object *gw);
/* Bound to the Gateway, visible to it, and one of its hosts is among the server's. */
bool virtual_service_at(const struct object *o, const struct object *gateway,
			const struct gw_server *server);
/* "ns/host", "* /host", "./host" or "host" of a Gateway's server against one host of a
 * VirtualService. */
bool server_host_takes(const char *server_host, const char *gw_ns, const char *vs_ns,
		       const char *host);

/* Whether a Service leads to the Gateway's workloads. */
bool service_stands_for(const struct object *service, const struct gateway *gw);
/* A Service's port at which pods call the Gateway in its place, since it has no endpoints of that
 * family; NULL: they don't. */
struct mesh_port *gateway_port(struct mesh *mesh, const struct object *service, unsigned port,
			       enum family family);

#endif
