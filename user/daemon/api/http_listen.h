/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HTTP_LISTEN_H
#define WEFT_DAEMON_API_HTTP_LISTEN_H
/*
 * Where weftd is asked by HTTP: ADDRESS:PORT or [ADDRESS]:PORT.
 */
#include <stdbool.h>

bool http_address_valid(const char *address);
/* A non-blocking socket that listens there, the caller's; or -errno. */
int http_listen(const char *address);

#endif
