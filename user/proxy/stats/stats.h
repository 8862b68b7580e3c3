/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_STATS_STATS_H
#define WEFT_PROXY_STATS_STATS_H
/*
 * The counters that others look at (http_stat.h), in maps that outlive the process, or in its own
 * memory. A weft-proxy that drains counts there, too, but only the one that serves takes rows. Rows
 * are found under a lock and never go away; counting takes none.
 */
#include <stddef.h>

#include <linux/types.h>

#include "weft/http_stat.h"

struct stats;

/* Of this process, from before the first stats_open() on. */
extern unsigned stats_slot;

/* The maps' descriptors, which stay the caller's; -1: memory. Counters go on from where an earlier
 * process left them. 0 or -errno. */
int stats_open(int clusters_fd, int routes_fd, struct stats **out);
/* The map of listeners, before there is a row of one: until then they are in memory. Likewise. */
int stats_map_listeners(struct stats *s, int fd);
void stats_close(struct stats *s); /* accepts NULL */

/* The row of that name, taken if need be; the row for all other names when all rows are taken. */
struct http_cluster_stat *stats_cluster(struct stats *s, const char *name, size_t len);
struct http_route_stat *stats_route(struct stats *s, const char *name, size_t len);
struct http_listener_stat *stats_listener(struct stats *s, const char *name, size_t len);

static inline void stat_add(__u64 *n, __u64 by)
{
	__atomic_add_fetch(n, by, __ATOMIC_RELAXED);
}

static inline void stat_inc(__u64 *n)
{
	stat_add(n, 1);
}

static inline void gauge_inc(__u32 gauge[HTTP_PROXIES])
{
	__atomic_add_fetch(&gauge[stats_slot], 1, __ATOMIC_RELAXED);
}

static inline void gauge_dec(__u32 gauge[HTTP_PROXIES])
{
	__atomic_sub_fetch(&gauge[stats_slot], 1, __ATOMIC_RELAXED);
}

void stat_time(struct histogram *h, __u64 ms);
/* An answer of that status, in all and by class. */
void stat_cluster_answer(struct http_cluster_stat *s, unsigned status);
void stat_route_answer(struct http_route_stat *s, unsigned status);

#endif
