/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_SWEEP_H
#define WEFT_DAEMON_DATAPATH_SWEEP_H
/*
 * Running the sweep program, and sending the packets that it asks for.
 */
#include <linux/types.h>
#include <stdint.h>

#include "daemon/loop/event.h"
#include "daemon/netlink/addr_set.h"
#include "lib/base/table.h"
#include "weft/event.h"

struct kernel;
struct ring_buffer;

/* Descriptors start at -1: sweep_init(). */
struct sweep {
	struct event_timer timer;
	unsigned period_ms;    /* sweep_set_period() */
	unsigned took_ms;      /* by the last run, rounded up */
	uint64_t runs, ran_ns; /* since the start: how many, and how long all of them took */
	int raw4, raw6;	       /* raw sockets; -1 where the node lacks the family */
	struct ring_buffer *events;
	TABLE(struct sock_event) ends; /* connections of sockets that the last run has told of */
	struct sweep_args last;	       /* what the last run found */
};

void sweep_init(struct sweep *s);
int sweep_open(struct kernel *k);
void sweep_free(struct sweep *s);
/* When the next run is due after one that took so long. Pure. */
unsigned sweep_wait_ms(unsigned period_ms, unsigned took_ms);
/* Often enough for the shortest timeout in use: a quarter of it, within 50 ms and 1 s, and never
 * more than a tenth of the time. 0: none is in use. */
void sweep_set_period(struct sweep *s, unsigned min_timeout_ms);
int sweep_run(struct kernel *k);
/* Ends the connections of these addresses, and of interfaces that have gone. */
int sweep_gone(struct kernel *k, const struct addr_list *gone);

#endif
