// SPDX-License-Identifier: Apache-2.0
/*
 * The addresses and ports of Services.
 */
#include <errno.h>

#include "lib/l4/gateway.h"
#include "lib/l4/l4.h"
#include "lib/l4/match.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/visibility.h"

static int names_add_routes(struct mesh *mesh, struct names *n, const struct object *o,
			    const struct l4_routes *routes)
{
	char name[HOST_MAX];
	size_t i, k;
	int r = 0;

	for (i = 0; i < routes->count; i++) {
		for (k = 0; k < routes->items[i].route.count && !r; k++) {
			const struct destination *d = &routes->items[i].route.items[k].destination;
			struct host *h;

			if (host_complete(d->host, o->meta.namespace, name))
				continue;
			h = host_concrete(mesh, mesh_host(mesh, name));
			if (h)
				r = names_add_rules(mesh, n, h->name, h->service->meta.namespace);
		}
	}
	return r;
}

static int find_names(struct mesh *mesh, const struct host *h, struct names *n)
{
	struct host_iter it = host_iter(&mesh->vs_index, h->name);
	const struct hosted *hosted;
	size_t i;
	int r = names_add_rules(mesh, n, h->name, h->service->meta.namespace);

	while (!r && (hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count && !r; i++) {
			const struct object *o = hosted->refs.items[i];

			r = names_add_exports(n, &o->vs.export_to, o->meta.namespace);
			if (!r)
				r = names_add_routes(mesh, n, o, &o->vs.tcp);
			if (!r)
				r = names_add_routes(mesh, n, o, &o->vs.tls);
		}
	}
	return r;
}

/* One address and port of a Service while its entries are made. */
struct entry_in_making {
	struct called to;
	struct service_key key;
	struct service value;
	struct service_origin origin;
	const struct names *names;
};

static int write_entry(struct mesh *mesh, struct entry_in_making *m, struct l4_plan *plan)
{
	int r = plan_write(mesh, plan, &m->value);

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
		r = plan_mesh(mesh, &m->to, &own);
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

static int compile_port(struct mesh *mesh, struct entry_in_making *m)
{
	_cleanup_(plan_free) struct l4_plan all = { 0 };
	bool variants = false;
	int r;

	r = plan_mesh(mesh, &m->to, &all);
	if (!r)
		r = write_variants(mesh, m, &all, &variants);
	m->value.flags = variants ? SERVICE_PER_NAMESPACE : 0;
	return r ? r : write_entry(mesh, m, &all);
}

/* 0 when out of memory. */
static __u32 service_id(struct mesh *mesh, const struct object *service, unsigned port)
{
	char name[PORT_NAME_MAX];

	port_name(name, service, port);
	return registry_id(mesh->registry, REG_SERVICE, name);
}

static int compile_address(struct mesh *mesh, struct host *h, const struct addr *addr,
			   enum family family, const struct names *names)
{
	const struct object *o = h->service;
	size_t i;
	int r = 0;

	for (i = 0; i < h->port_count && !r; i++) {
		struct mesh_port *sp = &h->ports[i];
		unsigned port = sp->port->port;
		struct entry_in_making m = {
			.to = { .port = port, .family = family, .host = h, .sp = sp, .addr = addr },
			.key = { .addr = *addr, .port = port, .scope = SCOPE_MESH },
			.origin = { .namespace = o->meta.namespace,
				    .name = o->meta.name,
				    .host = h->name },
			.names = names,
		};

		if (sp->at_gateway[family])
			continue;
		m.value.id = service_id(mesh, o, port);
		if (str_eq(o->service.session_affinity, "ClientIP"))
			m.value.affinity_s = o->service.affinity_s;
		if (!m.value.id)
			return -ENOMEM;
		r = sp->proxied ? compile_proxied(mesh, &m) : compile_port(mesh, &m);
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

	return compile_address(mesh, h, &addr, endpoint_family(mesh, h), names);
}

/* False if the address is another Service's (an error) or was given twice. `index`: among the
 * Service's cluster IPs. */
static bool claim_address(struct mesh *mesh, struct host *h, const struct addr *addr, size_t index)
{
	const struct object *o = h->service;
	struct host *other = bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b));
	char text[ADDR_TEXT_MAX], at_text[PLACE_MAX];
	struct addr *copy;
	void **at;

	if (other == h)
		return false;
	if (other) {
		addr_format(addr, text);
		errors_add(mesh->errors, o->file,
			   o->service.cluster_ips.at ? o->service.cluster_ips.at[index] : o->pos,
			   "spec.clusterIP: conflicting: %s is service %s/%s's (%s)", text,
			   other->service->meta.namespace, other->service->meta.name,
			   place_text(at_text, sizeof(at_text), other->service->file,
				      other->service->pos));
		return false;
	}
	copy = pool_alloc(&mesh->pool, sizeof(*copy));
	if (copy)
		*copy = *addr;
	at = copy ? bytemap_at(&mesh->addresses, copy->b, sizeof(copy->b)) : NULL;
	if (!at) {
		mesh->nomem = true;
		return false;
	}
	*at = h;
	return true;
}

static int compile_addresses(struct mesh *mesh, struct host *h, const struct names *names)
{
	const struct strs *ips = &h->service->service.cluster_ips;
	struct addr addr;
	size_t i;
	int r = 0;

	for (i = 0; i < ips->count && !r; i++)
		if (!addr_parse(ips->items[i], &addr) && claim_address(mesh, h, &addr, i))
			r = compile_address(mesh, h, &addr, addr_family(&addr), names);
	return ips->count || r ? r : compile_unaddressed(mesh, h, names);
}

static int compile_service(struct mesh *mesh, struct host *h)
{
	_cleanup_(names_free) struct names names = { 0 };
	int r;

	/* Connections to either are not steered, so explain must not make up an answer. */
	if (!h->name || str_eq(h->service->service.type, "ExternalName") ||
	    h->service->service.internal_local)
		return 0;
	r = mesh->dr_index.map.count || mesh->vs_index.map.count ? find_names(mesh, h, &names) : 0;
	return r ? r : compile_addresses(mesh, h, &names);
}

int l4_compile(struct mesh *mesh)
{
	size_t i;
	int r = compile_gateways(mesh);

	for (i = 0; i < mesh->services.count && !r; i++)
		r = compile_service(mesh, &mesh->host_list[i]);
	return r;
}
