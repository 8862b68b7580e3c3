/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_PROCESS_ORDERS_H
#define WEFT_PROXY_PROCESS_ORDERS_H
/*
 * Taking weftd's orders (lib/wire/proxy_orders.h says how they look).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct patch_order {
	int fd; /* a file with the patch, the caller's; -1: it is `bytes` */
	const void *bytes;
	size_t size;
	uint32_t state, before; /* numbers of what there is then, and of what there has to be */
};

struct orders {
	int listener; /* where weftd connects; -1: it never does. Borrowed. */
	const int *listeners;
	size_t count; /* what hello hands out */
	const char *identity;
	/* Has every worker switch to the snapshot in the file `fd`, which stays the caller's, and
	 * from now on is what has the number `state`. 0 or -errno. */
	int (*snapshot)(void *arg, int fd, uint32_t state);
	/* The same for a patch; -ESTALE: there is something else than it is for. */
	int (*patch)(void *arg, const struct patch_order *patch);
	/* Writes the requests under way into the file `fd`. Likewise. */
	int (*requests)(void *arg, int fd);
	/* Has every worker write its access log to `fd`; -1: to nothing. Takes it over. Likewise.
	 */
	int (*log)(void *arg, int fd, bool json);
	/* Has every worker write what `weft logs` shows to the pipe `fd`; -1: keep the latest of
	 * it. Likewise. */
	int (*follow)(void *arg, int fd);
	/* Has every worker write its spans to the pipe `fd`; -1: to nothing. Likewise. */
	int (*trace)(void *arg, int fd);
	/* Has every worker use the certificates and keys in the file `fd` for new handshakes.
	 * Likewise. */
	int (*credentials)(void *arg, int fd);
	/* Writes what opens session tickets into the file `fd`; takes another one's from it.
	 * Likewise. */
	int (*tell_tickets)(void *arg, int fd);
	int (*take_tickets)(void *arg, int fd);
	/* Likewise certificates and keys of identities, those that it lacks. */
	int (*tell_identities)(void *arg, int fd);
	int (*take_identities)(void *arg, int fd);
	/* Has every worker serve, and every worker let go, clients over the socket `fd`. */
	int (*succeed)(void *arg, int fd);
	int (*drain)(void *arg, int fd, uint32_t ms, uint32_t shared);
	/* Either is readable when it may be over; whether it is. -1: never. Borrowed. */
	int wake, alarm;
	bool (*over)(void *arg);
	void *arg;
};

/* From now on it is this process that peers see behind the socket, not the weftd that made it. -1:
 * none. 0 or -errno. */
int orders_listen(int listener);

/* Until a signal of `signals` (a signalfd), PROXY_QUIT or over(). 0 or -errno. */
int orders_serve(const struct orders *o, int signals);

#endif
