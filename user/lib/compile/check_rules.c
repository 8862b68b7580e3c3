// SPDX-License-Identifier: Apache-2.0
/*
 * VirtualServices and DestinationRules.
 */
#include "lib/compile/check.h"
#include "lib/mesh/gateways.h"
#include "lib/model/remarks.h"
#include "lib/mesh/policy.h"
#include "lib/mesh/proxied.h"

#include "weft/policy.h"
#include "weft/service.h"

enum { FIELD_MAX = 96 };

/* A destination of spec.tcp or spec.tls and the path to it. */
struct place {
	struct mesh *mesh;
	const struct object *o;
	const struct destination *d;
	char field[FIELD_MAX];
	struct pos pos;
};

/* Whether some DestinationRule for the host has the subset; *any: one for the host, if there is
 * any. */
static bool subset_is_defined(struct mesh *mesh, const char *host, const char *name,
			      const struct object **any)
{
	struct host_iter it = host_iter(&mesh->dr_index, host);
	const struct hosted *hosted;
	size_t i, k;

	*any = NULL;
	while ((hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count; i++) {
			const struct object *o = hosted->refs.items[i];

			if (!*any)
				*any = o;
			for (k = 0; k < o->dr.subsets.count; k++)
				if (!strcmp(o->dr.subsets.items[k].name, name))
					return true;
		}
	}
	return false;
}

static void check_subset(const struct place *p, const char *host)
{
	struct errors *errors = p->mesh->errors;
	const struct object *dr;
	char at[PLACE_MAX];

	if (!p->d->subset || subset_is_defined(p->mesh, host, p->d->subset, &dr))
		return;
	if (dr && !comes_from_cluster(p->o))
		errors_add(errors, p->o->file, p->pos,
			   "%s.subset: subset \"%s\" is not defined by destinationrule %s/%s "
			   "(%s)",
			   p->field, p->d->subset, dr->meta.namespace, dr->meta.name,
			   place_text(at, sizeof(at), dr->file, dr->pos));
	else
		errors_remark(
			errors, REMARK_NOT_FOUND, p->o, p->pos,
			"%s.subset: no destinationrule for \"%s\" defines \"%s\": connections "
			"sent there are refused",
			p->field, host, p->d->subset);
}

static void check_port_number(const struct place *p, struct host *h)
{
	const struct meta *service = &h->service->meta;

	if (!p->d->port || host_port(h, p->d->port))
		return;
	if (comes_from_cluster(p->o))
		errors_remark(p->mesh->errors, REMARK_PORT_NOT_FOUND, p->o, p->pos,
			      "%s.port.number: service %s/%s has no TCP port %u: connections sent "
			      "there are refused",
			      p->field, service->namespace, service->name, p->d->port);
	else
		errors_add(p->mesh->errors, p->o->file, p->pos,
			   "%s.port.number: expected a TCP port of service %s/%s, not \"%u\"",
			   p->field, service->namespace, service->name, p->d->port);
}

static void check_port(const struct place *p, const char *host, struct host *h)
{
	if (!h && mesh_host(p->mesh, host))
		errors_add(p->mesh->errors, p->o->file, p->pos,
			   "%s.host: weft does not carry out routes to an ExternalName service "
			   "without ports, not \"%s\"",
			   p->field, p->d->host);
	else if (!h)
		errors_remark(p->mesh->errors, REMARK_NOT_FOUND, p->o, p->pos,
			      "%s.host: no service \"%s\": connections sent there are refused",
			      p->field, host);
	if (h)
		check_port_number(p, h);
}

static void check_destination(const struct place *p)
{
	const char *subset = p->d->subset ? p->d->subset : "";
	char host[HOST_MAX], name[CLUSTER_NAME_MAX];
	struct host *h;

	if (host_complete(p->d->host, p->o->meta.namespace, host) ||
	    cluster_name(name, host, 65535, subset) >= CLUSTER_NAME_MAX) {
		errors_add(p->mesh->errors, p->o->file, p->pos,
			   "%s: expected a host and subset of at most %d characters", p->field,
			   CLUSTER_NAME_MAX - 17);
		return;
	}
	h = host_concrete(p->mesh, mesh_host(p->mesh, host));
	check_port(p, host, h);
	check_subset(p, h ? h->name : host);
}

static void check_route(struct mesh *mesh, const struct object *o, const char *field, size_t index,
			const struct l4_route *route)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < route->route.count; i++) {
		const struct route_destination *d = &route->route.items[i];
		struct place p = { .mesh = mesh, .o = o, .d = &d->destination };

		p.pos = d->destination.pos.line ? d->destination.pos
			: d->pos.line		? d->pos
						: o->pos;
		snprintf(p.field, sizeof(p.field), "spec.%s[%zu].route[%zu].destination", field,
			 index, i);
		check_destination(&p);
		total += d->weight > 0 ? d->weight : 0;
	}
	if (route->route.count > 1 && (!total || total > INT32_MAX))
		errors_add(
			mesh->errors, o->file, route->pos.line ? route->pos : o->pos,
			"spec.%s[%zu].route: expected weights that add up to 1..%d, not \"%llu\"",
			field, index, INT32_MAX, (unsigned long long)total);
	if (route->route.count > ROUTE_MAX_DESTS)
		errors_add(mesh->errors, o->file, route->pos.line ? route->pos : o->pos,
			   "spec.%s[%zu].route: expected at most %d destinations, not \"%zu\"",
			   field, index, ROUTE_MAX_DESTS, route->route.count);
}

static bool gateway_exists(const struct mesh *mesh, const char *ref, const char *ns)
{
	size_t i;

	for (i = 0; i < mesh->gateways.count; i++)
		if (gateway_ref_is(ref, ns, mesh->gateways.items[i]->meta.namespace,
				   mesh->gateways.items[i]->meta.name))
			return true;
	return false;
}

static void check_gateways(struct mesh *mesh, const struct object *o)
{
	const struct strs *refs = &o->vs.gateways;
	size_t i;

	for (i = 0; i < refs->count; i++)
		if (!str_eq(refs->items[i], "mesh") &&
		    !gateway_exists(mesh, refs->items[i], o->meta.namespace))
			errors_remark(
				mesh->errors, REMARK_NOT_FOUND, o,
				refs->at && refs->at[i].line ? refs->at[i] : o->pos,
				"spec.gateways[%zu]: no gateway \"%s\": the rule has no effect "
				"there",
				i, refs->items[i]);
}

void check_virtual_service(struct mesh *mesh, const struct object *o)
{
	size_t i;

	check_gateways(mesh, o);
	check_idle_virtual_service(mesh, o);
	for (i = 0; i < o->vs.tcp.count; i++)
		check_route(mesh, o, "tcp", i, &o->vs.tcp.items[i]);
	for (i = 0; i < o->vs.tls.count; i++)
		check_route(mesh, o, "tls", i, &o->vs.tls.items[i]);
}

/* Whether a host of the rule is known, and has a port that carries HTTP (`port`; 0: any). */
struct reach {
	bool known, http;
};

static void reach_host(struct mesh *mesh, struct reach *reach, const struct host *h, unsigned port)
{
	size_t i;

	reach->known = true;
	for (i = 0; i < h->port_count; i++)
		if ((!port || h->ports[i].port->port == port) &&
		    port_carries_http(mesh, h, &h->ports[i]))
			reach->http = true;
}

static struct reach rule_reach(struct mesh *mesh, const struct object *o, unsigned port)
{
	struct reach reach = { 0 };
	char host[HOST_MAX], name[HOST_MAX];
	struct host *h;
	size_t i;

	if (host_complete(o->dr.host, o->meta.namespace, host))
		return reach;
	h = mesh_host(mesh, host);
	if (h)
		reach_host(mesh, &reach, h, port);
	for (i = 0; host_is_wildcard(host) && i < mesh->services.count; i++) {
		const struct object *service = mesh->services.items[i];

		if (host_of_service(service->meta.name, service->meta.namespace, name) ||
		    !host_includes(host, name))
			continue;
		h = mesh_host(mesh, name);
		if (h)
			reach_host(mesh, &reach, h, port);
	}
	return reach;
}

/* Policies for requests where nothing but connections is to be seen. */
static void check_policy(struct mesh *mesh, const struct object *o, const char *field,
			 unsigned port, const struct traffic_policy *p)
{
	struct reach reach;

	if (mesh->l4_only ||
	    (!p->lb.hash_http && !p->lb.warmup.duration && !p->outlier_detection.line))
		return;
	reach = rule_reach(mesh, o, port);
	if (!reach.known || reach.http)
		return;
	if (p->lb.hash_http)
		errors_add(mesh->errors, o->file, p->lb.hash_http_pos,
			   "%s.loadBalancer.consistentHash: weft does not carry out hashing of "
			   "HTTP on a port that does not carry HTTP",
			   field);
	if (p->lb.warmup.duration)
		errors_add(mesh->errors, o->file, p->lb.warmup_pos,
			   "%s.loadBalancer.warmup: weft does not carry out warming up on a port "
			   "that does not carry HTTP",
			   field);
	if (p->outlier_detection.line)
		errors_add(mesh->errors, o->file, p->outlier_detection,
			   "%s.outlierDetection: weft does not carry out outlier detection of TCP, "
			   "on a port that does not carry HTTP",
			   field);
}

static void check_policies(struct mesh *mesh, const struct object *o, const char *field,
			   const struct dr_policy *p)
{
	char level[FIELD_MAX];
	size_t i;

	check_policy(mesh, o, field, 0, &p->policy);
	check_client_files(mesh, o, field, p->policy.tls);
	for (i = 0; i < p->ports.count; i++) {
		snprintf(level, sizeof(level), "%s.portLevelSettings[%zu]", field, i);
		check_policy(mesh, o, level, p->ports.items[i].port, &p->ports.items[i].policy);
		check_client_files(mesh, o, level, p->ports.items[i].policy.tls);
	}
}

void check_destination_rule(struct mesh *mesh, const struct object *o)
{
	char field[FIELD_MAX];
	size_t i;

	check_idle_destination_rule(mesh, o);
	check_policies(mesh, o, "spec.trafficPolicy", &o->dr.policy);
	for (i = 0; i < o->dr.subsets.count; i++) {
		snprintf(field, sizeof(field), "spec.subsets[%zu].trafficPolicy", i);
		check_policies(mesh, o, field, &o->dr.subsets.items[i].policy);
	}
}
