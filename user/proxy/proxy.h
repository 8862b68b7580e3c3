/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H
#define WEFT_PROXY_H
/*
 * The process: a thread per worker, and the main thread, which takes weftd's orders.
 *
 * They come over RUN_DIR/proxy.sock (SOCK_SEQPACKET), which weftd binds and the proxy inherits:
 * whichever weftd connects to it has the proxy, also one that did not start it. One connection is
 * served at a time; its end changes nothing. An order is one struct proxy_order, with a descriptor
 * (SCM_RIGHTS) where it says so. Each is answered by a message that begins with a struct
 * proxy_reply:
 *
 *	order           its descriptor                answer
 *	PROXY_HELLO     where messages are to go      struct proxy_hello, with the listening sockets
 *	PROXY_SNAPSHOT  a file of http_compile()      once every worker has gone over to it
 *	PROXY_QUIT                                    none: the process ends
 *
 * Connections are accepted from the first snapshot on.
 */
#include <stdint.h>

enum { PROXY_MAX_WORKERS = 64, PROXY_VERSION_SIZE = 32, PROXY_IDENTITY_SIZE = 1024 };

enum proxy_order_type { PROXY_HELLO = 1, PROXY_SNAPSHOT, PROXY_QUIT };

struct proxy_order {
	uint32_t type;
	uint32_t sequence;   /* comes back in the reply */
	uint64_t generation; /* of a snapshot */
};

struct proxy_reply {
	uint32_t type;
	uint32_t sequence;
	int32_t error; /* 0 or -errno; of a snapshot: at least one worker keeps the rules it had */
	uint32_t pad;
};

struct proxy_hello {
	struct proxy_reply reply;
	uint32_t workers; /* as many listening sockets come with it */
	uint32_t pad;
	char version[PROXY_VERSION_SIZE];
	char identity[PROXY_IDENTITY_SIZE]; /* what weftd started it with: --identity */
};

struct proxy_options;

/* Until SIGTERM, SIGINT or PROXY_QUIT. 0 or -errno. */
int proxy_run(const struct proxy_options *o);

#endif
