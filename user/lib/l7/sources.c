// SPDX-License-Identifier: Apache-2.0
/*
 * Clients: namespaces, and the pods behind addresses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/peer.h"
#include "lib/route/pack.h"

__u32 http_namespace(struct http_compiler *c, const char *name)
{
	__u32 number;

	if (c->patching && !bytemap_str(&c->mesh->namespaces, name)) {
		c->anew = true;
		return 0;
	}
	number = mesh_namespace(c->mesh, name);

	c->mesh->nomem |= !number;
	return number;
}

void http_namespaces_write(struct http_compiler *c)
{
	struct tables *t = c->mesh->t;

	tables_order_namespaces(t);
	for (size_t i = 0; i < t->namespaces.count; i++) {
		const struct namespace_id *from = &t->namespaces.items[i];
		struct hs_namespace row = { .name = http_build_str(&c->build, from->name),
					    .id = from->id };

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
	const struct policy_address *known = policy_classes_at(&c->policies, &from->addr);
	struct hs_source row = { .addr = from->addr,
				 .ns = from->value.ns,
				 .egress = known ? known->egress : 0,
				 .peer = peer_id(c->mesh->registry, from->pod),
				 .in_mesh = !c->mesh->labelled_only || from->labelled,
				 .tracing = (__u16)telemetries_row_made(c->mesh, from->pod) };

	row.labels.first = http_build_count(b, HS_LABELS);
	for (size_t i = 0; i < labels->count && c->labels.count; i++) {
		if (!bytemap_str(&c->labels, labels->items[i].key))
			continue;
		struct hs_label label = { .key = http_build_str(b, labels->items[i].key),
					  .value = http_build_str(b, labels->items[i].value) };

		http_build_add(b, HS_LABELS, &label);
	}
	row.labels.count = http_build_count(b, HS_LABELS) - row.labels.first;
	http_build_add(b, HS_SOURCES, &row);
}

/* Where no rule asks for labels, and Telemetries are the same, the rows are those of the other
 * snapshot. */
static bool sources_are_there(const struct http_compiler *c)
{
	return c->from && !c->labels.count && !hs_count(c->from, HS_LABELS) &&
	       c->mesh->telemetries.kept;
}

static int take_sources(struct http_compiler *c)
{
	struct hs_source *rows;
	size_t count;
	int r = http_snapshot_sources(c->from, &rows, &count);

	if (!r)
		http_build_take(&c->build, HS_SOURCES, rows, count);
	return r;
}

int http_sources_write(struct http_compiler *c)
{
	const struct tables *t = c->mesh->t;
	_cleanup_free_ const struct source_entry **order = NULL;

	c->mesh->asks_labels = c->labels.count;
	if (sources_are_there(c))
		return take_sources(c);
	telemetries_forget(&c->mesh->telemetries);
	order = calloc(t->sources.count + 1, sizeof(struct source_entry *));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->sources.count; i++)
		order[i] = &t->sources.items[i];
	qsort(order, t->sources.count, sizeof(*order), compare_sources);
	for (size_t i = 0; i < t->sources.count; i++)
		write_source(c, order[i]);
	return 0;
}
