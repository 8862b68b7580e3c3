/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of names that have vanished. They stay readable from one round to the next but one at
 * most: what a round finds vanished, the next deletes.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "daemon/datapath/counters.h"
#include "daemon/bpf/map_batch.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/route/patch.h"
#include "weft/traffic.h"

enum {
	BUDGET_MS = 20,	  /* the event loop has other work */
	AT_ONCE = 128,	  /* between two readings of the clock */
	SOON_MS = 100,	  /* the next part of a round */
	ROUND_MS = 60000, /* the next round */
};

/* ---- what is in use ---- */

static int use_clusters(struct ids *used, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->clusters.count; i++)
		r = ids_add(used, t->clusters.items[i].id);
	for (__u32 i = 0; r >= 0 && i < http_rows(t, HS_CLUSTERS); i++)
		r = ids_add(used, hs_cluster(t->http, i)->id);
	return r;
}

static int use_cluster_members(struct ids *used, const struct tables *t, const struct cluster *c)
{
	int r = 0;

	for (__u32 i = c->ep_first; r >= 0 && i < c->ep_first + c->ep_count; i++)
		r = ids_add(used, t->endpoints.items[i].id);
	return r;
}

static int use_http_members(struct ids *used, struct http_members m)
{
	int r = 0;

	for (__u32 i = 0; r >= 0 && i < m.count; i++)
		r = ids_add(used, m.items[i].endpoint.id);
	return r;
}

static int use_endpoints(struct ids *used, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->clusters.count; i++)
		r = use_cluster_members(used, t, &t->clusters.items[i]);
	for (__u32 i = 0; r >= 0 && i < http_rows(t, HS_CLUSTERS); i++)
		r = use_http_members(used, http_members(t->http, hs_cluster(t->http, i)));
	return r;
}

static int use_vhost(struct ids *used, const struct http_snapshot *s, const struct hs_vhost *v)
{
	int r = v->plain == HS_NONE ? 0 : ids_add(used, hs_action(s, v->plain)->id);

	for (__u32 i = 0; r >= 0 && i < v->rules.count; i++)
		r = ids_add(used, hs_action(s, hs_rule(s, v->rules.first + i)->action)->id);
	return r;
}

/* Of the virtual hosts in force. */
static int use_http_routes(struct ids *used, const struct http_snapshot *s)
{
	int r = 0;

	for (__u32 i = 0; r >= 0 && i < hs_count(s, HS_VHOSTS); i++)
		if (!http_vhost_is_past(s, i))
			r = use_vhost(used, s, hs_vhost(s, i));
	for (__u32 i = 0; r >= 0 && i < hs_count(s, HS_ADDRESSES); i++)
		r = ids_add(used, hs_action(s, hs_address(s, i)->action)->id);
	for (__u32 i = 0; r >= 0 && i < hs_count(s, HS_SERVERS); i++)
		if (hs_server(s, i)->action != HS_NONE)
			r = ids_add(used, hs_action(s, hs_server(s, i)->action)->id);
	return r;
}

static int use_routes(struct ids *used, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->routes.count; i++)
		r = ids_add(used, t->routes.items[i].id);
	return r < 0 || !t->http ? r : use_http_routes(used, t->http);
}

static int use_dests(struct ids *used, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->routes.count; i++) {
		const struct route *rt = &t->routes.items[i];

		for (__u32 d = rt->dest_first; r >= 0 && d < rt->dest_first + rt->dest_count; d++) {
			struct dest_key key = { rt->id,
						t->clusters.items[t->dests.items[d].cluster].id };

			r = ids_add(used, counters_dest_id(&key));
		}
	}
	return r;
}

/* Ids of clusters that rows of traffic have are not given to others: rows outlive names. Read from
 * memory that weft-proxy writes. */
static int use_traffic(struct ids *used, struct loader *l)
{
	const struct http_traffic *rows = (const struct http_traffic *)l->http_traffic.bytes;
	int r = 0;

	for (__u32 i = 0; r >= 0 && loader_reach_traffic(l, i); i++) {
		__u32 taken = __atomic_load_n(&rows[i].taken, __ATOMIC_ACQUIRE);
		__u32 cluster = __atomic_load_n(&rows[i].key.cluster, __ATOMIC_RELAXED);

		if (i && taken == TRAFFIC_FREE)
			break;
		if ((taken == TRAFFIC_TAKEN || taken == TRAFFIC_LEAVING) && cluster &&
		    cluster < CLUSTER_IDS_MAX)
			r = ids_add(used, cluster);
	}
	return r;
}

/* ---- what must stay ---- */

static bool cluster_busy(const struct loader *l, uint64_t id)
{
	__u32 key = (__u32)(id % CLUSTER_IDS_MAX);
	struct cluster_limit limit;

	return bpf_map_lookup_elem(l->map[MAP_LIMITS], &key, &limit) || limit.steered ||
	       limit.proxied;
}

static bool endpoint_busy(const struct loader *l, uint64_t id)
{
	__u32 key = (__u32)id;
	struct endpoint_stat s;

	return !bpf_map_lookup_elem(l->map[MAP_ENDPOINTS], &key, &s) && s.active;
}

static bool never_busy(const struct loader *l, uint64_t id)
{
	(void)l;
	(void)id;
	return false;
}

static const struct {
	enum map_id map;
	int (*use)(struct ids *used, const struct tables *t); /* negative: -errno */
	bool (*busy)(const struct loader *l, uint64_t id);
} kinds[COUNT_KINDS] = {
	[COUNT_DESTS] = { MAP_DESTS, use_dests, never_busy },
	[COUNT_ROUTES] = { MAP_ROUTES, use_routes, never_busy },
	[COUNT_CLUSTERS] = { MAP_CLUSTERS, use_clusters, cluster_busy },
	[COUNT_ENDPOINTS] = { MAP_ENDPOINTS, use_endpoints, endpoint_busy },
};

/* ---- a round ---- */

/* What had vanished before is due, unless it is in use again; what has vanished since waits. */
static int list_due(struct counter_ids *c, enum counter_kind kind, struct loader *l,
		    const struct tables *t)
{
	_cleanup_(ids_free) struct ids used = {};
	int r = kinds[kind].use(&used, t);
	uint64_t *due = calloc(c->vanished.count + 1, sizeof(*due));
	size_t count = 0;

	if (r >= 0 && kind == COUNT_CLUSTERS)
		r = use_traffic(&used, l);
	free(c->due);
	c->due = due;
	c->due_count = 0;
	if (r < 0 || !due)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; i < c->vanished.room; i++) {
		if (c->vanished.slots[i] && !ids_has(&used, c->vanished.slots[i]))
			due[count++] = c->vanished.slots[i];
	}
	for (size_t i = 0; r >= 0 && i < c->known.room; i++) {
		uint64_t id = c->known.slots[i];

		if (id && !ids_has(&used, id))
			r = ids_add(&c->vanished, id);
	}
	if (r < 0)
		return r;
	c->due_count = count;
	return 0;
}

static int delete_ids(int fd, enum counter_kind kind, const uint64_t *ids, size_t count)
{
	struct dest_key dests[AT_ONCE];
	__u32 keys[AT_ONCE];

	for (size_t i = 0; i < count; i++) {
		dests[i] = (struct dest_key){ (__u32)(ids[i] >> 32), (__u32)ids[i] };
		keys[i] = (__u32)ids[i];
	}
	return kind == COUNT_DESTS ? map_delete(fd, dests, sizeof(*dests), count)
				   : map_delete(fd, keys, sizeof(*keys), count);
}

/* The last few of the list. */
static int delete_some(struct counter_ids *c, enum counter_kind kind, const struct loader *l)
{
	uint64_t ids[AT_ONCE];
	size_t count = 0;
	int r;

	for (int n = 0; n < AT_ONCE && c->due_count; n++) {
		uint64_t id = c->due[--c->due_count];

		if (ids_has(&c->vanished, id) && !kinds[kind].busy(l, id))
			ids[count++] = id;
	}
	r = delete_ids(l->map[kinds[kind].map], kind, ids, count);
	for (size_t i = 0; !r && i < count; i++) {
		ids_remove(&c->vanished, ids[i]);
		ids_remove(&c->known, ids[i]);
	}
	return r;
}

static int forget_kind(struct counters *c, struct loader *l, const struct tables *t, uint64_t end)
{
	struct counter_ids *ids = &c->ids[c->forgetting];
	int r = c->listed ? 0 : list_due(ids, c->forgetting, l, t);

	c->listed = !r;
	while (!r && ids->due_count && clock_ms() < end)
		r = delete_some(ids, c->forgetting, l);
	return r;
}

static bool waits(const struct counters *c)
{
	for (int kind = 0; kind < COUNT_KINDS; kind++) {
		if (c->ids[kind].vanished.count)
			return true;
	}
	return false;
}

int counters_forget(struct counters *c, struct loader *l, const struct tables *t)
{
	uint64_t end = clock_ms() + BUDGET_MS;

	do {
		int r = forget_kind(c, l, t, end);

		if (r)
			return log_err(r, "remove counters of names that are gone");
		if (c->ids[c->forgetting].due_count)
			return SOON_MS;
		c->listed = false;
		c->forgetting = (c->forgetting + 1) % COUNT_KINDS;
		if (!c->forgetting)
			return waits(c) ? ROUND_MS : 0;
	} while (clock_ms() < end);
	return SOON_MS;
}
