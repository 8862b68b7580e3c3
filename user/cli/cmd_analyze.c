// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "cli/offline.h"
#include "lib/model/remarks.h"

/* Takes `remarks` over. */
static int finish(const struct cli *cli, json_int_t objects, json_int_t errors, json_int_t warnings,
		  json_t *remarks)
{
	_cleanup_(json_decrefp) json_t *json = json_pack("{s:I, s:I, s:o}", "objects", objects,
							 "warnings", warnings, "remarks", remarks);

	if (cli->output)
		return client_print_json(json);
	if (errors)
		printf("%lld objects, %lld errors, %lld warnings\n", (long long)objects,
		       (long long)errors, (long long)warnings);
	else if (warnings)
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
		printed = finish(cli, (json_int_t)o.objects.count, 0, (json_int_t)o.errors.warnings,
				 remarks_json(&o.errors));
	return r ? r : printed;
}

static int analyze_in_force(const struct cli *cli, bool all_namespaces)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request = client_request("analyze");
	json_int_t errors;
	int r;

	if (cli->namespace && *cli->namespace && !all_namespaces)
		json_object_set_new(request, "namespace", json_text(cli->namespace));
	r = client_ask(cli, request, NULL, &data);
	if (r)
		return r;
	errors = json_get_int(data, "errors", 0);
	r = finish(cli, json_get_int(data, "objects", 0), errors, json_get_int(data, "warnings", 0),
		   json_incref(json_object_get(data, "remarks")));
	return r ? r : errors ? STATUS_FAILED : STATUS_DONE;
}

int cmd_analyze(struct cli *cli, int argc, char **argv)
{
	_cleanup_(file_names_free) struct file_names names = { 0 };
	bool all_namespaces = false;
	const struct cmd_option options[] = { { 'f', "filename", .list = &names.list },
					      { 'R', "recursive", .flag = &names.recursive },
					      { 0, "skip-unknown", .flag = &names.skip_unknown },
					      { 'A', "all-namespaces", .flag = &all_namespaces },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	return names.list.count ? analyze_files(cli, &names)
				: analyze_in_force(cli, all_namespaces);
}
