// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "cli/age.h"
#include "cli/client.h"
#include "cli/conns_events.h"
#include "cli/filters.h"
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

enum { COLUMNS = sizeof(columns) / sizeof(*columns), POLL_MS = 500 };

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

/* The headings come with the first rows. */
static int print(struct table *t, const json_t *connections, bool wide, bool events)
{
	_cleanup_(json_decrefp) json_t *rows = json_array();
	json_t *connection, *row = json_array();
	size_t i;

	if (events)
		json_array_append_new(row, json_string("EVENT"));
	for (size_t c = 0; c < COLUMNS; c++)
		if (wide || !columns[c].wide)
			json_array_append_new(row, json_string(columns[c].heading));
	if (!t->columns)
		json_array_append(rows, row);
	json_decref(row);
	json_array_foreach(connections, i, connection)
	{
		row = json_array();
		if (events)
			json_array_append_new(row,
					      json_text(json_get_text(connection, "event", "")));
		for (size_t c = 0; c < COLUMNS; c++)
			if (wide || !columns[c].wide)
				json_array_append_new(row, cell(connection, columns[c].member));
		json_array_append_new(rows, row);
	}
	return table_print_more(t, rows);
}

struct query {
	struct filters filters;
	bool all, watch;
	bool json, wide;
	struct table table;
};

static int print_events(struct query *q, const json_t *events)
{
	json_t *event;
	size_t i;

	if (!json_array_size(events) && q->table.columns)
		return STATUS_DONE;
	if (!q->json)
		return print(&q->table, events, q->wide, true);
	json_array_foreach(events, i, event)
	{
		json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
		putchar('\n');
	}
	return STATUS_DONE;
}

static int ask(const struct cli *cli, const struct query *q, json_t **data)
{
	json_t *request = client_request("conns");

	json_object_set_new(request, "all", json_boolean(q->all));
	filters_add(cli, &q->filters, request);
	return client_ask(cli, request, NULL, data);
}

/* Each batch of events is written out before weftd is asked again. */
static void stop(int signal)
{
	(void)signal;
	_exit(STATUS_DONE);
}

/* Those that are there at first have opened before: their event is "". */
static int watch(const struct cli *cli, struct query *q)
{
	_cleanup_json_ json_t *known = NULL;
	int r = STATUS_DONE;

	sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	while (!r && !ferror(stdout)) {
		_cleanup_json_ json_t *data = NULL, *now = NULL, *events = NULL;

		r = ask(cli, q, &data);
		if (r)
			break;
		now = conns_by_key(json_object_get(data, "connections"));
		events = known ? conns_events(known, now)
			       : json_incref(json_object_get(data, "connections"));
		r = print_events(q, events);
		fflush(stdout);
		json_decref(known);
		known = TAKE_PTR(now);
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
	return r;
}

static int show(const struct cli *cli, struct query *q)
{
	_cleanup_json_ json_t *data = NULL;
	int r = ask(cli, q, &data);

	if (r)
		return r;
	if (q->json)
		return client_print_json(json_object_get(data, "connections"));
	return print(&q->table, json_object_get(data, "connections"), q->wide, false);
}

int cmd_conns(struct cli *cli, int argc, char **argv)
{
	struct query q = { 0 };
	const struct cmd_option options[] = { { 0, "all", .flag = &q.all },
					      { 'w', "watch", .flag = &q.watch },
					      { 0, "from", .list = &q.filters.from },
					      { 0, "to", .list = &q.filters.to },
					      { 0, "protocol", .list = &q.filters.protocol },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	q.json = cli->output && strcmp(cli->output, "json") == 0;
	q.wide = cli->output && !q.json;
	if (!r)
		r = q.watch ? watch(cli, &q) : show(cli, &q);
	table_free(&q.table);
	filters_free(&q.filters);
	return r;
}
