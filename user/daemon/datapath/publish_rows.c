/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rows_free(struct rows *r)
{
	free(r->own_keys);
	free(r->own_values);
	*r = (struct rows){};
}

static bool same(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
	return a_count == b_count && (a == b || !a_count || !memcmp(a, b, a_count * size));
}

#define SAME(table)                                                          \
	same(a->table.items, a->table.count, b->table.items, b->table.count, \
	     sizeof(*a->table.items))

bool rows_same(const struct tables *a, const struct tables *b, enum map_id map)
{
	switch (map) {
	case MAP_GEN_SERVICES:
		return SAME(services);
	case MAP_GEN_RULES:
		return SAME(rules);
	case MAP_GEN_ADMITS:
		return SAME(admits);
	case MAP_GEN_ROUTES:
		return SAME(routes);
	case MAP_GEN_DESTS:
		return SAME(dests);
	case MAP_GEN_CLUSTERS:
		return SAME(clusters);
	case MAP_GEN_ENDPOINTS:
		return SAME(endpoints);
	default:
		return false;
	}
}

static int own(struct rows *r, size_t count, size_t key_size, size_t value_size)
{
	r->count = count;
	r->own_keys = calloc(count + 1, key_size);
	r->own_values = calloc(count + 1, value_size);
	r->keys = r->own_keys;
	r->values = r->own_values;
	return r->own_keys && r->own_values ? 0 : -ENOMEM;
}

static int of_array(struct rows *r, const void *items, size_t count)
{
	*r = (struct rows){ .values = items, .count = count };
	return 0;
}

static int of_services(struct rows *r, const struct tables *t)
{
	int err = own(r, t->services.count, sizeof(struct service_key), sizeof(struct service));
	struct service_key *keys = r->own_keys;
	struct service *values = r->own_values;

	for (size_t i = 0; !err && i < t->services.count; i++) {
		keys[i] = t->services.items[i].key;
		values[i] = t->services.items[i].value;
	}
	return err;
}

static int of_sources(struct rows *r, const struct tables *t)
{
	int err = own(r, t->sources.count, sizeof(struct addr), sizeof(struct source));
	struct addr *keys = r->own_keys;
	struct source *values = r->own_values;

	for (size_t i = 0; !err && i < t->sources.count; i++) {
		keys[i] = t->sources.items[i].addr;
		values[i] = t->sources.items[i].value;
	}
	return err;
}

static int of_selected(struct rows *r, const struct tables *t)
{
	int err = own(r, t->selected.count, sizeof(struct selected_key), sizeof(__u8));

	if (err)
		return err;
	memset(r->own_values, 1, t->selected.count);
	r->keys = t->selected.items;
	return 0;
}

int rows_open(struct rows *r, const struct tables *t, enum map_id map)
{
	switch (map) {
	case MAP_GEN_SERVICES:
		return of_services(r, t);
	case MAP_GEN_RULES:
		return of_array(r, t->rules.items, t->rules.count);
	case MAP_GEN_ADMITS:
		return of_array(r, t->admits.items, t->admits.count);
	case MAP_GEN_ROUTES:
		return of_array(r, t->routes.items, t->routes.count);
	case MAP_GEN_DESTS:
		return of_array(r, t->dests.items, t->dests.count);
	case MAP_GEN_CLUSTERS:
		return of_array(r, t->clusters.items, t->clusters.count);
	case MAP_GEN_ENDPOINTS:
		return of_array(r, t->endpoints.items, t->endpoints.count);
	case MAP_GEN_SOURCES:
		return of_sources(r, t);
	case MAP_GEN_SELECTED:
		return of_selected(r, t);
	default:
		return -EINVAL;
	}
}
