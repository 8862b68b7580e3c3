// SPDX-License-Identifier: Apache-2.0
#include "lib/model/client_tls.h"

#include <stdbool.h>
#include <string.h>

static bool goes_up(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += strspn(at, "/");
		if (!strncmp(at, "..", 2) && (!at[2] || at[2] == '/'))
			return true;
	}
	return false;
}

const char *client_tls_beneath(const char *path, const char *dir)
{
	size_t len = dir ? strlen(dir) : 0;

	if (!len || *path != '/')
		return NULL;
	while (len && dir[len - 1] == '/')
		len--;
	if (strncmp(path, dir, len) != 0 || path[len] != '/' || goes_up(path + len))
		return NULL;
	path += len + strspn(path + len, "/");
	return *path ? path : NULL;
}
