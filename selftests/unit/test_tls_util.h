/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_TLS_UTIL_H
#define WEFT_TEST_TLS_UTIL_H
/*
 * Certificates that are made for a test, and a client that speaks TLS.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proxy/io/tls.h"

/* A certificate and its key. */
struct made_cert {
	X509 *cert;
	EVP_PKEY *key;
};

/* `names`: subject alternative names as OpenSSL writes them ("DNS:a,URI:b"), or NULL. `by`: NULL:
 * it is an authority of its own. `days`: until it expires; less than 0: it has. */
struct made_cert cert_make(const char *cn, const char *names, const struct made_cert *by, int days);
void cert_free(struct made_cert *c);
/* PEM, malloc'd. */
char *cert_pem(const struct made_cert *c);
char *cert_key_pem(const struct made_cert *c);
/* A list of `by` that revokes `gone`, or nothing if that is NULL. */
char *cert_list_pem(const struct made_cert *by, const struct made_cert *gone);

struct tls_text tls_text_of(const char *text);
/* A server of that name with this certificate and, if `ca` is not NULL, for its clients. */
struct tls_settings settings_make(const char *name, const char *chain, const char *key,
				  const char *ca);

/* A client that trusts `ca`, asks for `name` (NULL: none) and shows `own` (NULL: nothing). */
SSL_CTX *client_context(const struct made_cert *ca, const struct made_cert *own);
SSL *client_new(SSL_CTX *c, int fd, const char *name);
/* The name of the alert that has come, or "". */
const char *client_alert(void);

#endif
