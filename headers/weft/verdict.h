/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_VERDICT_H
#define WEFT_VERDICT_H
/*
 * What decide() is asked and what it answers. Also the output of the `explain` program.
 */
#include "addr.h"

struct question {
	struct addr dst;    /* the address called */
	struct addr client; /* the packet's source: for affinity and source-IP hashing */
	struct addr source; /* the pod's identifying address, key of gen_sources; :: when from
			       outside */
	__u16 port;	    /* the port called */
	__u8 scope;	    /* enum service_scope */
	__u8 dry;	    /* 1: look only: nothing is counted, no turn is taken */
	__u32 generation;   /* read once per connection */
};

enum verdict_action {
	VERDICT_PASS = 0,   /* not ours */
	VERDICT_STEER = 1,  /* to `endpoint` */
	VERDICT_REFUSE = 2, /* RST, for `reason` */
	VERDICT_PROXY = 3,  /* to weft-proxy */
	VERDICT_DROP = 4,   /* no answer at all, for `reason` */
};

struct verdict {
	struct addr addr; /* the endpoint */
	__u16 port;
	__u8 action; /* enum verdict_action */
	__u8 reason; /* enum reason, with VERDICT_REFUSE or _DROP; REASON_GENERATION with a forced
			VERDICT_PASS */
	__u32 generation;
	__u32 service;	     /* stable id; 0: no such service */
	__u32 rule;	     /* index into gen_rules */
	__u32 route;	     /* stable id */
	__u32 cluster;	     /* stable id */
	__u32 endpoint;	     /* stable id */
	__u32 cluster_index; /* into gen_clusters */
	__u32 max_connections;
	__u32 connect_timeout_ms;
	__u32 idle_timeout_ms;
	__u32 max_duration_ms;
	__u32 affinity_s;
	__u32 keepalive; /* 1: SO_KEEPALIVE is on, as struct cluster has it */
	__u32 keepalive_time_s;
	__u32 keepalive_interval_s;
	__u32 keepalive_probes;
	__u32 pad;
};
_Static_assert(sizeof(struct verdict) == 88, "verdict has no holes");

/*
 * The `explain` program is run by BPF_PROG_TEST_RUN on any packet of at least EXPLAIN_PACKET bytes
 * whose first bytes are a struct question (`dry` is forced to 1, `generation` filled in);
 * afterwards they are the struct verdict.
 */
enum { EXPLAIN_PACKET = 128 };

#endif
