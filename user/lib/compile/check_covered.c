// SPDX-License-Identifier: Apache-2.0
/*
 * Routes that earlier ones of the same VirtualService leave nothing to: those are tried in order,
 * and the first whose match holds decides.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/compile/check.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

enum { FIELD_MAX = 96 };

/* ---- what one condition says of another: `wide` holds wherever `narrow` does ---- */

static bool starts_with(const char *text, const char *prefix, bool fold)
{
	size_t len = strlen(prefix);

	return fold ? !strncasecmp(text, prefix, len) : !strncmp(text, prefix, len);
}

static bool same_text(const char *a, const char *b, bool fold)
{
	return fold ? !strcasecmp(a, b) : !strcmp(a, b);
}

static bool matches_anything(const struct string_match *m)
{
	return m->type == MATCH_REGEX && (!strcmp(m->value, ".*") || !strcmp(m->value, "^.*$"));
}

/* `fold`: the wide one does not look at case. */
static bool value_covers(const struct string_match *wide, const struct string_match *narrow,
			 bool fold)
{
	if (wide->type == MATCH_NONE)
		return true;
	if (narrow->type == MATCH_NONE)
		return false;
	if (wide->type == MATCH_PRESENT || matches_anything(wide))
		return true;
	if (wide->type == MATCH_PREFIX)
		return (narrow->type == MATCH_PREFIX || narrow->type == MATCH_EXACT) &&
		       starts_with(narrow->value, wide->value, fold);
	return wide->type == narrow->type &&
	       same_text(wide->value, narrow->value, fold && wide->type == MATCH_EXACT);
}

static bool matches_any_path(const struct string_match *m)
{
	return matches_anything(m) ||
	       (m->type == MATCH_REGEX && (!strcmp(m->value, "/.*") || !strcmp(m->value, "^/.*$")));
}

/* A path always is there. */
static bool path_covers(const struct http_match *wide, const struct http_match *narrow)
{
	static const struct string_match every_path = { .type = MATCH_PREFIX, .value = "/" };
	const struct string_match *path = narrow->uri.type ? &narrow->uri : &every_path;

	/* Where only the narrow one takes both cases, the wide one misses some. */
	if (narrow->ignore_uri_case && !wide->ignore_uri_case && wide->uri.type &&
	    strcmp(wide->uri.value ? wide->uri.value : "", "/") != 0)
		return false;
	return matches_any_path(&wide->uri) ||
	       value_covers(&wide->uri, path, wide->ignore_uri_case);
}

/* Headers' names are equal without regard to case, query parameters' are not. */
typedef int (*compare_names)(const char *, const char *);

static const struct named_match *find_named(const struct named_matches *list, const char *name,
					    compare_names compare)
{
	for (size_t i = 0; i < list->count; i++)
		if (!compare(list->items[i].name, name))
			return &list->items[i];
	return NULL;
}

/* All that the wide one asks for, the narrow one asks for, too. */
static bool named_cover(const struct named_matches *wide, const struct named_matches *narrow,
			compare_names compare)
{
	for (size_t i = 0; i < wide->count; i++) {
		const struct named_match *other = find_named(narrow, wide->items[i].name, compare);

		if (!other || !value_covers(&wide->items[i].match, &other->match, false))
			return false;
	}
	return true;
}

/* What is left out by the wide one must be left out by the narrow one: the other way round. */
static bool without_cover(const struct named_matches *wide, const struct named_matches *narrow)
{
	for (size_t i = 0; i < wide->count; i++) {
		const struct named_match *other =
			find_named(narrow, wide->items[i].name, strcasecmp);

		if (!other || !value_covers(&other->match, &wide->items[i].match, false) ||
		    !value_covers(&wide->items[i].match, &other->match, false))
			return false;
	}
	return true;
}

static bool strs_have(const struct strs *list, const char *s)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], s))
			return true;
	return false;
}

/* The gateways of a match, else those of the VirtualService, else the mesh. */
static bool gateways_cover(const struct object *o, const struct strs *wide,
			   const struct strs *narrow)
{
	const struct strs *outer = wide->count ? wide : &o->vs.gateways;
	const struct strs *inner = narrow->count ? narrow : &o->vs.gateways;

	if (outer == inner || (!inner->count && strs_have(outer, "mesh")))
		return true;
	for (size_t i = 0; i < inner->count; i++)
		if (!strs_have(outer, inner->items[i]) &&
		    !(str_eq(inner->items[i], "mesh") && !outer->count))
			return false;
	return inner->count > 0;
}

static bool source_covers(const char *wide_ns, const struct kvs *wide_labels, const char *narrow_ns,
			  const struct kvs *narrow_labels)
{
	return (!wide_ns || str_eq(wide_ns, narrow_ns)) && labels_hold(narrow_labels, wide_labels);
}

/* ---- matches ---- */

/* A match of spec.http, spec.tcp or spec.tls. NULL: the route has none and takes everything. */
struct any_match {
	const struct http_match *http;
	const struct l4_match *l4;
};

static bool http_covers(const struct object *o, const struct http_match *wide,
			const struct http_match *narrow)
{
	return path_covers(wide, narrow) && value_covers(&wide->scheme, &narrow->scheme, false) &&
	       value_covers(&wide->method, &narrow->method, false) &&
	       value_covers(&wide->authority, &narrow->authority, false) &&
	       named_cover(&wide->headers, &narrow->headers, strcasecmp) &&
	       named_cover(&wide->query_params, &narrow->query_params, strcmp) &&
	       without_cover(&wide->without_headers, &narrow->without_headers) &&
	       (!wide->port || wide->port == narrow->port) &&
	       source_covers(wide->source_namespace, &wide->source_labels, narrow->source_namespace,
			     &narrow->source_labels) &&
	       gateways_cover(o, &wide->gateways, &narrow->gateways);
}

static bool subnet_covers(const struct cidr *wide, const struct cidr *narrow)
{
	return wide->prefix <= narrow->prefix && cidr_holds(wide, &narrow->addr);
}

static bool subnets_cover(const struct l4_match *wide, const struct l4_match *narrow)
{
	if (!wide->destination_subnets.count)
		return true;
	for (size_t i = 0; i < narrow->destination_subnets.count; i++) {
		bool covered = false;

		for (size_t k = 0; k < wide->destination_subnets.count && !covered; k++)
			covered = subnet_covers(&wide->destination_subnets.items[k],
						&narrow->destination_subnets.items[i]);
		if (!covered)
			return false;
	}
	return narrow->destination_subnets.count;
}

static bool has_name(const struct strs *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcasecmp(list->items[i], name))
			return true;
	return false;
}

/* Whatever the order of the rules, the most specific name counts: a wider one leaves it alone. */
static bool snis_cover(const struct l4_match *wide, const struct l4_match *narrow)
{
	for (size_t i = 0; wide->sni_hosts.count && i < narrow->sni_hosts.count; i++)
		if (!has_name(&wide->sni_hosts, narrow->sni_hosts.items[i]))
			return false;
	return narrow->sni_hosts.count || !wide->sni_hosts.count;
}

static bool l4_covers(const struct object *o, const struct l4_match *wide,
		      const struct l4_match *narrow)
{
	return subnets_cover(wide, narrow) && snis_cover(wide, narrow) &&
	       (!wide->port || wide->port == narrow->port) &&
	       source_covers(wide->source_namespace, &wide->source_labels, narrow->source_namespace,
			     &narrow->source_labels) &&
	       gateways_cover(o, &wide->gateways, &narrow->gateways);
}

static bool covers(const struct object *o, struct any_match wide, struct any_match narrow)
{
	static const struct http_match any_request;
	static const struct l4_match any_connection;

	if (!wide.http && !wide.l4)
		return true;
	if (wide.http)
		return http_covers(o, wide.http, narrow.http ? narrow.http : &any_request);
	return l4_covers(o, wide.l4, narrow.l4 ? narrow.l4 : &any_connection);
}

/* ---- routes ---- */

/* One of spec.http, spec.tcp or spec.tls. */
struct any_routes {
	struct mesh *mesh;
	const struct object *o;
	const char *field;
	const struct http_route *http;
	const struct l4_route *l4;
	size_t count;
};

static size_t match_count(const struct any_routes *r, size_t route)
{
	return r->http ? r->http[route].match.count : r->l4[route].match.count;
}

static struct any_match match_at(const struct any_routes *r, size_t route, size_t i)
{
	struct any_match none = { 0 };

	if (i >= match_count(r, route))
		return none;
	return r->http ? (struct any_match){ .http = &r->http[route].match.items[i] }
		       : (struct any_match){ .l4 = &r->l4[route].match.items[i] };
}

static struct pos position(const struct any_routes *r, size_t route, size_t match)
{
	struct any_match m = match_at(r, route, match);
	struct pos at = m.http ? m.http->pos : m.l4 ? m.l4->pos : (struct pos){ 0 };

	if (!at.line)
		at = r->http ? r->http[route].pos : r->l4[route].pos;
	return at.line ? at : r->o->pos;
}

/* What a delegate leaves goes on to the next route. */
static bool takes_all_it_matches(const struct any_routes *r, size_t route)
{
	return !r->http || !r->http[route].delegate;
}

/* The first route that takes all that the match would before it is looked at: an earlier one, or
 * its own, where that has the same match twice; r->count if there is none. *same: an earlier one
 * has the very same conditions, or none at all. */
static size_t find_cover(const struct any_routes *r, size_t route, size_t match, bool *same)
{
	struct any_match m = match_at(r, route, match);

	for (size_t k = 0; k < route; k++) {
		size_t count = match_count(r, k);

		for (size_t i = 0; takes_all_it_matches(r, k) && i < (count ? count : 1); i++) {
			struct any_match earlier = match_at(r, k, i);

			if (!covers(r->o, earlier, m))
				continue;
			*same = !count || covers(r->o, m, earlier);
			return k;
		}
	}
	*same = false;
	for (size_t i = 0; i < match; i++)
		if (covers(r->o, match_at(r, route, i), m) &&
		    covers(r->o, m, match_at(r, route, i)))
			return route;
	return r->count;
}

static void check_route(const struct any_routes *r, size_t route)
{
	size_t count = match_count(r, route), matches = count ? count : 1, equal = 0, by = 0;
	bool same;

	for (size_t i = 0; i < matches; i++) {
		by = find_cover(r, route, i, &same);
		equal += by < route && same;
	}
	if (equal == matches) {
		errors_remark(r->mesh->errors, REMARK_UNREACHABLE, r->o,
			      position(r, route, matches), "spec.%s[%zu]: never used: %s[%zu] %s",
			      r->field, route, r->field, by,
			      match_count(r, by) ? "has the same match" : "takes everything");
		return;
	}
	for (size_t i = 0; i < matches; i++) {
		by = find_cover(r, route, i, &same);
		if (by < r->count)
			errors_remark(
				r->mesh->errors, REMARK_COVERED, r->o, position(r, route, i),
				"spec.%s[%zu].match[%zu]: never holds: %s[%zu] takes all that it "
				"would",
				r->field, route, i, r->field, by);
	}
}

static void check_routes(const struct any_routes *r)
{
	for (size_t i = 0; (r->http || r->l4) && i < r->count; i++)
		check_route(r, i);
}

void check_covered_routes(struct mesh *mesh, const struct object *o)
{
	const struct any_routes all[] = {
		{ mesh, o, "http", o->vs.http.items, NULL, o->vs.http.count },
		{ mesh, o, "tcp", NULL, o->vs.tcp.items, o->vs.tcp.count },
		{ mesh, o, "tls", NULL, o->vs.tls.items, o->vs.tls.count },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		check_routes(&all[i]);
}
