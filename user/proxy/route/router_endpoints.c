// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_endpoints.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

/* The slot that has the id, or where it would go. Needs a free slot. */
static struct router_endpoint *find(const struct router_endpoints *e, uint32_t id)
{
	size_t i = id * (size_t)0x9e3779b97f4a7c15 >> 32 & (e->room - 1);

	while (e->slots[i].state && e->slots[i].state->id != id)
		i = (i + 1) & (e->room - 1);
	return &e->slots[i];
}

static bool grow(struct router_endpoints *e)
{
	struct router_endpoints bigger = { .room = e->room ? 2 * e->room : ROOM_MIN,
					   .count = e->count };

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < e->room; i++)
		if (e->slots[i].state)
			*find(&bigger, e->slots[i].state->id) = e->slots[i];
	free(e->slots);
	*e = bigger;
	return true;
}

static struct endpoint_state *hold(const struct router_endpoints *last, struct shared_state *s,
				   uint32_t id)
{
	struct endpoint_state *e = last && last->room ? find(last, id)->state : NULL;

	if (!e)
		return shared_state_endpoint(s, id);
	shared_state_hold(e);
	return e;
}

struct endpoint_state *router_endpoints_know(struct router_endpoints *e, struct shared_state *s,
					     uint32_t id, const struct router_endpoints *last)
{
	struct router_endpoint *slot;

	if (2 * e->count >= e->room && !grow(e))
		return NULL;
	slot = find(e, id);
	if (!slot->state) {
		slot->state = hold(last, s, id);
		e->count += slot->state != NULL;
	}
	return slot->state;
}

uint32_t router_endpoints_add(struct router_endpoints *e, uint32_t id)
{
	return ++find(e, id)->clusters;
}

uint32_t router_endpoints_remove(struct router_endpoints *e, uint32_t id)
{
	return --find(e, id)->clusters;
}

bool router_endpoints_have(const struct router_endpoints *e, uint32_t id)
{
	return e->room && find(e, id)->clusters;
}

void router_endpoints_succeed(const struct router_endpoints *now,
			      const struct router_endpoints *last, struct shared_state *s,
			      uint64_t at)
{
	for (size_t i = 0; i < now->room; i++)
		if (now->slots[i].clusters && !router_endpoints_have(last, now->slots[i].state->id))
			shared_state_join(s, now->slots[i].state, at);
	for (size_t i = 0; i < last->room; i++)
		if (last->slots[i].clusters &&
		    !router_endpoints_have(now, last->slots[i].state->id))
			shared_state_leave(s, last->slots[i].state);
}

void router_endpoints_free(struct router_endpoints *e, struct shared_state *s)
{
	for (size_t i = 0; i < e->room; i++)
		if (e->slots[i].state)
			shared_state_let_go(s, e->slots[i].state);
	free(e->slots);
}
