// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest_input.h"

#include <errno.h>
#include <stdio.h>

#include "cli/files.h"

void manifest_input_free(struct manifest_input *input)
{
	cmd_list_free(&input->set);
	cmd_list_free(&input->files);
}

static int read_files(const struct files *files, struct values *out)
{
	struct errors errors = { 0 };
	int r = 0;

	for (size_t i = 0; i < files->count && r != -ENOMEM; i++) {
		int e = values_read(out, files->items[i].name, files->bytes + files->items[i].at,
				    files->items[i].size, &errors);

		r = e ? e : r;
	}
	for (size_t i = 0; i < errors.count; i++)
		cmd_failed("%s", errors.items[i].text ? errors.items[i].text : "out of memory");
	errors_free(&errors);
	if (r == -ENOMEM)
		return cmd_failed("out of memory");
	return r ? STATUS_FAILED : 0;
}

static int take_assignments(const struct cmd_list *set, struct values *out)
{
	char why[512];
	int r = 0;

	for (size_t i = 0; i < set->count; i++) {
		int e = values_set(out, set->items[i], why, sizeof(why));

		if (e == -ENOMEM)
			return cmd_failed("out of memory");
		if (e)
			r = cmd_failed("--set: %s", why);
	}
	return r;
}

static int check(const struct values *v)
{
	char why[512];

	return values_check(v, why, sizeof(why)) ? cmd_failed("%s", why) : 0;
}

int manifest_values(const struct manifest_input *input, struct values *out)
{
	const struct file_names names = { .list = input->files };
	struct files files = { 0 };
	int r = files_read(&names, &files);

	if (!r)
		r = read_files(&files, out);
	if (!r)
		r = take_assignments(&input->set, out);
	if (!r)
		r = check(out);
	files_free(&files);
	return r;
}
