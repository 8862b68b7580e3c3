// SPDX-License-Identifier: Apache-2.0
/*
 * What is said of HTTP rules once all objects are known.
 */
#include <stdio.h>

#include "lib/compile/check.h"
#include "lib/mesh/proxied.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"
#include "lib/route/regex.h"

enum { FIELD_MAX = 96 };

static void check_regex(struct mesh *mesh, const struct object *o, const char *pattern,
			struct pos pos, const char *field)
{
	char problem[160];

	if (http_regex_check(pattern, problem, sizeof(problem)))
		errors_add(mesh->errors, o->file, pos.line ? pos : o->pos,
			   "%s: expected a regular expression (RE2), not \"%.64s\": %s", field,
			   pattern, problem);
}

static void check_value(struct mesh *mesh, const struct object *o, const struct string_match *m,
			const char *field)
{
	if (m->type == MATCH_REGEX)
		check_regex(mesh, o, m->value, m->pos, field);
}

static void check_named(struct mesh *mesh, const struct object *o, const struct named_matches *list,
			const char *field)
{
	for (size_t i = 0; i < list->count; i++)
		check_value(mesh, o, &list->items[i].match, field);
}

static void check_match(struct mesh *mesh, const struct object *o, const struct http_match *m,
			const char *field)
{
	check_value(mesh, o, &m->uri, field);
	check_value(mesh, o, &m->scheme, field);
	check_value(mesh, o, &m->method, field);
	check_value(mesh, o, &m->authority, field);
	check_named(mesh, o, &m->headers, field);
	check_named(mesh, o, &m->without_headers, field);
	check_named(mesh, o, &m->query_params, field);
}

static bool subset_is_defined(struct mesh *mesh, const char *host, const char *name)
{
	struct host_iter it = host_iter(&mesh->dr_index, host);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			for (size_t k = 0; k < hosted->refs.items[i]->dr.subsets.count; k++)
				if (str_eq(hosted->refs.items[i]->dr.subsets.items[k].name, name))
					return true;
	return false;
}

/* Not wrong, but hardly meant. */
static void warn_destination(struct mesh *mesh, const struct object *o, const struct destination *d,
			     const char *host, const char *field)
{
	struct pos at = d->pos.line ? d->pos : o->pos;

	if (!mesh_host(mesh, host))
		errors_remark(mesh->errors, REMARK_NOT_FOUND, o, at,
			      "%s.host: no service \"%s\": requests sent there get 503", field,
			      host);
	else if (d->subset && !subset_is_defined(mesh, host, d->subset))
		errors_remark(mesh->errors, REMARK_NOT_FOUND, o, at,
			      "%s.subset: no destinationrule for \"%s\" defines \"%s\": requests "
			      "sent there get 503",
			      field, host, d->subset);
}

static void check_destination(struct mesh *mesh, const struct object *o,
			      const struct destination *d, const char *field)
{
	char name[HOST_MAX];
	struct host *h;

	if (host_complete(d->host, o->meta.namespace, name)) {
		errors_add(mesh->errors, o->file, d->pos.line ? d->pos : o->pos,
			   "%s.host: expected a shorter name, not \"%.64s\"", field, d->host);
		return;
	}
	h = mesh_host(mesh, name);
	if (h && !host_concrete(mesh, h))
		errors_add(mesh->errors, o->file, d->pos.line ? d->pos : o->pos,
			   "%s.host: weft does not carry out routes to an ExternalName service "
			   "without ports, not \"%s\"",
			   field, d->host);
	else
		warn_destination(mesh, o, d, name, field);
}

static void check_route(struct mesh *mesh, const struct object *o, size_t index)
{
	const struct http_route *r = &o->vs.http.items[index];
	char field[FIELD_MAX];

	for (size_t i = 0; i < r->match.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].match[%zu]", index, i);
		check_match(mesh, o, &r->match.items[i], field);
	}
	for (size_t i = 0; i < r->route.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].route[%zu].destination", index, i);
		check_destination(mesh, o, &r->route.items[i].destination, field);
	}
	for (size_t i = 0; i < r->mirrors.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].mirrors[%zu].destination", index, i);
		check_destination(mesh, o, &r->mirrors.items[i].destination, field);
	}
	if (r->rewrite && r->rewrite->regex) {
		snprintf(field, sizeof(field), "spec.http[%zu].rewrite.uriRegexRewrite", index);
		check_regex(mesh, o, r->rewrite->regex, r->rewrite->pos, field);
	}
	for (size_t i = 0; r->cors && i < r->cors->allow_origins.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].corsPolicy.allowOrigins[%zu]", index,
			 i);
		check_value(mesh, o, &r->cors->allow_origins.items[i], field);
	}
}

void check_http_rules_of(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < o->vs.http.count; i++)
		check_route(mesh, o, i);
}

void check_http_rules(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++)
		check_http_rules_of(mesh, mesh->virtual_services.items[i]);
}
