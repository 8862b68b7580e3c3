// SPDX-License-Identifier: Apache-2.0
/*
 * A snapshot after a change of pods and endpoints.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/l7/l7.h"
#include "lib/l7/l7_priv.h"
#include "lib/mesh/enrol.h"
#include "lib/mesh/peer.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"
#include "lib/route/route.h"

/* A cluster that has other endpoints than before. */
struct place {
	const struct mesh_port *sp;
	const struct http_row *at;
};

struct patch {
	const struct http_snapshot *from;
	TABLE(struct place) places; /* in the order of the clusters' rows */
	struct hs_patch_cluster *clusters;
	struct hs_endpoint *endpoints;
	size_t endpoint_count;
	TABLE(struct hs_patch_source) sources; /* each address once, in order */
};

static void patch_done(struct patch *p)
{
	free(p->places.items);
	free(p->clusters);
	free(p->endpoints);
	free(p->sources.items);
}

/* ---- endpoints ---- */

static bool same_members(const struct hs_endpoint *rows, const struct plan_cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (rows[i].endpoint.id != c->members[i]->endpoint.id)
			return false;
	return true;
}

static bool is_same(const struct patch *p, const struct mesh_port *sp, const struct http_row *at)
{
	struct http_members m = http_members(p->from, hs_cluster(p->from, at->row));

	return m.service == http_members_count(sp) && m.v4 == at->v4->count &&
	       m.count == at->v4->count + at->v6->count && same_members(m.items, at->v4) &&
	       same_members(m.items + m.v4, at->v6);
}

static int find_places(struct patch *p, const struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (const struct http_row *at = h->ports[i].http_rows; at; at = at->next) {
			struct place *place;

			if (is_same(p, &h->ports[i], at))
				continue;
			place = table_push(&p->places);
			if (!place)
				return -ENOMEM;
			*place = (struct place){ &h->ports[i], at };
			p->endpoint_count += at->v4->count + at->v6->count;
		}
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->at->row > y->at->row) - (x->at->row < y->at->row);
}

static void write_members(struct hs_endpoint *rows, const struct plan_cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		rows[i] = (struct hs_endpoint){ .endpoint = c->members[i]->endpoint };
}

static void write_places(struct patch *p)
{
	size_t to = 0;

	for (size_t i = 0; i < p->places.count; i++) {
		const struct http_row *at = p->places.items[i].at;
		size_t count = at->v4->count + at->v6->count;

		p->clusters[i] = (struct hs_patch_cluster){
			.row = at->row,
			.endpoints = { to, count },
			.endpoints_v4 = at->v4->count,
			.service_endpoints = http_members_count(p->places.items[i].sp),
		};
		write_members(&p->endpoints[to], at->v4);
		write_members(&p->endpoints[to + at->v4->count], at->v6);
		to += count;
	}
}

static int patch_endpoints(struct patch *p, const struct mesh_change *change)
{
	int r = 0;

	for (size_t i = 0; i < change->hosts.count && !r; i++)
		r = find_places(p, change->hosts.items[i]);
	if (r || !p->places.count)
		return r;
	qsort(p->places.items, p->places.count, sizeof(*p->places.items), compare_places);
	p->clusters = malloc(p->places.count * sizeof(*p->clusters));
	p->endpoints = malloc((p->endpoint_count + 1) * sizeof(*p->endpoints));
	if (!p->clusters || !p->endpoints)
		return -ENOMEM;
	write_places(p);
	return 0;
}

/* ---- sources ---- */

/* Of a pod that comes or stays; its addresses are to be filled in. MESH_ANEW: it needs a row of
 * HS_TRACINGS that is not there. */
static int row_of(struct mesh *mesh, const struct object *pod, struct hs_source *out)
{
	struct hs_source row = { .in_mesh = 1 };
	const struct home *home;
	__u32 tracing;

	*out = row;
	if (!pod || !pod_has_address(pod))
		return 0;
	if (!telemetries_row(&mesh->telemetries, pod, &tracing))
		return MESH_ANEW;
	row.tracing = (__u16)tracing;
	row.ns = mesh_namespace(mesh, pod->meta.namespace);
	row.peer = peer_id(mesh->registry, pod);
	home = mesh->labelled_only ? mesh_home(mesh, pod->meta.namespace) : NULL;
	if (mesh->labelled_only)
		row.in_mesh = enrol_is_labelled(pod, home ? home->o : NULL);
	*out = row;
	return 0;
}

/* What comes later counts. */
static int add_addresses(struct patch *p, const struct object *pod, const struct hs_source *row,
			 bool gone)
{
	struct addr addr;

	for (size_t i = 0; pod && pod_has_address(pod) && i < pod->pod.ips.count; i++) {
		struct hs_patch_source *s;

		if (addr_parse(pod->pod.ips.items[i], &addr))
			continue;
		s = table_push(&p->sources);
		if (!s)
			return -ENOMEM;
		*s = (struct hs_patch_source){ .row = *row, .gone = gone };
		s->row.addr = addr;
	}
	return 0;
}

/* No two pods have an address now: where one goes and comes, it comes. */
static int compare_sources(const void *a, const void *b)
{
	const struct hs_patch_source *x = a, *y = b;
	int r = memcmp(&x->row.addr, &y->row.addr, sizeof(x->row.addr));

	return r ? r : (int)x->gone - (int)y->gone;
}

static bool is_known(const struct patch *p, const struct hs_patch_source *s)
{
	const struct hs_source *old = http_source_at(p->from, &s->row.addr);

	return s->gone ? !old : old && !memcmp(old, &s->row, sizeof(*old));
}

/* Each address once, and only those whose row is another. */
static void keep_different(struct patch *p)
{
	const struct addr *last = NULL;
	struct addr addr;
	size_t kept = 0;

	for (size_t i = 0; i < p->sources.count; i++) {
		const struct hs_patch_source *s = &p->sources.items[i];

		if (last && !memcmp(last, &s->row.addr, sizeof(addr)))
			continue;
		addr = s->row.addr;
		last = &addr;
		if (!is_known(p, s))
			p->sources.items[kept++] = *s;
	}
	p->sources.count = kept;
}

static int patch_sources(struct patch *p, struct mesh *mesh, const struct mesh_change *change)
{
	static const struct hs_source none;
	int r = 0;

	for (size_t i = 0; i < change->count && !r; i++) {
		const struct object_change *c = &change->items[i];
		const struct object *o = c->old ? c->old : c->new;
		struct hs_source row;

		if (o->kind != KIND_POD)
			continue;
		r = row_of(mesh, c->new, &row);
		if (!r)
			r = add_addresses(p, c->old, &none, true);
		if (!r)
			r = add_addresses(p, c->new, &row, false);
	}
	if (r || !p->sources.count)
		return r;
	qsort(p->sources.items, p->sources.count, sizeof(*p->sources.items), compare_sources);
	keep_different(p);
	return 0;
}

/* ---- all of it ---- */

static int apply(const struct patch *p, struct http_snapshot **out)
{
	const struct http_patch_rows rows = { .clusters = p->clusters,
					      .endpoints = p->endpoints,
					      .sources = p->sources.items,
					      .cluster_count = p->places.count,
					      .endpoint_count = p->endpoint_count,
					      .source_count = p->sources.count };
	_cleanup_free_ void *bytes = NULL;
	size_t size;
	int r = http_patch_pack(&rows, &bytes, &size);

	return r ? r : http_snapshot_patched(p->from, bytes, size, out);
}

/* In one block, once there are too many patches. Where some are of rules, it is compiled. */
static int settle(struct http_snapshot **s)
{
	struct http_snapshot *flat;
	unsigned count;
	size_t size = http_snapshot_patches(*s, &count);
	int r;

	if (!http_patches_too_many(*s, count, size))
		return 0;
	if (http_rules_are_patched(*s))
		return MESH_ANEW;
	r = http_snapshot_flatten(*s, &flat);
	if (r)
		return r;
	http_snapshot_close(*s);
	*s = flat;
	return 0;
}

DEFINE_CLEANUP(struct http_snapshot *, http_snapshot_close);

int l7_patch(struct mesh *mesh, const struct mesh_change *change, const struct http_snapshot *from,
	     struct http_snapshot **out)
{
	_cleanup_(http_snapshot_closep) struct http_snapshot *s = NULL;
	_cleanup_(patch_done) struct patch p = { .from = from };
	int r;

	if (change->pods && (mesh->asks_labels || telemetries_are_combined(&mesh->telemetries)))
		return MESH_ANEW;
	r = patch_endpoints(&p, change);
	if (!r && change->pods)
		r = patch_sources(&p, mesh, change);
	if (!r && (p.places.count || p.sources.count))
		r = apply(&p, &s);
	if (!r && s)
		r = settle(&s);
	if (!r)
		*out = TAKE_PTR(s);
	return r;
}
