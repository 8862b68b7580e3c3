// SPDX-License-Identifier: Apache-2.0
/*
 * The ports of services, and the hosts that rules for the mesh speak of.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/mesh/entries.h"
#include "lib/mesh/external.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/visibility.h"
#include "lib/mesh/proxied.h"
#include "lib/l7/l7_priv.h"

static const char cluster_suffix[] = ".svc.cluster.local";

enum { HTTP_PORT = 80 };

/* The n-th port of HTTP that a ServiceEntry for a wildcard has, which `host` is one of; NULL: there
 * are no more. */
static struct mesh_port *wide_port(struct mesh *mesh, const char *host, size_t n)
{
	for (size_t i = 0; mesh->entries.count && i < mesh->services.count; i++) {
		struct host *h = &mesh->host_list[i];

		if (!h->name || !host_entry(h) || !host_is_wildcard(h->name) ||
		    !host_includes(h->name, host))
			continue;
		for (size_t k = 0; k < h->port_count; k++)
			if (port_carries_http(mesh, h, &h->ports[k]) && !n--)
				return &h->ports[k];
	}
	return NULL;
}

/* Whether a ServiceEntry for a wildcard that one of the rule's hosts is of has that port; *any:
 * some port. */
static bool wide_has_port(struct mesh *mesh, const struct object *o, unsigned port, bool *any)
{
	const struct mesh_port *sp;
	char name[HOST_MAX];

	for (size_t i = 0; i < o->vs.hosts.count; i++) {
		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, name))
			continue;
		for (size_t n = 0; (sp = wide_port(mesh, name, n)); n++) {
			*any = true;
			if (sp->port->port == port)
				return true;
		}
	}
	return false;
}

/* Whether the rule speaks of hosts that no service has on that port: on the ports of the services
 * that it is for as well; else on that of HTTP, and on those that no service has (0). */
static bool is_at(struct mesh *mesh, const struct object *o, unsigned port)
{
	bool any = false;
	char name[HOST_MAX];

	for (size_t i = 0; i < o->vs.hosts.count; i++) {
		struct host *h;

		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, name))
			continue;
		h = host_concrete(mesh, mesh_host(mesh, name));
		for (size_t k = 0; h && k < h->port_count; k++) {
			if (!port_carries_http(mesh, h, &h->ports[k]))
				continue;
			any = true;
			if (h->ports[k].port->port == port)
				return true;
		}
	}
	if (port && wide_has_port(mesh, o, port, &any))
		return true;
	return !any && (port == HTTP_PORT || !port);
}

/* The VirtualServices that may decide requests to a host: of the most specific host that any of
 * them names, by age. Nothing is merged: one is asked where those before it have no rule for the
 * client. */
struct deciders {
	struct host_iter hosts;
	const struct hosted *hosted;
	struct visible visible; /* of hosted */
	const char *client;
	struct mesh *mesh;
	bool unknown; /* no service has the host: only rules for such that are at `port` count */
	unsigned port;
};

static struct deciders deciders(struct mesh *mesh, const char *host, const char *client)
{
	return (struct deciders){ .hosts = host_iter(&mesh->vs_index, host),
				  .client = client,
				  .mesh = mesh };
}

static bool may_decide(const struct deciders *d, const struct object *o)
{
	return o->vs.http.count && (!d->unknown || is_at(d->mesh, o, d->port));
}

static const struct object *next_of_host(struct deciders *d)
{
	size_t i;

	while (d->hosted && visible_next(&d->visible, &i)) {
		const struct object *o = d->hosted->refs.items[i];

		if (may_decide(d, o) && !hosted_before(&d->hosts, d->hosted, o))
			return o;
	}
	return NULL;
}

/*
 * As Istio's sidecars have it: at a service, a rule for a more specific host hides the others, even
 * from a client that it can't hold for, which gets the plain service. A host that no service has is
 * not there for such a client, which finds a less specific one.
 */
static const struct object *next_decider(struct deciders *d)
{
	bool found = d->hosted && !d->unknown;
	const struct object *o = next_of_host(d);

	while (!o && !found && (d->hosted = host_iter_next(&d->hosts))) {
		d->visible = hosted_visible(&d->mesh->vs_index, d->hosted, d->client);
		/* Of a wildcard that services have, only they are meant. */
		o = d->unknown && d->hosted->has_service ? NULL : next_of_host(d);
	}
	return o;
}

static bool is_for_all(const struct http_route *route)
{
	for (size_t i = 0; i < route->match.count; i++) {
		const struct http_match *m = &route->match.items[i];

		if (!m->source_labels.count && !m->source_namespace && !m->port &&
		    !m->gateways.count)
			return true;
	}
	return !route->match.count;
}

/* Whether every client finds a rule for itself in it, on each port. Of a delegate that can't be
 * told yet. */
static bool is_last(const struct object *o)
{
	for (size_t i = 0; i < o->vs.http.count; i++)
		if (!o->vs.http.items[i].delegate && is_for_all(&o->vs.http.items[i]))
			return true;
	return false;
}

/* ---- clients that get something of their own ---- */

static int add_destination(struct http_compiler *c, struct names *n, const char *ns,
			   const struct destination *d)
{
	char name[HOST_MAX];
	struct host *h;

	if (host_complete(d->host, ns, name))
		return 0;
	h = host_concrete(c->mesh, mesh_host(c->mesh, name));
	return h ? names_add_rules(c->mesh, n, h->name, h->service->meta.namespace) : 0;
}

static int add_route(struct http_compiler *c, struct names *n, const struct http_effective *e)
{
	int r = 0;

	for (size_t i = 0; i < e->route.route.count && !r; i++)
		r = add_destination(c, n, e->o->meta.namespace,
				    &e->route.route.items[i].destination);
	for (size_t i = 0; i < e->route.mirrors.count && !r; i++)
		r = add_destination(c, n, e->mirror->meta.namespace,
				    &e->route.mirrors.items[i].destination);
	return r;
}

static int add_rule(struct http_compiler *c, struct names *n, const struct object *o)
{
	struct http_routes routes = { 0 };
	int r = names_add_exports(n, &o->vs.export_to, o->meta.namespace);

	if (!r)
		r = http_expand(c, o, &routes);
	for (size_t i = 0; i < routes.list.count && !r; i++)
		r = add_route(c, n, &routes.list.items[i]);
	free(routes.list.items);
	return r;
}

static int find_names(struct http_compiler *c, struct host *h, struct names *n)
{
	struct host_iter it = host_iter(&c->mesh->vs_index, h->name);
	const struct hosted *hosted;
	const struct host *at = host_concrete(c->mesh, h);
	int r = names_add_rules(c->mesh, n, at->name, at->service->meta.namespace);

	while (!r && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !r; i++)
			r = add_rule(c, n, hosted->refs.items[i]);
	return r;
}

int http_sight_add(struct http_sight *s, const void *part)
{
	const void **slot = table_push(&s->parts);

	if (!slot)
		return -ENOMEM;
	*slot = part;
	return 0;
}

int http_sight_add_destination(struct http_compiler *c, struct http_sight *s, const char *client,
			       const char *ns, const struct destination *d)
{
	char name[HOST_MAX];
	struct host *h;

	if (host_complete(d->host, ns, name))
		return 0;
	h = host_concrete(c->mesh, mesh_host(c->mesh, name));
	return h ? http_sight_add(s, host_is_seen(h, client) ? host_view(c->mesh, h, client) : NULL)
		 : 0;
}

static int sight_add_rule(struct http_compiler *c, struct http_sight *s, const char *client,
			  const struct object *o)
{
	struct http_routes routes = { 0 };
	int r = http_sight_add(s, o);

	if (!r)
		r = http_expand(c, o, &routes);
	for (size_t i = 0; i < routes.list.count && !r; i++) {
		const struct http_effective *e = &routes.list.items[i];

		for (size_t k = 0; k < e->route.route.count && !r; k++)
			r = http_sight_add_destination(c, s, client, e->o->meta.namespace,
						       &e->route.route.items[k].destination);
		for (size_t k = 0; k < e->route.mirrors.count && !r; k++)
			r = http_sight_add_destination(c, s, client, e->mirror->meta.namespace,
						       &e->route.mirrors.items[k].destination);
	}
	free(routes.list.items);
	return r;
}

static int sight_of(struct http_compiler *c, struct host *h, const char *client,
		    struct http_sight *s)
{
	struct deciders all = deciders(c->mesh, h->name, client);
	const struct object *o = NULL;
	int r = http_sight_add(s, host_view(c->mesh, host_concrete(c->mesh, h), client));

	while (!r && !(o && is_last(o)) && (o = next_decider(&all)))
		r = sight_add_rule(c, s, client, o);
	return r;
}

bool http_sights_equal(const struct http_sight *a, const struct http_sight *b)
{
	return a->parts.count == b->parts.count &&
	       !memcmp(a->parts.items, b->parts.items, a->parts.count * sizeof(*a->parts.items));
}

/* ---- a service's port ---- */

/* A service and what is its own among the names that lead to it. */
static void add_name(struct http_compiler *c, const struct http_domain *like, __u32 ns,
		     const char *name)
{
	struct http_domain d = *like;

	d.name = pool_copy(&c->mesh->pool, name, strlen(name));
	if (!d.name) {
		c->mesh->nomem = true;
		return;
	}
	if (ns)
		d.ns = ns;
	/* The short name means another service in another namespace. */
	if (ns && like->ns && ns != like->ns)
		return;
	http_domain_add(c, &d);
}

/* "svc" from its own namespace, "svc.ns", "svc.ns.svc", all of it. */
static void add_aliases(struct http_compiler *c, const struct http_domain *d, const char *fqdn)
{
	size_t len = strlen(fqdn), suffix = sizeof(cluster_suffix) - 1;
	char name[HOST_MAX], *dot;

	add_name(c, d, 0, fqdn);
	if (len <= suffix || strcmp(fqdn + len - suffix, cluster_suffix) != 0)
		return;
	snprintf(name, sizeof(name), "%.*s.svc", (int)(len - suffix), fqdn);
	add_name(c, d, 0, name);
	name[len - suffix] = '\0';
	add_name(c, d, 0, name);
	dot = strchr(name, '.');
	if (!dot || strchr(dot + 1, '.'))
		return;
	*dot = '\0';
	add_name(c, d, http_namespace(c, dot + 1), name);
}

static void add_address(struct http_compiler *c, const struct http_domain *d,
			const struct addr *addr, const char *written)
{
	char text[ADDR_TEXT_MAX + 2];

	snprintf(text, sizeof(text), addr_is_v4(addr) ? "%s" : "[%s]", written);
	for (char *at = text; *at; at++)
		*at = tolower((unsigned char)*at);
	add_name(c, d, 0, text);
}

/* Whether pods that call the external address there call this host. */
static bool is_called_at(struct http_compiler *c, const struct host *h, const struct addr *addr,
			 unsigned port)
{
	struct external_owner owner = external_owner(c->mesh, addr, port);

	return owner.host == h && !owner.door;
}

static void add_addresses(struct http_compiler *c, const struct http_domain *d,
			  const struct host *h)
{
	const struct service_spec *s = &h->service->service;
	const struct entry_host *entry = host_entry(h);
	char text[ADDR_TEXT_MAX];
	struct external e;
	struct addr addr;
	size_t next = 0;

	for (size_t i = 0; i < s->cluster_ips.count; i++)
		if (!addr_parse(s->cluster_ips.items[i], &addr))
			add_address(c, d, &addr, s->cluster_ips.items[i]);
	for (size_t i = 0; entry && i < entry->addr_count; i++) {
		if (!is_called_at(c, h, &entry->addrs[i], d->port))
			continue;
		addr_format(&entry->addrs[i], text);
		add_address(c, d, &entry->addrs[i], text);
	}
	while (external_next(s, &next, &e)) {
		if (!is_called_at(c, h, &e.addr, d->port))
			continue;
		addr_format(&e.addr, text);
		add_address(c, d, &e.addr, text);
	}
}

static int add_deciders(struct http_compiler *c, const struct http_site *site, struct deciders *all,
			struct http_rules *out)
{
	const struct object *o;
	int r = 0;

	while (!r && !http_rules_closed(c, out) && (o = next_decider(all)))
		r = http_rules_add(c, site, o, out);
	return r;
}

static int add_vhost(struct http_compiler *c, struct host *h, struct mesh_port *sp,
		     const char *client)
{
	struct http_site site = { .port = sp->port->port, .client = client };
	struct http_domain d = { .scope = SCOPE_MESH, .port = site.port };
	struct deciders all = deciders(c->mesh, h->name, client);
	struct http_rules rules = { 0 };
	__u32 plain = http_plain_row(c, &site, sp);
	int r = add_deciders(c, &site, &all, &rules);

	d.vhost = http_vhost_row(c, h->name, &rules, plain, 0);
	http_rules_free(&rules);
	if (client)
		d.ns = http_namespace(c, client);
	add_aliases(c, &d, h->name);
	add_addresses(c, &d, h);
	return r;
}

static int add_variants(struct http_compiler *c, struct host *h, struct mesh_port *sp,
			const struct names *names)
{
	struct http_sight all = { 0 };
	int r = sight_of(c, h, NULL, &all);

	for (size_t i = 0; i < names->count && !r; i++) {
		struct http_sight own = { 0 };

		r = sight_of(c, h, names->items[i], &own);
		if (!r && !http_sights_equal(&own, &all))
			r = add_vhost(c, h, sp, names->items[i]);
		free(own.parts.items);
	}
	free(all.parts.items);
	return r;
}

static void note_visit(struct http_compiler *c, const char *name)
{
	const char *copy = c->patching ? pool_copy(&c->mesh->pool, name, strlen(name)) : NULL;
	void **at = copy ? bytemap_at(&c->visited, copy, strlen(copy)) : NULL;

	if (at)
		*at = (void *)copy;
	c->mesh->nomem |= c->patching && !at;
}

/* To the clients of those namespaces that see it, and to the others. */
static int add_vhosts(struct http_compiler *c, struct host *h, struct mesh_port *sp,
		      const struct names *names)
{
	int r = 0;

	if (host_is_seen(h, NULL)) {
		r = add_variants(c, h, sp, names);
		return r ? r : add_vhost(c, h, sp, NULL);
	}
	for (size_t i = 0; i < names->count && !r; i++)
		if (host_is_seen(h, names->items[i]))
			r = add_vhost(c, h, sp, names->items[i]);
	return r;
}

/* An ExternalName has the ports of the service that it stands for, but rules of its own. */
static int compile_host(struct http_compiler *c, struct host *h)
{
	struct host *at = host_concrete(c->mesh, h);
	struct names names = { 0 };
	int r = at ? find_names(c, h, &names) : 0;

	note_visit(c, h->name);
	for (size_t i = 0; at && i < at->port_count && !r; i++) {
		if (!port_carries_http(c->mesh, h, &at->ports[i]))
			continue;
		r = add_vhosts(c, h, &at->ports[i], &names);
	}
	names_free(&names);
	return r;
}

/* ---- hosts that no service has ---- */

/* Whether a known service is meant by the host of a rule. */
static bool has_service(struct mesh *mesh, const char *host)
{
	const struct hosted *hosted = bytemap_str(&mesh->vs_index.map, host);

	return hosted && hosted->has_service;
}

/* Each rule of a host asks for its virtual hosts: the first brings those of all. */
static bool unknown_is_new(struct http_compiler *c, const char *host, unsigned port)
{
	const char *key = pool_printf(&c->mesh->pool, "%u/%s", port, host);
	void **at = key ? bytemap_at(&c->unknown, key, strlen(key)) : NULL;

	c->mesh->nomem |= !at;
	if (!at || *at)
		return false;
	*at = (void *)key;
	return true;
}

/* Whether the client sees a rule for the host itself. */
static bool unknown_is_seen(const struct deciders *all, const char *host)
{
	struct deciders first = *all;

	return next_decider(&first) && str_eq(first.hosted->host, host);
}

/* `closed`: rules for less specific hosts are not reached. */
static int unknown_vhost(struct http_compiler *c, const char *host, unsigned port,
			 const char *client, bool *closed)
{
	struct http_site site = { .port = port ? port : HTTP_PORT, .client = client };
	struct http_domain d = { .scope = SCOPE_MESH, .port = port };
	struct deciders all = deciders(c->mesh, host, client);
	struct http_rules rules = { 0 };
	int r;

	all.unknown = true;
	all.port = port;
	if (!unknown_is_seen(&all, host))
		return 0;
	r = add_deciders(c, &site, &all, &rules);
	*closed = http_rules_closed(c, &rules) && str_eq(all.hosted->host, host);
	/* Without a rule that can hold there is no such host. */
	if (rules.rules.count) {
		d.vhost = http_vhost_row(c, host, &rules, HS_NONE, 0);
		d.ns = client ? http_namespace(c, client) : 0;
		if (host_is_wildcard(host))
			add_name(c, &d, 0, host);
		else
			add_aliases(c, &d, host);
	}
	http_rules_free(&rules);
	return r;
}

/* Namespaces that see rules of their own for the host, and for less specific ones where they are
 * reached. */
static int unknown_names(struct http_compiler *c, const char *host, bool closed, struct names *n)
{
	struct host_iter it = host_iter(&c->mesh->vs_index, host);
	const struct hosted *hosted;
	int r = 0;

	while (!r && (hosted = host_iter_next(&it)))
		for (size_t i = 0; i < hosted->refs.count && !r; i++) {
			const struct object *o = hosted->refs.items[i];

			if (!closed || str_eq(hosted->host, host))
				r = names_add_exports(n, &o->vs.export_to, o->meta.namespace);
		}
	return r;
}

/* The names that clients see: one virtual host for all, and one for each namespace that sees rules
 * that others don't. */
static int unknown_host(struct http_compiler *c, const char *host, unsigned port)
{
	struct names names = { 0 };
	bool closed = false, own;
	int r;

	if (!unknown_is_new(c, host, port))
		return 0;
	note_visit(c, host);
	r = unknown_vhost(c, host, port, NULL, &closed);
	if (!r)
		r = unknown_names(c, host, closed, &names);
	for (size_t i = 0; i < names.count && !r; i++)
		r = unknown_vhost(c, host, port, names.items[i], &own);
	names_free(&names);
	return r;
}

/* The ports of the services that the rule is for as well; else that of HTTP, and ports that no
 * service has. */
static int unknown_ports(struct http_compiler *c, const struct object *o, const char *host)
{
	bool any = false;
	char name[HOST_MAX];
	int r = 0;

	for (size_t i = 0; i < o->vs.hosts.count && !r; i++) {
		struct host *h;

		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, name))
			continue;
		h = host_concrete(c->mesh, mesh_host(c->mesh, name));
		for (size_t k = 0; h && k < h->port_count && !r; k++) {
			if (!port_carries_http(c->mesh, h, &h->ports[k]))
				continue;
			any = true;
			r = unknown_host(c, host, h->ports[k].port->port);
		}
	}
	for (size_t n = 0; !r; n++) {
		const struct mesh_port *sp = wide_port(c->mesh, host, n);

		if (!sp)
			break;
		any = true;
		r = unknown_host(c, host, sp->port->port);
	}
	if (!any && !r)
		r = unknown_host(c, host, HTTP_PORT);
	return any || r ? r : unknown_host(c, host, 0);
}

static int compile_unknown(struct http_compiler *c, const struct object *o)
{
	char name[HOST_MAX];
	int r = 0;

	if (!o->vs.http.count || !gateways_have_mesh(&o->vs.gateways))
		return 0;
	for (size_t i = 0; i < o->vs.hosts.count && !r; i++)
		if (!host_complete(o->vs.hosts.items[i], o->meta.namespace, name) &&
		    !has_service(c->mesh, name))
			r = unknown_ports(c, o, name);
	return r;
}

/* ---- addresses ---- */

struct address_entry {
	struct addr addr;
	struct mesh_port *sp;
	unsigned port; /* that is called there */
	bool direct;   /* it is an endpoint's own */
};

static int compare_addresses(const void *a, const void *b)
{
	const struct address_entry *x = a, *y = b;
	int r = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return r ? r : (int)x->port - (int)y->port;
}

struct addresses {
	TABLE(struct address_entry) rows;
};

static int gather_address(struct addresses *a, const struct addr *addr, struct mesh_port *sp)
{
	struct address_entry *e = table_push(&a->rows);

	if (!e)
		return -ENOMEM;
	*e = (struct address_entry){ *addr, sp, sp->port->port, false };
	return 0;
}

static int gather_direct(struct http_compiler *c, struct addresses *a)
{
	for (size_t i = 0; i < c->mesh->mutual_direct.count; i++) {
		const struct mutual_direct *d = &c->mesh->mutual_direct.items[i];
		struct address_entry *e = d->written ? table_push(&a->rows) : NULL;

		if (d->written && !e)
			return -ENOMEM;
		if (e)
			*e = (struct address_entry){ d->addr, d->sp, d->port, true };
	}
	return 0;
}

static int gather_port(struct http_compiler *c, struct addresses *a, const struct host *h,
		       struct mesh_port *sp)
{
	const struct service_spec *s = &h->service->service;
	const struct entry_host *entry = host_entry(h);
	struct external e;
	struct addr addr;
	size_t next = 0;
	int r = 0;

	for (size_t k = 0; entry && k < entry->addr_count && !r; k++)
		if (is_called_at(c, h, &entry->addrs[k], sp->port->port))
			r = gather_address(a, &entry->addrs[k], sp);
	for (size_t k = 0; k < s->cluster_ips.count && !r; k++)
		if (!addr_parse(s->cluster_ips.items[k], &addr))
			r = gather_address(a, &addr, sp);
	while (!r && external_next(s, &next, &e))
		if (is_called_at(c, h, &e.addr, sp->port->port))
			r = gather_address(a, &e.addr, sp);
	/* For explain alone. */
	if (!r && sp->by_sni && h->placeholder) {
		addr = addr_placeholder(h->placeholder);
		r = gather_address(a, &addr, sp);
	}
	return r;
}

static int gather_addresses(struct http_compiler *c, struct addresses *a)
{
	int r = 0;

	for (size_t i = 0; i < c->mesh->services.count; i++) {
		struct host *h = &c->mesh->host_list[i];

		for (size_t k = 0; k < h->port_count && !r; k++)
			if (h->ports[k].by_sni || port_carries_http(c->mesh, h, &h->ports[k]))
				r = gather_port(c, a, h, &h->ports[k]);
	}
	return r;
}

static int write_sni(struct http_compiler *c, const struct address_entry *e, struct hs_address *row)
{
	struct http_sni_ranges ranges = { 0 };
	int r = e->direct ? http_tls_direct(c, e->sp, &ranges)
			  : http_tls_routes_at(c, e->sp, &e->addr, &ranges);

	row->sni_exact = ranges.exact;
	row->sni_wild = ranges.wild;
	return r;
}

static bool is_named(const struct host *h, const struct mesh_port *sp)
{
	return h->name && sp->proxied && sp->protocol == PORT_TLS && host_is_anywhere(h);
}

/* Whether it is the first of the port. */
static bool is_first_named(struct http_compiler *c, const struct host *h,
			   const struct mesh_port *sp)
{
	for (const struct host *before = c->mesh->host_list; before < h; before++)
		for (size_t k = 0; k < before->port_count; k++)
			if (before->ports[k].port->port == sp->port->port &&
			    is_named(before, &before->ports[k]))
				return false;
	return true;
}

/* The ports of TLS that ServiceEntries have at no address, each once. */
static int gather_named(struct http_compiler *c, struct addresses *a)
{
	static const struct addr any;
	int r = 0;

	for (size_t i = 0; c->mesh->entries.count && i < c->mesh->services.count; i++) {
		struct host *h = &c->mesh->host_list[i];

		for (size_t k = 0; k < h->port_count && !r; k++)
			if (is_named(h, &h->ports[k]) && is_first_named(c, h, &h->ports[k]))
				r = gather_address(a, &any, &h->ports[k]);
	}
	return r;
}

static int write_named(struct http_compiler *c, unsigned port, struct hs_address *row)
{
	struct http_sni_ranges ranges = { 0 };
	struct http_snis list = { 0 };
	int r = 0;

	for (size_t i = 0; i < c->mesh->services.count && !r; i++) {
		struct host *h = &c->mesh->host_list[i];

		for (size_t k = 0; k < h->port_count && !r; k++)
			if (h->ports[k].port->port == port && is_named(h, &h->ports[k]))
				r = http_tls_anywhere(c, &h->ports[k], &list);
	}
	http_sni_rows(c, list.list.items, list.list.count, &ranges.exact, &ranges.wild);
	free(list.list.items);
	row->sni_exact = ranges.exact;
	row->sni_wild = ranges.wild;
	return r;
}

static int write_addresses(struct http_compiler *c)
{
	static const struct addr any;
	struct addresses a = { 0 };
	int r = gather_named(c, &a);

	if (!r)
		r = gather_addresses(c, &a);
	if (!r)
		r = gather_direct(c, &a);
	if (!r && a.rows.count)
		qsort(a.rows.items, a.rows.count, sizeof(*a.rows.items), compare_addresses);
	for (size_t i = 0; i < a.rows.count && !r; i++) {
		const struct address_entry *e = &a.rows.items[i];
		struct http_site site = { .port = e->sp->port->port, .direct = e->direct };
		struct hs_address row = { .addr = e->addr, .port = e->port };

		row.action = http_plain_row(c, &site, e->sp);
		if (!memcmp(&e->addr, &any, sizeof(any)))
			r = write_named(c, site.port, &row);
		else if (e->sp->by_sni || e->direct)
			r = write_sni(c, e, &row);
		http_build_add(&c->build, HS_ADDRESSES, &row);
	}
	free(a.rows.items);
	return r;
}

/* Another proxy's are not, whatever their ports say. */
static bool is_ours(const struct host *h)
{
	return h->name && !h->service->service.foreign;
}

int http_compile_mesh(struct http_compiler *c)
{
	int r = 0;

	for (size_t i = 0; i < c->mesh->virtual_services.count && !r; i++)
		r = compile_unknown(c, c->mesh->virtual_services.items[i]);
	for (size_t i = 0; i < c->mesh->services.count && !r; i++)
		if (is_ours(&c->mesh->host_list[i]))
			r = compile_host(c, &c->mesh->host_list[i]);
	return r ? r : write_addresses(c);
}

/* ---- those of one VirtualService ---- */

enum { WIDE_MAX = 64 }; /* services of a wildcard: a compilation costs no more than as many */

static int compile_covered(struct http_compiler *c, const char *host)
{
	struct host *h = mesh_host(c->mesh, host);
	size_t found = 0;
	int r = 0;

	if (!host_is_wildcard(host))
		return h && is_ours(h) ? compile_host(c, h) : 0;
	for (size_t i = 0; i < c->mesh->services.count && !r && !c->anew; i++) {
		h = &c->mesh->host_list[i];
		if (!is_ours(h) || !host_includes(host, h->name))
			continue;
		c->anew |= found++ == WIDE_MAX;
		r = c->anew ? 0 : compile_host(c, h);
	}
	return r;
}

int http_compile_hosts_of(struct http_compiler *c, const struct object *o)
{
	char name[HOST_MAX];
	int r = 0;

	for (size_t i = 0; i < o->vs.hosts.count && !r && !c->anew; i++)
		if (!host_complete(o->vs.hosts.items[i], o->meta.namespace, name))
			r = compile_covered(c, name);
	return r;
}

/* Rules for a less specific host count where those for a host let them. */
static int compile_unknown_in(struct http_compiler *c, const struct object *o, const char *wide)
{
	char name[HOST_MAX];
	int r = 0;

	if (!o->vs.http.count || !gateways_have_mesh(&o->vs.gateways))
		return 0;
	for (size_t i = 0; i < o->vs.hosts.count && !r; i++)
		if (!host_complete(o->vs.hosts.items[i], o->meta.namespace, name) &&
		    !has_service(c->mesh, name) && host_includes(wide, name))
			r = unknown_ports(c, o, name);
	return r;
}

/* The VirtualServices that may name a host which `host` includes and no service has. */
static struct refs candidates_within(const struct http_compiler *c, const char *host)
{
	const struct hosted *hosted;

	if (host_is_wildcard(host))
		return c->mesh->virtual_services;
	hosted = bytemap_str(&c->mesh->vs_index.map, host);
	return hosted && !hosted->has_service ? hosted->refs : (struct refs){ 0 };
}

int http_compile_unknown_of(struct http_compiler *c, const struct object *o)
{
	char name[HOST_MAX];
	int r = 0;

	for (size_t i = 0; i < o->vs.hosts.count && !r; i++) {
		struct refs within;

		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, name))
			continue;
		within = candidates_within(c, name);
		for (size_t k = 0; k < within.count && !r; k++)
			r = compile_unknown_in(c, within.items[k], name);
	}
	return r;
}
