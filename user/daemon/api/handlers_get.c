// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "daemon/api/handlers.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/selection.h"
#include "lib/base/cleanup.h"
#include "lib/model/kinds.h"

static json_t *labels_json(const struct kvs *labels)
{
	json_t *object = json_object();

	for (size_t i = 0; i < labels->count; i++)
		json_object_set_new(object, labels->items[i].key,
				    json_text(labels->items[i].value));
	return object;
}

static json_t *wide_columns(const struct weftd *d, const struct object *o)
{
	struct enrolment e = { 0 };

	if (o->kind == KIND_POD)
		e = enrolment_of(d, o);
	return object_wide_columns(o, &e);
}

/* What every form has, and what this one wants. */
static json_t *item_json(const struct weftd *d, const struct known *k, const char *form,
			 bool with_object)
{
	const struct object *o = k->object;
	json_t *item = json_pack("{s:s, s:o, s:o, s:o, s:I, s:o}", "kind", kind_name(o->kind),
				 "namespace", json_text(o->meta.namespace), "name",
				 json_text(o->meta.name), "at", object_place(o), "since",
				 (json_int_t)(o->meta.created ?: k->since), "labels",
				 labels_json(&o->meta.labels));

	if (with_object || strcmp(form, "json") == 0)
		json_object_set_new(item, "object", object_json(o));
	if (strcmp(form, "yaml") == 0)
		json_object_set_new(item, "yaml", object_yaml(o));
	else if (strcmp(form, "json") != 0)
		json_object_set_new(item, "columns", object_columns(o));
	if (strcmp(form, "wide") == 0)
		json_object_set_new(item, "wide_columns", wide_columns(d, o));
	return item;
}

static json_t *missing_json(const struct errors *missing)
{
	json_t *list = json_array();

	for (size_t i = 0; i < missing->count; i++)
		json_array_append_new(list, json_text(missing->items[i].text));
	return list;
}

json_int_t handlers_revision(const struct weftd *d)
{
	enum { VERSION_BITS = 24 };
	uint64_t version = engine_version(d->engine) & ((1u << VERSION_BITS) - 1);

	return (json_int_t)(kernel_generation(d->kernel) << VERSION_BITS | version);
}

/* clang-format off */
/*
 * Beside the members of selection.h:
 *
 *	"form": "table" | "wide" | "json" | "yaml"
 *	"unless": the "revision" of a former reply: if nothing has changed since, the reply has
 *		no "items"
 *	"objects": true for "object" in every form
 */
/* clang-format on */
int handle_get(struct weftd *d, const struct request *request, struct reply *reply)
{
	const char *form = json_get_text(request->args, "form", "table");
	bool with_object = json_is_true(json_object_get(request->args, "objects"));
	json_int_t revision = handlers_revision(d);
	_cleanup_(selection_free) struct selection selection = { 0 };
	json_t *items;
	int r;

	if (json_get_int(request->args, "unless", -1) == revision) {
		reply->data = json_pack("{s:I}", "revision", revision);
		return reply->data ? 0 : -ENOMEM;
	}
	r = selection_make(request, engine_objects(d->engine), &selection, reply);
	if (r)
		return r;
	items = json_array();
	for (size_t i = 0; i < selection.count; i++)
		if (json_array_append_new(items,
					  item_json(d, selection.items[i], form, with_object)))
			r = -ENOMEM;
	reply->data = json_pack("{s:I, s:o, s:o}", "revision", revision, "items", items, "missing",
				missing_json(&selection.missing));
	return !r && reply->data ? 0 : -ENOMEM;
}
