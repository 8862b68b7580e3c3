/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TRANSPORT_TLS_H
#define WEFT_PROXY_IO_TRANSPORT_TLS_H
/*
 * A transport that speaks TLS. As the server it begins with a handshake whose ClientHello is asked
 * which server is called; as the client, with one that asks for a server and verifies it. Before
 * transport_tls_handshake() has returned 0 nothing may be received or sent.
 */
#include "proxy/io/tls.h"
#include "proxy/io/tls_client.h"
#include "proxy/io/transport.h"

enum { TLS_NAME_MAX = 255 };

/*
 * Chooses the server for the name (SNI) of a ClientHello, `n` bytes in lower case without a dot at
 * the end; 0: the client has said none. 0 and a reference in *out; -ENOENT: there is no such
 * server; another -errno: it can't be spoken to.
 */
typedef int (*tls_chooser)(void *arg, const char *name, size_t n, struct tls_context **out);

/* What a handshake has failed of. */
enum tls_failure {
	TLS_NO_FAILURE,
	TLS_NO_SERVER,		 /* none has the name */
	TLS_PEER_GONE,		 /* the connection has ended */
	TLS_CONNECTION_ERROR,	 /* no version or cipher in common, what came is no TLS, ... */
	TLS_FAIL_VERIFY_NO_CERT, /* the client has no certificate, and needs one */
	TLS_FAIL_VERIFY_ERROR,	 /* it is another authority's, has expired, is revoked, ... */
	TLS_FAIL_VERIFY_SAN,	 /* it has none of the names */
	TLS_FAIL_VERIFY_HASH,	 /* it has none of the hashes */
};

/* What the handshake finds. As the client: no name and no peer. */
struct tls_facts {
	char name[TLS_NAME_MAX + 1]; /* that the client asks for; "": none */
	size_t name_len;
	const char *version, *cipher; /* "TLSv1.3", "TLS_AES_128_GCM_SHA256" */
	bool resumed;
	bool certified; /* the peer has a certificate */
	enum tls_failure failure;
	struct tls_peer peer; /* for the owner to free */
};

/* Makes an open TCP transport one of TLS. `b` is borrowed, and so are `facts`, zeroed, until the
 * handshake is done or the transport closed. 0, or -ENOMEM: it is as it was. */
int transport_tls_open(struct transport *t, const struct tls_base *b, tls_chooser choose, void *arg,
		       struct tls_facts *facts);
/* Likewise, as a client of that server. Takes a reference of the client; the name that the call has
 * is borrowed until the transport is closed. */
int transport_tls_connect(struct transport *t, struct tls_client *client,
			  const struct tls_call *call, struct tls_facts *facts);
/* Goes on with the handshake. 0: it is done; -EAGAIN: when there is more to read, or room; -ENOENT:
 * no server has the name; another -errno: it has failed, and the peer has been told why. After a
 * failure transport_recv() throws away what still comes. */
int transport_tls_handshake(struct transport *t);
/* Nothing has come from the client: another process may serve it as well. */
bool transport_tls_is_fresh(const struct transport *t);

#endif
