// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/table_text.h"
#include "cli/top_screen.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

static int find(const char *word, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return -1;
}

static int parse(const char *name, const char *view, const char *sort, const char *interval,
		 struct top_options *o)
{
	char *end;
	double seconds = strtod(interval, &end);
	int v = strcmp(view, "node") == 0 ? TOP_VIEWS : find(view, top_view_names, TOP_VIEWS),
	    by = find(sort, top_column_names, TOP_COLUMNS);

	if (v < 0)
		return cmd_wrong(name,
				 "--view: services, workloads, edges or node is expected, not "
				 "\"%s\"",
				 view);
	if (by < 0)
		return cmd_wrong(name,
				 "--sort: name, rate, errors, p50, p99, tcp or bytes is expected, "
				 "not \"%s\"",
				 sort);
	if (end == interval || (*end && strcmp(end, "s") != 0) ||
	    !(seconds >= 0.25 && seconds <= 60))
		return cmd_wrong(name, "--interval: 0.25 to 60 seconds are expected, not \"%s\"",
				 interval);
	o->view = v;
	o->sort = (enum top_column)by;
	o->interval_ms = (unsigned)(seconds * 1000);
	return 0;
}

/* ---- once ---- */

static int ask(const struct cli *cli, struct top_model *m)
{
	_cleanup_json_ json_t *traffic = NULL;
	int r = client_ask(cli, client_request("traffic"), NULL, &traffic);

	if (!r && top_model_add(m, traffic))
		r = cmd_failed("weftd tells of no traffic");
	return r;
}

static bool is_shown(const struct top_row *r, const struct top_options *o)
{
	return !o->filter || strcasestr(r->name, o->filter);
}

/* NAN is null. */
static json_t *value_json(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *row_json(const struct top_row *r)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "name", json_text(r->name),
			 "rate", value_json(r->value[TOP_RATE]), "errors",
			 value_json(r->value[TOP_ERRORS]), "p50_ms", value_json(r->value[TOP_P50]),
			 "p99_ms", value_json(r->value[TOP_P99]), "tcp_opened_rate",
			 value_json(r->value[TOP_TCP_OPENED]), "tcp_bytes_rate",
			 value_json(r->value[TOP_TCP_BYTES]), "requests",
			 (json_int_t)r->requests_total);
}

static int print_json(struct top_model *m, const struct top_options *o)
{
	_cleanup_json_ json_t *all = json_object();

	for (enum top_view view = 0; view < TOP_VIEWS; view++) {
		json_t *list = json_array();

		top_model_sort(m, view, o->sort, false);
		for (size_t i = 0; i < m->rows[view].count; i++)
			if (is_shown(&m->rows[view].items[i], o))
				json_array_append_new(list, row_json(&m->rows[view].items[i]));
		json_object_set_new(all, top_view_names[view], list);
	}
	json_object_set_new(all, "time", json_real(m->time));
	return client_print_json(all);
}

static int print_table(struct top_model *m, const struct top_options *o)
{
	static const char *const headings[] = { "NAME", "RATE/s", "ERRORS",  "P50",
						"P99",	"TCP/s",  "TCP B/s", "REQUESTS" };
	_cleanup_json_ json_t *rows = json_array();
	json_t *row = json_array();

	for (size_t i = 0; i < sizeof(headings) / sizeof(*headings); i++)
		json_array_append_new(row, json_string(headings[i]));
	json_array_append_new(rows, row);
	top_model_sort(m, (enum top_view)o->view, o->sort, false);
	for (size_t i = 0; i < m->rows[o->view].count; i++) {
		const struct top_row *r = &m->rows[o->view].items[i];
		char cell[TOP_NUMBER];

		if (!is_shown(r, o))
			continue;
		row = json_array();
		json_array_append_new(row, json_text(r->name));
		for (int c = TOP_RATE; c < TOP_COLUMNS; c++)
			json_array_append_new(row,
					      json_text(top_cell(r, (enum top_column)c, cell)));
		json_array_append_new(row, json_textf("%.0f", r->requests_total));
		json_array_append_new(rows, row);
	}
	return table_print(rows);
}

static int once(const struct cli *cli, const struct top_options *o)
{
	struct top_model m = { .namespace = cli->namespace };
	const struct timespec pause = { .tv_sec = o->interval_ms / 1000,
					.tv_nsec = o->interval_ms % 1000 * 1000000L };
	int r = ask(cli, &m);

	if (!r)
		nanosleep(&pause, NULL);
	if (!r)
		r = ask(cli, &m);
	if (!r)
		r = cli->output && strcmp(cli->output, "json") == 0 ? print_json(&m, o)
								    : print_table(&m, o);
	top_model_free(&m);
	return r;
}

int cmd_top(struct cli *cli, int argc, char **argv)
{
	struct top_options o = { 0 };
	const char *view = "services", *sort = "rate", *interval = "1";
	bool only_once = false;
	const struct cmd_option options[] = {
		{ 0, "once", .flag = &only_once },     { 0, "view", .value = &view },
		{ 0, "sort", .value = &sort },	       { 0, "filter", .value = &o.filter },
		{ 0, "interval", .value = &interval }, { 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!r)
		r = parse(argv[0], view, sort, interval, &o);
	if (r)
		return r;
	if (!only_once && cli->output)
		return cmd_wrong(argv[0], "-o goes with --once");
	if (only_once && o.view == TOP_VIEWS)
		return cmd_wrong(argv[0], "--view node is what `weft status` prints");
	return only_once ? once(cli, &o) : top_screen_run(cli, &o);
}
