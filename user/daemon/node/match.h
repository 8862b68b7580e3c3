/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_MATCH_H
#define WEFT_DAEMON_NODE_MATCH_H
/*
 * Comma-separated lists of interface names and globs, as --pods and --nic take them. Pure.
 */
#include <stdbool.h>

/* Whether `name` matches an element of `list`. */
bool match_list(const char *list, const char *name);
/* Whether an element of the list is `word`. */
bool match_has_word(const char *list, const char *word);
/* Whether the element has glob characters. */
bool match_is_glob(const char *pattern);
/* Calls `each` for every element that isn't empty, until it answers other than 0, which is
 * returned. -ENOMEM. */
int match_each(const char *list, int (*each)(void *arg, const char *pattern), void *arg);

/* What an interface of the node is to weft. */
enum role { ROLE_NONE, ROLE_POD, ROLE_NIC, ROLE_BRIDGE /* of pods */ };

struct role_question {
	const char *name;
	bool to_other_netns; /* a veth or netkit whose peer is in another namespace */
	bool has_default_route;
	bool was_nic;		/* had one before: routes flap, connections outlive that */
	const char *pods, *nic; /* --pods and --nic; `nic` may be NULL */
	bool is_tunnel;		/* by which other nodes' pods may be reached */
};

/*
 * What is named is believed, --nic before --pods. Otherwise, where --nic is not given or
 * has the word auto, an interface that carries a default route, or has carried one, is a NIC, even
 * if it is one end of a veth, and so is a tunnel; with --pods auto every other veth to another
 * namespace is a pod's.
 */
enum role match_role(const struct role_question *q);

#endif
