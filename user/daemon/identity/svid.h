/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_SVID_H
#define WEFT_DAEMON_IDENTITY_SVID_H
/*
 * What a certificate of a workload is (SPIFFE X.509-SVID): its one subject alternative name is a
 * URI, the identity; its subject is empty, which makes that extension critical (RFC 5280, 4.2.1.6).
 * Identities are "spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT".
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/pki/openssl.h"
#include "lib/base/cleanup.h"

/* A private key as PEM, the caller's, for secret_free(); NULL when OpenSSL fails. What is left of
 * it in its own memory OpenSSL clears. */
char *svid_key_text(EVP_PKEY *key);

/* The names of a certificate for that identity, the caller's; NULL when out of memory. After
 * openssl_load(), as the next. */
GENERAL_NAMES *svid_names(const char *identity);
/* Whether those are the names of one for that identity, and of nothing else. Accepts NULL. */
bool svid_names_are(const GENERAL_NAMES *names, const char *identity);

/* The URI of names of which it is the only one, the caller's; NULL: they are others, or there is no
 * memory. Accepts NULL. */
char *svid_uri(const GENERAL_NAMES *names);

/* A new key (P-256) and a request to certify it for an identity (PKCS #10): PEM, the caller's, the
 * key for secret_free(). 0, -ENOMEM, or -EIO when OpenSSL fails. */
int svid_request(const char *identity, char **key, char **csr);

/* Whether the first certificate of `chain` (PEM, as all) is for that identity and of that key, and
 * is valid `now`: NULL with its end; or what is wrong, the end of a sentence about it, a static
 * text. Both times are Unix seconds. */
const char *svid_check(const char *identity, const char *key, const char *chain, int64_t now,
		       int64_t *not_after);

#endif
