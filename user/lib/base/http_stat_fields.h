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
	size_t at;	  /* of the __u64 in the row */
	bool gauge;	  /* belongs to the proxy that runs: 0 when another one begins */
};

extern const struct stat_field http_cluster_fields[], http_route_fields[];

static inline __u64 *stat_at(const struct stat_field *f, void *row)
{
	return (__u64 *)((char *)row + f->at);
}

#endif
