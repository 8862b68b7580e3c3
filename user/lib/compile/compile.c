// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <errno.h>

#include "lib/compile/check.h"
#include "lib/compile/index.h"
#include "lib/l4/l4.h"
#include "lib/l7/l7.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/route/snapshot.h"

static int compile_mesh(struct mesh *mesh)
{
	int r = check_objects(mesh);

	if (!mesh->l4_only) {
		mark_proxied(mesh);
		check_http2(mesh);
	}
	if (!r)
		r = mesh_sources(mesh);
	if (!r)
		r = l4_compile(mesh);
	if (!r)
		r = check_tables(mesh);
	check_http_rules(mesh);
	if (!r && !mesh->l4_only &&
	    mesh->errors->count - mesh->errors->warnings == mesh->fatal_before)
		check_remarks(mesh);
	if (!r && mesh->nomem)
		r = -ENOMEM;
	return r;
}

static bool gateway_speaks_http(const struct object *gw)
{
	bool tls;

	for (size_t i = 0; i < gw->gateway.servers.count; i++)
		if (http_server(&gw->gateway.servers.items[i], &tls))
			return true;
	return false;
}

/* Whether weft-proxy has anything to do. */
static bool speaks_of_http(const struct mesh *mesh)
{
	size_t i, k;

	for (i = 0; i < mesh->virtual_services.count; i++)
		if (mesh->virtual_services.items[i]->vs.http.count)
			return true;
	for (i = 0; i < mesh->gateways.count; i++)
		if (gateway_speaks_http(mesh->gateways.items[i]))
			return true;
	for (i = 0; i < mesh->services.count; i++)
		for (k = 0; k < mesh->host_list[i].port_count; k++)
			if (mesh->host_list[i].ports[k].proxied)
				return true;
	return false;
}

static int compile_all(struct mesh *mesh, enum compile_http http)
{
	int r = compile_mesh(mesh);

	if (!r && mesh->errors->count - mesh->errors->warnings > mesh->fatal_before)
		r = -EINVAL;
	if (!r && (http != COMPILE_HTTP_NEEDED || speaks_of_http(mesh)))
		r = compile_http(mesh);
	if (!r)
		tables_order_namespaces(mesh->t);
	return r;
}

int compile_http(struct mesh *mesh)
{
	void *bytes;
	size_t size;
	int r = l7_compile(mesh, &bytes, &size);

	return r ? r : http_snapshot_own(bytes, size, &mesh->t->http);
}

int compile(const struct objects *objects, struct registry *registry, enum compile_http http,
	    struct tables **out, struct errors *errors)
{
	_cleanup_(mesh_done) struct mesh mesh = { .l4_only = http == COMPILE_HTTP_APART };
	int r = mesh_init(&mesh, objects, registry, errors);

	if (!r)
		r = compile_all(&mesh, http);
	if (!r)
		*out = TAKE_PTR(mesh.t);
	return r;
}

static bool have_policies(const struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->kind == KIND_NETWORK_POLICY)
			return true;
	return false;
}

int compile_keeping(const struct objects *objects, struct registry *registry,
		    enum compile_http http, struct tables **out, struct compile_index **index,
		    struct errors *errors)
{
	static const struct objects none;
	_cleanup_(compile_index_freep) struct compile_index *x = calloc(1, sizeof(*x));
	int r = x ? mesh_init(&x->mesh, objects, registry, errors) : -ENOMEM;

	if (!r)
		r = compile_all(&x->mesh, http);
	if (r)
		return r;
	x->policies = have_policies(objects);
	x->mesh.objects = &none; /* the list is the caller's */
	x->mesh.errors = NULL;
	*out = TAKE_PTR(x->mesh.t);
	*index = TAKE_PTR(x);
	return 0;
}
