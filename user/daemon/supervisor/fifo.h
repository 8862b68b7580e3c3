/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_FIFO_H
#define WEFT_DAEMON_SUPERVISOR_FIFO_H
/*
 * A pipe with a name, by which weft-proxy hands lines to weftd and outlives it: what waits in it
 * the next weftd reads.
 */

/* RUN_DIR/NAME, made if need be, open for both: neither side finds the other end closed.
 * Non-blocking, which is of the open file description: each side is to open its own, for a dup
 * would let weft-proxy, which is not trusted, make weftd's reads block. A descriptor, the caller's,
 * or -errno; -EEXIST: something else has the name. */
int fifo_open(const char *run_dir, const char *name);
/* Takes the name away, if it is one. */
void fifo_remove(const char *run_dir, const char *name);

#endif
