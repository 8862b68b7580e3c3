/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef WEFT_WEYL_H
#define WEFT_WEYL_H
/*
 * The exact weighted choice, for the kernel and for the proxy.
 */
#include <linux/types.h>

enum {
	/* 2^32 / golden ratio: successive multiples modulo 2^32 are the Weyl sequence of least
	 * discrepancy, so that any run of n picks gives a destination its share to within one or
	 * two (Knuth, TAOCP 3 6.4). */
	WEYL_STEP = 0x9e3779b9u,
};

/* Where in [0, total) the turn falls. */
static inline __attribute__((always_inline)) __u32 weyl_point(__u64 turn, __u32 total)
{
	return ((__u64)((__u32)turn * WEYL_STEP) * total) >> 32;
}

#endif
