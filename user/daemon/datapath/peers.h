/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PEERS_H
#define WEFT_DAEMON_DATAPATH_PEERS_H
/*
 * Names of peers (weft/traffic.h), in the registry and in `traffic_peers`.
 */
#include "lib/base/id_set.h"
#include "lib/base/table.h"
#include "lib/tables/registry.h"

struct kernel;

struct peer_list {
	TABLE(__u32) ids;
};

/* Forgets the names of peers that have not been among those `used` for IDLE_GONE_MS (idle.h), and
 * where room gets short those that have not been for longest, IDLE_SHORT_MS at least. Ids above
 * `told` count as used. To be called some times in IDLE_SHORT_MS. Adds the ids to `out`, to be
 * freed also when it fails: with -ENOMEM. */
int peers_review(struct registry *r, const struct ids *used, __u32 told, uint64_t now_ms,
		 struct peer_list *out);
/* The same, from `traffic_peers`, too. 0, or -errno. */
int kernel_forget_peers(struct kernel *k, const struct ids *used, uint64_t now_ms);

#endif
