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

/* Session tickets: their keys live in this process's memory alone, or come from a predecessor's,
 * and are changed every hour. A client that comes with any other ticket gets a full handshake. */
struct tls_base;

enum {
	TLS_TICKET_NAME = 16,
	TLS_TICKET_KEY = 32,
	TLS_TICKET_KEYS = 8, /* that one process knows: the one in use, and older ones */
};

/* What opens tickets (RFC 5077, 4): AES-256-CBC and HMAC-SHA-256. */
struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME], cipher[TLS_TICKET_KEY], mac[TLS_TICKET_KEY];
	int64_t made; /* seconds of CLOCK_MONOTONIC, and one; 0: there is no key */
};

/* 0 or -ENOMEM. */
int tls_base_new(struct tls_base **out);
void tls_base_free(struct tls_base *b); /* accepts NULL */
/* Those that may open a ticket of a client that comes back; how many. From any thread. The caller
 * cleans them away (OPENSSL_cleanse()). */
size_t tls_base_tickets(struct tls_base *b, struct tls_ticket_key out[TLS_TICKET_KEYS]);
/* From now on tickets by those are good, too, until they are too old: sessions of another process
 * of this machine are resumed here. New ones are by keys of this process's own. From any thread. */
void tls_base_take_tickets(struct tls_base *b, const struct tls_ticket_key *keys, size_t count);
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
	/*
	 * Mutual TLS within the mesh: a client's certificate must not be an authority's, and must
	 * have exactly one URI among its subject alternative names, which this takes; what use it
	 * is for need not be said. The protocol is "istio-http/1.1" or "istio", if the client
	 * offers one of them. NULL: it is not.
	 */
	bool (*takes_identity)(const char *uri, size_t len);
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
	char *subject;	       /* of its certificate, as RFC 2253 writes it */
	char *uris;	       /* URIs among its subject alternative names, ',' between; "": none */
	char *appended;	       /* ',' and the element of x-forwarded-client-cert for it */
	const char *forwarded; /* the element; points into `appended` */
	size_t forwarded_len;
};

/* Reads what the handshake has brought. Without a client's certificate all is NULL. `whole`: the
 * element has the certificate itself. 0 or -ENOMEM.
 */
int tls_peer_read(SSL *ssl, bool whole, struct tls_peer *out);
void tls_peer_free(struct tls_peer *p);

#endif
