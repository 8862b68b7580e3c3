/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_RECONCILE_H
#define WEFT_DAEMON_NODE_RECONCILE_H
/*
 * The node's interfaces, and what each of them is to weft: a pod's veth, a NIC, a bridge of pods or
 * nothing. Keeps `pods`, `pod_addrs`, `nics` and `node_addrs` and the attached programs in step
 * with rtnetlink.
 */
#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/datapath/datapath.h"
#include "daemon/netlink/addr_set.h"
#include "daemon/netlink/netlink_query.h"
#include "daemon/node/match.h"

struct iface {
	struct iface *next;
	struct nl_link link;
	enum role role; /* as the maps and hooks have it */
	bool default_route, was_nic;
	bool dirty;	    /* look again */
	bool failed;	    /* look again when `retry_timer` fires */
	bool seen;	    /* in the dump under way */
	bool told_unusable; /* as a NIC */
	/* of a pod */
	__u8 peer_mac[6];
	bool peer_up;
	struct addr_list claims; /* what its interface has, which the pod may choose */
	int claims_error;	 /* 0: they are read; else -errno */
	struct addr_list addrs;	 /* those that are its own, as in `pod_addrs` */
	struct addr_list lapsed; /* claims that were its own until the node's route went */
	__u64 netns_cookie;	 /* of its network namespace; 0: not found yet */
	bool netns_written;	 /* `netns_pods` has it */
	/* of a pod or a bridge: what shortcut.c has found */
	char qdisc[16];	  /* the queueing discipline, where it may delay or drop; "" if none does */
	bool has_filters; /* or may have: clsact or ingress is there */
	bool bare;	  /* nothing of others treats packets there */
};

struct node_addr {
	struct addr addr;
	int ifindex;
};

/* An address that a pod has lost, or whose interface is down: gone, if that lasts. */
struct departure {
	struct addr addr;
	uint64_t due_ms;
};

struct pods {
	char *match, *nic; /* --pods, --nic */
	struct iface *ifaces;
	struct {
		struct node_addr *items;
		size_t count;
		struct addr_set set;
		bool full; /* the map holds no more */
	} node;
	struct addr_list gone; /* of pods that have gone since the last sweep */
	struct {
		struct departure *items; /* the first is due first */
		size_t count, room;
	} leaving;
	int leave_timer; /* runs while one is leaving */
	int retry_timer; /* runs while something has failed */
	bool retry_armed;
	unsigned retry_ms;
	int own_nsid; /* the id that the node gives its own namespace, if it does; else NL_NSID_OWN
		       */
	/* What is to be done; each stays until it has succeeded. */
	bool node_dirty, routes_dirty; /* look again */
	bool lost;		       /* notifications: look at everything again */
	bool prune_needed, sweep_needed;
	bool cookies_wanted; /* look for network namespaces that are not known yet */
};

void pods_init(struct pods *p);
/* Reads everything, fills the maps, attaches, and cleans up after an earlier weftd. What fails for
 * a single pod, or because things change meanwhile, is tried again later. Logs. */
int pods_open(struct kernel *k, const struct kernel_options *o);
void pods_free(struct pods *p);
/* Takes the notifications that have come and acts on them. Logs. */
int pods_follow(struct kernel *k);
/* When `leave_timer` or `retry_timer` has fired. */
int pods_on_leave_timer(struct kernel *k);
int pods_on_retry_timer(struct kernel *k);
/* Chooses each pod's identifying address again: another generation is in force. */
int pods_identify(struct kernel *k);

/* Parts of the above, pods_*.c and nics.c. All log. */
struct iface *pods_find(struct pods *p, int ifindex);
/* The bridge that the interface is a port of, or NULL. */
struct iface *pods_bridge(struct pods *p, const struct iface *port);
/* Does all that is to be done; what fails is tried again later. */
int pods_settle(struct kernel *k);
/* Reads what the pod claims. Those of all pods are read before any is given an address. */
void pod_read(struct kernel *k, struct iface *i);
int pod_refresh(struct kernel *k, struct iface *i);
int pod_remove(struct kernel *k, struct iface *i);
/* Its entry in `pods`. */
int pod_write(struct kernel *k, const struct iface *i);
/* Finds out whose an address is now. Where it is nobody's any more, those who have it are ended;
 * at once if `for_good`. */
int pods_assign(struct kernel *k, const struct addr *a, bool for_good);
/* Looks again at the addresses that a changed route of the node's leads to, or at all. */
void pods_note_route(struct pods *p, const struct nlmsghdr *h);
void pods_doubt(struct pods *p);
int pod_leave(struct pods *p, const struct addr *a);
/* The address that rules know the pod by; :: if it has none. */
struct addr pod_identity(const struct kernel *k, const struct iface *i);
/* Finds the cookies of the namespaces of pods that lack them. What is not found is no error. */
int pods_find_cookies(struct kernel *k);
size_t pods_without_cookie(const struct pods *p);
/* Brings `netns_pods` in step with the pod's interface. */
int pod_write_netns(struct kernel *k, const struct iface *i);
/* The interface's other end is in another namespace now, or in none. */
int pod_forget_netns(struct kernel *k, struct iface *i);
int pods_prune_netns(struct kernel *k);
/* Calls `each` with every pod's network namespace that is found, and its cookie; as netns_each().
 */
int pods_each_netns(struct kernel *k, int (*each)(void *arg, __u64 cookie, int fd), void *arg);
int pods_sweep(struct kernel *k);
int nic_refresh(struct kernel *k, struct iface *i);
int nic_remove(struct kernel *k, struct iface *i);
int node_refresh(struct kernel *k);
int default_routes_refresh(struct kernel *k);
/* Deletes what an earlier weftd has left in the maps and on interfaces that are not ours any more.
 */
int pods_prune(struct kernel *k);

#endif
