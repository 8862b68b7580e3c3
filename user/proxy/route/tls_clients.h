/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_TLS_CLIENTS_H
#define WEFT_PROXY_ROUTE_TLS_CLIENTS_H
/*
 * The clients of TLS that a tls_store has made, under its lock.
 */
#include "lib/route/route.h"
#include "lib/route/snapshot.h"
#include "lib/wire/credentials.h"
#include "proxy/io/tls_client.h"

struct made_client;

struct tls_clients {
	struct made_client *list;
	/* Made of the last large bundle of authorities, such as the system's, which those that are
	 * made of the same one share; NULL: there was none. */
	struct tls_client *bundle;
	unsigned char bundle_pem[32]; /* SHA-256 of the bundle */
};

/* Forgets those that nobody has asked for since that round. */
void tls_clients_forget_before(struct tls_clients *t, uint64_t round);
/* A reference of the one of that row, made of those credentials (NULL: there are none), which are
 * of that round. As tls_store_client(). */
int tls_clients_get(struct tls_clients *t, const struct credentials *known, uint64_t round,
		    const struct http_snapshot *s, const struct hs_client_tls *row,
		    struct tls_client **out);
/* Likewise, the one that speaks mutual TLS as the workload of that identity, which its credential
 * has for a name. As tls_store_identity_client(). */
int tls_clients_get_identity(struct tls_clients *t, const struct credentials *known, uint64_t round,
			     struct http_span identity, struct tls_client **out);

#endif
