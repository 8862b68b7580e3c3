// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "cli/offline.h"

static json_t *texts(const struct errors *errors, bool warnings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errors->count; i++)
		if (errors->items[i].warning == warnings)
			json_array_append_new(list, json_text(errors->items[i].text));
	return list;
}

static int print_json(const struct offline *o, int status)
{
	_cleanup_(json_decrefp) json_t *json = json_pack(
		"{s:b, s:I, s:o, s:o, s:o}", "valid", !status, "objects",
		(json_int_t)o->objects.count, "errors", texts(&o->errors, false), "warnings",
		texts(&o->errors, true), "skipped", texts(&o->skipped, false));

	client_print_json(json);
	return status;
}

int cmd_validate(struct cli *cli, int argc, char **argv)
{
	_cleanup_(file_names_free) struct file_names names = { 0 };
	_cleanup_(offline_free) struct offline offline = { 0 };
	const struct cmd_option options[] = { { 'f', "filename", .list = &names.list },
					      { 'R', "recursive", .flag = &names.recursive },
					      { 0, "skip-unknown", .flag = &names.skip_unknown },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!names.list.count)
		return cmd_wrong(argv[0], "-f FILE is missing");
	r = offline_load(&offline, &names, cli->namespace);
	if (cli->output)
		return print_json(&offline, r);
	offline_print(&offline);
	if (!r)
		printf("%zu %s valid\n", offline.objects.count,
		       offline.objects.count == 1 ? "object is" : "objects are");
	return r;
}
