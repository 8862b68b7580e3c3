// SPDX-License-Identifier: Apache-2.0
/*
 * Rules: the routes of a VirtualService at a site, one for each match that can hold there, and the
 * virtual hosts that they make up.
 */
#include <errno.h>

#include "lib/l7/l7_priv.h"
#include "lib/model/kinds.h"

void http_rules_free(struct http_rules *r)
{
	free(r->rules.items);
	free(r->skipped.items);
	*r = (struct http_rules){ 0 };
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
		const char *why = m ? http_match_never(c, site, e, m) : NULL;
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
		*closed = http_match_is_any(c, rule->match);
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
