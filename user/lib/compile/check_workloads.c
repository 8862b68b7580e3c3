// SPDX-License-Identifier: Apache-2.0
/*
 * The workloads behind the rules: services and subsets without a pod, pods with one address,
 * services that no client can call yet. A file of rules alone says nothing about which pods there
 * are.
 */
#include <string.h>

#include "lib/base/bytemap.h"
#include "lib/compile/check.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/gateways.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

/* ---- pods ---- */

/* Holds its address alone: a pod that has ended leaves its own, those of the node share the node's.
 */
static bool owns_address(const struct object *pod)
{
	return !pod->pod.host_network && !pod->pod.deleting &&
	       !str_eq(pod->pod.phase, "Succeeded") && !str_eq(pod->pod.phase, "Failed");
}

/* The first address that an earlier pod has, too. */
static void check_pod(struct mesh *mesh, struct bytemap *owners, const struct object *pod)
{
	for (size_t i = 0; i < pod->pod.ips.count; i++) {
		const char *ip = pod->pod.ips.items[i];
		struct addr addr, *key;
		char place[PLACE_MAX];
		const struct object *other;
		void **at;

		if (addr_parse(ip, &addr))
			continue;
		key = pool_alloc(&mesh->pool, sizeof(*key));
		if (key)
			*key = addr;
		at = key ? bytemap_at(owners, key->b, sizeof(key->b)) : NULL;
		mesh->nomem |= !at;
		other = at ? *at : pod;
		if (at && !other)
			*at = (void *)pod;
		if (!other || other == pod)
			continue;
		errors_remark(mesh->errors, REMARK_ADDRESS_TWICE, pod, pod->pos,
			      "status.podIP: pod %s/%s (%s) has the address %s, too",
			      other->meta.namespace, other->meta.name,
			      place_text(place, sizeof(place), other->file, other->pos), ip);
		return;
	}
}

/* Those that own an address are among those that have it (mesh_sources()). */
static void check_pods(struct mesh *mesh)
{
	struct bytemap owners = { 0 };

	if (!mesh->contested.count)
		return;

	for (size_t i = 0; i < mesh->pods.count; i++)
		if (owns_address(mesh->pods.items[i]))
			check_pod(mesh, &owners, mesh->pods.items[i]);
	bytemap_free(&owners);
}

/* ---- services ---- */

static bool workloads_are_known(const struct mesh *mesh)
{
	return mesh->pods.count || mesh->slices.count || mesh->endpoints.count;
}

static bool is_called_by_name(const struct host *h)
{
	const struct service_spec *s = &h->service->service;

	return h->name && !str_eq(s->type, "ExternalName") && !s->foreign;
}

static bool has_endpoint(struct mesh *mesh, struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (enum family family = 0; family < FAMILY_MAX; family++) {
			const struct members *m = port_members(mesh, &h->ports[i], family);

			if (!m || m->count)
				return true;
		}
	return !h->port_count;
}

/* Whether some member of the service has the labels. */
static bool subset_has_pod(struct mesh *mesh, struct host *h, const struct kvs *labels)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (enum family family = 0; family < FAMILY_MAX; family++) {
			const struct members *m = port_members(mesh, &h->ports[i], family);

			for (size_t k = 0; m && k < m->count; k++) {
				const struct kvs *of = member_labels(mesh, &m->items[k]);

				if (of && labels_hold(of, labels))
					return true;
			}
		}
	return false;
}

static void check_subsets(struct mesh *mesh, const struct object *o)
{
	char host[HOST_MAX];
	struct host *h;

	if (!o->dr.host || host_complete(o->dr.host, o->meta.namespace, host))
		return;
	h = mesh_host(mesh, host);
	if (!h || !is_called_by_name(h) || !has_endpoint(mesh, h))
		return;
	for (size_t i = 0; i < o->dr.subsets.count; i++) {
		const struct subset *s = &o->dr.subsets.items[i];

		if (!subset_has_pod(mesh, h, &s->labels))
			errors_remark(
				mesh->errors, REMARK_SUBSET_WITHOUT_PODS, o,
				s->pos.line ? s->pos : o->pos,
				"spec.subsets[%zu]: no pod of service %s/%s has the labels of "
				"\"%s\": what is sent there gets 503",
				i, h->service->meta.namespace, h->service->meta.name, s->name);
	}
}

/* The hosts that rules lead to or are for. */
static void mention(struct mesh *mesh, const char *host, const char *ns)
{
	char name[HOST_MAX];
	struct host *h;

	if (!host || host_complete(host, ns, name))
		return;
	h = mesh_host(mesh, name);
	if (h)
		h->mentioned = true;
}

static void mention_l4(struct mesh *mesh, const struct object *o, const struct l4_routes *routes)
{
	for (size_t i = 0; i < routes->count; i++)
		for (size_t k = 0; k < routes->items[i].route.count; k++)
			mention(mesh, routes->items[i].route.items[k].destination.host,
				o->meta.namespace);
}

static void mention_http(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < o->vs.http.count; i++) {
		const struct http_route *r = &o->vs.http.items[i];

		for (size_t k = 0; k < r->route.count; k++)
			mention(mesh, r->route.items[k].destination.host, o->meta.namespace);
		for (size_t k = 0; k < r->mirrors.count; k++)
			mention(mesh, r->mirrors.items[k].destination.host, o->meta.namespace);
	}
}

static bool serves(struct mesh *mesh, const struct object *o, const struct destination *d)
{
	char name[HOST_MAX];
	struct host *h;

	if (!d->host || host_complete(d->host, o->meta.namespace, name))
		return false;
	h = mesh_host(mesh, name);
	return h && h->mentioned && has_endpoint(mesh, h);
}

bool workloads_serve(struct mesh *mesh, const struct object *o)
{
	bool all = true;

	mention_http(mesh, o);
	for (size_t i = 0; i < o->vs.http.count; i++) {
		const struct http_route *r = &o->vs.http.items[i];

		for (size_t k = 0; k < r->route.count; k++)
			all = all && serves(mesh, o, &r->route.items[k].destination);
		for (size_t k = 0; k < r->mirrors.count; k++)
			all = all && serves(mesh, o, &r->mirrors.items[k].destination);
	}
	return all;
}

static void mention_all(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++) {
		const struct object *o = mesh->virtual_services.items[i];

		mention_http(mesh, o);
		mention_l4(mesh, o, &o->vs.tcp);
		mention_l4(mesh, o, &o->vs.tls);
	}
	for (size_t i = 0; i < mesh->destination_rules.count; i++) {
		const struct object *o = mesh->destination_rules.items[i];

		mention(mesh, o->dr.host, o->meta.namespace);
	}
}

/* Names without an answer are no fault of the rules: weftd's status tells of them. */
static bool is_asked_for(const struct host *h)
{
	const struct entry_host *e = host_entry(h);

	return e &&
	       (e->resolution == RESOLUTION_DNS || e->resolution == RESOLUTION_DNS_ROUND_ROBIN);
}

static bool stands_for_gateway(const struct mesh *mesh, const struct object *service)
{
	for (size_t i = 0; i < mesh->gateways.count; i++)
		if (service_stands_for(service, &mesh->gateways.items[i]->gateway))
			return true;
	return false;
}

static const char *nothing_there(const struct mesh *mesh, const struct host *h)
{
	return stands_for_gateway(mesh, h->service) ? "has no endpoint, and weft leads no client "
						      "in the mesh to the Gateway itself"
						    : "has no endpoint";
}

static void check_service(struct mesh *mesh, struct host *h)
{
	const struct object *o = h->service;

	if (!is_called_by_name(h))
		return;
	if (!o->service.cluster_ips.count && !host_entry(h))
		errors_remark(mesh->errors, REMARK_NO_CLUSTER_IP, o, o->pos,
			      "spec.clusterIP: service %s/%s has no address that could be called",
			      o->meta.namespace, o->meta.name);
	if (workloads_are_known(mesh) && h->mentioned && !host_keeps_address(h) &&
	    !is_asked_for(h) && !has_endpoint(mesh, h))
		errors_remark(mesh->errors, REMARK_NO_WORKLOAD, o, o->pos,
			      "%s %s/%s %s: what rules send there gets 503",
			      host_entry(h) ? "spec.workloadSelector: serviceentry"
					    : "spec.selector: service",
			      o->meta.namespace, o->meta.name, nothing_there(mesh, h));
}

static bool any_is_full(const struct host *h)
{
	for (size_t i = 0; i < h->port_count; i++)
		for (enum family family = 0; family < FAMILY_MAX; family++)
			if (h->ports[i].members[family] && h->ports[i].members[family]->full)
				return true;
	return false;
}

bool workloads_facts(struct mesh *mesh, struct host *h, uint64_t *facts)
{
	const struct hosted *rules = bytemap_str(&mesh->dr_index.map, h->name);
	unsigned bit = 0;

	*facts = 0;
	if (any_is_full(h))
		return false;
	if (!h->mentioned)
		return true;
	*facts |= (uint64_t)has_endpoint(mesh, h) << bit++;
	for (size_t i = 0; rules && i < rules->refs.count; i++) {
		const struct destination_rule *dr = &rules->refs.items[i]->dr;

		for (size_t k = 0; k < dr->subsets.count; k++) {
			if (bit == 64)
				return false;
			*facts |= (uint64_t)subset_has_pod(mesh, h, &dr->subsets.items[k].labels)
				  << bit++;
		}
	}
	return !any_is_full(h);
}

void check_workloads(struct mesh *mesh)
{
	check_pods(mesh);
	mention_all(mesh);
	for (size_t i = 0; i < mesh->services.count; i++)
		check_service(mesh, &mesh->host_list[i]);
	for (size_t i = 0; workloads_are_known(mesh) && i < mesh->destination_rules.count; i++)
		check_subsets(mesh, mesh->destination_rules.items[i]);
}
