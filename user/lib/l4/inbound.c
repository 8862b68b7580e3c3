// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of pods at which weft-proxy has what calls the pod's own address: of this node's, to judge
 * requests by AuthorizationPolicies and to end mutual TLS; of other nodes', where clients of a
 * headless Service have to speak it.
 */
#include <errno.h>

#include "lib/l4/l4.h"
#include "lib/l4/services.h"
#include "lib/mesh/authorized.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/external.h"
#include "lib/mesh/mutual_ports.h"

/* A pod's address and port that weft-proxy has. */
struct inbound {
	struct addr addr;
	__u64 port; /* as wide as that, there are no holes */
};

/* `new`: it has no entries yet. */
static int note(struct mesh *mesh, const struct inbound *in, struct bytemap *done, bool *new)
{
	struct inbound *copy = pool_alloc(&mesh->pool, sizeof(*copy));
	void **at;

	if (!copy)
		return -ENOMEM;
	*copy = *in;
	at = bytemap_at(done, copy, sizeof(*copy));
	if (!at)
		return -ENOMEM;
	*new = !*at;
	*at = copy;
	return 0;
}

/* Those that call from elsewhere; `near`: those of this node, too. */
static int write_entries(struct mesh *mesh, struct mesh_port *sp, const struct inbound *in,
			 struct bytemap *done, bool near)
{
	struct service_key key = { .addr = in->addr,
				   .port = (__u16)in->port,
				   .scope = SCOPE_OUTSIDE };
	bool new;
	int r = note(mesh, in, done, &new);

	if (r || !new)
		return r;
	r = service_write_proxied(mesh, sp, &key);
	key.scope = SCOPE_MESH;
	return r || !near ? r : service_write_proxied(mesh, sp, &key);
}

static int compile_port(struct mesh *mesh, struct mesh_port *sp, const struct object *pod,
			unsigned port, struct bytemap *done, bool near)
{
	struct inbound in = { .port = port };
	int r = 0;

	for (size_t i = 0; port && i < pod->pod.ips.count && !r; i++)
		if (!addr_parse(pod->pod.ips.items[i], &in.addr) &&
		    bytemap_get(&mesh->pods_by_addr, in.addr.b, sizeof(in.addr.b)) == pod)
			r = write_entries(mesh, sp, &in, done, near);
	return r;
}

/* Who calls a pod that policies select, from elsewhere or from here, weft-proxy is to judge. */
static int compile_authorized(struct mesh *mesh, struct host *h, struct bytemap *done)
{
	int r = 0;

	for (size_t i = 0; i < mesh->authz_pods.count; i++) {
		const struct authorized_pod *p = &mesh->authz_pods.items[i];

		if (!authorized_backs(p, h->service))
			continue;
		for (size_t k = 0; k < h->port_count && !r; k++)
			if (authorized_reads(mesh, h, &h->ports[k]))
				r = compile_port(mesh, &h->ports[k], p->pod,
						 pod_target(p->pod, h->ports[k].port), done, true);
	}
	return r;
}

/* Pods of this node that call it themselves. */
static int compile_direct(struct mesh *mesh)
{
	int r = 0;

	for (size_t i = 0; i < mesh->mutual_direct.count && !r; i++) {
		struct mutual_direct *d = &mesh->mutual_direct.items[i];
		const struct service_key key = { .addr = d->addr,
						 .port = (__u16)d->port,
						 .scope = SCOPE_MESH };
		const struct external at = { .addr = d->addr };
		const struct external_owner owner = external_owner(mesh, &d->addr, d->port);

		if (owner.host || owner.door ||
		    bytemap_get(&mesh->addresses, d->addr.b, sizeof(d->addr.b)))
			continue;
		d->written = external_claim(mesh, d->sp->host, &at, d->port, false);
		if (d->written)
			r = service_write_proxied(mesh, d->sp, &key);
	}
	return r;
}

/* Mutual TLS comes from other nodes alone. */
static int compile_mutual(struct mesh *mesh, struct bytemap *done)
{
	int r = 0;

	for (size_t i = 0; i < mesh->mutual_inbound.count && !r; i++) {
		const struct mutual_inbound *in = &mesh->mutual_inbound.items[i];

		r = compile_port(mesh, in->sp, in->pod, in->port, done, false);
	}
	return r;
}

int l4_inbound(struct mesh *mesh)
{
	_cleanup_(bytemap_free) struct bytemap done = { 0 };
	int r = 0;

	r = compile_direct(mesh);
	if (r || mesh->l4_only)
		return r;
	for (size_t i = 0; mesh->authz.sets.count && i < mesh->services.count && !r; i++)
		if (service_is_steered(&mesh->host_list[i]))
			r = compile_authorized(mesh, &mesh->host_list[i], &done);
	return r ? r : compile_mutual(mesh, &done);
}
