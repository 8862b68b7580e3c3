// SPDX-License-Identifier: Apache-2.0
/*
 * A snapshot after a change of what VirtualServices do with requests: the virtual hosts of their
 * hosts, made anew, take the places of those that the same names lead to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/l7/l7.h"
#include "lib/l7/l7_priv.h"
#include "lib/route/patch.h"
#include "lib/route/route.h"

/* A virtual host of the block, and the one that is to be in its place. */
struct place {
	__u32 row; /* as domains have it */
	__u32 now;
	__u32 names; /* domains that were found for it */
};

struct rules_patch {
	struct http_compiler c;
	const struct http_snapshot *from;
	TABLE(struct place) places;
	__u32 *place_of; /* by row: index of `places` + 1, or 0 */
};

static void rules_patch_done(struct rules_patch *p)
{
	http_compiler_done(&p->c);
	free(p->places.items);
	free(p->place_of);
}

/* ---- which virtual hosts they are ---- */

static const struct hs_domain *find_domain(const struct http_snapshot *s,
					   const struct http_domain *d)
{
	const struct hs_listener *l = http_listener(s, d->scope, d->port);
	bool wild = host_is_wildcard(d->name);
	struct hs_range in = { 0 };

	if (l && l->port == d->port)
		in = wild ? l->wild : l->exact;
	for (__u32 low = 0, high = in.count; low < high;) {
		/* Exact names are in order; there are few wildcards. */
		__u32 mid = wild ? low : low + (high - low) / 2;
		const struct hs_domain *row = hs_domain(s, in.first + mid);
		int order = strcmp(hs_text(s, row->name), d->name + wild);

		if (!order && row->ns == d->ns)
			return row;
		if (wild || order < 0 || (!order && row->ns < d->ns))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static const char *vhost_name(const struct http_snapshot *s, __u32 row)
{
	return hs_text(s, hs_vhost(s, row)->name);
}

/* Of the row that is being added. */
static const char *new_name(struct http_compiler *c, __u32 row)
{
	const struct hs_vhost *v = http_build_row(&c->build, HS_VHOSTS, row);
	const char *bytes = c->build.tables[HS_BYTES].items;

	return v ? bytes + v->name.at - c->build.first[HS_BYTES] : "";
}

static struct place *place_at(struct rules_patch *p, __u32 row)
{
	return p->place_of[row] ? &p->places.items[p->place_of[row] - 1] : NULL;
}

/* A name that another virtual host had claimed before leads to that one. */
static int note_domain(struct rules_patch *p, const struct http_domain *d)
{
	const struct hs_domain *old = find_domain(p->from, d);
	struct place *place;

	if (!old)
		return MESH_ANEW;
	if (strcmp(vhost_name(p->from, old->vhost), new_name(&p->c, d->vhost)) != 0)
		return 0;
	place = place_at(p, old->vhost);
	if (!place) {
		place = table_push(&p->places);
		if (!place)
			return -ENOMEM;
		*place = (struct place){ .row = old->vhost, .now = d->vhost };
		p->place_of[old->vhost] = (__u32)p->places.count;
	}
	place->names++;
	return place->now == d->vhost ? 0 : MESH_ANEW;
}

static void take_names(struct rules_patch *p, struct hs_range domains)
{
	for (__u32 i = 0; i < domains.count; i++) {
		__u32 at = p->place_of[hs_domain(p->from, domains.first + i)->vhost];

		if (at)
			p->places.items[at - 1].names--;
	}
}

/* Whether the names that lead to a virtual host are those that lead to the one in its place. */
static bool names_stay(struct rules_patch *p)
{
	const struct http_snapshot *s = p->from;

	for (__u32 i = 0; i < hs_count(s, HS_LISTENERS); i++) {
		const struct hs_listener *l = hs_listener(s, i);

		if (l->scope == SCOPE_MESH) {
			take_names(p, l->exact);
			take_names(p, l->wild);
		}
	}
	for (size_t i = 0; i < p->places.count; i++)
		if (p->places.items[i].names)
			return false;
	return true;
}

static bool has_name_in_mesh(const struct http_snapshot *s, __u32 vhost)
{
	for (__u32 i = 0; i < hs_count(s, HS_LISTENERS); i++) {
		const struct hs_listener *l = hs_listener(s, i);

		for (__u32 k = 0; l->scope == SCOPE_MESH && k < l->exact.count; k++)
			if (hs_domain(s, l->exact.first + k)->vhost == vhost)
				return true;
		for (__u32 k = 0; l->scope == SCOPE_MESH && k < l->wild.count; k++)
			if (hs_domain(s, l->wild.first + k)->vhost == vhost)
				return true;
	}
	return false;
}

static bool is_visited(const struct http_compiler *c, struct http_span name)
{
	for (size_t i = 0; i < c->visited.count; i++) {
		const struct bytemap_entry *e = &c->visited.entries[i];

		if (e->len == name.len && !memcmp(e->key, name.at, name.len))
			return true;
	}
	return false;
}

/* Whether each of the block's virtual hosts that has the name of one that is made anew has a
 * successor, for every port and every namespace that has one of its own. */
static bool all_succeeded(struct rules_patch *p)
{
	const struct http_snapshot *s = p->from;

	for (__u32 i = 0; i < s->header->tables[HS_VHOSTS].count; i++) {
		struct http_span name = hs_span(s, hs_vhost(s, i)->name);

		if (is_visited(&p->c, name) && !place_at(p, i) && has_name_in_mesh(s, i))
			return false;
	}
	return true;
}

static int find_places(struct rules_patch *p)
{
	int r = 0;

	p->place_of = calloc(hs_count(p->from, HS_VHOSTS) + 1, sizeof(*p->place_of));
	if (!p->place_of)
		return -ENOMEM;
	for (size_t i = 0; i < p->c.domains.count && !r; i++)
		r = note_domain(p, &p->c.domains.items[i]);
	return r || (p->places.count && names_stay(p) && all_succeeded(p)) ? r : MESH_ANEW;
}

/* ---- the patch ---- */

static int compare_vhosts(const void *a, const void *b)
{
	const struct hs_patch_vhost *x = a, *y = b;

	return (x->row > y->row) - (x->row < y->row);
}

static int apply(struct rules_patch *p, struct http_snapshot **out)
{
	struct http_part added[HS_TABLES];
	_cleanup_free_ struct hs_patch_vhost *vhosts =
		malloc((p->places.count + 1) * sizeof(*vhosts));
	const struct http_patch_rows rows = { .vhosts = vhosts,
					      .vhost_count = p->places.count,
					      .added = added,
					      .before = p->from->counts };
	_cleanup_free_ void *bytes = NULL;
	size_t size;
	int r;

	if (!vhosts)
		return -ENOMEM;
	for (size_t i = 0; i < p->places.count; i++)
		vhosts[i] =
			(struct hs_patch_vhost){ http_vhost_now(p->from, p->places.items[i].row),
						 p->places.items[i].now };
	if (p->places.count)
		qsort(vhosts, p->places.count, sizeof(*vhosts), compare_vhosts);
	http_build_parts(&p->c.build, added);
	r = http_patch_pack(&rows, &bytes, &size);
	if (!r)
		r = http_snapshot_patched(p->from, bytes, size, out);
	return r == -E2BIG ? MESH_ANEW : r;
}

static int compile_hosts(struct http_compiler *c, const struct mesh_change *change)
{
	int r = 0;

	http_claim_names(c);
	for (size_t i = 0; i < change->count && !r && !c->anew; i++)
		r = http_compile_unknown_of(c, change->items[i].new);
	for (size_t i = 0; i < change->count && !r && !c->anew; i++)
		r = http_compile_hosts_of(c, change->items[i].new);
	if (!r && (c->mesh->nomem || c->build.nomem))
		r = -ENOMEM;
	return r ? r : c->anew ? MESH_ANEW : 0;
}

/* Rows that are not in force any more are left behind by compiling. */
static bool is_too_much(const struct http_snapshot *s)
{
	unsigned count;
	size_t size = http_snapshot_patches(s, &count);

	return http_patches_too_many(s, count, size);
}

int l7_patch_rules(struct mesh *mesh, const struct mesh_change *change,
		   const struct http_snapshot *from, struct http_snapshot **out)
{
	_cleanup_(rules_patch_done) struct rules_patch p = {
		.c = { .mesh = mesh, .from = from, .patching = true }, .from = from
	};
	int r;

	if (is_too_much(from))
		return MESH_ANEW;
	http_build_behind(&p.c.build, from);
	r = compile_hosts(&p.c, change);
	if (!r)
		r = find_places(&p);
	return r ? r : apply(&p, out);
}
