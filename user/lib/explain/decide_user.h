/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_DECIDE_USER_H
#define WEFT_LIB_EXPLAIN_DECIDE_USER_H
/*
 * The kernel's decision function (bpf/decide.bpf.h) over struct tables.
 */
#include "lib/tables/tables.h"
#include "weft/verdict.h"

/* What decide() knows beyond the tables. Zeroes will do: then every turn is the first. */
struct decide_context {
	/* Who asks, instead of what gen_sources says of question.source: a client that is no known
	 * Pod. */
	bool given;
	__u32 ns;		  /* struct source.ns, 0: not among the tables' namespaces */
	const struct kvs *labels; /* of that client; NULL: none */
	/* The live counters; NULL: 0. */
	__u64 (*route_turn)(void *arg, __u32 route);
	__u64 (*cluster_turn)(void *arg, __u32 cluster);
	__u64 (*endpoint_active)(void *arg, __u32 endpoint);
	void *arg;
};

/* Answers `q` (always dry) in `v`. */
void decide_tables(const struct tables *t, const struct decide_context *context,
		   const struct question *q, struct verdict *v);

#endif
