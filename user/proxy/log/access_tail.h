/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_ACCESS_TAIL_H
#define WEFT_PROXY_LOG_ACCESS_TAIL_H
/*
 * What `weft logs` shows of a worker: its last requests, as lines of JSON. While they are followed
 * each goes to a pipe that weftd reads (line_pipe.h). Otherwise the latest stay in the worker's
 * memory, no more than ACCESS_TAIL_PER_S of a second, so that it costs next to nothing.
 */
#include "proxy/log/access_line.h"
#include "proxy/log/line_pipe.h"

enum { ACCESS_TAIL_PER_S = 20 };

struct access_tail {
	bool taken;	       /* the next entry is */
	uint64_t second;       /* when the present one began, ms */
	unsigned kept;	       /* in it */
	struct line_pipe pipe; /* without a descriptor nothing follows */
};

/* Zeroed but for the descriptor. NULL when out of memory; free() it. */
struct access_tail *access_tail_new(void);
/* Lines go to `fd` from now on, those that were kept first; -1: they are kept. */
void access_tail_switch(struct access_tail *t, int fd);
/* Whether the entry that comes now, at `now` ms, is of interest: to be asked once for each. */
bool access_tail_wants(struct access_tail *t, uint64_t now);
/* Takes the entry that access_tail_wants() was asked for last. */
void access_tail_write(struct access_tail *t, const struct access_entry *e);
/* Whether nothing is left to be written. */
bool access_tail_flush(struct access_tail *t);

#endif
