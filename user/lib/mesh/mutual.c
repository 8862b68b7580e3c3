// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/mutual.h"

#include "lib/mesh/enrol.h"

static bool asks(const struct traffic_policy *p)
{
	return p->tls && p->tls->mode == CLIENT_TLS_ISTIO_MUTUAL;
}

static bool policy_asks(const struct dr_policy *p)
{
	if (asks(&p->policy))
		return true;
	for (size_t i = 0; i < p->ports.count; i++)
		if (asks(&p->ports.items[i].policy))
			return true;
	return false;
}

static bool rule_asks(const struct destination_rule *dr)
{
	if (policy_asks(&dr->policy))
		return true;
	for (size_t i = 0; i < dr->subsets.count; i++)
		if (policy_asks(&dr->subsets.items[i].policy))
			return true;
	return false;
}

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
		mesh->mutual = rule_asks(&mesh->destination_rules.items[i]->dr);
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
