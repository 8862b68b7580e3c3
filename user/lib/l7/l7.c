// SPDX-License-Identifier: Apache-2.0
#include "lib/l7/l7.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/route/regex.h"

__u32 http_namespace(struct http_compiler *c, const char *name)
{
	__u32 number = world_namespace(c->world, name);

	c->world->nomem |= !number;
	return number;
}

/* The world's numbers are those of the snapshot. */
static void write_namespaces(struct http_compiler *c)
{
	for (size_t i = 0; i < c->world->t->namespaces.count; i++) {
		struct hs_namespace row = { .name = http_build_str(
						    &c->build, c->world->t->namespaces.items[i]) };

		http_build_add(&c->build, HS_NAMESPACES, &row);
	}
}

static int compare_sources(const void *a, const void *b)
{
	const struct source_entry *const *x = a, *const *y = b;

	return memcmp(&(*x)->addr, &(*y)->addr, sizeof(struct addr));
}

static void write_source(struct http_compiler *c, const struct source_entry *from)
{
	const struct kvs *labels = &from->pod->meta.labels;
	struct http_build *b = &c->build;
	struct hs_source row = { .addr = from->addr, .ns = from->value.ns };

	row.labels = (struct hs_range){ http_build_count(b, HS_LABELS), labels->count };
	for (size_t i = 0; i < labels->count; i++) {
		struct hs_label label = { .key = http_build_str(b, labels->items[i].key),
					  .value = http_build_str(b, labels->items[i].value) };

		http_build_add(b, HS_LABELS, &label);
	}
	http_build_add(b, HS_SOURCES, &row);
}

static int write_sources(struct http_compiler *c)
{
	const struct tables *t = c->world->t;
	_cleanup_free_ const struct source_entry **order =
		calloc(t->sources.count + 1, sizeof(struct source_entry *));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->sources.count; i++)
		order[i] = &t->sources.items[i];
	qsort(order, t->sources.count, sizeof(*order), compare_sources);
	for (size_t i = 0; i < t->sources.count; i++)
		write_source(c, order[i]);
	return 0;
}

static int compile_all(struct http_compiler *c)
{
	int r;

	http_check(c);
	http_claim_names(c);
	r = world_sources(c->world);
	if (!r)
		r = http_compile_mesh(c);
	if (!r)
		r = http_compile_gateways(c);
	if (!r)
		r = http_listeners_write(c);
	if (!r)
		r = write_sources(c);
	write_namespaces(c);
	if (!r && c->world->nomem)
		r = -ENOMEM;
	return r;
}

static void compiler_done(struct http_compiler *c)
{
	world_done(c->world);
	http_build_done(&c->build);
	bytemap_free(&c->clusters);
	bytemap_free(&c->names);
	bytemap_free(&c->plains);
	bytemap_free(&c->seen);
	free(c->domains.items);
	errors_free(&c->scratch);
}

int http_compile(const struct objects *objects, struct registry *registry, void **out, size_t *size,
		 struct errors *errors)
{
	_cleanup_(compiler_done) struct http_compiler c = { .errors = errors };
	size_t before = errors->count - errors->warnings;
	int r = http_build_init(&c.build);

	if (!r)
		r = world_init(&c.world, objects, registry, &c.scratch);
	if (!r)
		r = compile_all(&c);
	if (r)
		return r;
	if (errors->count - errors->warnings > before)
		return -EINVAL;
	return http_build_finish(&c.build, out, size);
}
