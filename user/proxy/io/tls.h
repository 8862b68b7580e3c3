/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TLS_H
#define WEFT_PROXY_IO_TLS_H
/*
 * What the TLS connections of a process have in common (struct tls_base), and what those of one
 * server have (struct tls_context): its certificate and key, what it asks of clients. Both are
 * immutable for their users, and shared by all threads. OpenSSL does the work; its configuration
 * file is not read.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/* ---- a process ---- */

/* Session tickets: their keys live in this process's memory alone and are changed every hour. A
 * client that comes with another process's ticket gets a full handshake. */
struct tls_base;

/* 0 or -ENOMEM. */
int tls_base_new(struct tls_base **out);
void tls_base_free(struct tls_base *b); /* accepts NULL */
/* What every connection begins with, until its ClientHello has chosen a server. Borrowed. */
SSL_CTX *tls_base_context(const struct tls_base *b);

/* ---- a server ---- */

enum tls_mode {
	TLS_SIMPLE = 1,
	TLS_MUTUAL,	     /* a client without a certificate is refused */
	TLS_OPTIONAL_MUTUAL, /* it may do without; one that it gives is checked */
};

/* Bytes that are not NUL-terminated. */
struct tls_text {
	const char *at;
	size_t len;
};

struct tls_texts {
	const struct tls_text *items;
	size_t count;
};

/* Everything is only read by tls_context_new(). */
struct tls_settings {
	struct tls_text name;	    /* sessions are resumed with a server of the same name only */
	struct tls_text chain, key; /* PEM, the server's certificate first */
	struct tls_text ca, crl;    /* PEM: of clients' certificates; empty: none */
	enum tls_mode mode;
	uint16_t min_version, max_version; /* as on the wire: 0x0301..0x0304 */
	struct tls_text ciphers;	   /* OpenSSL's list for TLS up to 1.2; empty: ECDHE AEAD */
	/* Where any are given: a client's certificate must have one of the names among its subject
	 * alternative names; and its key one of the SPKI hashes (base64 of SHA-256), or itself one
	 * of the hashes (lower-case hex of SHA-256). */
	struct tls_texts alt_names, spkis, hashes;
	bool opaque; /* what is inside is not for us: no protocol is agreed on (ALPN) */
};

struct tls_context;

/* Borrows `b` for as long as connections use it. 0; -EINVAL: that does not make a server, *why says
 * what is wrong (a literal); -ENOMEM. */
int tls_context_new(const struct tls_base *b, const struct tls_settings *s,
		    struct tls_context **out, const char **why);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* accepts NULL */
/* From now on it is this server's connection. Keeps no reference to `c`, whose owner must not let
 * go of it before the connection is freed. 0 or -ENOMEM. */
int tls_context_use(struct tls_context *c, SSL *ssl);

/* ---- a client ---- */

/* What is known of the other side. Strings are owned; NULL: not known. */
struct tls_peer {
	char *subject;	 /* of its certificate, as RFC 2253 writes it */
	char *forwarded; /* the element of x-forwarded-client-cert for it */
	size_t forwarded_len;
};

/* Reads what the handshake has brought. Without a client's certificate all is NULL. 0 or -ENOMEM.
 */
int tls_peer_read(SSL *ssl, struct tls_peer *out);
void tls_peer_free(struct tls_peer *p);

#endif
