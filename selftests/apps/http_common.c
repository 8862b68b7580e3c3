/* SPDX-License-Identifier: Apache-2.0 */
#include "http_common.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zlib.h>

static char pattern[PATTERN_RUN + PATTERN_PERIOD];

void pattern_init(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < PATTERN_PERIOD; i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = (char)(x >> 24);
	}
	for (size_t i = PATTERN_PERIOD; i < sizeof(pattern); i++)
		pattern[i] = pattern[i - PATTERN_PERIOD];
}

const char *pattern_at(uint64_t at)
{
	return pattern + at % PATTERN_PERIOD;
}

bool pattern_matches(uint64_t at, const char *bytes, size_t n)
{
	for (size_t part; n; at += part, bytes += part, n -= part) {
		part = n < PATTERN_RUN ? n : PATTERN_RUN;
		if (memcmp(pattern_at(at), bytes, part) != 0)
			return false;
	}
	return true;
}

uint32_t pattern_sum(uint64_t n)
{
	uLong none = adler32(0, NULL, 0), sum = none;
	uLong whole = adler32(none, (const Bytef *)pattern, PATTERN_PERIOD);
	uInt rest = (uInt)(n % PATTERN_PERIOD);

	for (uint64_t i = n / PATTERN_PERIOD; i; i--)
		sum = adler32_combine(sum, whole, PATTERN_PERIOD);
	return (uint32_t)adler32_combine(sum, adler32(none, (const Bytef *)pattern, rest), rest);
}

void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
