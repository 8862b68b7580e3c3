/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HEALTH_H
#define WEFT_DAEMON_API_HEALTH_H
/*
 * --health: what a kubelet asks by HTTP. /healthz is answered while the event loop turns, which is
 * all that it says: one that is stuck does not answer. /readyz is 200, or 503 with a line for each
 * thing that is not as it should be yet.
 */
#include "daemon/loop/event.h"

/* "127.0.0.1:15022"; "off" is none. */
#define HEALTH_DEFAULT "127.0.0.1:15022"

struct health;

struct health_options {
	struct event_loop *loop; /* borrowed until health_close() */
	const char *address;	 /* ADDRESS:PORT, [ADDRESS]:PORT */
	/* Calls tell(list, ...) for each reason not to be ready. */
	void (*each_reason)(void *arg, void (*tell)(void *list, const char *what), void *list);
	void *arg;
};

/* Whether it is "off" or an address and a port. */
bool health_address_valid(const char *address);
/* Listens, and answers as the loop turns. 0 or -errno, without logging. */
int health_open(const struct health_options *o, struct health **out);
void health_close(struct health *h); /* accepts NULL */

#endif
