// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/refusals.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/datapath/datapath_priv.h"

struct refusals {
	struct ring_buffer *ring;
	void (*each)(void *arg, const struct refusal_event *e);
	void *arg;
	bool drops;
};

static int take(void *arg, void *data, size_t size)
{
	const struct refusals *r = arg;

	if (!r->drops && size == sizeof(struct refusal_event))
		r->each(r->arg, data);
	return 0;
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

void refusals_take(struct refusals *r)
{
	r->drops = false;
	(void)ring_buffer__consume(r->ring);
}

void refusals_drop(struct refusals *r)
{
	r->drops = true;
	(void)ring_buffer__consume(r->ring);
}

void refusals_close(struct refusals *r)
{
	if (!r)
		return;
	ring_buffer__free(r->ring);
	free(r);
}
