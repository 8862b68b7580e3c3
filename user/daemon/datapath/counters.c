/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/counters.h"

#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "lib/base/log.h"

enum { FILL_AT_ONCE = 1024 };

/* ---- what is there ---- */

static int note_u32(void *arg, const void *key, const void *value)
{
	int r = ids_add(arg, *(const __u32 *)key);

	(void)value;
	return r < 0 ? r : 0;
}

uint64_t counters_dest_id(const struct dest_key *k)
{
	return (uint64_t)k->route << 32 | k->cluster;
}

static int note_dest(void *arg, const void *key, const void *value)
{
	int r = ids_add(arg, counters_dest_id(key));

	(void)value;
	return r < 0 ? r : 0;
}

static int note_all(struct counters *c, const struct loader *l)
{
	int r = map_walk(l->map[MAP_CLUSTERS], sizeof(__u32), sizeof(struct cluster_stat), note_u32,
			 &c->ids[COUNT_CLUSTERS].known);

	if (!r)
		r = map_walk(l->map[MAP_ENDPOINTS], sizeof(__u32), sizeof(struct endpoint_stat),
			     note_u32, &c->ids[COUNT_ENDPOINTS].known);
	if (!r)
		r = map_walk(l->map[MAP_ROUTES], sizeof(__u32), sizeof(struct route_stat), note_u32,
			     &c->ids[COUNT_ROUTES].known);
	if (!r)
		r = map_walk(l->map[MAP_DESTS], sizeof(struct dest_key), sizeof(struct dest_stat),
			     note_dest, &c->ids[COUNT_DESTS].known);
	return r;
}

int counters_open(struct counters *c, const struct loader *l)
{
	int r = note_all(c, l);

	return r ? log_err(r, "read the counters") : 0;
}

void counters_free(struct counters *c)
{
	for (int kind = 0; kind < COUNT_KINDS; kind++) {
		ids_free(&c->ids[kind].known);
		ids_free(&c->ids[kind].vanished);
		free(c->ids[kind].due);
	}
}

/* ---- making entries ---- */

/* Entries on their way to a map, written whenever FILL_AT_ONCE have come together. */
struct filler {
	int fd;
	enum map_id map;
	size_t key_size, value_size, count;
	struct counter_ids *ids;
	char *keys, *values;
};

static void filler_free(struct filler *f)
{
	free(f->keys);
	free(f->values);
}

static void filler_open(struct filler *f, const struct loader *l, enum map_id map, size_t key_size,
			size_t value_size)
{
	f->map = map;
	f->fd = l->map[map];
	f->key_size = key_size;
	f->value_size = value_size;
}

/* Most times all entries are there already. */
static int filler_room(struct filler *f)
{
	if (!f->keys)
		f->keys = calloc(FILL_AT_ONCE, f->key_size);
	if (!f->values)
		f->values = calloc(FILL_AT_ONCE, f->value_size);
	return f->keys && f->values ? 0 : -ENOMEM;
}

/* None of them is there then, not even those that were written before the failure. */
static void undo_pending(struct filler *f)
{
	map_delete(f->fd, f->keys, f->key_size, f->count);
	for (size_t i = 0; i < f->count; i++) {
		const void *key = f->keys + i * f->key_size;

		ids_remove(&f->ids->known,
			   f->map == MAP_DESTS ? counters_dest_id(key) : *(const __u32 *)key);
	}
}

static int filler_flush(struct filler *f)
{
	int r = map_fill(f->fd, f->keys, f->key_size, f->values, f->value_size, f->count);

	if (r)
		undo_pending(f);
	f->count = 0;
	if (r == -E2BIG)
		log_err(0, "more %s than their map holds", loader_map_name(f->map));
	else if (r)
		log_err(r, "make counters in the map %s", loader_map_name(f->map));
	return r;
}

/* Room for one more entry with this key, its value zeroed; NULL with *r set if there is nothing to
 * do or on failure. */
static void *filler_next(struct filler *f, uint64_t id, const void *key, int *r)
{
	void *value;

	*r = 0;
	if (f->ids->vanished.count)
		ids_remove(&f->ids->vanished, id);
	if (ids_has(&f->ids->known, id))
		return NULL;
	*r = f->count == FILL_AT_ONCE ? filler_flush(f) : filler_room(f);
	if (!*r)
		*r = ids_add(&f->ids->known, id);
	if (*r <= 0)
		return NULL;
	*r = 0;
	memcpy(f->keys + f->count * f->key_size, key, f->key_size);
	value = f->values + f->count++ * f->value_size;
	memset(value, 0, f->value_size);
	return value;
}

static void copy_name(char *out, size_t size, const char *name)
{
	size_t len = strnlen(name, size - 1);

	memcpy(out, name, len);
	out[len] = 0;
}

static void name_cluster(struct filler *f, __u32 id, const char *name, int *r)
{
	struct cluster_stat *s = filler_next(f, id, &id, r);

	if (s)
		copy_name(s->name, sizeof(s->name), name);
}

int counters_add_clusters(struct counters *c, const struct loader *l, const struct tables *t,
			  bool http)
{
	_cleanup_(filler_free) struct filler f = { .ids = &c->ids[COUNT_CLUSTERS] };
	int r = 0;

	filler_open(&f, l, MAP_CLUSTERS, sizeof(__u32), sizeof(struct cluster_stat));
	for (size_t i = 0; !r && i < t->clusters.count; i++)
		name_cluster(&f, t->clusters.items[i].id, t->cluster_names.items[i], &r);
	for (__u32 i = 0; http && !r && i < http_rows(t, HS_CLUSTERS); i++) {
		const struct hs_cluster *row = hs_cluster(t->http, i);

		name_cluster(&f, row->id, hs_text(t->http, row->name), &r);
	}
	return r ? r : filler_flush(&f);
}

static void name_endpoint(struct filler *f, __u32 id, const char *name, int *r)
{
	struct endpoint_stat *s = filler_next(f, id, &id, r);

	if (s)
		copy_name(s->name, sizeof(s->name), name);
}

static void name_http_endpoint(struct filler *f, const struct endpoint *e, int *r)
{
	struct endpoint_stat *s = filler_next(f, e->id, &e->id, r);
	char name[ADDR_TEXT_MAX];

	if (!s)
		return;
	addr_format_port(&e->addr, e->port, name);
	copy_name(s->name, sizeof(s->name), name);
}

static int name_members(struct filler *f, const struct tables *t, const struct cluster *c)
{
	int r = 0;

	for (__u32 i = c->ep_first; !r && i < c->ep_first + c->ep_count; i++)
		name_endpoint(f, t->endpoints.items[i].id, t->endpoint_names.items[i], &r);
	return r;
}

static void name_http_members(struct filler *f, struct http_members m, int *r)
{
	for (__u32 i = 0; !*r && i < m.count; i++)
		name_http_endpoint(f, &m.items[i].endpoint, r);
}

static int name_touched(struct filler *f, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; !r && i < t->touched.count; i++)
		name_endpoint(f, t->touched.items[i].id, t->touched.items[i].name, &r);
	return r;
}

int counters_add_endpoints(struct counters *c, const struct loader *l, const struct tables *t,
			   bool http)
{
	_cleanup_(filler_free) struct filler f = { .ids = &c->ids[COUNT_ENDPOINTS] };
	int r = 0;

	filler_open(&f, l, MAP_ENDPOINTS, sizeof(__u32), sizeof(struct endpoint_stat));
	for (size_t i = 0; !r && i < t->clusters.count; i++)
		r = name_members(&f, t, &t->clusters.items[i]);
	if (!r && !http)
		r = name_touched(&f, t);
	for (__u32 i = 0; http && !r && i < http_rows(t, HS_CLUSTERS); i++)
		name_http_members(&f, http_members(t->http, hs_cluster(t->http, i)), &r);
	return r ? r : filler_flush(&f);
}

int counters_add_touched(struct counters *c, const struct loader *l, const struct tables *t)
{
	_cleanup_(filler_free) struct filler f = { .ids = &c->ids[COUNT_ENDPOINTS] };
	int r;

	filler_open(&f, l, MAP_ENDPOINTS, sizeof(__u32), sizeof(struct endpoint_stat));
	r = name_touched(&f, t);
	return r ? r : filler_flush(&f);
}

static void name_route(struct filler *f, __u32 id, const char *name, int *r)
{
	struct route_stat *s = filler_next(f, id, &id, r);

	if (s)
		copy_name(s->name, sizeof(s->name), name);
}

int counters_add_routes(struct counters *c, const struct loader *l, const struct tables *t,
			size_t l4, __u32 http)
{
	_cleanup_(filler_free) struct filler f = { .ids = &c->ids[COUNT_ROUTES] };
	int r = 0;

	filler_open(&f, l, MAP_ROUTES, sizeof(__u32), sizeof(struct route_stat));
	for (size_t i = l4; !r && i < t->routes.count; i++)
		name_route(&f, t->routes.items[i].id, t->route_names.items[i], &r);
	for (__u32 i = http; !r && i < http_rows(t, HS_ACTIONS); i++) {
		const struct hs_action *row = hs_action(t->http, i);

		name_route(&f, row->id, hs_text(t->http, row->name), &r);
	}
	return r ? r : filler_flush(&f);
}

static int add_route_dests(struct filler *f, const struct tables *t, size_t route)
{
	const struct route *rt = &t->routes.items[route];
	int r = 0;

	for (__u32 i = rt->dest_first; !r && i < rt->dest_first + rt->dest_count; i++) {
		__u32 cluster = t->dests.items[i].cluster;
		struct dest_key key = { rt->id, t->clusters.items[cluster].id };
		struct dest_stat *s = filler_next(f, counters_dest_id(&key), &key, &r);

		if (!s)
			continue;
		copy_name(s->route, sizeof(s->route), t->route_names.items[route]);
		copy_name(s->cluster, sizeof(s->cluster), t->cluster_names.items[cluster]);
	}
	return r;
}

int counters_add_dests(struct counters *c, const struct loader *l, const struct tables *t)
{
	_cleanup_(filler_free) struct filler f = { .ids = &c->ids[COUNT_DESTS] };
	int r = 0;

	filler_open(&f, l, MAP_DESTS, sizeof(struct dest_key), sizeof(struct dest_stat));
	for (size_t i = 0; !r && i < t->routes.count; i++)
		r = add_route_dests(&f, t, i);
	return r ? r : filler_flush(&f);
}
