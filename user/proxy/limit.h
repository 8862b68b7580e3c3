/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIMIT_H
#define WEFT_LIMIT_H
/*
 * How many connections a cluster has, and how many requests wait for one; shared by all workers.
 */
#include <stdbool.h>
#include <stdint.h>

struct limit {
	uint32_t connections; /* open or being opened */
	uint32_t pending;     /* requests that wait for one */
	uint64_t overflow;    /* requests refused */
};

/* One more, unless there are `max` already (0: as many as you like). */
static inline bool limit_take(uint32_t *count, uint32_t max)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_SEQ_CST);

	do
		if (max && n >= max)
			return false;
	while (!__atomic_compare_exchange_n(count, &n, n + 1, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	return true;
}

static inline void limit_give(uint32_t *count)
{
	__atomic_sub_fetch(count, 1, __ATOMIC_SEQ_CST);
}

static inline bool limit_wanted(const struct limit *l)
{
	return l && __atomic_load_n(&l->pending, __ATOMIC_SEQ_CST) > 0;
}

#endif
