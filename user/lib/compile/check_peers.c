// SPDX-License-Identifier: Apache-2.0
/*
 * PeerAuthentications that are right, and say less, or close more, than their author may think.
 */
#include "lib/compile/check.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/external.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/mutual.h"
#include "lib/model/remarks.h"

/* ---- policies that hold for no pod ---- */

static void check_counts(struct mesh *mesh, const struct object *o)
{
	const struct object *older;
	char at[PLACE_MAX];

	if (o->stands_in || peers_counts(&mesh->peers, o, &older))
		return;
	if (older)
		errors_remark(mesh->errors, REMARK_PEER_IGNORED, o, o->pos,
			      "peerauthentication %s/%s (%s) is older, and for all of the "
			      "namespace, too: this one has no effect",
			      older->meta.namespace, older->meta.name,
			      place_text(at, sizeof(at), older->file, older->pos));
	else
		errors_remark(mesh->errors, REMARK_PEER_IGNORED, o, spec_pos(o, "selector"),
			      "spec.selector: a PeerAuthentication of " ROOT_NAMESPACE
			      " with a selector is for no pod, as with Istio");
}

static bool selects_any(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < mesh->pods.count; i++)
		if (peers_selects(o, mesh->pods.items[i]) && mutual_has(mesh, mesh->pods.items[i]))
			return true;
	return false;
}

/* While mutual TLS is not in use, pods come and go without anything being looked at anew. */
static void check_selects(struct mesh *mesh, const struct object *o)
{
	const struct object *older;

	if (!mutual_in_use(mesh) || !mesh->pods.count || !o->peer.selector.count || o->stands_in ||
	    !peers_counts(&mesh->peers, o, &older) || selects_any(mesh, o))
		return;
	errors_remark(mesh->errors, REMARK_NO_WORKLOAD, o, spec_pos(o, "selector"),
		      "spec.selector: no pod of namespace %s that is in the mesh has these labels",
		      o->meta.namespace);
}

/* ---- calls from outside that the kernel carries ---- */

/* The policy by which one of the endpoints is STRICT; NULL: none is. */
static const struct object *strict_of(struct mesh *mesh, struct mesh_port *sp)
{
	for (enum family family = 0; family < FAMILY_MAX; family++) {
		const struct members *m = port_members(mesh, sp, family);

		for (size_t i = 0; m && i < m->count; i++) {
			const struct object *pod = member_pod(mesh, &m->items[i]), *by;

			if (pod && mutual_has(mesh, pod) &&
			    mutual_mode(mesh, pod, m->items[i].endpoint.port, &by) == MTLS_STRICT)
				return by;
		}
	}
	return NULL;
}

static void remark_outside(struct mesh *mesh, const struct mesh_port *sp, const struct object *by,
			   const char *way)
{
	const struct meta *service = &sp->host->service->meta;

	errors_remark(
		mesh->errors, REMARK_STRICT_OUTSIDE, by, spec_pos(by, "mtls"),
		"spec: a pod of service %s/%s is STRICT at port %u: what calls it from outside "
		"%s speaks no mutual TLS, and is refused",
		service->namespace, service->name, sp->port->port, way);
}

static bool has_external(const struct service_spec *s)
{
	struct external e;
	size_t next = 0;

	return external_next(s, &next, &e);
}

static void check_service(struct mesh *mesh, struct host *h)
{
	const struct service_spec *s = &h->service->service;
	bool external = has_external(s);

	for (size_t i = 0; i < h->port_count; i++) {
		struct mesh_port *sp = &h->ports[i];
		const struct object *by = sp->port->node_port || external ? strict_of(mesh, sp)
									  : NULL;

		if (!by)
			continue;
		remark_outside(mesh, sp, by,
			       sp->port->node_port ? "by its nodePort" : "by its external address");
		return;
	}
}

static bool has_tcp_server(const struct object *gw)
{
	for (size_t i = 0; i < gw->gateway.servers.count; i++)
		if (server_kind(&gw->gateway.servers.items[i]) == SERVER_TCP)
			return true;
	return false;
}

static bool is_at_tcp_gateway(const struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < mesh->gateways.count; i++)
		if (gateways_have(&o->vs.gateways, o->meta.namespace, mesh->gateways.items[i]) &&
		    has_tcp_server(mesh->gateways.items[i]))
			return true;
	return false;
}

static struct mesh_port *port_of(struct mesh *mesh, const struct object *o,
				 const struct destination *d)
{
	char name[HOST_MAX];
	struct host *h = NULL;

	if (d->host && !host_complete(d->host, o->meta.namespace, name))
		h = mesh_host(mesh, name);
	if (h && !d->port && h->port_count == 1)
		return &h->ports[0];
	return h && d->port ? host_port(h, d->port) : NULL;
}

static void check_tcp_routes(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < o->vs.tcp.count; i++)
		for (size_t k = 0; k < o->vs.tcp.items[i].route.count; k++) {
			struct mesh_port *sp =
				port_of(mesh, o, &o->vs.tcp.items[i].route.items[k].destination);
			const struct object *by = sp ? strict_of(mesh, sp) : NULL;

			if (by)
				remark_outside(mesh, sp, by, "by a Gateway's server of TCP");
		}
}

static void check_outside(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->services.count; i++)
		if (mesh->host_list[i].name)
			check_service(mesh, &mesh->host_list[i]);
	for (size_t i = 0; i < mesh->virtual_services.count; i++) {
		const struct object *o = mesh->virtual_services.items[i];

		if (o->vs.tcp.count && is_at_tcp_gateway(mesh, o))
			check_tcp_routes(mesh, o);
	}
}

void check_peers(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_PEER_AUTHENTICATION)
			continue;
		check_counts(mesh, o);
		check_selects(mesh, o);
	}
	if (mesh->peers.strict)
		check_outside(mesh);
}
