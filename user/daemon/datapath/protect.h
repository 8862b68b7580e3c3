/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PROTECT_H
#define WEFT_DAEMON_DATAPATH_PROTECT_H
/*
 * The ConnectionPolicy in the kernel (headers/weft/protect.h). It is no part of a generation: it is
 * changed in place, by what differs from the one in force.
 */
#include "daemon/bpf/loader.h"
#include "lib/tables/tables.h"

/* What is in the kernel's maps. Zero-initialise. */
struct protect {
	TABLE(struct protect_range) ranges; /* in the order of protect_range_compare() */
	struct protect_limits limits;
	__u64 turn;	  /* as in `protect_turn` */
	__u64 changed_ms; /* when it was written, CLOCK_MONOTONIC; 0: not by this weftd */
};

/* Reads what an earlier weftd has left. 0 or -errno after having logged. */
int protect_open(struct protect *p, const struct loader *l);
void protect_free(struct protect *p);
/*
 * Brings the maps to `wanted`. `wait` is called where programs may still read what is about to be
 * written. 0 or -errno after having logged: then the policy of before may be in force in part, and
 * the next call begins from what there is.
 */
int protect_publish(struct protect *p, const struct loader *l, const struct protection *wanted,
		    void (*wait)(void *arg), void *arg);

/* What has to be done to get from some ranges to others, both in order. Free with
 * protect_change_free(). */
struct protect_change {
	TABLE(struct protect_range) put; /* new ones, and those with another verdict */
	TABLE(struct protect_range) gone;
};

/* 0 or -ENOMEM. */
int protect_compare(const struct protect_range *from, size_t from_count,
		    const struct protect_range *to, size_t to_count, struct protect_change *out);
void protect_change_free(struct protect_change *c);

/* What is counted: `dropped`, a reason why a packet was; else of SYNs and cookies. NULL: no such
 * reason. */
const char *protect_reason_name(enum protect_reason reason, bool *dropped);

#endif
