// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers_object.h"
#include "lib/model/hostname.h"
#include "lib/base/json_io.h"
#include "lib/schema/object_text.h"
#include "lib/yaml/print.h"

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

json_t *object_yaml(const struct object *o)
{
	_cleanup_free_ char *text = yaml_text(o);

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
	return json;
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
