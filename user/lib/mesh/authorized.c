// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/authorized.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/mesh/mutual.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/mesh/proxied.h"

bool authorized_any(const struct mesh *mesh)
{
	if (mutual_in_use(mesh))
		return true;
	for (size_t i = 0; i < mesh->rules.count; i++)
		if (mesh->rules.items[i]->kind == KIND_AUTHORIZATION_POLICY)
			return true;
	return false;
}

/* It runs on this node, with a network of its own, and is in the mesh: policies hold for it, and as
 * a caller it has an identity. */
static bool is_known(struct mesh *mesh, const struct object *pod)
{
	return mutual_is_here(mesh, pod) && mutual_has(mesh, pod);
}

/* Labels that can't be read may be those of any selector. */
static int find_set(struct mesh *mesh, const struct object *pod, struct authorized_pod *out)
{
	struct authz_strict strict = peers_strict(&mesh->peers, pod);
	const struct authz_set *set;
	int r = authz_rows_select(&mesh->authz, pod->meta.namespace,
				  pod->pod.labels_unknown ? NULL : &pod->meta.labels, &strict,
				  &out->set);

	if (r || !out->set)
		return r;
	set = &mesh->authz.sets.items[out->set - 1];
	out->authorized = set->authorizes || set->audits;
	return 0;
}

static int add_pod(struct mesh *mesh, const struct object *pod)
{
	struct authorized_pod *slot;

	if (!is_known(mesh, pod))
		return 0;
	slot = table_push(&mesh->authz_pods);
	if (!slot)
		return -ENOMEM;
	slot->pod = pod;
	return find_set(mesh, pod, slot);
}

int authorized_index(struct mesh *mesh)
{
	int r;

	mesh->authz_pods.count = 0;
	authz_rows_free(&mesh->authz);
	if (!authorized_any(mesh))
		return 0;
	r = authz_rows_make(&mesh->authz, mesh->rules.items, mesh->rules.count, ROOT_NAMESPACE);
	for (size_t i = 0; i < mesh->pods.count && !r; i++)
		r = add_pod(mesh, mesh->pods.items[i]);
	return r;
}

/* ---- ports ---- */

bool authorized_backs(const struct authorized_pod *p, const struct object *service)
{
	const struct kvs *selector = &service->service.selector;

	return p->authorized && str_eq(p->pod->meta.namespace, service->meta.namespace) &&
	       selector->count && labels_hold(&p->pod->meta.labels, selector);
}

/* What is not HTTP/1 weft-proxy does not speak: it is judged as a connection, where the pod is. */
bool authorized_reads(struct mesh *mesh, const struct host *h, const struct mesh_port *sp)
{
	return port_carries_http(mesh, h, sp) && !port_is_http2(sp->port);
}

bool authorized_serves(const struct mesh *mesh, const struct object *service,
		       const struct object *policy)
{
	for (size_t i = 0; i < mesh->authz_pods.count; i++) {
		const struct authorized_pod *p = &mesh->authz_pods.items[i];

		if (authorized_backs(p, service) &&
		    (!policy || authz_selects(policy, mesh->authz.root, p->pod->meta.namespace,
					      &p->pod->meta.labels)))
			return true;
	}
	return false;
}

static void mark_ports(struct mesh *mesh, struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		if (authorized_reads(mesh, h, &h->ports[i]))
			h->ports[i].proxied = true;
}

void mark_authorized(struct mesh *mesh)
{
	if (!mesh->authz.sets.count)
		return;
	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		if (h->name && !h->service->service.foreign &&
		    authorized_serves(mesh, h->service, NULL))
			mark_ports(mesh, h);
	}
}
