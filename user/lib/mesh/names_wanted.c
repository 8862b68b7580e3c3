// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/names_wanted.h"

#include <string.h>

#include "lib/mesh/entries.h"

/* What asks, and for whom. */
struct asking {
	const struct objects *objects;
	int (*want)(void *ctx, const char *name);
	void *ctx;
};

bool names_wanted_by(enum kind kind)
{
	return kind == KIND_SERVICE || kind == KIND_SERVICE_ENTRY;
}

static int want_name(const struct asking *a, const char *given)
{
	char name[HOST_MAX];

	return entry_name(given, name) ? a->want(a->ctx, name) : 0;
}

/* A Service that is known has its endpoints from its own objects, not from DNS. */
static bool is_known_service(const struct objects *objects, const char *given)
{
	static const char suffix[] = ".svc.cluster.local";
	char name[HOST_MAX], host[HOST_MAX];
	size_t len;

	if (!entry_name(given, name))
		return false;
	len = strlen(name);
	if (len < sizeof(suffix) || strcmp(name + len - (sizeof(suffix) - 1), suffix) != 0)
		return false;
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_SERVICE &&
		    !host_of_service(o->meta.name, o->meta.namespace, host) && str_eq(host, name))
			return true;
	}
	return false;
}

static int want_external(const struct asking *a, const struct service_spec *s)
{
	/* No rule can lead to one without ports. */
	if (!str_eq(s->type, "ExternalName") || !s->external_name || !s->ports.count ||
	    is_known_service(a->objects, s->external_name))
		return 0;
	return want_name(a, s->external_name);
}

/* The names of endpoints, or without any the hosts themselves. */
static int want_entry(const struct asking *a, const struct entry_spec *e)
{
	int r = 0;

	if (e->resolution != RESOLUTION_DNS && e->resolution != RESOLUTION_DNS_ROUND_ROBIN)
		return 0;
	for (size_t i = 0; i < e->endpoints.count && !r; i++)
		if (!e->endpoints.items[i].numeric)
			r = want_name(a, e->endpoints.items[i].address);
	for (size_t i = 0; !e->endpoints.count && i < e->hosts.count && !r; i++)
		r = want_name(a, e->hosts.items[i]);
	return r;
}

int names_wanted(const struct objects *objects, int (*want)(void *ctx, const char *name), void *ctx)
{
	const struct asking a = { objects, want, ctx };
	int r = 0;

	for (size_t i = 0; i < objects->count && !r; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_SERVICE)
			r = want_external(&a, &o->service);
		else if (o->kind == KIND_SERVICE_ENTRY)
			r = want_entry(&a, &o->entry);
	}
	return r;
}
