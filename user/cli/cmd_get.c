// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/get_print.h"
#include "cli/targets.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

enum { POLL_MS = 250 };

struct query {
	struct targets targets;
	struct get_printer printer;
	const char *selector;
	bool all_namespaces, watch, ignore_missing;
};

static json_t *request_of(const struct cli *cli, const struct query *q)
{
	json_t *request = client_request("get");

	json_object_set(request, "targets", q->targets.list);
	json_object_set_new(request, "form", json_text(get_printer_request(&q->printer)));
	json_object_set_new(request, "objects", json_boolean(q->watch));
	if (q->selector)
		json_object_set_new(request, "selector", json_text(q->selector));
	if (!q->all_namespaces)
		json_object_set_new(request, "namespace", json_text(cli_namespace(cli)));
	return request;
}

static int print_first(const struct cli *cli, struct query *q, const json_t *data)
{
	const json_t *items = json_object_get(data, "items");
	bool empty = !json_array_size(items);
	int r = STATUS_DONE, missing;

	if (empty && !q->targets.named && !q->watch && q->printer.form <= GET_WIDE)
		targets_none(&q->targets, q->all_namespaces ? NULL : cli_namespace(cli));
	/* Several names of which none is there are no empty list. */
	if (!empty || (!q->targets.named && !q->watch))
		r = get_print(&q->printer, items);
	fflush(stdout);
	missing = q->ignore_missing ? STATUS_DONE : targets_missing(data);
	return r ? r : missing;
}

static json_t *key_of(const json_t *item)
{
	return json_textf("%s/%s/%s", json_get_text(item, "kind", ""),
			  json_get_text(item, "namespace", ""), json_get_text(item, "name", ""));
}

static json_t *by_key(const json_t *items)
{
	json_t *map = json_object(), *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		_cleanup_json_ json_t *key = key_of(item);

		json_object_set(map, json_string_value(key), item);
	}
	return map;
}

/* What is new, has changed, or has gone. Where the object was written is no change to it. */
static json_t *differences(const json_t *before, json_t *now)
{
	json_t *list = json_array(), *item;
	const char *key;

	json_object_foreach(now, key, item)
	{
		const json_t *old = json_object_get(before, key);

		if (!old ||
		    !json_equal(json_object_get(old, "object"), json_object_get(item, "object")))
			json_array_append(list, item);
	}
	json_object_foreach((json_t *)before, key, item) if (!json_object_get(now, key))
		json_array_append(list, item);
	return list;
}

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* Asks again and again; weftd tells at once when nothing has changed since. */
static int watch(const struct cli *cli, struct query *q, const json_t *first)
{
	_cleanup_json_ json_t *known = by_key(json_object_get(first, "items"));
	json_int_t revision = json_get_int(first, "revision", 0);
	int r = STATUS_DONE;

	sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	while (!r && !stopped && !ferror(stdout)) {
		_cleanup_json_ json_t *data = NULL, *now = NULL, *changed = NULL;
		json_t *request = request_of(cli, q);

		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
		json_object_set_new(request, "unless", json_integer(revision));
		r = client_ask(cli, request, NULL, &data);
		if (r || !json_object_get(data, "items"))
			continue;
		now = by_key(json_object_get(data, "items"));
		changed = differences(known, now);
		r = get_print_more(&q->printer, changed);
		fflush(stdout);
		json_decref(known);
		known = TAKE_PTR(now);
		revision = json_get_int(data, "revision", 0);
	}
	return r;
}

static int show(const struct cli *cli, struct query *q)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	int r = client_ask(cli, request_of(cli, q), NULL, &data);

	if (!r)
		r = print_first(cli, q, data);
	return r || !q->watch ? r : watch(cli, q, data);
}

static int parse(struct cli *cli, int argc, char **argv, struct query *q)
{
	int r = targets_parse(argc, argv, &q->targets);

	if (r)
		return r;
	if (q->targets.named && q->selector)
		return cmd_wrong(argv[0], "either a NAME or -l SELECTOR is expected, not both");
	q->printer.kinds = q->targets.kinds;
	q->printer.single = q->targets.named && json_array_size(q->targets.list) == 1;
	q->printer.namespaces = q->all_namespaces;
	return get_printer_init(&q->printer, cli->output);
}

int cmd_get(struct cli *cli, int argc, char **argv)
{
	struct query q = { 0 };
	const struct cmd_option options[] = {
		{ 'A', "all-namespaces", .flag = &q.all_namespaces },
		{ 'l', "selector", .value = &q.selector },
		{ 'w', "watch", .flag = &q.watch },
		{ 0, "show-labels", .flag = &q.printer.labels },
		{ 0, "no-headers", .flag = &q.printer.no_headings },
		{ 0, "ignore-not-found", .flag = &q.ignore_missing },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r)
		r = parse(cli, argc, argv, &q);
	if (!r)
		r = show(cli, &q);
	targets_free(&q.targets);
	get_printer_free(&q.printer);
	return r;
}
