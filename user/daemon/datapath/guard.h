/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_GUARD_H
#define WEFT_DAEMON_DATAPATH_GUARD_H
/*
 * What weftd has put into the kernel, and what others can take away again: by `ip rule flush`, `nft
 * flush ruleset`, `tc qdisc del`, `umount -l`, `rm`. weftd checks it when the kernel notifies it of
 * a change, and every few seconds, since the kernel has no notification for most of it; what is
 * missing is put back. If a program removes it again and again, weftd waits longer each time.
 *
 * Descriptors start at -1: guard_init(). Functions return 0 or -errno and log.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/datapath/datapath.h"
#include "weft/tproxy.h"

/* In the order in which they are put back: what is pinned needs a file system. */
enum guard_kind {
	GUARD_BPFFS,
	GUARD_PINS,
	GUARD_CGROUP,
	GUARD_INTERFACES,
	GUARD_ROUTING,
	GUARD_NETFILTER,
	GUARD_LISTENERS,
	GUARD_KINDS,
};

struct guarded {
	uint64_t restored; /* how often */
	uint64_t last_ms;  /* when it was put back or tried to be; 0: never */
	unsigned pause_ms; /* until it may be put back again, from last_ms on */
	bool failing;	   /* it could not be put back, which has been logged */
};

struct guard {
	struct event_timer timer;
	uint64_t due_ms; /* when it fires */
	struct event
		pins;	  /* notifications: pins that are deleted; none where inotify has no room */
	int bpffs;	  /* --bpffs, as it was found */
	char *mounted;	  /* where its file system is */
	bool failed_hook; /* connect() that fails early is noticed */
	bool off;
	uint64_t took_ms;		  /* the last check */
	int listeners[PROXY_MAX_WORKERS]; /* the caller's of kernel_set_listeners() */
	unsigned listener_count;
	struct guarded kinds[GUARD_KINDS];
};

void guard_init(struct guard *g);
/* Everything is there. */
int guard_open(struct kernel *k);
void guard_free(struct guard *g);

/* Something may have changed: checks everything in a moment. Harmless before guard_open(). */
void guard_soon(struct kernel *k);

/* How long something that is removed again and again is left missing (ms). `pause_ms`: how long it
 * was the last time. `quiet_ms`: how long it was there since. */
unsigned guard_pause_ms(unsigned pause_ms, uint64_t quiet_ms);

#endif
