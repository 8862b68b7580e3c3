/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_EJECTIONS_H
#define WEFT_DAEMON_API_EJECTIONS_H
/*
 * Which endpoints outlier detection keeps out at the moment, for replies.
 */
#include <time.h>

#include "daemon/api/handlers.h"
#include "lib/base/bytemap.h"
#include "lib/route/snapshot.h"

/* Zero-initialise; free with ejections_free(). */
struct ejections {
	const struct http_snapshot *snapshot; /* borrowed; NULL: nothing is out */
	__u64 now_ms;			      /* CLOCK_MONOTONIC */
	time_t now;
	struct bytemap clusters; /* those with an endpoint that is out, by name */
};

/* Reads what weft-proxy says of the clusters; `s` is the snapshot in force. 0 or -errno. */
int ejections_read(struct weftd *d, const struct http_snapshot *s, struct ejections *out);
void ejections_free(struct ejections *e);

/*
 * An endpoint of a cluster of the snapshot: {"address"}; where the cluster has outlier detection
 * with "ejected", and as long as that is true with "ejected_until" (RFC 3339, UTC) and
 * "ejected_for_s". The caller's; NULL when out of memory.
 */
json_t *ejections_endpoint(struct ejections *e, const struct hs_cluster *c,
			   const struct hs_endpoint *endpoint);
/* Whether any endpoint of that cluster may be out. */
bool ejections_any(struct ejections *e, const struct hs_cluster *c);

#endif
