// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/change.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/mesh/gateway_sites.h"
#include "lib/mesh/pods.h"

void mesh_change_free(struct mesh_change *c)
{
	for (size_t i = 0; i < c->hosts.count; i++)
		c->hosts.items[i]->changes = false;
	free(c->hosts.items);
	*c = (struct mesh_change){ 0 };
}

size_t mesh_change_room(const struct mesh_change *c)
{
	size_t room = 0;

	for (size_t i = 0; c->pods && i < c->count; i++)
		if (c->items[i].new && c->items[i].new->kind == KIND_POD)
			room += c->items[i].new->pod.ips.count;
	return room;
}

/* ---- the services that it is about ---- */

/* What is made of a service beside its members, when it has some or none. */
static bool goes_further(const struct host *h)
{
	const struct service_spec *s = &h->service->service;

	return h->at_gateway || (!s->cluster_ips.count && !s->foreign);
}

static int add_host(struct mesh_change *c, struct host *h)
{
	struct host **slot;

	if (!h || h->changes)
		return 0;
	if (goes_further(h))
		return MESH_ANEW;
	slot = table_push(&c->hosts);
	if (!slot)
		return -ENOMEM;
	*slot = h;
	h->changes = true;
	return 0;
}

static int add_named(struct mesh *mesh, struct mesh_change *c, const struct object *o)
{
	char name[HOST_MAX];

	if (!o || !o->endpoints.service ||
	    host_of_service(o->endpoints.service, o->meta.namespace, name))
		return 0;
	return add_host(c, mesh_host(mesh, name));
}

/* A pod that changes. */
struct changed_pod {
	const struct object *old, *new;
	TABLE(struct addr) addrs; /* of the new one */
};

static int changed_pod_init(struct changed_pod *p, const struct object_change *c)
{
	const struct object *now = c->new;
	struct addr addr;

	p->old = c->old;
	p->new = now;
	for (size_t i = 0; now && i < now->pod.ips.count; i++) {
		struct addr *slot;

		if (addr_parse(now->pod.ips.items[i], &addr))
			continue;
		slot = table_push(&p->addrs);
		if (!slot)
			return -ENOMEM;
		*slot = addr;
	}
	return 0;
}

static void changed_pod_done(struct changed_pod *p)
{
	free(p->addrs.items);
}

/* Whether a member may be another pod's now, or no pod's. What it was is known if it mattered. */
static bool may_be_of(const struct member *m, const struct changed_pod *p)
{
	const struct endpoint_address *a = m->by_name ? NULL : member_address(m);
	const struct object *now = p->new;

	if (m->pod && m->pod == p->old)
		return true;
	for (size_t i = 0; i < p->addrs.count; i++)
		if (!memcmp(&p->addrs.items[i], &m->endpoint.addr, sizeof(struct addr)))
			return true;
	return now && a && a->target_name && str_eq(a->target_name, now->meta.name);
}

static bool has_member(const struct host *h, const struct changed_pod *c)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (enum family family = 0; family < FAMILY_MAX; family++) {
			const struct members *m = h->ports[i].members[family];

			for (size_t k = 0; m && k < m->count; k++)
				if (may_be_of(&m->items[k], c))
					return true;
		}
	return false;
}

static bool selects(const struct host *h, const struct object *pod)
{
	const struct kvs *selector = &h->service->service.selector;

	return pod && selector->count && str_eq(h->service->meta.namespace, pod->meta.namespace) &&
	       labels_hold(&pod->meta.labels, selector);
}

static int add_pod(struct mesh *mesh, struct mesh_change *c, const struct object_change *change)
{
	_cleanup_(changed_pod_done) struct changed_pod pod = { 0 };
	int r = changed_pod_init(&pod, change);

	c->pods = true;
	for (size_t i = 0; i < mesh->services.count && !r; i++) {
		struct host *h = &mesh->host_list[i];

		if ((h->by_pods && (selects(h, pod.old) || selects(h, pod.new))) ||
		    (h->knows_pods && has_member(h, &pod)))
			r = add_host(c, h);
	}
	return r;
}

static bool pod_has(const struct object *pod, const struct addr *addr)
{
	struct addr a;

	for (size_t i = 0; i < pod->pod.ips.count; i++)
		if (!addr_parse(pod->pod.ips.items[i], &a) && !memcmp(&a, addr, sizeof(a)))
			return true;
	return false;
}

/* Whether it has an address that a Gateway's server is bound to, which is not served there while it
 * does. */
static bool displaces_gateway(const struct mesh *mesh, const struct object *pod)
{
	struct addr addr;

	for (size_t i = 0; pod && i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		for (size_t k = 0; k < gw->gateway.servers.count; k++)
			if (server_bind(&gw->gateway.servers.items[k], &addr) &&
			    pod_has(pod, &addr))
				return true;
	}
	return false;
}

/* Whether a ServiceEntry has its endpoints from it: what its hosts are made of is not followed. */
static bool is_of_entry(const struct mesh *mesh, const struct object *pod)
{
	for (size_t i = 0; pod && i < mesh->entries.count; i++) {
		const struct object *o = mesh->entries.items[i];

		if (o->entry.selects && str_eq(o->meta.namespace, pod->meta.namespace) &&
		    labels_hold(&pod->meta.labels, &o->entry.selector))
			return true;
	}
	return false;
}

static int find_one(struct mesh *mesh, struct mesh_change *c, const struct object_change *one)
{
	const struct object *o = one->old ? one->old : one->new;
	int r;

	switch (o->kind) {
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
		r = add_named(mesh, c, one->old);
		return r ? r : add_named(mesh, c, one->new);
	case KIND_POD:
		if (displaces_gateway(mesh, one->old) || displaces_gateway(mesh, one->new) ||
		    is_of_entry(mesh, one->old) || is_of_entry(mesh, one->new))
			return MESH_ANEW;
		return add_pod(mesh, c, one);
	default:
		return MESH_ANEW;
	}
}

int mesh_change_find(struct mesh *mesh, struct mesh_change *c)
{
	int r = 0;

	/* Until then nothing is said of services without endpoints. */
	if (!mesh->pods.count && !mesh->slices.count && !mesh->endpoints.count)
		return MESH_ANEW;
	for (size_t i = 0; i < c->count && !r; i++)
		r = find_one(mesh, c, &c->items[i]);
	return r;
}

/* ---- endpoints ---- */

static size_t refs_find(const struct refs *refs, const struct object *o)
{
	size_t i = 0;

	while (i < refs->count && refs->items[i] != o)
		i++;
	return i;
}

static void refs_take(struct refs *refs, size_t i)
{
	refs->count--;
	memmove(&refs->items[i], &refs->items[i + 1], (refs->count - i) * sizeof(struct object *));
}

static struct refs *set_of(struct mesh *mesh, const struct object *o)
{
	struct bytemap *map = o->kind == KIND_ENDPOINT_SLICE ? &mesh->slices : &mesh->endpoints;
	char key[HOST_MAX];

	return bytemap_get(map, key, full_name(key, o->meta.namespace, o->endpoints.service));
}

/* A service that loses its last slice falls back on others: Endpoints, its selector. */
static int take_endpoints(struct mesh *mesh, const struct object *o)
{
	struct refs *refs = set_of(mesh, o);
	size_t i = refs ? refs_find(refs, o) : 0;

	if (!refs || i == refs->count || refs->count == 1)
		return MESH_ANEW;
	refs_take(refs, i);
	return 0;
}

/* One that moves to another service has its place among the old ones: which, only the order of all
 * objects tells. */
static int change_endpoints(struct mesh *mesh, const struct object_change *c)
{
	const struct object *old = c->old && c->old->endpoints.service ? c->old : NULL;
	const struct object *now = c->new && c->new->endpoints.service ? c->new : NULL;
	struct refs *refs;
	size_t i;

	if (old && now && str_eq(old->endpoints.service, now->endpoints.service)) {
		refs = set_of(mesh, old);
		i = refs ? refs_find(refs, old) : 0;
		if (!refs || i == refs->count)
			return MESH_ANEW;
		refs->items[i] = now;
		return 0;
	}
	if (c->old && c->new)
		return MESH_ANEW;
	return old ? take_endpoints(mesh, old) : now ? mesh_add_endpoints(mesh, now) : 0;
}

/* ---- pods ---- */

static int name_pod(struct mesh *mesh, const struct object_change *c)
{
	const struct object *o = c->old ? c->old : c->new;
	char key[HOST_MAX];
	size_t len = full_name(key, o->meta.namespace, o->meta.name);
	const char *copy;
	void **at;

	if (!mesh->names_of_pods)
		return 0;
	copy = bytemap_get(&mesh->pods_by_name, key, len) ? key
							  : pool_copy(&mesh->lasting, key, len);
	at = copy ? bytemap_at(&mesh->pods_by_name, copy, len) : NULL;
	if (!at)
		return -ENOMEM;
	*at = (void *)c->new;
	return 0;
}

/* The first and the last pod of a namespace make it one that is told apart, or not. */
static int count_pod(struct mesh *mesh, const struct object_change *c)
{
	const struct object *o = c->old ? c->old : c->new;
	struct home *home;

	if (c->old && c->new)
		return 0;
	home = mesh_home(mesh, o->meta.namespace);
	if (!home)
		return -ENOMEM;
	if (c->old)
		home->pods--;
	if (!home->pods)
		return MESH_ANEW;
	if (c->new)
		home->pods++;
	return 0;
}

static int list_pod(struct mesh *mesh, const struct object_change *c, size_t at)
{
	if (!c->old)
		return refs_add(&mesh->lasting, &mesh->pods, c->new);
	if (c->new)
		mesh->pods.items[at] = c->new;
	else
		refs_take(&mesh->pods, at);
	return 0;
}

static int change_pod(struct mesh *mesh, const struct object_change *c)
{
	size_t at = c->old ? refs_find(&mesh->pods, c->old) : mesh->pods.count;
	int r = name_pod(mesh, c);

	if (c->old && at == mesh->pods.count)
		return MESH_ANEW;
	if (!r)
		r = count_pod(mesh, c);
	if (!r)
		r = sources_change(mesh, c, at);
	return r ? r : list_pod(mesh, c, at);
}

int mesh_change_make(struct mesh *mesh, const struct mesh_change *c)
{
	int r = 0;

	for (size_t i = 0; i < c->count && !r; i++)
		if (c->items[i].old && c->items[i].old->kind == KIND_POD)
			r = sources_retire(mesh, c->items[i].old);
	for (size_t i = 0; i < c->count && !r; i++) {
		const struct object_change *one = &c->items[i];
		const struct object *o = one->old ? one->old : one->new;

		r = o->kind == KIND_POD ? change_pod(mesh, one) : change_endpoints(mesh, one);
	}
	/* Made anew of what is there when it is asked for. */
	if (c->pods) {
		bytemap_free(&mesh->pods_by_label);
		pool_free(TAKE_PTR(mesh->labels));
		mesh->labels_of_all = mesh->labels_by_namespace = false;
	}
	return r;
}

/* ---- rules ---- */

bool mesh_change_is_of_rules(const struct object_change *c)
{
	return mesh_has_rules_of((c->old ? c->old : c->new)->kind);
}

static int change_rule(struct mesh *mesh, const struct object_change *c)
{
	size_t at = c->old ? refs_find(&mesh->rules, c->old) : 0;

	if (!c->old)
		return refs_add(&mesh->lasting, &mesh->rules, c->new);
	if (at == mesh->rules.count)
		return MESH_ANEW;
	if (c->new)
		mesh->rules.items[at] = c->new;
	else
		refs_take(&mesh->rules, at);
	return 0;
}

static void exchange(struct refs *refs, const struct object_change *c)
{
	size_t at = refs_find(refs, c->old);

	if (at < refs->count)
		refs->items[at] = c->new;
}

bool mesh_exchange_rule(struct mesh *mesh, const struct object_change *c)
{
	char host[HOST_MAX];

	if (refs_find(&mesh->virtual_services, c->old) == mesh->virtual_services.count)
		return false;
	exchange(&mesh->rules, c);
	exchange(&mesh->virtual_services, c);
	for (size_t i = 0; i < c->old->vs.hosts.count; i++) {
		struct hosted *hosted = NULL;

		if (!host_complete(c->old->vs.hosts.items[i], c->old->meta.namespace, host))
			hosted = (struct hosted *)bytemap_str(&mesh->vs_index.map, host);
		if (hosted)
			exchange(&hosted->refs, c);
	}
	return true;
}

static void forget_maps(struct mesh *mesh)
{
	struct bytemap *maps[] = { &mesh->vs_index.map, &mesh->vs_index.lists,
				   &mesh->dr_index.map, &mesh->dr_index.lists,
				   &mesh->namespaces,	&mesh->selectors,
				   &mesh->addresses,	&mesh->texts,
				   &mesh->blamed,	&mesh->unknown,
				   &mesh->externals };

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		bytemap_free(maps[i]);
}

/* What rules made of a service. */
static void forget_host(struct host *h)
{
	h->views = NULL;
	h->at_gateway = h->mentioned = false;
	h->placeholder = 0;
	for (size_t i = 0; i < h->port_count; i++) {
		struct mesh_port *sp = &h->ports[i];

		for (enum family family = 0; family < FAMILY_MAX; family++)
			sp->at_gateway[family] = false;
		sp->proxied = sp->by_sni = false;
		sp->mutual = PORT_MUTUAL_UNKNOWN;
		sp->clusters = NULL;
		sp->http_rows = NULL;
	}
}

static void forget_rules(struct mesh *mesh)
{
	forget_maps(mesh);
	peers_free(&mesh->peers);
	for (size_t i = 0; i < mesh->services.count; i++)
		forget_host(&mesh->host_list[i]);
	mesh->vs_index = mesh->dr_index = (struct host_index){ 0 };
	mesh->virtual_services = mesh->destination_rules = mesh->gateways = (struct refs){ 0 };
	mesh->placeholders = 0;
	mesh->asks_labels = false;
	pool_free(TAKE_PTR(mesh->pool));
}

/* Such a list is warned of where it is made. */
static bool any_is_full(const struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->services.count; i++)
		for (size_t k = 0; k < mesh->host_list[i].port_count; k++)
			for (enum family family = 0; family < FAMILY_MAX; family++) {
				const struct members *m =
					mesh->host_list[i].ports[k].members[family];

				if (m && m->full)
					return true;
			}
	return false;
}

static int name_homes(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->homes.count; i++) {
		const struct bytemap_entry *e = &mesh->homes.entries[i];
		const struct home *home = e->value;

		if (home->pods && !mesh_namespace(mesh, e->key))
			return -ENOMEM;
	}
	return 0;
}

/* They are kept while none changes, and with them the numbers of rows. */
static void forget_telemetries(struct mesh *mesh, const struct object_change *changes, size_t count)
{
	mesh->telemetries.kept = true;
	for (size_t i = 0; i < count && mesh->telemetries.kept; i++)
		if ((changes[i].old ? changes[i].old : changes[i].new)->kind == KIND_TELEMETRY)
			telemetries_free(&mesh->telemetries);
}

int mesh_change_rules(struct mesh *mesh, const struct object_change *changes, size_t count)
{
	int r = any_is_full(mesh) ? MESH_ANEW : 0;

	for (size_t i = 0; i < count && !r; i++)
		r = change_rule(mesh, &changes[i]);
	if (r)
		return r;
	forget_rules(mesh);
	forget_telemetries(mesh, changes, count);
	mesh->fatal_before = mesh->errors->count - mesh->errors->warnings;
	r = name_homes(mesh);
	return r ? r : mesh_index_rules(mesh);
}
