/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_AUTHZ_H
#define WEFT_AUTHZ_H
/*
 * What AuthorizationPolicies, and PeerAuthentications that are STRICT, say of connections to pods
 * of this node (bpf/authz.bpf.h): a SYN on its way to a pod that a policy selects is judged by
 * where it comes from and by its port.
 *
 * weftd has judged beforehand (lib/l4/authz.c): sources that no policy tells apart are a range of
 * addresses with one verdict. A set is what holds for some pods; its rows are never changed. For
 * other policies weftd writes other sets, leads the pods to them, one by one, and then deletes the
 * old ones: a pod is never without one.
 */
#include "addr.h"

/* `authz_pods`: struct addr of a pod -> __u32 number of its set, not 0. `authz_state`, one __u32: 1
 * while there are any. Programs have a copy of that (loader_set_authz()). */

/* `authz_rules`, a BPF_MAP_TYPE_LPM_TRIE: struct authz_key -> __u32 of enum authz_verdicts, to
 * which AUTHZ_LOGS may be added. */
struct authz_key {
	__u32 prefixlen; /* AUTHZ_KEY_BITS, and those of the address */
	__u32 set;
	__u16 port;    /* of the pod, host byte order; 0: those that the set has no rows for */
	__u8 local;    /* 1: callers that are pods of this node's, whose identity is known */
	__u8 pad;      /* 0 */
	__u8 addr[16]; /* the bytes of a struct addr: of IPv4 the mapped form */
};
_Static_assert(sizeof(struct authz_key) == 28, "authz_key has no holes");

enum {
	AUTHZ_KEY_BITS = 64,
	AUTHZ_PODS_MAX = 4096,
	AUTHZ_RULES_MAX = 262144,
};

enum authz_verdicts {
	AUTHZ_LETS = 1,
	AUTHZ_CLOSES = 2,
	AUTHZ_CLOSES_PLAINTEXT = 3, /* by a PeerAuthentication that is STRICT */
	AUTHZ_PASSES = 4,	    /* no AuthorizationPolicy had a say in it */
	AUTHZ_VERDICT = 7,	    /* the bits of the above */
	AUTHZ_LOGS = 8,		    /* besides: an AUDIT policy is met */
};

#endif
