/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_DATAPATH_PRIV_H
#define WEFT_DAEMON_DATAPATH_DATAPATH_PRIV_H
/*
 * What the files behind kernel.h share. Each part is opened and closed by kernel.c in this order.
 */
#include "daemon/bpf/attach.h"
#include "daemon/datapath/counters.h"
#include "daemon/datapath/datapath.h"
#include "daemon/datapath/guard.h"
#include "daemon/bpf/loader.h"
#include "daemon/node/reconcile.h"
#include "daemon/datapath/publish.h"
#include "daemon/node/shortcut.h"
#include "daemon/datapath/sweep.h"

struct kernel {
	char *dir;
	char cgroup[512]; /* whose processes are steered at connect() */
	struct loader loader;
	struct counters counters;
	int netlink;	 /* requests */
	int links;	 /* notifications: links and addresses, of all namespaces */
	int node_routes; /* notifications: routes of the node */
	struct attach attach;
	struct shortcuts shortcut;
	struct pods pods;
	struct sweep sweep;
	struct guard guard;
	struct published published;
	struct addr_set
		sources; /* of the generation in force: the addresses that rules know pods by */
	bool handover;	 /* the way to weft-proxy is there: something has needed it */
	int epoll;
	char release[72]; /* uname -r */
};

/* Whether connections can be assigned to the listening socket of a worker. */
bool kernel_listens(struct kernel *k, unsigned worker, int fd);
/* Makes sure of the way to weft-proxy where the generation in force leads to it. Logs. */
int kernel_adopt_handover(struct kernel *k);

#endif
