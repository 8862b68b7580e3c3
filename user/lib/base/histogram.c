// SPDX-License-Identifier: Apache-2.0
#include "lib/base/histogram.h"

#include <stdio.h>

enum { PARTS = 4 }; /* of a power of two */

unsigned histogram_bucket(__u64 value)
{
	unsigned power, i;

	if (value < PARTS)
		return (unsigned)value;
	power = 63u - (unsigned)__builtin_clzll(value);
	i = PARTS * (power - 1) + (unsigned)(value >> (power - 2)) % PARTS;
	return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

__u64 histogram_start(unsigned i)
{
	return i < PARTS ? i : (__u64)(PARTS + i % PARTS) << (i / PARTS - 1);
}

__u64 histogram_count(const struct histogram *h)
{
	__u64 n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}

double histogram_quantile(const struct histogram *h, double share)
{
	double left = share * (double)histogram_count(h), n = 0;
	unsigned last = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (!h->buckets[i])
			continue;
		n = (double)h->buckets[i];
		last = i;
		if (left <= n)
			break;
		left -= n;
	}
	return (double)histogram_start(last) +
	       (double)(histogram_start(last + 1) - histogram_start(last)) *
		       (left < n ? left / n : 1);
}

void histogram_text(const struct histogram *h, char *text, size_t size)
{
	static const double percents[] = { 0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100 };
	size_t len = 0;

	if (!histogram_count(h)) {
		snprintf(text, size, "No recorded values");
		return;
	}
	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents) && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%sP%g(nan,%g)", i ? " " : "",
					percents[i], histogram_quantile(h, percents[i] / 100));
}
