// SPDX-License-Identifier: Apache-2.0
#include "limit.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

/* steered and proxied, as the compare-and-swap sees them. */
typedef uint64_t __attribute__((may_alias)) both_counts;

static void raise_peak(struct cluster_limit *row, uint32_t sum)
{
	uint32_t peak = __atomic_load_n(&row->peak, __ATOMIC_RELAXED);

	while (peak < sum && !__atomic_compare_exchange_n(&row->peak, &peak, sum, true,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

bool limit_connect(struct limit *l, uint32_t most)
{
	struct cluster_limit *row = l->connections, next = { 0 };
	both_counts *both = (both_counts *)row, seen = __atomic_load_n(both, __ATOMIC_SEQ_CST),
		    wanted;

	do {
		memcpy(&next, &seen, sizeof(seen));
		if (most && (uint64_t)next.steered + next.proxied >= most)
			return false;
		next.proxied++;
		memcpy(&wanted, &next, sizeof(wanted));
	} while (!__atomic_compare_exchange_n(both, &seen, wanted, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	raise_peak(row, next.steered + next.proxied);
	return true;
}

void limit_disconnect(struct limit *l)
{
	limit_give(&l->connections->proxied);
}

bool limit_admit(struct limit *l, const struct limit_most *most)
{
	uint32_t all = 0, steered = __atomic_load_n(&l->connections->steered, __ATOMIC_RELAXED);

	/* Where nobody has to wait, or as many may as like. */
	if (most->connections && most->pending) {
		all = most->connections > steered ? most->connections - steered : 0;
		all = all > UINT32_MAX - most->pending ? UINT32_MAX : all + most->pending;
	}
	return limit_take(&l->admitted, all);
}

bool limit_retry(struct limit *l, const struct limit_most *most)
{
	uint64_t all = __atomic_load_n(&l->admitted, __ATOMIC_RELAXED);

	if (!most->retry_budget)
		return limit_take(&l->retries, most->retries);
	all = all * most->retry_share / 1000000;
	if (all < most->retry_least)
		all = most->retry_least;
	return all && limit_take(&l->retries, (uint32_t)all);
}

enum { LIMITS_SIZE = CLUSTER_IDS_MAX * sizeof(struct cluster_limit) };

int limits_map(int fd, struct cluster_limit **out)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *rows = mmap(NULL, LIMITS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (rows == MAP_FAILED)
		return -errno;
	*out = rows;
	return 0;
}

void limits_unmap(struct cluster_limit *rows)
{
	if (rows)
		munmap(rows, LIMITS_SIZE);
}
