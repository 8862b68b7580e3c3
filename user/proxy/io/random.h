/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_RANDOM_H
#define WEFT_PROXY_IO_RANDOM_H
/*
 * Random numbers: quick, different in each thread, not secret: xoshiro256++ (Blackman,
 * Vigna), begun with the kernel's. One per thread.
 */
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t s[4];
};

void random_begin(struct random *r);
uint64_t random_next(struct random *r);
/* `n` lower-case hexadecimal digits, a multiple of 8, not all of them 0. */
void random_hex(struct random *r, char *out, size_t n);

#endif
