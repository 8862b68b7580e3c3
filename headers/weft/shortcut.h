/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_SHORTCUT_H
#define WEFT_SHORTCUT_H
/*
 * The short cut: packets of an established connection between two pods of the node go from veth to
 * veth, past the node's stack.
 */
#include "addr.h"

/*
 * `shortcuts`: struct tuple (a packet as it travels) -> its way. Both directions are written by the
 * client's socket when its connection opens, and deleted when it closes.
 */
struct shortcut {
	__u32 from;    /* ifindex of the sender's veth: by no other may such a packet come */
	__u32 ifindex; /* of the receiver's veth; 0: the packets take the node's way */
	__u32 epoch;   /* of `shortcut_state` when this was found; with another it is found anew */
	__u8 dmac[6];
	__u8 smac[6];
};
_Static_assert(sizeof(struct shortcut) == 24, "shortcut has no holes");

/*
 * `shortcut_state`, written by weftd. It puts off `until` as long as it sees that the node would
 * not treat the packets in any way of its own; once weftd is gone, so are the short cuts.
 */
struct shortcut_state {
	__u64 until; /* CLOCK_MONOTONIC, ns; 0: not in use; all ones: for good */
	__u32 epoch; /* raised after each change of what the ways are found by */
	__u32 pad;
};

enum {
	SURVEY_NAME_MAX = 64,
};

/* What `survey` is asked by weftd, and answers, about the network namespace that it runs in. */
struct survey_args {
	__u32 ifindex;		    /* in: look at this interface; 0: at the namespace */
	__u32 found;		    /* there is such an interface */
	__u32 hooks;		    /* netfilter's, on the way of what the node forwards */
	__u32 xfrm;		    /* IPsec policies */
	char name[SURVEY_NAME_MAX]; /* of such a hook's function */
};

#endif
