// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/proxied.h"

#include <strings.h>

#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/policy.h"

enum { ALIASES_MAX = 8 }; /* that lead to each other */

bool port_is_undeclared(const struct service_port *port)
{
	static const char *const declared[] = { "tcp",	 "udp",	  "tls",   "https",
						"mongo", "mysql", "redis", "hbone" };
	static const unsigned known_tcp[] = { 25, 53, 3306, 27017 };
	const char *word = port->app_protocol ? port->app_protocol : port->name ? port->name : "";
	size_t len = port->app_protocol ? strlen(word) : strcspn(word, "-");

	if (port_protocol(port) != PORT_TCP)
		return false;
	for (size_t i = 0; i < sizeof(declared) / sizeof(*declared); i++)
		if (strlen(declared[i]) == len && !strncasecmp(declared[i], word, len))
			return false;
	for (size_t i = 0; i < sizeof(known_tcp) / sizeof(*known_tcp); i++)
		if (port->port == known_tcp[i])
			return false;
	return true;
}

bool host_has_http_rule(struct mesh *mesh, const char *host)
{
	struct host_iter it = host_iter(&mesh->vs_index, host);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			if (hosted->refs.items[i]->vs.http.count)
				return true;
	return false;
}

static bool names_port(const struct object *o, unsigned port)
{
	for (size_t i = 0; i < o->vs.tls.count; i++)
		for (size_t k = 0; k < o->vs.tls.items[i].match.count; k++) {
			const struct l4_match *m = &o->vs.tls.items[i].match.items[k];

			if (m->port == port &&
			    gateways_have_mesh(m->gateways.count ? &m->gateways : &o->vs.gateways))
				return true;
		}
	return false;
}

/* A match of spec.tls for the host names the port, which says that it carries TLS. */
static bool tls_rule_names(struct mesh *mesh, const char *host, unsigned port)
{
	struct host_iter it = host_iter(&mesh->vs_index, host);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			if (names_port(hosted->refs.items[i], port))
				return true;
	return false;
}

bool port_carries_http(struct mesh *mesh, const struct host *h, const struct mesh_port *sp)
{
	if (sp->protocol == PORT_HTTP)
		return true;
	return port_is_undeclared(sp->port) && host_has_http_rule(mesh, h->name) &&
	       !tls_rule_names(mesh, sp->host->name, sp->port->port);
}

struct host *host_concrete(struct mesh *mesh, struct host *h)
{
	char name[HOST_MAX];

	for (int i = 0; h && i < ALIASES_MAX; i++) {
		const struct service_spec *s = &h->service->service;
		struct host *next;

		if (!str_eq(s->type, "ExternalName"))
			return h;
		if (!entry_name(s->external_name, name))
			return NULL;
		next = mesh_host(mesh, name);
		/* DNS knows where it leads. */
		if (!next)
			return h->port_count ? h : NULL;
		h = next;
	}
	return NULL;
}

static bool policy_is_of_requests(const struct traffic_policy *p)
{
	return p->lb.hash_http || p->lb.warmup.duration || p->outlier_detection.line ||
	       p->http_pool.line || client_tls_is_for(p->tls, false);
}

static bool policies_are_of_requests(const struct dr_policy *p, unsigned port)
{
	if (policy_is_of_requests(&p->policy))
		return true;
	for (size_t i = 0; i < p->ports.count; i++)
		if (p->ports.items[i].port == port &&
		    policy_is_of_requests(&p->ports.items[i].policy))
			return true;
	return false;
}

/* Of the host as a whole: a subset's policies need a rule that leads there. */
static bool port_has_policy(struct mesh *mesh, const char *host, unsigned port)
{
	struct host_iter it = host_iter(&mesh->dr_index, host);
	const struct hosted *hosted;

	while ((hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count; i++)
			if (policies_are_of_requests(&hosted->refs.items[i]->dr.policy, port))
				return true;
	return false;
}

bool port_has_requests(struct mesh *mesh, const struct host *h, const struct mesh_port *sp)
{
	return host_has_http_rule(mesh, h->name) ||
	       port_has_policy(mesh, sp->host->name, sp->port->port);
}

/* `h` may be another name for the service at `at`: its rules count there. */
static void mark_host(struct mesh *mesh, const struct host *h, struct host *at)
{
	bool rule = host_has_http_rule(mesh, h->name);

	for (size_t i = 0; i < at->port_count; i++) {
		struct mesh_port *sp = &at->ports[i];

		if (port_carries_http(mesh, h, sp) &&
		    (rule || port_has_policy(mesh, at->name, sp->port->port)))
			sp->proxied = true;
	}
}

void mark_proxied(struct mesh *mesh)
{
	if (!mesh->vs_index.map.count && !mesh->dr_index.map.count)
		return;
	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];
		struct host *at = h->name ? host_concrete(mesh, h) : NULL;

		if (at && !at->service->service.foreign)
			mark_host(mesh, h, at);
	}
}

void mark_entries(struct mesh *mesh)
{
	for (size_t i = 0; mesh->entries.count && i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		for (size_t k = 0; h->name && host_entry(h) && k < h->port_count; k++) {
			struct mesh_port *sp = &h->ports[k];

			sp->proxied |= port_carries_http(mesh, h, sp) ||
				       (sp->protocol == PORT_TLS && host_is_anywhere(h));
		}
	}
}

/* ---- TLS ---- */

bool tls_match_is_at(const struct l4_match *m, const struct mesh_port *sp)
{
	return m->port ? m->port == sp->port->port : sp->protocol == PORT_TLS;
}

/* Whatever name a client gives for one of the rule's hosts, the match takes it. */
static bool sni_covers(const struct object *o, const struct l4_match *m)
{
	char host[HOST_MAX], sni[HOST_MAX];
	size_t i, k;

	for (i = 0; i < o->vs.hosts.count; i++) {
		bool covered = false;

		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, host))
			return false;
		for (k = 0; k < m->sni_hosts.count && !covered; k++)
			covered = !host_complete(m->sni_hosts.items[k], o->meta.namespace, sni) &&
				  host_includes(sni, host);
		if (!covered)
			return false;
	}
	return true;
}

/* A tcp rule for the same port would take the connections that are not TLS, and only those. */
static bool tcp_has_port(const struct object *o, unsigned port)
{
	size_t i, k;

	for (i = 0; i < o->vs.tcp.count; i++) {
		const struct l4_route *route = &o->vs.tcp.items[i];

		for (k = 0; k < route->match.count; k++)
			if (!route->match.items[k].port || route->match.items[k].port == port)
				return true;
		if (!route->match.count)
			return true;
	}
	return false;
}

static bool same_names(const struct strs *a, const struct strs *b)
{
	size_t i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (strcasecmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

/* Another match for the port has other names: of those that take a client's the most specific
 * counts, which the kernel would not know. */
static bool names_differ(const struct object *o, const struct l4_match *m, unsigned port)
{
	size_t i, k;

	for (i = 0; i < o->vs.tls.count; i++)
		for (k = 0; k < o->vs.tls.items[i].match.count; k++) {
			const struct l4_match *other = &o->vs.tls.items[i].match.items[k];

			if ((!other->port || other->port == port) &&
			    !same_names(&m->sni_hosts, &other->sni_hosts))
				return true;
		}
	return false;
}

bool tls_match_needs_sni(const struct object *o, const struct l4_match *m, unsigned port)
{
	return !sni_covers(o, m) || names_differ(o, m, port) || tcp_has_port(o, port);
}

static bool match_asks(const struct object *o, const struct l4_match *m, const struct mesh_port *sp)
{
	return gateways_have_mesh(m->gateways.count ? &m->gateways : &o->vs.gateways) &&
	       tls_match_is_at(m, sp) && tls_match_needs_sni(o, m, sp->port->port);
}

static bool rule_asks(const struct object *o, const struct mesh_port *sp)
{
	for (size_t i = 0; i < o->vs.tls.count; i++)
		for (size_t k = 0; k < o->vs.tls.items[i].match.count; k++)
			if (match_asks(o, &o->vs.tls.items[i].match.items[k], sp))
				return true;
	return false;
}

static void mark_port(struct mesh *mesh, const struct host *h, struct mesh_port *sp)
{
	struct host_iter it = host_iter(&mesh->vs_index, h->name);
	const struct hosted *hosted;

	while (!sp->by_sni && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !sp->by_sni; i++)
			sp->by_sni = rule_asks(hosted->refs.items[i], sp);
	sp->proxied |= sp->by_sni;
}

/* ---- TLS to endpoints ---- */

/* `port`: 0: any. */
static bool policy_speaks_tls(const struct dr_policy *p, unsigned port)
{
	bool speaks = client_tls_is_for(p->policy.tls, false);

	for (size_t i = 0; i < p->ports.count && !speaks; i++)
		speaks = (!port || p->ports.items[i].port == port) &&
			 client_tls_is_for(p->ports.items[i].policy.tls, false);
	return speaks;
}

bool rule_speaks_tls(const struct object *o, unsigned port)
{
	bool speaks = policy_speaks_tls(&o->dr.policy, port);

	for (size_t i = 0; i < o->dr.subsets.count && !port && !speaks; i++)
		speaks = policy_speaks_tls(&o->dr.subsets.items[i].policy, 0);
	return speaks;
}

/* Whether any DestinationRule for the host has TLS spoken with all of a port's endpoints; without a
 * port: with any of its endpoints. */
static bool host_speaks_tls(struct mesh *mesh, const char *host, unsigned port)
{
	struct host_iter it = host_iter(&mesh->dr_index, host);
	const struct hosted *hosted;
	bool speaks = false;

	while (!speaks && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !speaks; i++)
			speaks = rule_speaks_tls(hosted->refs.items[i], port);
	return speaks;
}

static bool routes_speak_tls(struct mesh *mesh, const struct object *o,
			     const struct l4_routes *routes)
{
	char name[HOST_MAX];
	bool speaks = false;

	for (size_t i = 0; i < routes->count; i++)
		for (size_t k = 0; k < routes->items[i].route.count && !speaks; k++) {
			const struct destination *d = &routes->items[i].route.items[k].destination;
			const struct host *h = host_complete(d->host, o->meta.namespace, name)
						       ? NULL
						       : host_concrete(mesh, mesh_host(mesh, name));

			speaks = h && host_speaks_tls(mesh, h->name, 0);
		}
	return speaks;
}

bool rule_makes_tunnels(struct mesh *mesh, const struct object *o, const struct mesh_port *sp)
{
	return rule_asks(o, sp) || routes_speak_tls(mesh, o, &o->vs.tcp) ||
	       routes_speak_tls(mesh, o, &o->vs.tls);
}

static bool rules_speak_tls(struct mesh *mesh, const char *host)
{
	struct host_iter it = host_iter(&mesh->vs_index, host);
	const struct hosted *hosted;
	bool speaks = false;

	while (!speaks && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !speaks; i++) {
			const struct object *o = hosted->refs.items[i];

			speaks = routes_speak_tls(mesh, o, &o->vs.tcp) ||
				 routes_speak_tls(mesh, o, &o->vs.tls);
		}
	return speaks;
}

static bool any_speaks_tls(const struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->destination_rules.count; i++)
		if (rule_speaks_tls(mesh->destination_rules.items[i], 0))
			return true;
	return false;
}

static void mark_tunnel(struct mesh *mesh, const struct host *h, struct mesh_port *sp)
{
	if (host_speaks_tls(mesh, h->name, sp->port->port) || rules_speak_tls(mesh, h->name))
		sp->by_sni = sp->proxied = true;
}

/* ---- both ---- */

static bool any_tls_rule(const struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->virtual_services.count; i++)
		if (mesh->virtual_services.items[i]->vs.tls.count)
			return true;
	return false;
}

void mark_sni(struct mesh *mesh)
{
	bool speaks = any_speaks_tls(mesh);

	if (!speaks && !any_tls_rule(mesh))
		return;
	for (size_t i = 0; i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		if (!h->name || h->service->service.foreign ||
		    str_eq(h->service->service.type, "ExternalName"))
			continue;
		for (size_t k = 0; k < h->port_count; k++) {
			if (port_carries_http(mesh, h, &h->ports[k]))
				continue;
			mark_port(mesh, h, &h->ports[k]);
			if (speaks)
				mark_tunnel(mesh, h, &h->ports[k]);
		}
	}
}
