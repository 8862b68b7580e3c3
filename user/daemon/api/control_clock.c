// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/control_clock.h"

#include "lib/base/clock.h"

void control_clock_stop(struct control_clock *c)
{
	c->since = clock_ms();
}

void control_clock_go(struct control_clock *c)
{
	c->worked += clock_ms() - c->since;
	c->since = 0;
}

uint64_t control_clock_ms(const struct control_clock *c)
{
	return (c->since ? c->since : clock_ms()) - c->worked;
}
