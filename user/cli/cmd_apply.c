// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "cli/changes.h"
#include "cli/client.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

struct order {
	struct file_names names;
	const char *selector, *dry_run;
	bool prune, all, replace;
};

/* kubectl, too, wants --all said before it prunes without a selector. */
static int check(const char *verb, const struct order *o)
{
	if (!o->names.list.count)
		return cmd_wrong(verb, "-f FILE is missing");
	if (o->prune && o->replace)
		return cmd_wrong(verb, "either --prune or --replace is expected, not both");
	if (o->prune && !o->selector == !o->all)
		return cmd_wrong(verb, "--prune goes with either -l SELECTOR or --all");
	if (o->all && !o->prune)
		return cmd_wrong(verb, "--all goes with --prune");
	if (o->replace && o->selector)
		return cmd_wrong(verb, "-l goes with --prune, not with --replace");
	return changes_check_dry_run(verb, o->dry_run);
}

static int run(const struct cli *cli, const struct order *o)
{
	_cleanup_(files_free) struct files files = { 0 };
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request;
	int r = files_read(&o->names, &files);

	if (r)
		return r;
	request = client_request("apply");
	json_object_set_new(request, "files", files_json(&files));
	json_object_set_new(request, "skip_unknown", json_boolean(o->names.skip_unknown));
	json_object_set_new(request, "dry_run", json_boolean(changes_are_dry(o->dry_run)));
	json_object_set_new(request, "prune", json_boolean(o->prune));
	json_object_set_new(request, "replace", json_boolean(o->replace));
	if (cli->namespace && *cli->namespace)
		json_object_set_new(request, "namespace", json_text(cli->namespace));
	if (o->selector)
		json_object_set_new(request, "selector", json_text(o->selector));
	r = client_ask(cli, request, &files, &data);
	return r ? r : changes_print(data, o->dry_run, cli->output);
}

int cmd_apply(struct cli *cli, int argc, char **argv)
{
	struct order o = { 0 };
	const struct cmd_option options[] = {
		{ 'f', "filename", .list = &o.names.list },
		{ 'R', "recursive", .flag = &o.names.recursive },
		{ 0, "skip-unknown", .flag = &o.names.skip_unknown },
		{ 'l', "selector", .value = &o.selector },
		{ 0, "prune", .flag = &o.prune },
		{ 0, "all", .flag = &o.all },
		{ 0, "replace", .flag = &o.replace },
		{ 0, "dry-run", .value = &o.dry_run, .bare = "client" },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!r)
		r = check(argv[0], &o);
	if (!r)
		r = run(cli, &o);
	file_names_free(&o.names);
	return r;
}
