/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_REGISTRY_BPF_H
#define WEFT_REGISTRY_BPF_H
/*
 * outboundTrafficPolicy REGISTRY_ONLY: what no Service knows is refused. Known are, beside what
 * gen_services has, the addresses of pods, which headless Services give out, and DNS by TCP at
 * the node's own addresses.
 */
#include "tables.bpf.h"

/* 0: ALLOW_ANY, and nothing of this file is run. */
const volatile __u32 registry_only = 0;

enum { DNS_PORT = 53 };

/* 169.254.0.0/16, where a cache of the node's has its address (NodeLocal DNSCache). */
static __always_inline int is_link_local4(const struct addr *a)
{
	return addr_is_mapped(a) && a->b[12] == 169 && a->b[13] == 254;
}

/* Of what is in no generation yet nothing is known: it is refused nothing. */
static __noinline int is_registered(const struct addr *dst, __u16 port, __u32 number)
{
	if (!number || table_source(number, dst))
		return 1;
	return port == DNS_PORT && (is_link_local4(dst) || bpf_map_lookup_elem(&node_addrs, dst));
}

/* Whether decide() has found nothing at all. */
static __always_inline int is_no_service(const struct verdict *v)
{
	return v->action == VERDICT_PASS && !v->service && !v->reason;
}

#endif
