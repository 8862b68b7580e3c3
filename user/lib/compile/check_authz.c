// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies that are right, and say less than their author may think.
 */
#include "lib/compile/check.h"
#include "lib/mesh/authorized.h"

static void warn_port(struct mesh *mesh, const struct object *o, const struct mesh_port *sp)
{
	const struct meta *service = &sp->host->service->meta;

	errors_warn(mesh->errors, o->file, spec_pos(o, "rules"),
		    "spec.rules: port %u of service %s/%s carries connections, not requests that "
		    "weft reads: there a rule that speaks of hosts, methods, paths or headers %s",
		    sp->port->port, service->namespace, service->name,
		    o->authz.action == AUTHZ_ALLOW
			    ? "never holds, and what no other rule allows is refused"
			    : "holds whatever they are, by what it says of connections");
}

static void check_host(struct mesh *mesh, const struct object *o, struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		if (!authorized_reads(mesh, h, &h->ports[i])) {
			warn_port(mesh, o, &h->ports[i]);
			return;
		}
}

static void check_requests(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		if (h->name && !h->service->service.foreign &&
		    authorized_serves(mesh, h->service, o))
			check_host(mesh, o, h);
	}
}

static bool is_part(const struct kvs *part, const struct kvs *whole)
{
	for (size_t i = 0; i < part->count; i++) {
		bool found = false;

		for (size_t k = 0; k < whole->count && !found; k++)
			found = str_eq(part->items[i].key, whole->items[k].key) &&
				str_eq(part->items[i].value, whole->items[k].value);
		if (!found)
			return false;
	}
	return part->count;
}

/* There is no such workload that requests go through. A warning, as anyone may make a Gateway: it
 * is not to undo what somebody else's policy says of pods. */
static void check_gateways(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		if (!is_part(&o->authz.selector, &gw->gateway.selector))
			continue;
		errors_warn(mesh->errors, o->file, spec_pos(o, "selector"),
			    "spec.selector: the policy holds for pods with these labels, and weft "
			    "does not carry it out for the workload of a Gateway (%s/%s has them): "
			    "the policies of the pods behind it hold for what comes by it, and a "
			    "ConnectionPolicy says who is heard from outside",
			    gw->meta.namespace, gw->meta.name);
		return;
	}
}

void check_authorization(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_AUTHORIZATION_POLICY)
			continue;
		check_gateways(mesh, o);
		if (authz_speaks_of_requests(&o->authz))
			check_requests(mesh, o);
	}
}
