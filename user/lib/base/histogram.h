/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_HISTOGRAM_H
#define WEFT_LIB_BASE_HISTOGRAM_H
/*
 * struct histogram: which bucket a value belongs to, and what the buckets say.
 */
#include <stddef.h>

#include <linux/types.h>

#include "weft/http_stat.h"

unsigned histogram_bucket(__u64 value);
/* The smallest value of the i-th bucket; of one behind the last: where its values are taken to end.
 */
__u64 histogram_start(unsigned i);

__u64 histogram_count(const struct histogram *h);
/* The value below which `share` (0..1) of the values are, in between by proportion. There must be
 * some. */
double histogram_quantile(const struct histogram *h, double share);
/* Envoy's line: "P0(nan,1) P25(nan,1.1) ... P100(nan,8)", "No recorded values". The first number
 * is that of the current interval, which weft does not keep. */
void histogram_text(const struct histogram *h, char *text, size_t size);

#endif
