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

static void check_regex(struct world *w, const struct object *o, const char *pattern,
			struct pos pos, const char *field)
{
	char problem[160];

	if (http_regex_check(pattern, problem, sizeof(problem)))
		errors_add(w->errors, o->file, pos.line ? pos : o->pos,
			   "%s: expected a regular expression (RE2), not \"%.64s\": %s", field,
			   pattern, problem);
}

static void check_value(struct world *w, const struct object *o, const struct string_match *m,
			const char *field)
{
	if (m->type == MATCH_REGEX)
		check_regex(w, o, m->value, m->pos, field);
}

static void check_named(struct world *w, const struct object *o, const struct named_matches *list,
			const char *field)
{
	for (size_t i = 0; i < list->count; i++)
		check_value(w, o, &list->items[i].match, field);
}

static void check_match(struct world *w, const struct object *o, const struct http_match *m,
			const char *field)
{
	check_value(w, o, &m->uri, field);
	check_value(w, o, &m->scheme, field);
	check_value(w, o, &m->method, field);
	check_value(w, o, &m->authority, field);
	check_named(w, o, &m->headers, field);
	check_named(w, o, &m->without_headers, field);
	check_named(w, o, &m->query_params, field);
}

static bool subset_is_defined(struct world *w, const char *host, const char *name)
{
	struct host_iter it = host_iter(&w->rules, host);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			for (size_t k = 0; k < hosted->refs.items[i]->dr.subsets.count; k++)
				if (str_eq(hosted->refs.items[i]->dr.subsets.items[k].name, name))
					return true;
	return false;
}

/* Not wrong, but hardly meant. */
static void warn_destination(struct world *w, const struct object *o, const struct destination *d,
			     const char *host, const char *field)
{
	struct pos at = d->pos.line ? d->pos : o->pos;

	if (!world_host(w, host))
		errors_remark(w->errors, REMARK_NOT_FOUND, o->file, at,
			      "%s.host: no service \"%s\": requests sent there get 503", field,
			      host);
	else if (d->subset && !subset_is_defined(w, host, d->subset))
		errors_remark(w->errors, REMARK_NOT_FOUND, o->file, at,
			      "%s.subset: no destinationrule for \"%s\" defines \"%s\": requests "
			      "sent there get 503",
			      field, host, d->subset);
}

static void check_destination(struct world *w, const struct object *o, const struct destination *d,
			      const char *field)
{
	char name[HOST_MAX];
	struct host *h;

	if (host_complete(d->host, o->meta.namespace, name)) {
		errors_add(w->errors, o->file, d->pos.line ? d->pos : o->pos,
			   "%s.host: expected a shorter name, not \"%.64s\"", field, d->host);
		return;
	}
	h = world_host(w, name);
	if (h && !host_concrete(w, h))
		errors_add(w->errors, o->file, d->pos.line ? d->pos : o->pos,
			   "%s.host: weft does not carry out routes to an ExternalName service "
			   "outside of the cluster, not \"%s\"",
			   field, d->host);
	else
		warn_destination(w, o, d, name, field);
}

static void check_route(struct world *w, const struct object *o, size_t index)
{
	const struct http_route *r = &o->vs.http.items[index];
	char field[FIELD_MAX];

	for (size_t i = 0; i < r->match.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].match[%zu]", index, i);
		check_match(w, o, &r->match.items[i], field);
	}
	for (size_t i = 0; i < r->route.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].route[%zu].destination", index, i);
		check_destination(w, o, &r->route.items[i].destination, field);
	}
	for (size_t i = 0; i < r->mirrors.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].mirrors[%zu].destination", index, i);
		check_destination(w, o, &r->mirrors.items[i].destination, field);
	}
	if (r->rewrite && r->rewrite->regex) {
		snprintf(field, sizeof(field), "spec.http[%zu].rewrite.uriRegexRewrite", index);
		check_regex(w, o, r->rewrite->regex, r->rewrite->pos, field);
	}
	for (size_t i = 0; r->cors && i < r->cors->allow_origins.count; i++) {
		snprintf(field, sizeof(field), "spec.http[%zu].corsPolicy.allowOrigins[%zu]", index,
			 i);
		check_value(w, o, &r->cors->allow_origins.items[i], field);
	}
}

void check_http_rules(struct world *w)
{
	for (size_t i = 0; i < w->virtual_services.count; i++) {
		const struct object *o = w->virtual_services.items[i];

		for (size_t k = 0; k < o->vs.http.count; k++)
			check_route(w, o, k);
	}
}
