// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "daemon/api/handlers.h"

static const struct {
	const char *command;
	handler_fn handler;
} handlers[] = {
	{ "analyze", handle_analyze },	 { "apply", handle_apply },
	{ "conns", handle_conns },	 { "delete", handle_delete },
	{ "describe", handle_describe }, { "explain", handle_explain },
	{ "get", handle_get },		 { "stats", handle_stats },
	{ "status", handle_status },	 { "uninstall", handle_uninstall },
};

static int run(struct weftd *d, const struct request *request, struct reply *reply)
{
	const char *command = json_get_text(request->args, "command", "");
	int r;

	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
		if (strcmp(handlers[i].command, command) != 0)
			continue;
		r = handlers[i].handler(d, request, reply);
		if (r && !errors_fatal(&reply->errors))
			refuse(reply, command, "%s", strerror(-r));
		return r;
	}
	return refuse(reply, *command ? command : "request", "weftd knows no such command");
}

json_t *handle(struct weftd *d, const struct request *request)
{
	struct reply reply = { 0 };

	return reply_pack(&reply, run(d, request, &reply));
}
