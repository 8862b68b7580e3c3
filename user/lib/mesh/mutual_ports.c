// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/mutual_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mesh/authorized.h"
#include "lib/mesh/endpoints.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/policy.h"
#include "lib/mesh/proxied.h"

bool mutual_is_here(const struct mesh *mesh, const struct object *pod)
{
	return pod_is_on(pod, mesh->node);
}

enum mutual_place mutual_place(struct mesh *mesh, const struct addr *addr,
			       const struct object **pod)
{
	const struct object *o = bytemap_get(&mesh->pods_by_addr, addr->b, sizeof(addr->b));

	*pod = o && mutual_has(mesh, o) ? o : NULL;
	if (!*pod)
		return MUTUAL_STRANGER;
	return mutual_is_here(mesh, o) ? MUTUAL_HERE : MUTUAL_ELSEWHERE;
}

/* ---- what DestinationRules say ---- */

/* `port`: 0: any. portLevelSettings take the place of the whole policy. */
static bool policy_asks(const struct dr_policy *p, unsigned port)
{
	bool any = false;

	for (size_t i = 0; i < p->ports.count; i++) {
		bool asks = client_tls_is_mutual(p->ports.items[i].policy.tls);

		if (port && p->ports.items[i].port == port)
			return asks;
		any |= asks;
	}
	return (!port && any) || client_tls_is_mutual(p->policy.tls);
}

bool rule_asks_mutual(const struct object *o, unsigned port)
{
	bool asks = policy_asks(&o->dr.policy, port);

	for (size_t i = 0; i < o->dr.subsets.count && !asks; i++)
		asks = policy_asks(&o->dr.subsets.items[i].policy, port);
	return asks;
}

bool port_asks_mutual(struct mesh *mesh, const struct mesh_port *sp)
{
	struct host_iter it = host_iter(&mesh->dr_index, sp->host->name);
	const struct hosted *hosted;
	bool asks = false;

	while (!asks && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !asks; i++)
			asks = rule_asks_mutual(hosted->refs.items[i], sp->port->port);
	return asks;
}

/* ---- clients ---- */

/* Whether weft-proxy has to encrypt what goes there, or to refuse it. */
static bool member_needs(struct mesh *mesh, const struct member *m, bool asked)
{
	const struct object *pod, *by;

	switch (mutual_place(mesh, &m->endpoint.addr, &pod)) {
	case MUTUAL_HERE:
		return false;
	case MUTUAL_STRANGER:
		return asked;
	default:
		return asked || mutual_mode(mesh, pod, m->endpoint.port, &by) == MTLS_STRICT;
	}
}

static bool members_need(struct mesh *mesh, struct mesh_port *sp, bool asked)
{
	bool needs = false;

	for (enum family family = 0; family < FAMILY_MAX && !needs; family++) {
		struct members *list = port_members(mesh, sp, family);

		mesh->nomem |= !list;
		for (size_t i = 0; list && i < list->count && !needs; i++)
			needs = member_needs(mesh, &list->items[i], asked);
	}
	return needs;
}

/* Where connections go on to the address that was called, it may be anything. */
static bool find_need(struct mesh *mesh, struct mesh_port *sp)
{
	bool asked = port_asks_mutual(mesh, sp);

	if (asked && host_keeps_address(sp->host))
		return true;
	return members_need(mesh, sp, asked);
}

static bool port_needs(struct mesh *mesh, struct mesh_port *sp)
{
	if (sp->mutual == PORT_MUTUAL_UNKNOWN)
		sp->mutual = find_need(mesh, sp) ? PORT_MUTUAL_NEEDED : PORT_MUTUAL_NOT_NEEDED;
	return sp->mutual == PORT_MUTUAL_NEEDED;
}

static bool host_needs(struct mesh *mesh, const struct host *h)
{
	bool needs = false;

	for (size_t i = 0; i < h->port_count && !needs; i++)
		needs = port_needs(mesh, &h->ports[i]);
	return needs;
}

static bool host_asks(struct mesh *mesh, const struct host *h)
{
	bool asks = false;

	for (size_t i = 0; i < h->port_count && !asks; i++)
		asks = port_asks_mutual(mesh, &h->ports[i]);
	return asks;
}

typedef bool (*host_test)(struct mesh *mesh, const struct host *h);

static bool routes_lead(struct mesh *mesh, const struct object *o, const struct l4_routes *routes,
			host_test to)
{
	char name[HOST_MAX];
	bool lead = false;

	for (size_t i = 0; i < routes->count; i++)
		for (size_t k = 0; k < routes->items[i].route.count && !lead; k++) {
			const struct destination *d = &routes->items[i].route.items[k].destination;
			const struct host *h = host_complete(d->host, o->meta.namespace, name)
						       ? NULL
						       : host_concrete(mesh, mesh_host(mesh, name));

			lead = h && to(mesh, h);
		}
	return lead;
}

bool rule_leads_to_mutual(struct mesh *mesh, const struct object *o)
{
	return routes_lead(mesh, o, &o->vs.tcp, host_asks) ||
	       routes_lead(mesh, o, &o->vs.tls, host_asks);
}

/* Whether a rule for the host leads to such a one. */
static bool rules_lead(struct mesh *mesh, const char *host, host_test to)
{
	struct host_iter it = host_iter(&mesh->vs_index, host);
	const struct hosted *hosted;
	bool lead = false;

	while (!lead && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !lead; i++) {
			const struct object *o = hosted->refs.items[i];

			lead = routes_lead(mesh, o, &o->vs.tcp, to) ||
			       routes_lead(mesh, o, &o->vs.tls, to);
		}
	return lead;
}

/* HTTP/2 weft-proxy does not speak: it is carried on as it is, where no rule for requests has
 * brought it there. */
static bool goes_by_requests(struct mesh *mesh, const struct host *h, const struct mesh_port *sp)
{
	return port_carries_http(mesh, h, sp) &&
	       (!port_is_http2(sp->port) || port_has_requests(mesh, h, sp));
}

/* As a tunnel. Where weft-proxy can't know what was called (a ServiceEntry with subnets, or without
 * addresses), only what was asked for is to be refused (check_tunnels()): the kernel sends all else
 * in clear, and a STRICT endpoint does not take it. */
static bool needs_tunnel(struct mesh *mesh, const struct host *h, struct mesh_port *sp)
{
	if (host_tells_port(h, sp))
		return port_needs(mesh, sp) || rules_lead(mesh, h->name, host_needs);
	return port_asks_mutual(mesh, sp) || rules_lead(mesh, h->name, host_asks);
}

static void mark_port(struct mesh *mesh, const struct host *h, struct mesh_port *sp)
{
	if (goes_by_requests(mesh, h, sp)) {
		if (!mesh->l4_only && port_needs(mesh, sp))
			sp->proxied = true;
	} else if (needs_tunnel(mesh, h, sp)) {
		sp->by_sni = sp->proxied = true;
	}
}

/* Whether connections to it are for weft to steer. */
static bool is_ours(const struct host *h)
{
	return h->name && !h->service->service.foreign &&
	       !str_eq(h->service->service.type, "ExternalName");
}

void mark_mutual(struct mesh *mesh)
{
	if (!mutual_in_use(mesh))
		return;
	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		for (size_t k = 0; is_ours(h) && k < h->port_count; k++)
			mark_port(mesh, h, &h->ports[k]);
	}
}

/* ---- clients of headless Services ---- */

static int add_direct(struct mesh *mesh, struct mesh_port *sp, enum family family, bool asked)
{
	struct members *list = port_members(mesh, sp, family);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct endpoint *e = &list->items[i].endpoint;
		struct mutual_direct *slot;

		if (!member_needs(mesh, &list->items[i], asked))
			continue;
		slot = table_push(&mesh->mutual_direct);
		if (!slot)
			return -ENOMEM;
		*slot = (struct mutual_direct){ .sp = sp, .addr = e->addr, .port = e->port };
	}
	return 0;
}

static int compare_ports(const struct mesh_port *a, const struct mesh_port *b)
{
	if (a->host != b->host)
		return a->host > b->host ? 1 : -1;
	return (a > b) - (a < b);
}

static int compare_direct(const void *a, const void *b)
{
	const struct mutual_direct *x = a, *y = b;
	int r = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (r || x->port != y->port)
		return r ? r : (int)x->port - (int)y->port;
	return compare_ports(x->sp, y->sp);
}

/* Of several Services the first that there is counts. */
static void keep_different_direct(struct mesh *mesh)
{
	struct mutual_direct *items = mesh->mutual_direct.items;
	size_t kept = 0;

	for (size_t i = 0; i < mesh->mutual_direct.count; i++)
		if (!kept || items[kept - 1].port != items[i].port ||
		    memcmp(&items[kept - 1].addr, &items[i].addr, sizeof(items[i].addr)) != 0)
			items[kept++] = items[i];
	mesh->mutual_direct.count = kept;
}

static int add_headless(struct mesh *mesh, struct mesh_port *sp)
{
	bool asked = port_asks_mutual(mesh, sp);
	int r = 0;

	for (enum family family = 0; family < FAMILY_MAX && !r; family++)
		r = add_direct(mesh, sp, family, asked);
	return r;
}

int mutual_direct_index(struct mesh *mesh)
{
	int r = 0;

	mesh->mutual_direct.count = 0;
	for (size_t i = 0; mutual_in_use(mesh) && i < mesh->services.count && !r; i++) {
		struct host *h = &mesh->host_list[i];

		if (!is_ours(h) || !service_is_headless(&h->service->service))
			continue;
		for (size_t k = 0; k < h->port_count && !r; k++)
			if (port_needs(mesh, &h->ports[k]))
				r = add_headless(mesh, &h->ports[k]);
	}
	if (r || !mesh->mutual_direct.count)
		return r;
	qsort(mesh->mutual_direct.items, mesh->mutual_direct.count,
	      sizeof(*mesh->mutual_direct.items), compare_direct);
	keep_different_direct(mesh);
	return 0;
}

/* ---- endpoints ---- */

static int add_inbound(struct mesh *mesh, const struct mutual_inbound *in)
{
	struct mutual_inbound *slot = table_push(&mesh->mutual_inbound);

	if (!slot)
		return -ENOMEM;
	*slot = *in;
	return 0;
}

/* Somebody may speak mutual TLS to it there. */
static bool is_called(struct mesh *mesh, const struct object *pod, unsigned port, bool asked)
{
	const struct object *by;
	enum mtls_mode mode = mutual_mode(mesh, pod, port, &by);

	return mode == MTLS_STRICT || (mode == MTLS_PERMISSIVE && asked);
}

static int add_called(struct mesh *mesh, struct mesh_port *sp, const struct object *pod,
		      unsigned port, bool asked)
{
	struct mutual_inbound in = { pod, sp, port, authorized_reads(mesh, sp->host, sp) };

	return port && is_called(mesh, pod, port, asked) ? add_inbound(mesh, &in) : 0;
}

/* Also those that are not ready: other nodes may know better. */
static int add_selected(struct mesh *mesh, struct mesh_port *sp, bool asked)
{
	const struct object *service = sp->host->service;
	const struct kvs *selector = &service->service.selector;
	const struct refs *pods = mesh_pods_by_label(mesh, service->meta.namespace, selector);
	int r = 0;

	for (size_t i = 0; pods && i < pods->count && !r; i++) {
		const struct object *pod = pods->items[i];

		if (labels_hold(&pod->meta.labels, selector) && mutual_has(mesh, pod) &&
		    mutual_is_here(mesh, pod))
			r = add_called(mesh, sp, pod, pod_target(pod, sp->port), asked);
	}
	return r;
}

static int add_members(struct mesh *mesh, struct mesh_port *sp, enum family family, bool asked)
{
	struct members *list = port_members(mesh, sp, family);
	const struct object *pod;
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < list->count; i++) {
		const struct endpoint *e = &list->items[i].endpoint;

		if (mutual_place(mesh, &e->addr, &pod) == MUTUAL_HERE)
			r = add_called(mesh, sp, pod, e->port, asked);
	}
	return r;
}

static int add_port(struct mesh *mesh, struct mesh_port *sp)
{
	bool asked = port_asks_mutual(mesh, sp);
	int r = add_selected(mesh, sp, asked);

	for (enum family family = 0; family < FAMILY_MAX && !r; family++)
		r = add_members(mesh, sp, family, asked);
	return r;
}

/* What AuthorizationPolicies have weft-proxy read. */
static int add_read(struct mesh *mesh, struct host *h)
{
	int r = 0;

	for (size_t i = 0; i < mesh->authz_pods.count; i++) {
		const struct authorized_pod *p = &mesh->authz_pods.items[i];

		for (size_t k = 0; authorized_backs(p, h->service) && k < h->port_count && !r;
		     k++) {
			struct mesh_port *sp = &h->ports[k];
			unsigned port = pod_target(p->pod, sp->port);

			if (port && authorized_reads(mesh, h, sp))
				r = add_inbound(mesh,
						&(struct mutual_inbound){ p->pod, sp, port, true });
		}
	}
	return r;
}

static int compare_pods(const struct object *a, const struct object *b)
{
	int r = strcmp(a->meta.namespace, b->meta.namespace);

	return r ? r : strcmp(a->meta.name, b->meta.name);
}

/* What is read as requests comes first: it is what counts at the port. */
static int compare_inbound(const void *a, const void *b)
{
	const struct mutual_inbound *x = a, *y = b;
	int r = compare_pods(x->pod, y->pod);

	if (r || x->port != y->port)
		return r ? r : (int)x->port - (int)y->port;
	if (x->requests != y->requests)
		return x->requests ? -1 : 1;
	return compare_ports(x->sp, y->sp);
}

static void keep_different(struct mesh *mesh)
{
	struct mutual_inbound *items = mesh->mutual_inbound.items;
	size_t kept = 0;

	for (size_t i = 0; i < mesh->mutual_inbound.count; i++)
		if (!kept || items[kept - 1].pod != items[i].pod ||
		    items[kept - 1].port != items[i].port)
			items[kept++] = items[i];
	mesh->mutual_inbound.count = kept;
}

int mutual_inbound_index(struct mesh *mesh)
{
	int r = 0;

	mesh->mutual_inbound.count = 0;
	if (!mutual_in_use(mesh))
		return 0;
	for (size_t i = 0; i < mesh->services.count && !r; i++) {
		struct host *h = &mesh->host_list[i];

		for (size_t k = 0; is_ours(h) && k < h->port_count && !r; k++)
			r = add_port(mesh, &h->ports[k]);
		if (is_ours(h) && !r)
			r = add_read(mesh, h);
	}
	if (r || !mesh->mutual_inbound.count)
		return r;
	qsort(mesh->mutual_inbound.items, mesh->mutual_inbound.count,
	      sizeof(*mesh->mutual_inbound.items), compare_inbound);
	keep_different(mesh);
	return 0;
}

size_t mutual_inbound_of(const struct mesh *mesh, const struct object *pod,
			 const struct mutual_inbound **out)
{
	const struct mutual_inbound *items = mesh->mutual_inbound.items;
	size_t low = 0, high = mesh->mutual_inbound.count, end;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_pods(items[mid].pod, pod) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < mesh->mutual_inbound.count && items[end].pod == pod; end++)
		;
	*out = end > low ? items + low : NULL;
	return end - low;
}
