// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/visibility.h"

#include <errno.h>

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
	const struct hosted *hosted;
	size_t i;
	int r = 0;

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
