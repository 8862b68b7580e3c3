// SPDX-License-Identifier: Apache-2.0
/*
 * DestinationRules' tls: what of it can't be carried out.
 */
#include "lib/compile/check.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/mesh/proxied.h"
#include "lib/model/client_tls.h"

void check_client_files(struct mesh *mesh, const struct object *o, const char *field,
			const struct client_tls *t)
{
	static const char *const names[CLIENT_TLS_FILES] = { "clientCertificate", "privateKey",
							     "caCertificates", "caCrl" };
	const char *dir = mesh->client_tls_dir, *files[CLIENT_TLS_FILES];

	if (!t || t->mode == CLIENT_TLS_DISABLE || (t->credential && *t->credential))
		return;
	(void)client_tls_files(t, files);
	for (size_t i = 0; i < CLIENT_TLS_FILES; i++)
		if (*files[i] && !client_tls_beneath(files[i], dir))
			errors_add(mesh->errors, o->file, t->pos.line ? t->pos : o->pos,
				   "%s.tls.%s: expected a file beneath the directory that weftd's "
				   "option --client-tls-dir names (%s), not \"%s\"",
				   field, names[i], dir && *dir ? dir : "it is not given",
				   files[i]);
}

/* ---- ports of ServiceEntries without single addresses ---- */

static void refuse_tls(struct mesh *mesh, const struct object *o, const struct mesh_port *sp)
{
	if (rule_speaks_tls(o, sp->port->port) || rule_asks_mutual(o, sp->port->port))
		errors_add(mesh->errors, o->file, spec_pos(o, "trafficPolicy"),
			   "spec.trafficPolicy.tls: weft does not carry out tls for port %u of "
			   "\"%s\", which is not HTTP and has no single addresses (a ServiceEntry "
			   "with subnets, or without addresses)",
			   sp->port->port, sp->host->name);
}

static void refuse_rules(struct mesh *mesh, const struct object *o, const struct mesh_port *sp)
{
	const char *field = o->vs.tls.count ? "tls" : "tcp";

	if (rule_makes_tunnels(mesh, o, sp) || rule_leads_to_mutual(mesh, o))
		errors_add(
			mesh->errors, o->file, spec_pos(o, field),
			"spec.%s: weft does not carry out rules that choose by the SNI, or lead "
			"to where a DestinationRule has tls, for port %u of \"%s\", which has no "
			"single addresses (a ServiceEntry with subnets, or without addresses)",
			field, sp->port->port, sp->host->name);
}

static void refuse_port(struct mesh *mesh, const struct mesh_port *sp)
{
	struct host_iter rules = host_iter(&mesh->dr_index, sp->host->name);
	struct host_iter routes = host_iter(&mesh->vs_index, sp->host->name);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&rules)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			refuse_tls(mesh, hosted->refs.items[i], sp);
	while ((hosted = host_iter_next(&routes)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			refuse_rules(mesh, hosted->refs.items[i], sp);
}

void check_tunnels(struct mesh *mesh)
{
	for (size_t i = 0; mesh->entries.count && i < mesh->services.count; i++) {
		const struct host *h = &mesh->host_list[i];

		for (size_t k = 0; h->name && host_entry(h) && k < h->port_count; k++)
			if (h->ports[k].by_sni && !host_tells_port(h, &h->ports[k]))
				refuse_port(mesh, &h->ports[k]);
	}
}
