/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_SYSDUMP_MAPS_H
#define WEFT_CLI_SYSDUMP_MAPS_H
/*
 * The kernel's tables that weft has pinned, as text: with the names of their members, as `bpftool
 * map dump` prints them.
 */
#include <stdio.h>

enum { SYSDUMP_ENTRIES = 2000 }; /* of each map */

/* Calls file() for each map pinned in `dir`, with its name and what is in it; rows of arrays that
 * are all 0 are left out. 0, or -errno of the first one that can't be read. */
int sysdump_maps(const char *dir,
		 void (*file)(void *arg, const char *name, const char *text, size_t size),
		 void *arg);

#endif
