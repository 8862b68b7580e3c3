/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_EJECTIONS_H
#define WEFT_LIB_ROUTE_EJECTIONS_H
/*
 * Which endpoints outlier detection keeps out. weft-proxy tells it in the rows of `http_clusters`
 * (weft/http_stat.h) and is not trusted: what it says holds only as far as the rules allow it.
 */
#include "lib/route/snapshot.h"
#include "weft/http_stat.h"

/*
 * When the endpoint of that stable id is back, in ms of CLOCK_MONOTONIC; 0: it is not out. `rows`
 * are the cluster's HTTP_EJECTED_MAX. No endpoint is out where the cluster has no outlier
 * detection, nor for longer than its longest ejection and the tick behind it.
 */
__u64 http_ejected_until(const struct hs_cluster *c, const struct http_ejection *rows,
			 __u32 endpoint, __u64 now_ms);

#endif
