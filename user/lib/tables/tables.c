// SPDX-License-Identifier: Apache-2.0
#include "lib/tables/tables.h"

#include <stdlib.h>

#include "lib/base/pool.h"
#include "lib/route/snapshot.h"

struct tables *tables_new(void)
{
	return calloc(1, sizeof(struct tables));
}

static void origins_free(struct service_origin *items, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(items[i].skipped);
	free(items);
}

void tables_free(struct tables *t)
{
	if (!t)
		return;
	origins_free(t->service_origins.items, t->service_origins.count);
	origins_free(t->unaddressed_origins.items, t->unaddressed_origins.count);
	free(t->services.items);
	free(t->unaddressed.items);
	free(t->rules.items);
	free(t->rule_origins.items);
	free(t->routes.items);
	free(t->dests.items);
	free(t->clusters.items);
	free(t->endpoints.items);
	free(t->sources.items);
	free(t->selected.items);
	free(t->route_names.items);
	free(t->cluster_names.items);
	free(t->endpoint_names.items);
	free(t->namespaces.items);
	free(t->selectors.items);
	free(t->cluster_origins.items);
	pool_free(t->arena);
	http_snapshot_close(t->http);
	free(t->http_bytes);
	free(t);
}
