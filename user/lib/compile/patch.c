// SPDX-License-Identifier: Apache-2.0
/*
 * The tables after a change of pods and endpoints: only what hangs on these is made again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compile/check.h"
#include "lib/compile/index.h"
#include "lib/l7/l7.h"
#include "lib/mesh/authorized.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/mutual.h"
#include "lib/mesh/policy.h"
#include "lib/route/snapshot.h"
#include "lib/tables/sources.h"

enum { PATCHES_MAX = 4096 };

_Static_assert((int)COMPILE_ANEW == (int)MESH_ANEW, "what the mesh says is passed on");

void compile_index_free(struct compile_index *x)
{
	if (!x)
		return;
	mesh_done(&x->mesh);
	free(x);
}

const struct object *compile_index_pod_at(struct compile_index *x, const struct addr *addr)
{
	return bytemap_get(&x->mesh.pods_by_addr, addr->b, sizeof(addr->b));
}

/* A patch on its way. */
struct patch {
	struct mesh *mesh;
	struct mesh_change change;
	struct errors errors; /* that would have been told of: none is, but by compile() */
	const struct tables *from;
	struct tables *t;
	uint64_t *facts;			     /* of change.hosts, before it */
	TABLE(const struct plan_cluster *) clusters; /* of the hosts */
};

static void patch_free(struct patch *p)
{
	p->mesh->errors = NULL;
	p->mesh->t = NULL;
	mesh_change_free(&p->change);
	errors_free(&p->errors);
	tables_free(p->t);
	free(p->facts);
	free(p->clusters.items);
}

static int note_facts(struct patch *p)
{
	p->facts = calloc(p->change.hosts.count + 1, sizeof(*p->facts));
	if (!p->facts)
		return -ENOMEM;
	for (size_t i = 0; i < p->change.hosts.count; i++)
		if (!workloads_facts(p->mesh, p->change.hosts.items[i], &p->facts[i]))
			return COMPILE_ANEW;
	return 0;
}

static int compare_facts(struct patch *p)
{
	uint64_t facts;

	for (size_t i = 0; i < p->change.hosts.count; i++)
		if (!workloads_facts(p->mesh, p->change.hosts.items[i], &facts) ||
		    facts != p->facts[i])
			return COMPILE_ANEW;
	return 0;
}

/* ---- endpoints ---- */

static int add_cluster(struct patch *p, struct plan_cluster *c)
{
	const struct plan_cluster **slot;
	int r = cluster_again(p->mesh, c);

	if (r || !c->written)
		return r;
	slot = table_push(&p->clusters);
	if (!slot)
		return -ENOMEM;
	*slot = c;
	return 0;
}

static int note_touched(struct patch *p, const struct members *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct named_endpoint *e = table_push(&p->t->touched);

		if (!e)
			return -ENOMEM;
		*e = (struct named_endpoint){ list->items[i].endpoint.id, list->items[i].name };
	}
	return 0;
}

/* Endpoints that are no pods have rows of their own, where a headless Service is all that knows
 * them (l4/services.c). */
static bool has_known(struct mesh *mesh, const struct mesh_port *sp, enum family family)
{
	const struct members *list = sp->members[family];

	if (!mesh->registry_only || !list || !service_is_headless(&sp->host->service->service))
		return false;
	for (size_t i = 0; i < list->count; i++) {
		const struct addr *a = &list->items[i].endpoint.addr;

		if (!bytemap_get(&mesh->pods_by_addr, a->b, sizeof(a->b)))
			return true;
	}
	return false;
}

static int find_members(struct patch *p, struct mesh_port *sp)
{
	int r = 0;

	for (enum family family = 0; family < FAMILY_MAX && !r; family++) {
		bool known = has_known(p->mesh, sp, family);

		if (sp->members[family])
			r = members_again(p->mesh, sp, family);
		if (!r && (known || has_known(p->mesh, sp, family)))
			r = COMPILE_ANEW;
		if (sp->members[family] && !r)
			r = note_touched(p, sp->members[family]);
	}
	for (struct plan_cluster *c = sp->clusters; c && !r; c = c->next)
		r = add_cluster(p, c);
	return r;
}

static int find_clusters(struct patch *p)
{
	int r = 0;

	for (size_t i = 0; i < p->change.hosts.count && !r; i++) {
		struct host *h = p->change.hosts.items[i];

		for (size_t k = 0; k < h->port_count && !r; k++)
			r = find_members(p, &h->ports[k]);
	}
	return r;
}

static bool same_members(const struct tables *t, const struct plan_cluster *c)
{
	const struct cluster *row = &t->clusters.items[c->index];

	if (row->ep_count != c->count)
		return false;
	for (size_t i = 0; i < c->count; i++)
		if (t->endpoints.items[row->ep_first + i].id != c->members[i]->endpoint.id)
			return false;
	return true;
}

/* Leaves out of p->clusters what keeps its endpoints; how many the others have. */
static size_t keep_changed(struct patch *p)
{
	size_t kept = 0, rows = 0;

	for (size_t i = 0; i < p->clusters.count; i++) {
		const struct plan_cluster *c = p->clusters.items[i];

		if (same_members(p->from, c))
			continue;
		p->clusters.items[kept++] = c;
		rows += c->count;
	}
	p->clusters.count = kept;
	return rows;
}

static int copy_clusters(struct patch *p)
{
	struct tables *t = p->t;
	size_t count = p->from->clusters.count;

	tables_part(t, TABLES_CLUSTERS);
	t->clusters.items = malloc((count + 1) * sizeof(*t->clusters.items));
	if (!t->clusters.items)
		return -ENOMEM;
	t->clusters.room = t->clusters.count = count;
	if (count)
		memcpy(t->clusters.items, p->from->clusters.items,
		       count * sizeof(*t->clusters.items));
	for (size_t i = 0; i < p->clusters.count; i++)
		t->clusters.items[p->clusters.items[i]->index].ep_count = 0;
	return 0;
}

/* Those of the clusters that keep them. */
static void copy_endpoints(struct patch *p)
{
	const struct tables *from = p->from;
	struct tables *t = p->t;
	size_t to = 0;

	for (size_t i = 0; i < t->clusters.count; i++) {
		struct cluster *c = &t->clusters.items[i];

		if (c->ep_count) {
			memcpy(&t->endpoints.items[to], &from->endpoints.items[c->ep_first],
			       c->ep_count * sizeof(*t->endpoints.items));
			memcpy(&t->endpoint_names.items[to],
			       &from->endpoint_names.items[c->ep_first],
			       c->ep_count * sizeof(*t->endpoint_names.items));
		}
		c->ep_first = to;
		to += c->ep_count;
	}
}

/* The rows that no cluster has any more have taken all the room: new ones, without them, and room
 * for `added`. */
static int gather_endpoints(struct patch *p, size_t added)
{
	struct tables *t = p->t;
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < t->clusters.count; i++)
		kept += t->clusters.items[i].ep_count;
	tables_part(t, TABLES_ENDPOINTS);
	t->endpoints.count = kept + added;
	r = tables_spare_endpoints(t);
	if (r)
		return r;
	t->endpoints.count = t->endpoint_names.count = t->endpoints_taken = kept;
	copy_endpoints(p);
	return 0;
}

static void write_endpoints(struct patch *p, __u32 first)
{
	struct tables *t = p->t;

	for (size_t i = 0; i < p->clusters.count; i++) {
		const struct plan_cluster *c = p->clusters.items[i];
		struct cluster *row = &t->clusters.items[c->index];

		row->ep_first = first;
		row->ep_count = c->count;
		for (size_t k = 0; k < c->count; k++, first++) {
			t->endpoints.items[first] = c->members[k]->endpoint;
			t->endpoint_names.items[first] = c->members[k]->name;
		}
	}
}

static int patch_endpoints(struct patch *p)
{
	size_t added;
	__u32 first;
	int r = find_clusters(p);

	if (r)
		return r;
	added = keep_changed(p);
	if (!p->clusters.count)
		return 0;
	r = copy_clusters(p);
	if (!r && !tables_add_endpoints(p->t, added, &first)) {
		r = gather_endpoints(p, added);
		if (!r && !tables_add_endpoints(p->t, added, &first))
			r = -E2BIG;
	}
	if (!r)
		write_endpoints(p, first);
	return r;
}

/* ---- sources ---- */

static int copy_sources(struct patch *p)
{
	const struct tables *from = p->from;
	struct tables *t = p->t;

	tables_part(t, TABLES_SOURCES);
	t->sources.room = from->sources.count + mesh_change_room(&p->change) + 1;
	t->sources.items = malloc(t->sources.room * sizeof(*t->sources.items));
	if (!t->sources.items)
		return -ENOMEM;
	if (from->sources.count)
		memcpy(t->sources.items, from->sources.items,
		       from->sources.count * sizeof(*t->sources.items));
	t->sources.count = from->sources.count;
	return 0;
}

/* ---- the snapshot ---- */

static int patch_http(struct patch *p)
{
	struct http_snapshot *patched;
	int r = l7_patch(p->mesh, &p->change, p->from->http, &patched);

	if (r == MESH_ANEW) {
		p->t->http_patched = false;
		tables_part(p->t, TABLES_HTTP);
		return compile_http(p->mesh);
	}
	if (r || !patched)
		return r;
	tables_part(p->t, TABLES_HTTP);
	p->t->http = patched;
	return 0;
}

/* ---- all of it ---- */

static int patch(struct patch *p)
{
	int r = mesh_change_find(p->mesh, &p->change);

	if (!r)
		r = note_facts(p);
	if (!r && p->change.pods)
		r = copy_sources(p);
	if (!r)
		r = mesh_change_make(p->mesh, &p->change);
	if (!r)
		r = patch_endpoints(p);
	if (!r)
		r = compare_facts(p);
	if (!r && p->change.pods)
		r = selected_write(p->mesh->registry, p->t);
	if (!r && p->from->http)
		r = patch_http(p);
	if (!r && p->mesh->nomem)
		r = -ENOMEM;
	return r ? r : p->errors.count ? COMPILE_ANEW : 0;
}

static bool is_too_much(struct compile_index *x, size_t count, enum compile_http http,
			const struct tables *from)
{
	/* Of AuthorizationPolicies and mutual TLS the tables have much that hangs on pods. */
	return count > COMPILE_PATCH_MAX || authorized_any(&x->mesh) ||
	       x->patches++ == PATCHES_MAX ||
	       (from->http ? x->policies : http == COMPILE_HTTP_ALWAYS);
}

int compile_patch(struct compile_index **index, const struct object_change *changes, size_t count,
		  enum compile_http http, struct tables *from, struct tables **out)
{
	_cleanup_(compile_index_freep) struct compile_index *x = TAKE_PTR(*index);
	_cleanup_(patch_free) struct patch p = { .mesh = &x->mesh,
						 .change = { .items = changes, .count = count },
						 .from = from };
	int r;

	if (is_too_much(x, count, http, from))
		return COMPILE_ANEW;
	p.t = tables_sharing(from);
	if (!p.t)
		return -ENOMEM;
	p.t->http_patched = true;
	x->mesh.t = p.t;
	x->mesh.errors = &p.errors;
	r = patch(&p);
	if (r)
		return r;
	*out = TAKE_PTR(p.t);
	x->mesh.t = NULL;
	*index = TAKE_PTR(x);
	return 0;
}
