// SPDX-License-Identifier: Apache-2.0
#include "lib/l4/gateway.h"
#include "lib/model/remarks.h"

#include <errno.h>

#include "lib/mesh/gateway_sites.h"
#include "lib/mesh/gateways.h"

int entry_write(struct mesh *mesh, const struct service_key *key, const struct service *value,
		const struct service_origin *origin, const struct l4_plan *plan)
{
	bool published = !addr_is_placeholder(&key->addr);
	struct service_entry *entry = published ? table_push(&mesh->t->services)
						: table_push(&mesh->t->unaddressed);
	struct service_origin *from;

	from = published ? table_push(&mesh->t->service_origins)
			 : table_push(&mesh->t->unaddressed_origins);
	if (!entry || !from)
		return -ENOMEM;
	entry->key = *key;
	entry->value = *value;
	*from = *origin;
	from->host = pool_copy(&mesh->t->arena, origin->host, strlen(origin->host));
	return from->host ? plan_origin(plan, from) : -ENOMEM;
}

int external_write(struct mesh *mesh, const struct service_key *key, const struct service *value,
		   const struct service_origin *origin, struct l4_plan *plan,
		   const struct object *service, const struct external *e)
{
	_cleanup_(plan_free) struct l4_plan guarded = { 0 };
	struct service own = *value;
	int r = 0;

	if (e->guarded) {
		r = plan_guarded(mesh, plan, service, addr_family(&e->addr), &guarded,
				 &own.admit_count);
		plan = &guarded;
	}
	if (!r)
		r = plan_write(mesh, plan, &own);
	return r ? r : entry_write(mesh, key, &own, origin, plan);
}

/* Ports of the node that are taken already, its own and NodePorts. */
struct node_ports {
	bool taken[FAMILY_MAX][65536];
};

/* What has been given out at a site: the oldest server keeps what two of them ask for. */
struct given {
	const struct gateway_site *site;
	bool taken[FAMILY_MAX];
	bool http[FAMILY_MAX]; /* weft-proxy has it, for all of HTTP together, */
	bool tls;	       /* or for servers of TLS */
};

bool node_port_is_taken(const struct mesh *mesh, enum family family, unsigned port)
{
	return mesh->node_ports && mesh->node_ports->taken[family][port];
}

struct service_key node_port_key(enum family family, unsigned port)
{
	struct service_key key = { .port = port, .scope = SCOPE_NODE };

	if (family == FAMILY_V4)
		key.addr.b[10] = key.addr.b[11] = 0xff;
	return key;
}

static int write_port(struct mesh *mesh, struct node_ports *ports, enum family family,
		      unsigned port, const struct service *value, const struct object *gw,
		      const struct l4_plan *plan)
{
	struct service_origin origin = { .namespace = gw->meta.namespace,
					 .name = gw->meta.name,
					 .host = "" };
	struct service_key key = node_port_key(family, port);

	if (!port || ports->taken[family][port])
		return 0;
	ports->taken[family][port] = true;
	return entry_write(mesh, &key, value, &origin, plan);
}

/* Pods may call the Gateway by its Service too. Where that has endpoints they are left to answer.
 */
static int write_cluster_ips(struct mesh *mesh, const struct called *to,
			     const struct object *service, const struct service *value,
			     const struct l4_plan *plan)
{
	const struct strs *ips = &service->service.cluster_ips;
	struct mesh_port *sp = gateway_port(mesh, service, to->port, to->family);
	struct service door = *value;
	struct service_origin origin;
	size_t i;
	int r = 0;

	if (!sp || sp->at_gateway[to->family])
		return 0;
	door.flags |= SERVICE_DOOR;
	origin = (struct service_origin){ .namespace = service->meta.namespace,
					  .name = service->meta.name,
					  .host = sp->host->name };
	for (i = 0; i < ips->count && !r; i++) {
		struct service_key key = { .port = to->port, .scope = SCOPE_MESH };

		if (addr_parse(ips->items[i], &key.addr) || addr_family(&key.addr) != to->family)
			continue;
		sp->at_gateway[to->family] = true;
		r = entry_write(mesh, &key, &door, &origin, plan);
	}
	return r;
}

/* To all callers, as at the node's ports. */
static int write_external(struct mesh *mesh, const struct called *to, struct host *h,
			  const struct external *e, const struct service *value,
			  struct l4_plan *plan)
{
	struct service_key key = { .addr = e->addr, .port = to->port, .scope = SCOPE_OUTSIDE };
	const struct object *o = h->service;
	struct service_origin origin = { .namespace = o->meta.namespace,
					 .name = o->meta.name,
					 .host = h->name };
	struct service door = *value;
	int r = external_write(mesh, &key, value, &origin, plan, o, e);

	door.flags |= SERVICE_DOOR;
	key.scope = SCOPE_MESH;
	return r ? r : external_write(mesh, &key, &door, &origin, plan, o, e);
}

static int write_externals(struct mesh *mesh, const struct called *to, const struct object *service,
			   const struct service *value, struct l4_plan *plan)
{
	struct external e;
	char name[HOST_MAX];
	struct host *h;
	size_t next = 0;
	int r = 0;

	if (host_of_service(service->meta.name, service->meta.namespace, name))
		return 0;
	h = mesh_host(mesh, name);
	while (h && !r && external_next(&service->service, &next, &e))
		if (addr_family(&e.addr) == to->family &&
		    external_claim(mesh, h, &e, to->port, true))
			r = write_external(mesh, to, h, &e, value, plan);
	return r;
}

/* A Service's port and all its addresses. */
static int write_way(struct mesh *mesh, struct node_ports *ports, const struct called *to,
		     const struct site_way *way, const struct service *value, struct l4_plan *plan)
{
	struct called at = *to;
	int r;

	at.port = way->port->port;
	r = write_port(mesh, ports, to->family, way->port->node_port, value, to->gateway, plan);
	if (!r)
		r = write_cluster_ips(mesh, &at, way->service, value, plan);
	return r ? r : write_externals(mesh, &at, way->service, value, plan);
}

/* The Service, the Gateway's or another, that has the external address and TCP port. */
static struct host *service_at(struct mesh *mesh, const struct called *to, bool of_gateway,
			       const struct addr *addr, struct external *e)
{
	char name[HOST_MAX];

	for (size_t i = 0; i < mesh->services.count; i++) {
		const struct object *o = mesh->services.items[i];
		size_t next = 0;

		if (service_stands_for(o, &to->gateway->gateway) != of_gateway ||
		    host_of_service(o->meta.name, o->meta.namespace, name))
			continue;
		while (external_next(&o->service, &next, e)) {
			struct host *h = memcmp(&e->addr, addr, sizeof(*addr)) != 0
						 ? NULL
						 : mesh_host(mesh, name);

			if (h && host_port(h, to->port))
				return h;
		}
	}
	return NULL;
}

/* A pod's own address, or what another Service has, is not for a Gateway to take. */
static bool claim_bound(struct mesh *mesh, const struct called *to, const struct addr *addr)
{
	struct external e;

	return !bytemap_get(&mesh->pods_by_addr, addr->b, sizeof(addr->b)) &&
	       !service_at(mesh, to, false, addr, &e) && external_claim_bound(mesh, addr, to->port);
}

/* The address that a server is bound to: an external one of the Gateway's Service, or one of the
 * node's. Which those are the kernel's side knows: it passes over others (SERVICE_BOUND). */
static int write_bound(struct mesh *mesh, const struct called *to, const struct addr *addr,
		       const struct service *value, struct l4_plan *plan, bool *written)
{
	struct service_origin origin = { .namespace = to->gateway->meta.namespace,
					 .name = to->gateway->meta.name,
					 .host = "" };
	struct service_key key = { .addr = *addr, .port = to->port, .scope = SCOPE_OUTSIDE };
	struct service own = *value, door;
	struct external e;
	struct host *h = service_at(mesh, to, true, addr, &e);
	int r;

	*written = h ? external_claim(mesh, h, &e, to->port, true) : claim_bound(mesh, to, addr);
	if (!*written || h)
		return *written ? write_external(mesh, to, h, &e, value, plan) : 0;
	own.flags |= SERVICE_BOUND;
	r = entry_write(mesh, &key, &own, &origin, plan);
	door = own;
	door.flags |= SERVICE_DOOR;
	key.scope = SCOPE_MESH;
	return r ? r : entry_write(mesh, &key, &door, &origin, plan);
}

/* The name of the service that a site's port is, whose id it has. */
static const char *site_name(struct mesh *mesh, const struct gateway_site *site)
{
	const struct object *first = site->servers[0].gateway;

	return site->group ? pool_printf(&mesh->pool, "gateway:%u %s/%s", site->port,
					 first->meta.namespace, first->meta.name)
			   : pool_printf(&mesh->pool, "gateway:%u", site->port);
}

static int write_server(struct mesh *mesh, struct node_ports *ports, struct given *given,
			const struct site_server *s, const struct called *to, struct l4_plan *plan)
{
	const struct gateway_site *site = given->site;
	const char *name = site_name(mesh, site);
	struct service value = { 0 };
	bool written = true;
	int r;

	value.id = name ? registry_id(mesh->registry, REG_SERVICE, name) : 0;
	if (!value.id)
		return -ENOMEM;
	r = plan_write(mesh, plan, &value);
	if (!r && site->at_node)
		r = write_port(mesh, ports, to->family, to->port, &value, to->gateway, plan);
	if (!r && site->bound)
		r = write_bound(mesh, to, &site->bind, &value, plan, &written);
	for (const struct site_way *way = site->ways; way && !r; way = way->next)
		r = write_way(mesh, ports, to, way, &value, plan);
	s->fate->served |= written;
	s->fate->displaced |= !written;
	given->taken[to->family] = true;
	given->http[to->family] &= written;
	return r;
}

static int compile_server(struct mesh *mesh, struct node_ports *ports, struct given *given,
			  const struct site_server *s, enum family family)
{
	struct called to = { .gateway = s->gateway,
			     .port = s->server->port,
			     .family = family,
			     .client = s->gateway->meta.namespace };
	_cleanup_(plan_free) struct l4_plan plan = { 0 };
	int r = plan_gateway(mesh, &to, s->server, &plan);

	if (r || !plan.rules.count)
		return r;
	if (given->taken[family]) {
		s->fate->displaced = true;
		return 0;
	}
	return write_server(mesh, ports, given, s, &to, &plan);
}

/* weft-proxy knows the rules. All HTTP servers of a site make one listener, and so do all of TLS.
 */
static int compile_proxied_server(struct mesh *mesh, struct node_ports *ports, struct given *given,
				  const struct site_server *s, enum family family, bool tls)
{
	struct called to = { .gateway = s->gateway, .port = s->server->port, .family = family };
	_cleanup_(plan_free) struct l4_plan plan = { 0 };
	int r;

	if (given->taken[family]) {
		if (given->http[family] && given->tls == tls)
			s->fate->served = true;
		else
			s->fate->displaced = true;
		return 0;
	}
	given->http[family] = true;
	given->tls = tls;
	r = plan_proxy(s->gateway, s->server->pos, &plan);
	return r ? r : write_server(mesh, ports, given, s, &to, &plan);
}

static int compile_one(struct mesh *mesh, struct node_ports *ports, struct given *given,
		       const struct site_server *s, enum family family)
{
	enum server_kind kind = server_kind(s->server);

	if (kind == SERVER_TCP)
		return compile_server(mesh, ports, given, s, family);
	/* What speaks of requests, l4_only leaves out. */
	if (!server_is_proxied(kind) ||
	    (mesh->l4_only && (kind == SERVER_HTTP || kind == SERVER_HTTPS)))
		return 0;
	return compile_proxied_server(mesh, ports, given, s, family, server_has_tls(kind));
}

static int compile_site(struct mesh *mesh, struct node_ports *ports,
			const struct gateway_site *site)
{
	struct given given = { .site = site };
	int r = 0;

	for (size_t i = 0; i < site->count; i++)
		for (enum family family = 0; family < FAMILY_MAX && !r; family++)
			if (!site->bound || addr_family(&site->bind) == family)
				r = compile_one(mesh, ports, &given, &site->servers[i], family);
	return r;
}

/* Which of two Gateways gets a port was decided by age; the other one's rules shall not vanish
 * silently. */
static void warn_taken(struct mesh *mesh, const struct site_server *s, size_t i, struct pos pos)
{
	const struct object *o = s->gateway;
	struct addr addr;

	if (server_bind(s->server, &addr))
		errors_remark(mesh->errors, REMARK_CONFLICTING_GATEWAYS, o, pos,
			      "spec.servers[%zu].bind: %s, port %u, is an older gateway's, a "
			      "pod's or another service's already: this one has no effect",
			      i, s->server->bind, s->server->port);
	else if (s->fate->displaced)
		errors_remark(mesh->errors, REMARK_CONFLICTING_GATEWAYS, o, pos,
			      "spec.servers[%zu].port: an older gateway serves port %u already: "
			      "this one has no effect",
			      i, s->server->port);
	else
		errors_remark(mesh->errors, REMARK_CONFLICTING_GATEWAYS, o, pos,
			      "spec.servers[%zu].port: port %u of the node is a gateway's of "
			      "another selector, and no service leads to this one's: it has no "
			      "effect",
			      i, s->server->port);
}

/* A server that no address leads to, though it has something to say. */
static void check_fate(struct mesh *mesh, const struct site_server *s)
{
	const struct object *o = s->gateway;
	size_t i = (size_t)(s->server - o->gateway.servers.items);
	struct pos pos = s->server->pos.line ? s->server->pos : o->pos;
	struct addr addr;

	if (server_bind(s->server, &addr) && bind_is_loopback(&addr))
		errors_warn(mesh->errors, o->file, pos,
			    "spec.servers[%zu].bind: %s is open to the gateway itself alone: weft "
			    "serves nobody there",
			    i, s->server->bind);
	else if (!s->fate->served && (s->fate->displaced || !s->fate->sited))
		warn_taken(mesh, s, i, pos);
}

int compile_gateways(struct mesh *mesh)
{
	struct node_ports *ports;
	int r;

	mesh->node_ports = NULL;
	mesh->gateway_sites = NULL;
	if (!mesh->gateways.count)
		return 0;
	ports = pool_alloc(&mesh->pool, sizeof(*ports));
	r = ports ? gateway_sites_make(mesh) : -ENOMEM;
	if (r)
		return r;
	mesh->node_ports = ports;
	for (const struct gateway_site *site = mesh->gateway_sites->first; site && !r;
	     site = site->next)
		r = compile_site(mesh, ports, site);
	for (const struct served_port *p = mesh->gateway_sites->ports; p; p = p->next)
		for (size_t i = 0; i < p->count; i++)
			check_fate(mesh, &p->servers[i]);
	return r;
}
