// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_object.h"

static json_t *item(const struct object *o, const char *form)
{
	if (strcmp(form, "json") == 0)
		return object_json(o);
	if (strcmp(form, "yaml") == 0)
		return object_yaml(o);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "kind", kind_name(o->kind), "namespace",
			 json_text(o->meta.namespace), "name", json_text(o->meta.name), "at",
			 object_place(o), "columns", object_columns(o, strcmp(form, "wide") == 0));
}

static bool wanted(const struct object *o, int kind, const char *namespace)
{
	return (int)o->kind == kind &&
	       (!namespace || !o->meta.namespace || strcmp(o->meta.namespace, namespace) == 0);
}

/* {"kind", "namespace" or none for all, "name" or none for all, "form": "table" | "wide" | "json" |
 * "yaml"}
 */
int handle_get(struct weftd *d, const struct request *request, struct reply *reply)
{
	const char *word = json_get_text(request->args, "kind", "");
	const char *namespace = json_get_text(request->args, "namespace", NULL);
	const char *name = json_get_text(request->args, "name", NULL);
	const char *form = json_get_text(request->args, "form", "table");
	const struct known_set *set = engine_objects(d->engine);
	_cleanup_(json_decrefp) json_t *items = json_array();
	int kind = kind_parse(word);

	if (!items)
		return -ENOMEM;
	if (kind < 0)
		return refuse(reply, word, "no such kind of object");
	for (size_t i = 0; i < set->count; i++) {
		const struct object *o = set->items[i].object;

		if (!wanted(o, kind, namespace) || (name && strcmp(o->meta.name, name) != 0))
			continue;
		if (json_array_append_new(items, item(o, form)))
			return -ENOMEM;
	}
	if (name && !json_array_size(items))
		return refuse(reply, kind_name(kind), "\"%s\" not found%s%s", name,
			      namespace ? " in namespace " : "", namespace ? namespace : "");
	reply->data = json_pack("{s:O}", "items", items);
	return 0;
}
