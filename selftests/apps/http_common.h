/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_COMMON_H
#define WEFT_HTTP_COMMON_H
/*
 * What http-echo and http-load agree on: bodies whose every byte is known, so that a byte that is
 * lost, repeated or changed on the way is noticed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Byte i of a body is that of i mod PATTERN_PERIOD: prime, so that no buffer's size hides a shift.
 */
enum { PATTERN_PERIOD = 65521, PATTERN_RUN = 16 * PATTERN_PERIOD };

void pattern_init(void);
/* At least PATTERN_RUN bytes of the body, from its byte `at` on. */
const char *pattern_at(uint64_t at);
bool pattern_matches(uint64_t at, const char *bytes, size_t n);
/* The adler32 of the pattern's first `n` bytes. */
uint32_t pattern_sum(uint64_t n);

void raise_file_limit(void);
uint64_t clock_ns(void); /* monotonic */

#endif
