/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_SHORTCUT_H
#define WEFT_DAEMON_NODE_SHORTCUT_H
/*
 * Whether packets between pods of this node may take the short cut (weft/shortcut.h): always,
 * never, or while nothing on the node's own way would treat them otherwise (auto). That is looked
 * at once a second, and whenever the kernel tells of a change.
 *
 * Functions return 0 or -errno and log.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/node/node.h"
#include "weft/shortcut.h"

struct survey_bpf;

/* Descriptors start at -1: shortcut_init(). */
struct shortcuts {
	enum shortcut_mode mode;
	struct event timer;
	struct event tc;	      /* notifications: queueing disciplines and filters */
	struct event nft;	      /* notifications: nf_tables; none where the kernel lacks it */
	struct survey_bpf *survey;    /* NULL: the kernel does not run it */
	struct shortcut_state state;  /* as the map has it */
	char text[SHORTCUT_TEXT_MAX]; /* for `weft status` */
};

void shortcut_init(struct shortcuts *s);
/* To be called before pods_open(). */
int shortcut_open(struct local_node *node, enum shortcut_mode mode);
void shortcut_free(struct shortcuts *s);

/* Decides again for all interfaces within 20 ms. */
void shortcut_soon(struct local_node *node);
/* Whose netfilter hooks are on the node's forward path: "" if there are none, or the kernel does
 * not tell. */
void netfilter_on_forward(struct local_node *node, char *out, size_t size);
/* Pods or their addresses have changed in the maps: what was found by them is found anew. */
void shortcut_changed(struct local_node *node);

#endif
