// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_tunnel.h"

#include "proxy/route/router_tls.h"

const struct plan router_tunnel_none = {
	.action = PLAN_ANSWER,
	.answer = { .flags = "NR", .details = "filter_chain_not_found" },
};

bool router_tunnel_gateway(const struct router_called *c)
{
	return c->listener && c->listener->scope == SCOPE_NODE;
}

bool router_tunnel_is_lost(const struct router_called *c)
{
	return !router_tunnel_gateway(c) && !c->address;
}

bool router_tunnel_peeks(const struct router_called *c)
{
	if (router_tunnel_gateway(c))
		return c->listener->tls && c->listener->peek;
	return router_tunnel_is_lost(c) || http_address_has_sni(c->address);
}

bool router_tunnel_is_opaque(const struct http_snapshot *s, const struct router_called *c)
{
	return !router_tunnel_gateway(c) && c->address && http_address_is_opaque(s, c->address);
}

static struct http_span name_of(const struct route_hello *hello)
{
	return hello->tls && hello->name.n ? (struct http_span){ hello->name.p, hello->name.n }
					   : http_span("");
}

/* The server of a Gateway's port that is to have what begins with that ClientHello. */
static const struct hs_server *gateway_server(const struct http_snapshot *s,
					      const struct hs_listener *l,
					      const struct route_hello *hello)
{
	return l->tls ? http_server_for(s, l, NULL, name_of(hello)) : NULL;
}

/* A client whose name no server has is told so by an alert, as where all TLS is ended. */
bool router_tunnel_passes(const struct http_snapshot *s, const struct router_called *c,
			  const struct route_hello *hello)
{
	const struct hs_server *server;

	if (router_tunnel_is_lost(c))
		return hello->tls || hello->other ||
		       (c->anywhere && !(c->listener && c->listener->port));
	if (!router_tunnel_gateway(c) || !hello->tls)
		return true;
	server = gateway_server(s, c->listener, hello);
	return server && server->kind == HS_SERVER_PASSTHROUGH;
}

/* What speaks no TLS is none of a Gateway's clients there. */
static const struct hs_server *server_at_gateway(const struct http_snapshot *s,
						 const struct router_called *c,
						 const struct route_tls *tls,
						 const struct route_hello *hello)
{
	if (tls)
		return router_tls_server(s, c->listener, tls);
	return hello->tls ? gateway_server(s, c->listener, hello) : NULL;
}

static const struct hs_server *server_in_mesh(const struct http_snapshot *s,
					      const struct router_called *c,
					      const struct hs_address *address,
					      const struct route_hello *hello)
{
	struct http_source source;

	if (c->source)
		http_source_known(s, c->source, &source);
	return http_server_at(s, address, c->source ? &source : NULL, name_of(hello));
}

static const struct hs_action *action_of(const struct http_snapshot *s,
					 const struct hs_server *server)
{
	return server->action == HS_NONE ? NULL : hs_action(s, server->action);
}

/* In the mesh what speaks none is a client that asks for no name. */
static const struct hs_action *route_in_mesh(const struct http_snapshot *s,
					     const struct router_called *c,
					     const struct route_hello *hello)
{
	const struct hs_server *server;

	if (c->address) {
		server = server_in_mesh(s, c, c->address, hello);
		return server ? action_of(s, server) : hs_action(s, c->address->action);
	}
	/* What nothing has the name of goes on to where it was sent. */
	server = c->anywhere && hello->tls ? server_in_mesh(s, c, c->anywhere, hello) : NULL;
	return server ? action_of(s, server) : NULL;
}

/* Where a connection has called may have changed since it was asked whether to look at its
 * ClientHello: then nothing may be there any more. */
const struct hs_action *router_tunnel_route(const struct http_snapshot *s,
					    const struct router_called *c,
					    const struct route_tls *tls,
					    const struct route_hello *hello)
{
	const struct hs_server *server;

	if (!router_tunnel_gateway(c))
		return tls ? NULL : route_in_mesh(s, c, hello);
	server = server_at_gateway(s, c, tls, hello);
	return server && server->action != HS_NONE ? hs_action(s, server->action) : NULL;
}
