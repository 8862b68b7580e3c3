/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_ROLLOUT_H
#define WEFT_CLI_ROLLOUT_H
/*
 * How far weft's DaemonSet is: which nodes have an agent that is ready, and why others have none.
 */
#include "cli/cluster.h"

struct rollout {
	long long desired, updated, ready; /* nodes */
	bool seen;			   /* the controller knows the newest DaemonSet */
};

static inline bool rollout_done(const struct rollout *r)
{
	return r->seen && r->updated == r->desired && r->ready == r->desired;
}

/* Of a DaemonSet. */
struct rollout rollout_of(const json_t *daemon_set);

/* Waits until all nodes are ready, with a line for each that has become so. 0, or STATUS_FAILED
 * after a message for each node that is not. */
int rollout_wait(struct kube_client *c, int64_t timeout_ms);

/* Waits until no agent is left. 0, or STATUS_FAILED after a message for each that is. */
int rollout_wait_gone(struct kube_client *c, int64_t timeout_ms);

/* Why agents are not ready: {"NODE": "why"}; a new value. */
json_t *rollout_reasons(struct kube_client *c);

#endif
