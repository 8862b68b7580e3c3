// SPDX-License-Identifier: Apache-2.0
#include "lib/l4/gateway.h"
#include "lib/model/remarks.h"

#include <errno.h>

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

/* Ports that are taken already, so that the oldest Gateway keeps a port that two of them ask for.
 */
struct node_ports {
	bool taken[FAMILY_MAX][65536];
	unsigned char http[65536]; /* 1 << family: weft-proxy has it */
	bool tls[65536];	   /* for servers of TLS */
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

/* The node ports and addresses of Services that stand for the Gateway's workloads. */
static int write_service_ports(struct mesh *mesh, struct node_ports *ports, const struct called *to,
			       const struct service *value, struct l4_plan *plan)
{
	const struct gateway *gw = &to->gateway->gateway;
	size_t i, k;
	int r = 0;

	for (i = 0; i < mesh->services.count && !r; i++) {
		const struct service_spec *s = &mesh->services.items[i]->service;

		if (!service_stands_for(mesh->services.items[i], gw))
			continue;
		for (k = 0; k < s->ports.count && !r; k++) {
			const struct service_port *p = &s->ports.items[k];

			if (p->port != to->port || !protocol_is_tcp(p->protocol))
				continue;
			r = write_port(mesh, ports, to->family, p->node_port, value, to->gateway,
				       plan);
			if (!r)
				r = write_cluster_ips(mesh, to, mesh->services.items[i], value,
						      plan);
			if (!r)
				r = write_externals(mesh, to, mesh->services.items[i], value, plan);
		}
	}
	return r;
}

static int write_server(struct mesh *mesh, struct node_ports *ports, const struct called *to,
			struct l4_plan *plan)
{
	struct service value = { 0 };
	char name[32];
	int r;

	snprintf(name, sizeof(name), "gateway:%u", to->port);
	value.id = registry_id(mesh->registry, REG_SERVICE, name);
	if (!value.id)
		return -ENOMEM;
	r = plan_write(mesh, plan, &value);
	if (!r)
		r = write_port(mesh, ports, to->family, to->port, &value, to->gateway, plan);
	return r ? r : write_service_ports(mesh, ports, to, &value, plan);
}

/* Which of two Gateways gets a port was decided by age; the other one's rules shall not vanish
 * silently. */
static void warn_taken(struct mesh *mesh, const struct called *to, const struct gw_server *server)
{
	const struct object *o = to->gateway;

	if (to->family == FAMILY_V4)
		errors_remark(
			mesh->errors, REMARK_CONFLICTING_GATEWAYS, o,
			server->pos.line ? server->pos : o->pos,
			"spec.servers[%zu].port: an older gateway serves port %u already: this "
			"one has no effect",
			(size_t)(server - o->gateway.servers.items), to->port);
}

static int compile_server(struct mesh *mesh, struct node_ports *ports, const struct object *gw,
			  const struct gw_server *server)
{
	enum family family;
	int r = 0;

	for (family = 0; family < FAMILY_MAX && !r; family++) {
		struct called to = { .gateway = gw,
				     .port = server->port,
				     .family = family,
				     .client = gw->meta.namespace };
		_cleanup_(plan_free) struct l4_plan plan = { 0 };

		r = plan_gateway(mesh, &to, server, &plan);
		if (r || !plan.rules.count)
			continue;
		if (ports->taken[family][server->port])
			warn_taken(mesh, &to, server);
		else
			r = write_server(mesh, ports, &to, &plan);
	}
	return r;
}

/* weft-proxy knows the rules. */
static int compile_proxied_server(struct mesh *mesh, struct node_ports *ports,
				  const struct object *gw, const struct gw_server *server, bool tls)
{
	enum family family;
	int r = 0;

	for (family = 0; family < FAMILY_MAX && !r; family++) {
		struct called to = { .gateway = gw, .port = server->port, .family = family };
		_cleanup_(plan_free) struct l4_plan plan = { 0 };

		if (ports->http[server->port] & 1u << family) {
			if (ports->tls[server->port] != tls)
				warn_taken(mesh, &to, server);
			continue;
		}
		if (ports->taken[family][server->port]) {
			warn_taken(mesh, &to, server);
			continue;
		}
		/* All HTTP servers of a port make one listener, and so do all of TLS. */
		ports->http[server->port] |= 1u << family;
		ports->tls[server->port] = tls;
		r = plan_proxy(gw, server->pos, &plan);
		if (!r)
			r = write_server(mesh, ports, &to, &plan);
	}
	return r;
}

static int compile_one(struct mesh *mesh, struct node_ports *ports, const struct object *gw,
		       const struct gw_server *server)
{
	enum server_kind kind = server_kind(server);

	if (kind == SERVER_TCP)
		return compile_server(mesh, ports, gw, server);
	/* What speaks of requests, l4_only leaves out. */
	if (!server_is_proxied(kind) ||
	    (mesh->l4_only && (kind == SERVER_HTTP || kind == SERVER_HTTPS)))
		return 0;
	return compile_proxied_server(mesh, ports, gw, server, server_has_tls(kind));
}

int compile_gateways(struct mesh *mesh)
{
	struct node_ports *ports;
	size_t i, k;
	int r = 0;

	mesh->node_ports = NULL;
	if (!mesh->gateways.count)
		return 0;
	ports = pool_alloc(&mesh->pool, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	mesh->node_ports = ports;
	for (i = 0; i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		for (k = 0; k < gw->gateway.servers.count && !r; k++)
			r = compile_one(mesh, ports, gw, &gw->gateway.servers.items[k]);
	}
	return r;
}
