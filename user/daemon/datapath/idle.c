// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/idle.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

uint64_t idle_cutoff(uint64_t *since, size_t count, size_t too_many, uint64_t now_ms)
{
	uint64_t last, least = idle_before(now_ms, IDLE_SHORT_MS);

	if (!count || !too_many)
		return 0;
	qsort(since, count, sizeof(*since), compare);
	last = since[(too_many < count ? too_many : count) - 1];
	return last < least ? last : least;
}
