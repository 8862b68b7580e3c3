// SPDX-License-Identifier: Apache-2.0
/*
 * The tables after a change of rules: what pods, services and endpoints are in the mesh stays.
 */
#include <errno.h>

#include "lib/compile/index.h"

bool compile_are_rules(const struct object_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!mesh_change_is_of_rules(&changes[i]))
			return false;
	return count;
}

int compile_rules(struct compile_index **index, const struct object_change *changes, size_t count,
		  enum compile_http http, struct tables *from, struct tables **out,
		  struct errors *errors)
{
	_cleanup_(compile_index_freep) struct compile_index *x = TAKE_PTR(*index);
	struct mesh *mesh = &x->mesh;
	_cleanup_(errors_free) struct errors found = { 0 };
	int r;

	if (x->policies && (from->http || http == COMPILE_HTTP_ALWAYS))
		return COMPILE_ANEW;
	mesh->errors = &found;
	mesh->t = tables_new();
	r = mesh->t ? mesh_change_rules(mesh, changes, count) : -ENOMEM;
	if (!r)
		r = compile_index(mesh, http, from);
	if (!r)
		r = tables_spare_endpoints(mesh->t);
	mesh->errors = NULL;
	/* Of NetworkPolicies the snapshot has much that hangs on pods. */
	if (!r && x->policies && mesh->t->http)
		r = COMPILE_ANEW;
	if (r != COMPILE_ANEW)
		errors_move(errors, &found);
	if (r)
		return r;
	*out = TAKE_PTR(mesh->t);
	*index = TAKE_PTR(x);
	return 0;
}
