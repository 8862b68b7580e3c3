// SPDX-License-Identifier: Apache-2.0
/*
 * DestinationRules that do not get what they ask for from mutual TLS, or ask for what is refused.
 */
#include "lib/compile/check.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/mesh/policy.h"
#include "lib/model/remarks.h"

/* What the policy says for the port: a subset's, where that says something of TLS. */
static const struct client_tls *tls_at(const struct dr_policy *p, unsigned port)
{
	for (size_t i = 0; i < p->ports.count; i++)
		if (p->ports.items[i].port == port)
			return p->ports.items[i].policy.tls;
	return p->policy.tls;
}

static const struct client_tls *says(const struct object *o, unsigned port, enum client_tls_mode m)
{
	const struct client_tls *t = tls_at(&o->dr.policy, port);

	for (size_t i = 0; i < o->dr.subsets.count && (!t || t->mode != (int)m); i++)
		t = tls_at(&o->dr.subsets.items[i].policy, port);
	return t && t->mode == (int)m ? t : NULL;
}

static struct pos pos_of(const struct object *o, const struct client_tls *t)
{
	return t->pos.line ? t->pos : spec_pos(o, "trafficPolicy");
}

/* A pod that takes nothing but mutual TLS, and the PeerAuthentication that says so. */
struct strict {
	const struct object *pod, *by;
};

/* Without a node (offline) any pod may be on another one than its callers. */
static bool is_strict(struct mesh *mesh, const struct endpoint *e, struct strict *out)
{
	enum mutual_place place = mutual_place(mesh, &e->addr, &out->pod);

	return (place == MUTUAL_ELSEWHERE || (place == MUTUAL_HERE && !mesh->node)) &&
	       mutual_mode(mesh, out->pod, e->port, &out->by) == MTLS_STRICT;
}

/* The first endpoint that is STRICT, on another node (`strict`), or that is none of the mesh's. */
static const struct endpoint *find_endpoint(struct mesh *mesh, struct mesh_port *sp,
					    struct strict *strict)
{
	const struct object *pod;

	for (enum family family = 0; family < FAMILY_MAX; family++) {
		struct members *list = port_members(mesh, sp, family);

		mesh->nomem |= !list;
		for (size_t i = 0; list && i < list->count; i++) {
			const struct endpoint *e = &list->items[i].endpoint;

			if (strict ? is_strict(mesh, e, strict)
				   : mutual_place(mesh, &e->addr, &pod) == MUTUAL_STRANGER)
				return e;
		}
	}
	return NULL;
}

/* Istio's well-known trap: every call is answered with 503. */
static bool check_disable(struct mesh *mesh, const struct object *o, struct mesh_port *sp)
{
	const struct client_tls *t = says(o, sp->port->port, CLIENT_TLS_DISABLE);
	struct strict strict = { 0 };

	if (!t || !find_endpoint(mesh, sp, &strict))
		return false;
	errors_remark(mesh->errors, REMARK_MTLS_CONFLICT, o, pos_of(o, t),
		      "tls.mode: DISABLE, while pod %s/%s takes nothing but mutual TLS at port %u "
		      "of %s (PeerAuthentication %s/%s): it refuses what comes from other nodes",
		      strict.pod->meta.namespace, strict.pod->meta.name, sp->port->port,
		      sp->host->name, strict.by->meta.namespace, strict.by->meta.name);
	return true;
}

static bool check_strangers(struct mesh *mesh, const struct object *o, struct mesh_port *sp)
{
	const struct client_tls *t = says(o, sp->port->port, CLIENT_TLS_ISTIO_MUTUAL);
	const struct endpoint *e = t ? find_endpoint(mesh, sp, NULL) : NULL;
	char text[ADDR_TEXT_MAX];

	if (!e)
		return false;
	addr_format_port(&e->addr, e->port, text);
	errors_remark(mesh->errors, REMARK_MTLS_STRANGER, o, pos_of(o, t),
		      "tls.mode: ISTIO_MUTUAL, while the endpoint %s of port %u of %s is no pod "
		      "of the mesh: connections to it are refused",
		      text, sp->port->port, sp->host->name);
	return true;
}

static bool check_host(struct mesh *mesh, const struct object *o, struct host *h)
{
	bool said = false;

	if (!h || !h->name || h->service->service.foreign)
		return false;
	for (size_t i = 0; i < h->port_count && !said; i++) {
		struct mesh_port *sp = &h->ports[i];

		said = check_disable(mesh, o, sp) || check_strangers(mesh, o, sp);
	}
	return said;
}

/* The first of its hosts that there is something to say of. */
static void check_rule(struct mesh *mesh, const struct object *o)
{
	char name[HOST_MAX];
	bool said = false;

	if (host_complete(o->dr.host, o->meta.namespace, name))
		return;
	if (!host_is_wildcard(name)) {
		(void)check_host(mesh, o, mesh_host(mesh, name));
		return;
	}
	for (size_t i = 0; i < mesh->services.count && !said; i++) {
		struct host *h = &mesh->host_list[i];

		said = h->name && host_includes(name, h->name) && check_host(mesh, o, h);
	}
}

void check_mutual(struct mesh *mesh)
{
	if (!mutual_in_use(mesh))
		return;
	for (size_t i = 0; i < mesh->destination_rules.count; i++)
		check_rule(mesh, mesh->destination_rules.items[i]);
}
