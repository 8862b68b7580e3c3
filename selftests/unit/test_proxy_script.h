/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_SCRIPT_H
#define WEFT_TEST_PROXY_SCRIPT_H
/*
 * Conversations through the proxy, between a client (C) and an endpoint (U), as lines:
 *
 *   C> TEXT   the client sends it        U> TEXT   the endpoint sees it
 *   U< TEXT   the endpoint sends it      C< TEXT   the client sees it
 *   C> END    the client half-closes     U> END    the endpoint sees the client's end
 *   U< END    the endpoint closes        C< END    the client sees an orderly end
 *   U> -      the endpoint sees nothing for a while; C< - likewise
 *
 * '|' is CR LF. What is seen is exactly that, in as many pieces as it comes. The endpoint takes the
 * proxy's first connection, and another one after it has closed that.
 */
#include "test_proxy_env.h"

enum { SCRIPT_LINES = 16 };

/* `what` it shows, for messages. The lines end with NULL. */
void script_play(struct env *e, const char *what, const char *const *lines);

#endif
