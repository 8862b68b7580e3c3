/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_TOP_SCREEN_H
#define WEFT_CLI_TOP_SCREEN_H
/*
 * `weft top` on a terminal.
 */
#include "cli/cmd.h"
#include "cli/top_model.h"

struct top_options {
	unsigned interval_ms;
	int view; /* enum top_view, or TOP_VIEWS: the node */
	enum top_column sort;
	const char *filter; /* only names that have it; "" or NULL: all */
};

/* Until "q" or a signal. Returns an exit status. */
int top_screen_run(const struct cli *cli, const struct top_options *o);

#endif
