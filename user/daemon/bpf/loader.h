/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_LOADER_H
#define WEFT_DAEMON_BPF_LOADER_H
/*
 * The BPF objects: loads the programs, creates the pinned maps or takes over those that are there.
 */
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include "weft/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/row_map.h"
#include "weft/traffic.h"

enum map_id {
	MAP_GENERATION,
	MAP_CONNS,
	MAP_PODS,
	MAP_NETNS_PODS,
	MAP_SOCKS,
	MAP_SOCK_COUNT,
	MAP_SHORTCUTS,
	MAP_SHORTCUT_STATE,
	MAP_POD_ADDRS,
	MAP_NODE_ADDRS,
	MAP_NICS,
	MAP_GONE_ADDRS,
	MAP_EVENTS,
	MAP_REFUSALS,
	MAP_LISTENERS,
	MAP_PROXY,
	MAP_LIMITS,
	MAP_CLUSTERS,
	MAP_ENDPOINTS,
	MAP_ROUTES,
	MAP_DESTS,
	MAP_TCP_TRAFFIC,
	MAP_REASONS,
	MAP_XDP_COUNT,
	MAP_XDP_NICS,
	MAP_PROTECT_TURN,
	MAP_PROTECT,
	MAP_PROTECT_SOURCES,
	MAP_PROTECT_COUNT,
	MAP_AUTHZ_STATE,
	MAP_AUTHZ_PODS,
	MAP_AUTHZ_RULES,
	MAP_ANYWHERE,
	MAP_HTTP_CLUSTERS,
	MAP_HTTP_ROUTES,
	MAP_HTTP_LISTENERS,
	MAP_HTTP_TRAFFIC,
	MAP_TRAFFIC_PEERS,
	MAP_GEN_SERVICES, /* the tables of a generation, up to the end */
	MAP_GEN_RULES,
	MAP_GEN_ADMITS,
	MAP_GEN_ROUTES,
	MAP_GEN_DESTS,
	MAP_GEN_CLUSTERS,
	MAP_GEN_ENDPOINTS,
	MAP_GEN_SOURCES,
	MAP_GEN_SELECTED,
	MAP_MAX,
};

enum prog_id {
	PROG_FROM_POD,
	PROG_TO_POD,
	PROG_FROM_NIC,
	PROG_TO_NIC,
	PROG_FROM_TUNNEL, /* NICs whose packets have no Ethernet header */
	PROG_TO_TUNNEL,
	PROG_FROM_BRIDGE,
	PROG_FROM_WIRE,
	PROG_EXPLAIN,
	PROG_SWEEP,
	PROG_SOCK_NOTE,
	PROG_COUNT_TRAFFIC,
	PROG_COUNT_SOCKETS,
	PROG_CONNECT4, /* those of a cgroup, up to the end */
	PROG_CONNECT6,
	PROG_GETPEERNAME4,
	PROG_GETPEERNAME6,
	PROG_SOCK_OPS,
	PROG_SOCK_RELEASE,
	PROG_MAX,
};

/* What the inner maps of a MAP_GEN_* are made like. */
struct inner_layout {
	enum bpf_map_type type;
	__u32 key_size, value_size, flags;
	__u32 key_type, value_type; /* BTF ids in `btf_fd` */
};

/* Descriptors are owned by the objects behind it. */
struct loader {
	int map[MAP_MAX];
	int prog[PROG_MAX];		    /* -1: not loaded */
	struct inner_layout inner[MAP_MAX]; /* of MAP_GEN_* */
	int btf_fd;
	/* The map of that name, as weft-proxy writes it. To be reached by loader_reach_traffic()
	 * alone. */
	struct row_map http_traffic;
	struct tc_bpf *tc;
	struct sweep_bpf *sweep;
	struct sock_bpf *sock;
	struct xdp_bpf *xdp;	   /* NULL: not asked for */
	struct tunnel_bpf *tunnel; /* NULL: not needed yet */
};

struct loader_options {
	/* 0: the default, or the size of the table that is there; any other than that is refused.
	 */
	unsigned max_connections;
	bool refuse_unseen; /* pods' connections that no hook of connect() has seen */
	bool registry_only; /* and those to what no Service knows */
	bool xdp; /* PROG_FROM_WIRE is wanted; otherwise the verifier is not asked about it */
};

/* `dir` is a directory on a bpffs. Logs. */
int loader_open(struct loader *l, const char *dir, const struct loader_options *o);
/* The first rows of the map `limits`, shared: all of them are a mebibyte, which counts as weftd's
 * memory until it is given back. */
struct mapped_limits {
	struct cluster_limit *rows; /* NULL: they could not be mapped, which was logged */
	__u32 count;
};
/* `count`: 1 to CLUSTER_IDS_MAX. For any thread. */
struct mapped_limits loader_limits_open(const struct loader *l, __u32 count);
void loader_limits_close(struct mapped_limits *limits);
/* Makes row `i` of `http_traffic` and those in front of it usable. For any thread. False: there
 * is no such row, or it can't be mapped. */
bool loader_reach_traffic(struct loader *l, __u32 i);
/* Loads PROG_FROM_TUNNEL and PROG_TO_TUNNEL, once, with the maps that the others have: they are for
 * nodes that have such NICs. `dir` as before. Logs. */
int loader_need_tunnel(struct loader *l, const char *dir);
/* Gives the maps of an object that is yet to be loaded the sizes of those that are pinned in `dir`.
 * Pins of counters in another layout are removed, so that they are made anew; nothing is removed
 * where -EEXIST says that another map does not fit. Logs. */
int loader_fit(struct bpf_object *obj, const char *dir, unsigned max_connections);
/* Whether AuthorizationPolicies select pods: into `authz_state`, for a later weftd, and into the
 * programs' data. 0 or -errno; does not log. */
int loader_set_authz(const struct loader *l, bool on);
/* Leaves what is pinned. Accepts a zeroed or half-opened loader. */
void loader_close(struct loader *l);
/* The pins of maps and programs that are not there, by name, and puts them back. 0 or -errno;
 * neither logs. */
void loader_each_missing(const struct loader *l, const char *dir,
			 void (*tell)(void *arg, const char *what), void *arg);
int loader_pin_again(const struct loader *l, const char *dir);
/* Unpins maps and programs and removes the directories. Loads nothing. Logs. */
int loader_unpin(const char *dir);

const char *loader_reason_name(__u32 reason); /* "overflow", as the map reasons has it */
const char *loader_map_name(enum map_id id);
const char *loader_prog_name(enum prog_id id);

#endif
