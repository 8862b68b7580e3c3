// SPDX-License-Identifier: Apache-2.0
#include "lib/base/table.h"

#include <stdlib.h>
#include <string.h>

void *table_grow(void **items, size_t *count, size_t *room, size_t size)
{
	if (*count == *room) {
		size_t more = *room ? *room * 2 : 16;
		void *grown = reallocarray(*items, more, size);

		if (!grown)
			return NULL;
		*items = grown;
		*room = more;
	}
	return memset((char *)*items + (*count)++ * size, 0, size);
}
