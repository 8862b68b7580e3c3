// SPDX-License-Identifier: Apache-2.0
/*
 * Delegates: Istio leaves out a route whose match goes with none of the root's, and a delegate that
 * is not there, without a word.
 */
#include "lib/compile/check.h"
#include "lib/l7/l7.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

static bool leads_to(const struct object *root, const struct http_delegate *d,
		     const struct object *leaf)
{
	const char *ns = d->namespace ? d->namespace : root->meta.namespace;

	return !leaf->vs.hosts.count && str_eq(leaf->meta.name, d->name) &&
	       str_eq(leaf->meta.namespace, ns) &&
	       export_visible(&leaf->vs.export_to, ns, root->meta.namespace);
}

static bool is_used(struct mesh *mesh, const struct object *leaf)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++) {
		const struct object *o = mesh->virtual_services.items[i];

		for (size_t k = 0; o->vs.hosts.count && k < o->vs.http.count; k++)
			if (o->vs.http.items[k].delegate &&
			    leads_to(o, o->vs.http.items[k].delegate, leaf))
				return true;
	}
	return false;
}

static const struct object *find_delegate(struct mesh *mesh, const struct object *root,
					  const struct http_delegate *d)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++)
		if (leads_to(root, d, mesh->virtual_services.items[i]))
			return mesh->virtual_services.items[i];
	return NULL;
}

static void check_leaf(struct mesh *mesh, const struct object *root, size_t index,
		       const struct object *leaf)
{
	const bool *dropped = http_delegates_dropped(mesh, root, index, leaf);

	for (size_t i = 0; dropped && i < leaf->vs.http.count; i++) {
		const struct http_route *r = &leaf->vs.http.items[i];
		struct pos at = r->pos.line ? r->pos : leaf->pos;

		if (r->delegate)
			errors_remark(
				mesh->errors, REMARK_DELEGATE, leaf, at,
				"spec.http[%zu].delegate: a delegate can't delegate: the route "
				"is left out",
				i);
		else if (dropped[i])
			errors_remark(
				mesh->errors, REMARK_DELEGATE, leaf, at,
				"spec.http[%zu].match: never holds together with that of "
				"spec.http[%zu] of virtualservice %s/%s, which leads here: the "
				"route is left out",
				i, index, root->meta.namespace, root->meta.name);
	}
}

void check_delegates(struct mesh *mesh, const struct object *o)
{
	if (!o->vs.hosts.count && !is_used(mesh, o))
		errors_remark(
			mesh->errors, REMARK_UNUSED_DELEGATE, o, o->pos,
			"spec.hosts: none, and no virtualservice delegates to %s/%s: its rules "
			"have no effect",
			o->meta.namespace, o->meta.name);
	for (size_t i = 0; i < o->vs.http.count; i++) {
		const struct http_route *r = &o->vs.http.items[i];
		const struct object *leaf;

		if (!r->delegate || !o->vs.hosts.count)
			continue;
		leaf = find_delegate(mesh, o, r->delegate);
		if (leaf)
			check_leaf(mesh, o, i, leaf);
		else
			errors_remark(
				mesh->errors, REMARK_NOT_FOUND, o, r->pos.line ? r->pos : o->pos,
				"spec.http[%zu].delegate: no virtualservice %s/%s without hosts "
				"is there for %s: the route is left out",
				i,
				r->delegate->namespace ? r->delegate->namespace : o->meta.namespace,
				r->delegate->name, o->meta.namespace);
	}
}
