// SPDX-License-Identifier: Apache-2.0
/*
 * DestinationRules of one namespace for one host: their subsets are united, the first to define one
 * counts, and so does the first that has a trafficPolicy. The rest is dropped in silence.
 */
#include <string.h>

#include "lib/compile/check.h"
#include "lib/model/remarks.h"

/* Whether every namespace that sees the younger one sees the older one, too. */
static bool seen_with(const struct object *old, const struct object *young)
{
	const struct strs *a = &old->dr.export_to, *b = &young->dr.export_to;

	return export_visible(a, old->meta.namespace, NULL) ||
	       (a->count == 1 && b->count == 1 && str_eq(a->items[0], b->items[0]));
}

static bool has_subset(const struct object *o, const char *name)
{
	for (size_t i = 0; i < o->dr.subsets.count; i++)
		if (!strcmp(o->dr.subsets.items[i].name, name))
			return true;
	return false;
}

static bool has_policy(const struct object *o)
{
	return o->dr.policy.policy.given || o->dr.policy.ports.count;
}

/* What of `o` has no effect beside older ones; where the first such part stands. */
struct lost {
	const char *parts; /* "subset v1, trafficPolicy"; NULL: nothing */
	const struct object *old;
	struct pos pos;
};

static void lose(struct mesh *mesh, struct lost *l, const struct object *old, struct pos pos,
		 const char *what, const char *name)
{
	if (!l->parts) {
		l->old = old;
		l->pos = pos;
	}
	l->parts = mesh_text(mesh, "%s%s%s%s", l->parts ? l->parts : "", l->parts ? ", " : "", what,
			     name);
	mesh->nomem |= !l->parts;
}

static void compare(struct mesh *mesh, const struct object *old, const struct object *o,
		    struct lost *l)
{
	for (size_t i = 0; i < o->dr.subsets.count; i++)
		if (has_subset(old, o->dr.subsets.items[i].name))
			lose(mesh, l, old, o->dr.subsets.items[i].pos, "subset ",
			     o->dr.subsets.items[i].name);
	if (has_policy(old) && has_policy(o))
		lose(mesh, l, old, spec_pos(o, "trafficPolicy"), "trafficPolicy", "");
}

static void check_one(struct mesh *mesh, const struct hosted *hosted, size_t index)
{
	const struct object *o = hosted->refs.items[index];
	struct lost l = { 0 };
	char place[PLACE_MAX];

	for (size_t i = 0; i < index; i++) {
		const struct object *old = hosted->refs.items[i];

		if (str_eq(old->meta.namespace, o->meta.namespace) && seen_with(old, o))
			compare(mesh, old, o, &l);
	}
	if (l.parts)
		errors_remark(mesh->errors, REMARK_POLICY_PART, o, l.pos.line ? l.pos : o->pos,
			      "spec: %s: no effect beside the older destinationrule %s/%s (%s) "
			      "for %s",
			      l.parts, l.old->meta.namespace, l.old->meta.name,
			      place_text(place, sizeof(place), l.old->file, l.old->pos),
			      hosted->host);
}

void check_policy_parts(struct mesh *mesh)
{
	char host[HOST_MAX];

	for (size_t i = 0; i < mesh->destination_rules.count; i++) {
		const struct object *o = mesh->destination_rules.items[i];
		const struct hosted *hosted;

		if (!o->dr.host || host_complete(o->dr.host, o->meta.namespace, host))
			continue;
		hosted = bytemap_str(&mesh->dr_index.map, host);
		for (size_t k = 1; hosted && k < hosted->refs.count; k++)
			if (hosted->refs.items[k] == o)
				check_one(mesh, hosted, k);
	}
}
