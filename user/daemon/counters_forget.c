/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>

#include "cleanup.h"
#include "counters.h"
#include "counters_map.h"
#include "log.h"

/* Ids of vanished names. */
struct vanished {
	struct ids used;
	const struct ids *known;
	struct {
		uint64_t *items;
		size_t count;
	} list;
};

static void vanished_free(struct vanished *v)
{
	ids_free(&v->used);
	free(v->list.items);
}

static int list_vanished(struct vanished *v)
{
	v->list.items = calloc(v->known->count + 1, sizeof(*v->list.items));
	if (!v->list.items)
		return -ENOMEM;
	for (size_t i = 0; i < v->known->room; i++) {
		uint64_t id = v->known->slots[i];

		if (id && !ids_has(&v->used, id))
			v->list.items[v->list.count++] = id;
	}
	return 0;
}

static bool cluster_busy(int fd, __u32 id)
{
	struct cluster_stat s;

	return !bpf_map_lookup_elem(fd, &id, &s) && s.active;
}

static bool endpoint_busy(int fd, __u32 id)
{
	struct endpoint_stat s;

	return !bpf_map_lookup_elem(fd, &id, &s) && s.active;
}

static bool never_busy(int fd, __u32 id)
{
	(void)fd;
	(void)id;
	return false;
}

/* Deletes the listed entries, whose keys are these. */
static int delete_all(int fd, struct ids *known, const struct vanished *v, const void *keys,
		      size_t key_size)
{
	int r = map_delete(fd, keys, key_size, v->list.count);

	for (size_t i = 0; !r && i < v->list.count; i++)
		ids_remove(known, v->list.items[i]);
	return r;
}

static int forget_u32(int fd, struct ids *known, struct vanished *v, bool (*busy)(int fd, __u32 id))
{
	_cleanup_free_ __u32 *keys = NULL;
	int r = list_vanished(v);
	size_t idle = 0;

	if (r || !v->list.count)
		return r;
	keys = calloc(v->list.count, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < v->list.count; i++) {
		__u32 id = (__u32)v->list.items[i];

		if (busy(fd, id))
			continue;
		v->list.items[idle] = id;
		keys[idle++] = id;
	}
	v->list.count = idle;
	return delete_all(fd, known, v, keys, sizeof(*keys));
}

static int forget_clusters(struct counters *c, int fd, const struct tables *t)
{
	_cleanup_(vanished_free) struct vanished v = { .known = &c->clusters };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->clusters.count; i++)
		r = ids_add(&v.used, t->clusters.items[i].id);
	return r < 0 ? r : forget_u32(fd, &c->clusters, &v, cluster_busy);
}

static int forget_endpoints(struct counters *c, int fd, const struct tables *t)
{
	_cleanup_(vanished_free) struct vanished v = { .known = &c->endpoints };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->endpoints.count; i++)
		r = ids_add(&v.used, t->endpoints.items[i].id);
	return r < 0 ? r : forget_u32(fd, &c->endpoints, &v, endpoint_busy);
}

static int forget_routes(struct counters *c, int fd, const struct tables *t)
{
	_cleanup_(vanished_free) struct vanished v = { .known = &c->routes };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->routes.count; i++)
		r = ids_add(&v.used, t->routes.items[i].id);
	return r < 0 ? r : forget_u32(fd, &c->routes, &v, never_busy);
}

static int use_dests(struct vanished *v, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->routes.count; i++) {
		const struct route *rt = &t->routes.items[i];

		for (__u32 d = rt->dest_first; r >= 0 && d < rt->dest_first + rt->dest_count; d++) {
			struct dest_key key = { rt->id,
						t->clusters.items[t->dests.items[d].cluster].id };

			r = ids_add(&v->used, counters_dest_id(&key));
		}
	}
	return r < 0 ? r : 0;
}

static int forget_dests(struct counters *c, int fd, const struct tables *t)
{
	_cleanup_(vanished_free) struct vanished v = { .known = &c->dests };
	_cleanup_free_ struct dest_key *keys = NULL;
	int r = use_dests(&v, t);

	if (!r)
		r = list_vanished(&v);
	if (r || !v.list.count)
		return r;
	keys = calloc(v.list.count, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < v.list.count; i++)
		keys[i] =
			(struct dest_key){ (__u32)(v.list.items[i] >> 32), (__u32)v.list.items[i] };
	return delete_all(fd, &c->dests, &v, keys, sizeof(*keys));
}

int counters_forget(struct counters *c, const struct loader *l, const struct tables *t)
{
	int r = forget_dests(c, l->map[MAP_DESTS], t);

	if (!r)
		r = forget_routes(c, l->map[MAP_ROUTES], t);
	if (!r)
		r = forget_clusters(c, l->map[MAP_CLUSTERS], t);
	if (!r)
		r = forget_endpoints(c, l->map[MAP_ENDPOINTS], t);
	return r ? log_err(r, "remove counters of names that are gone") : 0;
}
