/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_IDENTITY_H
#define WEFT_DAEMON_IDENTITY_IDENTITY_H
/*
 * The certificates of this node's workloads for mutual TLS: a key for each identity
 * ("spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT") that a pod of this node has, made here and
 * never written down, and a certificate for it, which is asked for and renewed in time.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/wire/credentials.h"

struct identities;

/* Who signs. It answers later, or at once, by identities_signed(). */
struct identity_signer {
	/* `csr` (PEM) for that identity; `number` tells the answer from others. 0 or -errno: it is
	 * asked again later. */
	int (*sign)(struct identity_signer *s, const char *identity, const char *csr,
		    unsigned long number);
};

/* The answer: a certificate and what leads to the root, PEM; or NULL and what is wrong, a text. */
void identities_signed(struct identities *ids, unsigned long number, const char *chain,
		       const char *problem);
/* The roots that are believed from now on, PEM: several while one takes another's place. */
int identities_trust(struct identities *ids, const char *roots);

/* From now on those are needed, and no others. 0 or -ENOMEM. */
int identities_want(struct identities *ids, const char *const *wanted, size_t count);
/* What there is for one: chain, key and roots, valid until the next change. False: nothing yet, or
 * it has expired; *problem says why. */
bool identities_find(const struct identities *ids, const char *identity, struct credential *out,
		     const char **problem);

#endif
