// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "daemon/api/handlers.h"

static const struct {
	const char *command;
	handler_fn handler;
} handlers[] = {
	{ "analyze", handle_analyze },
	{ "apply", handle_apply },
	{ "conns", handle_conns },
	{ "delete", handle_delete },
	{ "describe", handle_describe },
	{ "explain", handle_explain },
	{ "get", handle_get },
	{ "logs", handle_logs },
	{ "mesh", handle_mesh },
	{ "stats", handle_stats },
	{ "status", handle_status },
	{ "traffic", handle_traffic },
	{ "uninstall", handle_uninstall },
	{ "versions", handle_versions },
};

struct enrolment enrolment_of(const struct weftd *d, const struct object *pod)
{
	const struct object_id id = { .kind = KIND_NAMESPACE, .name = pod->meta.namespace };
	const struct known *home = known_find(engine_objects(d->engine), &id);

	return enrol_pod(d->enrol, pod, home ? home->object : NULL);
}

static int run(struct weftd *d, const struct request *request, struct reply *reply)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
		if (strcmp(handlers[i].command, reply->command) == 0)
			return handlers[i].handler(d, request, reply);
	return refuse(reply, *reply->command ? reply->command : "request",
		      "weftd knows no such command");
}

void handle(struct weftd *d, const struct request *request, reply_send_fn send, void *arg)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	int r;

	if (!reply) {
		send(arg, NULL);
		return;
	}
	reply->command = json_get_text(request->args, "command", "");
	reply->send = send;
	reply->arg = arg;
	r = run(d, request, reply);
	if (r != -EINPROGRESS)
		reply_send(reply, r);
}
