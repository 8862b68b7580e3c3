/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_LINE_PIPE_H
#define WEFT_PROXY_LOG_LINE_PIPE_H
/*
 * Lines on their way into a pipe that weftd reads: whole ones, and nothing waits for it. What finds
 * no room is lost and counted: {"lost":12} stands where they would have been. One for each worker.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_PIPE_SIZE = 64 * 1024, LINE_MAX_SIZE = 4096 };

/* Zeroed but for the descriptor. */
struct line_pipe {
	int fd;	       /* non-blocking, not owned; -1: none */
	uint64_t lost; /* lines, since that was said */
	size_t len;
	char bytes[LINE_PIPE_SIZE];
};

/* Room for LINE_MAX_SIZE bytes, if need be at the cost of what the pipe takes now, or, without one,
 * of the oldest lines. What is written there line_pipe_add() adds. NULL: the line is lost. */
char *line_pipe_room(struct line_pipe *p);
/* So many bytes, which are a line with its end. */
void line_pipe_add(struct line_pipe *p, size_t n);
/* Whether nothing is left to be written. One that nothing reads any more has no descriptor
 * afterwards. */
bool line_pipe_flush(struct line_pipe *p);

#endif
