/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_DRAIN_H
#define WEFT_PROXY_REQUEST_DRAIN_H
/*
 * How a weft-proxy makes way for its successor, another process, without a client noticing: it
 * begins no request any more, and between two requests a client's connection goes over to the
 * successor as it is, its socket and the bytes that have been read of the next request. While the
 * successor takes none, the client waits. What is under way ends here.
 *
 * The state of a TLS connection can't go over: one whose handshake has not begun does, as it is,
 * and so does one whose ClientHello is only looked at; what has no requests is under way until it
 * ends; others have a few seconds for one more request, whose answer says `Connection: close`, and
 * are closed in an orderly way then (close_notify).
 *
 * They go by a socket (SOCK_SEQPACKET), one message for each. All workers of the one write to it,
 * all of the other read from it.
 */
#include "proxy/request/http_worker.h"

struct h1_client;

/* From the worker's thread: no request begins from now on, and clients go to `successor`, which is
 * taken over, in place of the one that there may have been. `listens`: no other process accepts
 * what comes to this worker's socket, so it goes on doing that for a little while. `tell` is an
 * eventfd that is written to once nothing is left here. */
void drain_begin(struct http_worker *w, int successor, bool listens, int tell);
/* Whether a client that waits for a request is of no more use here: it has gone over, or ended. */
bool drain_client(struct h1_client *c);
/* Between events: whether anything is left, in w->drained. */
void drain_look(struct http_worker *w);
/* Of w->pass_again and w->unlisten. */
void drain_pass_again(struct loop_timer *t);
void drain_unlisten(struct loop_timer *t);

/* From the worker's thread: serves what comes from a predecessor's end of such a socket, which is
 * taken over, until that is closed. 0 or -errno. */
int drain_take_from(struct http_worker *w, int fd);

void drain_close(struct http_worker *w);

#endif
