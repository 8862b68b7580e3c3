// SPDX-License-Identifier: Apache-2.0
/*
 * Delegates: Istio leaves out a route whose match goes with none of the root's, and a delegate that
 * is not there, without a word.
 */
#include "lib/compile/check.h"
#include "lib/l7/l7.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

static const struct object *find_delegate(struct world *w, const struct object *root,
					  const struct http_delegate *d)
{
	const char *ns = d->namespace ? d->namespace : root->meta.namespace;

	for (size_t i = 0; i < w->virtual_services.count; i++) {
		const struct object *o = w->virtual_services.items[i];

		if (!o->vs.hosts.count && str_eq(o->meta.name, d->name) &&
		    str_eq(o->meta.namespace, ns) &&
		    export_visible(&o->vs.export_to, ns, root->meta.namespace))
			return o;
	}
	return NULL;
}

static void check_leaf(struct world *w, const struct object *root, size_t index,
		       const struct object *leaf)
{
	const struct http_route *of_root = &root->vs.http.items[index];

	for (size_t i = 0; i < leaf->vs.http.count; i++) {
		const struct http_route *r = &leaf->vs.http.items[i];
		struct pos at = r->pos.line ? r->pos : leaf->pos;

		if (r->delegate)
			errors_remark(
				w->errors, REMARK_DELEGATE, leaf->file, at,
				"spec.http[%zu].delegate: a delegate can't delegate: the route "
				"is left out",
				i);
		else if (http_delegate_is_dropped(of_root, r))
			errors_remark(
				w->errors, REMARK_DELEGATE, leaf->file, at,
				"spec.http[%zu].match: never holds together with that of "
				"spec.http[%zu] of virtualservice %s/%s, which leads here: the "
				"route is left out",
				i, index, root->meta.namespace, root->meta.name);
	}
}

void check_delegates(struct world *w, const struct object *o)
{
	for (size_t i = 0; i < o->vs.http.count; i++) {
		const struct http_route *r = &o->vs.http.items[i];
		const struct object *leaf;

		if (!r->delegate || !o->vs.hosts.count)
			continue;
		leaf = find_delegate(w, o, r->delegate);
		if (leaf)
			check_leaf(w, o, i, leaf);
		else
			errors_remark(
				w->errors, REMARK_NOT_FOUND, o->file, r->pos.line ? r->pos : o->pos,
				"spec.http[%zu].delegate: no virtualservice %s/%s without hosts "
				"is there for %s: the route is left out",
				i,
				r->delegate->namespace ? r->delegate->namespace : o->meta.namespace,
				r->delegate->name, o->meta.namespace);
	}
}
