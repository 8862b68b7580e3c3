// SPDX-License-Identifier: Apache-2.0
#include "cli/rollout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/manifest/manifest.h"

#define DAEMON_SET_PATH \
	"/apis/apps/v1/namespaces/" MANIFEST_NAMESPACE "/daemonsets/" MANIFEST_DAEMON_SET
#define PODS_PATH "/api/v1/namespaces/" MANIFEST_NAMESPACE "/pods?labelSelector=app%3Dweft"
#define EVENTS_PATH                                                                       \
	"/api/v1/namespaces/" MANIFEST_NAMESPACE "/events?fieldSelector=type%%3DWarning," \
	"involvedObject.name%%3D%s"

enum { POLL_MS = 500 };

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

struct rollout rollout_of(const json_t *daemon_set)
{
	const json_t *status = json_object_get(daemon_set, "status");
	const json_t *meta = json_object_get(daemon_set, "metadata");

	return (struct rollout){
		.desired = json_get_int(status, "desiredNumberScheduled", 0),
		.updated = json_get_int(status, "updatedNumberScheduled", 0),
		.ready = json_get_int(status, "numberReady", 0),
		.seen = json_get_int(status, "observedGeneration", -1) >=
			json_get_int(meta, "generation", 0),
	};
}

/* ---- why a pod is not ready ---- */

/* "REASON: message", or the reason alone. */
static json_t *reason_text(const json_t *state)
{
	const char *reason = json_get_text(state, "reason", "");
	const char *message = json_get_text(state, "message", "");

	return json_textf("%s%s%s", reason, *reason && *message ? ": " : "", message);
}

static json_t *ended_text(const json_t *terminated)
{
	return json_textf("it ended with status %lld%s%s",
			  (long long)json_get_int(terminated, "exitCode", 0),
			  json_get_text(terminated, "message", NULL) ? ": " : "",
			  json_get_text(terminated, "message", ""));
}

/* Of the container; NULL if it says nothing. */
static json_t *container_reason(const json_t *pod)
{
	const json_t *container =
		json_array_get(cluster_at(pod, "status", "containerStatuses", NULL), 0);
	const json_t *waiting = cluster_at(container, "state", "waiting", NULL);
	const json_t *ended = cluster_at(container, "lastState", "terminated", NULL);

	if (!ended)
		ended = cluster_at(container, "state", "terminated", NULL);
	if (ended &&
	    (!waiting || !strcmp(json_get_text(waiting, "reason", ""), "CrashLoopBackOff")))
		return ended_text(ended);
	if (waiting && strcmp(json_get_text(waiting, "reason", ""), "ContainerCreating") != 0)
		return reason_text(waiting);
	return NULL;
}

static json_t *condition_reason(const json_t *pod, const char *type)
{
	json_t *conditions = cluster_at(pod, "status", "conditions", NULL), *condition;
	size_t i;

	json_array_foreach(conditions, i,
			   condition) if (!strcmp(json_get_text(condition, "type", ""), type) &&
					  !strcmp(json_get_text(condition, "status", ""),
						  "False") &&
					  *json_get_text(condition, "message",
							 "")) return reason_text(condition);
	return NULL;
}

/* The newest warning about an object; NULL if there is none. */
static json_t *warning_about(struct kube_client *c, const char *name)
{
	_cleanup_json_ json_t *events = NULL;
	json_t *items, *event, *newest = NULL;
	char path[512], error[KUBE_ERROR_MAX];
	size_t i;

	snprintf(path, sizeof(path), EVENTS_PATH, name);
	if (cluster_get(c, path, &events, error))
		return NULL;
	items = json_object_get(events, "items");
	json_array_foreach(items, i,
			   event) if (!newest || strcmp(json_get_text(event, "lastTimestamp", ""),
							json_get_text(newest, "lastTimestamp",
								      "")) >= 0) newest = event;
	return newest ? reason_text(newest) : NULL;
}

static bool is_ready(const json_t *pod)
{
	json_t *conditions = cluster_at(pod, "status", "conditions", NULL), *condition;
	size_t i;

	json_array_foreach(conditions, i,
			   condition) if (!strcmp(json_get_text(condition, "type", ""),
						  "Ready")) return !strcmp(json_get_text(condition,
											 "status",
											 ""),
									   "True");
	return false;
}

static json_t *pod_reason(struct kube_client *c, const json_t *pod)
{
	const char *name = json_get_text(json_object_get(pod, "metadata"), "name", "");
	json_t *why = container_reason(pod);

	if (!why)
		why = condition_reason(pod, "PodScheduled");
	if (!why)
		why = warning_about(c, name);
	if (!why)
		why = condition_reason(pod, "Ready");
	return why ? why
		   : json_textf("pod %s is %s", name,
				json_get_text(json_object_get(pod, "status"), "phase", "new"));
}

json_t *rollout_reasons(struct kube_client *c)
{
	_cleanup_json_ json_t *pods = NULL;
	json_t *reasons = json_object(), *items, *pod;
	char error[KUBE_ERROR_MAX];
	size_t i;

	if (cluster_get(c, PODS_PATH, &pods, error)) {
		json_object_set_new(reasons, "the pods", json_text(error));
		return reasons;
	}
	items = json_object_get(pods, "items");
	json_array_foreach(items, i, pod)
	{
		const char *node =
			json_get_text(json_object_get(pod, "spec"), "nodeName",
				      json_get_text(json_object_get(pod, "metadata"), "name", "?"));

		if (!is_ready(pod))
			json_object_set_new(reasons, node, pod_reason(c, pod));
	}
	if (!json_object_size(reasons)) {
		json_t *why = warning_about(c, MANIFEST_DAEMON_SET);

		if (why)
			json_object_set_new(reasons, "the DaemonSet", why);
	}
	return reasons;
}

/* ---- waiting ---- */

static void print_progress(const struct rollout *now, struct rollout *shown)
{
	if (!now->seen || (now->ready == shown->ready && now->updated == shown->updated &&
			   now->desired == shown->desired))
		return;
	printf("daemonset.apps/" MANIFEST_DAEMON_SET ": %lld of %lld nodes ready\n",
	       now->updated < now->desired && now->ready > now->updated ? now->updated : now->ready,
	       now->desired);
	fflush(stdout);
	*shown = *now;
}

static int give_up(struct kube_client *c, const struct rollout *now)
{
	_cleanup_json_ json_t *reasons = rollout_reasons(c);
	const char *node;
	json_t *why;

	if (!now->seen)
		return cmd_failed("no controller has looked at the DaemonSet: does the cluster's "
				  "controller manager run?");
	json_object_foreach(reasons, node, why)
		cmd_failed("%s: no agent is ready: %s", node, json_string_value(why));
	return cmd_failed("%lld of %lld nodes are ready", now->ready, now->desired);
}

int rollout_wait(struct kube_client *c, int64_t timeout_ms)
{
	uint64_t end = clock_ms() + (uint64_t)timeout_ms;
	struct rollout now = { 0 }, shown = { .ready = -1 };
	char error[KUBE_ERROR_MAX];

	for (;;) {
		_cleanup_json_ json_t *set = NULL;
		int r = cluster_get(c, DAEMON_SET_PATH, &set, error);

		if (r && r != -EAGAIN && r != -ECONNREFUSED)
			return cmd_failed("daemonset.apps/" MANIFEST_DAEMON_SET ": %s", error);
		if (!r)
			now = rollout_of(set);
		print_progress(&now, &shown);
		if (rollout_done(&now))
			return 0;
		if (clock_ms() >= end)
			return give_up(c, &now);
		sleep_ms(POLL_MS);
	}
}

static int name_those_left(const json_t *items)
{
	json_t *pod;
	size_t i;

	json_array_foreach(items, i, pod)
		cmd_failed("%s: pod %s has not ended: what weft has put on that node may be left",
			   json_get_text(json_object_get(pod, "spec"), "nodeName", "no node"),
			   json_get_text(json_object_get(pod, "metadata"), "name", "?"));
	return STATUS_FAILED;
}

int rollout_wait_gone(struct kube_client *c, int64_t timeout_ms)
{
	uint64_t end = clock_ms() + (uint64_t)timeout_ms;
	char error[KUBE_ERROR_MAX];

	for (;;) {
		_cleanup_json_ json_t *pods = NULL;
		const json_t *items;
		int r = cluster_get(c, PODS_PATH, &pods, error);

		if (r)
			return cmd_failed("the agents' pods: %s", error);
		items = json_object_get(pods, "items");
		if (!json_array_size(items))
			return 0;
		if (clock_ms() >= end)
			return name_those_left(items);
		sleep_ms(POLL_MS);
	}
}
