// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <errno.h>

#include "lib/compile/check.h"
#include "lib/l4/gateway.h"
#include "lib/l4/match.h"
#include "lib/mesh/visibility.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/endpoints.h"
#include "lib/l7/l7.h"
#include "lib/route/snapshot.h"

static int names_add_routes(struct world *w, struct names *n, const struct object *o,
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
			h = host_concrete(w, world_host(w, name));
			if (h)
				r = names_add_rules(w, n, h->name, h->service->meta.namespace);
		}
	}
	return r;
}

static int find_names(struct world *w, const struct host *h, struct names *n)
{
	struct host_iter it = host_iter(&w->mesh, h->name);
	const struct hosted *hosted;
	size_t i;
	int r = names_add_rules(w, n, h->name, h->service->meta.namespace);

	while (!r && (hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count && !r; i++) {
			const struct object *o = hosted->refs.items[i];

			r = names_add_exports(n, &o->vs.export_to, o->meta.namespace);
			if (!r)
				r = names_add_routes(w, n, o, &o->vs.tcp);
			if (!r)
				r = names_add_routes(w, n, o, &o->vs.tls);
		}
	}
	return r;
}

/* One address and port of a Service while its entries are made. */
struct mesh_port {
	struct called to;
	struct service_key key;
	struct service value;
	struct service_origin origin;
	const struct names *names;
};

static int write_entry(struct world *w, struct mesh_port *m, struct plan *plan)
{
	int r = plan_write(w, plan, &m->value);

	return r ? r : entry_write(w, &m->key, &m->value, &m->origin, plan);
}

/* Entries for the clients of those namespaces that get something else than `all`. */
static int write_variants(struct world *w, struct mesh_port *m, const struct plan *all, bool *any)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->names->count && !r; i++) {
		_cleanup_(plan_free) struct plan own = { 0 };

		m->to.client = m->names->items[i];
		r = plan_mesh(w, &m->to, &own);
		if (r || plan_equal(&own, all))
			continue;
		*any = true;
		m->key.ns = world_namespace(w, m->to.client);
		r = m->key.ns ? write_entry(w, m, &own) : -ENOMEM;
	}
	m->key.ns = 0;
	m->to.client = NULL;
	return r;
}

/* Whoever calls: weft-proxy's tables tell clients apart. */
static int compile_proxied(struct world *w, struct mesh_port *m)
{
	_cleanup_(plan_free) struct plan plan = { 0 };
	int r = plan_proxy(m->to.host->service, m->to.sp->port->pos, &plan);

	return r ? r : write_entry(w, m, &plan);
}

static int compile_port(struct world *w, struct mesh_port *m)
{
	_cleanup_(plan_free) struct plan all = { 0 };
	bool variants = false;
	int r;

	r = plan_mesh(w, &m->to, &all);
	if (!r)
		r = write_variants(w, m, &all, &variants);
	m->value.flags = variants ? SERVICE_PER_NAMESPACE : 0;
	return r ? r : write_entry(w, m, &all);
}

/* 0 when out of memory. */
static __u32 service_id(struct world *w, const struct object *service, unsigned port)
{
	char name[PORT_NAME_MAX];

	port_name(name, service, port);
	return registry_id(w->registry, REG_SERVICE, name);
}

static int compile_address(struct world *w, struct host *h, const struct addr *addr,
			   enum family family, const struct names *names)
{
	const struct object *o = h->service;
	size_t i;
	int r = 0;

	for (i = 0; i < h->port_count && !r; i++) {
		struct sport *sp = &h->ports[i];
		unsigned port = sp->port->port;
		struct mesh_port m = {
			.to = { .port = port, .family = family, .host = h, .sp = sp, .addr = addr },
			.key = { .addr = *addr, .port = port, .scope = SCOPE_MESH },
			.origin = { .namespace = o->meta.namespace,
				    .name = o->meta.name,
				    .host = h->name },
			.names = names,
		};

		if (sp->at_gateway[family])
			continue;
		m.value.id = service_id(w, o, port);
		if (str_eq(o->service.session_affinity, "ClientIP"))
			m.value.affinity_s = o->service.affinity_s;
		if (!m.value.id)
			return -ENOMEM;
		r = sp->proxied ? compile_proxied(w, &m) : compile_port(w, &m);
	}
	return r;
}

/* Without an address of its own to tell, the family is that of the endpoints. */
static enum family endpoint_family(struct world *w, struct host *h)
{
	struct members *v4, *v6;
	size_t i;

	for (i = 0; i < h->port_count; i++) {
		v4 = sport_members(w, &h->ports[i], FAMILY_V4);
		v6 = sport_members(w, &h->ports[i], FAMILY_V6);
		if (v4 && !v4->count && v6 && v6->count)
			return FAMILY_V6;
	}
	return FAMILY_V4;
}

/* The cluster would give such a Service an address; until then only explain can be asked about it.
 */
static int compile_unaddressed(struct world *w, struct host *h, const struct names *names)
{
	struct addr addr = addr_placeholder(++w->placeholders);

	return compile_address(w, h, &addr, endpoint_family(w, h), names);
}

static int compile_addresses(struct world *w, struct host *h, const struct names *names)
{
	const struct strs *ips = &h->service->service.cluster_ips;
	struct addr addr;
	size_t i;
	int r = 0;

	for (i = 0; i < ips->count && !r; i++)
		if (!addr_parse(ips->items[i], &addr) && check_address(w, h, &addr, i))
			r = compile_address(w, h, &addr, addr_family(&addr), names);
	return ips->count || r ? r : compile_unaddressed(w, h, names);
}

static int compile_service(struct world *w, struct host *h)
{
	_cleanup_(names_free) struct names names = { 0 };
	int r;

	/* Nobody asks weft about either, so explain must not make up an answer. */
	if (!h->name || str_eq(h->service->service.type, "ExternalName") ||
	    h->service->service.internal_local)
		return 0;
	r = w->rules.map.count || w->mesh.map.count ? find_names(w, h, &names) : 0;
	return r ? r : compile_addresses(w, h, &names);
}

static int compile_world(struct world *w)
{
	size_t i;
	int r = check_objects(w);

	if (!w->l4_only) {
		mark_proxied(w);
		check_http2(w);
	}
	if (!r)
		r = world_sources(w);
	if (!r)
		r = compile_gateways(w);
	for (i = 0; i < w->services.count && !r; i++)
		r = compile_service(w, &w->host_list[i]);
	if (!r)
		r = write_selected(w);
	if (!r)
		r = check_tables(w);
	if (!r && w->nomem)
		r = -ENOMEM;
	return r;
}

static bool gateway_speaks_http(const struct object *gw)
{
	bool tls;

	for (size_t i = 0; i < gw->gateway.servers.count; i++)
		if (http_server(&gw->gateway.servers.items[i], &tls))
			return true;
	return false;
}

/* Whether weft-proxy has anything to do, or something about requests is to be checked. */
static bool speaks_of_http(const struct world *w)
{
	size_t i, k;

	for (i = 0; i < w->virtual_services.count; i++)
		if (w->virtual_services.items[i]->vs.http.count)
			return true;
	for (i = 0; i < w->gateways.count; i++)
		if (gateway_speaks_http(w->gateways.items[i]))
			return true;
	for (i = 0; i < w->services.count; i++)
		for (k = 0; k < w->host_list[i].port_count; k++)
			if (w->host_list[i].ports[k].proxied)
				return true;
	return false;
}

int compile_http(struct tables *t, const struct objects *objects, struct registry *registry,
		 struct errors *errors)
{
	int r = http_compile(objects, registry, &t->http_bytes, &t->http_size, errors);

	if (r == -EINVAL) /* told by the errors, as for everything else */
		return 0;
	return r ? r : http_snapshot_open(t->http_bytes, t->http_size, &t->http);
}

static int compile_with(const struct objects *objects, struct registry *registry, bool l4_only,
			struct tables **out, struct errors *errors)
{
	_cleanup_(world_done) struct world w = { .l4_only = l4_only };
	int r;

	r = world_init(&w, objects, registry, errors);
	if (!r)
		r = compile_world(&w);
	if (!r && !l4_only && speaks_of_http(&w))
		r = compile_http(w.t, objects, registry, errors);
	if (r)
		return r;
	if (errors->count - errors->warnings > w.fatal_before)
		return -EINVAL;
	*out = TAKE_PTR(w.t);
	return 0;
}

int compile(const struct objects *objects, struct registry *registry, struct tables **out,
	    struct errors *errors)
{
	return compile_with(objects, registry, false, out, errors);
}

int compile_l4(const struct objects *objects, struct registry *registry, struct tables **out,
	       struct errors *errors)
{
	return compile_with(objects, registry, true, out, errors);
}
