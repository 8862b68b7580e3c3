// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/mesh.h"
#include "lib/model/remarks.h"

#include <errno.h>
#include <stdarg.h>

#include "lib/base/text.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/mutual.h"

int refs_add(struct pool **pool, struct refs *refs, const struct object *o)
{
	if (refs->count == refs->room) {
		size_t room = refs->room ? refs->room * 2 : 2;
		const struct object **items = pool_alloc(pool, room * sizeof(struct object *));

		if (!items)
			return -ENOMEM;
		if (refs->count)
			memcpy(items, refs->items, refs->count * sizeof(struct object *));
		refs->items = items;
		refs->room = room;
	}
	refs->items[refs->count++] = o;
	return 0;
}

int refs_add_at(struct pool **pool, struct bytemap *map, const char *key, size_t len,
		const struct object *o)
{
	struct refs *refs = bytemap_get(map, key, len);

	if (!refs) {
		const char *copy = pool_copy(pool, key, len);
		void **at = copy ? bytemap_at(map, copy, len) : NULL;

		if (!at)
			return -ENOMEM;
		refs = pool_alloc(pool, sizeof(*refs));
		if (!refs)
			return -ENOMEM;
		*at = refs;
	}
	return refs_add(pool, refs, o);
}

struct aged {
	const struct object *o;
	size_t order;
};

/* Older first: by creationTimestamp where there is one (equal ones by name, as Istio does), else by
 * order of apply. */
static int compare_age(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;
	int64_t tx = x->o->meta.created ? x->o->meta.created : INT64_MAX;
	int64_t ty = y->o->meta.created ? y->o->meta.created : INT64_MAX;
	int r;

	if (tx != ty)
		return tx < ty ? -1 : 1;
	if (tx != INT64_MAX) {
		r = strcmp(x->o->meta.name, y->o->meta.name);
		if (!r)
			r = strcmp(x->o->meta.namespace, y->o->meta.namespace);
		if (r)
			return r;
	}
	return x->order < y->order ? -1 : x->order > y->order;
}

int sort_by_age(struct refs *refs)
{
	_cleanup_free_ struct aged *aged = calloc(refs->count + 1, sizeof(*aged));
	size_t i;

	if (!aged)
		return -ENOMEM;
	for (i = 0; i < refs->count; i++)
		aged[i] = (struct aged){ refs->items[i], i };
	qsort(aged, refs->count, sizeof(*aged), compare_age);
	for (i = 0; i < refs->count; i++)
		refs->items[i] = aged[i].o;
	return 0;
}

size_t full_name(char out[HOST_MAX], const char *ns, const char *name)
{
	size_t n = strlen(ns), m = strlen(name);

	if (n + m + 2 > HOST_MAX)
		return 0;
	memcpy(out, ns, n + 1);
	out[n] = '/';
	memcpy(out + n + 1, name, m + 1);
	return n + m + 1;
}

size_t port_name(char out[PORT_NAME_MAX], const struct host *h, unsigned port)
{
	const struct object *o = h->service;
	size_t n = full_name(out, o->meta.namespace, host_entry(h) ? h->name : o->meta.name);

	out[n++] = ':';
	n = text_put_number(out + n, port) - out;
	out[n] = '\0';
	return n;
}

const char *route_name_fit(struct mesh *mesh, const char *name)
{
	enum { CUT = ROUTE_NAME_MAX - sizeof("~01234567") };

	if (!name || strlen(name) < ROUTE_NAME_MAX)
		return name;
	return pool_printf(&mesh->pool, "%.*s~%08x", CUT, name, bytes_hash(name, strlen(name)));
}

int mesh_add_endpoints(struct mesh *mesh, const struct object *o)
{
	struct bytemap *map = o->kind == KIND_ENDPOINT_SLICE ? &mesh->slices : &mesh->endpoints;
	char key[HOST_MAX];

	if (!o->endpoints.service)
		return 0;
	return refs_add_at(&mesh->lasting, map, key,
			   full_name(key, o->meta.namespace, o->endpoints.service), o);
}

bool mesh_has_rules_of(enum kind kind)
{
	return kind == KIND_VIRTUAL_SERVICE || kind == KIND_DESTINATION_RULE ||
	       kind == KIND_GATEWAY || kind == KIND_CONNECTION_POLICY ||
	       kind == KIND_AUTHORIZATION_POLICY || kind == KIND_PEER_AUTHENTICATION ||
	       kind == KIND_TELEMETRY;
}

/* They are most of all objects; some more will come. */
static int reserve_pods(struct mesh *mesh)
{
	struct refs *pods = &mesh->pods;
	size_t n = 0;

	for (size_t i = 0; i < mesh->objects->count; i++)
		n += mesh->objects->items[i]->kind == KIND_POD;
	if (!n)
		return 0;
	n += n / 16;
	pods->items = pool_alloc(&mesh->lasting, n * sizeof(struct object *));
	pods->room = pods->items ? n : 0;
	return pods->items ? 0 : -ENOMEM;
}

static int sort_in(struct mesh *mesh, const struct object *o)
{
	switch (o->kind) {
	case KIND_SERVICE:
		return refs_add(&mesh->lasting, &mesh->services, o);
	case KIND_POD:
		return refs_add(&mesh->lasting, &mesh->pods, o);
	case KIND_SECRET:
		return refs_add(&mesh->lasting, &mesh->secrets, o);
	case KIND_SERVICE_ENTRY:
		return refs_add(&mesh->lasting, &mesh->entries, o);
	case KIND_WORKLOAD_ENTRY:
		return refs_add(&mesh->lasting, &mesh->workloads, o);
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
		return mesh_add_endpoints(mesh, o);
	default:
		return mesh_has_rules_of(o->kind) ? refs_add(&mesh->lasting, &mesh->rules, o) : 0;
	}
}

static int add_ports(struct mesh *mesh, struct host *h)
{
	const struct service_spec *s = &h->service->service;
	size_t i;

	h->ports = pool_alloc(&mesh->lasting, (s->ports.count + 1) * sizeof(*h->ports));
	if (!h->ports)
		return -ENOMEM;
	for (i = 0; i < s->ports.count; i++) {
		const struct service_port *p = &s->ports.items[i];

		if (!protocol_is_tcp(p->protocol) || host_port(h, p->port))
			continue;
		h->ports[h->port_count++] =
			(struct mesh_port){ .host = h, .port = p, .protocol = port_protocol(p) };
	}
	return 0;
}

/* Services come first. */
static void told_twice(struct mesh *mesh, const struct host *h)
{
	const struct object *o = h->service;

	if (host_entry(h))
		errors_add(mesh->errors, o->file, o->pos,
			   "spec.hosts: weft does not carry out a host that a Service has, not "
			   "\"%s\"",
			   h->name);
	else
		errors_add(mesh->errors, o->file, o->pos, "service %s/%s: is there twice",
			   o->meta.namespace, o->meta.name);
}

static int add_host(struct mesh *mesh, struct host *h, const struct object *o)
{
	const struct entry_host *entry;
	char name[HOST_MAX];
	void **at;

	h->service = o;
	entry = host_entry(h);
	if (!entry && host_of_service(o->meta.name, o->meta.namespace, name))
		return 0;
	h->name = entry ? entry->name : pool_copy(&mesh->lasting, name, strlen(name));
	at = h->name ? bytemap_at(&mesh->hosts, h->name, strlen(h->name)) : NULL;
	if (!at)
		return -ENOMEM;
	if (*at) {
		told_twice(mesh, h);
		h->name = NULL;
		return 0;
	}
	*at = h;
	return add_ports(mesh, h);
}

/* In the mesh nothing is merged: the younger of two rules for a host has no effect on those that
 * the older has rules for, which deserves a word. */
static void warn_shadowed(struct mesh *mesh, const struct object *o, size_t i, const char *host)
{
	const struct object *old = hosted_older(&mesh->vs_index, host, o);
	struct pos at = o->vs.hosts.at && o->vs.hosts.at[i].line ? o->vs.hosts.at[i] : o->pos;
	char place[PLACE_MAX];

	if (!old)
		return;
	errors_remark(mesh->errors, REMARK_CONFLICTING_HOSTS, o, at,
		      "spec.hosts[%zu]: virtualservice %s/%s (%s) is older and has \"%s\" in "
		      "the mesh: this one counts there only for clients and ports that it has no "
		      "rule for",
		      i, old->meta.namespace, old->meta.name,
		      place_text(place, sizeof(place), old->file, old->pos), host);
}

static int index_virtual_service(struct mesh *mesh, const struct object *o)
{
	char host[HOST_MAX];
	size_t i;
	int r;

	if (!gateways_have_mesh(&o->vs.gateways))
		return 0;
	for (i = 0; i < o->vs.hosts.count; i++) {
		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, host))
			continue;
		warn_shadowed(mesh, o, i, host);
		r = host_index_add(mesh, &mesh->vs_index, host, o);
		if (!r)
			r = host_index_show(mesh, &mesh->vs_index, host);
		if (r)
			return r;
	}
	return 0;
}

static int sort_rules(struct mesh *mesh)
{
	int r = 0;

	for (size_t i = 0; i < mesh->rules.count && !r; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind == KIND_VIRTUAL_SERVICE)
			r = refs_add(&mesh->pool, &mesh->virtual_services, o);
		else if (o->kind == KIND_DESTINATION_RULE)
			r = refs_add(&mesh->pool, &mesh->destination_rules, o);
		else if (o->kind == KIND_GATEWAY)
			r = refs_add(&mesh->pool, &mesh->gateways, o);
	}
	if (!r)
		r = sort_by_age(&mesh->virtual_services);
	if (!r)
		r = sort_by_age(&mesh->destination_rules);
	return r ? r : sort_by_age(&mesh->gateways);
}

static int index_hosts(struct mesh *mesh)
{
	char host[HOST_MAX];
	size_t i;
	int r;

	for (i = 0; i < mesh->virtual_services.count; i++) {
		r = index_virtual_service(mesh, mesh->virtual_services.items[i]);
		if (r)
			return r;
	}
	for (i = 0; i < mesh->destination_rules.count; i++) {
		const struct object *o = mesh->destination_rules.items[i];

		if (!o->dr.host || host_complete(o->dr.host, o->meta.namespace, host))
			continue;
		r = host_index_add(mesh, &mesh->dr_index, host, o);
		if (r)
			return r;
	}
	return 0;
}

static void mark_services(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->services.count && mesh->vs_index.map.count; i++)
		if (mesh->host_list[i].name)
			host_index_mark(&mesh->vs_index, mesh->host_list[i].name);
}

int mesh_index_rules(struct mesh *mesh)
{
	int r = sort_rules(mesh);

	if (!r)
		r = index_hosts(mesh);
	if (!r)
		mark_services(mesh);
	if (!r && !mesh->telemetries.kept)
		r = telemetries_index(mesh);
	return r ? r : mutual_index(mesh);
}

static int add_hosts(struct mesh *mesh)
{
	size_t i;
	int r = bytemap_reserve(&mesh->hosts, mesh->services.count);

	mesh->host_list =
		pool_alloc(&mesh->lasting, (mesh->services.count + 1) * sizeof(*mesh->host_list));
	if (!mesh->host_list)
		return -ENOMEM;
	for (i = 0; i < mesh->services.count && !r; i++)
		r = add_host(mesh, &mesh->host_list[i], mesh->services.items[i]);
	return r;
}

/* The caller's may be others when the mesh is asked again (change.h). */
static int copy_resolved(struct mesh *mesh, const struct resolved *from)
{
	size_t count = from ? from->count : 0;
	struct resolved_name *names = pool_alloc(&mesh->lasting, (count + 1) * sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct resolved_name *name = &from->names[i];
		size_t size = name->count * sizeof(*name->addrs);

		names[i] = (struct resolved_name){
			.name = pool_copy(&mesh->lasting, name->name, strlen(name->name)),
			.addrs = pool_alloc(&mesh->lasting, size + 1),
			.count = name->count,
		};
		if (!names[i].name || !names[i].addrs)
			return -ENOMEM;
		if (size)
			memcpy((void *)names[i].addrs, name->addrs, size);
	}
	mesh->resolved = (struct resolved){ names, count };
	return 0;
}

int mesh_init(struct mesh *mesh, const struct objects *objects, struct registry *registry,
	      struct errors *errors)
{
	size_t i;
	int r = 0;

	mesh->objects = objects;
	mesh->node = objects->node;
	mesh->secrets_in = objects->secrets_in;
	mesh->registry_only = objects->registry_only;
	mesh->labelled_only = objects->labelled_only;
	mesh->tracing = objects->tracing;
	mesh->client_tls_dir = objects->client_tls_dir;
	mesh->registry = registry;
	mesh->errors = errors;
	mesh->fatal_before = errors->count - errors->warnings;
	mesh->t = tables_new();
	if (!mesh->t)
		return -ENOMEM;
	r = reserve_pods(mesh);
	for (i = 0; i < objects->count && !r; i++)
		r = sort_in(mesh, objects->items[i]);
	if (!r)
		r = copy_resolved(mesh, objects->resolved);
	if (!r)
		r = sort_by_age(&mesh->entries);
	if (!r)
		r = entries_add(mesh);
	if (!r)
		r = add_hosts(mesh);
	return r ? r : mesh_index_rules(mesh);
}

void mesh_done(struct mesh *mesh)
{
	struct bytemap *maps[] = { &mesh->hosts,	&mesh->vs_index.map, &mesh->vs_index.lists,
				   &mesh->dr_index.map, &mesh->slices,	     &mesh->endpoints,
				   &mesh->pods_by_name, &mesh->pods_by_addr, &mesh->pods_by_label,
				   &mesh->namespaces,	&mesh->selectors,    &mesh->unknown,
				   &mesh->addresses,	&mesh->texts,	     &mesh->blamed,
				   &mesh->contested,	&mesh->homes,	     &mesh->externals };
	size_t i;

	for (i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		bytemap_free(maps[i]);
	free(mesh->authz_pods.items);
	free(mesh->mutual_inbound.items);
	free(mesh->mutual_direct.items);
	peers_free(&mesh->peers);
	telemetries_free(&mesh->telemetries);
	authz_rows_free(&mesh->authz);
	tables_free(mesh->t);
	pool_free(mesh->pool);
	pool_free(mesh->lasting);
	pool_free(mesh->labels);
}

struct host *mesh_host(struct mesh *mesh, const char *fqdn)
{
	return bytemap_str(&mesh->hosts, fqdn);
}

struct mesh_port *host_port(struct host *h, unsigned port)
{
	size_t i;

	for (i = 0; i < h->port_count; i++)
		if (h->ports[i].port->port == port)
			return &h->ports[i];
	return NULL;
}

const char *mesh_text(struct mesh *mesh, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	const char *known;
	va_list args;
	void **at;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	known = bytemap_get(&mesh->texts, text, n);
	if (known)
		return known;
	known = pool_copy(&mesh->t->arena, text, n);
	at = known ? bytemap_at(&mesh->texts, known, n) : NULL;
	if (!at)
		return NULL;
	*at = (void *)known;
	return known;
}

__u32 mesh_namespace(struct mesh *mesh, const char *name)
{
	__u32 id = (uintptr_t)bytemap_str(&mesh->namespaces, name);
	struct namespace_id *slot;
	void **at;

	if (id)
		return id;
	id = registry_id(mesh->registry, REG_NAMESPACE, name);
	slot = id ? table_push(&mesh->t->namespaces) : NULL;
	if (!slot)
		return 0;
	slot->id = id;
	slot->name = registry_name(mesh->registry, REG_NAMESPACE, id);
	at = bytemap_at(&mesh->namespaces, slot->name, strlen(slot->name));
	if (!at)
		return 0;
	*at = (void *)(uintptr_t)id;
	return id;
}

bool service_is_headless(const struct service_spec *s)
{
	return s->cluster_ips.count && str_eq(s->cluster_ips.items[0], "None");
}
