/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_CA_H
#define WEFT_DAEMON_IDENTITY_CA_H
/*
 * An authority that signs workloads' certificates (SPIFFE X.509-SVID).
 */
#include <stdint.h>

#include "lib/wire/credentials.h"

struct ca;

/* What there is to tell of it. */
struct ca_facts {
	const char *subject; /* its common name, or its whole subject */
	int64_t not_after;   /* Unix seconds: of it, or of what leads from it to a root, the first
				to end */
	const char *roots;   /* that are believed, PEM */
	unsigned root_count;
};

enum {
	CA_CLOCK_SKEW_S = 120, /* a certificate is valid from so long ago: clocks differ */
	CA_PROBLEM_MAX = 256,  /* room for what is wrong */
};

/* Reads one of PEM: its certificate, behind it what leads to a root; its key, not encrypted; the
 * roots that are believed (none: the last certificate of `chain`), one of which must have signed
 * it. `now`: Unix seconds. 0 and the caller's; -EINVAL with what is wrong, a sentence's end, in
 * `problem`; -ENOMEM. */
int ca_read(struct credential_text chain, struct credential_text key, struct credential_text roots,
	    int64_t now, struct ca **out, char problem[CA_PROBLEM_MAX]);
void ca_free(struct ca *ca); /* accepts NULL */

/* Makes a new root of that common name (P-256), for so many days: PEM, the caller's, the key for
 * secret_free(). 0 or -EIO. */
int ca_make(const char *name, unsigned days, int64_t now, char **cert, char **key);

/* Valid as long as the CA. */
struct ca_facts ca_facts(const struct ca *ca);

/* Makes a certificate of `csr` (PEM) for that identity, for `ttl_s` seconds from now, or until the
 * CA ends: PEM with what leads to a root, the caller's. The request must be signed with its own key
 * (P-256, or RSA of 2,048 bits), and ask for that identity and no other name; what else it asks for
 * does not count. 0; -EINVAL with what is wrong in `problem`; -ENOMEM; -EIO when OpenSSL fails. */
int ca_sign(const struct ca *ca, const char *csr, const char *identity, unsigned ttl_s, int64_t now,
	    char **chain, char problem[CA_PROBLEM_MAX]);

/* The one URI that `csr` (PEM) asks to be certified, the caller's; NULL: it asks for something
 * else, or can't be read. Whether it is an identity is not looked at. */
char *ca_requested(const char *csr);
/* Of roots (PEM), the one that ends last: its common name, the caller's, and its end, Unix seconds.
 * 0; -EINVAL: one can't be read, or there is none; -ENOMEM. */
int ca_last_root(const char *roots, char **subject, int64_t *not_after);
/* `roots` (PEM), and behind them those of `more` that are not among them and end after `now` (Unix
 * seconds), up to `most` in all: PEM, the caller's. More that can't be read adds nothing. 0;
 * -EINVAL: `roots` can't be read, or there is none; -ENOMEM. */
int ca_add_roots(const char *roots, const char *more, int64_t now, size_t most, char **out);

#endif
