/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TCP_ROWS_H
#define WEFT_DAEMON_DATAPATH_TCP_ROWS_H
/*
 * The map `tcp_traffic` (weft/traffic.h), which the programs fill: the bytes of open connections
 * are moved on, and it is kept from filling up with what is gone.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/bpf/loader.h"
#include "lib/base/id_set.h"
#include "lib/base/table.h"
#include "daemon/netlink/addr_set.h"
#include "weft/traffic.h"

struct kernel;

/* A row as it was. */
struct tcp_row {
	struct tcp_traffic_key key;
	struct tcp_traffic value;
};

/* Zero-initialise; free with tcp_rows_free(). */
struct tcp_rows {
	uint64_t count_at, tidy_at; /* when it is due, of clock_ms() */
	TABLE(struct tcp_row) idle; /* that go the next time, unless they have changed */
};

/* To be called when it is known which counters there are, before ids are given to names. Makes the
 * row for what finds no room, where there is none, and deletes those that an earlier weftd has left
 * of ids without counters. 0, or -errno after having logged. */
int tcp_rows_open(const struct kernel *k);
void tcp_rows_free(struct tcp_rows *t);
/* To be called every second or so, when the sweep has run: does what is due. Logs. */
void tcp_rows_keep(struct kernel *k);

/* Whether both ids of a row are still those of names, or it is the row for what finds no room.
 * Others may be given to other names after a restart. Pure. */
bool tcp_row_is_named(const struct tcp_traffic_key *key, const struct ids *clusters,
		      const struct ids *endpoints);
/* Whether a row may go: its caller is no pod of this node any more, or its endpoint none that rules
 * speak of. If a connection of it is open all the same, what is still to be counted makes a new
 * one. Pure. */
bool tcp_row_is_idle(const struct tcp_row *row, const struct addr_set *pods,
		     const struct ids *endpoints);

#endif
