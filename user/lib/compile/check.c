// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

#include <errno.h>

#include "lib/mesh/gateways.h"

static void check_server(struct mesh *mesh, const struct object *o, size_t i)
{
	const struct gw_server *s = &o->gateway.servers.items[i];
	struct pos at = s->pos.line ? s->pos : o->pos;
	enum server_kind kind = server_kind(s);

	if (kind == SERVER_HTTPS || kind == SERVER_TLS)
		check_tls_server(mesh, o, i);
	/* The schema has refused what would be of no kind. */
	if (kind == SERVER_NONE)
		errors_add(mesh->errors, o->file, at,
			   "spec.servers[%zu].port.protocol: weft does not carry out %s at a "
			   "gateway",
			   i, s->protocol ? s->protocol : "this");
}

static void check_gateway(struct mesh *mesh, const struct object *o)
{
	size_t i;

	for (i = 0; i < o->gateway.servers.count; i++)
		check_server(mesh, o, i);
}

int check_objects(struct mesh *mesh)
{
	size_t i;

	for (i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind == KIND_VIRTUAL_SERVICE)
			check_virtual_service(mesh, o);
		else if (o->kind == KIND_DESTINATION_RULE)
			check_destination_rule(mesh, o);
		else if (o->kind == KIND_GATEWAY)
			check_gateway(mesh, o);
	}
	check_entries(mesh);
	check_sni_names(mesh);
	return mesh->nomem ? -ENOMEM : 0;
}

int check_tables(struct mesh *mesh)
{
	size_t i;

	for (i = 0; i < mesh->t->services.count; i++) {
		const struct service *s = &mesh->t->services.items[i].value;
		const struct rule_origin *at = &mesh->t->rule_origins.items[s->rule_first];

		if (s->rule_count > SERVICE_MAX_RULES)
			errors_add(
				mesh->errors, at->file, at->pos,
				"spec: expected at most %d rules for one port of a service, not %u",
				SERVICE_MAX_RULES, s->rule_count);
	}
	return 0;
}
