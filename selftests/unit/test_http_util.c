// SPDX-License-Identifier: Apache-2.0
#include "test_http_util.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "test_compile_util.h"

#define ROUTES "selftests/rules/routes/"

enum { FIELDS_MAX = 16, LABELS_MAX = 8, TEXT_MAX = 4096 };

static void parse_text(struct http_tables *t, const char *name, const char *yaml)
{
	if (!t->r)
		t->r = rules_parse(name, yaml, strlen(yaml), &t->objects, &t->errors, NULL);
}

static void compile_tables(struct http_tables *t)
{
	t->registry = registry_new();
	if (!t->r)
		t->r = compile(&t->objects, t->registry, COMPILE_HTTP_APART, &t->tables,
			       &t->errors);
	if (!t->r)
		t->snapshot = t->tables->http;
}

void http_tables_text(struct http_tables *t, const char *yaml)
{
	parse_text(t, "t.yaml", yaml);
	compile_tables(t);
}

void http_tables_routes(struct http_tables *t)
{
	_cleanup_free_ char *cluster = file_text(ROUTES "cluster.json"), *errors = NULL;
	glob_t files;

	cr_assert_eq(glob(ROUTES "*.yaml", 0, NULL, &files), 0);
	parse_text(t, "cluster.json", cluster);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		_cleanup_free_ char *yaml = file_text(files.gl_pathv[i]);

		parse_text(t, files.gl_pathv[i] + strlen(ROUTES), yaml);
	}
	globfree(&files);
	compile_tables(t);
	errors = errors_text(&t->errors);
	cr_assert_not_null(t->snapshot, "%d: %s", t->r, errors);
}

void http_tables_free(struct http_tables *t)
{
	tables_free(t->tables);
	registry_free(t->registry);
	objects_free(&t->objects);
	errors_free(&t->errors);
	*t = (struct http_tables){ 0 };
}

/* ---- the request ---- */

struct parsed {
	char *headers, *labels;
	struct http_field fields[FIELDS_MAX];
	struct kv kv[LABELS_MAX];
	struct kvs kvs;
	struct http_request q;
	struct http_source source;
	const struct http_source *given; /* NULL: from outside */
};

static void parsed_free(struct parsed *p)
{
	free(p->headers);
	free(p->labels);
}

static void parse_headers(struct parsed *p, const char *text)
{
	char *line, *rest = p->headers = strdup(text);

	while ((line = strsep(&rest, "\n"))) {
		char *colon = strstr(line, ": ");

		if (!colon)
			continue;
		p->fields[p->q.field_count++] =
			(struct http_field){ { line, colon - line },
					     { colon + 2, strlen(colon + 2) } };
	}
	p->q.fields = p->fields;
}

static void parse_labels(struct parsed *p, const char *text)
{
	char *label, *rest = p->labels = strdup(text);

	p->kvs.items = p->kv;
	while ((label = strsep(&rest, ","))) {
		char *equals = strchr(label, '=');

		if (!equals)
			continue;
		*equals = '\0';
		p->kv[p->kvs.count++] = (struct kv){ .key = label, .value = equals + 1 };
	}
}

static struct http_span or_default(const char *text, const char *otherwise)
{
	return http_span(text ? text : otherwise);
}

static void parse(const struct http_tables *t, const struct http_ask *ask, struct parsed *p)
{
	const char *from = ask->from ? ask->from : "default";

	p->q = (struct http_request){ .method = or_default(ask->method, "GET"),
				      .scheme = or_default(ask->scheme, "http"),
				      .authority = or_default(ask->host, ""),
				      .path = or_default(ask->path, "/") };
	parse_headers(p, ask->headers ? ask->headers : "");
	parse_labels(p, ask->labels ? ask->labels : "");
	http_source_given(t->snapshot, from, &p->kvs, &p->source);
	p->given = strcmp(from, "gateway") != 0 ? &p->source : NULL;
}

/* ---- the answer ---- */

static void say_cluster(FILE *f, const struct http_snapshot *s, const struct hs_cluster *c)
{
	if (c->subset.len)
		fputs(hs_text(s, c->subset), f);
	else
		fputs(hs_text(s, c->name) + strlen("outbound|"), f);
}

static void say_ops(FILE *f, const struct http_snapshot *s, const char *mark,
		    const struct hs_range list[HTTP_OPS])
{
	static const char signs[] = { [HS_OP_REMOVE] = '-', [HS_OP_SET] = '=', [HS_OP_ADD] = '+' };

	for (int i = 0; i < HTTP_OPS; i++) {
		for (__u32 k = 0; k < list[i].count; k++) {
			const struct hs_op *op = hs_op(s, list[i].first + k);

			fprintf(f, " %s%c%s", mark, signs[op->type], hs_text(s, op->name));
			if (op->type != HS_OP_REMOVE)
				fprintf(f, ":%s", hs_text(s, op->value));
		}
	}
}

static double percent(__u64 share)
{
	return (double)share * 100 / 4294967296.0;
}

static void say_policy(FILE *f, const struct http_snapshot *s, const struct hs_action *a)
{
	if (a->delay_ms)
		fprintf(f, " delay=%u@%g", a->delay_ms, percent(a->delay_share));
	if (a->abort_status)
		fprintf(f, " abort=%u@%g", a->abort_status, percent(a->abort_share));
	if (a->abort_grpc.len)
		fprintf(f, " abort=%s@%g", hs_text(s, a->abort_grpc), percent(a->abort_share));
	if (a->timeout_ms)
		fprintf(f, " timeout=%u", a->timeout_ms);
	if (a->retries.attempts != 2 || a->retries.per_try_timeout_ms)
		fprintf(f, " retries=%u/%u/%x", a->retries.attempts, a->retries.per_try_timeout_ms,
			a->retries.on);
	for (__u32 i = 0; i < a->retries.statuses.count; i++)
		fprintf(f, " retry-on=%u", hs_status(s, a->retries.statuses.first + i)->status);
	for (__u32 i = 0; i < a->mirrors.count; i++) {
		const struct hs_mirror *m = hs_mirror(s, a->mirrors.first + i);

		fputs(" mirror=", f);
		say_cluster(f, s, hs_cluster(s, m->cluster));
		fprintf(f, "@%g", percent(m->share));
	}
}

static void say_route(FILE *f, const struct http_snapshot *s, const struct parsed *p,
		      const struct http_decision *d)
{
	char path[TEXT_MAX];
	long n = http_path(s, d, &p->q, path, sizeof(path));

	if (d->action == HTTP_NO_CLUSTER)
		fputs("none:", f);
	say_cluster(f, s, d->cluster);
	if (n < 0 || !http_span_is(p->q.path, (struct http_span){ path, n }))
		fprintf(f, " path=%.*s", n < 0 ? 0 : (int)n, path);
	if (!http_span_is(p->q.authority, d->authority))
		fprintf(f, " host=%.*s", (int)d->authority.len, d->authority.at);
	say_ops(f, s, "", d->request);
	say_policy(f, s, d->route);
}

static void say(FILE *f, const struct http_snapshot *s, const struct parsed *p,
		const struct http_decision *d)
{
	struct http_field fields[HTTP_CORS_FIELDS];
	size_t n = http_cors_fields(s, d, fields);
	char text[TEXT_MAX];

	switch (d->action) {
	case HTTP_ROUTE:
	case HTTP_NO_CLUSTER:
		say_route(f, s, p, d);
		break;
	case HTTP_REDIRECT:
		fprintf(f, "%u %.*s", d->status,
			(int)http_location_text(s, d, &p->q, text, sizeof(text)), text);
		break;
	case HTTP_PASSTHROUGH:
		fputs("pass", f);
		break;
	case HTTP_DIRECT_RESPONSE:
	case HTTP_NOT_FOUND:
	case HTTP_MISDIRECTED:
	case HTTP_BLOCKED:
		fprintf(f, "%u", d->status);
		if (d->route && d->route->type == HS_DIRECT_RESPONSE && d->route->body.len)
			fprintf(f, " %s", hs_text(s, d->route->body));
	}
	say_ops(f, s, "<", d->response);
	for (size_t i = 0; i < n; i++)
		fprintf(f, " <%s:%.*s", fields[i].name.at + strlen("Access-Control-"),
			(int)fields[i].value.len, fields[i].value.at);
}

struct skipped_to {
	FILE *f;
	const struct http_snapshot *s;
};

static void say_skipped(void *arg, const struct hs_place *place, const char *why)
{
	const struct skipped_to *to = arg;

	fprintf(to->f, "%s %s: %s\n", hs_text(to->s, place->name), hs_text(to->s, place->route),
		why);
}

static char *said(const struct http_tables *t, const struct http_ask *ask, bool skipped)
{
	const struct http_turns turns = { ask->turn, ask->turn, ask->turn, ask->turn };
	_cleanup_(parsed_free) struct parsed p = { 0 };
	struct http_decision d;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct skipped_to to = { f, t->snapshot };
	struct http_trace trace = { say_skipped, &to };
	const struct hs_server *server = NULL;
	const struct hs_listener *l;

	parse(t, ask, &p);
	l = http_listener(t->snapshot, p.given ? SCOPE_MESH : SCOPE_NODE,
			  ask->port ? ask->port : 80);
	if (l && l->tls)
		server = http_server_for(t->snapshot, l, NULL, http_span(ask->sni ? ask->sni : ""));
	if (l && l->tls && !server) {
		fputs("unrecognized_name", f);
	} else if (l) {
		http_route(t->snapshot, l, server, p.given, &p.q, &turns, &d,
			   skipped ? &trace : NULL);
		say(f, t->snapshot, &p, &d);
	} else {
		fputs("no listener", f);
	}
	fclose(f);
	return text;
}

char *http_said(const struct http_tables *t, const struct http_ask *ask)
{
	return said(t, ask, false);
}

char *http_said_skipped(const struct http_tables *t, const struct http_ask *ask)
{
	return said(t, ask, true);
}
