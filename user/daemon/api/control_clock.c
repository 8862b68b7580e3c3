// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include "daemon/api/control_clock.h"

uint64_t control_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void control_clock_stop(struct control_clock *c)
{
	c->since = control_now_ms();
}

void control_clock_go(struct control_clock *c)
{
	c->worked += control_now_ms() - c->since;
	c->since = 0;
}

uint64_t control_clock_ms(const struct control_clock *c)
{
	return (c->since ? c->since : control_now_ms()) - c->worked;
}
