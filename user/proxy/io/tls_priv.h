/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TLS_PRIV_H
#define WEFT_PROXY_IO_TLS_PRIV_H
/*
 * Between the parts of tls.h.
 */
#include "proxy/io/tls.h"

enum { TLS_DIGEST = 32 }; /* bytes of a SHA-256 */

struct tls_context {
	SSL_CTX *ssl;
	unsigned refs; /* atomic */
	enum tls_mode mode;
	uint16_t min_version, max_version;
	int level; /* OpenSSL's security level for clients' certificates */
	char **alt_names, **spkis, **hashes; /* each with a NULL at the end; or NULL: any will do */
	unsigned char session_id[TLS_DIGEST];
};

/* For SSL_CTX_set_client_hello_cb(), of connections of transport_tls.h. */
int tls_hello(SSL *ssl, int *alert, void *arg);
/* For SSL_CTX_set_cert_verify_callback(); `arg` is a struct tls_context. */
int tls_verify(X509_STORE_CTX *x, void *arg);
/* Of a certificate, in lower-case hex. */
bool tls_certificate_hash(const X509 *cert, char out[2 * TLS_DIGEST + 1]);

#endif
