/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_WIRE_CLIENT_H
#define WEFT_LIB_WIRE_WIRE_CLIENT_H
/*
 * The client's side of wire.h.
 */
#include "lib/wire/wire.h"

#define WIRE_SOCKET "weftd.sock"

/* Fills in RUN_DIR/weftd.sock. 0 or -ENAMETOOLONG. */
struct sockaddr_un;
int wire_address(const char *run_dir, struct sockaddr_un *out);

/* A connected socket, or -errno: -ENOENT and -ECONNREFUSED mean that no weftd runs there. */
int wire_connect(const char *run_dir);

/* Sends one request and waits for its reply, for as long as that takes. *reply is a JSON object
 * that the caller drops. 0; -EPROTO when the reply is no frame; -ECONNRESET when weftd went away;
 * other -errno. */
int wire_call(int fd, const json_t *request, const void *blob, size_t blob_len, json_t **reply);

#endif
