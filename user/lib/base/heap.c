/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/heap.h"

#include <malloc.h>

void heap_keep_little(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	mallopt(M_ARENA_MAX, 1);
}

void heap_keep_changes(void)
{
	mallopt(M_MMAP_THRESHOLD, 16 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
}
