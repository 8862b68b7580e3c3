// SPDX-License-Identifier: Apache-2.0
/*
 * ServiceEntries: what of rules for their hosts can't be carried out.
 */
#include "lib/compile/check.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"

#include "weft/policy.h"

/* Longer names have no room in the counters. */
static void check_name(struct mesh *mesh, const struct host *h)
{
	enum { NAME_MAX = CLUSTER_NAME_MAX - sizeof("outbound|65535||") };
	const struct object *o = h->service;

	if (strlen(h->name) > NAME_MAX)
		errors_add(mesh->errors, o->file, o->pos,
			   "spec.hosts: expected hosts of at most %d characters, not \"%s\"",
			   (int)NAME_MAX, h->name);
}

/* Which address is called is only known by and by, where there is none to compare with. */
static void check_subnets(struct mesh *mesh, const struct object *o, const struct l4_routes *routes,
			  const char *field)
{
	for (size_t i = 0; i < routes->count; i++)
		for (size_t k = 0; k < routes->items[i].match.count; k++) {
			const struct l4_match *m = &routes->items[i].match.items[k];

			if (m->destination_subnets.count)
				errors_add(mesh->errors, o->file, m->pos.line ? m->pos : o->pos,
					   "spec.%s[%zu].match[%zu].destinationSubnets: weft does "
					   "not carry it out for a ServiceEntry without single "
					   "addresses",
					   field, i, k);
		}
}

static void check_rules(struct mesh *mesh, const struct host *h)
{
	struct host_iter it = host_iter(&mesh->vs_index, h->name);
	const struct hosted *hosted;

	if (host_entry(h)->addr_count && !host_entry(h)->range_count)
		return;
	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++) {
			const struct object *o = hosted->refs.items[i];

			check_subnets(mesh, o, &o->vs.tcp, "tcp");
			check_subnets(mesh, o, &o->vs.tls, "tls");
		}
}

static bool has_pool(const struct traffic_policy *p)
{
	return p->tcp.given || p->http_pool.line || p->outlier_detection.line;
}

static bool any_has_pool(const struct dr_policy *p)
{
	bool any = has_pool(&p->policy);

	for (size_t i = 0; i < p->ports.count; i++)
		any |= has_pool(&p->ports.items[i].policy);
	return any;
}

/* Connections that are left alone are counted by nobody. */
static void check_kept(struct mesh *mesh, const struct host *h)
{
	struct host_iter it = host_iter(&mesh->dr_index, h->name);
	const struct hosted *hosted;

	if (!host_keeps_address(h))
		return;
	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++) {
			const struct object *o = hosted->refs.items[i];
			bool any = any_has_pool(&o->dr.policy);

			for (size_t k = 0; k < o->dr.subsets.count; k++)
				any |= any_has_pool(&o->dr.subsets.items[k].policy);
			if (any)
				errors_add(
					mesh->errors, o->file, o->pos,
					"spec.trafficPolicy: weft does not carry out "
					"connectionPool and outlierDetection for \"%s\", a "
					"ServiceEntry with the resolution NONE (such connections "
					"are left alone)",
					h->name);
		}
}

void check_entries(struct mesh *mesh)
{
	for (size_t i = 0; mesh->entries.count && i < mesh->services.count; i++) {
		const struct host *h = &mesh->host_list[i];

		if (!h->name || !host_entry(h))
			continue;
		check_name(mesh, h);
		check_rules(mesh, h);
		check_kept(mesh, h);
	}
}
