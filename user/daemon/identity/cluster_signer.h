/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_CLUSTER_SIGNER_H
#define WEFT_DAEMON_IDENTITY_CLUSTER_SIGNER_H
/*
 * Who signs in a cluster without --ca-cert: each certificate is asked for by a
 * CertificateSigningRequest, which the agent that holds the Lease weft-ca decides on
 * (cluster_ca.h). Where a request is not answered within some seconds, this agent tries to get the
 * Lease. The roots that are believed are those of the ConfigMap weft-ca-root. Nothing is asked of
 * the API server before the first certificate is needed.
 */
#include "daemon/identity/identity.h"
#include "daemon/source/lease.h"
#include "lib/kube/config.h"

struct cluster_signer;

struct cluster_signer_options {
	const struct kube_config *config; /* borrowed, as all of these */
	const char *namespace, *node;	  /* of the agents; this one's */
	unsigned ttl_s;			  /* an API server takes no less than 600 */
	struct event_loop *loop;
	/* Whether a pod of the mesh with that identity is on that node. */
	bool (*runs)(void *arg, const char *node, const char *identity);
	void *arg;
};

/* Signs for `ids` until it is closed. 0 or -errno. */
int cluster_signer_open(const struct cluster_signer_options *options, struct identities *ids,
			struct cluster_signer **out);
void cluster_signer_close(struct cluster_signer *s); /* accepts NULL */

#endif
