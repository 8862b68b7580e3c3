/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_SCRIPT_H
#define WEFT_TEST_PROXY_SCRIPT_H
/*
 * Conversations through the proxy, as lines. Who speaks is a letter; C2 is another client, U2
 * another connection of the endpoint:
 *
 *   C  a client            D  a client of the other worker (env_new_pair())
 *   U  the endpoint        V  the second one (env_second())
 *                          M  the mirror (env_mirror())
 *
 *   C> TEXT   the client sends it        U> TEXT   the endpoint sees it
 *   U< TEXT   the endpoint sends it      C< TEXT   the client sees it
 *   C> END    the client half-closes     U> END    the endpoint sees the client's end
 *   U< END    the endpoint closes        C< END    the client sees an orderly end
 *   RST       instead of END: not in order; GONE: either (of what is seen)
 *   -         instead of TEXT: nothing is seen for a while, nor does a connection come
 *
 *   T 50                          50 ms pass
 *   L2 503 UF,URX DETAILS         the access log has two lines, the last with this status, these
 *                                 flags, and these details if any are named
 *   S cluster NAME 1, NAME 2      counters: also `route`, and `shadow`, the mirror's cluster
 *   S cluster only NAME 1         ... and all others are 0; upstream_rq_time is how many were timed
 *
 * '|' is CR LF. What is seen is exactly that, in as many pieces as it comes; "A...B...C" is a
 * message with Content-Length that begins with A, has B in it and ends with C.
 * "GET /a" is a request of that path for the host h, without a body; "200" a response of two bytes;
 * "200 TEXT" and "200..." begin with "HTTP/1.1 ". What the proxy passes on is spelled the same.
 *
 * A client connects when it is first named, an endpoint takes its next connection then; also again
 * when it has closed one or seen it GONE.
 */
#include "lib/base/http_stat_fields.h"
#include "test_proxy_env.h"

enum { SCRIPT_LINES = 16 }; /* in a row of a table of conversations */

/* `what` it shows, for messages. The lines end with NULL. Connections stay: the next call goes on
 * with them. */
void script_play(struct env *e, const char *what, const char *const *lines);

#define PLAY(...) script_play(e, __func__, (const char *const[]){ __VA_ARGS__, NULL })

/* The socket of C, U2, ... It stays the script's. */
int script_socket(struct env *e, const char *who);

/* "NAME is 3", of the first counter of a row that is not as the list "NAME 1, NAME 2" says, until
 * the thread's next call; NULL: there is none.
 * `only`: all others must be 0. */
const char *script_wrong_counter(const struct stat_field *fields, void *row, const char *list,
				 bool only);

#endif
