// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/names_wanted.h"

#include <ctype.h>
#include <string.h>

#include "lib/model/hostname.h"

bool names_wanted_by(enum kind kind)
{
	return kind == KIND_SERVICE;
}

/* In lower case, without a final dot. False: it is no name. */
static bool plain_name(const char *name, char out[HOST_MAX])
{
	size_t len = name ? strlen(name) : 0;

	if (len && name[len - 1] == '.')
		len--;
	if (!len || len >= HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[len] = '\0';
	return true;
}

/* A Service that is known has its endpoints from its own objects, not from DNS. */
static bool is_known_service(const struct objects *objects, const char *name)
{
	char host[HOST_MAX];

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_SERVICE &&
		    !host_of_service(o->meta.name, o->meta.namespace, host) && str_eq(host, name))
			return true;
	}
	return false;
}

static bool may_be_service(const char *name)
{
	static const char suffix[] = ".svc.cluster.local";
	size_t len = strlen(name), end = sizeof(suffix) - 1;

	return len > end && strcmp(name + len - end, suffix) == 0;
}

static int want_external(const struct objects *objects, const struct object *service,
			 int (*want)(void *ctx, const char *name), void *ctx)
{
	char name[HOST_MAX];

	if (!str_eq(service->service.type, "ExternalName") ||
	    !plain_name(service->service.external_name, name))
		return 0;
	return may_be_service(name) && is_known_service(objects, name) ? 0 : want(ctx, name);
}

int names_wanted(const struct objects *objects, int (*want)(void *ctx, const char *name), void *ctx)
{
	int r = 0;

	for (size_t i = 0; !r && i < objects->count; i++)
		if (objects->items[i]->kind == KIND_SERVICE)
			r = want_external(objects, objects->items[i], want, ctx);
	return r;
}
