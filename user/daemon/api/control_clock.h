/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_CONTROL_CLOCK_H
#define WEFT_DAEMON_API_CONTROL_CLOCK_H
/*
 * How long peers have kept weftd waiting: a clock that stands still while weftd itself is at work,
 * so that no connection is closed for time that weftd spent. Zero-initialise.
 */
#include <stdint.h>

struct control_clock {
	uint64_t worked; /* ms in all */
	uint64_t since;	 /* when the present work began; 0: weftd is waiting */
};

void control_clock_stop(struct control_clock *c); /* work begins */
void control_clock_go(struct control_clock *c);	  /* work has ended */
uint64_t control_clock_ms(const struct control_clock *c);

#endif
