// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

void check_remarks(struct world *w)
{
	for (size_t i = 0; i < w->virtual_services.count; i++) {
		const struct object *o = w->virtual_services.items[i];

		check_covered_routes(w, o);
		check_effect(w, o);
		check_delegates(w, o);
	}
	check_policy_parts(w);
	check_workloads(w);
}
