/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_ADDR_SET_H
#define WEFT_DAEMON_NETLINK_ADDR_SET_H
/*
 * Lists and sets of addresses. Zero-initialise. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/netlink/addr.h"

struct addr_list {
	struct addr *items;
	size_t count, room;
};

int addr_list_add(struct addr_list *l, const struct addr *a);
/* Whether it was there. The order of the others stays. */
bool addr_list_remove(struct addr_list *l, const struct addr *a);
bool addr_list_has(const struct addr_list *l, const struct addr *a);
bool addr_list_equal(const struct addr_list *a, const struct addr_list *b);
void addr_list_free(struct addr_list *l);

/* For many addresses. :: can't be in it. */
struct addr_set {
	struct addr *slots; /* open addressing, ::: free */
	size_t room;	    /* a power of two */
	size_t count;
};

int addr_set_add(struct addr_set *s, const struct addr *a);
void addr_set_remove(struct addr_set *s, const struct addr *a);
bool addr_set_has(const struct addr_set *s, const struct addr *a);
void addr_set_free(struct addr_set *s);

#endif
