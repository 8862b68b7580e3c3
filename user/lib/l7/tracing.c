// SPDX-License-Identifier: Apache-2.0
/*
 * Traces: what is sampled and told, and of whom.
 */
#include "lib/l7/l7_priv.h"

void http_tracings_write(struct http_compiler *c)
{
	const struct tracing_defaults *mesh = &c->mesh->tracing;
	struct hs_tracing row = { .sampling = mesh->sampling };

	if (mesh->told)
		row.flags = HS_TRACING_CLIENT | HS_TRACING_SERVER;
	http_build_add(&c->build, HS_TRACINGS, &row);
}
