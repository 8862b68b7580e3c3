// SPDX-License-Identifier: Apache-2.0
/*
 * A snapshot after a change of pods and endpoints: the rows of these are put into the old bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/l7/l7.h"
#include "lib/l7/l7_priv.h"

/* A cluster whose endpoints may be others. */
struct place {
	const struct mesh_port *sp;
	const struct http_row *at;
};

/* A pod's address that goes, or has that row. */
struct address {
	struct hs_source row;
	bool goes;
};

struct patch {
	const struct http_snapshot *from;
	TABLE(struct place) places;	 /* in the order of the clusters' rows */
	TABLE(struct address) addresses; /* each once, in order */
	struct hs_cluster *clusters;
	struct hs_endpoint *endpoints;
	struct hs_source *sources;
	struct http_part parts[HS_TABLES];
};

static void patch_done(struct patch *p)
{
	free(p->places.items);
	free(p->addresses.items);
	free(p->clusters);
	free(p->endpoints);
	free(p->sources);
}

/* ---- endpoints ---- */

static int find_places(struct patch *p, const struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (const struct http_row *at = h->ports[i].http_rows; at; at = at->next) {
			struct place *place = table_push(&p->places);

			if (!place)
				return -ENOMEM;
			*place = (struct place){ &h->ports[i], at };
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

static bool same_members(const struct hs_endpoint *rows, const struct plan_cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (rows[i].endpoint.id != c->members[i]->endpoint.id)
			return false;
	return true;
}

static bool place_is_same(const struct patch *p, const struct place *place)
{
	const struct http_row *at = place->at;
	const struct hs_cluster *row = hs_cluster(p->from, at->row);
	const struct hs_endpoint *first =
		hs_at(p->from, HS_ENDPOINTS, row->endpoints.first, sizeof(*first));

	return row->service_endpoints == http_members_count(place->sp) &&
	       row->endpoints_v4 == at->v4->count &&
	       row->endpoints.count == at->v4->count + at->v6->count &&
	       same_members(first, at->v4) && same_members(first + at->v4->count, at->v6);
}

static size_t count_endpoints(const struct patch *p, bool *same)
{
	size_t count = hs_count(p->from, HS_ENDPOINTS);

	*same = true;
	for (size_t i = 0; i < p->places.count; i++) {
		const struct http_row *at = p->places.items[i].at;

		count -= hs_cluster(p->from, at->row)->endpoints.count;
		count += at->v4->count + at->v6->count;
		*same = *same && place_is_same(p, &p->places.items[i]);
	}
	return count;
}

/* The rows that stay, up to `end`; where the next one goes. */
static size_t copy_endpoints(struct patch *p, size_t to, size_t *copied, size_t end)
{
	const struct hs_endpoint *rows = hs_at(p->from, HS_ENDPOINTS, 0, sizeof(*rows));
	size_t count = end - *copied;

	if (count)
		memcpy(&p->endpoints[to], &rows[*copied], count * sizeof(*rows));
	*copied = end;
	return to + count;
}

static size_t write_place(struct patch *p, const struct place *place, size_t to)
{
	const struct http_row *at = place->at;
	struct hs_cluster *row = &p->clusters[at->row];

	row->endpoints.count = at->v4->count + at->v6->count;
	row->endpoints_v4 = at->v4->count;
	row->service_endpoints = http_members_count(place->sp);
	write_members(&p->endpoints[to], at->v4);
	write_members(&p->endpoints[to + at->v4->count], at->v6);
	return to + row->endpoints.count;
}

/* Clusters have their endpoints in the order of their rows; those of what doesn't exist have none.
 */
static void write_clusters(struct patch *p)
{
	size_t next = 0, to = 0, copied = 0;

	for (__u32 i = 0; i < hs_count(p->from, HS_CLUSTERS); i++) {
		const struct hs_cluster *old = hs_cluster(p->from, i);
		bool here = next < p->places.count && p->places.items[next].at->row == i;

		p->clusters[i] = *old;
		if (!old->known)
			continue;
		p->clusters[i].endpoints.first = to + (old->endpoints.first - copied);
		if (!here)
			continue;
		to = copy_endpoints(p, to, &copied, old->endpoints.first);
		to = write_place(p, &p->places.items[next++], to);
		copied += old->endpoints.count;
	}
	copy_endpoints(p, to, &copied, hs_count(p->from, HS_ENDPOINTS));
}

static int patch_endpoints(struct patch *p, const struct mesh_change *change, bool *same)
{
	__u32 clusters = hs_count(p->from, HS_CLUSTERS);
	size_t count;
	int r = 0;

	for (size_t i = 0; i < change->hosts.count && !r; i++)
		r = find_places(p, change->hosts.items[i]);
	if (r)
		return r;
	if (p->places.count)
		qsort(p->places.items, p->places.count, sizeof(*p->places.items), compare_places);
	count = count_endpoints(p, same);
	if (*same)
		return 0;
	p->clusters = malloc((clusters + 1) * sizeof(*p->clusters));
	p->endpoints = malloc((count + 1) * sizeof(*p->endpoints));
	if (!p->clusters || !p->endpoints)
		return -ENOMEM;
	write_clusters(p);
	p->parts[HS_CLUSTERS] = (struct http_part){ p->clusters, clusters };
	p->parts[HS_ENDPOINTS] = (struct http_part){ p->endpoints, count };
	return 0;
}

/* ---- sources ---- */

/* `ns`: 0, the pod goes. What comes later counts. */
static int add_addresses(struct patch *p, const struct object *pod, __u32 ns)
{
	struct addr addr;

	for (size_t i = 0; pod && pod_has_address(pod) && i < pod->pod.ips.count; i++) {
		struct address *a;

		if (addr_parse(pod->pod.ips.items[i], &addr))
			continue;
		a = table_push(&p->addresses);
		if (!a)
			return -ENOMEM;
		*a = (struct address){ .row = { .addr = addr, .ns = ns }, .goes = !ns };
	}
	return 0;
}

/* No two pods have an address now: where one goes and comes, it comes. */
static int compare_addresses(const void *a, const void *b)
{
	const struct address *x = a, *y = b;
	int r = memcmp(&x->row.addr, &y->row.addr, sizeof(x->row.addr));

	return r ? r : x->goes - y->goes;
}

/* The first row that does not come before it. */
static size_t find_source(const struct patch *p, const struct addr *addr)
{
	size_t low = 0, high = hs_count(p->from, HS_SOURCES);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (memcmp(&hs_source(p->from, mid)->addr, addr, sizeof(*addr)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const struct hs_source *source_at(const struct patch *p, size_t at, const struct addr *addr)
{
	const struct hs_source *row = hs_source(p->from, at);

	if (at == hs_count(p->from, HS_SOURCES) || memcmp(&row->addr, addr, sizeof(*addr)) != 0)
		return NULL;
	return row;
}

/* Each address once, and only those whose row is another. */
static void keep_different(struct patch *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->addresses.count; i++) {
		const struct address *a = &p->addresses.items[i];
		const struct addr *addr = &a->row.addr;
		const struct hs_source *old = source_at(p, find_source(p, addr), addr);

		if (i && !memcmp(&p->addresses.items[i - 1].row.addr, addr, sizeof(*addr)))
			continue;
		if (a->goes ? !old : old && !memcmp(old, &a->row, sizeof(*old)))
			continue;
		p->addresses.items[kept++] = *a;
	}
	p->addresses.count = kept;
}

static size_t copy_sources(struct patch *p, size_t to, size_t first, size_t end)
{
	const struct hs_source *rows = hs_at(p->from, HS_SOURCES, 0, sizeof(*rows));

	if (end > first)
		memcpy(&p->sources[to], &rows[first], (end - first) * sizeof(*rows));
	return to + end - first;
}

static size_t write_sources(struct patch *p)
{
	size_t to = 0, copied = 0;

	for (size_t i = 0; i < p->addresses.count; i++) {
		const struct address *a = &p->addresses.items[i];
		size_t at = find_source(p, &a->row.addr);

		to = copy_sources(p, to, copied, at);
		copied = at + !!source_at(p, at, &a->row.addr);
		if (!a->goes)
			p->sources[to++] = a->row;
	}
	return copy_sources(p, to, copied, hs_count(p->from, HS_SOURCES));
}

static int patch_sources(struct patch *p, struct mesh *mesh, const struct mesh_change *change)
{
	size_t count = hs_count(p->from, HS_SOURCES);
	int r = 0;

	for (size_t i = 0; i < change->count && !r; i++) {
		const struct object_change *c = &change->items[i];
		const struct object *o = c->old ? c->old : c->new;

		if (o->kind != KIND_POD)
			continue;
		r = add_addresses(p, c->old, 0);
		if (!r)
			r = add_addresses(p, c->new, mesh_namespace(mesh, o->meta.namespace));
	}
	if (r || !p->addresses.count)
		return r;
	qsort(p->addresses.items, p->addresses.count, sizeof(*p->addresses.items),
	      compare_addresses);
	keep_different(p);
	if (!p->addresses.count)
		return 0;
	p->sources = malloc((count + p->addresses.count) * sizeof(*p->sources));
	if (!p->sources)
		return -ENOMEM;
	p->parts[HS_SOURCES] = (struct http_part){ p->sources, write_sources(p) };
	return 0;
}

int l7_patch(struct mesh *mesh, const struct mesh_change *change, const struct http_snapshot *from,
	     void **out, size_t *size)
{
	_cleanup_(patch_done) struct patch p = { .from = from };
	bool same;
	int r;

	if (change->pods && mesh->asks_labels)
		return MESH_ANEW;
	for (int i = 0; i < HS_TABLES; i++)
		p.parts[i] = (struct http_part){ hs_at(from, i, 0, 0), hs_count(from, i) };
	r = patch_endpoints(&p, change, &same);
	if (!r && change->pods)
		r = patch_sources(&p, mesh, change);
	if (r)
		return r;
	if (same && !p.sources) {
		*out = NULL;
		return 0;
	}
	return http_pack(p.parts, out, size);
}
