// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/telemetries.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "lib/mesh/mesh.h"

/* A namespace with Telemetries. */
struct space {
	struct refs refs;	    /* oldest first */
	const struct object *whole; /* for all of it; NULL: none is */
	struct tracing tracing;	    /* of pods that no selector holds for */
	__u32 row;		    /* of that */
	__u32 *rows;		    /* of refs, each of them alone beside what holds for all */
};

/* ---- what they say ---- */

static void apply_rule(struct tracing *t, const struct tracing_rule *r)
{
	if (r->sampling_given && r->modes & TRACING_CLIENT)
		t->sampling = (unsigned)lround(r->percentage * SAMPLING_ALL / 100);
	if (r->disabled_given)
		t->told = r->disabled ? t->told & ~r->modes : t->told | r->modes;
	if (!r->tags.count)
		return;
	t->tags = r->tags.items;
	t->tag_count = r->tags.count;
}

static void apply(struct tracing *t, const struct object *o)
{
	for (size_t i = 0; o && i < o->telemetry.tracing.count; i++)
		apply_rule(t, &o->telemetry.tracing.items[i]);
}

/* ---- rows ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_tags(const struct tracing *a, const struct tracing *b)
{
	bool same = a->tag_count == b->tag_count;

	for (size_t i = 0; i < a->tag_count && same && a->tags != b->tags; i++) {
		const struct tracing_tag *x = &a->tags[i], *y = &b->tags[i];

		same = same_text(x->name, y->name) && same_text(x->literal, y->literal) &&
		       same_text(x->header, y->header) &&
		       same_text(x->default_value, y->default_value);
	}
	return same;
}

/* -1: out of memory. `from`: without a place to tell them nothing is told of spans. */
static int row_of(struct mesh *mesh, struct tracing from)
{
	struct telemetries *t = &mesh->telemetries;
	struct tracing *row;

	if (!mesh->tracing.told)
		from.told = 0;
	for (size_t i = 0; i < t->rows.count; i++) {
		const struct tracing *at = &t->rows.items[i];

		if (at->sampling == from.sampling && at->told == from.told && same_tags(at, &from))
			return (int)i;
	}
	row = table_push(&t->rows);
	if (!row)
		return -1;
	*row = from;
	return (int)(t->rows.count - 1);
}

static int find_row(struct mesh *mesh, const struct tracing *from, __u32 *out)
{
	int row = row_of(mesh, *from);

	*out = row < 0 ? 0 : (__u32)row;
	return row < 0 ? -ENOMEM : 0;
}

/* ---- the index ---- */

static int add(struct telemetries *t, const struct object *o)
{
	struct space *space = bytemap_str(&t->by_namespace, o->meta.namespace);

	if (!space) {
		const char *key = pool_copy(&t->pool, o->meta.namespace, strlen(o->meta.namespace));
		void **at = key ? bytemap_at(&t->by_namespace, key, strlen(key)) : NULL;

		if (!at)
			return -ENOMEM;
		*at = space = pool_alloc(&t->pool, sizeof(*space));
		if (!space)
			return -ENOMEM;
	}
	return refs_add(&t->pool, &space->refs, o);
}

static bool has_selector(const struct object *o)
{
	return o->telemetry.selector.count;
}

static int settle_space(struct telemetries *t, struct space *space)
{
	int r = sort_by_age(&space->refs);

	space->rows = pool_alloc(&t->pool, (space->refs.count + 1) * sizeof(*space->rows));
	if (r || !space->rows)
		return -ENOMEM;
	for (size_t i = 0; i < space->refs.count && !space->whole; i++)
		if (!has_selector(space->refs.items[i]))
			space->whole = space->refs.items[i];
	return 0;
}

/* What holds for all of it, and each of those with a selector beside that. The mesh's own, which is
 * the root namespace's, makes no difference a second time. */
static int number_space(struct mesh *mesh, struct space *space)
{
	int r;

	space->tracing = mesh->telemetries.mesh;
	apply(&space->tracing, space->whole);
	r = find_row(mesh, &space->tracing, &space->row);
	for (size_t i = 0; i < space->refs.count && !r; i++) {
		struct tracing with = space->tracing;

		if (!has_selector(space->refs.items[i]))
			continue;
		apply(&with, space->refs.items[i]);
		r = find_row(mesh, &with, &space->rows[i]);
	}
	return r;
}

static bool selects(const struct object *o, const struct kvs *labels)
{
	return has_selector(o) && labels_hold(labels, &o->telemetry.selector);
}

/* How many selectors hold. *first: the oldest one's place. */
static size_t count_selected(const struct space *space, const struct kvs *labels, size_t *first)
{
	size_t count = 0;

	for (size_t i = space->refs.count; i--;) {
		if (!selects(space->refs.items[i], labels))
			continue;
		*first = i;
		count++;
	}
	return count;
}

/* What holds where all of them do. */
static struct tracing merged(const struct space *space, const struct kvs *labels)
{
	struct tracing all = space->tracing;

	for (size_t i = 0; i < space->refs.count; i++)
		if (selects(space->refs.items[i], labels))
			apply(&all, space->refs.items[i]);
	return all;
}

/* As Istio's own installation has it. */
static int number_gateway(struct mesh *mesh, struct space *root)
{
	struct kv labels[] = { { .key = "app", .value = "istio-ingressgateway" },
			       { .key = "istio", .value = "ingressgateway" } };
	const struct kvs gateway = { labels, sizeof(labels) / sizeof(*labels) };
	struct tracing all;

	if (!root)
		return 0;
	all = merged(root, &gateway);
	return find_row(mesh, &all, &mesh->telemetries.gateway);
}

static int number(struct mesh *mesh)
{
	struct telemetries *t = &mesh->telemetries;
	struct space *root = bytemap_str(&t->by_namespace, ROOT_NAMESPACE);
	__u32 first;
	int r;

	t->mesh = (struct tracing){ .sampling = mesh->tracing.sampling, .told = TRACING_BOTH };
	apply(&t->mesh, root ? root->whole : NULL);
	r = find_row(mesh, &t->mesh, &first);
	for (size_t i = 0; i < t->by_namespace.count && !r; i++)
		r = number_space(mesh, t->by_namespace.entries[i].value);
	if (!r)
		r = number_gateway(mesh, root);
	t->fixed = t->rows.count;
	return r;
}

int telemetries_index(struct mesh *mesh)
{
	struct telemetries *t = &mesh->telemetries;
	int r = 0;

	for (size_t i = 0; i < mesh->rules.count && !r; i++)
		if (mesh->rules.items[i]->kind == KIND_TELEMETRY)
			r = add(t, mesh->rules.items[i]);
	for (size_t i = 0; i < t->by_namespace.count && !r; i++)
		r = settle_space(t, t->by_namespace.entries[i].value);
	return r ? r : number(mesh);
}

void telemetries_free(struct telemetries *t)
{
	bytemap_free(&t->by_namespace);
	pool_free(t->pool);
	free(t->rows.items);
	*t = (struct telemetries){ 0 };
}

/* ---- answers ---- */

/* NULL: it is as the mesh has it. */
static const struct space *space_of(struct telemetries *t, const struct object *pod)
{
	return bytemap_str(&t->by_namespace, pod->meta.namespace);
}

bool telemetries_row(struct telemetries *t, const struct object *pod, __u32 *row)
{
	const struct space *space = space_of(t, pod);
	size_t first = 0, count = 0;

	if (space && !pod->pod.labels_unknown)
		count = count_selected(space, &pod->meta.labels, &first);
	*row = !space ? 0 : !count ? space->row : space->rows[first];
	return count < 2;
}

__u32 telemetries_row_made(struct mesh *mesh, const struct object *pod)
{
	struct tracing all;
	__u32 row;

	if (telemetries_row(&mesh->telemetries, pod, &row))
		return row;
	all = merged(space_of(&mesh->telemetries, pod), &pod->meta.labels);
	if (find_row(mesh, &all, &row))
		mesh->nomem = true;
	return row;
}

void telemetries_forget(struct telemetries *t)
{
	t->rows.count = t->fixed;
}

bool telemetries_are_combined(const struct telemetries *t)
{
	return t->rows.count > t->fixed;
}

const struct object *telemetries_older(struct telemetries *t, const struct object *telemetry)
{
	const struct space *space = bytemap_str(&t->by_namespace, telemetry->meta.namespace);

	return has_selector(telemetry) || space->whole == telemetry ? NULL : space->whole;
}
