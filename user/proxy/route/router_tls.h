/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_ROUTER_TLS_H
#define WEFT_PROXY_ROUTE_ROUTER_TLS_H
/*
 * Servers of TLS of a snapshot. A connection lives longer than a snapshot: its server is looked up
 * again for each request, by the name that its client has asked for. Where that server asks other
 * things of clients by now, the request is misdirected, and the client has to connect again.
 */
#include "lib/route/route.h"
#include "proxy/route/route.h"
#include "proxy/route/tls_store.h"

/* Whether any of its ports carries TLS, or mutual TLS is in use. */
bool router_tls_is_spoken(const struct http_snapshot *s);
/* The server for a ClientHello at the listener, which may be NULL, and in *tls what it is to its
 * client. 0; -ENOENT: there is none that ends TLS; another -errno of tls_store_server(). */
int router_tls_choose(struct tls_store *store, const struct http_snapshot *s,
		      const struct hs_listener *l, struct http_span name, struct tls_context **out,
		      struct route_tls *tls);
/* The server of a connection's request, or of what else is in it; NULL: none may have it. `l` may
 * be NULL. */
const struct hs_server *router_tls_server(const struct http_snapshot *s,
					  const struct hs_listener *l, const struct route_tls *tls);
struct http_decision router_tls_misdirected(const struct hs_listener *l,
					    struct http_span authority);

#endif
