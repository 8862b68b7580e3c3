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

struct endpoint_state *router_endpoints_know(struct router_endpoints *e, struct shared_state *s,
					     uint32_t id)
{
	struct router_endpoint *slot;

	if (2 * e->count >= e->room && !grow(e))
		return NULL;
	slot = find(e, id);
	if (!slot->state) {
		slot->state = shared_state_endpoint(s, id);
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

void router_endpoints_free(struct router_endpoints *e, struct shared_state *s)
{
	for (size_t i = 0; i < e->room; i++)
		if (e->slots[i].state)
			shared_state_let_go(s, e->slots[i].state);
	free(e->slots);
}
