// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/gateway_sites.h"

#include <errno.h>
#include <string.h>

#include "lib/mesh/external.h"
#include "lib/mesh/gateways.h"

enum { PORTS = 65536 };

/* While the sites are made. */
struct making {
	struct mesh *mesh;
	struct gateway_sites *sites;
	struct gateway_site **site_end;
	struct served_port **port_end;
	struct refs services; /* those that stand for any Gateway */
	bool *done;	      /* ports */
};

/* ---- what is asked of one server, Gateway or Service ---- */

bool server_bind(const struct gw_server *server, struct addr *out)
{
	static const struct addr any6;
	struct addr any4;

	addr_parse("0.0.0.0", &any4);
	return server->bind && *server->bind && !addr_parse(server->bind, out) &&
	       memcmp(out, &any6, sizeof(any6)) != 0 && memcmp(out, &any4, sizeof(any4)) != 0;
}

static bool is_bound(const struct site_server *s)
{
	struct addr addr;

	return server_bind(s->server, &addr);
}

bool bind_is_loopback(const struct addr *a)
{
	struct addr one;

	addr_parse("::1", &one);
	return !memcmp(a, &one, sizeof(one)) || (addr_is_v4(a) && a->b[12] == 127);
}

bool gateways_meet(const struct gateway *a, const struct gateway *b)
{
	for (size_t i = 0; i < a->selector.count; i++) {
		const char *other = labels_get(&b->selector, a->selector.items[i].key);

		if (other && !str_eq(other, a->selector.items[i].value))
			return false;
	}
	return true;
}

/* Of a Service that stands for some Gateway: one without a selector is served by all workloads. */
static bool is_behind(const struct object *service, const struct object *gw)
{
	return !gw->gateway.selector.count || service_stands_for(service, &gw->gateway);
}

static bool has_port(const struct object *service, unsigned port)
{
	for (size_t i = 0; i < service->service.ports.count; i++)
		if (service->service.ports.items[i].port == port &&
		    protocol_is_tcp(service->service.ports.items[i].protocol))
			return true;
	return false;
}

/* Callers from outside get in by it. */
static bool is_open(const struct object *service)
{
	struct external e;
	size_t next = 0;

	for (size_t i = 0; i < service->service.ports.count; i++)
		if (service->service.ports.items[i].node_port)
			return true;
	return external_next(&service->service, &next, &e);
}

/* Services lead to the Gateway, but none of them callers from outside. */
static bool is_internal(const struct making *m, const struct object *gw)
{
	bool any = false;

	for (size_t i = 0; i < m->services.count; i++) {
		if (!service_stands_for(m->services.items[i], &gw->gateway))
			continue;
		if (is_open(m->services.items[i]))
			return false;
		any = true;
	}
	return any;
}

/* ---- sites ---- */

static void site_put(struct gateway_site *site, const struct site_server *s)
{
	s->fate->sited = true;
	site->servers[site->count++] = *s;
}

static struct gateway_site *site_new(struct making *m, const struct served_port *p)
{
	struct gateway_site *site = pool_alloc(&m->mesh->pool, sizeof(*site));

	if (!site)
		return NULL;
	site->servers = pool_alloc(&m->mesh->pool, p->count * sizeof(*site->servers));
	site->port = p->port;
	return site->servers ? site : NULL;
}

/* Behind the others of its port. */
static void site_append(struct making *m, struct gateway_site *site)
{
	*m->site_end = site;
	m->site_end = &site->next;
}

/* Whether its selector goes with those of all that are there. */
static bool site_takes(const struct gateway_site *site, const struct object *gw)
{
	for (size_t i = 0; i < site->count; i++)
		if (!gateways_meet(&site->servers[i].gateway->gateway, &gw->gateway))
			return false;
	return true;
}

static bool same_servers(const struct gateway_site *a, const struct gateway_site *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->servers[i].server != b->servers[i].server)
			return false;
	return true;
}

static struct gateway_site *bound_site(struct gateway_site *first, const struct addr *addr)
{
	while (first && memcmp(&first->bind, addr, sizeof(*addr)) != 0)
		first = first->next;
	return first;
}

static int add_bound(struct making *m, const struct served_port *p)
{
	struct gateway_site **first = m->site_end, *site;
	unsigned group = 0;
	struct addr addr;

	for (size_t i = 0; i < p->count; i++) {
		if (!server_bind(p->servers[i].server, &addr) || bind_is_loopback(&addr))
			continue;
		site = bound_site(*first, &addr);
		if (!site) {
			site = site_new(m, p);
			if (!site)
				return -ENOMEM;
			site->bound = true;
			site->bind = addr;
			site->group = ++group;
			site_append(m, site);
		}
		if (site_takes(site, p->servers[i].gateway))
			site_put(site, &p->servers[i]);
	}
	return 0;
}

/* Whose the port of the node is before all others, or NULL. */
static const struct site_server *leader(const struct making *m, const struct served_port *p)
{
	const struct site_server *internal = NULL;

	for (size_t i = 0; i < p->count; i++) {
		const struct site_server *s = &p->servers[i];

		if (is_bound(s))
			continue;
		if (!is_internal(m, s->gateway))
			return s;
		if (!internal)
			internal = s;
	}
	return internal;
}

static int add_node(struct making *m, const struct served_port *p)
{
	const struct site_server *first = leader(m, p);
	struct gateway_site *site = first ? site_new(m, p) : NULL;

	if (!first)
		return 0;
	if (!site)
		return -ENOMEM;
	site->at_node = true;
	for (size_t i = 0; i < p->count; i++) {
		const struct site_server *s = &p->servers[i];

		if (!is_bound(s) && gateways_meet(&first->gateway->gateway, &s->gateway->gateway) &&
		    site_takes(site, s->gateway))
			site_put(site, s);
	}
	site_append(m, site);
	return 0;
}

static void fill_from(struct gateway_site *site, const struct served_port *p,
		      const struct object *service)
{
	for (size_t i = 0; i < p->count; i++)
		if (!is_bound(&p->servers[i]) && is_behind(service, p->servers[i].gateway))
			site_put(site, &p->servers[i]);
}

static int add_way(struct making *m, struct gateway_site *site, const struct object *service,
		   const struct service_port *port)
{
	struct site_way *way = pool_alloc(&m->mesh->pool, sizeof(*way)), **end = &site->ways;

	if (!way)
		return -ENOMEM;
	way->service = service;
	way->port = port;
	while (*end)
		end = &(*end)->next;
	*end = way;
	return 0;
}

/* The site that has the same servers, or the new one itself. */
static struct gateway_site *site_like(struct making *m, struct gateway_site *first,
				      struct gateway_site *fresh)
{
	unsigned group = 0;

	for (; first; first = first->next) {
		if (!first->bound && same_servers(first, fresh))
			return first;
		if (first->group > group)
			group = first->group;
	}
	fresh->group = group + 1;
	site_append(m, fresh);
	return fresh;
}

static bool any_server_at(const struct making *m, const struct object *service, unsigned port)
{
	for (size_t g = 0; g < m->mesh->gateways.count; g++) {
		const struct object *gw = m->mesh->gateways.items[g];
		struct addr addr;

		for (size_t i = 0; i < gw->gateway.servers.count; i++)
			if (gw->gateway.servers.items[i].port == port && is_behind(service, gw) &&
			    !server_bind(&gw->gateway.servers.items[i], &addr))
				return true;
	}
	return false;
}

/*
 * A server's port is the Service's; or, as in Istio, where the Service has none of that number and
 * nothing else is served at its port, the one that it leads to (targetPort).
 */
static bool leads(const struct making *m, const struct object *service,
		  const struct service_port *port, unsigned to)
{
	if (!protocol_is_tcp(port->protocol))
		return false;
	return port->port == to || (port->target_port == to && !has_port(service, to) &&
				    !any_server_at(m, service, port->port));
}

static int add_service(struct making *m, struct gateway_site *first, const struct served_port *p,
		       const struct object *service)
{
	struct gateway_site *site = NULL, *fresh = NULL;
	int r = 0;

	for (size_t i = 0; i < service->service.ports.count && !r; i++) {
		const struct service_port *port = &service->service.ports.items[i];

		if (!leads(m, service, port, p->port))
			continue;
		if (!fresh) {
			fresh = site_new(m, p);
			if (!fresh)
				return -ENOMEM;
			fill_from(fresh, p, service);
			if (!fresh->count)
				return 0;
			site = site_like(m, first, fresh);
		}
		r = add_way(m, site, service, port);
	}
	return r;
}

static int add_services(struct making *m, struct gateway_site **first, const struct served_port *p)
{
	int r = 0;

	for (size_t i = 0; i < m->services.count && !r; i++)
		r = add_service(m, *first, p, m->services.items[i]);
	return r;
}

/* ---- ports ---- */

static size_t count_servers(const struct mesh *mesh, unsigned port)
{
	size_t n = 0;

	for (size_t g = 0; g < mesh->gateways.count; g++) {
		const struct gateway *gw = &mesh->gateways.items[g]->gateway;

		for (size_t i = 0; i < gw->servers.count; i++)
			n += gw->servers.items[i].port == port;
	}
	return n;
}

static int fill_port(struct making *m, struct served_port *p)
{
	size_t count = count_servers(m->mesh, p->port);
	struct server_fate *fates = pool_alloc(&m->mesh->pool, count * sizeof(*fates));

	p->servers = pool_alloc(&m->mesh->pool, count * sizeof(*p->servers));
	if (!fates || !p->servers)
		return -ENOMEM;
	for (size_t g = 0; g < m->mesh->gateways.count; g++) {
		const struct object *gw = m->mesh->gateways.items[g];

		for (size_t i = 0; i < gw->gateway.servers.count; i++) {
			const struct gw_server *s = &gw->gateway.servers.items[i];

			if (s->port != p->port)
				continue;
			p->servers[p->count] = (struct site_server){ gw, s, &fates[p->count] };
			p->count++;
		}
	}
	return 0;
}

static int make_port(struct making *m, unsigned port)
{
	struct served_port *p = pool_alloc(&m->mesh->pool, sizeof(*p));
	struct gateway_site **first = m->site_end;
	int r;

	if (!p)
		return -ENOMEM;
	p->port = port;
	r = fill_port(m, p);
	if (!r)
		r = add_bound(m, p);
	if (!r)
		r = add_node(m, p);
	if (!r)
		r = add_services(m, first, p);
	*m->port_end = p;
	m->port_end = &p->next;
	return r;
}

static int find_services(struct making *m)
{
	const struct mesh *mesh = m->mesh;
	int r = 0;

	for (size_t i = 0; i < mesh->services.count && !r; i++)
		for (size_t g = 0; g < mesh->gateways.count; g++)
			if (service_stands_for(mesh->services.items[i],
					       &mesh->gateways.items[g]->gateway)) {
				r = refs_add(&m->mesh->pool, &m->services, mesh->services.items[i]);
				break;
			}
	return r;
}

int gateway_sites_make(struct mesh *mesh)
{
	struct making m = { .mesh = mesh };
	int r;

	mesh->gateway_sites = NULL;
	m.sites = pool_alloc(&mesh->pool, sizeof(*m.sites));
	m.done = pool_alloc(&mesh->pool, PORTS * sizeof(*m.done));
	if (!m.sites || !m.done)
		return -ENOMEM;
	m.site_end = &m.sites->first;
	m.port_end = &m.sites->ports;
	r = find_services(&m);
	for (size_t g = 0; g < mesh->gateways.count; g++) {
		const struct gateway *gw = &mesh->gateways.items[g]->gateway;

		for (size_t i = 0; i < gw->servers.count && !r; i++) {
			unsigned port = gw->servers.items[i].port;

			if (!m.done[port])
				r = make_port(&m, port);
			m.done[port] = true;
		}
	}
	if (!r)
		mesh->gateway_sites = m.sites;
	return r;
}
