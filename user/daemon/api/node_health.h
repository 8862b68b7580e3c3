/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_NODE_HEALTH_H
#define WEFT_DAEMON_API_NODE_HEALTH_H
/*
 * The healthCheckNodePorts of Services (lib/mesh/health_ports.h), answered at every address of the
 * node as kube-proxy does it: 200 where the node has an endpoint, else 503. A port that another
 * process has, kube-proxy as a rule, is left to it, and tried again: weftd listens where no
 * other was seen to for a while.
 */
#include <jansson.h>

#include "daemon/api/handlers.h"
#include "daemon/loop/event.h"

struct node_health;

/* Borrows both until node_health_close(). `wait_s`: for how many seconds a port is to be free
 * before weftd takes it. 0 or -errno. */
int node_health_open(struct event_loop *loop, struct weftd *d, unsigned wait_s,
		     struct node_health **out);
void node_health_close(struct node_health *n); /* accepts NULL */
/* Looks whether the objects in force have changed: to be called often, costs nothing if not. */
void node_health_follow(struct node_health *n);
/* [{"port", "service", "local_endpoints", "error"}, ...]; an error is why weft does not answer
 * there. A new reference. `n` may be NULL. */
json_t *node_health_json(struct node_health *n);

#endif
