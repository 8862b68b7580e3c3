/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_TLS_STORE_H
#define WEFT_PROXY_ROUTE_TLS_STORE_H
/*
 * Certificates and keys (lib/wire/credentials.h), and the servers and clients that have been made
 * of them, for all workers. A server is made when its first client comes, and again when what it
 * was made of has changed: connections go on with what they have. So is a client when it is first
 * to connect.
 */
#include "lib/route/route.h"
#include "lib/route/snapshot.h"
#include "proxy/io/tls.h"
#include "proxy/io/tls_client.h"

struct tls_store;

struct tls_store *tls_store_new(void);	  /* NULL: no memory */
void tls_store_free(struct tls_store *s); /* accepts NULL */

/* From now on handshakes use the credentials in the file, which stays the caller's; identities that
 * have no certificate in it keep the one that they have, until its end (tls_kept.h). From any
 * thread. 0, or -errno: nothing has changed. */
int tls_store_set(struct tls_store *s, int fd);
/* Certificates and keys of identities, as they are in use, into the file; those of another process
 * out of it, for identities that have none (tls_kept.h). The file stays the caller's, and nobody
 * may change it any more when it is taken. From any thread. 0 or -errno: nothing has changed. */
int tls_store_tell_identities(struct tls_store *s, int fd);
int tls_store_take_identities(struct tls_store *s, int fd);
/* Ticket keys (tls.h) of this process into the file; those of another one out of it. The file stays
 * the caller's. From any thread. 0 or -errno; -EBADMSG: that is no such file. */
int tls_store_tell_tickets(struct tls_store *s, int fd);
int tls_store_take_tickets(struct tls_store *s, int fd);
/* What all connections begin with. From any thread. 0 or -ENOMEM. */
int tls_store_base(struct tls_store *s, const struct tls_base **out);
/* A reference of the server of the snapshot. From any thread. 0; -ENOKEY: its credential is not
 * known, -EINVAL: it is of no use, which is logged once; -ENOMEM. */
int tls_store_server(struct tls_store *s, const struct http_snapshot *snapshot,
		     const struct hs_server *server, struct tls_context **out);
/* A reference of the server that ends mutual TLS for pods of that identity
 * ("spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT"), whose credential has that name: TLS 1.3, for
 * clients that have an identity of the same trust domain. From any thread. Likewise. */
int tls_store_workload(struct tls_store *s, const char *identity, size_t len,
		       struct tls_context **out);
/* Another number whenever other credentials have come, or one that was kept has ended; never 0.
 * From any thread. */
uint64_t tls_store_round(struct tls_store *s);
/* A reference of the client of the snapshot. From any thread. As tls_store_server(). */
int tls_store_client(struct tls_store *s, const struct http_snapshot *snapshot,
		     const struct hs_client_tls *row, struct tls_client **out);
/* A reference of the client that speaks mutual TLS as the workload of that identity
 * ("spiffe://..."), with the credential of that name. From any thread. As tls_store_server(). */
int tls_store_identity_client(struct tls_store *s, struct http_span identity,
			      struct tls_client **out);

#endif
