// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "cli/offline.h"
#include "lib/model/remarks.h"

/* Takes `remarks` over. */
static int finish(const struct cli *cli, json_int_t objects, json_int_t warnings, json_t *remarks)
{
	_cleanup_(json_decrefp) json_t *json = json_pack("{s:I, s:I, s:o}", "objects", objects,
							 "warnings", warnings, "remarks", remarks);

	if (cli->output)
		return client_print_json(json);
	if (warnings)
		printf("%lld objects, %lld warnings\n", (long long)objects, (long long)warnings);
	else
		printf("%lld objects, nothing to remark\n", (long long)objects);
	return STATUS_DONE;
}

static int analyze_files(const struct cli *cli, const struct file_names *names)
{
	_cleanup_(offline_free) struct offline o = { 0 };
	int r = offline_load(&o, names, cli->namespace), printed = 0;

	offline_print(&o);
	if (!r || (cli->output && o.errors.count))
		printed = finish(cli, (json_int_t)o.objects.count, (json_int_t)o.errors.warnings,
				 remarks_json(&o.errors));
	return r ? r : printed;
}

int cmd_analyze(struct cli *cli, int argc, char **argv)
{
	_cleanup_(file_names_free) struct file_names names = { 0 };
	_cleanup_(json_decrefp) json_t *data = NULL;
	const struct cmd_option options[] = { { 'f', "filename", .list = &names.list },
					      { 'R', "recursive", .flag = &names.recursive },
					      { 0, "skip-unknown", .flag = &names.skip_unknown },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (names.list.count)
		return analyze_files(cli, &names);
	r = client_ask(cli, client_request("analyze"), NULL, &data);
	return r ? r
		 : finish(cli, json_get_int(data, "objects", 0), json_get_int(data, "warnings", 0),
			  json_incref(json_object_get(data, "remarks")));
}
