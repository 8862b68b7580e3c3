/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_NODE_PRIV_H
#define WEFT_DAEMON_NODE_NODE_PRIV_H
/*
 * What the files behind node.h share. reconcile.c calls the others, which know nothing of it.
 */
#include <stdint.h>

#include "daemon/bpf/attach.h"
#include "daemon/bpf/loader.h"
#include "daemon/node/bare.h"
#include "daemon/node/iface.h"
#include "daemon/node/node.h"
#include "daemon/node/shortcut.h"
#include "weft/conn.h"
#include "weft/sock.h"

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
	struct event leave_timer; /* runs while one is leaving */
	struct event retry_timer; /* runs while something has failed */
	bool retry_armed;
	unsigned retry_ms;
	int own_nsid; /* the id that the node gives its own namespace, if it does; else NL_NSID_OWN
		       */
	/* What is to be done; each stays until it has succeeded. */
	bool node_dirty, routes_dirty; /* reconcile them again */
	bool lost;		       /* notifications: reconcile everything again */
	bool prune_needed, sweep_needed;
	bool cookies_wanted; /* look for network namespaces that are not known yet */
};

/* What restore.c needs. Descriptors start at -1: restore_init(). */
struct restore {
	struct event tc;  /* notifications: filters, where these carry the programs */
	struct event nft; /* notifications: nf_tables; none where the kernel lacks it */
	int netfilter;	  /* requests; -1: likewise */
	bool untracked;	  /* nf_tables has taken our rule once */
};

struct local_node {
	struct loader *loader;
	struct event_loop *loop;
	int netlink;		  /* requests */
	struct event links;	  /* notifications: links and addresses, of all namespaces */
	struct event node_routes; /* notifications: routes of the node */
	struct attach attach;
	enum xdp_mode xdp; /* --xdp */
	struct shortcuts shortcut;
	struct bare bare;
	struct restore restore;
	struct pods pods;
	struct addr_set sources; /* the addresses that rules know pods by */
	struct addr_set members; /* those of pods in the mesh */
	bool all_pods;		 /* all are */
	bool tproxy;		 /* the way to weft-proxy is there: something has needed it */
	int (*gone)(void *arg, const struct addr_list *gone);
	void (*changed)(void *arg);
	void *arg; /* of both */
};

/* ---- reconcile.c: an interface is a pod's, a NIC, a bridge of pods or nothing ---- */

void pods_init(struct pods *p);
/* Reads everything, fills the maps, attaches, and cleans up after an earlier weftd. What fails for
 * a single pod, or because things change meanwhile, is tried again later. Logs. */
int pods_open(struct local_node *node, const struct node_options *o);
void pods_free(struct pods *p);
/* Takes the notifications that have come and acts on them. Logs. */
int pods_follow(struct local_node *node);

/* ---- the parts that it calls; all log ---- */

/* pod.c. Reads what the pod claims. Those of all pods are read before any is given an address. */
void pod_read(struct local_node *node, struct iface *i);
int pod_refresh(struct local_node *node, struct iface *i);
int pod_remove(struct local_node *node, struct iface *i);
/* Its entries in `pods`, of all of its interfaces, and in `netns_pods`. */
int pod_write(struct local_node *node, const struct iface *i);
/* Whether the pod is in the mesh, by any of its interfaces' addresses. */
bool pod_is_member(const struct local_node *node, const struct iface *i);
/* The address that rules know the pod by; :: if it has none. */
struct addr pod_identity(const struct local_node *node, const struct iface *i);
/* Writes the pods again that have any of these addresses (NULL: all): rules know another one of
 * them, or they have joined or left the mesh. */
int pods_identify(struct local_node *node, const struct addr_set *changed);

/* owner.c. Finds the pod that owns an address now. Connections of an address that no pod owns any
 * more are ended, at once if `for_good`, else after the grace period. */
int pods_assign(struct local_node *node, const struct addr *a, bool for_good);
/* Has the owners found again of the addresses that a changed route leads to, or of all. */
void pods_note_route(struct pods *p, const struct nlmsghdr *h);
void pods_doubt(struct pods *p);

/* grace.c */
int pod_leave(struct pods *p, const struct addr *a);
/* When `leave_timer` has fired: addresses whose grace period is over are to be swept. */
void pods_take_leavers(struct local_node *node);
int pods_sweep(struct local_node *node);

/* pod_netns.c. Finds the cookies of the namespaces of pods that lack them. What is not found is no
 * error. */
int pods_find_cookies(struct local_node *node);
size_t pods_without_cookie(const struct pods *p);
bool pod_lacks_cookie(const struct iface *i);
/* Brings `netns_pods` in step with the pod's interface. */
int pod_write_netns(struct local_node *node, const struct iface *i);
/* The interface's other end is in another namespace now, or in none. */
int pod_forget_netns(struct local_node *node, struct iface *i);
int pods_prune_netns(struct local_node *node);

/* nics.c */
/* What is attached to that side of a NIC. */
enum prog_id nic_prog(const struct iface *i, enum hook hook);
/* Whether it is not for XDP: its packets are no frames that come by a wire. */
bool nic_is_tunnel(const struct iface *i);
/* Whether it is a NIC, if at all, for being a tunnel alone: it is not named by --nic, and has had
 * no default route. No more than half of the NICs are such ones, and the others go first. */
bool nic_is_spare(const struct pods *p, const struct iface *i);
int nic_refresh(struct local_node *node, struct iface *i);
int nic_remove(struct local_node *node, struct iface *i);
int node_refresh(struct local_node *node);
int default_routes_refresh(struct local_node *node);

/* nic_xdp.c. What --xdp has run on a NIC, and may do there. */
int nic_xdp_put(struct local_node *node, struct iface *i);
/* Something of a NIC has changed: what was refused there is asked for again. */
int nic_xdp_renew(struct local_node *node, struct iface *i);
/* What `xdp_nics` says of it, as it is now. */
int nic_xdp_write(struct local_node *node, const struct iface *i);
/* Decides again for all NICs, if it is to be decided at all. */
int nic_xdp_refresh(struct local_node *node);
int nic_xdp_remove(struct local_node *node, struct iface *i);
/* Whether what ran there is there no more. */
bool nic_xdp_missing(struct local_node *node, const struct iface *i);
/* Does not log where it fails. */
int nic_xdp_put_back(struct local_node *node, struct iface *i);
int nic_xdp_prune(struct local_node *node);
/* A line: what is asked for, and what runs on each NIC. */
void nic_xdp_status(const struct local_node *node, char *out, size_t size);

/* restore.c. To be called when everything is attached. */
void restore_init(struct restore *s);
int restore_open(struct local_node *node);
void restore_free(struct restore *s);

/* prune.c. Deletes what an earlier weftd has left in the maps and on interfaces that are not ours
 * any more. */
int pods_prune(struct local_node *node);

#endif
