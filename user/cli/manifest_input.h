/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_MANIFEST_INPUT_H
#define WEFT_CLI_MANIFEST_INPUT_H
/*
 * The values of a manifest from the command line.
 */
#include "cli/cmd.h"
#include "lib/manifest/values.h"

struct manifest_input {
	struct cmd_list set;   /* --set PATH=VALUE, which count more than */
	struct cmd_list files; /* -f VALUES.yaml, the later ones more than the earlier ones */
};

void manifest_input_free(struct manifest_input *input);

/* 0, or a status to exit with after a message for each fault. */
int manifest_values(const struct manifest_input *input, struct values *out);

#endif
