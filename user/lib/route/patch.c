// SPDX-License-Identifier: Apache-2.0
#include "lib/route/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "weft/traffic.h"

enum {
	ALIGN = 8,
	COUNT_MAX = 1024,    /* patches of one block */
	SIZE_SHARE = 4,	     /* they have at most the fourth part of its bytes, */
	SIZE_FREE = 1 << 16, /* or these */
};

/* One of those that a snapshot consists of. */
struct http_patch {
	struct http_patch *before; /* the one that it builds on, owned; NULL: on the block */
	unsigned refs;
	unsigned count; /* with all before */
	size_t size, sum;
	_Alignas(ALIGN) char bytes[];
};

static size_t row_size(int table)
{
	switch (table) {
	case HS_PATCH_CLUSTERS:
		return sizeof(struct hs_patch_cluster);
	case HS_PATCH_ENDPOINTS:
		return sizeof(struct hs_endpoint);
	case HS_PATCH_SOURCES:
		return sizeof(struct hs_patch_source);
	case HS_PATCH_VHOSTS:
		return sizeof(struct hs_patch_vhost);
	default:
		return http_row_size(table - HS_PATCH_ROWS);
	}
}

/* ---- making one ---- */

static size_t align(size_t at)
{
	return (at + ALIGN - 1) / ALIGN * ALIGN;
}

int http_patch_pack(const struct http_patch_rows *rows, void **out, size_t *size)
{
	struct http_part parts[HS_PATCH_TABLES] = {
		[HS_PATCH_CLUSTERS] = { rows->clusters, rows->cluster_count },
		[HS_PATCH_ENDPOINTS] = { rows->endpoints, rows->endpoint_count },
		[HS_PATCH_SOURCES] = { rows->sources, rows->source_count },
		[HS_PATCH_VHOSTS] = { rows->vhosts, rows->vhost_count },
	};
	struct hs_patch_header h = { .magic = HS_PATCH_MAGIC, .version = HS_PATCH_VERSION };
	size_t at = align(sizeof(h));
	char *bytes;

	if (rows->added) {
		memcpy(&parts[HS_PATCH_ROWS], rows->added, HS_TABLES * sizeof(*parts));
		memcpy(h.before, rows->before, sizeof(h.before));
	}
	for (int i = 0; i < HS_PATCH_TABLES; i++) {
		h.tables[i] = (struct hs_extent){ at, parts[i].count };
		at = align(at + parts[i].count * row_size(i));
		if (at > INT32_MAX)
			return -E2BIG;
	}
	h.size = at;
	bytes = calloc(1, at);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &h, sizeof(h));
	for (int i = 0; i < HS_PATCH_TABLES; i++)
		if (parts[i].count)
			memcpy(bytes + h.tables[i].at, parts[i].rows, parts[i].count * row_size(i));
	*out = bytes;
	*size = at;
	return 0;
}

/* ---- its rows ---- */

static const struct hs_patch_header *header_of(const struct http_patch *p)
{
	return (const struct hs_patch_header *)p->bytes;
}

static __u32 count_of(const struct http_patch *p, int table)
{
	return header_of(p)->tables[table].count;
}

static const void *rows_of(const struct http_patch *p, int table)
{
	return p->bytes + header_of(p)->tables[table].at;
}

static int compare_addr(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* ---- whether it is in order ---- */

static bool extents_ok(const struct hs_patch_header *h, size_t size)
{
	if (size < sizeof(*h) || h->magic != HS_PATCH_MAGIC || h->version != HS_PATCH_VERSION ||
	    h->size != size)
		return false;
	for (int i = 0; i < HS_PATCH_TABLES; i++) {
		const struct hs_extent *e = &h->tables[i];

		if (e->at % ALIGN || e->at < sizeof(*h) || e->at > size ||
		    e->count > (size - e->at) / row_size(i))
			return false;
	}
	return true;
}

static bool range_ok(struct hs_range r, __u32 count)
{
	return r.first <= count && r.count <= count - r.first;
}

static bool clusters_ok(const struct http_snapshot *s, const struct http_patch *p)
{
	const struct hs_patch_cluster *rows = rows_of(p, HS_PATCH_CLUSTERS);

	for (__u32 i = 0; i < count_of(p, HS_PATCH_CLUSTERS); i++)
		if (rows[i].row >= hs_count(s, HS_CLUSTERS) || !hs_cluster(s, rows[i].row)->known ||
		    (i && rows[i].row <= rows[i - 1].row) ||
		    !range_ok(rows[i].endpoints, count_of(p, HS_PATCH_ENDPOINTS)) ||
		    rows[i].endpoints_v4 > rows[i].endpoints.count)
			return false;
	return true;
}

static bool endpoints_ok(const struct http_snapshot *s, const struct http_patch *p)
{
	const struct hs_endpoint *rows = rows_of(p, HS_PATCH_ENDPOINTS);

	for (__u32 i = 0; i < count_of(p, HS_PATCH_ENDPOINTS); i++)
		if (rows[i].ingress > hs_count(s, HS_POLICIES))
			return false;
	return true;
}

static bool sources_ok(const struct http_snapshot *s, const struct http_patch *p)
{
	const struct hs_patch_source *rows = rows_of(p, HS_PATCH_SOURCES);

	for (__u32 i = 0; i < count_of(p, HS_PATCH_SOURCES); i++)
		if (!range_ok(rows[i].row.labels, hs_count(s, HS_LABELS)) ||
		    rows[i].row.egress > hs_count(s, HS_POLICIES) || rows[i].gone > 1 ||
		    rows[i].row.peer >= TRAFFIC_PEER_IDS_MAX || rows[i].row.in_mesh > 1 ||
		    !http_is_tracing(s, rows[i].row.tracing) ||
		    (i && compare_addr(&rows[i - 1].row.addr, &rows[i].row.addr) >= 0))
			return false;
	return true;
}

/* Rows of the tables that virtual hosts consist of: those of others are looked up in order. */
static bool may_add(int table)
{
	static const bool may[HS_TABLES] = {
		[HS_BYTES] = true,   [HS_VHOSTS] = true,   [HS_RULES] = true,	[HS_MATCHES] = true,
		[HS_NAMED] = true,   [HS_VALUES] = true,   [HS_LABELS] = true,	[HS_ACTIONS] = true,
		[HS_DESTS] = true,   [HS_OPS] = true,	   [HS_MIRRORS] = true, [HS_CORS] = true,
		[HS_REGEXES] = true, [HS_STATUSES] = true, [HS_PLACES] = true,	[HS_SKIPPED] = true,
	};

	return may[table];
}

/* Endpoints and pods need not be in the rows in which they were: a block may have been packed. */
static bool added_ok(const struct http_snapshot *s, const struct http_patch *p)
{
	bool any = false, behind = true;

	for (int i = 0; i < HS_TABLES; i++) {
		if (count_of(p, HS_PATCH_ROWS + i) && !may_add(i))
			return false;
		any |= count_of(p, HS_PATCH_ROWS + i);
		if (may_add(i) || i == HS_CLUSTERS)
			behind &= header_of(p)->before[i] == hs_count(s, i);
	}
	return behind || !any;
}

/* What takes a place is new, and a place is not taken twice. */
static bool vhosts_ok(const struct http_snapshot *s, const struct http_patch *p)
{
	const struct hs_patch_vhost *rows = rows_of(p, HS_PATCH_VHOSTS);
	__u32 old = hs_count(s, HS_VHOSTS), added = count_of(p, HS_PATCH_ROWS + HS_VHOSTS);

	for (__u32 i = 0; i < count_of(p, HS_PATCH_VHOSTS); i++)
		if (rows[i].row >= old || http_vhost_is_past(s, rows[i].row) || rows[i].now < old ||
		    rows[i].now - old >= added || (i && rows[i].row <= rows[i - 1].row))
			return false;
	return true;
}

/* ---- the chain of them ---- */

static void patch_unref(struct http_patch *p)
{
	while (p && !--p->refs) {
		struct http_patch *before = p->before;

		free(p);
		p = before;
	}
}
DEFINE_CLEANUP(struct http_patch *, patch_unref);

static struct http_patch *last_of(const struct http_snapshot *s)
{
	return s->changes ? s->changes->last : NULL;
}

static int patch_new(const struct http_snapshot *from, const void *bytes, size_t size,
		     struct http_patch **out)
{
	_cleanup_(patch_unrefp) struct http_patch *p = NULL;
	struct http_patch *before = last_of(from);

	if ((uintptr_t)bytes % ALIGN || !extents_ok(bytes, size))
		return -EBADMSG;
	p = malloc(sizeof(*p) + size);
	if (!p)
		return -ENOMEM;
	*p = (struct http_patch){ .refs = 1, .count = 1, .size = size, .sum = size };
	memcpy(p->bytes, bytes, size);
	if (!clusters_ok(from, p) || !endpoints_ok(from, p) || !sources_ok(from, p) ||
	    !added_ok(from, p) || !vhosts_ok(from, p))
		return -EBADMSG;
	if (before) {
		before->refs++;
		p->before = before;
		p->count += before->count;
		p->sum += before->sum;
	}
	*out = TAKE_PTR(p);
	return 0;
}

const void *http_snapshot_patch(const struct http_snapshot *s, const struct http_snapshot *from,
				size_t *size)
{
	const struct http_patch *p = last_of(s);

	if (!p || s->header != from->header || p->before != last_of(from))
		return NULL;
	*size = p->size;
	return p->bytes;
}

const struct hs_patch_cluster *http_patch_clusters(const struct http_snapshot *s, __u32 *count)
{
	const struct http_patch *p = s->changes->last;

	*count = count_of(p, HS_PATCH_CLUSTERS);
	return rows_of(p, HS_PATCH_CLUSTERS);
}

bool http_patch_has_sources(const struct http_snapshot *s)
{
	return count_of(s->changes->last, HS_PATCH_SOURCES);
}

size_t http_snapshot_patches(const struct http_snapshot *s, unsigned *count)
{
	const struct http_patch *p = last_of(s);

	*count = p ? p->count : 0;
	return p ? p->sum : 0;
}

bool http_patches_too_many(const struct http_snapshot *s, unsigned count, size_t size)
{
	return count >= COUNT_MAX || (size > SIZE_FREE && size > s->header->size / SIZE_SHARE);
}

/* ---- what all of them say ---- */

void http_changes_free(struct http_changes *c)
{
	if (!c)
		return;
	patch_unref(c->last);
	free(c->clusters);
	free(c->sources);
	free(c->vhosts);
	free(c);
}
DEFINE_CLEANUP(struct http_changes *, http_changes_free);

static struct http_changed_cluster changed_cluster(const struct http_patch *p, __u32 i)
{
	const struct hs_patch_cluster *row = rows_of(p, HS_PATCH_CLUSTERS);
	const struct hs_endpoint *endpoints = rows_of(p, HS_PATCH_ENDPOINTS);

	row += i;
	return (struct http_changed_cluster){ row->row,
					      { .items = endpoints + row->endpoints.first,
						.count = row->endpoints.count,
						.v4 = row->endpoints_v4,
						.service = row->service_endpoints } };
}

static int merge_clusters(struct http_changes *c, const struct http_changes *old)
{
	__u32 fresh = count_of(c->last, HS_PATCH_CLUSTERS), i = 0;

	c->clusters = malloc((old->cluster_count + fresh + 1) * sizeof(*c->clusters));
	if (!c->clusters)
		return -ENOMEM;
	for (__u32 k = 0; k < fresh; k++) {
		struct http_changed_cluster change = changed_cluster(c->last, k);

		while (i < old->cluster_count && old->clusters[i].row < change.row)
			c->clusters[c->cluster_count++] = old->clusters[i++];
		i += i < old->cluster_count && old->clusters[i].row == change.row;
		c->clusters[c->cluster_count++] = change;
	}
	while (i < old->cluster_count)
		c->clusters[c->cluster_count++] = old->clusters[i++];
	return 0;
}

static int merge_sources(struct http_changes *c, const struct http_changes *old)
{
	__u32 fresh = count_of(c->last, HS_PATCH_SOURCES), i = 0;
	const struct hs_patch_source *rows = rows_of(c->last, HS_PATCH_SOURCES);

	c->sources = malloc((old->source_count + fresh + 1) * sizeof(rows));
	if (!c->sources)
		return -ENOMEM;
	for (__u32 k = 0; k < fresh; k++) {
		int order = -1;

		while (i < old->source_count &&
		       (order = compare_addr(&old->sources[i]->row.addr, &rows[k].row.addr)) < 0)
			c->sources[c->source_count++] = old->sources[i++];
		i += i < old->source_count && !order;
		c->sources[c->source_count++] = &rows[k];
	}
	while (i < old->source_count)
		c->sources[c->source_count++] = old->sources[i++];
	return 0;
}

/* What had taken a place that is taken again is past itself. */
static int merge_vhosts(struct http_changes *c, const struct http_changes *old)
{
	__u32 fresh = count_of(c->last, HS_PATCH_VHOSTS), i = 0;
	const struct hs_patch_vhost *rows = rows_of(c->last, HS_PATCH_VHOSTS);

	c->vhosts = malloc((old->vhost_count + fresh + 1) * sizeof(*rows));
	if (!c->vhosts)
		return -ENOMEM;
	for (__u32 k = 0; k < fresh; k++) {
		while (i < old->vhost_count && old->vhosts[i].row < rows[k].row)
			c->vhosts[c->vhost_count++] = old->vhosts[i++];
		c->vhosts[c->vhost_count++] = rows[k];
	}
	while (i < old->vhost_count)
		c->vhosts[c->vhost_count++] = old->vhosts[i++];
	for (__u32 k = 0; k < c->vhost_count; k++)
		for (__u32 n = 0; n < fresh; n++)
			if (c->vhosts[k].now == rows[n].row)
				c->vhosts[k].now = rows[n].now;
	return 0;
}

static int add_rows(struct http_snapshot *s, const struct http_patch *p)
{
	struct http_part added[HS_TABLES];
	bool any = false;

	for (int i = 0; i < HS_TABLES; i++) {
		added[i] = (struct http_part){ rows_of(p, HS_PATCH_ROWS + i),
					       count_of(p, HS_PATCH_ROWS + i) };
		any |= added[i].count;
	}
	return any ? http_tail_add(s, added) : 0;
}

int http_changes_add(const struct http_snapshot *from, const void *patch, size_t size,
		     struct http_snapshot *s)
{
	static const struct http_changes none;
	const struct http_changes *old = from->changes ? from->changes : &none;
	_cleanup_(http_changes_freep) struct http_changes *c = calloc(1, sizeof(*c));
	int r = c ? patch_new(from, patch, size, &c->last) : -ENOMEM;

	if (!r)
		r = merge_clusters(c, old);
	if (!r)
		r = merge_sources(c, old);
	if (!r)
		r = merge_vhosts(c, old);
	if (!r)
		r = add_rows(s, c->last);
	if (!r)
		s->changes = TAKE_PTR(c);
	return r;
}

/* ---- asking them ---- */

static const struct http_changed_cluster *find_cluster(const struct http_changes *c, __u32 row)
{
	__u32 low = 0, high = c->cluster_count;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;

		if (c->clusters[mid].row == row)
			return &c->clusters[mid];
		if (c->clusters[mid].row < row)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

struct http_members http_members(const struct http_snapshot *s, const struct hs_cluster *c)
{
	const struct http_changed_cluster *changed = NULL;

	if (s->changes)
		changed = find_cluster(s->changes, (__u32)(c - hs_cluster(s, 0)));
	if (changed)
		return changed->members;
	return (struct http_members){ .items = hs_endpoint(s, c->endpoints.first),
				      .count = c->endpoints.count,
				      .v4 = c->endpoints_v4,
				      .service = c->service_endpoints };
}

static const struct hs_patch_vhost *find_vhost(const struct http_changes *c, __u32 row)
{
	__u32 low = 0, high = c ? c->vhost_count : 0;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;

		if (c->vhosts[mid].row == row)
			return &c->vhosts[mid];
		if (c->vhosts[mid].row < row)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

bool http_rules_are_patched(const struct http_snapshot *s)
{
	return s->changes && s->changes->vhost_count;
}

__u32 http_vhost_now(const struct http_snapshot *s, __u32 row)
{
	const struct hs_patch_vhost *past = find_vhost(s->changes, row);

	return past ? past->now : row;
}

bool http_vhost_is_past(const struct http_snapshot *s, __u32 row)
{
	return find_vhost(s->changes, row);
}

const struct hs_patch_source *http_changed_source(const struct http_changes *c,
						  const struct addr *addr)
{
	__u32 low = 0, high = c->source_count;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;
		int order = compare_addr(&c->sources[mid]->row.addr, addr);

		if (!order)
			return c->sources[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
