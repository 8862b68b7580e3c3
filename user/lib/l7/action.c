// SPDX-License-Identifier: Apache-2.0
/*
 * What a route does.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/l7/l7_priv.h"

enum {
	DEFAULT_ATTEMPTS = 2,
	DEFAULT_BACKOFF_MS = 25,
	PERMANENT_REDIRECT = 301,
};

static const char default_retry_on[] = "connect-failure,refused-stream,unavailable,cancelled";

static __u32 whole_ms(msecs given)
{
	return given < 0 ? 0 : given > UINT32_MAX ? UINT32_MAX : given;
}

static __u64 share_of(double percent)
{
	return percent <= 0 ? 0 : (__u64)(percent / 100 * 4294967296.0 + 0.5);
}

/* ---- retries ---- */

static __u32 retry_word(const char *word, size_t len)
{
	static const char *const words[] = { "5xx",
					     "gateway-error",
					     "reset",
					     "connect-failure",
					     "refused-stream",
					     "retriable-4xx",
					     "reset-before-request",
					     "envoy-ratelimited",
					     "cancelled",
					     "deadline-exceeded",
					     "internal",
					     "resource-exhausted",
					     "unavailable",
					     "http3-post-connect-failure" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == len && !strncasecmp(words[i], word, len))
			return 1u << i;
	return 0;
}

/* Words and statuses, with commas between them. */
static void parse_retry_on(struct http_compiler *c, const char *text, struct hs_retries *r)
{
	r->statuses.first = http_build_count(&c->build, HS_STATUSES);
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, ",");
		size_t skip = strspn(at, " ");
		struct hs_status status = { 0 };

		skip = skip < len ? skip : len;
		if (sscanf(at + skip, "%3u", &status.status) == 1 && status.status >= 100) {
			http_build_add(&c->build, HS_STATUSES, &status);
			r->statuses.count++;
		} else {
			size_t end = len;

			while (end > skip && at[end - 1] == ' ')
				end--;
			r->on |= retry_word(at + skip, end - skip);
		}
		at += len + (at[len] == ',');
	}
}

static struct hs_retries retries(struct http_compiler *c, const struct http_retries *given)
{
	const char *on = given && given->retry_on && *given->retry_on ? given->retry_on
								      : default_retry_on;
	struct hs_retries r = { .attempts = DEFAULT_ATTEMPTS, .backoff_ms = DEFAULT_BACKOFF_MS };

	if (given) {
		r.attempts = given->attempts > 0 ? given->attempts : 0;
		r.per_try_timeout_ms = whole_ms(given->per_try_timeout);
		r.same_too = given->ignore_previous_hosts_given && !given->ignore_previous_hosts;
		if (given->backoff > 0)
			r.backoff_ms = whole_ms(given->backoff);
	}
	if (r.attempts) {
		r.text = http_build_str(&c->build, on);
		parse_retry_on(c, on, &r);
	}
	return r;
}

/* ---- headers ---- */

static bool is_authority(const char *name)
{
	return !strcasecmp(name, "host") || !strcasecmp(name, ":authority");
}

/* In rules "%%" is a percent sign. */
static const char *plain_value(struct http_compiler *c, const char *value)
{
	char *copy = pool_copy(&c->mesh->pool, value, strlen(value)), *to = copy;

	if (!copy) {
		c->mesh->nomem = true;
		return "";
	}
	for (const char *from = copy; *from; from++) {
		*to++ = *from;
		from += from[0] == '%' && from[1] == '%';
	}
	*to = '\0';
	return copy;
}

static void op(struct http_compiler *c, enum hs_op_type type, const char *name, const char *value)
{
	struct hs_op row = { .type = type,
			     .name = http_build_str(&c->build, name),
			     .value = http_build_str(&c->build, value) };

	http_build_add(&c->build, HS_OPS, &row);
}

static void remove_ops(struct http_compiler *c, const struct header_operations *h)
{
	for (size_t i = 0; i < h->remove.count; i++)
		op(c, HS_OP_REMOVE, h->remove.items[i], NULL);
}

static void write_ops(struct http_compiler *c, const struct header_operations *h)
{
	for (size_t i = 0; i < h->set.count; i++)
		if (!is_authority(h->set.items[i].key))
			op(c, HS_OP_SET, h->set.items[i].key,
			   plain_value(c, h->set.items[i].value));
	for (size_t i = 0; i < h->add.count; i++)
		if (!is_authority(h->add.items[i].key))
			op(c, HS_OP_ADD, h->add.items[i].key,
			   plain_value(c, h->add.items[i].value));
}

/* One list out of two: all that is removed first. `second` may be NULL. */
static struct hs_range ops(struct http_compiler *c, const struct header_operations *first,
			   const struct header_operations *second)
{
	struct hs_range range = { .first = http_build_count(&c->build, HS_OPS) };

	remove_ops(c, first);
	if (second)
		remove_ops(c, second);
	write_ops(c, first);
	if (second)
		write_ops(c, second);
	range.count = http_build_count(&c->build, HS_OPS) - range.first;
	return range;
}

static const char *authority_of(struct http_compiler *c, const struct header_operations *h)
{
	for (size_t i = 0; i < h->set.count; i++)
		if (is_authority(h->set.items[i].key))
			return plain_value(c, h->set.items[i].value);
	for (size_t i = 0; i < h->add.count; i++)
		if (is_authority(h->add.items[i].key))
			return plain_value(c, h->add.items[i].value);
	return NULL;
}

/* ---- destinations ---- */

/* The weight of one destination is ignored; of several, those without one get nothing. */
static void dest_rows(struct http_compiler *c, const struct http_site *site,
		      const struct http_effective *e, struct hs_action *a)
{
	const struct http_route *r = &e->route;
	bool one = r->route.count == 1;

	a->dests.first = http_build_count(&c->build, HS_DESTS);
	for (size_t i = 0; i < r->route.count; i++) {
		const struct http_route_destination *d = &r->route.items[i];
		__u32 weight = one ? 1 : d->weight > 0 ? d->weight : 0;
		struct hs_dest row = { 0 };

		if (!weight)
			continue;
		row.cluster = http_cluster_row(c, site, e->o->meta.namespace, &d->destination);
		row.authority = http_build_str(&c->build, authority_of(c, &d->headers.request));
		a->total += weight;
		row.end = a->total;
		if (!one) {
			row.request = ops(c, &d->headers.request, NULL);
			row.response = ops(c, &d->headers.response, NULL);
		}
		http_build_add(&c->build, HS_DESTS, &row);
		a->dests.count++;
	}
}

static void mirror_rows(struct http_compiler *c, const struct http_site *site,
			const struct http_effective *e, struct hs_action *a)
{
	const struct http_mirrors *m = &e->route.mirrors;

	a->mirrors.first = http_build_count(&c->build, HS_MIRRORS);
	for (size_t i = 0; i < m->count; i++) {
		struct hs_mirror row = { .share = share_of(m->items[i].percent) };

		if (!row.share)
			continue;
		row.cluster = http_cluster_row(c, site, e->mirror->meta.namespace,
					       &m->items[i].destination);
		http_build_add(&c->build, HS_MIRRORS, &row);
		a->mirrors.count++;
	}
}

/* ---- the rest ---- */

static struct hs_str joined(struct http_compiler *c, const struct strs *list)
{
	const char *text = "";

	for (size_t i = 0; i < list->count && text; i++)
		text = pool_printf(&c->mesh->pool, "%s%s%s", text, i ? "," : "", list->items[i]);
	c->mesh->nomem |= !text;
	return http_build_str(&c->build, text);
}

static __u32 cors_row(struct http_compiler *c, const struct http_cors *cors)
{
	struct hs_cors row = {
		.methods = joined(c, &cors->allow_methods),
		.headers = joined(c, &cors->allow_headers),
		.expose = joined(c, &cors->expose_headers),
		.credentials = cors->allow_credentials,
		.ignore_unmatched = cors->unmatched_preflights == CORS_PREFLIGHTS_IGNORE,
	};
	char seconds[32];

	if (cors->max_age >= 0) {
		snprintf(seconds, sizeof(seconds), "%lld", (long long)cors->max_age / 1000);
		row.max_age = http_build_str(&c->build, seconds);
	}
	row.origins = (struct hs_range){ http_build_count(&c->build, HS_VALUES),
					 cors->allow_origins.count };
	for (size_t i = 0; i < cors->allow_origins.count; i++) {
		struct hs_value v = http_value(c, &cors->allow_origins.items[i], false);

		http_build_add(&c->build, HS_VALUES, &v);
	}
	return http_build_add(&c->build, HS_CORS, &row);
}

static void set_fault(struct http_compiler *c, const struct http_fault *f, struct hs_action *a)
{
	if (f->delay && f->delay->fixed > 0) {
		a->delay_ms = whole_ms(f->delay->fixed);
		a->delay_share = share_of(f->delay->percent);
	}
	if (f->abort && (f->abort->http_status || f->abort->grpc_status)) {
		a->abort_status = f->abort->http_status;
		a->abort_grpc = http_build_str(&c->build, f->abort->grpc_status);
		a->abort_share = share_of(f->abort->percent);
	}
}

static void set_redirect(struct http_compiler *c, const struct http_site *site,
			 const struct http_redirect *r, struct hs_action *a)
{
	struct http_build *b = &c->build;

	a->type = HS_REDIRECT;
	a->status = r->code ? (__u32)r->code : PERMANENT_REDIRECT;
	a->scheme = http_build_str(b, r->scheme);
	a->host = http_build_str(b, r->authority);
	a->path = http_build_str(b, r->prefix_rewrite ? r->prefix_rewrite : r->uri);
	a->path_prefix = !!r->prefix_rewrite;
	a->port = r->port;
	a->port_derived = !r->port && r->derive_port == DERIVE_PORT_REQUEST;
	if (a->port_derived)
		a->port = site->port;
}

static void set_rewrite(struct http_compiler *c, const struct http_rewrite *r, struct hs_action *a)
{
	if (r->regex) {
		a->rewrite_regex = http_regex_row(c, r->regex, true);
		a->rewrite = http_build_str(&c->build, r->regex_rewrite);
	} else {
		a->rewrite = http_build_str(&c->build, r->uri);
	}
	if (r->authority)
		a->authority = http_build_str(&c->build, r->authority);
}

static void set_route(struct http_compiler *c, const struct http_site *site,
		      const struct http_effective *e, struct hs_action *a)
{
	const struct http_route *r = &e->route;

	a->timeout_ms = whole_ms(r->timeout);
	a->retries = retries(c, r->retries);
	a->authority = http_build_str(&c->build, authority_of(c, &r->headers.request));
	if (r->rewrite)
		set_rewrite(c, r->rewrite, a);
	if (r->fault)
		set_fault(c, r->fault, a);
	dest_rows(c, site, e, a);
	mirror_rows(c, site, e, a);
}

static void set_name(struct http_compiler *c, const char *name, struct hs_action *a)
{
	c->mesh->nomem |= !name;
	a->name = http_build_str(&c->build, name);
	a->id = name ? registry_id(c->mesh->registry, REG_ROUTE, name) : 0;
	c->mesh->nomem |= !a->id;
}

/* Whether `o` is the first object that gives a route that name. */
static bool claim(struct http_compiler *c, const char *name, const struct object *o)
{
	void **at = bytemap_at(&c->names, name, strlen(name));

	if (!at) {
		c->mesh->nomem = true;
		return false;
	}
	if (!*at)
		*at = (void *)o;
	return *at == o;
}

void http_claim_names(struct http_compiler *c)
{
	for (size_t i = 0; i < c->mesh->virtual_services.count; i++) {
		const struct object *o = c->mesh->virtual_services.items[i];

		for (size_t k = 0; k < o->vs.http.count; k++)
			if (o->vs.http.items[k].name && *o->vs.http.items[k].name)
				claim(c, o->vs.http.items[k].name, o);
	}
}

/* As it is in the log and in counters: the name that it was given, with its VirtualService in front
 * where an older one has that name, too; else its place. */
static const char *full_route_name(struct http_compiler *c, const struct http_effective *e,
				   const struct http_match *m)
{
	const char *given = http_route_name(c, e, m);
	const struct meta *meta = &e->o->meta;
	bool match = m && m->name && *m->name;

	if (!given)
		return pool_printf(&c->mesh->pool, "%s/%s/http[%zu]%s%s", meta->namespace,
				   meta->name, e->index, match ? "." : "", match ? m->name : "");
	if (claim(c, e->route.name, e->o))
		return given;
	return pool_printf(&c->mesh->pool, "%s/%s/%s", meta->namespace, meta->name, given);
}

__u32 http_action_row(struct http_compiler *c, const struct http_site *site,
		      const struct http_effective *e, const struct http_match *m)
{
	const struct http_route *r = &e->route;
	const struct http_headers *of_dest = r->route.count == 1 ? &r->route.items[0].headers
								 : NULL;
	struct hs_action a = { .rewrite_regex = HS_NONE, .cors = HS_NONE, .place = HS_NONE };

	set_name(c, route_name_fit(c->mesh, full_route_name(c, e, m)), &a);
	a.request = ops(c, &r->headers.request, of_dest ? &of_dest->request : NULL);
	a.response = ops(c, &r->headers.response, of_dest ? &of_dest->response : NULL);
	if (r->cors)
		a.cors = cors_row(c, r->cors);
	if (r->redirect) {
		set_redirect(c, site, r->redirect, &a);
	} else if (r->direct_response) {
		a.type = HS_DIRECT_RESPONSE;
		a.status = r->direct_response->status;
		a.body = http_build_bytes(
			&c->build, r->direct_response->body ? r->direct_response->body : "",
			r->direct_response->body ? r->direct_response->body_len : 0);
	} else {
		set_route(c, site, e, &a);
	}
	return http_build_add(&c->build, HS_ACTIONS, &a);
}

/* The same for connections: weights, and nothing else. */
static void l4_dest_rows(struct http_compiler *c, const struct http_site *site,
			 const struct object *o, const struct l4_route *route, struct hs_action *a)
{
	a->dests.first = http_build_count(&c->build, HS_DESTS);
	for (size_t i = 0; i < route->route.count; i++) {
		const struct route_destination *d = &route->route.items[i];
		__u32 weight = route->route.count == 1 ? 1 : d->weight > 0 ? d->weight : 0;
		struct hs_dest row = { 0 };

		if (!weight)
			continue;
		row.cluster = http_cluster_row(c, site, o->meta.namespace, &d->destination);
		a->total += weight;
		row.end = a->total;
		http_build_add(&c->build, HS_DESTS, &row);
		a->dests.count++;
	}
}

/* Called as the kernel's tables call it (l4). */
__u32 http_l4_action_row(struct http_compiler *c, const struct http_site *site,
			 const struct object *o, const char *field, const struct l4_route *route)
{
	const struct l4_routes *routes = str_eq(field, "tls") ? &o->vs.tls : &o->vs.tcp;
	struct hs_action a = { .rewrite_regex = HS_NONE, .cors = HS_NONE, .place = HS_NONE };

	set_name(c,
		 route_name_fit(c->mesh,
				pool_printf(&c->mesh->pool, "%s/%s/%s[%zu]", o->meta.namespace,
					    o->meta.name, field, (size_t)(route - routes->items))),
		 &a);
	l4_dest_rows(c, site, o, route, &a);
	return http_build_add(&c->build, HS_ACTIONS, &a);
}

static __u32 make_plain(struct http_compiler *c, const struct http_site *site, struct mesh_port *sp)
{
	const struct object *o = sp->host->service;
	struct hs_action a = { .rewrite_regex = HS_NONE, .cors = HS_NONE, .total = 1 };
	struct pos at = sp->port->pos.line ? sp->port->pos : o->pos;
	struct hs_dest dest = { .end = 1 };
	char name[PORT_NAME_MAX];
	size_t len = port_name(name, sp->host, sp->port->port);

	set_name(c, route_name_fit(c->mesh, pool_copy(&c->mesh->pool, name, len)), &a);
	a.place = http_place(c, o, "", NULL, at, at);
	a.retries = retries(c, NULL);
	dest.cluster = http_cluster_of(c, site, sp, "");
	a.dests = (struct hs_range){ http_build_add(&c->build, HS_DESTS, &dest), 1 };
	return http_build_add(&c->build, HS_ACTIONS, &a);
}

__u32 http_plain_row(struct http_compiler *c, const struct http_site *site, struct mesh_port *sp)
{
	const char *key = site->client || site->direct
				  ? NULL
				  : pool_copy(&c->mesh->pool, (const char *)&sp, sizeof(sp));
	void **at;

	if (site->client || site->direct)
		return make_plain(c, site, sp);
	at = key ? bytemap_at(&c->plains, key, sizeof(sp)) : NULL;
	if (!at) {
		c->mesh->nomem = true;
		return 0;
	}
	if (!*at)
		*at = (void *)(uintptr_t)(make_plain(c, site, sp) + 1);
	return (uintptr_t)*at - 1;
}
