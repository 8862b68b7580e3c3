/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_TUNNEL_H
#define WEFT_PROXY_ROUTE_ROUTER_TUNNEL_H
/*
 * Connections without requests, by the rules of a snapshot: at a Gateway's port of TLS those whose
 * TLS is passed through, or ended with no HTTP in it; in the mesh those to a service whose port
 * carries TLS, where `tls` routes are for it.
 */
#include "lib/route/route.h"
#include "proxy/route/route.h"

/* Whom a connection has called. */
struct router_called {
	const struct hs_source *source;	    /* the client, if it is a pod */
	const struct hs_listener *listener; /* or NULL */
	const struct hs_address *address;  /* of a service; NULL at a gateway, or if it is none's */
	const struct hs_address *anywhere; /* then: the names of ServiceEntries; NULL: none */
	bool inbound;			   /* a pod of this node, by its own address */
};

/* The plan for a connection that no route is for. */
extern const struct plan router_tunnel_none;

bool router_tunnel_gateway(const struct router_called *c);
/* In the mesh at no address of the snapshot: the kernel has brought the connection because of a
 * ServiceEntry's port, or by rules that are no longer there. TLS goes by the name that it asks for,
 * or on to the address that was called, as what is no request does; all else is HTTP's, unless
 * nothing but TLS is known of the port. */
bool router_tunnel_is_lost(const struct router_called *c);
/* Whether the ClientHello is needed to say what becomes of it. */
bool router_tunnel_peeks(const struct router_called *c);
/* Whether it need not be looked at all the same: it goes as one that asks for no name. */
bool router_tunnel_is_opaque(const struct http_snapshot *s, const struct router_called *c);
/* Whether TLS, if it is spoken, is not for us to end. */
bool router_tunnel_passes(const struct http_snapshot *s, const struct router_called *c,
			  const struct route_hello *hello);
/* The route of one whose TLS is passed through, or has been ended (`tls`: then `hello` does not
 * count); NULL: there is none. */
const struct hs_action *router_tunnel_route(const struct http_snapshot *s,
					    const struct router_called *c,
					    const struct route_tls *tls,
					    const struct route_hello *hello);

#endif
