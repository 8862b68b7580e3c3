/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_LOOP_TIMERS_H
#define WEFT_PROXY_IO_LOOP_TIMERS_H
/*
 * A binary heap of timers. A timer that is put off stays where it is until its old time comes: most
 * timeouts are put off again and again and never fire.
 */
#include "proxy/io/loop.h"

#define LOOP_NEVER UINT64_MAX

struct loop_timers {
	struct loop_timer **heap;
	size_t count, room;
};

/* 0 or -ENOMEM: then it is not set. */
int loop_timers_add(struct loop_timers *h, struct loop_timer *t);
void loop_timers_remove(struct loop_timers *h, struct loop_timer *t);
/* Milliseconds, as loop_now(): none is due before; LOOP_NEVER: there is none. */
uint64_t loop_timers_first(const struct loop_timers *h);
/* Takes one out that is due; NULL: none. */
struct loop_timer *loop_timers_due(struct loop_timers *h, uint64_t now);

#endif
