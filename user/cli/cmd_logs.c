// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/filters.h"
#include "cli/log_print.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/schema/decode.h"

enum { LAST_MAX = 1000000, TIME_TEXT = 40 };

struct logs {
	struct filters filters;
	bool follow, colour;
	const char *last, *since;
	long last_count;
	char since_time[TIME_TEXT]; /* "": none */
};

/* Each batch of entries is on its way when weftd is asked for the next. */
static void stop(int signal)
{
	(void)signal;
	_exit(STATUS_DONE);
}

static json_t *request_of(const struct cli *cli, const struct logs *l, json_int_t after)
{
	json_t *request = client_request("logs");

	filters_add(cli, &l->filters, request);
	if (after >= 0) {
		json_object_set_new(request, "after", json_integer(after));
		return request;
	}
	json_object_set_new(request, "last", json_integer(l->last_count));
	if (*l->since_time)
		json_object_set_new(request, "since", json_text(l->since_time));
	return request;
}

/* Istio's format has no place for a connection that was refused. */
static char *entry_line(const char *format, const struct logs *l, const json_t *entry)
{
	if (strcmp(format, "json") == 0)
		return json_dumps(entry, JSON_COMPACT);
	if (strcmp(format, "text") == 0 && !json_object_get(entry, "reason"))
		return log_print_text(entry);
	return log_print_compact(entry, l->colour);
}

static int print_entry(const struct cli *cli, const struct logs *l, const json_t *entry)
{
	_cleanup_free_ char *line = entry_line(cli->output ?: "compact", l, entry);

	if (!line)
		return cmd_failed("out of memory");
	puts(line);
	return STATUS_DONE;
}

static int print(const struct cli *cli, const struct logs *l, const json_t *data)
{
	json_int_t lost = json_get_int(data, "lost", 0);
	int r = STATUS_DONE;
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(data, "entries"), i, entry)
	{
		if (!r)
			r = print_entry(cli, l, entry);
	}
	fflush(stdout);
	if (lost)
		fprintf(stderr, "%lld entries are lost: there were too many at once\n",
			(long long)lost);
	return r;
}

static int show(const struct cli *cli, const struct logs *l)
{
	json_int_t after = -1;
	int r = STATUS_DONE;

	if (l->follow) {
		sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
		sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	}
	do {
		_cleanup_json_ json_t *data = NULL;

		r = client_ask(cli, request_of(cli, l, after), NULL, &data);
		if (!r)
			r = print(cli, l, data);
		after = json_get_int(data, "next", 0);
	} while (!r && l->follow && !ferror(stdout));
	return r;
}

/* "5m" ago, or a time as entries have it. */
static int parse_since(struct logs *l, const char *name)
{
	struct timespec now;
	int64_t ns;
	struct tm tm;

	if (!l->since)
		return 0;
	if (strlen(l->since) >= strlen("2026-11-30T06:20") && l->since[4] == '-' &&
	    strchr(l->since, 'T')) {
		snprintf(l->since_time, sizeof(l->since_time), "%s", l->since);
		return 0;
	}
	if (decode_duration_ns(l->since, &ns) || ns < 0)
		return cmd_wrong(name,
				 "--since: a time as 5m or 2026-11-30T06:20:00Z is expected, not "
				 "\"%s\"",
				 l->since);
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec -= (time_t)(ns / 1000000000);
	if (!gmtime_r(&now.tv_sec, &tm) ||
	    !strftime(l->since_time, sizeof(l->since_time), "%Y-%m-%dT%H:%M:%S.000Z", &tm))
		return cmd_failed("--since: there is no such time");
	return 0;
}

static int parse_last(struct logs *l, const char *name)
{
	char *end;

	if (!l->last) {
		l->last_count = l->since ? LAST_MAX : l->follow ? 10 : 20;
		return 0;
	}
	l->last_count = strtol(l->last, &end, 10);
	if (end == l->last || *end || l->last_count < 0 || l->last_count > LAST_MAX)
		return cmd_wrong(name, "--last: a number is expected, not \"%s\"", l->last);
	return 0;
}

int cmd_logs(struct cli *cli, int argc, char **argv)
{
	struct logs l = { 0 };
	const struct cmd_option options[] = { { 'f', "follow", .flag = &l.follow },
					      { 0, "last", .value = &l.last },
					      { 0, "since", .value = &l.since },
					      FILTER_OPTIONS(&l.filters),
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!r)
		r = parse_since(&l, argv[0]);
	if (!r)
		r = parse_last(&l, argv[0]);
	l.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (!r)
		r = show(cli, &l);
	filters_free(&l.filters);
	return r;
}
