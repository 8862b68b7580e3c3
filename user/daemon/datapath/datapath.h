/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_DATAPATH_H
#define WEFT_DAEMON_DATAPATH_DATAPATH_H
/*
 * The daemon's kernel side: BPF objects, hooks, interfaces, generations, counters. One `struct
 * kernel` per weftd. Nothing above this header names libbpf, netlink or a file under bpffs.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/mesh/enrol.h"
#include "lib/tables/registry.h"
#include "lib/tables/tables.h"
#include "daemon/node/node.h"
#include "weft/conn.h"
#include "weft/event.h"
#include "weft/http_stat.h"
#include "weft/policy.h"
#include "weft/sock.h"
#include "weft/traffic.h"
#include "weft/verdict.h"

struct kernel;
struct sock_row; /* sockets.h */

struct kernel_options {
	const char *bpffs; /* --bpffs: maps at DIR/NAME, programs at DIR/prog/NAME, links at
			      DIR/link/IFINDEX */
	const char *pods;  /* --pods: "auto" or comma-separated interface globs */
	const char *nic; /* --nic: comma-separated interfaces; NULL: those of the default routes, if
			    any */
	const char *cgroup; /* --cgroup: whose processes are steered at connect(); NULL: all */
	unsigned max_connections; /* size of the connection table; 0: the default, or that of the
				     one that is there */
	enum shortcut_mode shortcut;
	enum xdp_mode xdp; /* --xdp */
	enum enrol_mode enrol;
	bool refuse_unseen; /* --unseen refuse: pods' connections that no connect() hook saw */
	bool registry_only; /* --outbound-traffic-policy REGISTRY_ONLY */
};

/*
 * Checks what is needed (root or the capabilities, kernel >= 6.1, BTF, bpffs mounted at --bpffs,
 * interfaces exist), one clear line on stderr for what is missing; then loads the programs, reusing
 * pinned maps, attaches them to all present interfaces and replaces those of an earlier weftd
 * atomically; and follows the node as the loop turns, which is borrowed. 0, or -errno after having
 * logged.
 */
int kernel_open(const struct kernel_options *options, struct event_loop *loop, struct kernel **out);
/* What --cgroup is unless it is given: the root of cgroup v2's hierarchy. -ENOENT, without logging,
 * if there is none. Warns where that is not the whole. */
int kernel_default_cgroup(char *out, size_t size);
enum enrol_mode kernel_enrol(const struct kernel *k);
/* The checks of kernel_open() alone, for callers that must fail before they have made anything. */
int kernel_check(const struct kernel_options *options);
/* Whether a weftd has pinned what it steers by in that directory. */
bool kernel_pinned(const char *bpffs);
/* Leaves everything pinned and attached. Accepts NULL. */
void kernel_close(struct kernel *k);
/* Removes every program, link, filter, qdisc of our own making, pin. Nothing else. Needs no
 * kernel_open(). `shared`: only what is pinned; the rest is that of another weftd of this network
 * namespace. */
int kernel_detach(const char *bpffs, bool shared);

/* The names and ids found in the pinned counter maps. The registry is borrowed until
 * kernel_close(): names of peers are forgotten there. */
int kernel_adopt(struct kernel *k, struct registry *registry);
/* Writes down who the peers are that have been given ids since: before any id is told to
 * weft-proxy. Logs what can't be written. */
void kernel_name_peers(struct kernel *k, struct registry *registry);
/* The generation in force, 0 if none. */
__u64 kernel_generation(struct kernel *k);
/* Creates missing counter entries, fills fresh inner maps, makes them live. When it fails the old
 * generation stays. Shares the tables from then on. */
int kernel_publish(struct kernel *k, struct tables *tables);
/*
 * Deletes counter entries whose names have been in no generation for a while and whose `active` is
 * 0. Works for a bounded time; returns after how many ms it wants to be called again, 0 if nothing
 * is left to be deleted, or -errno.
 */
int kernel_forget(struct kernel *k, const struct tables *tables);

/*
 * What weftd has put into the kernel is put back when others take it away (guard.h); `on` false:
 * not any more, from before kernel_detach().
 */
void kernel_guard(struct kernel *k, bool on);
/* Calls `tell` with a few words for each thing that is missing at the moment. */
void kernel_each_missing(struct kernel *k, void (*tell)(void *arg, const char *what), void *arg);
/* What kinds of things are guarded, and how often each was put back. */
int kernel_each_guarded(struct kernel *k, int (*row)(void *arg, const char *name, __u64 restored),
			void *arg);

/* The listening sockets of weft-proxy's workers, which stay the caller's, and open until
 * kernel_close() or the next call. 0 or -errno after having logged. */
int kernel_set_listeners(struct kernel *k, const int *fds, unsigned count);
/* No weft-proxy has a connection open: what leads to it is taken out of the node's routing, unless
 * the generation in force needs it. */
void kernel_drop_tproxy(struct kernel *k);
/* The weft-proxy of a slot has ended: what it held of connection limits, as the file `held` (struct
 * proxy_held) says, is free again, and gauges are without it. Slot -1: none runs. */
void kernel_proxy_died(struct kernel *k, int slot, int held);
/* A pinned map's descriptor, which stays the kernel's, for weft-proxy; -ENOENT if there is none of
 * that name. */
int kernel_map(struct kernel *k, const char *name);

/* One row each, in map order; a callback's non-zero answer ends the walk and is returned. */
int kernel_each_cluster(struct kernel *k,
			int (*row)(void *arg, __u32 id, const struct cluster_stat *s,
				   const struct cluster_limit *l),
			void *arg);
int kernel_each_endpoint(struct kernel *k,
			 int (*row)(void *arg, __u32 id, const struct endpoint_stat *s), void *arg);
int kernel_each_route(struct kernel *k, int (*row)(void *arg, __u32 id, const struct route_stat *s),
		      void *arg);
int kernel_each_dest(struct kernel *k,
		     int (*row)(void *arg, const struct dest_key *key, const struct dest_stat *s),
		     void *arg);
/* Who talks to whom by TCP (weft/traffic.h), the row of key zero among them. */
int kernel_each_tcp_traffic(struct kernel *k,
			    int (*row)(void *arg, const struct tcp_traffic_key *key,
				       const struct tcp_traffic *t),
			    void *arg);
int kernel_each_reason(struct kernel *k,
		       int (*row)(void *arg, __u32 reason, const struct reason_stat *s), void *arg);
/* Rows that have a name, row 0 included once something was counted there. */
int kernel_each_http_cluster(struct kernel *k,
			     int (*row)(void *arg, const struct http_cluster_stat *s), void *arg);
int kernel_each_http_route(struct kernel *k, int (*row)(void *arg, const struct http_route_stat *s),
			   void *arg);
int kernel_each_http_listener(struct kernel *k,
			      int (*row)(void *arg, const struct http_listener_stat *s), void *arg);
/* Forward entries; `reply` is its other half, or NULL. */
int kernel_each_conn(struct kernel *k,
		     int (*row)(void *arg, const struct tuple *key, const struct conn *c,
				const struct conn *reply),
		     void *arg);
/* Sockets that connect() has steered, also those that hold no place any more. */
int kernel_each_socket(struct kernel *k, int (*row)(void *arg, const struct sock_row *s),
		       void *arg);
int kernel_each_pod(struct kernel *k, int (*row)(void *arg, __u32 ifindex, const struct pod *p),
		    void *arg);
/* What of the pods in the mesh is not steered yet, a line each: pods that the tables know on
 * the node of that name (NULL: on none), and interfaces that are there. */
void kernel_each_unready(struct kernel *k, const struct tables *t, const char *node,
			 void (*tell)(void *arg, const char *what), void *arg);
/* Connections that the programs have steered and that are open. `last`: the highest id of a cluster
 * that was ever given. For any thread. */
__u64 kernel_steered(const struct kernel *k, __u32 last);
struct kernel_sweeps {
	uint64_t runs, ns; /* since the start: how many, and how long all of them took */
};
struct kernel_sweeps kernel_sweeps(const struct kernel *k);
/* What XDP has forwarded since the map was made. 0 or -errno. */
int kernel_xdp_forwarded(struct kernel *k, struct xdp_stat *out);
/* What the ConnectionPolicy has done, by reason; `dropped`: it is why packets were. A callback's
 * non-zero answer ends the walk and is returned; -errno. */
int kernel_each_protected(struct kernel *k,
			  int (*row)(void *arg, const char *name, bool dropped, __u64 count),
			  void *arg);
/* Every node address that SCOPE_NODE services answer on. */
int kernel_each_node_addr(struct kernel *k, int (*row)(void *arg, const struct addr *a), void *arg);

/* Runs the loaded `explain` program against the live maps. */
int kernel_explain(struct kernel *k, const struct question *q, struct verdict *out);

struct kernel_status {
	__u64 generation;
	struct node_status node;
	unsigned connections;
	unsigned room;	  /* for connections in the table */
	unsigned sockets; /* that hold a place */
	const char *cgroup;
	/* At the hooks of that cgroup: our programs, how many there should be, those of others. */
	unsigned hooks, hooks_wanted, hooks_foreign;
	const char *release;
};
/* The part of it that costs next to nothing. */
struct node_counts kernel_node(const struct kernel *k);
int kernel_status(struct kernel *k, struct kernel_status *out);

#endif
