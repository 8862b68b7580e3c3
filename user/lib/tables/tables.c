// SPDX-License-Identifier: Apache-2.0
#include "lib/tables/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/pool.h"
#include "lib/route/pack.h"

enum { SPARE_ENDPOINTS = 1024 };

struct tables *tables_new(void)
{
	struct tables *t = calloc(1, sizeof(*t));

	for (int i = 0; t && i < TABLES_GROUPS; i++) {
		t->owner[i] = t;
		t->users[i] = 1;
	}
	return t;
}

static void origins_free(struct service_origin *items, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(items[i].skipped);
	free(items);
}

static void rules_free(struct tables *t)
{
	origins_free(t->service_origins.items, t->service_origins.count);
	origins_free(t->unaddressed_origins.items, t->unaddressed_origins.count);
	free(t->services.items);
	free(t->unaddressed.items);
	free(t->rules.items);
	free(t->rule_origins.items);
	free(t->admits.items);
	free(t->routes.items);
	free(t->dests.items);
	free(t->route_names.items);
	free(t->cluster_names.items);
	free(t->namespaces.items);
	free(t->selectors.items);
	free(t->cluster_origins.items);
	free(t->protection.ranges.items);
	free(t->authz.pods.items);
	free(t->authz.rows.items);
	pool_free(t->arena);
}

static void clusters_free(struct tables *t)
{
	free(t->clusters.items);
}

static void endpoints_free(struct tables *t)
{
	free(t->endpoints.items);
	free(t->endpoint_names.items);
}

static void sources_free(struct tables *t)
{
	free(t->sources.items);
	free(t->selected.items);
}

static void http_free(struct tables *t)
{
	http_snapshot_close(t->http);
}

/* The owner stays as long as any of its groups is in use. */
static void release(struct tables *t, enum tables_group group)
{
	static void (*const free_group[])(struct tables *) = { [TABLES_RULES] = rules_free,
							       [TABLES_CLUSTERS] = clusters_free,
							       [TABLES_ENDPOINTS] = endpoints_free,
							       [TABLES_SOURCES] = sources_free,
							       [TABLES_HTTP] = http_free };

	if (--t->users[group])
		return;
	free_group[group](t);
	for (int i = 0; i < TABLES_GROUPS; i++)
		if (t->users[i])
			return;
	free(t);
}

void tables_free(struct tables *t)
{
	struct tables *owner[TABLES_GROUPS];
	bool own = false;

	if (!t)
		return;
	free(t->touched.items);
	memset(&t->touched, 0, sizeof(t->touched));
	memcpy(owner, t->owner, sizeof(owner));
	for (int i = 0; i < TABLES_GROUPS; i++)
		own |= t->users[i];
	if (!own)
		free(t);
	for (int i = 0; i < TABLES_GROUPS; i++)
		release(owner[i], i);
}

struct tables *tables_sharing(struct tables *from)
{
	struct tables *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	*t = *from;
	memset(&t->touched, 0, sizeof(t->touched));
	t->http_routes_before = 0;
	for (int i = 0; i < TABLES_GROUPS; i++) {
		t->users[i] = 0;
		t->owner[i]->users[i]++;
	}
	return t;
}

void tables_part(struct tables *t, enum tables_group group)
{
	release(t->owner[group], group);
	t->owner[group] = t;
	t->users[group] = 1;
	if (group == TABLES_CLUSTERS) {
		memset(&t->clusters, 0, sizeof(t->clusters));
	} else if (group == TABLES_ENDPOINTS) {
		t->endpoints_room = t->endpoints_taken = 0;
		memset(&t->endpoints, 0, sizeof(t->endpoints));
		memset(&t->endpoint_names, 0, sizeof(t->endpoint_names));
	} else if (group == TABLES_HTTP) {
		t->http = NULL;
	} else {
		memset(&t->sources, 0, sizeof(t->sources));
		memset(&t->selected, 0, sizeof(t->selected));
	}
}

void tables_join_sources(struct tables *t, struct tables *from)
{
	t->users[TABLES_SOURCES] = 0;
	t->owner[TABLES_SOURCES] = from->owner[TABLES_SOURCES];
	t->owner[TABLES_SOURCES]->users[TABLES_SOURCES]++;
	memcpy(&t->sources, &from->sources, sizeof(t->sources));
	memcpy(&t->selected, &from->selected, sizeof(t->selected));
}

/* ---- room for more endpoints ---- */

int tables_spare_endpoints(struct tables *t)
{
	size_t room = t->endpoints.count + t->endpoints.count / 2 + SPARE_ENDPOINTS;
	struct endpoint *rows = reallocarray(t->endpoints.items, room, sizeof(*rows));
	const char **names;

	if (!rows)
		return -ENOMEM;
	t->endpoints.items = rows;
	names = reallocarray(t->endpoint_names.items, room, sizeof(*names));
	if (!names)
		return -ENOMEM;
	t->endpoint_names.items = names;
	t->endpoints.room = t->endpoint_names.room = t->endpoints_room = room;
	t->endpoints_taken = t->endpoints.count;
	return 0;
}

bool tables_add_endpoints(struct tables *t, size_t count, __u32 *first)
{
	struct tables *owner = t->owner[TABLES_ENDPOINTS];

	if (owner->endpoints_taken + count > owner->endpoints_room)
		return false;
	*first = (__u32)owner->endpoints_taken;
	owner->endpoints_taken += count;
	t->endpoints.count = t->endpoint_names.count = owner->endpoints_taken;
	return true;
}

/* ---- finding ---- */

const char *tables_namespace(const struct tables *t, __u32 id)
{
	for (size_t i = 0; i < t->namespaces.count; i++)
		if (t->namespaces.items[i].id == id)
			return t->namespaces.items[i].name;
	return NULL;
}

__u32 tables_namespace_id(const struct tables *t, const char *name)
{
	for (size_t i = 0; i < t->namespaces.count; i++)
		if (!strcmp(t->namespaces.items[i].name, name))
			return t->namespaces.items[i].id;
	return 0;
}

const struct kvs *tables_selector(const struct tables *t, __u32 id)
{
	for (size_t i = 0; i < t->selectors.count; i++)
		if (t->selectors.items[i].id == id)
			return &t->selectors.items[i].labels;
	return NULL;
}

static int compare_namespaces(const void *a, const void *b)
{
	const struct namespace_id *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

void tables_order_namespaces(struct tables *t)
{
	if (t->namespaces.count)
		qsort(t->namespaces.items, t->namespaces.count, sizeof(*t->namespaces.items),
		      compare_namespaces);
}

#define SAME(table)                                              \
	(a->table.count == b->table.count &&                     \
	 (!a->table.count || a->table.items == b->table.items || \
	  !memcmp(a->table.items, b->table.items, a->table.count * sizeof(*a->table.items))))

static bool endpoints_same(const struct tables *a, const struct cluster *x, const struct tables *b,
			   const struct cluster *y)
{
	for (__u32 i = 0; i < x->ep_count; i++)
		if (memcmp(&a->endpoints.items[x->ep_first + i],
			   &b->endpoints.items[y->ep_first + i], sizeof(struct endpoint)) != 0)
			return false;
	return true;
}

static bool clusters_same(const struct tables *a, const struct tables *b)
{
	bool shared = a->endpoints.items == b->endpoints.items;

	if (a->clusters.count != b->clusters.count)
		return false;
	if (shared && a->clusters.items == b->clusters.items)
		return true;
	for (size_t i = 0; i < a->clusters.count; i++) {
		const struct cluster *x = &a->clusters.items[i], *y = &b->clusters.items[i];
		struct cluster moved = *y;

		moved.ep_first = x->ep_first;
		if (memcmp(x, &moved, sizeof(moved)) != 0)
			return false;
		if (!(shared && x->ep_first == y->ep_first) && !endpoints_same(a, x, b, y))
			return false;
	}
	return true;
}

/* Field by field: the object that an address is of may be another one by now. */
static bool sources_same(const struct tables *a, const struct tables *b)
{
	if (a->sources.count != b->sources.count)
		return false;
	if (a->sources.items == b->sources.items)
		return true;
	for (size_t i = 0; i < a->sources.count; i++) {
		const struct source_entry *x = &a->sources.items[i], *y = &b->sources.items[i];

		if (memcmp(&x->addr, &y->addr, sizeof(x->addr)) != 0 ||
		    memcmp(&x->value, &y->value, sizeof(x->value)) != 0 ||
		    x->labelled != y->labelled)
			return false;
	}
	return true;
}

static bool protection_same(const struct tables *a, const struct tables *b)
{
	return !memcmp(&a->protection.limits, &b->protection.limits,
		       sizeof(a->protection.limits)) &&
	       SAME(protection.ranges) && SAME(authz.pods) && SAME(authz.rows);
}

bool tables_same(const struct tables *a, const struct tables *b)
{
	return SAME(services) && SAME(rules) && SAME(admits) && SAME(routes) && SAME(dests) &&
	       clusters_same(a, b) && SAME(selected) && SAME(route_names) && SAME(cluster_names) &&
	       sources_same(a, b) && protection_same(a, b) &&
	       a->min_timeout_ms == b->min_timeout_ms && !a->http == !b->http &&
	       (!a->http || http_snapshot_same(a->http, b->http));
}
