// SPDX-License-Identifier: Apache-2.0
#include "cli/changes.h"
#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"

int cmd_apply(struct cli *cli, int argc, char **argv)
{
	_cleanup_(cmd_list_free) struct cmd_list names = { 0 };
	_cleanup_(files_free) struct files files = { 0 };
	_cleanup_(json_decrefp) json_t *data = NULL;
	bool skip_unknown = false;
	const struct cmd_option options[] = {
		{ 'f', "filename", .list = &names },
		{ 0, "skip-unknown", .flag = &skip_unknown },
		{ 0 },
	};
	json_t *request;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!names.count)
		return cmd_wrong(argv[0], "-f FILE is missing");
	r = files_read(&names, &files);
	if (r)
		return r;
	request = client_request("apply");
	json_object_set_new(request, "files", files_json(&files));
	json_object_set_new(request, "skip_unknown", json_boolean(skip_unknown));
	r = client_ask(cli, request, &files, &data);
	return r ? r : changes_print(data);
}
