/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_SERVICE_H
#define WEFT_SERVICE_H
/*
 * The rule tables of one generation, as the compiler writes them and decide() reads them.
 *
 * A generation is a set of these tables, each an inner map of the outer map named here, in the slot
 * (generation % GENERATION_SLOTS). Tables refer to each other by index within the same generation.
 * Fields named `id` are stable: they survive reloads and restarts and index the counters in
 * policy.h. Ports and all other integers are in host byte order.
 */
#include "addr.h"

enum {
	GENERATION_SLOTS = 4,
	SERVICE_MAX_RULES = 1024,      /* rules of one service port, the plain route included */
	ROUTE_MAX_DESTS = 128,	       /* destinations of one route */
	CLUSTER_MAX_ENDPOINTS = 65536, /* endpoints of one cluster */
	ANYWHERE_WORDS = 65536 / 64,   /* of a bit for each port */
};

/* Where a service address is reachable from. */
enum service_scope {
	SCOPE_MESH = 0, /* a Service's own address, called by a pod */
	SCOPE_NODE = 1, /* a port on any address of the node, called from outside or by a pod; addr
			   is :: */
	SCOPE_OUTSIDE = 2,  /* called from outside: a load balancer's address or another external
			       one of a Service; with :: a port of the node, before SCOPE_NODE */
	SCOPE_ANYWHERE = 3, /* called by a pod at an address that is no Service's, pod's or the
			       node's: ServiceEntries that have none of their own; addr is :: */
};

/* gen_services key. `ns` is the client's namespace (struct source.ns), or 0: clients of any
 * namespace. */
struct service_key {
	struct addr addr;
	__u32 ns;
	__u16 port; /* 1..65535 */
	__u8 scope; /* enum service_scope */
	__u8 pad;
};
_Static_assert(sizeof(struct service_key) == 24, "service_key is a hash key without holes");

enum service_flags {
	SERVICE_PER_NAMESPACE =
		1,	   /* on the ns == 0 entry: some namespaces have an entry of their own */
	SERVICE_DOOR = 2,  /* a Gateway's, at a Service's address: pods outside of the mesh are
			    * answered, too */
	SERVICE_LOCAL = 4, /* its endpoints are those of this node: where there is none the packet
			    * is dropped, for the load balancer to notice */
	SERVICE_BOUND = 8, /* a Gateway's that is bound to the address: it counts only where that is
			    * one of the node's (node_addrs) */
	SERVICE_NEVER = 1u << 31, /* none has it: decide() takes a 0 from it */
};

/* gen_services value: one port of a service (or of a gateway), and its rules in the order they are
 * tried. */
struct service {
	__u32 id;	  /* stable, key of `affinity` */
	__u32 rule_first; /* index into gen_rules */
	__u32 rule_count; /* 1..SERVICE_MAX_RULES; the last one matches everything */
	__u32 flags;	  /* enum service_flags */
	__u32 affinity_s; /* sessionAffinity: ClientIP timeout in seconds; 0: none */
	/* So many of the rules come first and are RULE_ADMIT: unless one of them holds, the caller
	 * is not heard. 0: anyone is. */
	__u32 admit_count;
};

enum rule_action {
	RULE_ROUTE = 0,	 /* pick a destination of `route` */
	RULE_PASS = 1,	 /* leave the packet alone: the destination is not ours to balance */
	RULE_REFUSE = 2, /* no such cluster: reset the connection */
	RULE_PROXY = 3,	 /* HTTP that rules or policies speak of: weft-proxy decides per request */
	RULE_ADMIT = 4,	 /* the caller may go on to the other rules */
	RULE_WITHIN = 5, /* the next `selector` rules are for those addresses called that are within
			    `route`, a row of gen_admits */
	RULE_UNREGISTERED = 6, /* REGISTRY_ONLY: to this client nothing is there; refused */
};

/* gen_rules: what of a TCP match is not decided at compile time. All conditions must hold. */
struct rule {
	__u32 ns;	/* client's namespace (struct source.ns); 0: any */
	__u32 selector; /* sourceLabels, a selector of gen_selected; 0: any. RULE_WITHIN: see there
			 */
	__u32 route;	/* index into gen_routes, or into gen_admits for RULE_ADMIT, RULE_WITHIN */
	__u8 action;	/* enum rule_action */
	__u8 pad[3];
};
_Static_assert(sizeof(struct rule) == 16, "gen_rules of earlier versions has such rows");

/* gen_admits: the caller's address is `from` in the bits of `mask`; of RULE_WITHIN the address
 * called. */
struct admit {
	struct addr from, mask;
};

/* gen_routes */
struct route {
	__u32 id;	  /* stable, key of `routes` */
	__u32 dest_first; /* index into gen_dests */
	__u32 dest_count; /* 1..ROUTE_MAX_DESTS */
	__u32 total;	  /* sum of the weights, 1..2^31 */
};

/* gen_dests: a weighted destination of a route. */
struct dest {
	__u32 cluster; /* index into gen_clusters */
	__u32 end; /* this and all earlier weights of the route added up: it gets picks in [previous
		      end, end) */
};

enum lb_policy {
	LB_LEAST_REQUEST = 0, /* the less loaded of two random endpoints, Envoy's default */
	LB_ROUND_ROBIN = 1,
	LB_RANDOM = 2,
	LB_PASSTHROUGH = 3, /* the address the client called */
	LB_SOURCE_IP = 4,   /* consistentHash.useSourceIp: rendezvous hashing over the endpoints */
};

/* Rows of gen_endpoints that lie one after the other. */
struct endpoint_range {
	__u32 first;
	__u32 count;
};

/*
 * gen_clusters: a subset of a service's endpoints with its policy. Milliseconds; 0 means none.
 *
 * `ep_first` and `ep_count` change while a generation is in force: they are one aligned word in the
 * map, which weftd stores at once and a program reads once for each decision. The rows that a
 * cluster had stay as they are for as long as their map.
 */
struct cluster {
	__u32 id;	       /* stable, key of `clusters` */
	__u32 max_connections; /* 0: unlimited */
	__u32 ep_first;	       /* index into gen_endpoints */
	__u32 ep_count;	       /* 0..CLUSTER_MAX_ENDPOINTS */
	__u32 connect_timeout_ms;
	__u32 idle_timeout_ms;
	__u32 max_duration_ms;
	/* Seconds, and how many; 0: the kernel's default stays. */
	__u32 keepalive_time_s;
	__u32 keepalive_interval_s;
	__u32 keepalive_probes;
	__u8 lb;	/* enum lb_policy */
	__u8 keepalive; /* 1: SO_KEEPALIVE is on, with the above */
	__u8 pad[2];
};
_Static_assert(sizeof(struct cluster) == 44, "cluster has no holes");
/* The rows of an array begin at multiples of 8. */
_Static_assert(__builtin_offsetof(struct cluster, ep_first) % 8 == 0 &&
		       __builtin_offsetof(struct cluster, ep_count) ==
			       __builtin_offsetof(struct cluster, ep_first) + 4,
	       "the range of endpoints is one word");

/* gen_endpoints */
struct endpoint {
	struct addr addr;
	__u32 id; /* stable, key of `endpoints` */
	__u16 port;
	__u16 pad;
};

/* gen_sources: who a pod is, by its address (struct addr is the key). */
struct source {
	__u32 ns;	/* id, 1.. */
	__u32 workload; /* id; 0: no selector holds */
};

/* gen_selected key: the workload's labels satisfy the selector. The value is a __u8 of 1. */
struct selected_key {
	__u32 workload;
	__u32 selector;
};

#endif
