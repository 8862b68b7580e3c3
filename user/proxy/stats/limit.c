// SPDX-License-Identifier: Apache-2.0
#include "proxy/stats/limit.h"

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

bool limit_connect(struct limit *l, uint32_t max)
{
	struct cluster_limit *row = l->connections, next = { 0 };
	both_counts *both = (both_counts *)row, seen = __atomic_load_n(both, __ATOMIC_SEQ_CST),
		    wanted;

	do {
		memcpy(&next, &seen, sizeof(seen));
		if (max && (uint64_t)next.steered + next.proxied >= max)
			return false;
		next.proxied++;
		memcpy(&wanted, &next, sizeof(wanted));
	} while (!__atomic_compare_exchange_n(both, &seen, wanted, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	raise_peak(row, next.steered + next.proxied);
	__atomic_add_fetch(l->held, 1, __ATOMIC_SEQ_CST);
	return true;
}

void limit_disconnect(struct limit *l)
{
	limit_give(l->held);
	limit_give(&l->connections->proxied);
}

/* ---- turns: a pointer and, in its lowest bits, what has become of it ---- */

enum { TURN_ASKED = 1, TURN_PASSED = 2, TURN_STATE = 3, TURN_SLACK_MS = 20 };

static uint64_t turn_of(const void *waiter, unsigned state)
{
	return (uint64_t)(uintptr_t)waiter | state;
}

static bool change(struct limit *l, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&l->turn, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

void limit_ask(struct limit *l, const void *waiter, uint64_t since)
{
	if (change(l, 0, turn_of(waiter, TURN_ASKED)))
		__atomic_store_n(&l->turn_since, since, __ATOMIC_RELAXED);
}

bool limit_asked_before(const struct limit *l, uint64_t since)
{
	uint64_t turn = __atomic_load_n(&l->turn, __ATOMIC_RELAXED);

	return (turn & TURN_STATE) == TURN_ASKED &&
	       __atomic_load_n(&l->turn_since, __ATOMIC_RELAXED) + TURN_SLACK_MS <= since;
}

bool limit_pass_on(struct limit *l, uint64_t since)
{
	uint64_t turn = __atomic_load_n(&l->turn, __ATOMIC_SEQ_CST);

	return (turn & TURN_STATE) == TURN_ASKED && limit_asked_before(l, since) &&
	       change(l, turn, (turn & ~(uint64_t)TURN_STATE) | TURN_PASSED);
}

bool limit_passed(struct limit *l, const void *waiter)
{
	return change(l, turn_of(waiter, TURN_PASSED), 0);
}

bool limit_withdraw(struct limit *l, const void *waiter)
{
	return !change(l, turn_of(waiter, TURN_ASKED), 0) && limit_passed(l, waiter);
}

/* The kernel's, and those of weft-proxies that drain. */
static uint32_t of_others(const struct limit *l)
{
	uint32_t held = __atomic_load_n(l->held, __ATOMIC_RELAXED),
		 proxied = __atomic_load_n(&l->connections->proxied, __ATOMIC_RELAXED);

	return __atomic_load_n(&l->connections->steered, __ATOMIC_RELAXED) +
	       (proxied > held ? proxied - held : 0);
}

bool limit_admit(struct limit *l, const struct limit_max *max)
{
	uint32_t all = 0, others = of_others(l);

	/* 0, no limit, where no request has to wait, or where any number may. */
	if (max->connections && max->pending) {
		all = max->connections > others ? max->connections - others : 0;
		all = all > UINT32_MAX - max->pending ? UINT32_MAX : all + max->pending;
	}
	return limit_take(&l->admitted, all);
}

bool limit_retry(struct limit *l, const struct limit_max *max)
{
	uint64_t all = __atomic_load_n(&l->admitted, __ATOMIC_RELAXED);

	if (!max->retry_budget)
		return limit_take(&l->retries, max->retries);
	all = all * max->retry_share / 1000000;
	if (all < max->retry_least)
		all = max->retry_least;
	return all && limit_take(&l->retries, (uint32_t)all);
}

enum {
	LIMITS_SIZE = CLUSTER_IDS_MAX * sizeof(struct cluster_limit),
	HELD_SIZE = CLUSTER_IDS_MAX * sizeof(uint32_t),
};

static int map(int fd, size_t size, void **out)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (bytes == MAP_FAILED)
		return -errno;
	*out = bytes;
	return 0;
}

int limits_map(int fd, struct cluster_limit **out)
{
	return map(fd, LIMITS_SIZE, (void **)out);
}

void limits_unmap(struct cluster_limit *rows)
{
	if (rows)
		munmap(rows, LIMITS_SIZE);
}

int held_map(int fd, uint32_t **out)
{
	return map(fd, HELD_SIZE, (void **)out);
}

void held_unmap(uint32_t *held)
{
	if (held)
		munmap(held, HELD_SIZE);
}
