// SPDX-License-Identifier: Apache-2.0
/*
 * Parts of VirtualServices that lead nowhere: ports that a destination or every service lacks,
 * hosts that a Gateway does not take, weights that are no shares.
 */
#include <stdio.h>
#include <string.h>

#include "lib/compile/check.h"
#include "lib/mesh/gateways.h"
#include "lib/l7/l7.h"
#include "lib/mesh/proxied.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

enum { FIELD_MAX = 96, WHOLE = 100 };

/* A part of a VirtualService and the path to it. */
struct part {
	struct mesh *mesh;
	const struct object *o;
	const struct strs *gateways; /* where it counts */
	unsigned port;		     /* only for calls of this one; 0: any */
	char field[FIELD_MAX];
	struct pos pos;
};

/* ---- the ports that are called ---- */

/* Whether calls of `port` may come to the part; false ends the walk. */
typedef bool (*port_visit)(void *arg, unsigned port, bool http);

static bool visit_host(struct mesh *mesh, const struct host *h, port_visit visit, void *arg)
{
	struct host *at = host_concrete(mesh, (struct host *)h);

	for (size_t i = 0; at && i < at->port_count; i++)
		if (!visit(arg, at->ports[i].port->port, port_carries_http(mesh, h, &at->ports[i])))
			return false;
	return true;
}

/* The services that a host of the rule stands for. */
static bool visit_hosts(struct mesh *mesh, const char *host, port_visit visit, void *arg)
{
	struct host *h = mesh_host(mesh, host);

	if (!host_is_wildcard(host))
		return !h || visit_host(mesh, h, visit, arg);
	for (size_t i = 0; i < mesh->services.count; i++) {
		const struct host *each = &mesh->host_list[i];

		if (each->name && host_includes(host, each->name) &&
		    !visit_host(mesh, each, visit, arg))
			return false;
	}
	return true;
}

static bool visit_mesh(const struct part *p, port_visit visit, void *arg)
{
	char host[HOST_MAX];

	for (size_t i = 0; i < p->o->vs.hosts.count; i++)
		if (!host_complete(p->o->vs.hosts.items[i], p->o->meta.namespace, host) &&
		    !visit_hosts(p->mesh, host, visit, arg))
			return false;
	return true;
}

static bool visit_gateways(const struct part *p, port_visit visit, void *arg)
{
	for (size_t i = 0; i < p->mesh->gateways.count; i++) {
		const struct object *gw = p->mesh->gateways.items[i];

		if (!gateways_have(p->gateways, p->o->meta.namespace, gw))
			continue;
		for (size_t k = 0; k < gw->gateway.servers.count; k++) {
			const struct gw_server *s = &gw->gateway.servers.items[k];

			enum server_kind kind = server_kind(s);

			if (!visit(arg, s->port, kind == SERVER_HTTP || kind == SERVER_HTTPS))
				return false;
		}
	}
	return true;
}

static void visit_ports(const struct part *p, port_visit visit, void *arg)
{
	if ((!gateways_have_mesh(p->gateways) || visit_mesh(p, visit, arg)) && p->gateways->count)
		visit_gateways(p, visit, arg);
}

/* ---- destinations ---- */

struct missing {
	const struct part *p;
	struct host *to;
	unsigned port; /* the first one called that the destination lacks; 0: none */
};

static bool find_missing(void *arg, unsigned port, bool http)
{
	struct missing *m = arg;

	if (http && (!m->p->port || m->p->port == port) && !host_port(m->to, port))
		m->port = port;
	return !m->port;
}

static const char *ports_text(struct mesh *mesh, const struct host *h)
{
	const char *text = "";

	for (size_t i = 0; i < h->port_count && text; i++)
		text = mesh_text(mesh, "%s%s%u", text, i ? ", " : "", h->ports[i].port->port);
	mesh->nomem |= !text;
	return text ? text : "";
}

static void check_destination(const struct part *p, const struct destination *d)
{
	struct missing m = { .p = p };
	char name[HOST_MAX];

	if (host_complete(d->host, p->o->meta.namespace, name))
		return;
	m.to = host_concrete(p->mesh, mesh_host(p->mesh, name));
	if (!m.to)
		return;
	if (d->port && !host_port(m.to, d->port)) {
		errors_remark(p->mesh->errors, REMARK_NOT_FOUND, p->o, p->pos,
			      "%s.port: service %s/%s has port %s, not %u: requests sent there get "
			      "503",
			      p->field, m.to->service->meta.namespace, m.to->service->meta.name,
			      ports_text(p->mesh, m.to), d->port);
		return;
	}
	/* The only port is meant whatever was called. */
	if (d->port || m.to->port_count < 2)
		return;
	visit_ports(p, find_missing, &m);
	if (m.port)
		errors_remark(
			p->mesh->errors, REMARK_PORT_NEEDED, p->o, p->pos,
			"%s: service %s/%s has the ports %s, and none is named: requests to port "
			"%u get 503",
			p->field, m.to->service->meta.namespace, m.to->service->meta.name,
			ports_text(p->mesh, m.to), m.port);
}

static void check_weights(const struct part *p, long long total, size_t count)
{
	if (count > 1 && total > 0 && total != WHOLE)
		errors_remark(p->mesh->errors, REMARK_WEIGHTS, p->o, p->pos,
			      "%s.route: the weights add up to %lld, not 100", p->field, total);
}

static void check_destinations(const struct part *route, size_t index, const struct http_route *r)
{
	struct part p = *route;
	long long total = 0;

	for (size_t i = 0; i < r->route.count; i++) {
		const struct http_route_destination *d = &r->route.items[i];

		p.pos = d->destination.pos.line ? d->destination.pos : route->pos;
		snprintf(p.field, sizeof(p.field), "spec.http[%zu].route[%zu].destination", index,
			 i);
		check_destination(&p, &d->destination);
		total += d->weight > 0 ? d->weight : 0;
	}
	for (size_t i = 0; i < r->mirrors.count; i++) {
		const struct destination *d = &r->mirrors.items[i].destination;

		p.pos = d->pos.line ? d->pos : route->pos;
		snprintf(p.field, sizeof(p.field), "spec.http[%zu].mirrors[%zu].destination", index,
			 i);
		check_destination(&p, d);
	}
	check_weights(route, total, r->route.count);
}

/* ---- matches ---- */

struct wanted {
	unsigned port;
	bool any, found, http;
};

static bool find_port(void *arg, unsigned port, bool http)
{
	struct wanted *wanted = arg;

	wanted->any = true;
	wanted->found |= port == wanted->port;
	wanted->http |= port == wanted->port && http;
	return !wanted->http;
}

static void check_match_port(const struct part *p)
{
	struct wanted wanted = { .port = p->port };

	if (!p->port)
		return;
	visit_ports(p, find_port, &wanted);
	if (wanted.any && !wanted.found)
		errors_remark(p->mesh->errors, REMARK_PORT_NOT_FOUND, p->o, p->pos,
			      "%s.port: no service or gateway of the rule has port %u: the match "
			      "never holds",
			      p->field, p->port);
	else if (wanted.found && !wanted.http)
		errors_remark(
			p->mesh->errors, REMARK_HTTP_RULE_ON_TCP, p->o, p->pos,
			"%s.port: port %u does not carry http, by its name or appProtocol: the "
			"match never holds",
			p->field, p->port);
}

/* Whether both are spellings of one Gateway's name, be it there or not. */
static bool refs_meet(const char *a, const char *b, const char *ns)
{
	char x[HOST_MAX], y[HOST_MAX];

	return !gateway_ref_full(a, ns, x) && !gateway_ref_full(b, ns, y) && !strcmp(x, y);
}

/* Whether one of the places that a match names is one of its rule's. */
static bool gateways_meet(const struct part *p, const struct strs *match)
{
	const struct strs *refs = &p->o->vs.gateways;

	if (gateways_have_mesh(match) && gateways_have_mesh(refs))
		return true;
	for (size_t i = 0; i < match->count; i++)
		for (size_t k = 0; k < refs->count; k++)
			if (refs_meet(match->items[i], refs->items[k], p->o->meta.namespace))
				return true;
	for (size_t i = 0; i < p->mesh->gateways.count; i++) {
		const struct object *gw = p->mesh->gateways.items[i];

		if (gateways_have(match, p->o->meta.namespace, gw) &&
		    gateways_have(refs, p->o->meta.namespace, gw))
			return true;
	}
	return false;
}

/* A delegate's are those of the rule that leads to it. */
static void check_match_gateways(const struct part *p, const struct strs *match)
{
	if (match->count && p->o->vs.hosts.count && !gateways_meet(p, match))
		errors_remark(p->mesh->errors, REMARK_MATCH_ELSEWHERE, p->o, p->pos,
			      "%s.gateways: spec.gateways has none of them: the match never holds",
			      p->field);
}

static void check_route(struct mesh *mesh, const struct object *o, size_t index)
{
	const struct http_route *r = &o->vs.http.items[index];
	struct part route = { .mesh = mesh, .o = o, .gateways = &o->vs.gateways };

	route.pos = r->pos.line ? r->pos : o->pos;
	snprintf(route.field, sizeof(route.field), "spec.http[%zu]", index);
	for (size_t i = 0; i < r->match.count; i++) {
		const struct http_match *m = &r->match.items[i];
		struct part p = route;

		p.pos = m->pos.line ? m->pos : route.pos;
		p.port = m->port;
		p.gateways = m->gateways.count ? &m->gateways : route.gateways;
		snprintf(p.field, sizeof(p.field), "spec.http[%zu].match[%zu]", index, i);
		check_match_port(&p);
		check_match_gateways(&p, &m->gateways);
	}
	/* For calls of one port, if the match asks for it. */
	if (r->match.count == 1)
		route.port = r->match.items[0].port;
	check_destinations(&route, index, r);
}

static void check_l4_matches(struct mesh *mesh, const struct object *o, const char *field,
			     size_t index, const struct l4_route *r)
{
	for (size_t i = 0; i < r->match.count; i++) {
		const struct l4_match *m = &r->match.items[i];
		struct part p = { .mesh = mesh, .o = o, .pos = m->pos.line ? m->pos : o->pos };

		snprintf(p.field, sizeof(p.field), "spec.%s[%zu].match[%zu]", field, index, i);
		check_match_gateways(&p, &m->gateways);
	}
}

static void check_l4_routes(struct mesh *mesh, const struct object *o, const char *field,
			    const struct l4_routes *routes)
{
	for (size_t i = 0; i < routes->count; i++) {
		const struct l4_route *r = &routes->items[i];
		struct part p = { .mesh = mesh, .o = o, .pos = r->pos.line ? r->pos : o->pos };
		long long total = 0;

		snprintf(p.field, sizeof(p.field), "spec.%s[%zu]", field, i);
		for (size_t k = 0; k < r->route.count; k++)
			total += r->route.items[k].weight > 0 ? r->route.items[k].weight : 0;
		check_weights(&p, total, r->route.count);
		check_l4_matches(mesh, o, field, i, r);
	}
}

/* ---- hosts at gateways ---- */

static bool gateway_takes(const struct object *gw, const struct object *o, const char *host)
{
	for (size_t i = 0; i < gw->gateway.servers.count; i++) {
		const struct gw_server *s = &gw->gateway.servers.items[i];

		for (size_t k = 0; k < s->hosts.count; k++)
			if (server_host_takes(s->hosts.items[k], gw->meta.namespace,
					      o->meta.namespace, host))
				return true;
	}
	return false;
}

/* A host of the mesh's own, beside those for the outside, is not meant for the gateway. */
static bool is_for_mesh(struct mesh *mesh, const struct object *o, const char *host)
{
	return gateways_have_mesh(&o->vs.gateways) && mesh_host(mesh, host);
}

static void check_host(struct mesh *mesh, const struct object *o, size_t index,
		       const struct object *gw)
{
	const char *written = o->vs.hosts.items[index];
	struct pos at = o->vs.hosts.at ? o->vs.hosts.at[index] : o->pos;
	char host[HOST_MAX];

	if (host_complete(written, o->meta.namespace, host) || is_for_mesh(mesh, o, host) ||
	    gateway_takes(gw, o, host))
		return;
	errors_remark(mesh->errors, REMARK_HOST_NOT_AT_GATEWAY, o, at.line ? at : o->pos,
		      "spec.hosts[%zu]: no server of gateway %s/%s takes \"%s\": the rule has no "
		      "effect there",
		      index, gw->meta.namespace, gw->meta.name, written);
}

static void check_hosts(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; o->vs.gateways.count && i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		if (!gateways_have(&o->vs.gateways, o->meta.namespace, gw))
			continue;
		for (size_t k = 0; k < o->vs.hosts.count; k++)
			check_host(mesh, o, k, gw);
	}
}

void check_effect(struct mesh *mesh, const struct object *o)
{
	for (size_t i = 0; i < o->vs.http.count; i++)
		check_route(mesh, o, i);
	check_l4_routes(mesh, o, "tcp", &o->vs.tcp);
	check_l4_routes(mesh, o, "tls", &o->vs.tls);
	check_hosts(mesh, o);
}
