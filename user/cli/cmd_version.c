// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "cli/client.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

/* kubectl, too, tells its own version and fails when the other end does not answer. */
int cmd_version(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *status = NULL, *out = NULL;
	bool client_only = false;
	const struct cmd_option options[] = { { 0, "client", .flag = &client_only }, { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!cli->output)
		puts("Client Version: " WEFT_VERSION);
	if (!client_only)
		r = client_ask(cli, client_request("status"), NULL, &status);
	if (!cli->output && status)
		printf("Daemon Version: %s\n", json_get_text(status, "version", "?"));
	if (!cli->output)
		return r;
	out = json_pack("{s:{s:s}}", "clientVersion", "version", WEFT_VERSION);
	if (out && status)
		json_object_set_new(out, "daemonVersion",
				    json_pack("{s:O}", "version",
					      json_object_get(status, "version")));
	client_print_json(out);
	return r;
}
