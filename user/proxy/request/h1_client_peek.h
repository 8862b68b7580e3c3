/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_H1_CLIENT_PEEK_H
#define WEFT_PROXY_REQUEST_H1_CLIENT_PEEK_H
/*
 * A client's connection whose ClientHello says what it is: that stays in the socket, for the one
 * who is to read it.
 */
#include "proxy/request/h1_client.h"
#include "proxy/request/request.h"

/* Of one of which nothing has been read. Whether it begins so: else nothing has changed. */
bool h1_client_begin_peek(struct h1_client *c);
/* Its step. */
enum step h1_client_peek(struct h1_client *c);

#endif
