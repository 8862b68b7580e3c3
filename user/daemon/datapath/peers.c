/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/peers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "daemon/datapath/idle.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

/* ---- those of an earlier weftd ---- */

struct adoption {
	struct registry *registry;
	__u32 last;
	struct peer_list twice; /* ids whose names have others */
};

static int push(struct peer_list *l, __u32 id)
{
	__u32 *slot = table_push(&l->ids);

	if (!slot)
		return -ENOMEM;
	*slot = id;
	return 0;
}

static int adopt_peer(void *arg, const void *key, const void *value)
{
	struct adoption *a = arg;
	const struct traffic_peer *peer = value;
	__u32 id = *(const __u32 *)key;
	int r = registry_adopt(a->registry, REG_PEER, peer->name, id);

	if (r == -EEXIST)
		return push(&a->twice, id);
	if (r)
		return log_err(r, "take over the id %u of a peer", id);
	if (id > a->last)
		a->last = id;
	return 0;
}

static int delete_peers(struct kernel *k, const struct peer_list *l)
{
	return l->ids.count ? map_delete(k->loader.map[MAP_TRAFFIC_PEERS], l->ids.items,
					 sizeof(*l->ids.items), l->ids.count)
			    : 0;
}

int kernel_adopt_peers(struct kernel *k, struct registry *registry)
{
	struct adoption a = { .registry = registry };
	int r = map_walk(k->loader.map[MAP_TRAFFIC_PEERS], sizeof(__u32),
			 sizeof(struct traffic_peer), adopt_peer, &a);

	if (!r && delete_peers(k, &a.twice))
		log_warning("names stay in the map traffic_peers that are no longer of use");
	free(a.twice.ids.items);
	k->peers_named = a.last;
	k->registry = registry;
	return r;
}

/* ---- those that come ---- */

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

/* ---- those that go ---- */

struct review {
	const struct ids *used;
	__u32 told;
	uint64_t now_ms, cutoff_ms;
	TABLE(uint64_t) since; /* of each that is not used */
	struct peer_list *gone;
	int error;
};

static void review_free(struct review *r)
{
	free(r->since.items);
}

/* The mark of a name: since when it is not used, or 0. */
static bool note_idle(void *arg, __u32 id, __u64 *mark)
{
	struct review *r = arg;
	uint64_t *slot;

	if (id > r->told || ids_has(r->used, id)) {
		*mark = 0;
		return true;
	}
	if (!*mark)
		*mark = r->now_ms;
	slot = table_push(&r->since);
	if (slot)
		*slot = *mark;
	else
		r->error = -ENOMEM;
	return true;
}

static bool stays(void *arg, __u32 id, __u64 *mark)
{
	struct review *r = arg;

	if (r->error || !*mark || *mark > r->cutoff_ms)
		return true;
	r->error = push(r->gone, id);
	return r->error;
}

int peers_review(struct registry *registry, const struct ids *used, __u32 told, uint64_t now_ms,
		 struct peer_list *out)
{
	_cleanup_(review_free) struct review r = {
		.used = used, .told = told, .now_ms = now_ms ?: 1, .gone = out
	};
	size_t count = registry_count(registry, REG_PEER), most = idle_room(TRAFFIC_PEERS_MAX);
	uint64_t cutoff;
	int error = registry_review(registry, REG_PEER, note_idle, &r);

	if (error || r.error)
		return error ? error : r.error;
	cutoff = idle_cutoff(r.since.items, r.since.count, count > most ? count - most : 0, now_ms);
	r.cutoff_ms = idle_before(now_ms, IDLE_GONE_MS);
	if (cutoff > r.cutoff_ms)
		r.cutoff_ms = cutoff;
	error = registry_review(registry, REG_PEER, stays, &r);
	return error ? error : r.error;
}

int kernel_forget_peers(struct kernel *k, const struct ids *used, uint64_t now_ms)
{
	struct peer_list gone = { 0 };
	int r = peers_review(k->registry, used, k->peers_named, now_ms, &gone);

	if (!r)
		r = delete_peers(k, &gone);
	free(gone.ids.items);
	return r;
}
