// SPDX-License-Identifier: Apache-2.0
#include "lib/route/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/route/patch.h"
#include "lib/route/route.h"

enum { TABLE_ALIGN = 8 };

static size_t align(size_t at)
{
	return (at + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
}

int http_pack(const struct http_part parts[HS_TABLES], void **out, size_t *size)
{
	struct hs_header header = { .magic = HS_MAGIC, .version = HS_VERSION };
	size_t at = align(sizeof(header));
	char *bytes;

	for (int i = 0; i < HS_TABLES; i++) {
		header.tables[i].at = at;
		header.tables[i].count = parts[i].count;
		at = align(at + parts[i].count * http_row_size(i));
		if (at > INT32_MAX)
			return -E2BIG;
	}
	header.size = at;
	bytes = calloc(1, at);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &header, sizeof(header));
	for (int i = 0; i < HS_TABLES; i++)
		if (parts[i].count)
			memcpy(bytes + header.tables[i].at, parts[i].rows,
			       parts[i].count * http_row_size(i));
	*out = bytes;
	*size = at;
	return 0;
}

/* ---- what patches have changed ---- */

/* Tables that are written anew. */
struct packing {
	const struct http_snapshot *s;
	struct hs_cluster *clusters;
	struct hs_endpoint *endpoints;
	struct hs_source *sources;
	void *whole[HS_TABLES]; /* of tables that have rows in the block and behind it */
	size_t endpoint_count, source_count;
};

static void packing_done(struct packing *p)
{
	free(p->clusters);
	free(p->endpoints);
	free(p->sources);
	for (int i = 0; i < HS_TABLES; i++)
		free(p->whole[i]);
}

/* Clusters have their endpoints in the order of their rows; those of what doesn't exist have none.
 */
static void write_clusters(struct packing *p)
{
	for (__u32 i = 0; i < hs_count(p->s, HS_CLUSTERS); i++) {
		const struct hs_cluster *old = hs_cluster(p->s, i);
		struct http_members m = http_members(p->s, old);

		p->clusters[i] = *old;
		if (!old->known)
			continue;
		p->clusters[i].endpoints = (struct hs_range){ p->endpoint_count, m.count };
		p->clusters[i].endpoints_v4 = m.v4;
		p->clusters[i].service_endpoints = m.service;
		if (m.count)
			memcpy(&p->endpoints[p->endpoint_count], m.items,
			       m.count * sizeof(*m.items));
		p->endpoint_count += m.count;
	}
}

static int pack_clusters(struct packing *p)
{
	__u32 clusters = hs_count(p->s, HS_CLUSTERS);
	size_t count = hs_count(p->s, HS_ENDPOINTS);

	for (__u32 i = 0; i < p->s->changes->cluster_count; i++)
		count += p->s->changes->clusters[i].members.count;
	p->clusters = malloc((clusters + 1) * sizeof(*p->clusters));
	p->endpoints = malloc((count + 1) * sizeof(*p->endpoints));
	if (!p->clusters || !p->endpoints)
		return -ENOMEM;
	write_clusters(p);
	return 0;
}

/* The first row of the block that does not come before it. */
static size_t find_source(const struct http_snapshot *s, const struct addr *addr)
{
	size_t low = 0, high = hs_count(s, HS_SOURCES);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (memcmp(&hs_source(s, mid)->addr, addr, sizeof(*addr)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void copy_sources(const struct http_snapshot *s, struct hs_source *to, size_t *count,
			 size_t first, size_t end)
{
	if (end > first)
		memcpy(&to[*count], hs_source(s, first), (end - first) * sizeof(*to));
	*count += end - first;
}

int http_snapshot_sources(const struct http_snapshot *s, struct hs_source **out, size_t *count)
{
	const struct http_changes *c = s->changes;
	size_t old = hs_count(s, HS_SOURCES), changed = c ? c->source_count : 0, copied = 0;
	struct hs_source *rows = malloc((old + changed + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	*count = 0;
	for (size_t i = 0; i < changed; i++) {
		const struct hs_source *row = &c->sources[i]->row;
		size_t at = find_source(s, &row->addr);

		copy_sources(s, rows, count, copied, at);
		copied = at + (at < old &&
			       !memcmp(&hs_source(s, at)->addr, &row->addr, sizeof(row->addr)));
		if (!c->sources[i]->gone)
			rows[(*count)++] = *row;
	}
	copy_sources(s, rows, count, copied, old);
	*out = rows;
	return 0;
}

/* In one piece. */
static int gather_rows(struct packing *p, int table, struct http_part *out)
{
	__u32 block = p->s->header->tables[table].count;
	size_t size = http_row_size(table);

	*out = (struct http_part){ hs_at(p->s, table, 0, size), hs_count(p->s, table) };
	if (out->count == block)
		return 0;
	p->whole[table] = malloc(out->count * size);
	if (!p->whole[table])
		return -ENOMEM;
	memcpy(p->whole[table], (const char *)p->s->header + p->s->header->tables[table].at,
	       block * size);
	memcpy((char *)p->whole[table] + block * size, p->s->tail->rows[table],
	       (out->count - block) * size);
	out->rows = p->whole[table];
	return 0;
}

/* Domains lead to the virtual hosts that are in force. */
static int pack_domains(struct packing *p, struct http_part *out)
{
	struct hs_domain *rows;

	if (!http_rules_are_patched(p->s) || !out->count)
		return 0;
	rows = malloc(out->count * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	memcpy(rows, out->rows, out->count * sizeof(*rows));
	for (size_t i = 0; i < out->count; i++)
		rows[i].vhost = http_vhost_now(p->s, rows[i].vhost);
	p->whole[HS_DOMAINS] = rows;
	out->rows = rows;
	return 0;
}

static int pack_changes(struct packing *p, struct http_part parts[HS_TABLES])
{
	int r = pack_clusters(p);

	if (!r)
		r = http_snapshot_sources(p->s, &p->sources, &p->source_count);
	if (!r)
		r = pack_domains(p, &parts[HS_DOMAINS]);
	if (r)
		return r;
	parts[HS_CLUSTERS].rows = p->clusters;
	parts[HS_ENDPOINTS] = (struct http_part){ p->endpoints, p->endpoint_count };
	parts[HS_SOURCES] = (struct http_part){ p->sources, p->source_count };
	return 0;
}

int http_snapshot_pack(const struct http_snapshot *s, void **out, size_t *size)
{
	_cleanup_(packing_done) struct packing p = { .s = s };
	struct http_part parts[HS_TABLES];
	int r = 0;

	for (int i = 0; !r && i < HS_TABLES; i++)
		r = gather_rows(&p, i, &parts[i]);
	if (!r && s->changes)
		r = pack_changes(&p, parts);
	if (!r)
		r = http_pack(parts, out, size);
	if (r)
		return r;
	((struct hs_header *)*out)->flags = s->header->flags;
	((struct hs_header *)*out)->gateway_peer = s->header->gateway_peer;
	((struct hs_header *)*out)->gateway_tracing = s->header->gateway_tracing;
	return 0;
}

int http_snapshot_flatten(const struct http_snapshot *s, struct http_snapshot **out)
{
	void *bytes;
	size_t size;
	int r = http_snapshot_pack(s, &bytes, &size);

	return r ? r : http_snapshot_like(s, bytes, out);
}

/* ---- comparing ---- */

static bool same_members(struct http_members a, struct http_members b)
{
	return a.count == b.count && a.v4 == b.v4 && a.service == b.service &&
	       (!a.count || a.items == b.items ||
		!memcmp(a.items, b.items, a.count * sizeof(*a.items)));
}

static bool same_source(const struct hs_source *a, const struct hs_source *b)
{
	return a == b || (a && b && !memcmp(a, b, sizeof(*a)));
}

/* What patches have said of a cluster: most of it is of patches that both have had. */
static bool agrees_on_cluster(const struct http_changes *c, __u32 i, const struct http_snapshot *b)
{
	const struct http_changed_cluster *x = &c->clusters[i];
	const struct http_changes *d = b->changes;

	if (d && i < d->cluster_count && d->clusters[i].row == x->row)
		return same_members(x->members, d->clusters[i].members);
	return same_members(x->members, http_members(b, hs_cluster(b, x->row)));
}

static bool agrees_on_source(const struct http_changes *c, __u32 i, const struct http_snapshot *b)
{
	const struct hs_patch_source *x = c->sources[i];
	const struct http_changes *d = b->changes;

	if (d && i < d->source_count && d->sources[i] == x)
		return true;
	return same_source(x->gone ? NULL : &x->row, http_source_at(b, &x->row.addr));
}

/* Whether `b`, of the same block, says of all that patches of `a` speak of what `a` does. */
static bool agrees(const struct http_snapshot *a, const struct http_snapshot *b)
{
	const struct http_changes *c = a->changes;

	for (__u32 i = 0; c && i < c->cluster_count; i++)
		if (!agrees_on_cluster(c, i, b))
			return false;
	for (__u32 i = 0; c && i < c->source_count; i++)
		if (!agrees_on_source(c, i, b))
			return false;
	return true;
}

/* Whether the same virtual hosts have the same rules, in the same rows. */
static bool same_rules(const struct http_snapshot *a, const struct http_snapshot *b)
{
	const struct http_changes *x = a->changes, *y = b->changes;

	if (!http_rules_are_patched(a) && !http_rules_are_patched(b))
		return true;
	return a->tail == b->tail && !memcmp(a->counts, b->counts, sizeof(a->counts)) && x && y &&
	       x->vhost_count == y->vhost_count &&
	       !memcmp(x->vhosts, y->vhosts, x->vhost_count * sizeof(*x->vhosts));
}

static bool same_bytes(const struct http_snapshot *a, const struct http_snapshot *b)
{
	return a->header->size == b->header->size && !memcmp(a->header, b->header, a->header->size);
}

DEFINE_CLEANUP(struct http_snapshot *, http_snapshot_close);

bool http_snapshot_same(const struct http_snapshot *a, const struct http_snapshot *b)
{
	_cleanup_(http_snapshot_closep) struct http_snapshot *x = NULL, *y = NULL;

	if (a->header == b->header)
		return same_rules(a, b) && agrees(a, b) && agrees(b, a);
	if ((a->changes && http_snapshot_flatten(a, &x)) ||
	    (b->changes && http_snapshot_flatten(b, &y)))
		return false;
	return same_bytes(x ? x : a, y ? y : b);
}
