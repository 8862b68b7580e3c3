// SPDX-License-Identifier: Apache-2.0
/*
 * The tls rules of VirtualServices, and the tcp rules beside them: at Gateways whose servers pass
 * TLS through or end it, and in the mesh at the ports where the SNI chooses (mesh/proxied.h).
 */
#include <errno.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/visibility.h"

/* One element of spec.tcp or spec.tls. */
struct l4_place {
	const struct object *o;
	const char *field; /* "tcp", "tls" */
	const struct l4_route *route;
};

static size_t index_of(const struct l4_place *at)
{
	const struct l4_routes *routes = str_eq(at->field, "tls") ? &at->o->vs.tls : &at->o->vs.tcp;

	return (size_t)(at->route - routes->items);
}

/* `m`: NULL: the route has none. */
static struct http_bytes bytes_of(struct http_compiler *c, const struct l4_place *at,
				  const struct l4_match *m, __u32 action)
{
	struct pos whole = at->route->pos.line ? at->route->pos : at->o->pos;
	const char *name;

	if (m)
		name = pool_printf(&c->mesh->pool, "%s[%zu].match[%zu]", at->field, index_of(at),
				   (size_t)(m - at->route->match.items));
	else
		name = pool_printf(&c->mesh->pool, "%s[%zu]", at->field, index_of(at));
	c->mesh->nomem |= !name;
	return (struct http_bytes){ .action = action,
				    .place = http_place(c, at->o, name, at->route->name,
							m && m->pos.line ? m->pos : whole, whole) };
}

/* ---- at gateways ---- */

/* Of the source, and of the address that was called, nothing is asked there, as in Istio. */
static bool holds_at_gateway(const struct object *gw, const struct gw_server *server,
			     const struct object *o, const struct l4_match *m)
{
	return (!m->port || m->port == server->port) &&
	       (!m->gateways.count || gateways_have(&m->gateways, o->meta.namespace, gw));
}

/* The first match of the route that holds at the server. *any: it has none and needs none. */
static const struct l4_match *match_at_gateway(const struct object *gw,
					       const struct gw_server *server,
					       const struct object *o, const struct l4_route *route,
					       bool *any)
{
	*any = !route->match.count;
	for (size_t i = 0; i < route->match.count; i++)
		if (holds_at_gateway(gw, server, o, &route->match.items[i]))
			return &route->match.items[i];
	return NULL;
}

/* The first tcp rule of a VirtualService for the server: with `last` only one without a match,
 * which takes everything; else one of those before it. */
static bool find_tcp(const struct object *gw, const struct gw_server *server,
		     const struct object *o, bool last, struct l4_place *at,
		     const struct l4_match **m)
{
	for (size_t i = 0; i < o->vs.tcp.count; i++) {
		const struct l4_route *route = &o->vs.tcp.items[i];
		bool any;

		*m = match_at_gateway(gw, server, o, route, &any);
		*at = (struct l4_place){ o, "tcp", route };
		if (any)
			return last;
		if (*m && !last)
			return true;
	}
	return false;
}

/* As at a port of plain TCP: by age, those that take everything last. */
static bool find_bound_tcp(struct http_compiler *c, const struct object *gw,
			   const struct gw_server *server, struct l4_place *at,
			   const struct l4_match **m)
{
	for (int last = 0; last < 2; last++)
		for (size_t i = 0; i < c->mesh->virtual_services.count; i++) {
			const struct object *o = c->mesh->virtual_services.items[i];

			if (virtual_service_at(o, gw, server) &&
			    find_tcp(gw, server, o, last, at, m))
				return true;
		}
	return false;
}

int http_tcp_routes(struct http_compiler *c, const struct object *gw,
		    const struct gw_server *server)
{
	struct http_site site = {
		.gateway = gw, .port = server->port, .client = gw->meta.namespace, .tls = true
	};
	struct http_bytes to = { HS_NONE, HS_NONE };
	const struct l4_match *m;
	struct l4_place at;

	if (find_bound_tcp(c, gw, server, &at, &m))
		to = bytes_of(c, &at, m, http_l4_action_row(c, &site, at.o, at.field, at.route));
	return http_tcp_server_add(c, gw, server, to) ? 0 : -ENOMEM;
}

/* The names of a match that the server takes. */
static void add_names(struct http_compiler *c, const struct object *gw,
		      const struct gw_server *server, const struct object *o,
		      const struct l4_match *m, __u32 row)
{
	char name[HOST_MAX];

	for (size_t i = 0; i < m->sni_hosts.count; i++)
		for (size_t k = 0; k < server->hosts.count; k++) {
			const char *sni = m->sni_hosts.items[i];

			if (!server_host_takes(server->hosts.items[k], gw->meta.namespace,
					       o->meta.namespace, sni))
				continue;
			http_hosts_meet(server->hosts.items[k], sni, name);
			http_sni_add(c, server->port, name, row);
		}
}

static int add_tls_route(struct http_compiler *c, const struct object *gw,
			 const struct gw_server *server, const struct l4_place *at)
{
	struct http_site site = {
		.gateway = gw, .port = server->port, .client = gw->meta.namespace, .tls = true
	};
	__u32 action = HS_NONE, row;

	for (size_t i = 0; i < at->route->match.count; i++) {
		const struct l4_match *m = &at->route->match.items[i];

		if (!holds_at_gateway(gw, server, at->o, m))
			continue;
		if (action == HS_NONE)
			action = http_l4_action_row(c, &site, at->o, at->field, at->route);
		row = http_passthrough_add(c, gw, server, bytes_of(c, at, m, action));
		if (!row)
			return -ENOMEM;
		add_names(c, gw, server, at->o, m, row);
	}
	return 0;
}

/* What no rule has of the server's hosts leads nowhere, rather than to a less specific server,
 * which would end TLS by a certificate that is not meant for it. */
static int add_rest(struct http_compiler *c, const struct object *gw,
		    const struct gw_server *server)
{
	__u32 row = http_passthrough_add(c, gw, server, (struct http_bytes){ HS_NONE, HS_NONE });

	for (size_t i = 0; row && i < server->hosts.count; i++)
		http_sni_add(c, server->port, server->hosts.items[i], row);
	return row ? 0 : -ENOMEM;
}

int http_tls_routes(struct http_compiler *c, const struct object *gw,
		    const struct gw_server *server)
{
	int r = 0;

	for (size_t i = 0; i < c->mesh->virtual_services.count; i++) {
		const struct object *o = c->mesh->virtual_services.items[i];

		if (!o->vs.tls.count || !virtual_service_at(o, gw, server))
			continue;
		for (size_t k = 0; k < o->vs.tls.count && !r; k++)
			r = add_tls_route(c, gw, server,
					  &(struct l4_place){ o, "tls", &o->vs.tls.items[k] });
	}
	return r ? r : add_rest(c, gw, server);
}

/* ---- in the mesh ---- */

/* A service's port at an address, as the clients of a namespace see it. */
struct called {
	struct mesh_port *sp;
	const struct addr *addr;
	const char *client; /* NULL: any other */
	bool by_address;    /* some match asks for the address */
	struct http_snis *out;
};

static bool subnets_hold(const struct l4_match *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->destination_subnets.count; i++)
		if (cidr_holds(&m->destination_subnets.items[i], addr))
			return true;
	return !m->destination_subnets.count;
}

/* Naming gateways says that the source is not a workload of the mesh: nothing is asked of it. */
static bool asks_source(const struct l4_match *m)
{
	return !m->gateways.count && (m->source_labels.count || m->source_namespace);
}

/* Whether a match of spec.tcp (`tls`: of spec.tls) may hold for the clients. */
static bool may_hold(struct called *to, const struct l4_match *m, bool tls)
{
	to->by_address |= m->destination_subnets.count;
	if (tls ? !tls_match_is_at(m, to->sp) : m->port && m->port != to->sp->port->port)
		return false;
	if (m->gateways.count && !gateways_have_mesh(&m->gateways))
		return false;
	if (to->client && asks_source(m) && m->source_namespace &&
	    !str_eq(m->source_namespace, to->client))
		return false;
	return subnets_hold(m, to->addr);
}

/* What is asked of the client: a row, or HS_NONE. `m` may be NULL. */
static __u32 source_row(struct http_compiler *c, const struct called *to, const struct l4_match *m)
{
	const struct http_site mesh = { 0 };
	struct http_match match = { .source_namespace = to->client };

	if (m && asks_source(m)) {
		match.source_labels = m->source_labels;
		if (!to->client)
			match.source_namespace = m->source_namespace;
	}
	if (!match.source_namespace && !match.source_labels.count)
		return HS_NONE;
	return http_match_row(c, &mesh, &match);
}

static int push_name(struct http_compiler *c, struct called *to, const char *name, __u32 server,
		     __u32 match)
{
	struct http_sni *slot = server ? table_push(&to->out->list) : NULL;
	char lower[HOST_MAX];

	http_hosts_meet("*", name, lower);
	if (!slot)
		return -ENOMEM;
	*slot = (struct http_sni){ .name = pool_copy(&c->mesh->pool, lower, strlen(lower)),
				   .server = server - 1,
				   .match = match };
	return slot->name ? 0 : -ENOMEM;
}

static int push_match(struct http_compiler *c, struct called *to, const struct l4_place *at,
		      const struct l4_match *m, __u32 action)
{
	__u32 server = http_passthrough_add(c, NULL, NULL, bytes_of(c, at, m, action));
	__u32 match = source_row(c, to, m);
	int r = 0;

	if (!str_eq(at->field, "tls"))
		return push_name(c, to, "*", server, match);
	for (size_t i = 0; i < m->sni_hosts.count && !r; i++)
		r = push_name(c, to, m->sni_hosts.items[i], server, match);
	return r;
}

static int push_route(struct http_compiler *c, struct called *to, const struct l4_place *at)
{
	const struct http_site site = { .port = to->sp->port->port, .client = to->client };
	size_t n = at->route->match.count;
	__u32 action = HS_NONE;
	int r = 0;

	for (size_t i = 0; i < (n ? n : 1) && !r; i++) {
		const struct l4_match *m = n ? &at->route->match.items[i] : NULL;

		if (m && !may_hold(to, m, str_eq(at->field, "tls")))
			continue;
		if (action == HS_NONE)
			action = http_l4_action_row(c, &site, at->o, at->field, at->route);
		r = push_match(c, to, at, m, action);
	}
	return r;
}

static int push_rule(struct http_compiler *c, struct called *to, const struct object *o, bool tls)
{
	const struct l4_routes *routes = tls ? &o->vs.tls : &o->vs.tcp;
	int r = 0;

	for (size_t i = 0; i < routes->count && !r; i++)
		r = push_route(c, to,
			       &(struct l4_place){ o, tls ? "tls" : "tcp", &routes->items[i] });
	return r;
}

/* The VirtualServices for a host that the client sees: those for the most specific host first, then
 * by age. */
struct rules_for {
	struct host_iter hosts;
	const struct hosted *hosted;
	struct visible visible;
	const char *client;
	struct mesh *mesh;
};

static struct rules_for rules_for(struct http_compiler *c, const struct host *h, const char *client)
{
	return (struct rules_for){ .hosts = host_iter(&c->mesh->vs_index, h->name),
				   .client = client,
				   .mesh = c->mesh };
}

static const struct object *next_rule(struct rules_for *it)
{
	size_t i;

	for (;;) {
		while (it->hosted && visible_next(&it->visible, &i))
			if (!hosted_before(&it->hosts, it->hosted, it->hosted->refs.items[i]))
				return it->hosted->refs.items[i];
		it->hosted = host_iter_next(&it->hosts);
		if (!it->hosted)
			return NULL;
		it->visible = hosted_visible(&it->mesh->vs_index, it->hosted, it->client);
	}
}

/* The service itself, as the client sees it, behind all rules. */
static int push_plain(struct http_compiler *c, struct called *to)
{
	const struct http_site site = { .port = to->sp->port->port, .client = to->client };
	struct http_bytes plain = { http_plain_row(c, &site, to->sp), HS_NONE };

	return push_name(c, to, "*", http_passthrough_add(c, NULL, NULL, plain),
			 source_row(c, to, NULL));
}

/* What is no TLS, or has a name that no rule has, the tcp rules are asked for, and the service
 * itself last of all. */
static int push_all(struct http_compiler *c, struct called *to)
{
	int r = 0;

	for (int tls = 1; tls >= 0; tls--) {
		struct rules_for it = rules_for(c, to->sp->host, to->client);
		const struct object *o;

		while (!r && (o = next_rule(&it)))
			r = push_rule(c, to, o, tls);
	}
	return r ? r : push_plain(c, to);
}

static int sight_add_routes(struct http_compiler *c, struct http_sight *s, const char *client,
			    const struct object *o, const struct l4_routes *routes)
{
	int r = 0;

	for (size_t i = 0; i < routes->count; i++)
		for (size_t k = 0; k < routes->items[i].route.count && !r; k++)
			r = http_sight_add_destination(
				c, s, client, o->meta.namespace,
				&routes->items[i].route.items[k].destination);
	return r;
}

static int sight_of(struct http_compiler *c, struct host *h, const char *client,
		    struct http_sight *s)
{
	struct rules_for it = rules_for(c, h, client);
	const struct object *o;
	int r = http_sight_add(s, host_view(c->mesh, h, client));

	while (!r && (o = next_rule(&it))) {
		r = http_sight_add(s, o);
		if (!r)
			r = sight_add_routes(c, s, client, o, &o->vs.tls);
		if (!r)
			r = sight_add_routes(c, s, client, o, &o->vs.tcp);
	}
	return r;
}

/* The rows of the namespaces that see something else come first: what the others see, they do as
 * well. */
static int push_variants(struct http_compiler *c, struct called *to, const struct names *names)
{
	struct http_sight all = { 0 };
	int r = sight_of(c, to->sp->host, NULL, &all);

	for (size_t i = 0; i < names->count && !r; i++) {
		struct http_sight own = { 0 };

		to->client = names->items[i];
		r = sight_of(c, to->sp->host, to->client, &own);
		if (!r && !http_sights_equal(&own, &all))
			r = push_all(c, to);
		free(own.parts.items);
	}
	to->client = NULL;
	free(all.parts.items);
	return r;
}

static int write_names(struct http_compiler *c, struct called *to, struct http_sni_ranges *out)
{
	_cleanup_(names_free) struct names names = { 0 };
	int r = names_add_clients(c->mesh, &names, to->sp->host);

	if (!r)
		r = push_variants(c, to, &names);
	if (!r)
		r = push_all(c, to);
	if (!r)
		http_sni_rows(c, to->out->list.items, to->out->list.count, &out->exact, &out->wild);
	return r;
}

/* Of a wildcard: the rules for hosts that it includes. */
static int push_narrower(struct http_compiler *c, struct called *to)
{
	const char *wide = to->sp->host->name;
	char host[HOST_MAX];
	int r = 0;

	for (size_t i = 0; host_is_wildcard(wide) && i < c->mesh->virtual_services.count; i++) {
		const struct object *o = c->mesh->virtual_services.items[i];
		bool any = false;

		if (!o->vs.tls.count || !gateways_have_mesh(&o->vs.gateways) ||
		    !export_visible(&o->vs.export_to, o->meta.namespace, to->client))
			continue;
		for (size_t k = 0; k < o->vs.hosts.count && !any; k++)
			any = !host_complete(o->vs.hosts.items[k], o->meta.namespace, host) &&
			      !str_eq(host, wide) && host_includes(wide, host);
		if (any && !r)
			r = push_rule(c, to, o, true);
	}
	return r;
}

/* What the client sees of the host: the rules for it, then the host itself. */
static int push_host(struct http_compiler *c, struct called *to)
{
	const struct http_site site = { .port = to->sp->port->port, .client = to->client };
	struct rules_for it = rules_for(c, to->sp->host, to->client);
	struct http_bytes plain = { .place = HS_NONE };
	const struct object *o;
	int r = push_narrower(c, to);

	while (!r && (o = next_rule(&it)))
		r = push_rule(c, to, o, true);
	if (r)
		return r;
	plain.action = http_plain_row(c, &site, to->sp);
	return push_name(c, to, to->sp->host->name, http_passthrough_add(c, NULL, NULL, plain),
			 source_row(c, to, NULL));
}

int http_tls_anywhere(struct http_compiler *c, struct mesh_port *sp, struct http_snis *out)
{
	static const struct addr any;
	_cleanup_(names_free) struct names names = { 0 };
	struct called to = { .sp = sp, .addr = &any, .out = out };
	struct http_sight all = { 0 };
	int r = names_add_clients(c->mesh, &names, sp->host);

	if (!r)
		r = sight_of(c, sp->host, NULL, &all);
	for (size_t i = 0; i < names.count && !r; i++) {
		struct http_sight own = { 0 };

		to.client = names.items[i];
		if (!host_is_seen(sp->host, to.client))
			continue;
		r = sight_of(c, sp->host, to.client, &own);
		if (!r && (!host_is_seen(sp->host, NULL) || !http_sights_equal(&own, &all)))
			r = push_host(c, &to);
		free(own.parts.items);
	}
	free(all.parts.items);
	to.client = NULL;
	return r || !host_is_seen(sp->host, NULL) ? r : push_host(c, &to);
}

static int push_direct(struct http_compiler *c, struct called *to)
{
	const struct http_site site = { .port = to->sp->port->port,
					.client = to->client,
					.direct = true };
	struct http_bytes plain = { http_plain_row(c, &site, to->sp), HS_NONE };

	return push_name(c, to, "*", http_passthrough_add(c, NULL, NULL, plain),
			 source_row(c, to, NULL));
}

int http_tls_direct(struct http_compiler *c, struct mesh_port *sp, struct http_sni_ranges *out)
{
	_cleanup_(names_free) struct names names = { 0 };
	struct http_snis list = { 0 };
	struct called to = { .sp = sp, .out = &list };
	const struct view *all = host_view(c->mesh, sp->host, NULL);
	int r = all ? names_add_clients(c->mesh, &names, sp->host) : -ENOMEM;

	for (size_t i = 0; i < names.count && !r; i++) {
		to.client = names.items[i];
		if (host_view(c->mesh, sp->host, to.client) != all)
			r = push_direct(c, &to);
	}
	to.client = NULL;
	if (!r)
		r = push_direct(c, &to);
	if (!r)
		http_sni_rows(c, list.list.items, list.list.count, &out->exact, &out->wild);
	free(list.list.items);
	return r;
}

int http_tls_routes_at(struct http_compiler *c, struct mesh_port *sp, const struct addr *addr,
		       struct http_sni_ranges *out)
{
	const char *key = pool_copy(&c->mesh->pool, (const char *)&sp, sizeof(sp));
	void **at = key ? bytemap_at(&c->sni_ports, key, sizeof(sp)) : NULL;
	struct http_snis list = { 0 };
	struct called to = { .sp = sp, .addr = addr, .out = &list };
	struct http_sni_ranges *copy;
	int r;

	if (!at)
		return -ENOMEM;
	if (*at) {
		*out = *(struct http_sni_ranges *)*at;
		return 0;
	}
	r = write_names(c, &to, out);
	free(list.list.items);
	if (r || to.by_address)
		return r;
	copy = pool_alloc(&c->mesh->pool, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *out;
	*at = copy;
	return 0;
}
