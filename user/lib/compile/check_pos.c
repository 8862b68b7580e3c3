// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"
#include "lib/yaml/tree.h"

/* Objects of files have columns. */
bool comes_from_cluster(const struct object *o)
{
	return o->pos.line && !o->pos.col;
}

struct pos spec_pos(const struct object *o, const char *key)
{
	const struct node *spec = o->tree ? node_get(o->tree, "spec") : NULL;
	const struct node *at = spec ? node_key(spec, key) : NULL;

	return at ? node_pos(at) : o->pos;
}
