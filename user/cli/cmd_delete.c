// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/client.h"
#include "cli/targets.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

struct order {
	struct file_names names;
	struct targets targets;
	const char *selector, *dry_run;
	bool ignore_missing, all, all_namespaces;
};

static int check(int argc, char **argv, struct order *o)
{
	const char *verb = argv[0];
	int r = changes_check_dry_run(verb, o->dry_run);

	if (r)
		return r;
	if (o->names.list.count) {
		if (argc > 1)
			return cmd_wrong(verb, "either -f FILE or KIND NAME is expected, not both");
		if (o->selector || o->all || o->all_namespaces)
			return cmd_wrong(verb, "-l, --all and -A go with KIND, not with -f");
		return 0;
	}
	r = targets_parse(argc, argv, &o->targets);
	if (r)
		return r;
	if (o->targets.named && (o->selector || o->all || o->all_namespaces))
		return cmd_wrong(verb, "-l, --all and -A go with KIND alone, not with a NAME");
	if (!o->targets.named && !o->selector == !o->all)
		return cmd_wrong(verb, "a NAME, -l SELECTOR or --all is expected");
	return 0;
}

static int run(const struct cli *cli, const struct order *o)
{
	_cleanup_(files_free) struct files files = { 0 };
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request;
	int r = files_read(&o->names, &files);

	if (r)
		return r;
	request = client_request("delete");
	json_object_set_new(request, "ignore_missing", json_boolean(o->ignore_missing));
	json_object_set_new(request, "skip_unknown", json_boolean(o->names.skip_unknown));
	json_object_set_new(request, "dry_run", json_boolean(changes_are_dry(o->dry_run)));
	if (o->names.list.count)
		json_object_set_new(request, "files", files_json(&files));
	else
		json_object_set(request, "targets", o->targets.list);
	if (o->names.list.count ? cli->namespace != NULL : !o->all_namespaces)
		json_object_set_new(request, "namespace", json_text(cli_namespace(cli)));
	if (o->selector)
		json_object_set_new(request, "selector", json_text(o->selector));
	r = client_ask(cli, request, &files, &data);
	if (r)
		return r;
	if (!json_array_size(json_object_get(data, "changes")))
		fputs("No resources found\n", stderr);
	return changes_print(data, o->dry_run, cli->output);
}

int cmd_delete(struct cli *cli, int argc, char **argv)
{
	struct order o = { 0 };
	const struct cmd_option options[] = {
		{ 'f', "filename", .list = &o.names.list },
		{ 'R', "recursive", .flag = &o.names.recursive },
		{ 0, "skip-unknown", .flag = &o.names.skip_unknown },
		{ 'l', "selector", .value = &o.selector },
		{ 'A', "all-namespaces", .flag = &o.all_namespaces },
		{ 0, "all", .flag = &o.all },
		{ 0, "ignore-not-found", .flag = &o.ignore_missing },
		{ 0, "dry-run", .value = &o.dry_run, .bare = "client" },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r)
		r = check(argc, argv, &o);
	if (!r)
		r = run(cli, &o);
	file_names_free(&o.names);
	targets_free(&o.targets);
	return r;
}
