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
 *   RST       instead of END: not in order; GONE: either (of what is seen)
 *   -         instead of TEXT: nothing is seen for a while
 *
 * '|' is CR LF. What is seen is exactly that, in as many pieces as it comes; "A...B" is a message
 * with Content-Length that begins with A and ends with B. The endpoint takes the proxy's first
 * connection, and another one when it has closed that or seen it GONE.
 */
#include "test_proxy_env.h"

enum { SCRIPT_LINES = 16 };

/* `what` it shows, for messages. The lines end with NULL. */
void script_play(struct env *e, const char *what, const char *const *lines);

#endif
