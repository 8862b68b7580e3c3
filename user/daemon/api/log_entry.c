// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/log_entry.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"

/* Of response flags with commas between. */
static bool has_flag(const char *flags, const char *const *any)
{
	for (; *any; any++) {
		size_t len = strlen(*any);

		for (const char *at = flags; at; at = strchr(at, ',')) {
			at += *at == ',';
			if (strncmp(at, *any, len) == 0 && (!at[len] || at[len] == ','))
				return true;
		}
	}
	return false;
}

const char *log_verdict(const json_t *line)
{
	static const char *const refused[] = { "UO", "NR", "NC", "RL", "UAEX", NULL };
	static const char *const failed[] = { "UH", "UF",  "UT", "UC",	"URX", "DC",
					      "SI", "DPE", "DT", "UPE", NULL };
	static const char *const policies[] = { "rbac_", "plaintext_denied", "network_policy" };
	const char *flags = json_get_text(line, "response_flags", "-");
	const char *details = json_get_text(line, "response_code_details", "");

	for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++)
		if (strncmp(details, policies[i], strlen(policies[i])) == 0)
			return "refused";
	if (has_flag(flags, refused))
		return "refused";
	if (has_flag(flags, failed))
		return "failed";
	return json_is_string(json_object_get(line, "upstream_host")) ? "forwarded" : "answered";
}

/* Texts, numbers and null; of nothing else an access log consists. */
static json_t *cleaned(const json_t *line)
{
	json_t *out = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)line, key, value)
	{
		_cleanup_free_ char *text = json_is_string(value) ? strdup(json_string_value(value))
								  : NULL;

		if (text) {
			json_clean(text);
			json_object_set_new(out, key, json_text(text));
		} else if (json_is_integer(value) || json_is_null(value)) {
			json_object_set(out, key, value);
		}
	}
	return out;
}

static json_t *end_of(const struct engine *engine, const char *text)
{
	struct addr addr;
	unsigned port;

	return addr_parse_port(text, &addr, &port) ? ends_at(engine, &addr, port) : json_object();
}

/* What was called: the cluster's host, or the request's. */
static void add_host(json_t *end, const json_t *line)
{
	const char *cluster = json_get_text(line, "upstream_cluster", ""),
		   *host = strrchr(cluster, '|'), *authority = json_get_text(line, "authority", "");

	if (host && host[1])
		ends_add_host(end, host + 1, strlen(host + 1));
	else if (*authority)
		ends_add_host(end, authority, strcspn(authority, ":"));
}

static json_t *destination(const struct engine *engine, const json_t *line)
{
	const char *asked = json_get_text(line, "upstream_host", NULL);
	json_t *end =
		end_of(engine, asked ?: json_get_text(line, "downstream_local_address", NULL));

	if (end)
		add_host(end, line);
	return end;
}

static json_t *member(const json_t *line, const char *key)
{
	json_t *value = json_object_get(line, key);

	return value ? json_incref(value) : json_null();
}

/* A connection that the kernel's side has refused (refusal_lines.h). */
static json_t *refusal_entry(const struct engine *engine, const json_t *raw)
{
	_cleanup_json_ json_t *refusal = cleaned(raw);
	const char *cluster = json_get_text(refusal, "cluster", ""), *host = strrchr(cluster, '|');
	json_t *called = end_of(engine, json_get_text(refusal, "called", NULL));

	if (called && host)
		ends_add_host(called, host + 1, strlen(host + 1));
	return json_pack("{s:o, s:s, s:s, s:n, s:n, s:n, s:n, s:o, s:o, s:o, s:{}}", "time",
			 member(refusal, "time"), "protocol", "tcp", "verdict", "refused", "status",
			 "method", "path", "duration_ms", "reason", member(refusal, "reason"),
			 "source", end_of(engine, json_get_text(refusal, "client", NULL)),
			 "destination", called, "access_log");
}

json_t *log_entry(const struct engine *engine, const char *text)
{
	_cleanup_json_ json_t *raw = text ? json_loads(text, 0, NULL) : NULL;
	_cleanup_json_ json_t *line = json_is_object(raw) ? cleaned(raw) : NULL;

	const json_t *refusal = json_object_get(raw, "refusal");

	if (json_is_object(refusal))
		return refusal_entry(engine, refusal);
	if (!json_is_string(json_object_get(line, "start_time")))
		return NULL;
	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:O}", "time",
			 member(line, "start_time"), "protocol",
			 json_is_string(json_object_get(line, "method")) ? "http" : "tcp",
			 "verdict", log_verdict(line), "status", member(line, "response_code"),
			 "method", member(line, "method"), "path", member(line, "path"),
			 "duration_ms", member(line, "duration"), "source",
			 end_of(engine, json_get_text(line, "downstream_remote_address", NULL)),
			 "destination", destination(engine, line), "access_log", line);
}
