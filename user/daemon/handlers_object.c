// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "handlers_object.h"
#include "host.h"
#include "json_io.h"
#include "tree.h"

json_t *addr_port_json(const struct addr *a, unsigned port)
{
	char text[ADDR_TEXT_MAX];

	addr_format_port(a, port, text);
	return json_text(text);
}

static json_t *scalar_json(const struct node *n)
{
	long long number;
	char *end;

	switch (node_scalar(n)) {
	case SCALAR_NULL:
		return json_null();
	case SCALAR_BOOL:
		return json_boolean(n->text[0] == 't' || n->text[0] == 'T');
	case SCALAR_INT:
		errno = 0;
		number = strtoll(n->text, &end, 0);
		return errno || *end ? json_text(n->text) : json_integer(number);
	case SCALAR_FLOAT:
		return json_real(strtod(n->text, NULL)) ?: json_text(n->text);
	case SCALAR_STRING:
		break;
	}
	return json_text(n->text);
}

static json_t *list_json(const struct node *n)
{
	json_t *list = json_array();
	const struct node *child = n->count ? n->child : NULL;

	for (; child; child = child->next)
		json_array_append_new(list, node_json(child));
	return list;
}

static json_t *map_json(const struct node *n)
{
	json_t *map = json_object();
	const struct node *key = n->count ? n->child : NULL;

	for (; key; key = key->next->next)
		json_object_set_new(map, node_text(node_target(key)) ?: "", node_json(key->next));
	return map;
}

json_t *node_json(const struct node *n)
{
	n = node_target(n);
	switch (n->type) {
	case NODE_LIST:
		return list_json(n);
	case NODE_MAP:
		return map_json(n);
	default:
		return scalar_json(n);
	}
}

json_t *object_json(const struct object *o)
{
	json_t *json = o->tree ? node_json(o->tree) : json_object();
	json_t *meta = json_object_get(json, "metadata");

	if (o->meta.namespace && json_is_object(meta) && !json_object_get(meta, "namespace"))
		json_object_set_new(meta, "namespace", json_text(o->meta.namespace));
	return json;
}

json_t *object_place(const struct object *o)
{
	return json_textf("%s:%d:%d", o->file, o->pos.line, o->pos.col);
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
