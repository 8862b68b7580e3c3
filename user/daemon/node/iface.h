/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_IFACE_H
#define WEFT_DAEMON_NODE_IFACE_H
/*
 * The node's interfaces: a list that reconcile.c keeps, and what is known of each.
 */
#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/bpf/xdp.h"
#include "daemon/netlink/addr_set.h"
#include "daemon/netlink/netlink_query.h"
#include "daemon/node/match.h"

struct iface {
	struct iface *next;
	struct nl_link link;
	enum role role; /* as the maps and hooks have it */
	bool default_route, was_nic;
	bool dirty;	    /* reconcile it again */
	bool failed;	    /* reconcile it again when the retry timer fires */
	bool seen;	    /* in the dump under way */
	bool told_unusable; /* as a NIC */
	/* of a NIC */
	enum xdp_mode xdp; /* what runs there */
	__u64 xdp_until;   /* as in `xdp_nics` */
	int xdp_refused;   /* --xdp auto has asked the driver: its -errno */
	char xdp_why[160]; /* why nothing goes that way; "" if it may */
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
	char shaper[16];  /* the same, and more than a plain queue (bare.c) */
	bool has_filters; /* or may have: clsact or ingress is there */
	bool bare;	  /* nothing of others treats packets there */
};

/* NULL if there is none. */
struct iface *iface_find(struct iface *first, int ifindex);
/* The one whose other end is that interface of that namespace. */
struct iface *iface_find_by_peer(struct iface *first, int nsid, int peer);
/* The bridge that the interface is a port of, or NULL. */
struct iface *iface_bridge(struct iface *first, const struct iface *port);
/* By its kind: a tunnel to other hosts, by which an overlay may carry what pods send. */
bool iface_is_tunnel(const struct iface *i);
/* A new one at the list's head; NULL when out of memory. */
struct iface *iface_add(struct iface **first);
void iface_free(struct iface *i);

#endif
