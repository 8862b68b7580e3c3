/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_TPROXY_H
#define WEFT_TPROXY_H
/*
 * How packets get from tc to weft-proxy's sockets: a SYN is assigned to the listening socket of a
 * worker (`listeners`), and packets of its connections, whose addresses are not the node's, are
 * marked so that a rule of the node's routing (`ip rule`) delivers them to its own sockets. A
 * bridge would pass them on by their MAC address, and forget the socket: what comes in by a port of
 * one is marked and addressed to the bridge itself, in whose ingress SYNs are assigned.
 */
#include "addr.h"

enum {
	/* No bit that kube-proxy (0x4000, 0x8000) or a usual CNI looks at. */
	TPROXY_MARK = 0x00570000,
	TPROXY_TABLE = 5757,  /* routing table: everything is local */
	TPROXY_PRIORITY = 57, /* of the rule that leads to it, before those of others; see weftd */
	PROXY_MAX_WORKERS = 64,
	PROXY_BACKLOG = 4096, /* of each worker's listening socket */
};

/*
 * Ports from which weft-proxy calls endpoints when it does so from its client's address. The client
 * has connections of its own there, and only its kernel knows their ports: ours are none of those
 * that Linux gives out, 32768 to 60999 by default (ip-sysctl, ip_local_port_range).
 */
enum {
	PROXY_PORT_FIRST = 10240,
	PROXY_PORT_LAST = 32767,
	PROXY_PORT_HIGH_FIRST = 61000,
	PROXY_PORT_HIGH_LAST = 65535,
};

/* `proxied`: where weft-proxy has been called -> __u8, nothing. */
struct proxied_key {
	struct addr addr;
	__u64 port; /* host byte order; as wide as that, there are no holes */
};
_Static_assert(sizeof(struct proxied_key) == 24, "proxied_key has no holes");

/* `proxy`, one entry. */
struct proxy_state {
	__u32 workers; /* listeners[0..workers) are there; 0: no proxy has been started yet */
	__u32 used;    /* 1: connections have been handed over; stays so */
};

#endif
