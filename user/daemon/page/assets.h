/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_ASSETS_H
#define WEFT_DAEMON_PAGE_ASSETS_H
/*
 * The page's files, as the build has put them into the program: assets/, each compressed by gzip.
 */
#include <stdbool.h>
#include <stddef.h>

struct asset {
	const char *type; /* Content-Type */
	const void *bytes;
	size_t size;
};

/* Whether there is one at the path that a browser asks for ("/page.css"); into *out, whose bytes
 * are the program's own. */
bool asset_find(const char *path, struct asset *out);

#endif
