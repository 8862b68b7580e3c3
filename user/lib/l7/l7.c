// SPDX-License-Identifier: Apache-2.0
#include "lib/l7/l7.h"

#include <errno.h>

#include "lib/base/cleanup.h"
#include "lib/l7/l7_priv.h"
#include "lib/mesh/peer.h"

static int compile_all(struct http_compiler *c)
{
	int r = http_policies_write(c);

	http_claim_names(c);
	if (!r)
		r = http_authz_write(c);
	if (!r)
		r = http_workloads_write(c);
	if (!r)
		r = http_compile_mesh(c);
	if (!r)
		r = http_compile_gateways(c);
	if (!r)
		r = http_listeners_write(c);
	if (!r)
		r = http_sources_write(c);
	if (!r)
		r = http_tracings_write(c);
	http_namespaces_write(c);
	return r || !c->mesh->nomem ? r : -ENOMEM;
}

/* All but the rows. */
static void forget(struct http_compiler *c)
{
	bytemap_free(&c->clusters);
	bytemap_free(&c->labels);
	bytemap_free(&c->names);
	bytemap_free(&c->plains);
	bytemap_free(&c->sni_names);
	bytemap_free(&c->sni_ports);
	bytemap_free(&c->seen);
	bytemap_free(&c->unknown);
	bytemap_free(&c->visited);
	policy_classes_free(&c->policies);
	free(TAKE_PTR(c->domains.items));
	free(TAKE_PTR(c->servers.items));
	free(TAKE_PTR(c->snis.list.items));
}

void http_compiler_done(struct http_compiler *c)
{
	http_build_done(&c->build);
	forget(c);
}

static void forget_rows(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->services.count; i++)
		for (size_t k = 0; k < mesh->host_list[i].port_count; k++)
			mesh->host_list[i].ports[k].http_rows = NULL;
}

int l7_compile(struct mesh *mesh, const struct http_snapshot *from, void **out, size_t *size)
{
	_cleanup_(http_compiler_done) struct http_compiler c = { .mesh = mesh, .from = from };
	int r = http_build_init(&c.build);

	c.build.flags = mesh->registry_only ? HS_REGISTRY_ONLY : 0;
	if (mesh->gateways.count)
		c.build.gateway_peer = peer_gateway_id(mesh->registry);
	forget_rows(mesh);
	if (!r)
		r = compile_all(&c);
	forget(&c); /* the block of all rows needs as much again */
	return r ? r : http_build_finish(&c.build, out, size);
}
