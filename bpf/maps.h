/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_MAPS_H
#define WEFT_MAPS_H
/*
 * Every map. All are pinned by name in the bpffs directory, so that they outlive weftd. Sizes
 * marked * are set by weftd before load. An empty hash takes 16 bytes for each entry that it has
 * room for, an LRU hash and an array take all of it: selftests/bench/map-memory prints how much.
 */
#include "weft/authz.h"
#include "weft/conn.h"
#include "weft/event.h"
#include "weft/tproxy.h"
#include "weft/http_stat.h"
#include "weft/policy.h"
#include "weft/protect.h"
#include "weft/service.h"
#include "weft/shortcut.h"
#include "weft/sock.h"
#include "weft/traffic.h"
#include "weft/verdict.h"

/* ---- live state ---- */

/* The generation in force; 0 before the first publish, when everything is passed. Written by weftd
 * only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} generation SEC(".maps");

/* A full table refuses new connections, it never evicts (conn.h). Entries take memory only while
 * their connections last, as those of the node's own connection tracking do. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536); /* * two per connection, or four (conn.h) */
	__type(key, struct tuple);
	__type(value, struct conn);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} conns SEC(".maps");

/* How many entries `conns` has: packets are not looked up while there are none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} conn_count SEC(".maps");

/* Room that the 512 bytes of stack don't have, for the time of one program run. */
struct scratch {
	struct question question;
	struct verdict verdict;
	struct tuple to;    /* the new connection's forward translation: B of conn.h */
	struct tuple reply; /* its reply entry's key */
	struct tuple out;   /* C of conn.h */
	struct tuple out_reply;
	struct conn conn;	/* the entry being made */
	struct addr source;	/* C's source address */
	__u32 netns_id;		/* of the endpoint, where a socket may be in the way */
	__u32 client_netns_id;	/* of the client, likewise */
	__u32 client_ifindex;	/* the interface that the packet has come in by */
	__u32 endpoint_ifindex; /* as in struct conn */
	__u8 flags;
	__u8 dmac[6];
	__u8 outside; /* 1: the client is a pod that is not in the mesh */
	/* of XDP's */
	__u32 exit_ifindex; /* the NIC that leads to the endpoint */
	__u8 exit_hop[6];   /* the next hop there */
	__u8 back_hop[6];   /* and back to the client */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* for packets, for `explain` */
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} scratch SEC(".maps");

/* Ports of packets that come in fragments (conn.h). The oldest make room: TCP sends again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct frag_key);
	__type(value, struct frag);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} frags SEC(".maps");

/* sessionAffinity: ClientIP (conn.h). The oldest make room: such a client is balanced anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} affinity SEC(".maps");

/* Written by weftd as interfaces come and go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct pod);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pods SEC(".maps");

/* Cookie of a pod's network namespace -> struct netns_pod (sock.h). Written by weftd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct netns_pod);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} netns_pods SEC(".maps");

/* Cookie of a socket that connect() has steered -> struct sock_conn (sock.h). Where it is full, tc
 * steers what such a socket sends. The sweep visits it: kernels that are locked down let nothing
 * list the storage of sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct sock_conn);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} socks SEC(".maps");

/* How many entries `socks` has, as the CPUs together have counted: each adds what it makes and
 * takes off what it deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sock_count SEC(".maps");

/* See shortcut.h. The oldest make room: their packets take the node's way again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* two per connection */
	__type(key, struct tuple);
	__type(value, struct shortcut);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shortcuts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shortcut_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shortcut_state SEC(".maps");

/* An address of a pod on this node -> __u32 ifindex, key of `pods`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pod_addrs SEC(".maps");

/* An address of the node itself -> __u32 ifindex that has it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} node_addrs SEC(".maps");

/* __u32 ifindex of an interface to the outside -> struct nic (conn.h). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct nic);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} nics SEC(".maps");

/* Addresses whose Pod was deleted: the next sweep ends their connections. Written and emptied by
 * weftd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct addr);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} gone_addrs SEC(".maps");

/* struct reset_event, struct sock_event (event.h), from `sweep` to weftd. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18); /* bytes */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

/* struct refusal_event (event.h). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16); /* bytes */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} refusals SEC(".maps");

/* weft-proxy's listening sockets, by worker. Filled by weftd; a socket that is closed leaves by
 * itself. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, PROXY_MAX_WORKERS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} listeners SEC(".maps");

/* See tproxy.h. Written by weftd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proxy_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} proxy SEC(".maps");

/*
 * struct proxied_key (tproxy.h), written with the first connection that is handed over: what
 * comes for another address or port, and not for one of weft-proxy's own ports, is none of its
 * connections. Nothing deletes them; what is looked up by each packet is not the least recently
 * used.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct proxied_key);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} proxied SEC(".maps");

/* See struct xdp_nic (conn.h). Without an entry XDP forwards and answers nothing; what a
 * ConnectionPolicy has against a frame it drops all the same. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64); /* as `nics` */
	__type(key, __u32);
	__type(value, struct xdp_nic);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xdp_nics SEC(".maps");

/* ---- ConnectionPolicy (protect.h) ---- */

/* Which entry of `protect` is in force. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_turn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct protect_limits);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROTECT_SOURCES_MAX);
	__type(key, struct protect_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROTECT_METERS);
	__type(key, __u32);
	__type(value, struct protect_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_meters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct addr);
	__type(value, struct protect_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct tuple);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_proven SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROTECT_DSTS);
	__type(key, __u32);
	__type(value, struct protect_dst);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_dsts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROTECT_REASONS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} protect_count SEC(".maps");

/* ---- AuthorizationPolicies (authz.h) ---- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} authz_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AUTHZ_PODS_MAX);
	__type(key, struct addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} authz_pods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AUTHZ_RULES_MAX);
	__type(key, struct authz_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} authz_rules SEC(".maps");

/* ---- counters (policy.h) ---- */

/* Packets that XDP has forwarded, as the CPUs together have counted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xdp_count SEC(".maps");

/* __u32 cluster id -> connections open now. Also mapped by weft-proxy. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLUSTER_IDS_MAX);
	__type(key, __u32);
	__type(value, struct cluster_limit);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CLUSTER_IDS_MAX);
	__type(key, __u32);
	__type(value, struct cluster_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} clusters SEC(".maps");

/* __u32 stable id -> counters of an endpoint, over all clusters that it is in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, struct endpoint_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} endpoints SEC(".maps");

/* __u32 stable id -> the turns that a route has taken. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct route_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} routes SEC(".maps");

/* Connections by route and destination. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct dest_key);
	__type(value, struct dest_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} dests SEC(".maps");

/* Who talks to whom by TCP (traffic.h). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRAFFIC_TCP_ROWS);
	__type(key, struct tcp_traffic_key);
	__type(value, struct tcp_traffic);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tcp_traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRAFFIC_TCP_OPEN);
	__type(key, struct tuple);
	__type(value, struct tcp_counted);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tcp_counted SEC(".maps");

/* enum reason -> its name and how often it came to that. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REASON_MAX);
	__type(key, __u32);
	__type(value, struct reason_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} reasons SEC(".maps");

/* What weft-proxy counts (http_stat.h): no program touches them, they are mapped into its memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HTTP_STAT_ROWS);
	__type(key, __u32);
	__type(value, struct http_cluster_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} http_clusters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HTTP_STAT_ROWS);
	__type(key, __u32);
	__type(value, struct http_route_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} http_routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HTTP_LISTENER_ROWS);
	__type(key, __u32);
	__type(value, struct http_listener_stat);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} http_listeners SEC(".maps");

/* Likewise, by who talks to whom (traffic.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRAFFIC_HTTP_ROWS);
	__type(key, __u32);
	__type(value, struct http_traffic);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} http_traffic SEC(".maps");

/* __u32 id -> who that is. No program looks at it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRAFFIC_PEERS_MAX);
	__type(key, __u32);
	__type(value, struct traffic_peer);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} traffic_peers SEC(".maps");

/* clang describes a type that only an inner map names by its name alone; this makes it describe all
 * of it. */
struct table_types {
	struct service_key service_key;
	struct service service;
	struct rule rule;
	struct admit admit;
	struct route route;
	struct dest dest;
	struct cluster cluster;
	struct endpoint endpoint;
	struct source source;
	struct selected_key selected_key;
};

const struct table_types *const table_types __attribute__((used)) = 0;

/* Ports that some generation which may be read has in SCOPE_ANYWHERE, a bit for each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ANYWHERE_WORDS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} anywhere SEC(".maps");

/* ---- the tables of a generation (service.h): slot -> inner map, sized by the compiler ---- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 1);
			__type(key, struct service_key);
			__type(value, struct service);
		});
} gen_services SEC(".maps");

/* The rules of all services, each service's in a row, in the order they are tried. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct rule);
		});
} gen_rules SEC(".maps");

/* The addresses that a RULE_ADMIT is about. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct admit);
		});
} gen_admits SEC(".maps");

/* What a rule leads to. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct route);
		});
} gen_routes SEC(".maps");

/* The weighted destinations of all routes, each route's in a row. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct dest);
		});
} gen_dests SEC(".maps");

/* A destination's policy and where its endpoints are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct cluster);
		});
} gen_clusters SEC(".maps");

/* The endpoints of all clusters, each cluster's in a row. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__type(key, __u32);
			__type(value, struct endpoint);
		});
} gen_endpoints SEC(".maps");

/* Who calls: a pod's address -> namespace and workload. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 1);
			__type(key, struct addr);
			__type(value, struct source);
		});
} gen_sources SEC(".maps");

/* Which workloads a rule's sourceLabels select; a row that is there says yes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GENERATION_SLOTS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 1);
			__type(key, struct selected_key);
			__type(value, __u8);
		});
} gen_selected SEC(".maps");

#endif
