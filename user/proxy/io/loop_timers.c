// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/loop_timers.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct loop_timers *h, size_t slot, struct loop_timer *t)
{
	h->heap[slot - 1] = t;
	t->slot = slot;
}

static uint64_t at(const struct loop_timers *h, size_t slot)
{
	return h->heap[slot - 1]->queued;
}

static void up(struct loop_timers *h, struct loop_timer *t, size_t slot)
{
	while (slot > 1 && at(h, slot / 2) > t->queued) {
		put(h, slot, h->heap[slot / 2 - 1]);
		slot /= 2;
	}
	put(h, slot, t);
}

static void down(struct loop_timers *h, struct loop_timer *t, size_t slot)
{
	for (size_t child; (child = slot * 2) <= h->count; slot = child) {
		if (child < h->count && at(h, child + 1) < at(h, child))
			child++;
		if (at(h, child) >= t->queued)
			break;
		put(h, slot, h->heap[child - 1]);
	}
	put(h, slot, t);
}

static int grow(struct loop_timers *h)
{
	size_t room = h->room ? h->room * 2 : 64;
	struct loop_timer **heap;

	if (h->count < h->room)
		return 0;
	heap = reallocarray(h->heap, room, sizeof(struct loop_timer *));
	if (!heap)
		return -ENOMEM;
	h->heap = heap;
	h->room = room;
	return 0;
}

int loop_timers_add(struct loop_timers *h, struct loop_timer *t)
{
	int r;

	if (t->slot && t->due >= t->queued)
		return 0;
	if (!t->slot) {
		r = grow(h);
		if (r)
			return r;
		t->slot = ++h->count;
	}
	t->queued = t->due;
	up(h, t, t->slot);
	return 0;
}

void loop_timers_remove(struct loop_timers *h, struct loop_timer *t)
{
	struct loop_timer *last;
	size_t slot = t->slot;

	if (!slot)
		return;
	t->slot = 0;
	last = h->heap[--h->count];
	if (last == t)
		return;
	up(h, last, slot);
	down(h, last, last->slot);
}

uint64_t loop_timers_first(const struct loop_timers *h)
{
	return h->count ? at(h, 1) : LOOP_NEVER;
}

struct loop_timer *loop_timers_due(struct loop_timers *h, uint64_t now)
{
	while (h->count && at(h, 1) <= now) {
		struct loop_timer *t = h->heap[0];

		if (t->due <= now) {
			loop_timers_remove(h, t);
			return t;
		}
		t->queued = t->due;
		down(h, t, 1);
	}
	return NULL;
}
