/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_BARE_H
#define WEFT_DAEMON_NODE_BARE_H
/*
 * Whether anything on the node's own way would treat packets otherwise than those that pass it by:
 * netfilter, IPsec, queueing disciplines, programs and filters of others.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/loop/event.h"

struct iface;
struct local_node;
struct survey_bpf;

/* Why not, for `weft status`. */
struct reason_text {
	char s[160];
};

/* Says so; false. */
__attribute__((format(printf, 2, 3))) bool because(struct reason_text *why, const char *fmt, ...);

/* Descriptors start at -1: bare_init(). */
struct bare {
	struct event timer;
	struct event tc;	   /* notifications: queueing disciplines and filters */
	struct event nft;	   /* notifications: nf_tables; none where the kernel lacks it */
	struct survey_bpf *survey; /* NULL: the kernel does not run it */
};

/* What is permitted while everything is bare lapses so soon where no weftd renews it. */
#define BARE_VALID_NS (3 * 1000000000ull)

void bare_init(struct bare *b);
/* With `follow`: has shortcut_refresh() and nic_xdp_refresh() called once a second, and whenever
 * the kernel tells of a change. 0 or -errno; logs. */
int bare_open(struct local_node *node, bool follow);
void bare_free(struct bare *b);
/* Has them called within 20 ms. */
void bare_soon(struct local_node *node);

/* Nothing that concerns all of the node has a say. */
bool node_is_bare(struct local_node *node, struct reason_text *why);
/* Looks at the queueing disciplines of all interfaces, for the next two. */
bool qdiscs_read(struct local_node *node, struct reason_text *why);
/* Nothing of others treats packets at the interface, coming in or going out. */
bool iface_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why);
/* The same for a NIC that has our XDP program: there a queue that neither delays, drops nor sorts
 * out what it need not is as good as none. */
bool nic_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why);

/* Whose netfilter hooks are on the node's forward path: "" if there are none, or the kernel does
 * not tell. */
void netfilter_on_forward(struct local_node *node, char *out, size_t size);

#endif
