/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_H1_CLIENT_TLS_H
#define WEFT_PROXY_REQUEST_H1_CLIENT_TLS_H
/*
 * What TLS is to a client's connection: how it begins, and how it ends when its worker drains. For
 * the parts of h1_client.h alone.
 */
#include "proxy/request/h1_client.h"

/* What a router is asked of a connection that has no request. */
struct route_ask h1_client_ask(const struct h1_client *c);
/* Of a new connection: whether it begins with a handshake is known by the address that was called,
 * and its state says so. 0 or -errno. */
int h1_client_begin_tls(struct h1_client *c);
/* The step of H1_CLIENT_HANDSHAKE. */
enum step h1_client_handshake(struct h1_client *c);
/* Of a connection whose TLS has been ended: what is inside is no HTTP. */
enum step h1_client_tls_tunnel(struct h1_client *c);

/* Of a connection of TLS that waits for a request: nothing of one has come. */
bool h1_client_is_idle(struct h1_client *c);
/* The step of such a one when its worker drains. The state of TLS can't go to another process; a
 * request may be on its way, and is answered here as the connection's last one. */
enum step h1_client_drain_tls(struct h1_client *c);

/* ---- h1_client.c ---- */

/* Sets c->timer for the state; 0: none. */
void h1_client_wait(struct h1_client *c, uint64_t ms);
/* Nothing more will be sent; the client is to take notice before the connection is closed. */
void h1_client_linger(struct h1_client *c);
/* It goes on by the plan, which is taken over, also on failure; `name` as for tunnel_new(). 0 or
 * -ENOMEM. */
int h1_client_begin_tunnel(struct h1_client *c, const struct plan *plan, struct h1_span name);

#endif
