// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/install.h"
#include "cli/manifest_input.h"
#include "lib/base/cleanup.h"
#include "lib/manifest/manifest.h"

static int generate(struct cli *cli, int argc, char **argv)
{
	struct values values = { 0 };
	struct manifest_input input = { 0 };
	const struct cmd_option options[] = { { 0, "set", .list = &input.set },
					      { 'f', "filename", .list = &input.files },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong("manifest", "unexpected argument \"%s\"", argv[1]);
	if (!r)
		r = manifest_values(&input, &values);
	if (!r)
		manifest_generate(&values, stdout);
	values_free(&values);
	manifest_input_free(&input);
	return r;
}

static int apply(struct cli *cli, int argc, char **argv)
{
	struct install install = { .timeout = "120s" };
	const struct cmd_option options[] = {
		{ 0, "set", .list = &install.input.set },
		{ 'f', "filename", .list = &install.input.files },
		{ 0, "kubeconfig", .value = &install.cluster.kubeconfig },
		{ 0, "context", .value = &install.cluster.context },
		{ 0, "timeout", .value = &install.timeout },
		{ 0, "force", .flag = &install.force },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r && argc > 1)
		r = cmd_wrong("manifest", "unexpected argument \"%s\"", argv[1]);
	if (!r)
		r = install_run(&install);
	manifest_input_free(&install.input);
	return r;
}

int cmd_manifest(struct cli *cli, int argc, char **argv)
{
	cmd_fn run = NULL;

	/* The word may stand behind options of its own. */
	for (int i = 1; i < argc && !run; i++) {
		if (strcmp(argv[i], "generate") == 0)
			run = generate;
		else if (strcmp(argv[i], "apply") == 0)
			run = apply;
		else
			continue;
		for (; i + 1 < argc; i++)
			argv[i] = argv[i + 1];
		argc--;
	}
	if (run)
		return run(cli, argc, argv);
	return cmd_wrong("manifest", "generate or apply is expected");
}
