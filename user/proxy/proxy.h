/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H
#define WEFT_PROXY_H
/*
 * The process: a thread per worker, and the main thread, which listens to weftd.
 *
 * Over the control socket (SOCK_SEQPACKET) come messages of one struct proxy_order with a
 * descriptor of the snapshot (SCM_RIGHTS). Each is answered by a struct proxy_reply once every
 * worker has gone over to it; the end of the socket changes nothing.
 */
#include <stdint.h>

#include "proxy_options.h"

struct proxy_order {
	uint64_t generation;
};

struct proxy_reply {
	uint64_t generation; /* of the order */
	int32_t error;	     /* 0 or -errno: at least one worker keeps the rules it had */
	uint32_t pad;
};

/* Until SIGTERM or SIGINT. 0 or -errno. */
int proxy_run(const struct proxy_options *o);

#endif
