// SPDX-License-Identifier: Apache-2.0
#include "cli/in_step.h"

#include <string.h>

#include "lib/base/json_io.h"

bool in_step_before(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	return x == y ? strcmp(a, b) < 0 : x < y;
}

static const char *version_of(const json_t *object)
{
	return json_get_text(json_object_get(object, "metadata"), "resourceVersion", "");
}

/* "default/reviews", or "/default" of what is in no namespace. */
static json_t *key_of(const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");

	return json_textf("%s/%s", json_get_text(meta, "namespace", ""),
			  json_get_text(meta, "name", ""));
}

static json_t *by_key(const json_t *list)
{
	json_t *map = json_object(), *item;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		_cleanup_json_ json_t *key = key_of(item);

		json_object_set(map, json_string_value(key), item);
	}
	return map;
}

static void add(json_t *to, const json_t *resource, const char *key)
{
	json_array_append_new(to, json_textf("%s/%s", json_get_text(resource, "word", "?"),
					     key + (*key == '/')));
}

static bool is_in(const json_t *known, const char *state)
{
	return !strcmp(json_get_text(known, "state", ""), state);
}

static void compare(const json_t *item, const json_t *resource, const char *key, json_t *pending,
		    json_t *wrong)
{
	const json_t *known = json_object_get(json_object_get(resource, "objects"), key);

	if (!known || is_in(known, "pending") ||
	    in_step_before(json_get_text(known, "version", ""), version_of(item)))
		add(pending, resource, key);
	else if (is_in(known, "wrong"))
		json_array_append_new(wrong, json_text(json_get_text(known, "error", "?")));
}

size_t in_step_compare(const json_t *list, const json_t *resource, json_t *pending, json_t *wrong)
{
	_cleanup_json_ json_t *items = by_key(list);
	json_t *item;
	const char *key;

	json_object_foreach(items, key, item) compare(item, resource, key, pending, wrong);
	json_object_foreach(json_object_get(resource, "objects"), key, item)
	{
		if (!json_object_get(items, key) &&
		    !in_step_before(version_of(list), json_get_text(item, "version", "")))
			add(pending, resource, key);
	}
	return json_object_size(items);
}
