// SPDX-License-Identifier: Apache-2.0
/*
 * Matches: their rows, which of them hold for every request, and which for none of a site's.
 */
#include <ctype.h>
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/gateways.h"

__u32 http_regex_row(struct http_compiler *c, const char *pattern, bool search)
{
	struct hs_regex row = { .pattern = http_build_str(&c->build, pattern), .search = search };
	__u32 count = http_build_count(&c->build, HS_REGEXES);

	/* The same pattern is mostly written several times in a row. */
	if (count) {
		const struct hs_regex *last = http_build_row(&c->build, HS_REGEXES, count - 1);

		if (last && !memcmp(last, &row, sizeof(row)))
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

static void ask_label(struct http_compiler *c, const char *key)
{
	void **at = bytemap_at(&c->labels, key, strlen(key));

	c->anew = true; /* pods have the labels that are asked for */
	c->mesh->nomem |= !at;
	if (at)
		*at = (void *)key;
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
		ask_label(c, kv->key);
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

bool http_match_is_any(struct http_compiler *c, __u32 match)
{
	const struct hs_match *m;

	if (match == HS_NONE)
		return true;
	m = http_build_row(&c->build, HS_MATCHES, match);
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

const char *http_match_never(struct http_compiler *c, const struct http_site *site,
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
