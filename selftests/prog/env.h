/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROG_ENV_H
#define WEFT_PROG_ENV_H
/*
 * The BPF programs in a network and mount namespace of their own, with one client pod (CLIENT_IF),
 * one endpoint pod (ENDPOINT_IF), a third pod that has nothing to do with them (OTHER_IF), a NIC
 * (NIC_IF), and one service. What a program does with a packet is looked at, not carried out.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/authz.h"
#include "weft/conn.h"
#include "weft/event.h"
#include "weft/policy.h"
#include "weft/protect.h"
#include "weft/service.h"
#include "weft/shortcut.h"
#include "weft/sock.h"
#include "weft/traffic.h"
#include "weft/verdict.h"

enum {
	CLIENT_IF = 1, /* lo: test runs need interfaces that exist */
	ENDPOINT_IF = 77,
	OTHER_IF = 78,
	NIC_IF = 79,
	NIC2_IF = 80, /* env_add_nic2() */
	VIP_PORT = 9000,
	ENDPOINT_PORT = 8080,
	CLIENT_PORT = 40000,
	SERVICE_ID = 1,
	ROUTE_ID = 1,
	CLUSTER_ID = 1,
	ENDPOINT_ID = 1,
	KEEPALIVE_TIME = 300,
	KEEPALIVE_INTERVAL = 20,
	KEEPALIVE_PROBES = 7,
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	ACK = 0x10,
};

struct env_options {
	int family;	       /* 4 or 6 */
	__u32 max_connections; /* 0: unlimited */
	__u32 table_size;      /* of conns; 0: 1024 */
	__u32 connect_timeout_ms, idle_timeout_ms, max_duration_ms;
	bool hairpin;	      /* the endpoint is the client itself */
	bool no_endpoint;     /* the cluster is empty */
	bool node_endpoint;   /* the endpoint is the node itself */
	bool bridge;	      /* client and endpoint share one */
	bool outside;	      /* the client is outside: it calls the node's address by the NIC */
	bool remote_endpoint; /* not a pod of this node; a route leads to it by the NIC */
	bool no_route;	      /* with remote_endpoint: or none does */
	bool without_generation;
	bool refuse_unseen; /* the programs' own option, like the next */
	bool registry_only;
};

struct env; /* one at a time per process */

struct env *env_new(const struct env_options *o);
void env_free(struct env *e);

/* The addresses of this environment's family. */
struct addr env_client(const struct env *e);
struct addr env_vip(const struct env *e);
struct addr env_endpoint(const struct env *e);
struct addr
env_other_vip(const struct env *e); /* a second service that leads to the same endpoint */
struct addr env_router(const struct env *e);
struct addr env_other(const struct env *e); /* OTHER_IF's */
struct addr env_node(const struct env *e);  /* NIC_IF's */

struct env_packet {
	struct tuple t;
	__u8 flags; /* of TCP */
	__u32 seq, ack;
	__u16 window;
	int wscale; /* of a SYN: names this window scale + 1; 0: none */
	unsigned payload;
	bool first_fragment, later_fragment;
	const struct tuple *quoted; /* an ICMP error about this packet instead of TCP */
	bool options;		    /* an IPv4 option or an IPv6 extension header in front */
	bool quoted_options;	    /* the same in the quoted packet */
	__u32 quoted_seq;
	__u8 icmp_type, icmp_code; /* 0: host unreachable */
	__u8 ifindex;		   /* where it is seen; 0: CLIENT_IF */
	const __u8 *hop;	   /* its destination MAC address; NULL: as the routes have it */
};

struct env_result {
	int action;		  /* TC_ACT_* */
	struct env_packet packet; /* as it came out */
	struct tuple quoted;	  /* of an ICMP error */
	bool checksums_ok;
	__u8 dmac[6];
};

/* Runs from_pod, to_pod, ... on the packet as if it came in, or was about to leave, by its
 * interface. */
struct env_result env_run(struct env *e, const char *program, const struct env_packet *in);
/* The same with a frame as it is, and its mark: what the program says, and has made of it. `frame`
 * has room for FRAME_MAX bytes. */
int env_run_frame(struct env *e, const char *program, __u32 ifindex, __u32 mark, __u8 *frame,
		  size_t *size);
/*
 * Runs the XDP program on a frame that has come in by an interface: its verdict (enum xdp_action).
 * `frame` has room for FRAME_MAX bytes, and is then as the program has left it.
 */
int env_run_xdp(struct env *e, __u32 ifindex, __u8 *frame, size_t *size);
/* What weftd permits on a NIC; NULL: nothing. */
void env_permit(struct env *e, __u32 ifindex, const struct xdp_nic *nic);
/* A second NIC, by which the endpoint is reached from now on. */
void env_add_nic2(struct env *e);
/* The first one leads there again, and is alone. */
void env_drop_nic2(struct env *e);
/* What it has counted so far. */
struct xdp_stat env_forwarded(struct env *e);
/* Runs explain. */
struct verdict env_explain(struct env *e, const struct question *q);
/* Runs the sweep once. */
struct sweep_args env_sweep(struct env *e, __u32 check_gone);

/* Counts the bytes of open connections, as weftd has it done. */
void env_count_traffic(struct env *e);
/* Asks sockets, TRAFFIC_SOCKETS_AT_ONCE at most, as weftd has it done. */
void env_count_sockets(struct env *e, const __u64 *cookies, size_t count);
/* Entries of `socks` and `netns_pods`. */
void env_put_sock(struct env *e, __u64 cookie, const struct sock_conn *s);
void env_drop_sock(struct env *e, __u64 cookie);
void env_put_netns(struct env *e, __u64 cookie, const struct netns_pod *pod);
/* Its place is given back, as the sweep does when nothing else will. */
void env_lose_sock(struct env *e, __u64 cookie);
/* The row of the caller, as these environments have it; zeroed if there is none. */
struct tcp_traffic env_tcp_traffic(struct env *e);
/* That of a caller by that address. */
struct tcp_traffic env_tcp_traffic_of(struct env *e, const struct addr *caller);
/* Likewise the row for what finds no room. */
struct tcp_traffic env_tcp_rest(struct env *e);
/* How many rows there are besides that one, and how many open connections have been counted. */
unsigned env_tcp_rows(struct env *e);
unsigned env_tcp_counted(struct env *e);
/* Makes rows until there is no room for another one. */
void env_fill_tcp_rows(struct env *e);

unsigned env_entries(struct env *e);
struct cluster_stat env_cluster(struct env *e);
struct cluster_limit env_limit(struct env *e);
/* Connections that the proxy holds. */
void env_set_proxied(struct env *e, __u32 n);
struct endpoint_stat env_endpoint_stat(struct env *e);
__u64 env_reason(struct env *e, enum reason reason);
__u64 env_picks(struct env *e);
/* Forgets all connections, and what they held. */
void env_clear(struct env *e);
/* How many entries the programs think there are. */
__u64 env_counted(struct env *e);
/* The entry for packets like this one; false if there is none. */
bool env_conn(struct env *e, const struct tuple *key, struct conn *out);
/* Adds a flag (enum conn_flags) to the entry for packets like this one. */
void env_flag(struct env *e, const struct tuple *key, __u8 flag);
/* Both pods may take short cuts, and weftd says what `state` says. */
void env_shortcuts(struct env *e, const struct shortcut_state *state);
void env_put_shortcut(struct env *e, const struct tuple *t, const struct shortcut *s);
/* Makes a connection look `ms` older than it is. */
void env_age(struct env *e, const struct tuple *forward, unsigned ms);
void env_pod_gone(struct env *e, __u32 ifindex);
void env_addr_gone(struct env *e, const struct addr *a);
/* Packets that the sweep has asked for, since the last call. Returns how many; fills at most `max`.
 */
unsigned env_resets(struct env *e, struct reset_event *out, unsigned max);

/* Puts a ConnectionPolicy in force; NULL: none. Buckets, proofs and sources of an earlier one stay.
 */
void env_protect(struct env *e, const struct protect_limits *limits);
/* A row of its `allow` or `deny`; `prefix` as it is written, for the address's family. */
void env_protect_source(struct env *e, const struct addr *a, unsigned prefix,
			enum protect_source verdict);
__u64 env_protect_count(struct env *e, enum protect_reason reason);
/* AuthorizationPolicies of the endpoint's pod: its set, and a row of it (weft/authz.h). `from`: an
 * address of the family, or NULL: all of them. */
void env_authorize(struct env *e, const struct addr *pod, __u32 set);
void env_authorize_row(struct env *e, __u32 set, __u16 port, bool local, const struct addr *from,
		       __u32 verdict);
/* Another generation is in force; tables are in that of number 1 only. */
void env_set_generation(struct env *e, __u64 number);
/* Whether the address of the NIC is the node's. */
void env_set_node(struct env *e, bool there);
/* The third pod has this address, and its end here is a port of a bridge that is the NIC. */
void env_add_behind_nic(struct env *e, const struct addr *a);
/* As if no flood had been seen for long. */
void env_protect_calm(struct env *e);
/* Whether XDP has told tc that it has judged the last frame of env_run_xdp(). */
bool env_marked(const struct env *e);

void tuple_turn(struct tuple *to, const struct tuple *from);

#endif
