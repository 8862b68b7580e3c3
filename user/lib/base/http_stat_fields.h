/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_HTTP_STAT_FIELDS_H
#define WEFT_LIB_BASE_HTTP_STAT_FIELDS_H
/*
 * The counters of http_stat.h one by one, as they are called in `weft stats`.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/http_stat.h"

struct stat_field {
	const char *name; /* NULL after the last one */
	size_t at;	  /* of the __u64 in the row, or the first of a gauge's numbers */
	bool gauge;	  /* HTTP_PROXIES numbers, of __u32 */
};

extern const struct stat_field http_cluster_fields[], http_route_fields[], http_listener_fields[];

/* Of a gauge: the sum. */
__u64 stat_value(const struct stat_field *f, const void *row);
__u64 gauge_sum(const __u32 gauge[HTTP_PROXIES]);
/* What the weft-proxy of that slot has in a gauge of the row. */
static inline __u32 *gauge_of(const struct stat_field *f, void *row, unsigned slot)
{
	return (__u32 *)((char *)row + f->at) + slot;
}

#endif
