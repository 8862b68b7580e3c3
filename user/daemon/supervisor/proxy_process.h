/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_PROCESS_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_PROCESS_H
/*
 * A weft-proxy that runs, a child or not, and the connection over which it takes orders.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/wire/proxy_orders.h"
#include "daemon/supervisor/proxy_start.h"

struct proxy_process {
	pid_t pid;	   /* 0: none */
	int pidfd, conn;   /* -1: none */
	uint32_t sequence; /* of the last order */
};

extern const struct proxy_process proxy_process_none;

/* Orders may be given at once; whether it has really started, it says when it answers. 0, or -errno
 * after having logged. `start` needs no `control`, nor `held`. */
int proxy_process_start(struct proxy_process *p, const struct proxy_start *start);
/* The one that runs already in a slot. 0; -ENOENT or -ECONNREFUSED when none does; other -errno. */
int proxy_process_find(struct proxy_process *p, const char *run_dir, int slot);

/* Gives it the next sequence. 0 or -errno. `fd` goes with it; -1: none. */
int proxy_process_order(struct proxy_process *p, struct proxy_order order, int fd);
/* Likewise, with a patch of at most PROXY_ORDER_BYTES behind it, for one that PROXY_CAN_READ. */
int proxy_process_patch(struct proxy_process *p, struct proxy_order order, const void *bytes,
			size_t size);

/* Its error, 0 or -errno, whatever the proxy says. */
int proxy_reply_error(const struct proxy_reply *reply);

bool proxy_process_ended(const struct proxy_process *p, int within_ms);
void proxy_process_kill(const struct proxy_process *p);
/* Asks it to end, and sees to it that it does. */
void proxy_process_end(const struct proxy_process *p);
/* How it ended, as far as it was a child. */
void proxy_process_describe_end(const struct proxy_process *p, char *text, size_t size);
/* Closes the descriptors, whether it runs or not. */
void proxy_process_forget(struct proxy_process *p);

#endif
