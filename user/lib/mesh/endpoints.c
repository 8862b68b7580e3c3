// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/endpoints.h"
#include "lib/model/remarks.h"

#include <errno.h>

#include "lib/mesh/entries.h"
#include "lib/tables/registry.h"

/* Room for `more` members. 0 or -ENOMEM. */
static int members_reserve(struct mesh *mesh, struct members *list, size_t more)
{
	size_t room = list->room ? list->room * 2 : 4;
	struct member *items;

	if (list->count + more <= list->room)
		return 0;
	if (room < list->count + more)
		room = list->count + more;
	items = pool_alloc(&mesh->lasting, room * sizeof(*items));
	if (!items)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	list->items = items;
	list->room = room;
	return 0;
}

/* Endpoints that terminate but still serve are called where none is ready, as by kube-proxy. */
enum standing { STANDING_OUT, STANDING_READY, STANDING_TERMINATING };

/* What is being gathered: the port's endpoints of one family, first the ready ones. */
struct gathering {
	struct mesh *mesh;
	const struct mesh_port *sp;
	enum family family;
	struct members *list;
	__u64 stamp;
	enum standing want;
	bool terminating; /* some that serve and terminate were seen */
};

static enum standing standing_of(const struct service_spec *s, bool ready, bool serving,
				 bool terminating)
{
	if (s->publish_not_ready || (ready && !terminating))
		return STANDING_READY;
	return serving && terminating ? STANDING_TERMINATING : STANDING_OUT;
}

static bool is_wanted(struct gathering *g, enum standing standing)
{
	g->terminating |= standing == STANDING_TERMINATING;
	return standing == g->want;
}

/* `m`: what is known of it beside. */
static int gather_member(struct gathering *g, const struct addr *addr, __u16 port, struct member m)
{
	struct known_endpoint *e = registry_endpoint(g->mesh->registry, addr, port);

	if (!e || members_reserve(g->mesh, g->list, 1))
		return -ENOMEM;
	if (e->stamp == g->stamp)
		return 0;
	if (g->list->count == CLUSTER_MAX_ENDPOINTS) {
		g->list->full = true;
		return 0;
	}
	e->stamp = g->stamp;
	m.endpoint = e->endpoint;
	m.name = e->name;
	m.host = g->sp->host;
	g->list->items[g->list->count++] = m;
	return 0;
}

static int gather(struct gathering *g, const struct addr *addr, __u16 port,
		  const struct object *pod, const struct endpoint_address *address)
{
	return gather_member(g, addr, port, (struct member){ .pod = pod, .address = address });
}

static bool same_port_name(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* The port of an Endpoints subset or a slice that this service port goes to; 0: none. */
static __u16 set_port(const struct endpoint_set *set, const struct service_port *sp)
{
	size_t i;

	for (i = 0; i < set->ports.count; i++) {
		const struct endpoint_port *p = &set->ports.items[i];

		if (!protocol_is_tcp(p->protocol))
			continue;
		if (!same_port_name(p->name, sp->name))
			continue;
		/* A slice port without a number stands for all ports. */
		return p->port ? p->port : sp->target_port ? sp->target_port : sp->port;
	}
	return 0;
}

static int gather_address(struct gathering *g, const struct endpoint_address *a, __u16 port)
{
	const struct service_spec *s = &g->sp->host->service->service;

	if (!a->given[g->family] ||
	    !is_wanted(g, standing_of(s, a->ready, a->serving, a->terminating)))
		return 0;
	return gather(g, &a->first[g->family], port, NULL, a);
}

static size_t count_given(const struct endpoint_set *set, enum family family)
{
	size_t n = 0;

	for (size_t i = 0; i < set->addresses.count; i++)
		n += set->addresses.items[i].given[family];
	return n;
}

static int gather_set(struct gathering *g, const struct endpoint_set *set)
{
	__u16 port = set_port(set, g->sp->port);
	size_t i;
	int r = 0;

	if (port && g->want == STANDING_READY) /* the others are few */
		r = members_reserve(g->mesh, g->list, count_given(set, g->family));
	for (i = 0; port && i < set->addresses.count && !r; i++)
		r = gather_address(g, &set->addresses.items[i], port);
	return r;
}

static int gather_refs(struct gathering *g, const struct refs *refs)
{
	size_t i, k;
	int r = 0;

	for (i = 0; i < refs->count; i++)
		for (k = 0; k < refs->items[i]->endpoints.sets.count && !r; k++)
			r = gather_set(g, &refs->items[i]->endpoints.sets.items[k]);
	return r;
}

__u16 pod_target(const struct object *pod, const struct service_port *sp)
{
	size_t i;

	if (!sp->target_name)
		return sp->target_port ? sp->target_port : sp->port;
	for (i = 0; i < pod->pod.ports.count; i++) {
		const struct pod_port *p = &pod->pod.ports.items[i];

		if (str_eq(p->name, sp->target_name) && protocol_is_tcp(p->protocol))
			return p->port;
	}
	return 0;
}

/* As the controller of the EndpointSlices has it: a pod that is Ready serves, also while it is
 * being deleted. */
static enum standing pod_standing(const struct object *pod, const struct service_spec *s)
{
	const struct pod_spec *p = &pod->pod;

	if (str_eq(p->phase, "Failed") || str_eq(p->phase, "Succeeded") ||
	    !labels_hold(&pod->meta.labels, &s->selector))
		return STANDING_OUT;
	return standing_of(s, p->ready, p->ready, p->deleting);
}

static int gather_pod(struct gathering *g, const struct object *pod)
{
	__u16 port = pod_target(pod, g->sp->port);
	struct addr addr;
	size_t i;
	int r = 0;

	for (i = 0; port && i < pod->pod.ips.count && !r; i++)
		if (!addr_parse(pod->pod.ips.items[i], &addr) && addr_family(&addr) == g->family)
			r = gather(g, &addr, port, pod, NULL);
	return r;
}

static int gather_pods(struct gathering *g)
{
	const struct object *o = g->sp->host->service;
	const struct refs *pods =
		mesh_pods_by_label(g->mesh, o->meta.namespace, &o->service.selector);
	size_t i;
	int r = 0;

	for (i = 0; pods && i < pods->count && !r; i++)
		if (is_wanted(g, pod_standing(pods->items[i], &o->service)))
			r = gather_pod(g, pods->items[i]);
	return r;
}

/* ---- names and ServiceEntries ---- */

/* What DNS has answered. `w`: whose address the name is, or NULL. */
static int gather_name(struct gathering *g, const char *given, __u16 port, const struct workload *w)
{
	const struct resolved_name *found;
	char name[HOST_MAX];
	int r = 0;

	if (!entry_name(given, name))
		return 0;
	found = resolved_find(&g->mesh->resolved, name);
	for (size_t i = 0; found && i < found->count && !r; i++)
		if (addr_family(&found->addrs[i]) == g->family)
			r = gather_member(g, &found->addrs[i], port,
					  (struct member){ .of_entry = true, .workload = w });
	return r;
}

/* The port at a workload: its own word on it, else the entry's. */
static __u16 workload_port(const struct workload *w, const struct service_port *p)
{
	for (size_t i = 0; i < w->ports.count; i++)
		if (same_port_name(w->ports.items[i].name, p->name))
			return w->ports.items[i].port;
	return p->target_port ? p->target_port : p->port;
}

static int gather_workload(struct gathering *g, const struct workload *w,
			   const struct service_port *p)
{
	__u16 port = workload_port(w, p);

	if (!w->numeric)
		return gather_name(g, w->address, port, w);
	if (addr_family(&w->addr) != g->family)
		return 0;
	return gather_member(g, &w->addr, port, (struct member){ .of_entry = true, .workload = w });
}

static int gather_selected_pod(struct gathering *g, const struct object *entry,
			       const struct object *pod, __u16 port)
{
	struct addr addr;
	int r = 0;

	if (!str_eq(pod->meta.namespace, entry->meta.namespace) || !pod->pod.ready ||
	    pod->pod.deleting || str_eq(pod->pod.phase, "Failed") ||
	    str_eq(pod->pod.phase, "Succeeded") ||
	    !labels_hold(&pod->meta.labels, &entry->entry.selector))
		return 0;
	for (size_t i = 0; i < pod->pod.ips.count && !r; i++)
		if (!addr_parse(pod->pod.ips.items[i], &addr) && addr_family(&addr) == g->family)
			r = gather(g, &addr, port, pod, NULL);
	return r;
}

/* The pods that a selector may hold for, or all. */
static struct refs candidates(struct mesh *mesh, const char *ns, const struct kvs *selector)
{
	const struct refs *some;

	if (!selector->count)
		return mesh->pods;
	some = mesh_pods_by_label(mesh, ns, selector);
	return some ? *some : (struct refs){ 0 };
}

/* The pods and the WorkloadEntries of the entry's namespace that it selects. */
static int gather_selected(struct gathering *g, const struct object *entry,
			   const struct service_port *p)
{
	const struct kvs *selector = &entry->entry.selector;
	const struct refs pods = candidates(g->mesh, entry->meta.namespace, selector);
	__u16 port = p->target_port ? p->target_port : p->port;
	int r = 0;

	for (size_t i = 0; i < pods.count && !r; i++)
		r = gather_selected_pod(g, entry, pods.items[i], port);
	for (size_t i = 0; i < g->mesh->workloads.count && !r; i++) {
		const struct object *o = g->mesh->workloads.items[i];

		if (o->workload.numeric && str_eq(o->meta.namespace, entry->meta.namespace) &&
		    labels_hold(&o->workload.labels, selector))
			r = gather_workload(g, &o->workload, p);
	}
	return r;
}

static const struct service_port *entry_port(const struct entry_spec *entry, unsigned port)
{
	for (size_t i = 0; i < entry->ports.count; i++)
		if (entry->ports.items[i].port == port)
			return &entry->ports.items[i];
	return NULL;
}

/* Of one of the host's ServiceEntries. */
static int gather_entry(struct gathering *g, const struct object *entry)
{
	const struct entry_spec *spec = &entry->entry;
	const struct service_port *p = entry_port(spec, g->sp->port->port);
	int r = 0;

	if (!p || spec->resolution == RESOLUTION_NONE)
		return 0;
	if (spec->resolution == RESOLUTION_STATIC && spec->selects)
		return gather_selected(g, entry, p);
	if (spec->resolution != RESOLUTION_STATIC && !spec->endpoints.count)
		return gather_name(g, g->sp->host->name, p->target_port ? p->target_port : p->port,
				   NULL);
	for (size_t i = 0; i < spec->endpoints.count && !r; i++)
		r = gather_workload(g, &spec->endpoints.items[i], p);
	return r;
}

/* True: the host's endpoints are not those of a Service's pods. */
static bool gather_elsewhere(struct gathering *g, int *r)
{
	const struct object *o = g->sp->host->service;
	const struct entry_host *e = host_entry(g->sp->host);
	__u16 port = g->sp->port->target_port ? g->sp->port->target_port : g->sp->port->port;

	*r = 0;
	if (e) {
		for (size_t i = 0; i < e->entries.count && !*r; i++)
			*r = gather_entry(g, e->entries.items[i]);
		return true;
	}
	if (!str_eq(o->service.type, "ExternalName"))
		return false;
	*r = gather_name(g, o->service.external_name, port, NULL);
	return true;
}

static int gather_kind(struct gathering *g, enum standing want)
{
	const struct object *o = g->sp->host->service;
	const struct refs *refs;
	char key[HOST_MAX];
	size_t n = full_name(key, o->meta.namespace, o->meta.name);
	int r;

	g->want = want;
	if (gather_elsewhere(g, &r))
		return r;
	refs = bytemap_get(&g->mesh->slices, key, n);
	if (!refs)
		refs = bytemap_get(&g->mesh->endpoints, key, n);
	g->sp->host->by_pods = !refs;
	return refs ? gather_refs(g, refs) : gather_pods(g);
}

/* The ready ones come first: an endpoint that moves from one slice to another may be in both, and
 * then counts as ready if either says so. */
static int gather_all(struct gathering *g)
{
	int r = gather_kind(g, STANDING_READY);

	g->list->ready = g->list->count;
	return r || !g->terminating ? r : gather_kind(g, STANDING_TERMINATING);
}

int members_again(struct mesh *mesh, struct mesh_port *sp, enum family family)
{
	struct gathering g = { .mesh = mesh, .sp = sp, .family = family };

	g.stamp = registry_stamp(mesh->registry);
	g.list = sp->members[family];
	g.list->count = 0;
	g.list->full = false;
	return gather_all(&g);
}

struct members *port_members(struct mesh *mesh, struct mesh_port *sp, enum family family)
{
	struct gathering g = { .mesh = mesh, .sp = sp, .family = family };

	if (sp->members[family])
		return sp->members[family];
	g.stamp = registry_stamp(mesh->registry);
	g.list = pool_alloc(&mesh->lasting, sizeof(*g.list));
	if (!g.list || gather_all(&g))
		return NULL;
	if (g.list->full)
		errors_remark(mesh->errors, REMARK_TOO_MANY_ENDPOINTS, sp->host->service,
			      sp->host->service->pos,
			      "service %s/%s: only the first %d endpoints of port %u are used",
			      sp->host->service->meta.namespace, sp->host->service->meta.name,
			      CLUSTER_MAX_ENDPOINTS, sp->port->port);
	sp->members[family] = g.list;
	return g.list;
}
