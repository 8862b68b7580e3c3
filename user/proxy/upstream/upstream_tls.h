/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_UPSTREAM_UPSTREAM_TLS_H
#define WEFT_PROXY_UPSTREAM_UPSTREAM_TLS_H
/*
 * TLS on a connection to an endpoint: the handshake follows the TCP connection, and only then is
 * the connection there.
 */
#include "proxy/io/transport_tls.h"
#include "proxy/upstream/target.h"

struct upstream_tls;

/* For a connection to that target, which speaks TLS. NULL: no memory. */
struct upstream_tls *upstream_tls_new(const struct target *t);
void upstream_tls_free(struct upstream_tls *s); /* accepts NULL; the transport is closed by now */
/* Whether the connection is good for such a target. Either may be NULL or speak none. */
bool upstream_tls_suits(const struct upstream_tls *s, const struct target_tls *wanted);
/* Whether no target will want it any more: its client's certificates have been replaced. */
bool upstream_tls_is_stale(const struct upstream_tls *s); /* NULL: it is not */
/* Begins the handshake over the transport, once its socket is connected, or goes on with it. 0: it
 * is done; -EAGAIN; -EPROTO: it has failed, and has been counted; -ENOMEM. */
int upstream_tls_handshake(struct upstream_tls *s, struct transport *t);
const struct tls_facts *upstream_tls_facts(const struct upstream_tls *s);

#endif
