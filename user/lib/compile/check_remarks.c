// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

void check_remarks_of(struct mesh *mesh, const struct object *o)
{
	check_covered_routes(mesh, o);
	check_effect(mesh, o);
	check_delegates(mesh, o);
}

void check_requests_of(struct mesh *mesh, const struct object *o)
{
	check_virtual_service(mesh, o);
	check_http2_of(mesh, o);
	check_http_rules_of(mesh, o);
	check_remarks_of(mesh, o);
}

void check_remarks(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++)
		check_remarks_of(mesh, mesh->virtual_services.items[i]);
	check_policy_parts(mesh);
	check_mutual(mesh);
	check_workloads(mesh);
	check_peers(mesh);
	check_telemetries(mesh);
}
