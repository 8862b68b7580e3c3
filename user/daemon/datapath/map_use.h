/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_MAP_USE_H
#define WEFT_DAEMON_DATAPATH_MAP_USE_H
/*
 * How full the maps are, and what they cost. For any thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct kernel;

struct map_use {
	const char *name;
	uint64_t memory;  /* bytes, as the kernel tells them; of the tables of a generation those in
			   * force */
	bool filled;	  /* it is a table that can be full: */
	uint64_t entries; /* that it has, */
	uint64_t room;	  /* and may have */
	bool evicts;	  /* full is as it should be: the oldest make room for what is new */
};

/* Every map that there is. Tables are counted by walking over them: milliseconds where many
 * connections are open. A non-zero answer ends it and is returned; -errno. */
int map_use_each(const struct kernel *k, int (*each)(void *arg, const struct map_use *u),
		 void *arg);

#endif
