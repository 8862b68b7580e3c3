// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers_object.h"
#include "lib/model/hostname.h"
#include "lib/base/json_io.h"
#include "lib/schema/object_text.h"
#include "lib/yaml/print.h"
#include "lib/yaml/tree.h"

json_t *addr_port_json(const struct addr *a, unsigned port)
{
	char text[ADDR_TEXT_MAX];

	addr_format_port(a, port, text);
	return json_text(text);
}

static char *yaml_text(const struct object *o)
{
	_cleanup_free_ char *text = NULL;
	struct object_tree tree;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int r;

	if (!f)
		return NULL;
	r = object_tree_open(o, &tree);
	if (!r) {
		r = node_print(tree.root, o->meta.namespace, false, f);
		object_tree_close(&tree);
	}
	if (fclose(f) || r)
		return NULL;
	return TAKE_PTR(text);
}

/* In place of what is in a Secret: how much it is. Keys are told to nobody. */
static void hide_values(json_t *values, bool encoded)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(values, next, name, value)
	{
		size_t len = json_string_length(value);

		json_object_set_new(values, name,
				    json_sprintf("(%zu %s)", len,
						 encoded ? "characters of base64" : "bytes"));
	}
}

static json_t *secret_json(json_t *secret)
{
	hide_values(json_object_get(secret, "data"), true);
	hide_values(json_object_get(secret, "stringData"), false);
	json_object_del(json_object_get(json_object_get(secret, "metadata"), "annotations"),
			"kubectl.kubernetes.io/last-applied-configuration");
	return secret;
}

/* Of a Secret, by way of its JSON. */
static json_t *secret_yaml(const struct object *o)
{
	_cleanup_free_ char *text = NULL, *yaml = NULL;
	_cleanup_(documents_free) struct documents docs = { 0 };
	struct errors ignored = { 0 };
	json_auto_t *json = object_json(o);
	size_t size = 0;
	FILE *f = NULL;

	text = json ? json_dumps(json, 0) : NULL;
	if (text && !yaml_parse_placeless("", text, strlen(text), &docs, &ignored) && docs.count)
		f = open_memstream(&yaml, &size);
	errors_free(&ignored);
	if (!f)
		return NULL;
	node_print(docs.items[0].root, o->meta.namespace, false, f);
	return fclose(f) ? NULL : json_text(yaml);
}

json_t *object_yaml(const struct object *o)
{
	_cleanup_free_ char *text = o->kind == KIND_SECRET ? NULL : yaml_text(o);

	if (o->kind == KIND_SECRET)
		return secret_yaml(o);
	return text ? json_text(text) : NULL;
}

json_t *object_json(const struct object *o)
{
	size_t size;
	_cleanup_free_ char *text = object_json_text(o, &size);
	json_t *json = text ? json_loads(text, 0, NULL) : NULL;
	json_t *meta = json_object_get(json, "metadata");

	if (o->meta.namespace && json_is_object(meta) && !json_object_get(meta, "namespace"))
		json_object_set_new(meta, "namespace", json_text(o->meta.namespace));
	return o->kind == KIND_SECRET ? secret_json(json) : json;
}

json_t *object_place(const struct object *o)
{
	char at[PLACE_MAX];

	return json_text(place_text(at, sizeof(at), o->file, o->pos));
}

json_t *strs_text(const struct strs *list)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < list->count; i++)
		fprintf(f, "%s%s", i ? ", " : "", list->items[i]);
	return fclose(f) ? NULL : json_text(text);
}

json_t *kvs_text(const struct kvs *list)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < list->count; i++)
		fprintf(f, "%s%s=%s", i ? ", " : "", list->items[i].key, list->items[i].value);
	return fclose(f) ? NULL : json_text(text);
}
