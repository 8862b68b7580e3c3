/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_CLOCK_H
#define WEFT_LIB_BASE_CLOCK_H
/*
 * The monotonic clock: setting the system time does not change it.
 */
#include <stdint.h>

uint64_t clock_ns(void);
uint64_t clock_ms(void);

#endif
