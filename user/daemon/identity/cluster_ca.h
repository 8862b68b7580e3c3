/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_CLUSTER_CA_H
#define WEFT_DAEMON_IDENTITY_CLUSTER_CA_H
/*
 * The CA of a cluster, which the one agent has that holds the Lease weft-ca: its key is in the
 * Secret weft-ca, which it fills where it is empty, or makes where it may, its roots go into the
 * ConfigMap weft-ca-root for all agents; behind them those of the CA before it, as long as
 * certificates of that one may be in use. It approves and signs CertificateSigningRequests
 * (certificates.k8s.io/v1) for the signer weft.dev/workload: only those of the agents' own account,
 * whose token the API server has bound to a node that runs a pod of the mesh with the identity that
 * is asked for. Others it denies.
 */
#include "daemon/identity/identity.h"
#include "daemon/source/lease.h"

#define CLUSTER_SIGNER "weft.dev/workload"
#define CLUSTER_CA_SECRET "weft-ca"
#define CLUSTER_CA_ROOTS "weft-ca-root"	     /* the ConfigMap */
#define CLUSTER_CA_ROOTS_KEY "root-cert.pem" /* of its data: all that are believed */
#define CLUSTER_CA_OWN_KEY "ca-root.pem"     /* those of the CA that signs now */
#define CLUSTER_CA_SINCE_KEY "since"	     /* when that CA took its place, Unix seconds */

struct cluster_ca;

struct cluster_ca_options {
	const char *namespace; /* of the Secret and the ConfigMap; borrowed */
	unsigned ttl_s;	       /* that a certificate is good for at most */
	lease_request_fn request;
	void *server;
	struct event_loop *loop;
	/* Whether a pod of the mesh with that identity is on that node. */
	bool (*runs)(void *arg, const char *node, const char *identity);
	/* It can sign from now on: cluster_ca_event() is to be called for each request. */
	void (*ready)(void *arg);
	void *arg;
};

/* 0 or -errno. */
int cluster_ca_open(const struct cluster_ca_options *options, struct cluster_ca **out);
/* After what answers its requests has been closed. Accepts NULL. */
void cluster_ca_close(struct cluster_ca *c);

/* This agent holds the Lease, or no longer. */
void cluster_ca_hold(struct cluster_ca *c, bool held);
/* Whether it can sign. */
bool cluster_ca_is_ready(const struct cluster_ca *c);
/* A CertificateSigningRequest, as a watch tells of it. */
void cluster_ca_event(struct cluster_ca *c, const struct informer_event *e);
/* What there is to tell of it: `subject` NULL while it can't sign. Valid until the loop turns. */
void cluster_ca_tell(const struct cluster_ca *c, struct identity_ca *out);

/* ---- for tests: the time is theirs ---- */

/* Does what there is to do, and returns after how many ms there is something again; 0: nothing. */
unsigned cluster_ca_turn(struct cluster_ca *c, uint64_t now_ms);

#endif
