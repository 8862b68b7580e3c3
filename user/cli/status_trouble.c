// SPDX-License-Identifier: Apache-2.0
#include "cli/status_trouble.h"

#include <string.h>

#include "lib/base/json_io.h"

int status_percent(json_int_t entries, json_int_t room)
{
	return room > 0 ? (int)(100 * entries / room) : 0;
}

static void add_texts(json_t *list, const char *what, const json_t *texts)
{
	json_t *text;
	size_t i;

	json_array_foreach(texts, i, text)
		json_array_append_new(list, json_textf("%s: %s", what, json_string_value(text)));
}

static void add_readiness(json_t *list, const json_t *status)
{
	const json_t *missing = json_object_get(status, "missing");

	if (!json_is_true(json_object_get(status, "ready")) && !json_array_size(missing))
		json_array_append_new(list, json_string("weftd is not ready"));
	add_texts(list, "missing", missing);
	if (!json_get_int(json_object_get(status, "proxy"), "pid", 0))
		json_array_append_new(list, json_string("no weft-proxy runs"));
}

static void add_sources(json_t *list, const json_t *status)
{
	json_t *source;
	size_t i;

	json_array_foreach(json_object_get(status, "sources"), i, source)
	{
		const char *phase = json_get_text(source, "phase", "synced"),
			   *error = json_get_text(json_object_get(source, "status_writer"), "error",
						  "");

		if (strcmp(json_get_text(source, "name", ""), "kubernetes") != 0)
			continue;
		if (strcmp(phase, "synced") != 0)
			json_array_append_new(list,
					      json_textf("not in step with the API server at %s",
							 json_get_text(source, "server", "?")));
		if (*error)
			json_array_append_new(
				list,
				json_textf("the status of objects can't be written: %s", error));
	}
}

static void add_identities(json_t *list, const json_t *status)
{
	const json_t *ids = json_object_get(status, "identities");
	json_int_t wanted = json_get_int(ids, "wanted", 0), valid = json_get_int(ids, "valid", 0);

	if (wanted > valid)
		json_array_append_new(list,
				      json_textf("%lld of %lld identities have no certificate",
						 (long long)(wanted - valid), (long long)wanted));
}

static void add_table(json_t *list, const char *name, json_int_t entries, json_int_t room)
{
	int percent = status_percent(entries, room);

	if (percent >= TABLE_FULL_PERCENT)
		json_array_append_new(list,
				      json_textf("the table %s is %d %% full: %lld of %lld", name,
						 percent, (long long)entries, (long long)room));
}

bool status_table_evicts(const json_t *table)
{
	return json_is_true(json_object_get(table, "evicts"));
}

static void add_tables(json_t *list, const json_t *status)
{
	json_t *table;
	size_t i;

	json_array_foreach(json_object_get(status, "tables"), i, table)
	{
		if (!status_table_evicts(table))
			add_table(list, json_get_text(table, "name", "?"),
				  json_get_int(table, "entries", 0),
				  json_get_int(table, "room", 0));
	}
}

json_t *status_trouble(const json_t *status)
{
	json_t *list = json_array();

	if (!list)
		return NULL;
	add_readiness(list, status);
	add_texts(list, "certificate", json_object_get(status, "certificates"));
	add_sources(list, status);
	add_identities(list, status);
	add_tables(list, status);
	return list;
}
