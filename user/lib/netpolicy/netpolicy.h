/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_NETPOLICY_NETPOLICY_H
#define WEFT_LIB_NETPOLICY_NETPOLICY_H
/*
 * What Kubernetes' NetworkPolicies say of one connection, out of the objects themselves, with the
 * policies that close it. What requests are held to is made of the same in classes.h.
 */
#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/base/table.h"
#include "lib/model/model.h"

struct netpolicy_list {
	TABLE(const struct object *) policies;
};

/* The objects that have a say. Borrows from them; free with netpolicies_free(). */
struct netpolicies {
	struct netpolicy_list all;
	struct bytemap by_namespace; /* name -> struct netpolicy_list */
	struct bytemap namespaces;   /* name -> struct object */
	TABLE(struct netpolicy_list *) lists;
	struct pool *pool;
};

/* A client or an endpoint. A pod of the node's own network is no pod for policies: only the address
 * counts, as of what is outside. */
struct netpolicy_party {
	const char *ns;		  /* NULL: no pod */
	const struct kvs *labels; /* NULL: not known, and what policies close is closed */
	const struct object *pod; /* NULL: its node and its ports are not known */
	struct addr addr;
	bool has_addr;
};

/* The policies that select a party and none of which lets the connection through. */
struct netpolicy_closed {
	const struct object **ingress, **egress;
	size_t ingress_count, egress_count; /* both 0: it is open */
};

/* 0 or -ENOMEM; free it in either case. */
int netpolicies_init(struct netpolicies *p, const struct objects *objects);
void netpolicies_free(struct netpolicies *p);

/* `addr` may be NULL. */
struct netpolicy_party netpolicy_pod(const struct object *pod, const struct addr *addr);
struct netpolicy_party netpolicy_outside(const struct addr *addr);

/*
 * Whether the client may open a TCP connection to that port of the endpoint. Ingress of the
 * endpoint and egress of the client both have to let it through; what a pod says to itself, and
 * what goes between a pod and its own node, always may. `closed` may be NULL; its lists live as
 * long as `p`. True, false, or -ENOMEM.
 */
int netpolicy_allows(struct netpolicies *p, const struct netpolicy_party *client,
		     const struct netpolicy_party *endpoint, unsigned port,
		     struct netpolicy_closed *closed);

/* ---- for classes.c ---- */

bool netpolicy_pod_is_over(const struct object *pod);
/* NULL: they are not known. */
const struct kvs *netpolicy_labels(const struct object *pod);
/* Whether the policy is about that direction and about a pod of its namespace with these labels
 * (NULL: not known). */
bool netpolicy_selects(const struct object *policy, bool egress, const struct kvs *labels);
/* Whether a peer without ipBlock of a policy in `own` selects the pod. */
bool netpolicy_peer_selects(struct netpolicies *p, const struct policy_peer *peer, const char *own,
			    const char *ns, const struct kvs *labels);
bool netpolicy_pod_has_port(const struct object *pod, const char *name, unsigned port);
/* NULL: there is none. */
const struct netpolicy_list *netpolicies_of(struct netpolicies *p, const char *ns);

#endif
