/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_DATAPATH_PRIV_H
#define WEFT_DAEMON_DATAPATH_DATAPATH_PRIV_H
/*
 * What the files behind datapath.h share. Each part is opened and closed by datapath.c in this
 * order.
 */
#include "daemon/datapath/authz.h"
#include "daemon/datapath/counters.h"
#include "daemon/datapath/datapath.h"
#include "daemon/datapath/guard.h"
#include "daemon/bpf/loader.h"
#include "daemon/node/node.h"
#include "daemon/datapath/protect.h"
#include "daemon/datapath/publish.h"
#include "daemon/datapath/sweep.h"
#include "daemon/datapath/tcp_ledger.h"
#include "daemon/datapath/tcp_rows.h"
#include "daemon/datapath/traffic_keep.h"

struct kernel {
	char *dir;
	char cgroup[512]; /* whose processes are steered at connect() */
	struct loader loader;
	struct counters counters;
	struct event_loop *loop;
	struct local_node *node;
	struct sweep sweep;
	struct tcp_rows tcp_rows;
	struct guard guard;
	struct published published;
	struct protect protect;
	struct authz_live authz;
	struct tcp_ledger ledger;
	struct traffic_keep traffic_keep;
	struct registry *registry; /* borrowed, from kernel_adopt() on; NULL: not yet */
	enum enrol_mode enrol;
	__u32 peers_named; /* ids of peers up to this one are in `traffic_peers` */
	char release[72];  /* uname -r */
	int cpus;	   /* as many as a per-CPU map has values */
};

/* Whether the generation in force leads to weft-proxy: 1, 0, or -errno after having logged. */
int kernel_leads_to_proxy(struct kernel *k);
/* The part of kernel_adopt() that is about peers. */
int kernel_adopt_peers(struct kernel *k, struct registry *registry);
/* Whether connections can be assigned to the listening socket of a worker. */
bool kernel_listens(struct kernel *k, unsigned worker, int fd);

#endif
