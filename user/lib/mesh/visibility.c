// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/visibility.h"

#include <errno.h>

#include "lib/mesh/entries.h"
#include "lib/mesh/proxied.h"

int names_add(struct names *n, const char *name)
{
	void **known = bytemap_at(&n->known, name, strlen(name));
	const char **slot;

	if (!known)
		return -ENOMEM;
	if (*known)
		return 0;
	slot = table_grow((void **)&n->items, &n->count, &n->room, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = name;
	*known = (void *)name;
	return 0;
}

void names_free(struct names *n)
{
	free(n->items);
	bytemap_free(&n->known);
}

int names_add_exports(struct names *n, const struct strs *export_to, const char *own)
{
	size_t i;
	int r = 0;

	if (export_visible(export_to, own, NULL))
		return 0;
	for (i = 0; i < export_to->count && !r; i++)
		r = names_add(n, !strcmp(export_to->items[i], ".") ? own : export_to->items[i]);
	return r;
}

int names_add_rules(struct mesh *mesh, struct names *n, const char *host, const char *service_ns)
{
	struct host_iter it = host_iter(&mesh->dr_index, host);
	const struct host *h = mesh->entries.count ? mesh_host(mesh, host) : NULL;
	const struct strs *exports = h ? host_exports(h) : NULL;
	const struct hosted *hosted;
	size_t i;
	int r = exports ? names_add_exports(n, exports, service_ns) : 0;

	while (!r && (hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count && !r; i++) {
			const struct object *o = hosted->refs.items[i];

			if (!str_eq(o->meta.namespace, service_ns) ||
			    !export_visible(&o->dr.export_to, service_ns, NULL))
				r = names_add(n, o->meta.namespace);
			if (!r)
				r = names_add_exports(n, &o->dr.export_to, o->meta.namespace);
		}
	}
	return r;
}

static int names_add_routes(struct mesh *mesh, struct names *n, const struct object *o,
			    const struct l4_routes *routes)
{
	char name[HOST_MAX];
	size_t i, k;
	int r = 0;

	for (i = 0; i < routes->count; i++) {
		for (k = 0; k < routes->items[i].route.count && !r; k++) {
			const struct destination *d = &routes->items[i].route.items[k].destination;
			struct host *h;

			if (host_complete(d->host, o->meta.namespace, name))
				continue;
			h = host_concrete(mesh, mesh_host(mesh, name));
			if (h)
				r = names_add_rules(mesh, n, h->name, h->service->meta.namespace);
		}
	}
	return r;
}

int names_add_clients(struct mesh *mesh, struct names *n, const struct host *h)
{
	struct host_iter it = host_iter(&mesh->vs_index, h->name);
	const struct hosted *hosted;
	size_t i;
	int r = names_add_rules(mesh, n, h->name, h->service->meta.namespace);

	while (!r && (hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count && !r; i++) {
			const struct object *o = hosted->refs.items[i];

			r = names_add_exports(n, &o->vs.export_to, o->meta.namespace);
			if (!r)
				r = names_add_routes(mesh, n, o, &o->vs.tcp);
			if (!r)
				r = names_add_routes(mesh, n, o, &o->vs.tls);
		}
	}
	return r;
}
