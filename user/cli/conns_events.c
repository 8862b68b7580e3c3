// SPDX-License-Identifier: Apache-2.0
#include "cli/conns_events.h"

#include <string.h>

#include "lib/base/json_io.h"

/* What is the same connection, request or endpoint from one answer to the next. */
static json_t *key_of(const json_t *row)
{
	return json_textf("%s %s %s %s %s %s", json_get_text(row, "by", ""),
			  json_get_text(row, "from", ""), json_get_text(row, "to", ""),
			  json_get_text(row, "method", ""), json_get_text(row, "path", ""),
			  json_get_text(row, "from", NULL) ? ""
							   : json_get_text(row, "endpoint", ""));
}

json_t *conns_by_key(const json_t *rows)
{
	json_t *map = json_object(), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		_cleanup_json_ json_t *key = key_of(row);

		json_object_set(map, json_string_value(key), row);
	}
	return map;
}

static void add_event(json_t *events, const char *event, const json_t *row)
{
	json_t *copy = json_copy((json_t *)row);

	json_object_set_new(copy, "event", json_string(event));
	json_array_append_new(events, copy);
}

/* Of a connection that is in use the state is all that changes: bytes do all the time. */
json_t *conns_events(const json_t *before, json_t *now)
{
	json_t *events = json_array(), *row;
	const char *key;

	json_object_foreach((json_t *)before, key, row) if (!json_object_get(now, key))
		add_event(events, "closed", row);
	json_object_foreach(now, key, row)
	{
		const json_t *old = json_object_get(before, key);

		if (!old)
			add_event(events, "opened", row);
		else if (strcmp(json_get_text(old, "state", ""), json_get_text(row, "state", "")) !=
			 0)
			add_event(events, "changed", row);
	}
	return events;
}
