/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TLS_CLIENT_H
#define WEFT_PROXY_IO_TLS_CLIENT_H
/*
 * What TLS connections to servers have in common: a client's certificate and key, whom it believes,
 * and the sessions that it may resume. Immutable for its users but for the sessions, and shared by
 * all threads. No protocol is offered (ALPN): the server speaks HTTP/1.1, or whatever it speaks.
 * Only one that is `mutual` offers "istio", by which both sides know that it is mutual TLS between
 * workloads.
 */
#include <linux/types.h>

#include "proxy/io/tls.h"
#include "weft/addr.h"

struct tls_client;

enum { TLS_CLIENT_NAME_MAX = 255 }; /* bytes of a server's name */

/* Everything is only read by tls_client_new(). */
struct tls_client_settings {
	struct tls_text chain, key; /* PEM, the client's own certificate first; empty: none */
	/* PEM: of servers' certificates. Without `ca` no server is verified. */
	struct tls_text ca, crl;
	/* One that was made of the same `ca` and no `crl`: then they have what was made of it in
	 * common, unless there is a `crl`. NULL: none. */
	struct tls_client *like;
	/* Where any are given, a server's certificate must have one of them among its subject
	 * alternative names. */
	struct tls_texts alt_names;
	/* Between workloads: TLS 1.3 alone; chain, key and `ca` are needed, and each call says
	 * whose identity the server must have. */
	bool mutual;
};

/* 0; -EINVAL: that does not make a client, *why says what is wrong (a literal); -ENOMEM. */
int tls_client_new(const struct tls_client_settings *s, struct tls_client **out, const char **why);
struct tls_client *tls_client_ref(struct tls_client *c);
void tls_client_unref(struct tls_client *c); /* accepts NULL */

/* Another one has taken its place, with other certificates: connections that are open go on. From
 * any thread. Accepts NULL. */
void tls_client_retire(struct tls_client *c);
bool tls_client_is_retired(const struct tls_client *c);

/* A server that is about to be called. */
struct tls_call {
	struct addr addr;
	uint16_t port;
	/* It is asked for by this name (SNI), unless that is an address; NULL: by none. */
	const char *name;
	bool check; /* its certificate must have the name, which may be an address */
	/* The only URI among the subject alternative names of its certificate; NULL unless the
	 * client is `mutual`. */
	const char *peer;
};

/* A connection of the client to that server, which resumes a session if there is one. Keeps `name`
 * and `peer`, but no reference to the client: their owner must not let go of any before the
 * connection is freed. NULL: no memory, or it is `mutual` without a peer, or has one without. */
SSL *tls_client_connect(struct tls_client *c, const struct tls_call *call);
/* Keeps what the server has given for another connection; takes the reference. */
void tls_client_keep(struct tls_client *c, const struct tls_call *call, SSL_SESSION *session);

#endif
