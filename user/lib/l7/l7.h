/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_L7_H
#define WEFT_LIB_L7_L7_H
/*
 * Objects -> the bytes of a snapshot. Pure, like compile().
 */
#include "lib/compile/compile.h"

/*
 * Returns 0 and malloc'd bytes in *out; -EINVAL when `errors` got an error; -ENOMEM; -E2BIG.
 * Nothing of `objects` is kept. The registry gives the ids: the same that compile() uses.
 */
int http_compile(const struct objects *objects, struct registry *registry, void **out, size_t *size,
		 struct errors *errors);

struct http_route;

/* Whether a route of a delegate is left out beside the root's route that leads to it, because one
 * of its matches goes with none of the root's. */
bool http_delegate_is_dropped(const struct http_route *root, const struct http_route *leaf);

/* Whether a Gateway's server speaks HTTP; *tls: over TLS that ends there. */
bool http_server(const struct gw_server *server, bool *tls);

#endif
