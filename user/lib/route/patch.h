/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_PATCH_H
#define WEFT_LIB_ROUTE_PATCH_H
/*
 * A change of a snapshot: clusters that have other endpoints, pods that come, change or go, and
 * virtual hosts that have other rules.
 *
 * A patch says of some clusters, addresses and virtual hosts what they are now; what it does not
 * speak of stays. It builds on one snapshot, whose rows it refers to, and is a block of bytes like
 * the snapshot's own. What a virtual host is made of are rows that the patch adds behind those that
 * there are. A snapshot is never changed: patched, it is another one, which shares the block, and
 * the patches before, with those that it was made of. What has been patched often is packed
 * (pack.h) into one block again; where rules were, it is compiled anew, as rows that no virtual
 * host leads to any more are never used again.
 */
#include <stdbool.h>

#include "lib/route/pack.h"
#include "lib/route/snapshot.h"

enum { HS_PATCH_MAGIC = 0x77656670, HS_PATCH_VERSION = 3 };

enum hs_patch_table {
	HS_PATCH_CLUSTERS,
	HS_PATCH_ENDPOINTS,
	HS_PATCH_SOURCES,
	HS_PATCH_VHOSTS,
	HS_PATCH_ROWS, /* what is added to HS_BYTES; then what is to each of the other tables */
	HS_PATCH_TABLES = HS_PATCH_ROWS + HS_TABLES
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded" /* as rows of a snapshot */

struct hs_patch_header {
	__u32 magic, version;
	__u32 size; /* of everything, this header included */
	__u32 pad;
	struct hs_extent tables[HS_PATCH_TABLES];
	__u32 before[HS_TABLES]; /* rows that there are; counts where any are added */
};

/* Ordered by row. */
struct hs_patch_cluster {
	__u32 row;		   /* of HS_CLUSTERS */
	struct hs_range endpoints; /* of HS_PATCH_ENDPOINTS, rows of struct hs_endpoint */
	__u32 endpoints_v4;
	__u32 service_endpoints;
};

/* Ordered by address. */
struct hs_patch_source {
	struct hs_source row;
	__u32 gone; /* there is no pod at row.addr any more */
	__u32 pad;
};

/* Ordered by row. */
struct hs_patch_vhost {
	__u32 row; /* of HS_VHOSTS; one that is in force */
	__u32 now; /* the row that takes its place */
};

#pragma GCC diagnostic pop

/* Rows on their way into a patch. */
struct http_patch_rows {
	const struct hs_patch_cluster *clusters;
	const struct hs_endpoint *endpoints;
	const struct hs_patch_source *sources;
	size_t cluster_count, endpoint_count, source_count;
	const struct hs_patch_vhost *vhosts;
	size_t vhost_count;
	/* What is added to each table, and behind how many rows; or NULL, both. */
	const struct http_part *added;
	const __u32 *before;
};

/* 0 and malloc'd bytes in *out; -ENOMEM; -E2BIG. */
int http_patch_pack(const struct http_patch_rows *rows, void **out, size_t *size);

/*
 * The snapshot that a patch makes of `from`, on which the caller keeps its own reference. The bytes
 * are copied, having been checked as a whole. 0; -EBADMSG if anything is out of order; -ENOMEM;
 * -E2BIG: no more rows can be added.
 */
int http_snapshot_patched(const struct http_snapshot *from, const void *patch, size_t size,
			  struct http_snapshot **out);
/* The patch that made `s` of `from`, as long as `s` is open; NULL: none did. */
const void *http_snapshot_patch(const struct http_snapshot *s, const struct http_snapshot *from,
				size_t *size);
/* The rows of the patch that made it last. */
const struct hs_patch_cluster *http_patch_clusters(const struct http_snapshot *s, __u32 *count);
/* Whether it speaks of pods. */
bool http_patch_has_sources(const struct http_snapshot *s);
/* Whether virtual hosts have other rules than in the block. */
bool http_rules_are_patched(const struct http_snapshot *s);
/* The row of HS_VHOSTS that has taken the place of `row`, or itself. */
__u32 http_vhost_now(const struct http_snapshot *s, __u32 row);
/* Whether another one has. */
bool http_vhost_is_past(const struct http_snapshot *s, __u32 row);
/* The bytes of all patches since the block was made, and how many there were. */
size_t http_snapshot_patches(const struct http_snapshot *s, unsigned *count);
/* Whether so many patches, of so many bytes, are to be packed: looking things up in them, and
 * keeping them, would cost more than that does. */
bool http_patches_too_many(const struct http_snapshot *s, unsigned count, size_t size);

/* ---- for the parts of this ---- */

/* What a patch has said of a cluster, or an address, last. */
struct http_changed_cluster {
	__u32 row;
	struct http_members members;
};

struct http_changes {
	struct http_patch *last;
	struct http_changed_cluster *clusters;	/* ordered by row */
	const struct hs_patch_source **sources; /* ordered by address */
	struct hs_patch_vhost *vhosts;		/* all that are past, ordered by row */
	__u32 cluster_count, source_count, vhost_count;
};

/* Adds its rows to `s`, too, which is as `from` so far; the caller checks them. */
int http_changes_add(const struct http_snapshot *from, const void *patch, size_t size,
		     struct http_snapshot *s);
/* Makes `s` have the rows behind those that it has. 0, -ENOMEM, -E2BIG. */
int http_tail_add(struct http_snapshot *s, const struct http_part added[HS_TABLES]);
/* `s` has only the rows of `from`: the others' places are free. */
void http_tail_drop(struct http_snapshot *s, const struct http_snapshot *from);
struct http_tail *http_tail_ref(struct http_tail *t); /* accepts NULL */
void http_tail_unref(struct http_tail *t);	      /* accepts NULL */
void http_changes_free(struct http_changes *c);	      /* accepts NULL */
/* NULL: no patch has spoken of it. */
const struct hs_patch_source *http_changed_source(const struct http_changes *c,
						  const struct addr *addr);

#endif
