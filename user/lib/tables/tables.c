// SPDX-License-Identifier: Apache-2.0
#include "lib/tables/tables.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/pool.h"
#include "lib/route/pack.h"

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
	free(t->routes.items);
	free(t->dests.items);
	free(t->route_names.items);
	free(t->cluster_names.items);
	free(t->namespaces.items);
	free(t->selectors.items);
	free(t->cluster_origins.items);
	pool_free(t->arena);
}

static void endpoints_free(struct tables *t)
{
	free(t->clusters.items);
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
	if (group == TABLES_ENDPOINTS) {
		memset(&t->clusters, 0, sizeof(t->clusters));
		memset(&t->endpoints, 0, sizeof(t->endpoints));
		memset(&t->endpoint_names, 0, sizeof(t->endpoint_names));
	} else if (group == TABLES_HTTP) {
		t->http = NULL;
	} else {
		memset(&t->sources, 0, sizeof(t->sources));
		memset(&t->selected, 0, sizeof(t->selected));
	}
}

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

/* Field by field: the object that an address is of may be another one by now. */
static bool sources_same(const struct tables *a, const struct tables *b)
{
	if (a->sources.count != b->sources.count)
		return false;
	for (size_t i = 0; i < a->sources.count; i++) {
		const struct source_entry *x = &a->sources.items[i], *y = &b->sources.items[i];

		if (memcmp(&x->addr, &y->addr, sizeof(x->addr)) != 0 ||
		    memcmp(&x->value, &y->value, sizeof(x->value)) != 0 ||
		    x->labelled != y->labelled)
			return false;
	}
	return true;
}

bool tables_same(const struct tables *a, const struct tables *b)
{
	return SAME(services) && SAME(rules) && SAME(routes) && SAME(dests) && SAME(clusters) &&
	       SAME(endpoints) && SAME(selected) && SAME(route_names) && SAME(cluster_names) &&
	       SAME(endpoint_names) && sources_same(a, b) &&
	       a->min_timeout_ms == b->min_timeout_ms && !a->http == !b->http &&
	       (!a->http || http_snapshot_same(a->http, b->http));
}
