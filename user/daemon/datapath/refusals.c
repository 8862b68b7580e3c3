// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/refusals.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/datapath/datapath_priv.h"

enum { AT_ONCE = 1024 }; /* of a turn: the event loop has other work */

struct refusals {
	struct ring_buffer *ring;
	void (*each)(void *arg, const struct refusal_event *e);
	void *arg;
	bool drops;
	unsigned taken; /* in this turn */
};

/* libbpf stops at an error, behind the event that it was answered for. */
static int take(void *arg, void *data, size_t size)
{
	struct refusals *r = arg;

	if (!r->drops && size == sizeof(struct refusal_event))
		r->each(r->arg, data);
	return ++r->taken < AT_ONCE ? 0 : -EAGAIN;
}

int refusals_open(struct kernel *k, void (*each)(void *arg, const struct refusal_event *e),
		  void *arg, struct refusals **out)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct refusals){ .each = each, .arg = arg };
	r->ring = ring_buffer__new(k->loader.map[MAP_REFUSALS], take, r, NULL);
	if (!r->ring) {
		free(r);
		return -errno;
	}
	*out = r;
	return 0;
}

/* -EAGAIN, that there may be more, is no error: they wait for the next turn. */
static void consume(struct refusals *r, bool drops)
{
	r->drops = drops;
	r->taken = 0;
	(void)ring_buffer__consume(r->ring);
}

void refusals_take(struct refusals *r)
{
	consume(r, false);
}

void refusals_drop(struct refusals *r)
{
	consume(r, true);
}

void refusals_close(struct refusals *r)
{
	if (!r)
		return;
	ring_buffer__free(r->ring);
	free(r);
}
