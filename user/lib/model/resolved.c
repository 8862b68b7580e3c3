// SPDX-License-Identifier: Apache-2.0
#include "lib/model/resolved.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct resolved_name *)row)->name);
}

const struct resolved_name *resolved_find(const struct resolved *set, const char *name)
{
	if (!set || !set->count)
		return NULL;
	return bsearch(name, set->names, set->count, sizeof(*set->names), by_name);
}
