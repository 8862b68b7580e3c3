// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/host_index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/mesh/mesh.h"

int host_index_add(struct mesh *mesh, struct host_index *x, const char *host,
		   const struct object *o)
{
	size_t len = strlen(host);
	struct hosted *hosted = bytemap_get(&x->map, host, len);

	if (!hosted) {
		void **at;

		hosted = pool_alloc(&mesh->pool, sizeof(*hosted));
		if (!hosted)
			return -ENOMEM;
		hosted->host = pool_copy(&mesh->pool, host, len);
		at = hosted->host ? bytemap_at(&x->map, hosted->host, len) : NULL;
		if (!at)
			return -ENOMEM;
		*at = hosted;
	}
	if (host_is_wildcard(host) && len < HOST_MAX) {
		x->lengths[len] = true;
		x->wildcards = true;
	}
	/* One name in two spellings. */
	if (hosted->refs.count && hosted->refs.items[hosted->refs.count - 1] == o)
		return 0;
	return refs_add(&mesh->pool, &hosted->refs, o);
}

struct host_iter host_iter(struct host_index *index, const char *host)
{
	size_t len = strlen(host);

	/* A wildcard of the name's own length plus one is `*name`; the name itself comes before all
	 * of them. */
	return (struct host_iter){ .index = index, .host = host, .len = len, .next = len + 2 };
}

const struct hosted *host_iter_next(struct host_iter *it)
{
	struct host_index *x = it->index;
	char wildcard[HOST_MAX];

	if (it->next == it->len + 2) {
		struct hosted *exact = bytemap_get(&x->map, it->host, it->len);

		it->next = x->wildcards && it->len + 1 < HOST_MAX ? it->len + 1 : 0;
		if (exact)
			return exact;
	}
	while (it->next) {
		size_t len = it->next--;
		struct hosted *found;

		if (!x->lengths[len])
			continue;
		wildcard[0] = '*';
		memcpy(wildcard + 1, it->host + it->len - (len - 1), len - 1);
		found = bytemap_get(&x->map, wildcard, len);
		if (found && !str_eq(found->host, it->host))
			return found;
	}
	return NULL;
}

void host_index_mark(struct host_index *x, const char *name)
{
	struct host_iter it = host_iter(x, name);
	struct hosted *hosted;

	while ((hosted = (struct hosted *)host_iter_next(&it)))
		hosted->has_service = true;
}

bool hosted_before(const struct host_iter *it, const struct hosted *at, const struct object *o)
{
	char name[HOST_MAX];

	if (!host_is_wildcard(at->host))
		return false;
	for (size_t i = 0; i < o->vs.hosts.count; i++) {
		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, name) ||
		    !host_includes(name, it->host))
			continue;
		if (!host_is_wildcard(name) || strlen(name) > strlen(at->host))
			return true;
	}
	return false;
}

/* ---- what is seen ---- */

/* What the VirtualServices of a host and a namespace are. */
enum shelf {
	SHELF_SHOWN = 's', /* the namespace is named as one that sees them */
	SHELF_OWN = 'o',   /* they are in the namespace */
};

enum { KEY_MAX = 2 * HOST_MAX };

/* Returns the length; 0 if it does not fit: there is no such namespace, then. */
static size_t list_key(char out[KEY_MAX], enum shelf shelf, const char *host, const char *ns)
{
	int n = snprintf(out, KEY_MAX, "%c%s/%s", shelf, ns, host);

	return n < KEY_MAX ? (size_t)n : 0;
}

static struct ranks *list_at(struct host_index *x, enum shelf shelf, const char *host,
			     const char *ns)
{
	char key[KEY_MAX];

	return bytemap_get(&x->lists, key, list_key(key, shelf, host, ns));
}

static struct ranks *list_make(struct mesh *mesh, struct host_index *x, enum shelf shelf,
			       const char *host, const char *ns)
{
	struct ranks *list = list_at(x, shelf, host, ns);
	char key[KEY_MAX], *copy;
	size_t len = list_key(key, shelf, host, ns);
	void **at;

	if (list)
		return list;
	list = pool_alloc(&mesh->pool, sizeof(*list));
	copy = list ? pool_copy(&mesh->pool, key, len) : NULL;
	at = copy ? bytemap_at(&x->lists, copy, len) : NULL;
	if (at)
		*at = list;
	return at ? list : NULL;
}

static int ranks_push(struct mesh *mesh, struct ranks *list, size_t rank)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 2;
		size_t *items = pool_alloc(&mesh->pool, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		if (list->count)
			memcpy(items, list->items, list->count * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = rank;
	return 0;
}

static bool has_rules(const struct virtual_service *vs, int traffic)
{
	return traffic == TRAFFIC_HTTP ? vs->http.count : vs->tcp.count || vs->tls.count;
}

/* Adds the one that came last at the host. */
static int list_add(struct mesh *mesh, const struct hosted *hosted, struct ranks *list)
{
	size_t rank = hosted->refs.count - 1;
	const struct object *o = hosted->refs.items[rank];

	if (!list)
		return -ENOMEM;
	/* exportTo says it twice, or the host is there in two spellings. */
	if (list->count && list->items[list->count - 1] == rank)
		return 0;
	for (int i = 0; i < TRAFFIC_MAX; i++)
		if (!list->oldest[i] && has_rules(&o->vs, i))
			list->oldest[i] = rank + 1;
	return ranks_push(mesh, list, rank);
}

static const char *exported_to(const struct object *o, size_t i)
{
	const char *to = o->vs.export_to.items[i];

	return strcmp(to, ".") ? to : o->meta.namespace;
}

int host_index_show(struct mesh *mesh, struct host_index *x, const char *host)
{
	struct hosted *hosted = bytemap_str(&x->map, host);
	const struct object *o = hosted->refs.items[hosted->refs.count - 1];
	const char *ns = o->meta.namespace;
	int r = list_add(mesh, hosted, &hosted->all);

	if (!r)
		r = list_add(mesh, hosted, list_make(mesh, x, SHELF_OWN, host, ns));
	if (!r && export_visible(&o->vs.export_to, ns, NULL))
		return list_add(mesh, hosted, &hosted->exported);
	for (size_t i = 0; i < o->vs.export_to.count && !r; i++)
		r = list_add(mesh, hosted,
			     list_make(mesh, x, SHELF_SHOWN, host, exported_to(o, i)));
	return r;
}

struct visible hosted_visible(struct host_index *x, const struct hosted *hosted, const char *client)
{
	struct visible v = { .lists = { &hosted->exported } };

	if (client)
		v.lists[1] = list_at(x, SHELF_SHOWN, hosted->host, client);
	return v;
}

bool visible_next(struct visible *v, size_t *index)
{
	int from = -1;

	for (int i = 0; i < 2; i++) {
		const struct ranks *list = v->lists[i];

		if (!list || v->next[i] == list->count)
			continue;
		if (from < 0 || list->items[v->next[i]] < *index) {
			from = i;
			*index = list->items[v->next[i]];
		}
	}
	if (from < 0)
		return false;
	v->next[from]++;
	return true;
}

/* The older of `best` and the list's oldest with rules for the same traffic as `o` (+ 1; 0: none).
 */
static size_t older(size_t best, const struct ranks *list, const struct object *o)
{
	for (int i = 0; list && i < TRAFFIC_MAX; i++)
		if (has_rules(&o->vs, i) && list->oldest[i] && (!best || list->oldest[i] < best))
			best = list->oldest[i];
	return best;
}

const struct object *hosted_older(struct host_index *x, const char *host, const struct object *o)
{
	const struct hosted *hosted = bytemap_str(&x->map, host);
	const struct object *found;
	size_t best;

	if (!hosted)
		return NULL;
	best = older(0, &hosted->exported, o);
	best = older(best, list_at(x, SHELF_SHOWN, host, o->meta.namespace), o);
	if (export_visible(&o->vs.export_to, o->meta.namespace, NULL))
		best = older(best, &hosted->all, o);
	else
		for (size_t i = 0; i < o->vs.export_to.count; i++)
			best = older(best, list_at(x, SHELF_OWN, host, exported_to(o, i)), o);
	found = best ? hosted->refs.items[best - 1] : NULL;
	return found != o ? found : NULL;
}
