/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_ACCESS_PIPE_H
#define WEFT_DAEMON_SUPERVISOR_ACCESS_PIPE_H
/*
 * weft-proxy's access log on its way to weftd's output. weft-proxy outlives weftd, and its
 * container: it writes to RUN_DIR/access-log, a FIFO, which the next weftd reads on from. While
 * none does, lines are kept there as long as there is room; then weft-proxy counts those that are
 * lost.
 */
struct access_pipe;
struct event_loop;

/* Where weft-proxy is to write goes into *fd, the caller's. `to` and the loop are borrowed. 0, or
 * -errno after having logged. */
int access_pipe_open(const char *run_dir, struct event_loop *loop, int to, int *fd,
		     struct access_pipe **out);
/* What is there is written, as far as it is taken at once. Accepts NULL. */
void access_pipe_close(struct access_pipe *p);

#endif
