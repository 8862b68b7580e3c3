/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TLS_PRIV_H
#define WEFT_PROXY_IO_TLS_PRIV_H
/*
 * Between the parts of tls.h.
 */
#include "proxy/io/tls.h"
#include "proxy/io/tls_client.h"

enum { TLS_DIGEST = 32 }; /* bytes of a SHA-256 */

struct tls_context {
	SSL_CTX *ssl;
	unsigned refs; /* atomic */
	enum tls_mode mode;
	uint16_t min_version, max_version;
	int level; /* OpenSSL's security level for clients' certificates */
	char **alt_names, **spkis, **hashes; /* each with a NULL at the end; or NULL: any will do */
	bool (*takes_identity)(const char *uri, size_t len); /* or NULL: struct tls_settings */
	unsigned char session_id[TLS_DIGEST];
};

/* For SSL_CTX_set_client_hello_cb(), of connections of transport_tls.h. */
int tls_hello(SSL *ssl, int *alert, void *arg);
/* For SSL_CTX_set_cert_verify_callback(); `arg` is a struct tls_context. */
int tls_verify(X509_STORE_CTX *x, void *arg);
/* Of a certificate, in lower-case hex. */
bool tls_certificate_hash(const X509 *cert, char out[2 * TLS_DIGEST + 1]);
/* Whether one of the names, behind which there is a NULL, is among the certificate's subject
 * alternative names. */
bool tls_has_name(const X509 *cert, char *const *wanted);
/* Whether it is the certificate of the workload with that identity: the URI, and no other, is among
 * the names, and it is no authority's (SPIFFE, X509-SVID 4 and 5). */
bool tls_has_identity(X509 *cert, const char *uri);

/* ---- PEM into a context: 0; -EINVAL: that is no such thing, or none is there; -ENOMEM ---- */

int tls_take_chain(SSL_CTX *ctx, struct tls_text pem);
int tls_take_key(SSL_CTX *ctx, struct tls_text pem);
/* `tell`: clients are told the names of the authorities. */
int tls_take_authorities(SSL_CTX *ctx, struct tls_text pem, bool tell);
int tls_take_lists(SSL_CTX *ctx, struct tls_text pem);
/* An empty list: the default. */
int tls_take_ciphers(SSL_CTX *ctx, struct tls_text list);
extern const char tls_groups[]; /* of key exchange */

/* Copies, a NULL behind them. NULL without any, or without memory. */
char **tls_copy_texts(const struct tls_texts *from);
void tls_free_texts(char **texts); /* accepts NULL */

/* ---- transport_tls.c: of a client's connection ---- */

const struct tls_call *transport_tls_call(const SSL *ssl);
/* For SSL_CTX_sess_set_new_cb(). */
int transport_tls_session(SSL *ssl, SSL_SESSION *session);

#endif
