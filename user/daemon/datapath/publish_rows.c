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

static int copy(const void **borrowed, void **owned, size_t size)
{
	if (*owned)
		return 0;
	*owned = malloc(size + 1);
	if (!*owned)
		return -ENOMEM;
	if (size)
		memcpy(*owned, *borrowed, size);
	*borrowed = *owned;
	return 0;
}

int rows_own(struct rows *r, const struct inner_layout *in)
{
	int err = r->keys ? copy(&r->keys, &r->own_keys, r->count * in->key_size) : 0;

	return err ? err : copy(&r->values, &r->own_values, r->count * in->value_size);
}

bool rows_equal(const struct rows *a, const struct rows *b, const struct inner_layout *in)
{
	if (a->count != b->count)
		return false;
	if (!a->count)
		return true;
	return (!a->keys || !memcmp(a->keys, b->keys, a->count * in->key_size)) &&
	       !memcmp(a->values, b->values, a->count * in->value_size);
}

void rows_changed(const struct rows *a, const struct rows *b, size_t value_size, size_t *first,
		  size_t *end)
{
	const char *x = a->values, *y = b->values;
	size_t least = a->count < b->count ? a->count : b->count, head = 0, tail = 0;

	while (head < least && !memcmp(x + head * value_size, y + head * value_size, value_size))
		head++;
	while (tail < least - head && !memcmp(x + (a->count - tail - 1) * value_size,
					      y + (b->count - tail - 1) * value_size, value_size))
		tail++;
	*first = head;
	*end = b->count - tail;
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
