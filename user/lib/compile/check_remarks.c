// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

void check_remarks(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++) {
		const struct object *o = mesh->virtual_services.items[i];

		check_covered_routes(mesh, o);
		check_effect(mesh, o);
		check_delegates(mesh, o);
	}
	check_policy_parts(mesh);
	check_workloads(mesh);
}
