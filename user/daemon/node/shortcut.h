/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_SHORTCUT_H
#define WEFT_DAEMON_NODE_SHORTCUT_H
/*
 * Whether packets between pods of this node may take the short cut (weft/shortcut.h): always,
 * never, or while nothing on the node's own way would treat them otherwise (auto; bare.h).
 *
 * Functions return 0 or -errno and log.
 */
#include "daemon/node/node.h"
#include "weft/shortcut.h"

struct shortcuts {
	enum shortcut_mode mode;
	struct shortcut_state state;  /* as the map has it */
	char text[SHORTCUT_TEXT_MAX]; /* for `weft status` */
};

/* To be called before pods_open(). */
int shortcut_open(struct local_node *node, enum shortcut_mode mode);
/* Decides again for all interfaces, if it is to be decided at all. */
int shortcut_refresh(struct local_node *node);
/* Pods or their addresses have changed in the maps: what was found by them is found anew. */
void shortcut_changed(struct local_node *node);

#endif
