// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <errno.h>

#include "lib/compile/check.h"
#include "lib/compile/index.h"
#include "lib/l4/l4.h"
#include "lib/l7/l7.h"
#include "lib/mesh/authorized.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/mesh/proxied.h"
#include "lib/route/snapshot.h"

/* ---- sources ---- */

/* Whether rules ask the same of the pods that call. */
static bool same_selectors(const struct tables *a, const struct tables *b)
{
	bool same = a->selectors.count == b->selectors.count;

	for (size_t i = 0; i < a->selectors.count && same; i++)
		same = tables_selector(b, a->selectors.items[i].id);
	return same;
}

/* With the pods' numbers in place of their workloads, as mesh_sources() has it. */
static int copy_sources(struct mesh *mesh, const struct tables *from)
{
	struct tables *t = mesh->t;
	size_t pod = 0;

	t->sources.items = malloc((from->sources.count + 1) * sizeof(*t->sources.items));
	if (!t->sources.items)
		return -ENOMEM;
	t->sources.room = from->sources.count + 1;
	t->sources.count = from->sources.count;
	for (size_t i = 0; i < t->sources.count; i++) {
		t->sources.items[i] = from->sources.items[i];
		while (mesh->pods.items[pod] != from->sources.items[i].pod)
			pod++;
		t->sources.items[i].value.workload = pod + 1;
	}
	return 0;
}

static int write_workloads(struct mesh *mesh, struct tables *from)
{
	int r = 0;

	if (from && same_selectors(mesh->t, from)) {
		tables_join_sources(mesh->t, from);
		return 0;
	}
	if (from)
		r = copy_sources(mesh, from);
	return r ? r : l4_workloads(mesh);
}

/* ---- all of it ---- */

static int compile_mesh(struct mesh *mesh, struct tables *from)
{
	int r = check_objects(mesh);

	mark_sni(mesh);
	if (!mesh->l4_only) {
		mark_proxied(mesh);
		mark_entries(mesh);
		check_http2(mesh);
	}
	if (!r && !from)
		r = mesh_sources(mesh);
	if (!r)
		mark_mutual(mesh);
	check_tunnels(mesh);
	if (!r)
		r = authorized_index(mesh);
	if (!r)
		r = mutual_direct_index(mesh);
	if (!r)
		r = mutual_inbound_index(mesh);
	if (!r && !mesh->l4_only) {
		mark_authorized(mesh);
		check_authorization(mesh);
	}
	if (!r)
		r = l4_compile(mesh);
	if (!r)
		r = l4_protect(mesh);
	if (!r)
		r = l4_authorize(mesh);
	if (!r)
		r = write_workloads(mesh, from);
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

static bool gateway_is_proxied(const struct object *gw)
{
	for (size_t i = 0; i < gw->gateway.servers.count; i++)
		if (server_is_proxied(server_kind(&gw->gateway.servers.items[i])))
			return true;
	return false;
}

/* Whether weft-proxy has anything to do. */
static bool needs_proxy(const struct mesh *mesh)
{
	size_t i, k;

	if (mutual_in_use(mesh))
		return true;
	for (i = 0; i < mesh->virtual_services.count; i++)
		if (mesh->virtual_services.items[i]->vs.http.count)
			return true;
	for (i = 0; i < mesh->gateways.count; i++)
		if (gateway_is_proxied(mesh->gateways.items[i]))
			return true;
	for (i = 0; i < mesh->services.count; i++)
		for (k = 0; k < mesh->host_list[i].port_count; k++)
			if (mesh->host_list[i].ports[k].proxied)
				return true;
	return false;
}

static int compile_snapshot(struct mesh *mesh, const struct http_snapshot *from)
{
	void *bytes;
	size_t size;
	int r = l7_compile(mesh, from, &bytes, &size);

	return r ? r : http_snapshot_own(bytes, size, &mesh->t->http);
}

int compile_index(struct mesh *mesh, enum compile_http http, struct tables *from)
{
	int r = compile_mesh(mesh, from);

	if (!r && mesh->errors->count - mesh->errors->warnings > mesh->fatal_before)
		r = -EINVAL;
	if (!r && (http != COMPILE_HTTP_NEEDED || needs_proxy(mesh)))
		r = compile_snapshot(mesh, from ? from->http : NULL);
	if (!r)
		tables_order_namespaces(mesh->t);
	return r;
}

int compile_http(struct mesh *mesh)
{
	return compile_snapshot(mesh, NULL);
}

int compile(const struct objects *objects, struct registry *registry, enum compile_http http,
	    struct tables **out, struct errors *errors)
{
	_cleanup_(mesh_done) struct mesh mesh = { .l4_only = http == COMPILE_HTTP_APART };
	int r = mesh_init(&mesh, objects, registry, errors);

	if (!r)
		r = compile_index(&mesh, http, NULL);
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
		r = compile_index(&x->mesh, http, NULL);
	if (!r)
		r = tables_spare_endpoints(x->mesh.t);
	if (r)
		return r;
	x->policies = have_policies(objects);
	x->mesh.objects = &none; /* the list is the caller's */
	x->mesh.errors = NULL;
	*out = TAKE_PTR(x->mesh.t);
	*index = TAKE_PTR(x);
	return 0;
}
