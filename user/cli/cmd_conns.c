// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/age.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "cli/table_text.h"

static const struct {
	const char *heading, *member;
	bool wide; /* only there */
} columns[] = {
	{ "CLIENT", "client", false },
	{ "FROM", "from", true },
	{ "SERVICE", "service", false },
	{ "TO", "to", true },
	{ "RULE", "rule", false },
	{ "SUBSET", "subset", false },
	{ "CLUSTER", "cluster", true },
	{ "ENDPOINT", "endpoint", false },
	{ "METHOD", "method", false },
	{ "PATH", "path", false },
	{ "BY", "by", true },
	{ "STATE", "state", false },
	{ "AGE", "age_s", false },
	{ "IDLE", "idle_s", true },
	{ "SENT", "sent_bytes", false },
	{ "RECEIVED", "received_bytes", false },
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* What a client has sent must not talk to the terminal. */
static json_t *printable(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);

	for (char *p = copy; p && *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
	return json_text(copy);
}

/* "81 B", "12.5 KiB": what was in the segments, their headers not counted. */
static json_t *bytes_text(json_int_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024)
		return json_textf("%lld B", (long long)bytes);
	for (; value >= 1024; i++)
		value /= 1024;
	return json_textf("%.1f %s", value, units[i]);
}

/* An endpoint that outlier detection keeps out has a row without a connection. */
static json_t *ejected_text(const json_t *row)
{
	char age[AGE_TEXT_MAX];

	return json_textf("ejected, for %s more",
			  age_text(json_get_int(row, "ejected_for_s", 0), age));
}

/* What a weft-proxy that another one has replaced has under way. */
static json_t *state_text(const json_t *row)
{
	const char *state = json_get_text(row, "state", "-");

	if (strcmp(state, "ejected") == 0)
		return ejected_text(row);
	return json_textf("%s%s", state,
			  json_is_true(json_object_get(row, "draining")) ? ", draining" : "");
}

static json_t *cell(const json_t *row, const char *member)
{
	const json_t *value = json_object_get(row, member);

	if (strcmp(member, "state") == 0)
		return state_text(row);
	if (json_is_real(value))
		return json_textf("%.1fs", json_real_value(value));
	if (json_is_integer(value))
		return bytes_text(json_integer_value(value));
	return printable(json_string_length(value) ? json_string_value(value) : "-");
}

static int print(const json_t *connections, bool wide)
{
	_cleanup_(json_decrefp) json_t *rows = json_array();
	json_t *connection, *row = json_array();
	size_t i;

	for (size_t c = 0; c < COLUMNS; c++)
		if (wide || !columns[c].wide)
			json_array_append_new(row, json_string(columns[c].heading));
	json_array_append_new(rows, row);
	json_array_foreach(connections, i, connection)
	{
		row = json_array();
		for (size_t c = 0; c < COLUMNS; c++)
			if (wide || !columns[c].wide)
				json_array_append_new(row, cell(connection, columns[c].member));
		json_array_append_new(rows, row);
	}
	return table_print(rows);
}

int cmd_conns(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	bool all = false;
	const struct cmd_option options[] = { { 0, "all", .flag = &all }, { 0 } };
	json_t *request;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	request = client_request("conns");
	json_object_set_new(request, "all", json_boolean(all));
	r = client_ask(cli, request, NULL, &data);
	if (r)
		return r;
	if (cli->output && cli->output[0] == 'j')
		return client_print_json(json_object_get(data, "connections"));
	return print(json_object_get(data, "connections"), cli->output != NULL);
}
