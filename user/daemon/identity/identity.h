/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_IDENTITY_H
#define WEFT_DAEMON_IDENTITY_IDENTITY_H
/*
 * The certificates of this node's workloads for mutual TLS: a key for each identity
 * ("spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT") that a pod of this node has, made here and
 * never written down, and a certificate for it, which is asked for and renewed in time: after half
 * of the time that it is good for, each for another key. One that can't be renewed is used until
 * its end, and is asked for again and again, later each time, up to a minute; up to half an hour
 * where it was denied. A request that nobody answers is waited for, not made again.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"
#include "lib/wire/credentials.h"

struct identities;

/* What there is to tell of who signs. */
struct identity_ca {
	const char *from;    /* "--ca-cert", where a user finds it */
	const char *subject; /* NULL: there is no CA yet */
	int64_t not_after;   /* Unix seconds; 0: not known */
	const char *problem; /* what is wrong with it as it is now; NULL: nothing */
};

/* Who signs. It answers later, or at once, by identities_signed(). */
struct identity_signer {
	/* `csr` (PEM) for that identity; `number` tells the answer from others. 0 or -errno: it is
	 * asked again later. */
	int (*sign)(struct identity_signer *s, const char *identity, const char *csr,
		    unsigned long number);
	/* Valid until the loop turns. */
	void (*tell)(const struct identity_signer *s, struct identity_ca *out);
};

/* Without a signer, for now. Borrows the loop. 0 or -errno. */
int identities_open(struct event_loop *loop, struct identities **out);
void identities_close(struct identities *ids); /* accepts NULL */
/* Borrowed; NULL: nothing signs. */
void identities_sign_by(struct identities *ids, struct identity_signer *signer);
/* changed() is called from the loop when identities_find() has another answer. */
void identities_watch(struct identities *ids, void (*changed)(void *arg), void *arg);

/* The answer: a certificate and what leads to the root, PEM; or NULL and what is wrong, a text. */
void identities_signed(struct identities *ids, unsigned long number, const char *chain,
		       const char *problem);
/* As the last, with what is wrong, where asking again soon is of no use. */
void identities_denied(struct identities *ids, unsigned long number, const char *problem);
/* Whether that answer is still wanted. */
bool identities_wait_for(const struct identities *ids, unsigned long number);
/* The roots that are believed from now on, PEM: several while one takes another's place. */
int identities_trust(struct identities *ids, const char *roots);
/* Another CA signs from now on: all certificates are asked for again. */
void identities_renew(struct identities *ids);
/* The same where certificates of before are still believed: what was asked for already is not asked
 * for again, the rest in so many milliseconds, each at another time. */
void identities_renew_within(struct identities *ids, unsigned least_ms, unsigned most_ms);

/* From now on those are needed, and no others; a certificate that was is kept for 10 minutes, or
 * until its end, should it be needed again. A signer that answers at once has been asked for
 * them then, or for those that 50 ms suffice for. 0 or -ENOMEM. */
int identities_want(struct identities *ids, const char *const *wanted, size_t count);
/* What there is for one: chain, key and roots, valid until the next change. False: nothing yet, or
 * it has expired; *problem says why. */
bool identities_find(const struct identities *ids, const char *identity, struct credential *out,
		     const char **problem);
/* Until when that certificate is good, Unix seconds; 0: there is none. */
int64_t identities_end(const struct identities *ids, const char *identity);
/* The roots that are believed, PEM; NULL: there are none yet. Valid until the next call of
 * identities_trust(). */
const char *identities_roots(const struct identities *ids);
/* Whether one is still waited for that was asked for less than 5 s ago. */
bool identities_pending(const struct identities *ids);

/* For `weft status` and `weft stats`. */
struct identities_state {
	size_t wanted, good; /* identities; those with a certificate */
	uint64_t signed_count, failed_count;
	int64_t next_renewal; /* Unix seconds; 0: none */
	const char *problem;  /* of one that has no certificate, or is not renewed; NULL: none */
	unsigned roots;
	struct identity_ca ca; /* `from` NULL: there is no signer */
};

/* Accepts NULL. Valid until the loop turns. */
void identities_tell(const struct identities *ids, struct identities_state *out);

/* ---- for tests: the time is theirs ---- */

/* From the first call on: monotonic milliseconds, Unix seconds. */
void identities_clock(struct identities *ids, uint64_t now_ms, int64_t now_s);
/* Does what there is to do, and returns after how many ms there is something again; 0: nothing. */
unsigned identities_turn(struct identities *ids);

#endif
