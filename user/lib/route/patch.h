/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_PATCH_H
#define WEFT_LIB_ROUTE_PATCH_H
/*
 * A change of a snapshot: clusters that have other endpoints, and pods that come, change or go.
 *
 * Endpoints and pods change all the time, rules seldom. A patch says of some clusters and addresses
 * what they are now; what it does not speak of stays. It builds on one snapshot, whose rows it
 * refers to, and is a block of bytes like the snapshot's own. A snapshot is never changed: patched,
 * it is another one, which shares the block, and the patches before, with those that it was made
 * of. What has been patched often is packed (pack.h) into one block again.
 */
#include <stdbool.h>

#include "lib/route/snapshot.h"

enum { HS_PATCH_MAGIC = 0x77656670, HS_PATCH_VERSION = 1 };

enum hs_patch_table { HS_PATCH_CLUSTERS, HS_PATCH_ENDPOINTS, HS_PATCH_SOURCES, HS_PATCH_TABLES };

struct hs_patch_header {
	__u32 magic, version;
	__u32 size; /* of everything, this header included */
	__u32 pad;
	struct hs_extent tables[HS_PATCH_TABLES];
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
};

/* Rows on their way into a patch. */
struct http_patch_rows {
	const struct hs_patch_cluster *clusters;
	const struct hs_endpoint *endpoints;
	const struct hs_patch_source *sources;
	size_t cluster_count, endpoint_count, source_count;
};

/* 0 and malloc'd bytes in *out; -ENOMEM; -E2BIG. */
int http_patch_pack(const struct http_patch_rows *rows, void **out, size_t *size);

/*
 * The snapshot that a patch makes of `from`, on which the caller keeps its own reference. The bytes
 * are copied, having been checked as a whole. 0; -EBADMSG if anything is out of order; -ENOMEM.
 */
int http_snapshot_patched(const struct http_snapshot *from, const void *patch, size_t size,
			  struct http_snapshot **out);
/* The patch that made `s` of `from`, as long as `s` is open; NULL: none did. */
const void *http_snapshot_patch(const struct http_snapshot *s, const struct http_snapshot *from,
				size_t *size);
/* The rows of the patch that made it last. */
const struct hs_patch_cluster *http_patch_clusters(const struct http_snapshot *s, __u32 *count);
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
	__u32 cluster_count, source_count;
};

int http_changes_add(const struct http_snapshot *from, const void *patch, size_t size,
		     struct http_changes **out);
void http_changes_free(struct http_changes *c); /* accepts NULL */
/* NULL: no patch has spoken of it. */
const struct hs_patch_source *http_changed_source(const struct http_changes *c,
						  const struct addr *addr);

#endif
