// SPDX-License-Identifier: Apache-2.0
#include "cli/log_print.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json_io.h"

#define RED "\033[31m"
#define YELLOW "\033[33m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* ---- compact ---- */

static void put_address(FILE *f, const json_t *end)
{
	const char *address = json_get_text(end, "address", "?");

	fprintf(f, strchr(address, ':') ? "[%s]:%lld" : "%s:%lld", address,
		(long long)json_get_int(end, "port", 0));
}

static void put_pod(FILE *f, const json_t *end)
{
	const char *pod = json_get_text(end, "pod", NULL);

	if (pod)
		fprintf(f, "%s/%s", json_get_text(end, "namespace", "?"), pod);
	else if (json_object_get(end, "address"))
		put_address(f, end);
	else
		fputs("?", f);
}

/* What was called, and who has answered. */
static void put_called(FILE *f, const json_t *end)
{
	const char *service = json_get_text(end, "service", NULL),
		   *host = json_get_text(end, "host", NULL);

	if (service)
		fprintf(f, "%s.%s", service, json_get_text(end, "namespace", "?"));
	else if (host)
		fputs(host, f);
	else {
		put_pod(f, end);
		return;
	}
	if (!json_object_get(end, "pod") && !json_object_get(end, "address"))
		return;
	fputs(" (", f);
	put_pod(f, end);
	fputs(")", f);
}

static const char *colour_of(const char *verdict, json_int_t status)
{
	if (strcmp(verdict, "failed") == 0 || status >= 500)
		return RED;
	return strcmp(verdict, "refused") == 0 || status >= 400 ? YELLOW : "";
}

/* "200 GET /path 12ms" or "opened ... 1200ms" of a connection without requests. */
static void put_what(FILE *f, const json_t *entry)
{
	const json_t *log = json_object_get(entry, "access_log");
	const char *method = json_get_text(entry, "method", NULL),
		   *reason = json_get_text(entry, "reason", NULL);

	if (reason) {
		fprintf(f, "tcp %s", reason);
		return;
	}
	if (method)
		fprintf(f, "%lld %s %s", (long long)json_get_int(entry, "status", 0), method,
			json_get_text(entry, "path", "-"));
	else
		fprintf(f, "tcp %lld B in, %lld B out",
			(long long)json_get_int(log, "bytes_received", 0),
			(long long)json_get_int(log, "bytes_sent", 0));
	fprintf(f, " %lldms", (long long)json_get_int(entry, "duration_ms", 0));
}

/* Why it did not go as it should. */
static void put_why(FILE *f, const json_t *entry)
{
	const json_t *log = json_object_get(entry, "access_log");
	const char *flags = json_get_text(log, "response_flags", "-"),
		   *details = json_get_text(log, "response_code_details", NULL),
		   *verdict = json_get_text(entry, "verdict", "?");
	bool well = strcmp(verdict, "forwarded") == 0;

	if (!well)
		fprintf(f, " %s", verdict);
	if (strcmp(flags, "-") != 0)
		fprintf(f, " %s", flags);
	if (!well && details)
		fprintf(f, " %s", details);
}

/* The hour's part of "2026-11-30T06:20:01.234Z". */
static void put_time(FILE *f, const json_t *entry)
{
	const char *time = json_get_text(entry, "time", ""), *hour = strchr(time, 'T');

	fprintf(f, "%.12s ", hour ? hour + 1 : time);
}

char *log_print_compact(const json_t *entry, bool colour)
{
	const char *hue =
		colour_of(json_get_text(entry, "verdict", ""), json_get_int(entry, "status", 0));
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (colour)
		fputs(DIM, f);
	put_time(f, entry);
	if (colour)
		fputs(PLAIN, f);
	put_pod(f, json_object_get(entry, "source"));
	fputs(" -> ", f);
	put_called(f, json_object_get(entry, "destination"));
	fprintf(f, " %s", colour ? hue : "");
	put_what(f, entry);
	put_why(f, entry);
	if (colour && *hue)
		fputs(PLAIN, f);
	return fclose(f) ? NULL : text;
}

/* ---- text ---- */

/* In the order of Istio's default format, each between what stands around it. */
static const struct {
	const char *key, *before, *after;
} columns[] = {
	{ "start_time", "[", "]" },
	{ "method", " \"", "" },
	{ "path", " ", "" },
	{ "protocol", " ", "\"" },
	{ "response_code", " ", "" },
	{ "response_flags", " ", "" },
	{ "response_code_details", " ", "" },
	{ "connection_termination_details", " ", "" },
	{ "upstream_transport_failure_reason", " \"", "\"" },
	{ "bytes_received", " ", "" },
	{ "bytes_sent", " ", "" },
	{ "duration", " ", "" },
	{ "upstream_service_time", " ", "" },
	{ "x_forwarded_for", " \"", "\"" },
	{ "user_agent", " \"", "\"" },
	{ "request_id", " \"", "\"" },
	{ "authority", " \"", "\"" },
	{ "upstream_host", " \"", "\"" },
	{ "upstream_cluster", " ", "" },
	{ "upstream_local_address", " ", "" },
	{ "downstream_local_address", " ", "" },
	{ "downstream_remote_address", " ", "" },
	{ "requested_server_name", " ", "" },
	{ "route_name", " ", "" },
};

/* As access_line.c escapes it. */
static void put_escaped(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			fprintf(f, "\\x%02x", *p);
		else
			fputc(*p, f);
}

char *log_print_text(const json_t *entry)
{
	const json_t *log = json_object_get(entry, "access_log");
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		const json_t *value = json_object_get(log, columns[i].key);

		fputs(columns[i].before, f);
		if (json_is_integer(value))
			fprintf(f, "%lld", (long long)json_integer_value(value));
		else
			put_escaped(f, json_is_string(value) ? json_string_value(value) : "-");
		fputs(columns[i].after, f);
	}
	return fclose(f) ? NULL : text;
}
