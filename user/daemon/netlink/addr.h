/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NETLINK_ADDR_H
#define WEFT_DAEMON_NETLINK_ADDR_H
/*
 * Questions about addresses that the following of interfaces asks. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/addr.h"

/* `family` is AF_INET or AF_INET6 and `size` its length; otherwise false and *out is untouched. */
bool addr_from_bytes(struct addr *out, int family, const void *bytes, size_t size);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_unset(const struct addr *a);	/* :: */
bool addr_is_loopback(const struct addr *a);	/* 127/8, ::1 */
bool addr_is_link_local4(const struct addr *a); /* 169.254/16 */
bool addr_is_link_local6(const struct addr *a); /* fe80::/10 */
/* Addresses that a pod is known by, and those that a node's ports are reached at. */
bool addr_names_pod(const struct addr *a);
bool addr_names_node(const struct addr *a);

#endif
