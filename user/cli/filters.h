/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_FILTERS_H
#define WEFT_CLI_FILTERS_H
/*
 * --from, --to, --status, --verdict and --protocol, of which weftd makes something
 * (daemon/api/log_filter.h). Each may be given more than once, and have commas between.
 */
#include <jansson.h>

#include "cli/cmd.h"

struct filters {
	struct cmd_list from, to, status, verdict, protocol;
};

#define FILTER_OPTIONS(f)                                                                       \
	{ 0, "from", .list = &(f)->from }, { 0, "to", .list = &(f)->to },                       \
		{ 0, "status", .list = &(f)->status }, { 0, "verdict", .list = &(f)->verdict }, \
	{                                                                                       \
		0, "protocol", .list = &(f)->protocol                                           \
	}

void filters_add(const struct cli *cli, const struct filters *f, json_t *request);
void filters_free(struct filters *f);

#endif
