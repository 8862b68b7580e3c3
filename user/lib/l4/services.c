// SPDX-License-Identifier: Apache-2.0
/*
 * The addresses and ports of Services.
 */
#include <errno.h>
#include <string.h>

#include "lib/l4/gateway.h"
#include "lib/l4/l4.h"
#include "lib/l4/match.h"
#include "lib/l4/services.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/visibility.h"

/* One address and port of a Service while its entries are made. */
struct entry_in_making {
	struct called to;
	struct service_key key;
	struct service value;
	struct service_origin origin;
	const struct names *names;
	const struct external *external; /* NULL: a cluster IP */
};

static int write_entry(struct mesh *mesh, struct entry_in_making *m, struct l4_plan *plan)
{
	int r;

	if (m->external)
		return external_write(mesh, &m->key, &m->value, &m->origin, plan,
				      m->to.host->service, m->external);
	r = plan_write(mesh, plan, &m->value);

	return r ? r : entry_write(mesh, &m->key, &m->value, &m->origin, plan);
}

/* Entries for the clients of those namespaces that get something else than `all`. */
static int write_variants(struct mesh *mesh, struct entry_in_making *m, const struct l4_plan *all,
			  bool *any)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->names->count && !r; i++) {
		_cleanup_(plan_free) struct l4_plan own = { 0 };

		m->to.client = m->names->items[i];
		r = plan_called(mesh, &m->to, &own);
		if (r || plan_equal(&own, all))
			continue;
		*any = true;
		m->key.ns = mesh_namespace(mesh, m->to.client);
		r = m->key.ns ? write_entry(mesh, m, &own) : -ENOMEM;
	}
	m->key.ns = 0;
	m->to.client = NULL;
	return r;
}

/* One entry for all clients: weft-proxy's snapshot tells them apart. */
static int compile_proxied(struct mesh *mesh, struct entry_in_making *m)
{
	_cleanup_(plan_free) struct l4_plan plan = { 0 };
	int r = plan_proxy(m->to.host->service, m->to.sp->port->pos, &plan);

	return r ? r : write_entry(mesh, m, &plan);
}

/* An entry for all clients, and those for some: `m->names`. */
static int compile_port(struct mesh *mesh, struct entry_in_making *m)
{
	_cleanup_(plan_free) struct l4_plan all = { 0 };
	bool variants = false;
	int r;

	r = plan_called(mesh, &m->to, &all);
	if (!r)
		r = write_variants(mesh, m, &all, &variants);
	m->value.flags = variants ? SERVICE_PER_NAMESPACE : 0;
	return r ? r : write_entry(mesh, m, &all);
}

/* 0 when out of memory. */
static __u32 service_id(struct mesh *mesh, const struct host *h, unsigned port)
{
	char name[PORT_NAME_MAX];

	port_name(name, h, port);
	return registry_id(mesh->registry, REG_SERVICE, name);
}

/* What is there to make at an address and port, but for its scope and rules. 0 or -ENOMEM. */
static int begin_entry(struct mesh *mesh, struct mesh_port *sp, const struct addr *addr,
		       enum family family, struct entry_in_making *m)
{
	const struct object *o = sp->host->service;
	unsigned port = sp->port->port;

	*m = (struct entry_in_making){
		.to = { .port = port, .family = family, .host = sp->host, .sp = sp, .addr = addr },
		.key = { .addr = *addr, .port = port },
		.value = { .id = service_id(mesh, sp->host, port) },
		.origin = { .namespace = o->meta.namespace,
			    .name = o->meta.name,
			    .host = sp->host->name },
	};
	if (str_eq(o->service.session_affinity, "ClientIP"))
		m->value.affinity_s = o->service.affinity_s;
	return m->value.id ? 0 : -ENOMEM;
}

int service_write_proxied(struct mesh *mesh, struct mesh_port *sp, const struct service_key *key)
{
	struct entry_in_making m;
	int r = begin_entry(mesh, sp, &key->addr, addr_family(&key->addr), &m);

	m.key = *key;
	return r ? r : compile_proxied(mesh, &m);
}

/* For the pods of the mesh. */
static int compile_called(struct mesh *mesh, struct entry_in_making *m, const struct names *names)
{
	m->key.scope = SCOPE_MESH;
	m->names = names;
	return m->to.sp->proxied && !host_exports(m->to.host) ? compile_proxied(mesh, m)
							      : compile_port(mesh, m);
}

static int compile_address(struct mesh *mesh, struct host *h, const struct addr *addr,
			   enum family family, const struct names *names)
{
	size_t i;
	int r = 0;

	for (i = 0; i < h->port_count && !r; i++) {
		struct entry_in_making m;

		if (h->ports[i].at_gateway[family])
			continue;
		r = begin_entry(mesh, &h->ports[i], addr, family, &m);
		if (!r)
			r = compile_called(mesh, &m, names);
	}
	return r;
}

/* Without an address of its own to tell, the family is that of the endpoints. */
static enum family endpoint_family(struct mesh *mesh, struct host *h)
{
	struct members *v4, *v6;
	size_t i;

	for (i = 0; i < h->port_count; i++) {
		v4 = port_members(mesh, &h->ports[i], FAMILY_V4);
		v6 = port_members(mesh, &h->ports[i], FAMILY_V6);
		if (v4 && !v4->count && v6 && v6->count)
			return FAMILY_V6;
	}
	return FAMILY_V4;
}

/* The cluster would give such a Service an address; until then only explain can be asked about it.
 */
static int compile_unaddressed(struct mesh *mesh, struct host *h, const struct names *names)
{
	struct addr addr = addr_placeholder(++mesh->placeholders);

	h->placeholder = mesh->placeholders;
	return compile_address(mesh, h, &addr, endpoint_family(mesh, h), names);
}

bool service_is_steered(const struct host *h)
{
	return h->name && !str_eq(h->service->service.type, "ExternalName") &&
	       !h->service->service.foreign;
}

static void note_address(struct mesh *mesh, struct host *h, const struct addr *addr)
{
	const char *copy = pool_copy(&mesh->pool, (const char *)addr->b, sizeof(addr->b));
	void **at = copy ? bytemap_at(&mesh->addresses, copy, sizeof(addr->b)) : NULL;

	if (at)
		*at = h;
	else
		mesh->nomem = true;
}

/* An error if the address is another Service's. `index`: among the Service's cluster IPs. */
static void claim_address(struct mesh *mesh, struct host *h, const struct addr *addr, size_t index)
{
	const struct object *o = h->service;
	struct host *other = bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b));
	char text[ADDR_TEXT_MAX], at_text[PLACE_MAX];

	if (other == h)
		return;
	if (other) {
		addr_format(addr, text);
		errors_add(mesh->errors, o->file,
			   o->service.cluster_ips.at ? o->service.cluster_ips.at[index] : o->pos,
			   "spec.clusterIP: conflicting: %s is service %s/%s's (%s)", text,
			   other->service->meta.namespace, other->service->meta.name,
			   place_text(at_text, sizeof(at_text), other->service->file,
				      other->service->pos));
		return;
	}
	note_address(mesh, h, addr);
}

/* A Service that is not steered keeps others from its addresses, where none has them yet. */
static void reserve_address(struct mesh *mesh, struct host *h, const struct addr *addr)
{
	if (!bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b)))
		note_address(mesh, h, addr);
}

static void reserve_addresses(struct mesh *mesh)
{
	struct addr addr;

	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];
		const struct strs *ips = &mesh->services.items[i]->service.left_ips;

		for (size_t k = 0; h->name && k < ips->count; k++)
			if (!addr_parse(ips->items[k], &addr))
				reserve_address(mesh, h, &addr);
	}
}

static void claim_addresses(struct mesh *mesh)
{
	struct addr addr;

	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];
		const struct strs *ips = &mesh->services.items[i]->service.cluster_ips;

		for (size_t k = 0; service_is_steered(h) && k < ips->count; k++)
			if (!addr_parse(ips->items[k], &addr))
				claim_address(mesh, h, &addr, k);
	}
}

/* The Service's own address, here for the first time. */
static bool address_is_new(struct mesh *mesh, const struct host *h, const struct addr *addr,
			   size_t index)
{
	const struct strs *ips = &h->service->service.cluster_ips;
	struct addr earlier;

	for (size_t i = 0; i < index; i++)
		if (!addr_parse(ips->items[i], &earlier) &&
		    !memcmp(&earlier, addr, sizeof(earlier)))
			return false;
	return bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b)) == h;
}

static int compile_addresses(struct mesh *mesh, struct host *h, const struct names *names)
{
	const struct strs *ips = &h->service->service.cluster_ips;
	struct addr addr;
	size_t i;
	int r = 0;

	for (i = 0; i < ips->count && !r; i++)
		if (!addr_parse(ips->items[i], &addr) && address_is_new(mesh, h, &addr, i))
			r = compile_address(mesh, h, &addr, addr_family(&addr), names);
	return ips->count || r ? r : compile_unaddressed(mesh, h, names);
}

/* ---- what REGISTRY_ONLY lets pass ---- */

/* Pods of the mesh may call it: weft has nothing to do with it beyond that. */
static int compile_known(struct mesh *mesh, struct entry_in_making *m)
{
	_cleanup_(plan_free) struct l4_plan plan = { 0 };
	int r = plan_pass(m->to.host->service, m->to.sp->port->pos, "", &plan);

	m->key.scope = SCOPE_MESH;
	return r ? r : write_entry(mesh, m, &plan);
}

/* Where nothing else has that address and port. */
static int compile_known_at(struct mesh *mesh, struct mesh_port *sp, const struct addr *addr,
			    unsigned port)
{
	const struct external_owner owner = external_owner(mesh, addr, port);
	const struct external e = { .addr = *addr };
	struct entry_in_making m;
	int r;

	if (owner.host || owner.door || bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b)) ||
	    !external_claim(mesh, sp->host, &e, port, false))
		return 0;
	r = begin_entry(mesh, sp, addr, addr_family(addr), &m);
	m.key.port = (__u16)port;
	return r ? r : compile_known(mesh, &m);
}

/* Clients of a headless Service call its endpoints. Those that are pods are known as such: the
 * others are, too. */
static int compile_headless(struct mesh *mesh, struct mesh_port *sp)
{
	int r = 0;

	for (enum family family = 0; family < FAMILY_MAX && !r; family++) {
		struct members *list = port_members(mesh, sp, family);

		r = list ? 0 : -ENOMEM;
		for (size_t i = 0; !r && i < list->count; i++) {
			const struct endpoint *e = &list->items[i].endpoint;

			if (!bytemap_get(&mesh->pods_by_addr, e->addr.b, sizeof(e->addr.b)))
				r = compile_known_at(mesh, sp, &e->addr, e->port);
		}
	}
	return r;
}

/* The addresses of a Service that another proxy has. */
static int compile_left(struct mesh *mesh, struct mesh_port *sp)
{
	const struct strs *ips = &sp->host->service->service.left_ips;
	struct entry_in_making m;
	struct addr addr;
	int r = 0;

	for (size_t i = 0; i < ips->count && !r; i++) {
		if (addr_parse(ips->items[i], &addr) ||
		    bytemap_get(&mesh->addresses, addr.b, sizeof(addr.b)) != sp->host)
			continue;
		r = begin_entry(mesh, sp, &addr, addr_family(&addr), &m);
		if (!r)
			r = compile_known(mesh, &m);
	}
	return r;
}

/* What weft does not steer, and the registry knows. */
static int compile_unsteered(struct mesh *mesh, struct host *h)
{
	const struct service_spec *s = &h->service->service;
	int r = 0;

	for (size_t i = 0; i < h->port_count && !r; i++) {
		if (s->foreign)
			r = compile_left(mesh, &h->ports[i]);
		else if (service_is_headless(s))
			r = compile_headless(mesh, &h->ports[i]);
	}
	return r;
}

/* ---- addresses for callers from outside ---- */

/* No rule of the mesh is for them. `m->key` says where. */
static int compile_outside(struct mesh *mesh, struct entry_in_making *m, bool local)
{
	_cleanup_(plan_free) struct l4_plan plan = { 0 };
	struct service before = m->value;
	int r = plan_outside(mesh, &m->to, local, &plan);

	m->value.flags = local ? SERVICE_LOCAL : 0;
	if (!r)
		r = write_entry(mesh, m, &plan);
	m->value = before;
	return r;
}

/* To pods of the mesh the address is one of the Service's: the way back from the load balancer is
 * cut short, to all endpoints, as kube-proxy does it. */
static int compile_external(struct mesh *mesh, struct mesh_port *sp, const struct external *e,
			    const struct names *names)
{
	struct entry_in_making m;
	int r = begin_entry(mesh, sp, &e->addr, addr_family(&e->addr), &m);

	m.external = e;
	m.key.scope = SCOPE_OUTSIDE;
	if (!r)
		r = compile_outside(mesh, &m, sp->host->service->service.external_local);
	/* There internalTrafficPolicy is no promise: kube-proxy calls any endpoint. */
	if (r || (service_is_steered(sp->host) && !sp->host->service->service.internal_local))
		return r ? r : compile_called(mesh, &m, names);
	m.external = NULL;
	return mesh->registry_only ? compile_known(mesh, &m) : 0;
}

static int compile_externals(struct mesh *mesh, struct host *h, const struct names *names)
{
	struct external e;
	size_t next = 0, i;
	int r = 0;

	while (!r && external_next(&h->service->service, &next, &e))
		for (i = 0; i < h->port_count && !r; i++)
			if (external_claim(mesh, h, &e, h->ports[i].port->port, false))
				r = compile_external(mesh, &h->ports[i], &e, names);
	return r;
}

/* At the node's own addresses: also for pods, to which all endpoints are open, as kube-proxy has
 * it. */
static int compile_node_port(struct mesh *mesh, struct mesh_port *sp, enum family family)
{
	unsigned port = sp->port->node_port;
	struct service_key key = node_port_key(family, port);
	struct external any = { .addr = key.addr };
	struct entry_in_making m;
	int r;

	if (!port || node_port_is_taken(mesh, family, port) ||
	    !external_claim(mesh, sp->host, &any, port, false))
		return 0;
	r = begin_entry(mesh, sp, &key.addr, family, &m);
	m.key = key;
	if (!r)
		r = compile_outside(mesh, &m, false);
	if (r || !sp->host->service->service.external_local)
		return r;
	m.key.scope = SCOPE_OUTSIDE;
	return compile_outside(mesh, &m, true);
}

/* Without a cluster IP nothing says which families it has. */
static bool has_family(const struct host *h, enum family family)
{
	const struct strs *ips = &h->service->service.cluster_ips;
	struct addr addr;

	for (size_t i = 0; i < ips->count; i++)
		if (!addr_parse(ips->items[i], &addr) && addr_family(&addr) == family)
			return true;
	return !ips->count;
}

static int compile_node_ports(struct mesh *mesh, struct host *h)
{
	int r = 0;

	for (enum family family = 0; family < FAMILY_MAX; family++)
		for (size_t i = 0; i < h->port_count && has_family(h, family) && !r; i++)
			r = compile_node_port(mesh, &h->ports[i], family);
	return r;
}

/* ---- ServiceEntries ---- */

static int compile_entry_address(struct mesh *mesh, struct host *h, const struct addr *addr,
				 const struct names *names)
{
	const struct external at = { .addr = *addr };
	struct entry_in_making m;
	int r = 0;

	for (size_t i = 0; i < h->port_count && !r; i++) {
		if (!external_claim(mesh, h, &at, h->ports[i].port->port, false))
			continue;
		r = begin_entry(mesh, &h->ports[i], addr, addr_family(addr), &m);
		if (!r)
			r = compile_called(mesh, &m, names);
	}
	return r;
}

/* Where it has no address of its own, l4_anywhere() has its ports; what explain is asked about goes
 * by a made-up one. */
static int compile_entry(struct mesh *mesh, struct host *h)
{
	_cleanup_(names_free) struct names names = { 0 };
	const struct entry_host *e = host_entry(h);
	int r = names_add_clients(mesh, &names, h);

	for (size_t i = 0; i < e->addr_count && !r; i++)
		r = compile_entry_address(mesh, h, &e->addrs[i], &names);
	return e->addr_count || r ? r : compile_unaddressed(mesh, h, &names);
}

static int compile_service(struct mesh *mesh, struct host *h)
{
	_cleanup_(names_free) struct names names = { 0 };
	int r = 0;

	if (!h->name)
		return 0;
	if (host_entry(h))
		return compile_entry(mesh, h);
	if (service_is_steered(h) && (mesh->dr_index.map.count || mesh->vs_index.map.count))
		r = names_add_clients(mesh, &names, h);
	if (!r && service_is_steered(h))
		r = compile_addresses(mesh, h, &names);
	if (!r)
		r = compile_externals(mesh, h, &names);
	return r ? r : compile_node_ports(mesh, h);
}

/* Once it is known what all others have. */
static int compile_registry(struct mesh *mesh)
{
	int r = 0;

	for (size_t i = 0; mesh->registry_only && i < mesh->services.count && !r; i++)
		r = mesh->host_list[i].name ? compile_unsteered(mesh, &mesh->host_list[i]) : 0;
	return r;
}

int l4_compile(struct mesh *mesh)
{
	size_t i;
	int r;

	claim_addresses(mesh);
	reserve_addresses(mesh);
	r = compile_gateways(mesh);
	for (i = 0; i < mesh->services.count && !r; i++)
		r = compile_service(mesh, &mesh->host_list[i]);
	if (!r)
		r = l4_inbound(mesh);
	if (!r)
		r = l4_anywhere(mesh);
	return r ? r : compile_registry(mesh);
}
