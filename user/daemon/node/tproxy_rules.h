/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_NODE_TPROXY_RULES_H
#define WEFT_DAEMON_NODE_TPROXY_RULES_H
/*
 * What of the node's routing the way to weft-proxy needs (weft/tproxy.h): for IPv4 and IPv6 a
 * rule for marked packets, and a table in which every address is the node's own. And that
 * connection tracking leaves marked packets alone (nftables' table `inet weft`): kube-proxy would
 * give them an endpoint's address before they are delivered. All packets that the node routes pay
 * for it. `netlink` is a socket of nl_open(), in the node's namespace.
 */

#include <stdbool.h>

/* Adds what is missing. 0 or -errno after having logged. A node without IPv6 needs none of it. */
int tproxy_add(int netlink);
/* What of the rules and routes is not there, by name. Where the kernel does not tell, nothing. */
void tproxy_each_missing(int netlink, void (*tell)(void *arg, const char *what), void *arg);
/* Adds it. Does not log; 0 or -errno. */
int tproxy_put_back(int netlink);
/* Whether connection tracking leaves marked packets alone. `netfilter` is a socket of
 * NETLINK_NETFILTER. */
bool tproxy_is_untracked(int netfilter);
/* Sees to it. 0 or -errno. */
int tproxy_untrack(void);
/* Takes it out again, as far as it is there. 0 or -errno after having logged. */
int tproxy_remove(int netlink);

#endif
