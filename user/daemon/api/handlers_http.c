// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/handlers_http.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/kinds.h"
#include "lib/model/model_http.h"

struct http_site_rules http_next_site(const struct http_snapshot *s, struct http_names names,
				      const char *host, __u32 *next)
{
	for (; *next < names.exact.count + names.wild.count; ++*next) {
		__u32 at = *next < names.exact.count ? names.exact.first + *next
						     : names.wild.first + *next - names.exact.count;
		const struct hs_domain *d = hs_domain(s, at);
		const struct hs_vhost *v = hs_vhost(s, d->vhost);

		/* Of a service's names only the full one, which the vhost has, too. */
		if (*next < names.exact.count &&
		    strcmp(hs_text(s, d->name), hs_text(s, v->name)) != 0)
			continue;
		if (host && strcmp(hs_text(s, v->name), host) != 0)
			continue;
		++*next;
		return (struct http_site_rules){ v, d->ns };
	}
	return (struct http_site_rules){ 0 };
}

/* ---- conditions ---- */

static void write_value(FILE *f, const struct http_snapshot *s, const char *name,
			const struct hs_value *v)
{
	static const char *const types[] = { "", " exact ", " prefix ", " regex ", " is there" };

	if (v->type == MATCH_NONE || v->type >= sizeof(types) / sizeof(*types))
		return;
	fprintf(f, "%s%s%s%s", ftell(f) ? ", " : "", name, types[v->type],
		v->type == MATCH_PRESENT ? "" : hs_text(s, v->value));
}

static void write_named(FILE *f, const struct http_snapshot *s, const char *what,
			struct hs_range range)
{
	for (__u32 i = 0; i < range.count; i++) {
		const struct hs_named *n = hs_named(s, range.first + i);
		_cleanup_free_ char *name = NULL;

		if (asprintf(&name, "%s %s", what, hs_text(s, n->name)) >= 0)
			write_value(f, s, name, &n->value);
		else
			name = NULL;
	}
}

static void write_text(FILE *f, const char *what, const char *text)
{
	if (*text)
		fprintf(f, "%s%s %s", ftell(f) ? ", " : "", what, text);
}

/* NULL when out of memory. */
static json_t *conditions_json(const struct http_snapshot *s, const struct hs_match *m)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	write_value(f, s, "uri", &m->uri);
	write_value(f, s, "scheme", &m->scheme);
	write_value(f, s, "method", &m->method);
	write_value(f, s, "authority", &m->authority);
	write_named(f, s, "header", m->headers);
	write_named(f, s, "without header", m->without_headers);
	write_named(f, s, "query parameter", m->query_params);
	write_text(f, "sourceNamespace", hs_text(s, m->source_namespace));
	write_text(f, "sourceLabels", hs_text(s, m->source_labels_text));
	return fclose(f) ? NULL : json_text(text);
}

/* ---- rules ---- */

json_t *http_cluster_json(struct ejections *e, const struct hs_cluster *c)
{
	const struct http_snapshot *s = e->snapshot;
	struct http_members m = http_members(s, c);
	json_t *endpoints = json_array(), *json;

	for (__u32 i = 0; i < m.count; i++)
		json_array_append_new(endpoints, ejections_endpoint(e, c, &m.items[i]));
	json = json_pack("{s:o, s:i, s:o, s:o}", "host", json_text(hs_text(s, c->host)), "port",
			 (int)c->port, "cluster", json_text(hs_text(s, c->name)), "endpoints",
			 endpoints);
	if (c->subset.len)
		json_object_set_new(json, "subset", json_text(hs_text(s, c->subset)));
	if (!c->known)
		json_object_set_new(json, "known", json_false());
	return json;
}

static json_t *dests_json(struct ejections *e, const struct hs_action *a)
{
	json_t *list = json_array();
	__u32 before = 0;

	for (__u32 i = 0; i < a->dests.count; i++) {
		const struct hs_dest *d = hs_dest(e->snapshot, a->dests.first + i);
		json_t *entry = http_cluster_json(e, hs_cluster(e->snapshot, d->cluster));

		json_object_set_new(entry, "weight",
				    json_integer(a->dests.count == 1 ? 100 : d->end - before));
		json_array_append_new(list, entry);
		before = d->end;
	}
	return list;
}

static const char *action_name(const struct hs_action *a)
{
	return a->type == HS_REDIRECT	       ? "redirect"
	       : a->type == HS_DIRECT_RESPONSE ? "direct response"
					       : "route";
}

static json_t *rule_json(struct ejections *e, const struct hs_place *p, const struct hs_match *m,
			 const struct hs_action *a)
{
	const struct http_snapshot *s = e->snapshot;
	struct pos pos = { (int)p->line, (int)p->col };
	char at[PLACE_MAX];
	json_t *json =
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "kind", json_text(hs_text(s, p->kind)),
			  "namespace", json_text(hs_text(s, p->ns)), "name",
			  json_text(hs_text(s, p->name)), "route", json_text(hs_text(s, p->route)),
			  "at", json_text(place_text(at, sizeof(at), hs_text(s, p->file), pos)),
			  "action", action_name(a));

	if (m)
		json_object_set_new(json, "conditions", conditions_json(s, m));
	if (a->type == HS_ROUTE)
		json_object_set_new(json, "destinations", dests_json(e, a));
	return json;
}

json_t *http_rules_json(struct ejections *e, const struct hs_vhost *v)
{
	const struct http_snapshot *s = e->snapshot;
	json_t *list = json_array();

	for (__u32 i = 0; i < v->rules.count; i++) {
		const struct hs_rule *r = hs_rule(s, v->rules.first + i);
		const struct hs_match *m = r->match == HS_NONE ? NULL : hs_match(s, r->match);

		json_array_append_new(list, rule_json(e, hs_place(s, r->place), m,
						      hs_action(s, r->action)));
	}
	if (!v->rules.count && v->plain != HS_NONE) {
		const struct hs_action *a = hs_action(s, v->plain);

		if (a->place != HS_NONE)
			json_array_append_new(list, rule_json(e, hs_place(s, a->place), NULL, a));
	}
	return list;
}

json_t *http_sni_rules_json(struct ejections *e, __u32 first, __u32 count)
{
	const struct http_snapshot *s = e->snapshot;
	json_t *list = json_array();

	for (__u32 i = first; i < first + count; i++) {
		const struct hs_sni *row = hs_sni(s, i);
		const struct hs_server *server = hs_server(s, row->server);
		const struct hs_match *m = row->match == HS_NONE ? NULL : hs_match(s, row->match);
		const struct hs_action *a =
			server->action == HS_NONE ? NULL : hs_action(s, server->action);
		__u32 place = server->place == HS_NONE && a ? a->place : server->place;

		if (a && place != HS_NONE)
			json_array_append_new(list, rule_json(e, hs_place(s, place), m, a));
	}
	return list;
}

static bool is_of(const struct http_snapshot *s, const struct hs_place *p, const struct object *vs)
{
	return !strcmp(hs_text(s, p->ns), vs->meta.namespace) &&
	       !strcmp(hs_text(s, p->name), vs->meta.name) &&
	       !strcmp(hs_text(s, p->kind), kind_name(vs->kind));
}

/* Of tcp and tls rules. */
static void add_sni_routes(struct ejections *e, const struct object *vs, json_t *routes)
{
	const struct http_snapshot *s = e->snapshot;

	for (__u32 i = 0; i < hs_count(s, HS_SERVERS); i++) {
		const struct hs_server *server = hs_server(s, i);
		const struct hs_action *a =
			server->action == HS_NONE ? NULL : hs_action(s, server->action);

		if (!a || server->place == HS_NONE || !is_of(s, hs_place(s, server->place), vs) ||
		    json_object_get(routes, hs_text(s, a->name)))
			continue;
		json_object_set_new(routes, hs_text(s, a->name),
				    json_pack("{s:s, s:o}", "action", action_name(a),
					      "destinations", dests_json(e, a)));
	}
}

json_t *http_routes_json(struct ejections *e, const struct object *vs)
{
	const struct http_snapshot *s = e->snapshot;
	json_t *routes = json_object();

	for (__u32 i = 0; i < hs_count(s, HS_RULES); i++) {
		const struct hs_rule *r = hs_rule(s, i);
		const struct hs_place *p = hs_place(s, r->place);
		const struct hs_action *a = hs_action(s, r->action);

		if (!is_of(s, p, vs) || json_object_get(routes, hs_text(s, a->name)))
			continue;
		json_object_set_new(routes, hs_text(s, a->name),
				    json_pack("{s:i, s:s, s:o}", "requests", 0, "action",
					      action_name(a), "destinations", dests_json(e, a)));
	}
	add_sni_routes(e, vs, routes);
	return routes;
}
