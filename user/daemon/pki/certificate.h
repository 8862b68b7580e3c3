/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PKI_CERTIFICATE_H
#define WEFT_DAEMON_PKI_CERTIFICATE_H
/*
 * Looks at a credential before weft-proxy gets it: whether OpenSSL can read all of it, whether the
 * key is the certificate's, and whether a context of OpenSSL takes them, as weft-proxy makes one.
 */
#include <stdint.h>

#include "lib/wire/credentials.h"

/* What there is to tell of a server's certificate. */
struct certificate_facts {
	char *subject;	    /* its common name, or its first DNS name; owned */
	int64_t not_before; /* Unix seconds */
	int64_t not_after;
};

void certificate_facts_free(struct certificate_facts *f);
/* NULL where it is good, with *out filled in; else what is wrong, as the end of a sentence about
 * the credential ("has no certificate"), a static text. */
const char *certificate_check(const struct credential *c, struct certificate_facts *out);
/* The same of one for TLS to endpoints, which may do without a certificate and a key: then *out
 * stays as it is. */
const char *certificate_check_client(const struct credential *c, struct certificate_facts *out);

#endif
