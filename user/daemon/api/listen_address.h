/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_LISTEN_ADDRESS_H
#define WEFT_DAEMON_API_LISTEN_ADDRESS_H
/*
 * Where weftd answers HTTP: "127.0.0.1:15022", "[::1]:15022", and where that is taken ":15020", all
 * addresses of the node.
 */
#include <stdbool.h>

enum listen_any { LISTEN_ONE, LISTEN_ANY };

bool listen_address_valid(const char *text, enum listen_any any);
/* A socket that listens there, which does not block. A descriptor or -errno. */
int listen_address_open(const char *text, enum listen_any any);

#endif
