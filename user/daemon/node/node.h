/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_NODE_H
#define WEFT_DAEMON_NODE_NODE_H
/*
 * The node that weftd is on: its interfaces, and what each of them is to weft; the pods behind them
 * and whose an address is; the short cut between pods; what the hand-over to weft-proxy needs of
 * the node's routing. Keeps the maps `pods`, `pod_addrs`, `netns_pods`, `nics` and `node_addrs` and
 * the attached programs in step with rtnetlink.
 *
 * Functions return 0 or -errno and log.
 */
#include <stdbool.h>

#include <linux/types.h>

#include "daemon/bpf/xdp.h"
#include "daemon/loop/event.h"
#include "daemon/netlink/addr_set.h"

struct loader;
struct local_node;

/* Packets of an established connection between two pods of the node, past the node's stack. */
enum shortcut_mode {
	SHORTCUT_AUTO, /* while nothing there would treat them otherwise */
	SHORTCUT_ALWAYS,
	SHORTCUT_NEVER,
};

enum { SHORTCUT_TEXT_MAX = 256, XDP_TEXT_MAX = 512 };

struct node_options {
	const char *dir; /* --bpffs. Borrowed, like the next two, until node_close() */
	struct event_loop *loop;
	struct loader *loader;
	const char *pods, *nic; /* --pods, --nic */
	enum shortcut_mode shortcut;
	enum xdp_mode xdp; /* --xdp */
	bool all_pods;	   /* whatever node_identify() says, every pod is in the mesh */
	struct addr_set *sources, *members; /* see struct node_identities */
	bool tproxy;			    /* what is in force leads to weft-proxy */
	/* Called with addresses that no pod has any more, or with none where an interface has
	 * gone: their connections are to end. */
	int (*gone)(void *arg, const struct addr_list *gone);
	/* Called when something on the node has changed, so that node_each_missing() may find more
	 * or less than before. Of most changes the kernel does not tell. */
	void (*changed)(void *arg);
	void *arg; /* of both */
};

/* Fills the maps and attaches to all present interfaces; follows them as the loop turns. */
int node_open(const struct node_options *o, struct local_node **out);
/* Leaves everything attached. Accepts NULL. */
void node_close(struct local_node *node);

/* What has changed of the addresses that rules know pods by, and of those among them whose pods are
 * in the mesh. A pod that leaves it keeps the connections that it has. */
struct node_identities {
	const struct addr_list *came, *gone;
	const struct addr_list *joined, *left;
	bool first; /* `joined` has all that are in the mesh, whatever was known before */
};

/* Other rules or pods are in force. */
int node_identify(struct local_node *node, const struct node_identities *change);

/* Every packet that the node forwards pays for the way to weft-proxy, so that it is there only
 * where something needs it. Then it stays: connections may be open for as long as they like. */
int node_need_tproxy(struct local_node *node);
/* Nothing has needed it so far, and no weft-proxy has a connection open: what an earlier weftd has
 * left of it goes. */
void node_drop_tproxy(struct local_node *node);

/* What weftd has put there, and what others can take away again. */
enum node_part {
	NODE_INTERFACES, /* programs on them */
	NODE_ROUTING,	 /* the way to weft-proxy */
	NODE_NETFILTER,	 /* likewise: connections that are not tracked */
};
/* Tells what of it is not there at the moment, by name. */
void node_each_missing(struct local_node *node, enum node_part part,
		       void (*tell)(void *arg, const char *what), void *arg);
/* Does not log; 0 or -errno. */
int node_put_back(struct local_node *node, enum node_part part);

/* Calls `each` with every pod's network namespace that is found, and its cookie; as netns_each().
 */
int node_each_netns(struct local_node *node, int (*each)(void *arg, __u64 cookie, int fd),
		    void *arg);

/* Calls `each` with the interface of every pod of the mesh that is not, or not wholly, steered yet,
 * and why. */
void node_each_lacking(struct local_node *node,
		       void (*each)(void *arg, const char *ifname, const char *why), void *arg);
/* Whether a pod that is attached has the address. */
bool node_has_pod(const struct local_node *node, const struct addr *a);

struct node_status {
	unsigned pods, nics;
	unsigned members;      /* of the pods: in the mesh */
	unsigned pods_unknown; /* whose network namespace has not been found: only tc steers them */
	bool tcx;	       /* or clsact filters */
	bool tproxy;	       /* the way to weft-proxy is in use */
	char netfilter[64];    /* hooks on the forward path; "" if there are none */
	const char *shortcut;  /* what has become of --shortcut */
	char xdp[XDP_TEXT_MAX]; /* and of --xdp, on each NIC */
};
void node_status(struct local_node *node, struct node_status *out);
struct node_counts {
	unsigned pods, members, pods_unknown, nics; /* as in struct node_status */
};
struct node_counts node_count(const struct local_node *node);

#endif
