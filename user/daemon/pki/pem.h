/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PKI_PEM_H
#define WEFT_DAEMON_PKI_PEM_H
/*
 * Certificates and keys as PEM. For what has called openssl_load().
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/pki/openssl.h"
#include "lib/base/cleanup.h"
#include "lib/wire/credentials.h"

DEFINE_CLEANUP(BIO *, BIO_free_all);
DEFINE_CLEANUP(X509 *, X509_free);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);

/* Borrows the text until BIO_free_all(). NULL when out of memory. */
BIO *pem_open(struct credential_text text);
/* The next certificate, the caller's; NULL: there is none, or one that can't be read, see
 * pem_at_end(). */
X509 *pem_certificate(BIO *in);
/* Whether the last thing that was read failed only because nothing more is there. Forgets
 * OpenSSL's errors. */
bool pem_at_end(void);
/* One that is not encrypted, the caller's; NULL: it can't be read. */
EVP_PKEY *pem_key(struct credential_text text);
/* For the last argument but one of OpenSSL's own readers: there is nobody to ask for a password. */
int pem_no_password(char *buf, int size, int writing, void *arg);

/* Unix seconds; 0: it is no time. */
int64_t pem_seconds(const ASN1_TIME *at);
/* What was written to a memory BIO, with a NUL behind it, the caller's; NULL when out of memory. */
char *pem_written(BIO *out);

#endif
