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

void check_authorization(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_AUTHORIZATION_POLICY)
			continue;
		if (o->authz.action == AUTHZ_AUDIT)
			errors_warn(mesh->errors, o->file, spec_pos(o, "action"),
				    "spec.action: AUDIT refuses nothing, and nothing is written of "
				    "what it is about");
		else if (authz_speaks_of_requests(&o->authz))
			check_requests(mesh, o);
	}
}
