/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_TEXT_H
#define WEFT_LIB_BASE_TEXT_H
/*
 * Names put together without printf(), which would be a tenth of a compilation's time. Pure;
 * nothing here allocates.
 */
#include <stddef.h>

enum { NUMBER_MAX = 11 };

/* Decimal digits at `at`, not terminated. Returns where they end. */
char *text_put_number(char *at, unsigned v);
/* The same, terminated. Returns `out`. */
const char *text_number(char out[NUMBER_MAX], unsigned v);
/* The parts, up to a NULL, one behind the other, cut to `size` - 1 bytes (at least one is there)
 * and terminated. Returns the length uncut. */
size_t text_join(char *out, size_t size, const char *const *parts);

#endif
