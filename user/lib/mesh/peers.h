/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_PEERS_H
#define WEFT_LIB_MESH_PEERS_H
/*
 * PeerAuthentications, and which of them is in force for a pod, as Istio's pilot/pkg/security/authn
 * has it: the workload's policy counts before the namespace's, which counts before the mesh's, the
 * one without a selector in the root namespace; of several at one level the oldest; without any, a
 * pod is PERMISSIVE. A policy with a selector in the root namespace is for no pod.
 *
 * What stands in for a policy that can't be read (lib/schema/stand_in.h) has no level and no age
 * that are known: where it is STRICT, nothing else counts.
 */
#include "lib/authz/authz.h"
#include "lib/mesh/host_index.h"

/* Zero-initialise; its lists are in the pool that they were added with. */
struct peers {
	struct bytemap by_namespace; /* -> struct refs, oldest first */
	bool strict;		     /* one is STRICT somewhere */
};

/* Adds it if it is one. 0 or -ENOMEM. */
int peers_add(struct pool **pool, struct peers *p, const struct object *o);
/* Comes after all are added. 0 or -ENOMEM. */
int peers_settle(struct peers *p);
void peers_free(struct peers *p);

/* What is in force at a port of a pod (0: at those that portLevelMtls does not name): never
 * MTLS_UNSET. *by: the PeerAuthentication that says so; NULL: none. Of a pod whose labels can't be
 * read it is the strictest of what may hold, at all ports. */
enum mtls_mode peers_mode(struct peers *p, const struct object *pod, unsigned port,
			  const struct object **by);
/* Where callers without an identity are refused. */
struct authz_strict peers_strict(struct peers *p, const struct object *pod);
/* Whether the PeerAuthentication is for pods, and no older one takes its place. *older: that one;
 * NULL: a selector in the root namespace is why. */
bool peers_counts(struct peers *p, const struct object *policy, const struct object **older);
/* Whether it selects the pod, whichever policy is in force for that. */
bool peers_selects(const struct object *policy, const struct object *pod);
/* "STRICT" */
const char *mtls_mode_name(enum mtls_mode mode);

#endif
