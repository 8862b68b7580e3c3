/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of peers (weft/traffic.h), in `traffic_peers`.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"

struct adoption {
	struct registry *registry;
	__u32 last;
};

static int adopt_peer(void *arg, const void *key, const void *value)
{
	struct adoption *a = arg;
	const struct traffic_peer *peer = value;
	__u32 id = *(const __u32 *)key;
	int r = registry_adopt(a->registry, REG_PEER, peer->name, id);

	if (r)
		return log_err(r, "take over the id %u of a peer", id);
	if (id > a->last)
		a->last = id;
	return 0;
}

int kernel_adopt_peers(struct kernel *k, struct registry *registry)
{
	struct adoption a = { .registry = registry };
	int r = map_walk(k->loader.map[MAP_TRAFFIC_PEERS], sizeof(__u32),
			 sizeof(struct traffic_peer), adopt_peer, &a);

	k->peers_named = a.last;
	return r;
}

void kernel_name_peers(struct kernel *k, struct registry *registry)
{
	const char *name;

	while ((name = registry_name(registry, REG_PEER, k->peers_named + 1))) {
		__u32 id = k->peers_named + 1;
		struct traffic_peer peer = { 0 };

		snprintf(peer.name, sizeof(peer.name), "%s", name);
		if (bpf_map_update_elem(k->loader.map[MAP_TRAFFIC_PEERS], &id, &peer, BPF_ANY)) {
			log_err(-errno, "write who a peer is into the map traffic_peers");
			return;
		}
		k->peers_named = id;
	}
}
