/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_IDLE_H
#define WEFT_DAEMON_DATAPATH_IDLE_H
/*
 * When rows and names of traffic are given back: late enough that their last counts have been
 * scraped, and soon enough that those which come find room. Pure.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	IDLE_GONE_MS = 3600000, /* since nothing was counted of what is gone */
	IDLE_SHORT_MS = 300000, /* the same of anything, where room gets short */
};

/* Of so many that there may be, how many there are before room gets short. */
static inline size_t idle_room(size_t max)
{
	return max / 4 * 3;
}

/* `now_ms` less `idle_ms`, 0 if that was before the clock began. */
static inline uint64_t idle_before(uint64_t now_ms, uint64_t idle_ms)
{
	return now_ms > idle_ms ? now_ms - idle_ms : 0;
}

/* Of `count` things that have been idle since then, which this orders, `too_many` are to go, those
 * that have been idle for longest. Until when those have been that may go: 0: none may. */
uint64_t idle_cutoff(uint64_t *since, size_t count, size_t too_many, uint64_t now_ms);

#endif
