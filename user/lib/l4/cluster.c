// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/l4/rules.h"

static int write_endpoints(struct tables *t, const struct plan_cluster *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct endpoint *e = table_push(&t->endpoints);
		const char **name = table_push(&t->endpoint_names);

		if (!e || !name)
			return -ENOMEM;
		*e = c->members[i]->endpoint;
		*name = c->members[i]->name;
	}
	return 0;
}

static int write_origin(struct tables *t, const struct plan_cluster *c)
{
	struct cluster_origin *origin = table_push(&t->cluster_origins);

	if (!origin)
		return -ENOMEM;
	origin->host = pool_copy(&t->arena, c->host, strlen(c->host));
	origin->subset = pool_copy(&t->arena, c->subset, strlen(c->subset));
	origin->port = c->port;
	origin->known = c->sp;
	return origin->host && origin->subset ? 0 : -ENOMEM;
}

int cluster_write(struct mesh *mesh, struct plan_cluster *c)
{
	struct tables *t = mesh->t;
	struct cluster *row;
	const char **name;

	if (c->written)
		return 0;
	row = table_push(&t->clusters);
	name = table_push(&t->cluster_names);
	if (!row || !name || write_origin(t, c))
		return -ENOMEM;
	*name = c->name;
	*row = c->values;
	row->ep_first = t->endpoints.count;
	row->ep_count = c->count;
	c->index = t->clusters.count - 1;
	c->written = true;
	if (c->shortest_ms && (!t->min_timeout_ms || c->shortest_ms < t->min_timeout_ms))
		t->min_timeout_ms = c->shortest_ms;
	return write_endpoints(t, c);
}
