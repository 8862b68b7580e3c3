// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "lib/wire/wire_client.h"

enum { WHY_MAX = 512 };

json_t *client_request(const char *command)
{
	return json_pack("{s:s}", "command", command);
}

static void print_list(const json_t *reply, const char *key, const char *prefix)
{
	json_t *text;
	size_t i;

	json_array_foreach(json_object_get(reply, key), i, text)
		fprintf(stderr, "%s%s\n", prefix, json_string_value(text));
}

/* Into `why`. Returns STATUS_FAILED. */
static int cannot_reach(const struct cli *cli, int r, char *why, size_t size)
{
	if (r == -ENOENT || r == -ECONNREFUSED)
		snprintf(why, size, "no weftd runs on %s", cli->run_dir);
	else if (r == -EACCES || r == -EPERM)
		snprintf(why, size, "%s/" WIRE_SOCKET ": only root may talk to weftd",
			 cli->run_dir);
	else
		snprintf(why, size, "%s/" WIRE_SOCKET ": %s", cli->run_dir, strerror(-r));
	return STATUS_FAILED;
}

static int unreachable(const struct cli *cli, int r)
{
	char why[WHY_MAX];

	cannot_reach(cli, r, why, sizeof(why));
	return cmd_failed("%s", why);
}

int client_ask(const struct cli *cli, json_t *request, const struct files *files, json_t **data)
{
	_cleanup_(json_decrefp) json_t *owned = request;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = wire_connect(cli->run_dir);
	int r;

	if (!owned)
		return cmd_failed("out of memory");
	if (fd < 0)
		return unreachable(cli, fd);
	r = wire_call(fd, owned, files ? files->bytes : NULL, files ? files->size : 0, &reply);
	if (r)
		return unreachable(cli, r);
	print_list(reply, "notes", "");
	print_list(reply, "warnings", "warning: ");
	print_list(reply, "errors", "");
	if (!json_is_true(json_object_get(reply, "ok")))
		return STATUS_FAILED;
	*data = json_incref(json_object_get(reply, "data"));
	return 0;
}

int client_try(const struct cli *cli, json_t *request, json_t **data, char *why, size_t size)
{
	_cleanup_(json_decrefp) json_t *owned = request;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = wire_connect(cli->run_dir);
	int r = !owned ? -ENOMEM : fd < 0 ? fd : wire_call(fd, owned, NULL, 0, &reply);

	if (r)
		return cannot_reach(cli, r, why, size);
	if (!json_is_true(json_object_get(reply, "ok"))) {
		const json_t *error = json_array_get(json_object_get(reply, "errors"), 0);

		snprintf(why, size, "%s", json_string_value(error) ?: "weftd has refused it");
		return STATUS_FAILED;
	}
	*data = json_incref(json_object_get(reply, "data"));
	return 0;
}

int client_print_json(const json_t *data)
{
	/* What stdout doesn't take is told at the end, by cmd_main(). */
	if (json_dumpf(data, stdout,
		       JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY |
			       JSON_REAL_PRECISION(15)) &&
	    !ferror(stdout))
		return cmd_failed("out of memory");
	putchar('\n');
	return STATUS_DONE;
}
