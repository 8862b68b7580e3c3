/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_LEAVE_H
#define WEFT_DAEMON_SOURCE_LEAVE_H
/*
 * Whether weftd leaves its node for good when it ends. It is of a DaemonSet: while that is there,
 * the end of a weftd is an upgrade or a restart, and the kernel steers on until the next one. Once
 * the DaemonSet, or the namespace that it is in, has been deleted, or is being deleted, no other
 * one comes.
 */
#include <stdbool.h>

#include "daemon/source/informer.h"

struct leave;

/* Watches the DaemonSet, which may not be there yet: only one that was seen can go. Copies what it
 * is given but the loop. 0, or -errno after having logged. */
int leave_open(const struct kube_config *config, const char *namespace, const char *name,
	       struct event_loop *loop, struct leave **out);
void leave_close(struct leave *l); /* accepts NULL */

/* By what the API server has told so far. False for NULL. */
bool leave_wanted(const struct leave *l);

/* ---- for tests: the same without an API server ---- */

/* NULL without memory; leave_close() frees it. */
struct leave *leave_new(const char *namespace, const char *name);
/* Of resource 0, the DaemonSet, or 1, the namespace. */
void leave_event(struct leave *l, const struct informer_event *e);

#endif
