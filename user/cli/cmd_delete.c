// SPDX-License-Identifier: Apache-2.0
#include "cli/changes.h"
#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"

int cmd_delete(struct cli *cli, int argc, char **argv)
{
	_cleanup_(cmd_list_free) struct cmd_list names = { 0 };
	_cleanup_(files_free) struct files files = { 0 };
	_cleanup_(json_decrefp) json_t *data = NULL;
	const char *namespace = "default", *kind = NULL, *name = NULL;
	bool ignore_missing = false, skip_unknown = false;
	const struct cmd_option options[] = {
		{ 'f', "filename", .list = &names },
		{ 'n', "namespace", .value = &namespace },
		{ 0, "ignore-not-found", .flag = &ignore_missing },
		{ 0, "skip-unknown", .flag = &skip_unknown },
		{ 0 },
	};
	json_t *request;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (names.count && argc > 1)
		return cmd_wrong(argv[0], "either -f FILE or KIND NAME is expected, not both");
	r = names.count ? 0 : cmd_kind_name(argc, argv, &kind, &name);
	if (r)
		return r;
	if (!names.count && !name)
		return cmd_wrong(argv[0], "a NAME is expected");
	r = files_read(&names, &files);
	if (r)
		return r;
	request = client_request("delete");
	json_object_set_new(request, "ignore_missing", json_boolean(ignore_missing));
	if (names.count) {
		json_object_set_new(request, "files", files_json(&files));
		json_object_set_new(request, "skip_unknown", json_boolean(skip_unknown));
	} else {
		json_object_set_new(request, "kind", json_text(kind));
		json_object_set_new(request, "name", json_text(name));
		json_object_set_new(request, "namespace", json_text(namespace));
	}
	r = client_ask(cli, request, &files, &data);
	return r ? r : changes_print(data);
}
