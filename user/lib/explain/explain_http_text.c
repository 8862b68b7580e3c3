// SPDX-License-Identifier: Apache-2.0
/*
 * An answer about a request or a connection as text, out of the documented JSON.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/explain/explain_http.h"

static void write_value(FILE *f, const json_t *value)
{
	if (json_is_string(value))
		fputs(json_string_value(value), f);
	else
		json_dumpf(value, f, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
}

/* "action: no_endpoint, 503 UH (no healthy upstream): n.default... has no endpoint at port 80" */
static void write_action(FILE *f, const json_t *j)
{
	json_int_t status = json_get_int(j, "status", 0);
	const char *flags = json_get_text(j, "response_flags", "");
	const char *body = json_get_text(j, "body", "");
	const char *reason = json_get_text(j, "reason", "");

	fprintf(f, "action: %s", json_get_text(j, "action", ""));
	if (status)
		fprintf(f, ", status %lld", (long long)status);
	fprintf(f, "%s%s", *flags ? " " : "", flags);
	if (*body)
		fprintf(f, " (%s)", body);
	fprintf(f, "%s%s\n", *reason ? ": " : "", reason);
}

static void write_rule(FILE *f, const json_t *rule)
{
	const char *route = json_get_text(rule, "route", "");
	const char *name = json_get_text(rule, "route_name", "");

	if (!rule)
		return;
	fprintf(f, "rule: %s %s/%s%s%s", json_get_text(rule, "kind", ""),
		json_get_text(rule, "namespace", ""), json_get_text(rule, "name", ""),
		*route ? " " : "", route);
	if (*name)
		fprintf(f, " \"%s\"", name);
	fprintf(f, " (%s)\n", json_get_text(rule, "at", ""));
}

/* ---- destinations ---- */

static void write_list(FILE *f, const char *before, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		fprintf(f, "%s%s", i ? ", " : before, json_string_value(item));
}

/* "add", "set" and "remove" of one direction, a line each. */
static void write_operations(FILE *f, const char *indent, const char *what,
			     const json_t *operations)
{
	const char *verb, *name;
	json_t *map, *value;
	size_t i;

	json_object_foreach((json_t *)operations, verb, map)
	{
		json_array_foreach(map, i, value)
			fprintf(f, "%s%s %s: %s\n", indent, what, verb, json_string_value(value));
		json_object_foreach(map, name, value)
		{
			fprintf(f, "%s%s %s: %s: ", indent, what, verb, name);
			write_value(f, value);
			fputc('\n', f);
		}
	}
}

/* A status says why, too. */
static void write_endpoints_of(FILE *f, const json_t *d, const char *title, const char *endpoints,
			       const json_t *policies)
{
	if (!policies)
		return;
	write_list(f, title, json_object_get(d, endpoints));
	fputc('\n', f);
	if (json_get_int(d, "status", 0))
		return;
	write_list(f, "          ", policies);
	fputc('\n', f);
}

static void write_closed(FILE *f, const json_t *d)
{
	write_endpoints_of(f, d, "          closed: ", "closed",
			   json_object_get(d, "network_policies"));
	write_endpoints_of(f, d, "          denied: ", "denied",
			   json_object_get(d, "authorization_policies"));
}

/* "tls: ISTIO_MUTUAL as spiffe://..., with 10.1.0.9:80 (spiffe://...); in clear: 10.1.0.2:80 (on
 * this node)". */
static void write_mutual(FILE *f, const json_t *tls)
{
	const char *identity = json_get_text(tls, "identity", NULL), *endpoint;
	const char *mode = json_get_text(tls, "mode", "");
	const json_t *clear = json_object_get(tls, "in_clear");
	const json_t *refused = json_object_get(tls, "refused");
	json_t *peer;

	fprintf(f, "          tls: %s", mode);
	if (identity)
		fprintf(f, " as %s", identity);
	json_object_foreach((json_t *)json_object_get(tls, "peers"), endpoint, peer)
		fprintf(f, ", with %s (%s)", endpoint, json_string_value(peer));
	fputc('\n', f);
	if (clear && !strcmp(mode, "ISTIO_MUTUAL")) {
		write_list(f, "          in clear: ", clear);
		fputs(" (nothing else is asked for, or it is on this node)\n", f);
	}
	if (refused) {
		write_list(f, "          refused: ", refused);
		fputc('\n', f);
	}
}

/* "tls: MUTUAL, asks for db.example.com, with file://a;b;c;, believes system://". */
static void write_client_tls(FILE *f, const json_t *tls)
{
	const char *credential = json_get_text(tls, "credential", NULL);
	const char *ca = json_get_text(tls, "ca", NULL);

	if (!tls)
		return;
	if (!json_object_get(tls, "checks_host")) {
		write_mutual(f, tls);
		return;
	}
	fprintf(f, "          tls: %s, asks for %s", json_get_text(tls, "mode", ""),
		json_get_text(tls, "sni", "the Host"));
	if (credential)
		fprintf(f, ", with %s", credential);
	fprintf(f, ", believes %s", ca ? ca : "any server");
	if (json_object_get(tls, "subject_alt_names"))
		write_list(f, " that is ", json_object_get(tls, "subject_alt_names"));
	else if (json_is_true(json_object_get(tls, "checks_host")))
		fputs(" that is the Host", f);
	fputc('\n', f);
}

static void write_destination(FILE *f, const json_t *d)
{
	const char *subset = json_get_text(d, "subset", "-");
	const json_t *endpoints = json_object_get(d, "endpoints");
	const json_t *headers = json_object_get(d, "headers");
	char host[HOST_MAX + sizeof(":65535")];

	snprintf(host, sizeof(host), "%s:%lld", json_get_text(d, "host", ""),
		 (long long)json_get_int(d, "port", 0));
	fprintf(f, "  %-6lld  %-44s  %-10s  ", (long long)json_get_int(d, "weight", 0), host,
		subset);
	if (json_array_size(endpoints))
		write_list(f, "", endpoints);
	else
		fputs("none", f);
	fputc('\n', f);
	if (json_object_get(d, "ejected")) {
		write_list(f, "          ejected for now: ", json_object_get(d, "ejected"));
		fputc('\n', f);
	}
	write_closed(f, d);
	if (json_get_int(d, "status", 0))
		fprintf(f, "          %lld ", (long long)json_get_int(d, "status", 0));
	else if (json_object_get(d, "response_flags"))
		fputs("          ", f);
	if (json_object_get(d, "response_flags"))
		fprintf(f, "%s: %s\n", json_get_text(d, "response_flags", ""),
			json_get_text(d, "reason", ""));
	if (json_object_get(d, "destination_rules")) {
		write_list(f, "          DestinationRule ",
			   json_object_get(d, "destination_rules"));
		fputc('\n', f);
	}
	write_client_tls(f, json_object_get(d, "tls"));
	write_operations(f, "          ", "request header", json_object_get(headers, "request"));
	write_operations(f, "          ", "response header", json_object_get(headers, "response"));
}

static void write_destinations(FILE *f, const json_t *list)
{
	json_t *d;
	size_t i;

	if (!list)
		return;
	fprintf(f, "destinations:\n  %-6s  %-44s  %-10s  ENDPOINTS\n", "WEIGHT", "HOST", "SUBSET");
	json_array_foreach(list, i, d) write_destination(f, d);
}

/* ---- what a route does besides ---- */

static void write_upstream(FILE *f, const json_t *u)
{
	if (!u)
		return;
	fprintf(f, "request: %s %s to Host %s\n", json_get_text(u, "method", ""),
		json_get_text(u, "path", ""), json_get_text(u, "authority", ""));
	write_operations(f, "  ", "header", json_object_get(u, "headers"));
}

static void write_fault(FILE *f, const json_t *fault)
{
	const json_t *delay = json_object_get(fault, "delay"),
		     *abort = json_object_get(fault, "abort");

	if (delay) {
		fprintf(f, "fault: delay of %s for ", json_get_text(delay, "duration", ""));
		write_value(f, json_object_get(delay, "percent"));
		fputs(" % of requests\n", f);
	}
	if (abort) {
		fputs("fault: abort with ", f);
		write_value(f, json_object_get(abort, json_object_get(abort, "status")
							      ? "status"
							      : "grpc_status"));
		fputs(" for ", f);
		write_value(f, json_object_get(abort, "percent"));
		fputs(" % of requests\n", f);
	}
}

/* Those of a route that says nothing of retries. */
static bool is_default(const json_t *retries)
{
	return json_get_int(retries, "attempts", 0) == 2 &&
	       !json_object_get(retries, "per_try_timeout") &&
	       str_eq(json_get_text(retries, "retry_on", ""),
		      "connect-failure,refused-stream,unavailable,cancelled");
}

static void write_times(FILE *f, const json_t *j)
{
	const json_t *retries = json_object_get(j, "retries");
	const char *per_try = json_get_text(retries, "per_try_timeout", NULL);

	if (!retries)
		return;
	fprintf(f, "timeout: %s\n", json_get_text(j, "timeout", "none, the default"));
	if (!json_get_int(retries, "attempts", 0)) {
		fputs("retries: none\n", f);
		return;
	}
	fprintf(f, "retries: %lld more tries on %s",
		(long long)json_get_int(retries, "attempts", 0),
		json_get_text(retries, "retry_on", ""));
	if (per_try)
		fprintf(f, ", %s each", per_try);
	fputs(is_default(retries) ? ", the default\n" : "\n", f);
}

static void write_mirrors(FILE *f, const json_t *mirrors)
{
	json_t *m;
	size_t i;

	json_array_foreach(mirrors, i, m)
	{
		const char *subset = json_get_text(m, "subset", "");

		fputs("mirror: ", f);
		write_value(f, json_object_get(m, "percent"));
		fprintf(f, " %% to %s:%lld%s%s, with Host %s\n", json_get_text(m, "host", ""),
			(long long)json_get_int(m, "port", 0), *subset ? " subset " : "", subset,
			json_get_text(m, "authority", ""));
		write_closed(f, m);
	}
}

static void write_audits(FILE *f, const json_t *audits)
{
	json_t *sentence;
	size_t i;

	if (audits)
		fputs("audited where the pod is:\n", f);
	json_array_foreach(audits, i, sentence) fprintf(f, "  %s\n", json_string_value(sentence));
}

static void write_skipped(FILE *f, const json_t *skipped)
{
	json_t *s;
	size_t i;

	if (skipped)
		fputs("skipped:\n", f);
	json_array_foreach(skipped, i, s)
		fprintf(f, "  %s: %s\n", json_get_text(s, "rule", ""), json_get_text(s, "why", ""));
}

/* "tls: SIMPLE at gateway default/gw servers[0], with kubernetes://default/cert"; nothing without.
 */
static void write_tls(FILE *f, const json_t *tls)
{
	const char *server = json_get_text(tls, "server", "");
	const char *credential = json_get_text(tls, "credential", "");
	const char *sni = json_get_text(tls, "sni", NULL);

	if (!tls)
		return;
	fprintf(f, "tls: %s%s%s%s%s", json_get_text(tls, "mode", ""), *server ? " at gateway " : "",
		server, *credential ? ", with " : "", credential);
	if (sni)
		fprintf(f, ", the client asks for %s", *sni ? sni : "no name");
	fputc('\n', f);
}

static void write_answer(FILE *f, const json_t *j)
{
	fprintf(f, "protocol: %s\n", json_get_text(j, "protocol", ""));
	write_tls(f, json_object_get(j, "tls"));
	write_action(f, j);
	if (json_object_get(j, "connection_policy"))
		fprintf(f, "first: %s\n", json_get_text(j, "connection_policy", ""));
	write_rule(f, json_object_get(j, "rule"));
	write_destinations(f, json_object_get(j, "destinations"));
	write_upstream(f, json_object_get(j, "upstream"));
	write_fault(f, json_object_get(j, "fault"));
	write_times(f, j);
	write_mirrors(f, json_object_get(j, "mirrors"));
	write_audits(f, json_object_get(j, "audit_policies"));
	write_operations(f, "", "response header", json_object_get(j, "response_headers"));
	write_skipped(f, json_object_get(j, "skipped"));
}

char *explain_http_text(const json_t *answer)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	write_answer(f, answer);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
