// SPDX-License-Identifier: Apache-2.0
/*
 * Telemetries that are right, and say less than their author may think.
 */
#include "lib/compile/check.h"
#include "lib/model/remarks.h"

static void check_counts(struct mesh *mesh, const struct object *o)
{
	const struct object *older = telemetries_older(&mesh->telemetries, o);
	char at[PLACE_MAX];

	if (older)
		errors_remark(mesh->errors, REMARK_TELEMETRY_IGNORED, o, o->pos,
			      "telemetry %s/%s (%s) is older, and for all of the namespace, too: "
			      "this one has no effect",
			      older->meta.namespace, older->meta.name,
			      place_text(at, sizeof(at), older->file, older->pos));
}

/* Whether it wants spans told. */
static bool wants_spans(const struct tracing_rule *r)
{
	return r->provider || r->tags.count || r->sampling_given ||
	       (r->disabled_given && !r->disabled);
}

static void check_told(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; !mesh->tracing.told && i < o->telemetry.tracing.count; i++) {
		const struct tracing_rule *r = &o->telemetry.tracing.items[i];

		if (!wants_spans(r))
			continue;
		errors_remark(mesh->errors, REMARK_TRACING_NOWHERE, o, r->pos,
			      "spec.tracing[%zu]: no span is told of, as weftd has no place for "
			      "them",
			      i);
		return;
	}
}

void check_telemetries(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_TELEMETRY)
			continue;
		check_counts(mesh, o);
		check_told(mesh, o);
	}
}
