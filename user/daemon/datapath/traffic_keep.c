// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/traffic_keep.h"

#include <errno.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "daemon/datapath/peers.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/route/pack.h"

enum { ROUND_MS = 60000 };

static int note_found(void *arg, const void *key, const void *value)
{
	return tcp_ledger_found(arg, key, value);
}

int traffic_keep_open(struct kernel *k)
{
	int r = map_walk(k->loader.map[MAP_TCP_TRAFFIC], sizeof(struct tcp_traffic_key),
			 sizeof(struct tcp_traffic), note_found, &k->ledger);

	return r ? log_err(r, "read the map tcp_traffic") : 0;
}

void traffic_keep_free(struct traffic_keep *t)
{
	http_rows_free(&t->rows);
}

/* Peers that the rules in force have, with what patches have changed. 0 or -ENOMEM. */
static int add_known(struct ids *out, const struct tables *t)
{
	_cleanup_free_ struct hs_source *rows = NULL;
	size_t count = 0;
	int r = t->http ? http_snapshot_sources(t->http, &rows, &count) : 0;

	for (size_t i = 0; r >= 0 && i < count; i++)
		r = rows[i].peer ? ids_add(out, rows[i].peer) : 0;
	if (r >= 0 && t->http && t->http->header->gateway_peer)
		r = ids_add(out, t->http->header->gateway_peer);
	return r < 0 ? r : 0;
}

/* How many rows there are up to the first that was never taken. */
static __u32 count_rows(struct loader *l)
{
	const struct http_traffic *rows = (const struct http_traffic *)l->http_traffic.bytes;
	__u32 i = 0;

	while (loader_reach_traffic(l, i) &&
	       (!i || __atomic_load_n(&rows[i].taken, __ATOMIC_ACQUIRE) != TRAFFIC_FREE))
		i++;
	return i;
}

static bool is_gone(void *known, __u32 peer)
{
	return !ids_has(known, peer);
}

/* Without a snapshot it is not known which pods there are. */
static bool is_none_gone(void *known, __u32 peer)
{
	(void)known;
	(void)peer;
	return false;
}

static int keep(struct kernel *k, uint64_t now)
{
	struct http_traffic *rows = (struct http_traffic *)k->loader.http_traffic.bytes;
	_cleanup_(ids_free) struct ids peers = {};
	__u32 count = count_rows(&k->loader);
	const struct tables *t = k->published.tables;
	bool (*gone)(void *known, __u32 peer) = t->http ? is_gone : is_none_gone;
	int r = add_known(&peers, t);

	if (!r)
		r = http_rows_round(&k->traffic_keep.rows, rows, count, now, gone, &peers);
	if (r > 0)
		log_debug("%d rows of the map http_traffic are free again", r);
	if (r >= 0)
		r = tcp_ledger_forget(&k->ledger, now, gone, &peers);
	if (!r)
		r = http_rows_peers(rows, count, &peers);
	if (!r)
		r = tcp_ledger_peers(&k->ledger, &peers);
	return r ? r : kernel_forget_peers(k, &peers, now);
}

void traffic_keep(struct kernel *k)
{
	uint64_t now = clock_ms();
	int r;

	if (now < k->traffic_keep.due_ms || !k->registry || !k->published.tables)
		return;
	k->traffic_keep.due_ms = now + ROUND_MS;
	r = keep(k, now);
	if (r)
		log_err(r, "give back what was kept of traffic");
}
