// SPDX-License-Identifier: Apache-2.0
/*
 * Delegates: what of a root's route and of a delegate's goes together, as Istio merges them.
 */
#include <errno.h>
#include <string.h>

#include "lib/l7/l7_priv.h"

static bool value_conflicts(const struct string_match *root, const struct string_match *leaf)
{
	size_t len;

	if (root->type == MATCH_NONE || leaf->type == MATCH_NONE)
		return false;
	if (root->type == MATCH_EXACT)
		return leaf->type != MATCH_EXACT || strcmp(root->value, leaf->value) != 0;
	if (root->type != MATCH_PREFIX || leaf->type == MATCH_REGEX || leaf->type == MATCH_PRESENT)
		return true;
	len = strlen(root->value);
	return strncmp(root->value, leaf->value, len) != 0;
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

static bool named_conflict(const struct named_matches *root, const struct named_matches *leaf,
			   compare_names compare)
{
	for (size_t i = 0; i < leaf->count; i++) {
		const struct named_match *of_root = find_named(root, leaf->items[i].name, compare);

		if (of_root && value_conflicts(&of_root->match, &leaf->items[i].match))
			return true;
	}
	return false;
}

static bool labels_conflict(const struct kvs *root, const struct kvs *leaf)
{
	for (size_t i = 0; i < leaf->count; i++) {
		const char *of_root = labels_get(root, leaf->items[i].key);

		if (of_root && !str_eq(of_root, leaf->items[i].value ? leaf->items[i].value : ""))
			return true;
	}
	return false;
}

static bool strs_have(const struct strs *list, const char *s)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], s))
			return true;
	return false;
}

static bool gateways_conflict(const struct strs *root, const struct strs *leaf)
{
	if (!root->count || !leaf->count)
		return false;
	for (size_t i = 0; i < leaf->count; i++)
		if (!strs_have(root, leaf->items[i]))
			return true;
	return false;
}

/* Istio takes a root's sourceNamespace for one that the leaf has to repeat. */
static bool source_conflicts(const struct http_match *root, const struct http_match *leaf)
{
	return root->source_namespace && *root->source_namespace &&
	       !str_eq(root->source_namespace,
		       leaf->source_namespace ? leaf->source_namespace : "");
}

static bool conflicts(const struct http_match *root, const struct http_match *leaf)
{
	return value_conflicts(&root->uri, &leaf->uri) ||
	       value_conflicts(&root->scheme, &leaf->scheme) ||
	       value_conflicts(&root->method, &leaf->method) ||
	       value_conflicts(&root->authority, &leaf->authority) ||
	       named_conflict(&root->headers, &leaf->headers, strcasecmp) ||
	       named_conflict(&root->without_headers, &leaf->without_headers, strcasecmp) ||
	       named_conflict(&root->query_params, &leaf->query_params, strcmp) ||
	       root->ignore_uri_case != leaf->ignore_uri_case ||
	       (root->port && leaf->port && root->port != leaf->port) ||
	       source_conflicts(root, leaf) ||
	       labels_conflict(&root->source_labels, &leaf->source_labels) ||
	       gateways_conflict(&root->gateways, &leaf->gateways);
}

/* Both, the leaf's where they have the same name. */
static struct named_matches merge_named(struct http_compiler *c, const struct named_matches *root,
					const struct named_matches *leaf, compare_names compare)
{
	struct named_matches out = { 0 };

	if (!root->count || !leaf->count)
		return root->count ? *root : *leaf;
	out.items = pool_alloc(&c->mesh->pool, (root->count + leaf->count) * sizeof(*out.items));
	if (!out.items) {
		c->mesh->nomem = true;
		return out;
	}
	for (size_t i = 0; i < root->count; i++)
		if (!find_named(leaf, root->items[i].name, compare))
			out.items[out.count++] = root->items[i];
	for (size_t i = 0; i < leaf->count; i++)
		out.items[out.count++] = leaf->items[i];
	return out;
}

static struct kvs merge_labels(struct http_compiler *c, const struct kvs *root,
			       const struct kvs *leaf)
{
	struct kvs out = { 0 };

	if (!root->count || !leaf->count)
		return root->count ? *root : *leaf;
	out.items = pool_alloc(&c->mesh->pool, (root->count + leaf->count) * sizeof(*out.items));
	if (!out.items) {
		c->mesh->nomem = true;
		return out;
	}
	for (size_t i = 0; i < root->count; i++)
		if (!labels_get(leaf, root->items[i].key))
			out.items[out.count++] = root->items[i];
	for (size_t i = 0; i < leaf->count; i++)
		out.items[out.count++] = leaf->items[i];
	return out;
}

static void inherit(struct string_match *leaf, const struct string_match *root)
{
	if (leaf->type == MATCH_NONE)
		*leaf = *root;
}

static const char *merge_name(struct http_compiler *c, const char *root, const char *leaf)
{
	if (!root || !*root || !leaf || !*leaf)
		return leaf && *leaf ? leaf : root;
	return pool_printf(&c->mesh->pool, "%s-%s", root, leaf);
}

static struct http_match merge_match(struct http_compiler *c, const struct http_match *root,
				     const struct http_match *leaf)
{
	struct http_match out = *leaf;

	out.name = merge_name(c, root->name, leaf->name);
	inherit(&out.uri, &root->uri);
	inherit(&out.scheme, &root->scheme);
	inherit(&out.method, &root->method);
	inherit(&out.authority, &root->authority);
	out.headers = merge_named(c, &root->headers, &leaf->headers, strcasecmp);
	out.without_headers =
		merge_named(c, &root->without_headers, &leaf->without_headers, strcasecmp);
	out.query_params = merge_named(c, &root->query_params, &leaf->query_params, strcmp);
	out.source_labels = merge_labels(c, &root->source_labels, &leaf->source_labels);
	if (!out.port)
		out.port = root->port;
	if (!out.source_namespace)
		out.source_namespace = root->source_namespace;
	if (!out.gateways.count)
		out.gateways = root->gateways;
	return out;
}

static bool goes_with_any(const struct http_route *root, const struct http_match *leaf)
{
	for (size_t i = 0; i < root->match.count; i++)
		if (!conflicts(&root->match.items[i], leaf))
			return true;
	return !root->match.count;
}

static bool is_dropped(const struct http_route *root, const struct http_route *leaf)
{
	for (size_t i = 0; i < leaf->match.count; i++)
		if (!goes_with_any(root, &leaf->match.items[i]))
			return true;
	return false;
}

/* The known Gateway that a name with a dot in it means; NULL: none. */
static const struct object *dotted_gateway(struct mesh *mesh, const char *ref, const char *ns)
{
	for (size_t i = 0; strchr(ref, '.') && i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		if (gateway_ref_is(ref, ns, gw->meta.namespace, gw->meta.name))
			return gw;
	}
	return NULL;
}

static const char *full_gateway(struct mesh *mesh, const char *ref, const char *ns)
{
	const struct object *gw = dotted_gateway(mesh, ref, ns);
	char name[HOST_MAX];
	const char *full = ref;

	if (gw)
		full = pool_printf(&mesh->pool, "%s/%s", gw->meta.namespace, gw->meta.name);
	else if (!gateway_ref_full(ref, ns, name))
		full = pool_copy(&mesh->pool, name, strlen(name));
	mesh->nomem |= !full;
	return full ? full : ref;
}

static void name_in_full(struct mesh *mesh, struct strs *gateways, const char *ns)
{
	const char **items = pool_alloc(&mesh->pool, gateways->count * sizeof(*items));

	mesh->nomem |= !items;
	for (size_t i = 0; items && i < gateways->count; i++)
		items[i] = full_gateway(mesh, gateways->items[i], ns);
	if (items)
		gateways->items = items;
}

static bool names_gateways(const struct http_route *r)
{
	for (size_t i = 0; i < r->match.count; i++)
		if (r->match.items[i].gateways.count)
			return true;
	return false;
}

/* The route of an object in that namespace with the gateways of its matches named in full: a root's
 * and a delegate's may be of different namespaces. */
static struct http_route resolved(struct mesh *mesh, const struct http_route *from, const char *ns)
{
	struct http_route r = *from;
	struct http_match *items;

	if (!names_gateways(from))
		return r;
	items = pool_alloc(&mesh->pool, r.match.count * sizeof(*items));
	mesh->nomem |= !items;
	if (!items)
		return r;
	memcpy(items, r.match.items, r.match.count * sizeof(*items));
	for (size_t i = 0; i < r.match.count; i++)
		if (items[i].gateways.count)
			name_in_full(mesh, &items[i].gateways, ns);
	r.match.items = items;
	return r;
}

const bool *http_delegates_dropped(struct mesh *mesh, const struct object *root, size_t of_root,
				   const struct object *leaf)
{
	const struct http_route above =
		resolved(mesh, &root->vs.http.items[of_root], root->meta.namespace);
	bool *dropped = pool_alloc(&mesh->pool, leaf->vs.http.count * sizeof(*dropped));

	mesh->nomem |= !dropped;
	for (size_t i = 0; dropped && i < leaf->vs.http.count; i++) {
		const struct http_route below =
			resolved(mesh, &leaf->vs.http.items[i], leaf->meta.namespace);

		dropped[i] = is_dropped(&above, &below);
	}
	return dropped;
}

/* Each alternative of the leaf with each of the root that it goes with. False when out of memory.
 */
static bool merge_matches(struct http_compiler *c, const struct http_route *root,
			  struct http_route *leaf)
{
	struct http_match *items;
	size_t count = 0;

	if (!root->match.count)
		return true;
	if (!leaf->match.count) {
		leaf->match = root->match;
		return true;
	}
	items = pool_alloc(&c->mesh->pool, root->match.count * leaf->match.count * sizeof(*items));
	if (!items) {
		c->mesh->nomem = true;
		return false;
	}
	for (size_t i = 0; i < leaf->match.count; i++) {
		for (size_t k = 0; k < root->match.count; k++)
			if (!conflicts(&root->match.items[k], &leaf->match.items[i]))
				items[count++] = merge_match(c, &root->match.items[k],
							     &leaf->match.items[i]);
	}
	leaf->match.items = items;
	leaf->match.count = count;
	return true;
}

static bool headers_given(const struct http_headers *h)
{
	return h->request.remove.count || h->request.set.count || h->request.add.count ||
	       h->response.remove.count || h->response.set.count || h->response.add.count;
}

/* `of_root` and its matches are the root's route, resolved. */
static int add_delegated(struct http_compiler *c, const struct object *root,
			 const struct http_route *of_root, const struct object *leaf, size_t index,
			 struct http_routes *out)
{
	struct http_effective e = { .o = leaf, .root = root, .mirror = leaf, .index = index };
	struct http_effective *slot;
	struct http_route *r = &e.route;

	*r = resolved(c->mesh, &leaf->vs.http.items[index], leaf->meta.namespace);
	/* A delegate can't delegate. */
	if (r->delegate || is_dropped(of_root, r) || !merge_matches(c, of_root, r))
		return 0;
	r->name = merge_name(c, of_root->name, r->name);
	if (!r->rewrite)
		r->rewrite = of_root->rewrite;
	if (!r->direct_response)
		r->direct_response = of_root->direct_response;
	if (r->timeout < 0)
		r->timeout = of_root->timeout;
	if (!r->retries)
		r->retries = of_root->retries;
	if (!r->fault)
		r->fault = of_root->fault;
	if (!r->cors)
		r->cors = of_root->cors;
	if (!headers_given(&r->headers))
		r->headers = of_root->headers;
	if (!r->mirrors.count) {
		r->mirrors = of_root->mirrors;
		e.mirror = root;
	}
	slot = table_push(&out->list);
	if (!slot)
		return -ENOMEM;
	*slot = e;
	return 0;
}

static const struct object *find_delegate(struct http_compiler *c, const struct object *root,
					  const struct http_delegate *d)
{
	const char *ns = d->namespace ? d->namespace : root->meta.namespace;

	for (size_t i = 0; i < c->mesh->virtual_services.count; i++) {
		const struct object *o = c->mesh->virtual_services.items[i];

		if (!o->vs.hosts.count && str_eq(o->meta.name, d->name) &&
		    str_eq(o->meta.namespace, ns) &&
		    export_visible(&o->vs.export_to, ns, root->meta.namespace))
			return o;
	}
	return NULL;
}

int http_expand(struct http_compiler *c, const struct object *root, struct http_routes *out)
{
	int r = 0;

	for (size_t i = 0; i < root->vs.http.count && !r; i++) {
		const struct http_route *route = &root->vs.http.items[i];
		struct http_route full;
		const struct object *leaf;
		struct http_effective *slot;

		if (!route->delegate) {
			slot = table_push(&out->list);
			if (!slot)
				return -ENOMEM;
			*slot = (struct http_effective){ root, root, root, *route, i };
			continue;
		}
		leaf = find_delegate(c, root, route->delegate);
		full = resolved(c->mesh, route, root->meta.namespace);
		for (size_t k = 0; leaf && k < leaf->vs.http.count && !r; k++)
			r = add_delegated(c, root, &full, leaf, k, out);
	}
	return r;
}
