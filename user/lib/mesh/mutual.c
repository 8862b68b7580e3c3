// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/mutual.h"

#include "lib/mesh/enrol.h"
#include "lib/mesh/mutual_ports.h"

int mutual_index(struct mesh *mesh)
{
	int r = 0;

	peers_free(&mesh->peers);
	for (size_t i = 0; i < mesh->rules.count && !r; i++)
		r = peers_add(&mesh->pool, &mesh->peers, mesh->rules.items[i]);
	if (!r)
		r = peers_settle(&mesh->peers);
	mesh->mutual = mesh->peers.strict;
	for (size_t i = 0; i < mesh->destination_rules.count && !mesh->mutual; i++)
		mesh->mutual = rule_asks_mutual(mesh->destination_rules.items[i], 0);
	return r;
}

bool mutual_in_use(const struct mesh *mesh)
{
	return mesh->mutual;
}

enum mtls_mode mutual_mode(struct mesh *mesh, const struct object *pod, unsigned port,
			   const struct object **by)
{
	return peers_mode(&mesh->peers, pod, port, by);
}

bool mutual_has(struct mesh *mesh, const struct object *pod)
{
	const struct home *home;

	if (!pod_has_address(pod))
		return false;
	if (!mesh->labelled_only)
		return true;
	home = bytemap_str(&mesh->homes, pod->meta.namespace);
	return enrol_is_labelled(pod, home ? home->o : NULL);
}
