// SPDX-License-Identifier: Apache-2.0
#include "lib/model/client_tls.h"

#include <string.h>

#include "lib/model/hostname.h"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* "system" is Istio's word for the system's CAs, which are what counts without a file, too. */
bool client_tls_files(const struct client_tls *t, const char *out[CLIENT_TLS_FILES])
{
	bool own = t->mode == CLIENT_TLS_MUTUAL, any = t->mode != CLIENT_TLS_ISTIO_MUTUAL;

	out[0] = own ? or_empty(t->chain) : "";
	out[1] = own ? or_empty(t->key) : "";
	out[2] = !any || str_eq(t->ca, "system") ? "" : or_empty(t->ca);
	out[3] = any ? or_empty(t->crl) : "";
	return *out[0] || *out[1] || *out[2] || *out[3];
}

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
	size_t len;

	if (!dir || !*dir)
		return NULL;
	path += strspn(path, "/");
	dir += strspn(dir, "/");
	len = strlen(dir);
	while (len && dir[len - 1] == '/')
		len--;
	if (strncmp(path, dir, len) != 0 || (len && path[len] != '/') || goes_up(path + len))
		return NULL;
	path += len + strspn(path + len, "/");
	return *path ? path : NULL;
}
