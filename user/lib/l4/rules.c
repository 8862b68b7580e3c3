// SPDX-License-Identifier: Apache-2.0
#include "lib/l4/rules.h"
#include "lib/model/remarks.h"

#include <errno.h>

#include "lib/l4/match.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/model/kinds.h"

void plan_free(struct l4_plan *p)
{
	free(p->rules.items);
	free(p->skipped.items);
	*p = (struct l4_plan){ 0 };
}

/* One element of spec.tcp or spec.tls, and where it is. */
struct place {
	const struct object *o;
	const struct l4_route *route;
	const char *field; /* "tcp", "tls" */
	size_t index;
};

static struct rule_origin origin_of(const struct object *o, const char *route, struct pos pos)
{
	return (struct rule_origin){ .kind = kind_name(o->kind),
				     .namespace = o->meta.namespace,
				     .name = o->meta.name,
				     .route = route,
				     .file = o->file,
				     .pos = pos,
				     .whole_pos = pos,
				     .conditions = "" };
}

static struct rule_origin place_origin(struct mesh *mesh, const struct place *at,
				       const struct l4_match *m)
{
	struct rule_origin origin;
	const char *route;

	if (m)
		route = mesh_text(mesh, "%s[%zu].match[%zu]", at->field, at->index,
				  (size_t)(m - at->route->match.items));
	else
		route = mesh_text(mesh, "%s[%zu]", at->field, at->index);
	origin = origin_of(at->o, route, at->route->pos);
	origin.label = at->route->name;
	if (m && m->pos.line)
		origin.pos = m->pos;
	return origin;
}

static int skip(struct l4_plan *p, struct rule_origin origin, const char *why)
{
	struct skipped_rule *s = table_push(&p->skipped);

	if (!s || !why || !origin.route)
		return -ENOMEM;
	*s = (struct skipped_rule){ .rule = origin, .why = why };
	return 0;
}

/* Plans are made for each address, port and kind of client: what is wrong with a destination is
 * said once. */
static bool first_word(struct mesh *mesh, const struct destination *d)
{
	const char *key = pool_copy(&mesh->pool, (const char *)&d, sizeof(d));
	void **at = key ? bytemap_at(&mesh->blamed, key, sizeof(d)) : NULL;

	if (!at)
		mesh->nomem = true;
	if (!at || *at)
		return false;
	*at = (void *)d;
	return true;
}

static size_t destination_index(const struct place *at, const struct destination *d)
{
	const struct route_destination *first = at->route->route.items;
	const char *begin = (const char *)first;

	return ((const char *)d - begin) / sizeof(*first);
}

static struct pos destination_pos(const struct place *at, const struct destination *d)
{
	return d->pos.line ? d->pos : at->route->pos.line ? at->route->pos : at->o->pos;
}

static void warn_no_port(struct mesh *mesh, const struct place *at, const struct destination *d,
			 const struct host *h, unsigned port)
{
	if (h->port_count < 2 || !first_word(mesh, d))
		return;
	errors_remark(
		mesh->errors, REMARK_PORT_NEEDED, at->o, destination_pos(at, d),
		"spec.%s[%zu].route[%zu].destination: without a port it is the one called, and "
		"service %s/%s has no port %u: connections to it are refused",
		at->field, at->index, destination_index(at, d), h->service->meta.namespace,
		h->service->meta.name, port);
}

/* Such a destination stands for the address that was called: it can't be chosen among others, and
 * can't be another service or some of its endpoints. */
static void check_passthrough(struct mesh *mesh, const struct called *to, const struct place *at,
			      const struct destination *d, const struct plan_cluster *c, bool alone)
{
	const char *what;

	/* Where a ServiceEntry says so, Istio does it wherever the destination stands. */
	if (c->values.lb != LB_PASSTHROUGH || (c->sp && host_keeps_address(c->sp->host)))
		return;
	if (!alone)
		what = "among others";
	else if (c->subset[0])
		what = "of a subset";
	else if (c->sp != to->sp)
		what = "at another service or port than the one called";
	else
		return;
	if (first_word(mesh, d))
		errors_add(mesh->errors, at->o->file, destination_pos(at, d),
			   "spec.%s[%zu].route[%zu].destination: weft does not carry out "
			   "loadBalancer PASSTHROUGH %s (the address called is left as it is)",
			   at->field, at->index, destination_index(at, d), what);
}

/* The kernel speaks no TLS. In the mesh weft-proxy has such connections (proxied.h); at a Gateway's
 * port of plain TCP nobody has. */
static void check_tls(struct mesh *mesh, const struct called *to, const struct place *at,
		      const struct destination *d, const struct view *view,
		      const struct mesh_port *sp)
{
	const struct subset *s = d->subset ? view_subset(view, d->subset) : NULL;

	const struct client_tls *tls = view_policy(view, sp->port->port, s).tls;

	if (!to->gateway || !(client_tls_is_for(tls, true) || client_tls_is_mutual(tls)))
		return;
	if (first_word(mesh, d))
		errors_add(
			mesh->errors, at->o->file, destination_pos(at, d),
			"spec.%s[%zu].route[%zu].destination: weft does not carry out the tls of "
			"a DestinationRule for what a Gateway's server of protocol TCP receives "
			"(a server that ends or passes TLS may lead there)",
			at->field, at->index, destination_index(at, d));
}

/* The cluster that a destination means; NULL when out of memory. */
static struct plan_cluster *destination_cluster(struct mesh *mesh, const struct called *to,
						const struct place *at, const struct destination *d)
{
	const struct object *o = at->o;
	const char *subset = d->subset ? d->subset : "";
	unsigned port = d->port ? d->port : to->port;
	char name[HOST_MAX];
	struct host *h;
	struct mesh_port *sp;
	struct view *view;

	if (host_complete(d->host, o->meta.namespace, name))
		name[0] = '\0';
	h = host_concrete(mesh, mesh_host(mesh, name));
	if (h && !d->port && h->port_count == 1)
		port = h->ports[0].port->port;
	sp = h ? host_port(h, port) : NULL;
	if (h && !sp && !d->port)
		warn_no_port(mesh, at, d, h, port);
	if (!sp || !host_is_seen(h, to->client))
		return cluster_unknown(mesh, name, port, subset);
	view = host_view(mesh, h, to->client);
	if (view)
		check_tls(mesh, to, at, d, view, sp);
	return view ? cluster_known(mesh, sp, subset, to->family, view) : NULL;
}

static struct plan_route *new_route(struct mesh *mesh, const char *name, size_t dests)
{
	struct plan_route *r = pool_alloc(&mesh->pool, sizeof(*r));

	if (!r || !name)
		return NULL;
	r->name = name;
	r->dests = pool_alloc(&mesh->pool, (dests + 1) * sizeof(*r->dests));
	return r->dests ? r : NULL;
}

/* The weights of one destination are ignored; of several, those without one get nothing. */
static struct plan_route *make_route(struct mesh *mesh, const struct called *to,
				     const struct place *at)
{
	const struct l4_route *route = at->route;
	struct plan_cluster *c;
	struct plan_route *r;
	size_t i;

	r = new_route(mesh,
		      route_name_fit(mesh, pool_printf(&mesh->pool, "%s/%s/%s[%zu]",
						       at->o->meta.namespace, at->o->meta.name,
						       at->field, at->index)),
		      route->route.count);
	for (i = 0; r && i < route->route.count; i++) {
		const struct route_destination *d = &route->route.items[i];
		__u32 weight = route->route.count == 1 ? 1 : d->weight > 0 ? d->weight : 0;

		if (!weight)
			continue;
		c = destination_cluster(mesh, to, at, &d->destination);
		if (!c || cluster_write(mesh, c))
			return NULL;
		check_passthrough(mesh, to, at, &d->destination, c, route->route.count == 1);
		r->dests[r->count++] = (struct plan_destination){ .cluster = c, .weight = weight };
	}
	return r;
}

static int add_rule(struct mesh *mesh, const struct called *to, struct l4_plan *p,
		    const struct place *at, const struct l4_match *m, struct plan_route *route)
{
	struct plan_rule *r = table_push(&p->rules);

	if (!r)
		return -ENOMEM;
	r->origin = place_origin(mesh, at, m);
	r->route = route;
	if (!r->origin.route ||
	    (m && match_conditions(mesh, to, m, &r->rule, &r->origin.conditions)))
		return -ENOMEM;
	/* Part of a weighted route may go nowhere and is refused in its turn; a route with nothing
	 * else is refused here. */
	if (!route->count || (route->count == 1 && !route->dests[0].cluster->sp))
		r->rule.action = RULE_REFUSE;
	p->closed = !r->rule.ns && !r->rule.selector;
	return 0;
}

/* A rule per alternative that may hold here, all sharing one route. */
static int plan_place(struct mesh *mesh, const struct called *to, struct l4_plan *p,
		      const struct place *at)
{
	struct plan_route *route = NULL;
	size_t i, n = at->route->match.count ? at->route->match.count : 1;
	int r = 0;

	for (i = 0; i < n && !p->closed && !r; i++) {
		const struct l4_match *m = at->route->match.count ? &at->route->match.items[i]
								  : NULL;
		const char *why = match_never(mesh, to, at->o, m);

		if (why) {
			r = skip(p, place_origin(mesh, at, m), why);
			continue;
		}
		if (!route)
			route = make_route(mesh, to, at);
		r = route ? add_rule(mesh, to, p, at, m, route) : -ENOMEM;
	}
	return r;
}

static int plan_routes(struct mesh *mesh, const struct called *to, struct l4_plan *p,
		       const struct object *o)
{
	size_t i;
	int r = 0;

	for (i = 0; i < o->vs.tcp.count && !p->closed && !r; i++)
		r = plan_place(mesh, to, p, &(struct place){ o, &o->vs.tcp.items[i], "tcp", i });
	for (i = 0; i < o->vs.tls.count && !p->closed && !r; i++)
		r = plan_place(mesh, to, p, &(struct place){ o, &o->vs.tls.items[i], "tls", i });
	return r;
}

/* Where a VirtualService's rule without a match is: nothing after it can be reached. */
static size_t catch_all(const struct l4_routes *routes)
{
	size_t i;

	for (i = 0; i < routes->count; i++)
		if (!routes->items[i].match.count)
			break;
	return i;
}

/* The rules before the catch-all, or that alone. Those of tls need the SNI, which weft-proxy reads:
 * lib/l7/tls_routes.c. */
static int plan_bound(struct mesh *mesh, const struct called *to, struct l4_plan *p,
		      const struct object *o, bool last)
{
	const struct l4_routes *routes = &o->vs.tcp;
	size_t end = catch_all(routes), i;
	int r = 0;

	for (i = last ? end : 0;
	     i < (last && end < routes->count ? end + 1 : end) && !p->closed && !r; i++)
		r = plan_place(mesh, to, p, &(struct place){ o, &routes->items[i], "tcp", i });
	return r;
}

/* Names of Services and namespaces have at most 63 characters each: "outbound|65535||NAME.NS..."
 * and "NS/NAME:65535" fit always. With a subset, or an own route, the checks have the last word. */
_Static_assert(sizeof("outbound|65535||..svc.cluster.local") + 2 * 63 <= CLUSTER_NAME_MAX,
	       "a plain service's cluster has room for its name");
#define OUTSIDE "/outside"
_Static_assert(sizeof("/:65535" OUTSIDE) + 2 * 63 <= ROUTE_NAME_MAX,
	       "a plain service's route has room for its name");

/* All that call are balanced over the cluster. */
static int plan_cluster(struct mesh *mesh, const struct called *to, const char *name,
			struct plan_cluster *c, struct l4_plan *p)
{
	const struct object *o = to->host->service;
	struct plan_rule *rule = table_push(&p->rules);
	struct plan_route *route = new_route(mesh, name, 1);

	if (!rule || !route || !c || cluster_write(mesh, c))
		return -ENOMEM;
	route->dests[0] = (struct plan_destination){ .cluster = c, .weight = 1 };
	route->count = 1;
	rule->route = route;
	rule->origin = origin_of(o, "", to->sp->port->pos.line ? to->sp->port->pos : o->pos);
	p->closed = true;
	return 0;
}

static int plan_plain(struct mesh *mesh, const struct called *to, struct l4_plan *p)
{
	struct view *view = host_view(mesh, to->host, to->client);
	char name[PORT_NAME_MAX];
	size_t len = port_name(name, to->host, to->port);

	if (!view)
		return -ENOMEM;
	return plan_cluster(mesh, to, route_name_fit(mesh, pool_copy(&mesh->pool, name, len)),
			    cluster_known(mesh, to->sp, "", to->family, view), p);
}

int plan_outside(struct mesh *mesh, const struct called *to, bool local, struct l4_plan *out)
{
	char name[PORT_NAME_MAX];

	port_name(name, to->host, to->port);
	return plan_cluster(mesh, to, pool_printf(&mesh->pool, "%s" OUTSIDE, name),
			    cluster_outside(mesh, to->sp, to->family, local), out);
}

/* The bits of a prefix. */
static struct addr mask_of(unsigned prefix)
{
	struct addr mask = { { 0 } };

	for (unsigned i = 0; i < prefix; i++)
		mask.b[i / 8] |= 0x80 >> i % 8;
	return mask;
}

/* "from 10.0.0.0/8". NULL when out of memory. */
static const char *range_text(struct mesh *mesh, const struct cidr *range)
{
	char text[ADDR_TEXT_MAX];

	addr_format(&range->addr, text);
	return mesh_text(mesh, "from %s/%u", text,
			 addr_is_v4(&range->addr) ? range->prefix - 96 : range->prefix);
}

static int admit(struct mesh *mesh, struct l4_plan *p, const struct object *service,
		 const struct cidr *range)
{
	struct plan_rule *rule = table_push(&p->rules);

	if (!rule)
		return -ENOMEM;
	rule->rule.action = RULE_ADMIT;
	rule->admit.from = range->addr;
	rule->admit.mask = mask_of(range->prefix);
	rule->origin = origin_of(service, "", service->pos);
	rule->origin.conditions = range_text(mesh, range);
	return rule->origin.conditions ? 0 : -ENOMEM;
}

/* At least one: without any all would be heard. */
static int admit_ranges(struct mesh *mesh, struct l4_plan *p, const struct object *service,
			enum family family)
{
	static const struct cidr unspecified = { .prefix = 128 }; /* ::, no caller's */
	const struct service_spec *s = &service->service;
	int r = 0;

	for (size_t i = 0; i < s->source_ranges.count && !r; i++)
		if (addr_family(&s->source_ranges.items[i].addr) == family)
			r = admit(mesh, p, service, &s->source_ranges.items[i]);
	return r || p->rules.count ? r : admit(mesh, p, service, &unspecified);
}

int plan_guarded(struct mesh *mesh, const struct l4_plan *from, const struct object *service,
		 enum family family, struct l4_plan *out, __u32 *admits)
{
	int r = admit_ranges(mesh, out, service, family);

	*admits = out->rules.count;
	for (size_t i = 0; i < from->rules.count && !r; i++) {
		struct plan_rule *rule = table_push(&out->rules);

		if (!rule)
			return -ENOMEM;
		*rule = from->rules.items[i];
	}
	for (size_t i = 0; i < from->skipped.count && !r; i++)
		r = skip(out, from->skipped.items[i].rule, from->skipped.items[i].why);
	out->closed = from->closed;
	return r;
}

enum { HIDDEN_TOLD_MAX = 32 }; /* of one host: there may be one for each namespace */

/* Of those in that range of the host's: the client sees none of them. */
static int skip_hidden(struct l4_plan *out, const struct host_iter *it, const struct hosted *hosted,
		       size_t from, size_t to, size_t *told)
{
	int r = 0;

	for (size_t i = from; i < to && *told < HIDDEN_TOLD_MAX && !r; i++) {
		const struct object *o = hosted->refs.items[i];

		if (hosted_before(it, hosted, o))
			continue;
		(*told)++;
		r = skip(out, origin_of(o, "", o->pos),
			 "exportTo: not visible to the client's namespace");
	}
	return r;
}

static int skip_passed_over(struct mesh *mesh, struct l4_plan *out, const struct object *o,
			    const struct object *decided)
{
	return skip(out, origin_of(o, "", o->pos),
		    mesh_text(mesh, "hosts: virtualservice %s/%s is older or more specific",
			      decided->meta.namespace, decided->meta.name));
}

/* The VirtualServices for one host, by age, until one has a rule that takes everyone. */
static int plan_hosted(struct mesh *mesh, const struct called *to, const struct host_iter *it,
		       const struct hosted *hosted, const struct object **decided,
		       struct l4_plan *out)
{
	struct visible visible = hosted_visible(&mesh->vs_index, hosted, to->client);
	size_t i, next = 0, told = 0;
	int r = 0;

	for (; !r && visible_next(&visible, &i); next = i + 1) {
		const struct object *o = hosted->refs.items[i];

		r = skip_hidden(out, it, hosted, next, i, &told);
		if (r || hosted_before(it, hosted, o))
			continue;
		if (*decided)
			r = skip_passed_over(mesh, out, o, *decided);
		else
			r = plan_routes(mesh, to, out, o);
		if (out->closed && !*decided)
			*decided = o;
	}
	return r ? r : skip_hidden(out, it, hosted, next, hosted->refs.count, &told);
}

/* Those for the most specific host that any of them names come first. As to an Istio sidecar, a
 * VirtualService whose rules can't hold for a client is none to it: those for less specific hosts
 * are asked next, and the plain service last. */
static int plan_virtual_services(struct mesh *mesh, const struct called *to, struct l4_plan *out)
{
	struct host_iter it = host_iter(&mesh->vs_index, to->host->name);
	const struct object *decided = NULL;
	const struct hosted *hosted;
	int r = 0;

	while (!r && (hosted = host_iter_next(&it)))
		r = plan_hosted(mesh, to, &it, hosted, &decided, out);
	return r;
}

int plan_pass(const struct object *o, struct pos pos, const char *conditions, struct l4_plan *out)
{
	struct plan_rule *rule = table_push(&out->rules);

	if (!rule)
		return -ENOMEM;
	rule->rule.action = RULE_PASS;
	rule->origin = origin_of(o, "", pos.line ? pos : o->pos);
	rule->origin.conditions = conditions;
	out->closed = true;
	return 0;
}

int plan_unknown(const struct mesh *mesh, const struct object *o, struct pos pos,
		 const char *conditions, struct l4_plan *out)
{
	int r = plan_pass(o, pos, conditions, out);

	if (!r && mesh->registry_only)
		out->rules.items[out->rules.count - 1].rule.action = RULE_UNREGISTERED;
	return r;
}

int plan_within(struct mesh *mesh, const struct object *o, const struct cidr *range,
		const struct l4_plan *from, struct l4_plan *out)
{
	struct plan_rule *within = table_push(&out->rules);
	char text[ADDR_TEXT_MAX];

	if (!within)
		return -ENOMEM;
	addr_format(&range->addr, text);
	within->rule.action = RULE_WITHIN;
	within->rule.selector = from->rules.count;
	within->admit = (struct admit){ range->addr, mask_of(range->prefix) };
	within->origin = origin_of(o, "", o->pos);
	within->origin.conditions =
		mesh_text(mesh, "to %s/%u", text,
			  addr_is_v4(&range->addr) ? range->prefix - 96 : range->prefix);
	if (!within->origin.conditions)
		return -ENOMEM;
	for (size_t i = 0; i < from->rules.count; i++) {
		struct plan_rule *rule = table_push(&out->rules);

		if (!rule)
			return -ENOMEM;
		*rule = from->rules.items[i];
	}
	for (size_t i = 0; i < from->skipped.count; i++)
		if (skip(out, from->skipped.items[i].rule, from->skipped.items[i].why))
			return -ENOMEM;
	return 0;
}

int plan_mesh(struct mesh *mesh, const struct called *to, struct l4_plan *out)
{
	int r;

	if (!host_is_seen(to->host, to->client))
		/* To these clients there is no such host. */
		return plan_unknown(mesh, to->host->service, to->sp->port->pos,
				    "exportTo: other namespaces", out);
	r = mesh->vs_index.map.count ? plan_virtual_services(mesh, to, out) : 0;

	return r || out->closed ? r : plan_plain(mesh, to, out);
}

int plan_called(struct mesh *mesh, const struct called *to, struct l4_plan *out)
{
	return to->sp->proxied && host_is_seen(to->host, to->client)
		       ? plan_proxy(to->host->service, to->sp->port->pos, out)
		       : plan_mesh(mesh, to, out);
}

int plan_proxy(const struct object *o, struct pos pos, struct l4_plan *out)
{
	struct plan_rule *rule = table_push(&out->rules);

	if (!rule)
		return -ENOMEM;
	rule->rule.action = RULE_PROXY;
	rule->origin = origin_of(o, "", pos.line ? pos : o->pos);
	out->closed = true;
	return 0;
}

/* One round over the VirtualServices bound to the gateway: all but the catch-alls, or the `last`,
 * the catch-alls. */
static int plan_round(struct mesh *mesh, const struct called *to, const struct gw_server *server,
		      bool last, struct l4_plan *out)
{
	size_t i;
	int r = 0;

	for (i = 0; i < mesh->virtual_services.count && !out->closed && !r; i++) {
		const struct object *o = mesh->virtual_services.items[i];

		if (virtual_service_at(o, to->gateway, server))
			r = plan_bound(mesh, to, out, o, last);
	}
	return r;
}

int plan_gateway(struct mesh *mesh, const struct called *to, const struct gw_server *server,
		 struct l4_plan *out)
{
	int r = plan_round(mesh, to, server, false, out);

	return r ? r : plan_round(mesh, to, server, true, out);
}

static bool route_equal(const struct plan_route *a, const struct plan_route *b)
{
	size_t i;

	if (!a || !b)
		return a == b;
	if (a->count != b->count || !str_eq(a->name, b->name))
		return false;
	for (i = 0; i < a->count; i++)
		if (a->dests[i].cluster != b->dests[i].cluster ||
		    a->dests[i].weight != b->dests[i].weight)
			return false;
	return true;
}

bool plan_equal(const struct l4_plan *a, const struct l4_plan *b)
{
	size_t i;

	if (a->rules.count != b->rules.count)
		return false;
	for (i = 0; i < a->rules.count; i++) {
		const struct plan_rule *x = &a->rules.items[i], *y = &b->rules.items[i];

		if (x->rule.ns != y->rule.ns || x->rule.selector != y->rule.selector ||
		    x->rule.action != y->rule.action || !route_equal(x->route, y->route) ||
		    memcmp(&x->admit, &y->admit, sizeof(x->admit)) != 0)
			return false;
	}
	return true;
}

static int write_route(struct mesh *mesh, struct plan_route *p)
{
	struct route *r;
	const char **name;
	size_t i;

	if (p->written)
		return 0;
	r = table_push(&mesh->t->routes);
	name = table_push(&mesh->t->route_names);
	if (!r || !name)
		return -ENOMEM;
	r->id = registry_id(mesh->registry, REG_ROUTE, p->name);
	*name = registry_name(mesh->registry, REG_ROUTE, r->id);
	r->dest_first = mesh->t->dests.count;
	r->dest_count = p->count;
	for (i = 0; i < p->count; i++) {
		struct dest *d = table_push(&mesh->t->dests);

		if (!d)
			return -ENOMEM;
		r->total += p->dests[i].weight;
		*d = (struct dest){ .cluster = p->dests[i].cluster->index, .end = r->total };
	}
	p->index = mesh->t->routes.count - 1;
	p->written = true;
	return *name ? 0 : -ENOMEM;
}

/* What the rule's `route` says. */
static int write_aim(struct mesh *mesh, struct plan_rule *from, __u32 *index)
{
	struct admit *admit;

	if (from->rule.action == RULE_ADMIT || from->rule.action == RULE_WITHIN) {
		admit = table_push(&mesh->t->admits);
		if (!admit)
			return -ENOMEM;
		*admit = from->admit;
		*index = mesh->t->admits.count - 1;
	} else if (from->rule.action == RULE_ROUTE) {
		if (write_route(mesh, from->route))
			return -ENOMEM;
		*index = from->route->index;
	}
	return 0;
}

int plan_write(struct mesh *mesh, struct l4_plan *p, struct service *s)
{
	size_t i;

	s->rule_first = mesh->t->rules.count;
	s->rule_count = p->rules.count;
	for (i = 0; i < p->rules.count; i++) {
		struct plan_rule *from = &p->rules.items[i];
		struct rule *rule = table_push(&mesh->t->rules);
		struct rule_origin *origin = table_push(&mesh->t->rule_origins);

		if (!rule || !origin)
			return -ENOMEM;
		*rule = from->rule;
		*origin = from->origin;
		if (write_aim(mesh, from, &rule->route))
			return -ENOMEM;
	}
	return 0;
}

int plan_origin(const struct l4_plan *p, struct service_origin *origin)
{
	if (!p->skipped.count)
		return 0;
	origin->skipped = calloc(p->skipped.count, sizeof(*origin->skipped));
	if (!origin->skipped)
		return -ENOMEM;
	memcpy(origin->skipped, p->skipped.items, p->skipped.count * sizeof(*origin->skipped));
	origin->skipped_count = p->skipped.count;
	return 0;
}
