/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_ORDERS_H
#define WEFT_PROXY_PROCESS_ORDERS_H
/*
 * Taking weftd's orders (lib/wire/proxy_orders.h says how they look).
 */
#include <stddef.h>

struct orders {
	int listener; /* where weftd connects; -1: it never does. Borrowed. */
	const int *listeners;
	size_t count; /* what hello hands out */
	const char *identity;
	/* Has every worker switch to the snapshot in the file `fd`, which stays the caller's. 0 or
	 * -errno. */
	int (*snapshot)(void *arg, int fd);
	/* Writes the requests under way into the file `fd`. Likewise. */
	int (*requests)(void *arg, int fd);
	void *arg;
};

/* From now on it is this process that peers see behind the socket, not the weftd that made it. -1:
 * none. 0 or -errno. */
int orders_listen(int listener);

/* Until a signal of `signals` (a signalfd) or PROXY_QUIT. 0 or -errno. */
int orders_serve(const struct orders *o, int signals);

#endif
