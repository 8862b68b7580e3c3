/* SPDX-License-Identifier: Apache-2.0 */
#include "http_echo.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct echo echo;

static void body_text(struct answer *out, char *text)
{
	out->body = text;
	out->body_len = text ? strlen(text) : 0;
}

static void body_json(struct answer *out, json_t *json)
{
	snprintf(out->fields, sizeof(out->fields), "content-type: application/json\r\n");
	body_text(out, json_dumps(json, JSON_COMPACT));
	json_decref(json);
}

static json_t *json_span(struct h1_span s)
{
	return s.p ? json_stringn_nocheck(s.p, s.n) : json_null();
}

/* The value of `name` in the query of a path; NULL if it isn't there. */
static const char *query_value(const char *path, const char *name)
{
	const char *p = strchr(path, '?');
	size_t len = strlen(name);

	while (p) {
		p++;
		if (!strncmp(p, name, len) && p[len] == '=')
			return p + len + 1;
		p = strchr(p, '&');
	}
	return NULL;
}

static uint64_t query_number(const char *path, const char *name, uint64_t otherwise)
{
	const char *value = query_value(path, name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

/* ---- the answers ---- */

static void answer_name(const struct asked *asked, const char *rest, struct answer *out)
{
	char *text = NULL;

	(void)asked;
	(void)rest;
	if (asprintf(&text, "%s\n", echo.name) >= 0)
		body_text(out, text);
}

static void answer_anything(const struct asked *asked, const char *rest, struct answer *out)
{
	const struct h1_request *q = asked->request;
	json_t *headers = json_array();

	(void)rest;
	for (size_t i = 0; i < q->m.header_count; i++)
		json_array_append_new(headers, json_pack("[oo]", json_span(q->m.headers[i].name),
							 json_span(q->m.headers[i].value)));
	body_json(out, json_pack("{ss so so so so sI si ss si}", "name", echo.name, "method",
				 json_span(q->method), "path", json_span(q->target), "host",
				 json_span(q->authority), "headers", headers, "body",
				 (json_int_t)asked->body_bytes, "minor", q->m.minor, "peer",
				 asked->peer, "peer_port", asked->peer_port));
}

static void answer_upload(const struct asked *asked, const char *rest, struct answer *out)
{
	char sum[16];

	(void)rest;
	snprintf(sum, sizeof(sum), "%08" PRIx32, asked->body_sum);
	body_json(out, json_pack("{ss sI ss}", "name", echo.name, "bytes",
				 (json_int_t)asked->body_bytes, "adler32", sum));
}

static void answer_status(const struct asked *asked, const char *rest, struct answer *out)
{
	unsigned long status = strtoul(rest, NULL, 10);

	out->status = status >= 200 && status < 600 ? (unsigned)status : 400;
	if (out->status != 204 && out->status != 304)
		answer_name(asked, rest, out);
}

static void answer_delay(const struct asked *asked, const char *rest, struct answer *out)
{
	out->delay_ms = strtoull(rest, NULL, 10);
	answer_name(asked, rest, out);
}

static void answer_bytes(const struct asked *asked, const char *rest, struct answer *out)
{
	(void)asked;
	out->pattern = strtoull(rest, NULL, 10);
}

static void answer_chunks(const struct asked *asked, const char *rest, struct answer *out)
{
	answer_bytes(asked, rest, out);
	out->chunked = true;
}

static void answer_broken(const struct asked *asked, const char *rest, struct answer *out)
{
	static const struct {
		const char *name;
		enum fate fate;
	} fates[] = {
		{ "/reset", FATE_RESET },
		{ "/half-head", FATE_HALF_HEAD },
		{ "/half-body", FATE_HALF_BODY },
	};

	out->fate = FATE_NOTHING;
	for (size_t i = 0; i < sizeof(fates) / sizeof(*fates); i++)
		if (!strcmp(rest, fates[i].name))
			out->fate = fates[i].fate;
	answer_name(asked, rest, out);
}

/* A line per name=value of the query. */
static void answer_headers(const struct asked *asked, const char *rest, struct answer *out)
{
	const char *p = strchr(rest, '?');
	size_t used = 0;

	answer_name(asked, rest, out);
	while (p && used < sizeof(out->fields)) {
		int name = (int)strcspn(++p, "=&");
		int value = p[name] == '=' ? (int)strcspn(p + name + 1, "&") : 0;

		used += (size_t)snprintf(out->fields + used, sizeof(out->fields) - used,
					 "%.*s: %.*s\r\n", name, p, value, p + name + 1);
		p = strchr(p, '&');
	}
}

static void answer_tunnel(const struct asked *asked, const char *rest, struct answer *out)
{
	(void)rest;
	out->tunnel = true;
	out->status = asked->request->is_connect ? 200 : 101;
	if (!asked->request->is_connect)
		snprintf(out->fields, sizeof(out->fields),
			 "connection: upgrade\r\nupgrade: websocket\r\n");
}

static void answer_set(const struct asked *asked, const char *rest, struct answer *out)
{
	(void)asked;
	echo.status = (unsigned)query_number(rest, "status", 0);
	echo.times = (unsigned)query_number(rest, "times", UINT32_MAX);
	echo.delay_ms = query_number(rest, "delay", 0);
	body_json(out, json_pack("{si sI sI}", "status", echo.status, "times",
				 (json_int_t)echo.times, "delay", (json_int_t)echo.delay_ms));
}

static void answer_stats(const struct asked *asked, const char *rest, struct answer *out)
{
	(void)asked;
	(void)rest;
	body_json(out, json_pack("{ss sI sI sI}", "name", echo.name, "requests",
				 (json_int_t)echo.requests, "connections",
				 (json_int_t)echo.connections, "open", (json_int_t)echo.open));
}

/* ---- which of them ---- */

static const struct {
	const char *prefix;
	void (*make)(const struct asked *asked, const char *rest, struct answer *out);
	bool control; /* not counted, and not changed by what was set */
} answers[] = {
	{ "/anything", answer_anything, false },
	{ "/status/", answer_status, false },
	{ "/delay/", answer_delay, false },
	{ "/bytes/", answer_bytes, false },
	{ "/chunks/", answer_chunks, false },
	{ "/upload", answer_upload, false },
	{ "/close", answer_broken, false },
	{ "/response-headers", answer_headers, false },
	{ "/_set", answer_set, true },
	{ "/_stats", answer_stats, true },
	{ "", answer_name, false },
};

static size_t answer_find(const char *path)
{
	size_t i = 0;

	while (strncmp(path, answers[i].prefix, strlen(answers[i].prefix)) != 0)
		i++;
	return i;
}

/* As `/_set` has it. */
static void apply_settings(const struct asked *asked, struct answer *out)
{
	out->delay_ms += echo.delay_ms;
	if (!echo.status || !echo.times)
		return;
	if (echo.times != UINT32_MAX)
		echo.times--;
	free(out->body);
	*out = (struct answer){ .status = echo.status, .delay_ms = out->delay_ms };
	answer_name(asked, "", out);
}

void answer_make(const struct asked *asked, struct answer *out)
{
	const struct h1_request *q = asked->request;
	char path[4096];
	size_t i;

	snprintf(path, sizeof(path), "%.*s", q->path.p ? (int)q->path.n : 0,
		 q->path.p ? q->path.p : "");
	out->status = 200;
	if (q->is_connect || q->m.has_upgrade) {
		echo.requests++;
		answer_tunnel(asked, path, out);
		return;
	}
	i = answer_find(path);
	answers[i].make(asked, path + strlen(answers[i].prefix), out);
	if (answers[i].control)
		return;
	echo.requests++;
	apply_settings(asked, out);
}
