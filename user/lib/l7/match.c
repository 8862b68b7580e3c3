// SPDX-License-Identifier: Apache-2.0
/*
 * Matches, and which of them can hold at a site at all.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/mesh/gateways.h"
#include "lib/l7/l7_priv.h"

void http_rules_free(struct http_rules *r)
{
	free(r->rules.items);
	free(r->skipped.items);
	*r = (struct http_rules){ 0 };
}

__u32 http_regex_row(struct http_compiler *c, const char *pattern, bool search)
{
	struct hs_regex row = { .pattern = http_build_str(&c->build, pattern), .search = search };
	__u32 count = http_build_count(&c->build, HS_REGEXES);

	/* The same pattern is mostly written several times in a row. */
	if (count) {
		const struct hs_regex *last = http_build_row(&c->build, HS_REGEXES, count - 1);

		if (!memcmp(last, &row, sizeof(row)))
			return count - 1;
	}
	return http_build_add(&c->build, HS_REGEXES, &row);
}

struct hs_value http_value(struct http_compiler *c, const struct string_match *m, bool fold)
{
	struct hs_value v = { .type = m->type, .regex = HS_NONE };

	v.value = http_build_str(&c->build, m->value);
	v.fold = fold && (m->type == MATCH_EXACT || m->type == MATCH_PREFIX);
	if (m->type == MATCH_REGEX)
		v.regex = http_regex_row(c, m->value, false);
	return v;
}

static struct hs_str lower_str(struct http_compiler *c, const char *name)
{
	char *lower = pool_copy(&c->mesh->pool, name, strlen(name));

	for (char *at = lower; at && *at; at++)
		*at = tolower((unsigned char)*at);
	c->mesh->nomem |= !lower;
	return http_build_str(&c->build, lower);
}

static struct hs_range named_rows(struct http_compiler *c, const struct named_matches *list,
				  bool headers)
{
	struct hs_range range = { .first = http_build_count(&c->build, HS_NAMED),
				  .count = list->count };

	for (size_t i = 0; i < list->count; i++) {
		const struct named_match *n = &list->items[i];
		struct hs_named row = { .value = http_value(c, &n->match, false) };

		row.name = headers ? lower_str(c, n->name) : http_build_str(&c->build, n->name);
		http_build_add(&c->build, HS_NAMED, &row);
	}
	return range;
}

static void source_rows(struct http_compiler *c, const struct http_match *m, struct hs_match *row)
{
	const char *text = "";

	row->source_namespace = http_build_str(&c->build, m->source_namespace);
	row->source_labels =
		(struct hs_range){ http_build_count(&c->build, HS_LABELS), m->source_labels.count };
	for (size_t i = 0; i < m->source_labels.count; i++) {
		const struct kv *kv = &m->source_labels.items[i];
		struct hs_label label = { .key = http_build_str(&c->build, kv->key),
					  .value = http_build_str(&c->build, kv->value) };

		http_build_add(&c->build, HS_LABELS, &label);
		text = pool_printf(&c->mesh->pool, "%s%s%s=%s", text, i ? ", " : "", kv->key,
				   kv->value ? kv->value : "");
		if (!text) {
			c->mesh->nomem = true;
			return;
		}
	}
	row->source_labels_text = http_build_str(&c->build, text);
}

/* Naming gateways, or being at one, says that the source is not a workload of the mesh. */
__u32 http_match_row(struct http_compiler *c, const struct http_site *site,
		     const struct http_match *m)
{
	struct hs_match row = { .uri = http_value(c, &m->uri, m->ignore_uri_case),
				.scheme = http_value(c, &m->scheme, false),
				.method = http_value(c, &m->method, false),
				.authority = http_value(c, &m->authority, false) };

	row.headers = named_rows(c, &m->headers, true);
	row.without_headers = named_rows(c, &m->without_headers, true);
	row.query_params = named_rows(c, &m->query_params, false);
	if (!site->gateway && !m->gateways.count)
		source_rows(c, m, &row);
	return http_build_add(&c->build, HS_MATCHES, &row);
}

bool http_rule_is_catch_all(struct http_compiler *c, const struct hs_rule *rule)
{
	const struct hs_match *m;

	if (rule->match == HS_NONE)
		return true;
	m = http_build_row(&c->build, HS_MATCHES, rule->match);
	if (!m || m->scheme.type || m->method.type || m->authority.type || m->headers.count ||
	    m->without_headers.count || m->query_params.count || m->source_labels.count ||
	    m->source_namespace.len)
		return false;
	switch (m->uri.type) {
	case MATCH_NONE:
	case MATCH_PRESENT:
		return true;
	case MATCH_PREFIX:
		return m->uri.value.len <= 1;
	case MATCH_REGEX:
		return m->uri.value.at == http_build_str(&c->build, ".*").at;
	default:
		return false;
	}
}

/* The Gateway's workload as far as its selector tells: what sourceLabels mean there. */
static const char *never_at_gateway(struct http_compiler *c, const struct http_site *site,
				    const struct http_effective *e, const struct http_match *m)
{
	const struct object *gw = site->gateway;

	if (m->gateways.count)
		return gateways_have(&m->gateways, e->root->meta.namespace, gw)
			       ? NULL
			       : "gateways: this gateway is not among them";
	if (!labels_hold(&gw->gateway.selector, &m->source_labels))
		return "sourceLabels: the gateway does not have them";
	if (m->source_namespace && !str_eq(m->source_namespace, gw->meta.namespace))
		return pool_printf(&c->mesh->pool, "sourceNamespace: '%s' is not '%s'",
				   gw->meta.namespace, m->source_namespace);
	return NULL;
}

/* Why the match can never hold at the site; NULL: it can. */
static const char *never(struct http_compiler *c, const struct http_site *site,
			 const struct http_effective *e, const struct http_match *m)
{
	if (m->port && m->port != site->port)
		return pool_printf(&c->mesh->pool, "port: %u is not %u", site->port, m->port);
	if (site->gateway)
		return never_at_gateway(c, site, e, m);
	if (m->gateways.count && !gateways_have_mesh(&m->gateways))
		return "gateways: mesh is not among them";
	return NULL;
}

__u32 http_place(struct http_compiler *c, const struct object *o, const char *route,
		 const char *label, struct pos pos, struct pos whole)
{
	struct http_build *b = &c->build;
	struct hs_place row = { .kind = http_build_str(b, kind_name(o->kind)),
				.ns = http_build_str(b, o->meta.namespace),
				.name = http_build_str(b, o->meta.name),
				.route = http_build_str(b, route),
				.file = http_build_str(b, o->file),
				.label = http_build_str(b, label),
				.line = pos.line,
				.col = pos.col,
				.whole_line = whole.line,
				.whole_col = whole.col };

	return http_build_add(b, HS_PLACES, &row);
}

const char *http_route_name(struct http_compiler *c, const struct http_effective *e,
			    const struct http_match *m)
{
	const char *name = e->route.name && *e->route.name ? e->route.name : NULL;

	if (!name || !m || !m->name || !*m->name)
		return name;
	name = pool_printf(&c->mesh->pool, "%s.%s", name, m->name);
	c->mesh->nomem |= !name;
	return name;
}

static __u32 match_place(struct http_compiler *c, const struct http_effective *e,
			 const struct http_match *m)
{
	struct pos whole = e->route.pos.line ? e->route.pos : e->o->pos;
	struct pos pos = m && m->pos.line ? m->pos : whole;
	const char *route;

	if (m)
		route = pool_printf(&c->mesh->pool, "http[%zu].match[%zu]", e->index,
				    (size_t)(m - e->route.match.items));
	else
		route = pool_printf(&c->mesh->pool, "http[%zu]", e->index);
	c->mesh->nomem |= !route;
	return http_place(c, e->o, route, http_route_name(c, e, m), pos, whole);
}

static int add_skipped(struct http_compiler *c, struct http_rules *out, __u32 place,
		       const char *why)
{
	struct hs_skipped *s = table_push(&out->skipped);

	if (!s)
		return -ENOMEM;
	*s = (struct hs_skipped){ place, http_build_str(&c->build, why) };
	return 0;
}

/* A match with a name is a route of its own in log and counters; all others share one. */
static __u32 action_of(struct http_compiler *c, const struct http_site *site,
		       const struct http_effective *e, const struct http_match *m, __u32 *shared)
{
	if (m && m->name && *m->name)
		return http_action_row(c, site, e, m);
	if (*shared == HS_NONE)
		*shared = http_action_row(c, site, e, NULL);
	return *shared;
}

/* What comes behind a match that takes everything is never reached: at a gateway, where such a one
 * is moved behind other VirtualServices' rules, it must not be either. */
static int add_effective(struct http_compiler *c, const struct http_site *site,
			 const struct http_effective *e, struct http_rules *out, bool *closed)
{
	size_t n = e->route.match.count ? e->route.match.count : 1;
	__u32 shared = HS_NONE;
	int r = 0;

	for (size_t i = 0; i < n && !r && !*closed; i++) {
		const struct http_match *m = e->route.match.count ? &e->route.match.items[i] : NULL;
		const char *why = m ? never(c, site, e, m) : NULL;
		__u32 place = match_place(c, e, m);
		struct hs_rule *rule;

		if (why) {
			r = add_skipped(c, out, place, why);
			continue;
		}
		rule = table_push(&out->rules);
		if (!rule)
			return -ENOMEM;
		*rule = (struct hs_rule){ .action = action_of(c, site, e, m, &shared),
					  .place = place,
					  .group = out->groups };
		rule->match = m ? http_match_row(c, site, m) : HS_NONE;
		*closed = http_rule_is_catch_all(c, rule);
	}
	return r;
}

int http_rules_add(struct http_compiler *c, const struct http_site *site, const struct object *o,
		   struct http_rules *out)
{
	struct http_routes routes = { 0 };
	bool closed = false;
	int r = http_expand(c, o, &routes);

	for (size_t i = 0; i < routes.list.count && !r && !closed; i++)
		r = add_effective(c, site, &routes.list.items[i], out, &closed);
	free(routes.list.items);
	out->groups++;
	return r;
}

bool http_rules_closed(struct http_compiler *c, const struct http_rules *r)
{
	for (size_t i = r->rules.count; i-- && r->rules.items[i].group + 1 == r->groups;) {
		__u32 at = r->rules.items[i].match;
		const struct hs_match *m =
			at == HS_NONE ? NULL : http_build_row(&c->build, HS_MATCHES, at);

		if (!m || (!m->source_labels.count && !m->source_namespace.len))
			return true;
	}
	return false;
}

__u32 http_vhost_row(struct http_compiler *c, const char *name, const struct http_rules *rules,
		     __u32 plain, __u32 flags)
{
	struct http_build *b = &c->build;
	struct hs_vhost row = { .name = http_build_str(b, name), .plain = plain, .flags = flags };

	row.rules = (struct hs_range){ http_build_count(b, HS_RULES), rules->rules.count };
	for (size_t i = 0; i < rules->rules.count; i++)
		http_build_add(b, HS_RULES, &rules->rules.items[i]);
	row.skipped = (struct hs_range){ http_build_count(b, HS_SKIPPED), rules->skipped.count };
	for (size_t i = 0; i < rules->skipped.count; i++)
		http_build_add(b, HS_SKIPPED, &rules->skipped.items[i]);
	return http_build_add(b, HS_VHOSTS, &row);
}
