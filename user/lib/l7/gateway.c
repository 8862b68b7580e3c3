// SPDX-License-Identifier: Apache-2.0
/*
 * The servers of Gateways that weft-proxy has. All of HTTP of a site (lib/mesh/gateway_sites.h)
 * make one listener; rules for one host are appended by age, those that take everything last.
 * Servers of TLS keep their hosts and rules apart, as Envoy's filter chains do: the ClientHello
 * chooses one of them.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/mesh/external.h"
#include "lib/mesh/gateway_sites.h"
#include "lib/mesh/gateways.h"
#include "lib/l7/l7_priv.h"

/* One host of a port while its rules are gathered. */
struct gathered {
	const char *host;
	struct http_rules rules, last; /* `last`: those that take everything */
	__u32 flags;
};

struct port_hosts {
	unsigned port;
	__u32 group; /* of the site */
	bool tls;
	__u32 server; /* of http_server_add(); 0: no TLS */
	TABLE(struct gathered) hosts;
};

struct door {
	struct hs_door row;
	size_t order;
};

struct doors {
	TABLE(struct door) rows;
};

static void port_hosts_free(struct port_hosts *p)
{
	for (size_t i = 0; i < p->hosts.count; i++) {
		http_rules_free(&p->hosts.items[i].rules);
		http_rules_free(&p->hosts.items[i].last);
	}
	free(p->hosts.items);
}

static struct gathered *host_at(struct http_compiler *c, struct port_hosts *p, const char *host)
{
	struct gathered *g;

	for (size_t i = 0; i < p->hosts.count; i++)
		if (!strcmp(p->hosts.items[i].host, host))
			return &p->hosts.items[i];
	g = table_push(&p->hosts);
	if (g)
		g->host = pool_copy(&c->mesh->pool, host, strlen(host));
	return g && g->host ? g : NULL;
}

static int append(struct http_compiler *c, struct gathered *g, const struct http_rules *from)
{
	for (size_t i = 0; i < from->rules.count; i++) {
		const struct hs_rule *rule = &from->rules.items[i];
		struct hs_rule *slot = http_match_is_any(c, rule->match)
					       ? table_push(&g->last.rules)
					       : table_push(&g->rules.rules);

		if (!slot)
			return -ENOMEM;
		*slot = *rule;
	}
	for (size_t i = 0; i < from->skipped.count; i++) {
		struct hs_skipped *slot = table_push(&g->rules.skipped);

		if (!slot)
			return -ENOMEM;
		*slot = from->skipped.items[i];
	}
	return 0;
}

static const char *without_namespace(const char *server_host)
{
	const char *slash = strchr(server_host, '/');

	return slash ? slash + 1 : server_host;
}

void http_hosts_meet(const char *server_host, const char *vs_host, char out[HOST_MAX])
{
	const char *name = without_namespace(server_host);
	size_t i;

	if (host_includes(name, vs_host))
		name = vs_host;
	for (i = 0; name[i] && i < HOST_MAX - 1; i++)
		out[i] = tolower((unsigned char)name[i]);
	out[i] = '\0';
}

static int add_host(struct http_compiler *c, struct port_hosts *p, const char *name,
		    const struct gw_server *server, const struct http_rules *rules)
{
	struct gathered *g = host_at(c, p, name);

	if (!g)
		return -ENOMEM;
	if (server->https_redirect)
		g->flags |= HS_VHOST_HTTPS_ONLY;
	return append(c, g, rules);
}

/* A short name is good as it is written, too. */
static int add_hosts(struct http_compiler *c, struct port_hosts *p, const struct object *gw,
		     const struct gw_server *server, const struct object *o,
		     const struct http_rules *rules)
{
	char host[HOST_MAX], name[HOST_MAX];
	int r = 0;

	for (size_t i = 0; i < server->hosts.count; i++) {
		for (size_t k = 0; k < o->vs.hosts.count && !r; k++) {
			const char *written = o->vs.hosts.items[k];

			if (host_complete(written, o->meta.namespace, host) ||
			    !server_host_takes(server->hosts.items[i], gw->meta.namespace,
					       o->meta.namespace, host))
				continue;
			http_hosts_meet(server->hosts.items[i], host, name);
			r = add_host(c, p, name, server, rules);
			if (!r && !strpbrk(written, ".*:"))
				r = add_host(c, p, written, server, rules);
		}
	}
	return r;
}

static int add_rules(struct http_compiler *c, struct port_hosts *p, const struct object *gw,
		     const struct gw_server *server)
{
	struct http_site site = {
		.gateway = gw, .port = server->port, .client = gw->meta.namespace, .tls = p->tls
	};
	int r = 0;

	for (size_t i = 0; i < c->mesh->virtual_services.count && !r; i++) {
		const struct object *o = c->mesh->virtual_services.items[i];
		struct http_rules rules = { 0 };

		if (!o->vs.http.count || !virtual_service_at(o, gw, server))
			continue;
		r = http_rules_add(c, &site, o, &rules);
		/* Without a rule that can hold here, its hosts are left to less specific ones. */
		if (!r && rules.rules.count)
			r = add_hosts(c, p, gw, server, o, &rules);
		http_rules_free(&rules);
	}
	return r;
}

/* Hosts that no rule speaks of are redirected, too. */
static int add_redirects(struct http_compiler *c, struct port_hosts *p,
			 const struct gw_server *server)
{
	char name[HOST_MAX];

	for (size_t i = 0; server->https_redirect && i < server->hosts.count; i++) {
		struct gathered *g;

		http_hosts_meet(server->hosts.items[i], without_namespace(server->hosts.items[i]),
				name);
		g = host_at(c, p, name);
		if (!g)
			return -ENOMEM;
		g->flags |= HS_VHOST_HTTPS_ONLY;
	}
	return 0;
}

static int write_host(struct http_compiler *c, const struct port_hosts *p, struct gathered *g)
{
	struct http_domain d = { .scope = SCOPE_NODE,
				 .port = p->port,
				 .group = p->group,
				 .server = p->server,
				 .tls = p->tls,
				 .name = g->host };

	for (size_t i = 0; i < g->last.rules.count; i++) {
		struct hs_rule *slot = table_push(&g->rules.rules);

		if (!slot)
			return -ENOMEM;
		*slot = g->last.rules.items[i];
	}
	d.vhost = http_vhost_row(c, g->host, &g->rules, HS_NONE, g->flags);
	http_domain_add(c, &d);
	return 0;
}

static int write_hosts(struct http_compiler *c, const struct port_hosts *p)
{
	int r = 0;

	for (size_t i = 0; i < p->hosts.count && !r; i++)
		r = write_host(c, p, &p->hosts.items[i]);
	return r;
}

static int add_server(struct http_compiler *c, struct port_hosts *p, const struct object *gw,
		      const struct gw_server *server)
{
	int r = add_rules(c, p, gw, server);

	return r ? r : add_redirects(c, p, server);
}

/* Has hosts and rules of its own. */
static int add_https_server(struct http_compiler *c, const struct object *gw,
			    const struct gw_server *server)
{
	struct port_hosts own = { .port = server->port, .group = c->group, .tls = true };
	int r;

	own.server = http_server_add(c, gw, server);
	r = own.server ? add_rules(c, &own, gw, server) : -ENOMEM;
	if (!r)
		r = write_hosts(c, &own);
	port_hosts_free(&own);
	return r;
}

static int add_any_server(struct http_compiler *c, struct port_hosts *p, const struct object *gw,
			  const struct gw_server *server)
{
	switch (server_kind(server)) {
	case SERVER_HTTPS:
		return add_https_server(c, gw, server);
	case SERVER_TLS:
		return http_tcp_routes(c, gw, server);
	case SERVER_PASSTHROUGH:
		return http_tls_routes(c, gw, server);
	default:
		return add_server(c, p, gw, server);
	}
}

static int compile_site(struct http_compiler *c, const struct gateway_site *site,
			struct port_hosts *p)
{
	struct http_domain none = {
		.scope = SCOPE_NODE, .port = p->port, .group = p->group, .tls = p->tls, .name = ""
	};
	int r = 0;

	for (size_t i = 0; i < site->count && !r; i++) {
		const struct object *gw = site->servers[i].gateway;
		const struct gw_server *server = site->servers[i].server;

		enum server_kind kind = server_kind(server);

		if (server_is_proxied(kind) && server_has_tls(kind) == p->tls)
			r = add_any_server(c, p, gw, server);
	}
	http_domain_add(c, &none);
	return r ? r : write_hosts(c, p);
}

/* ---- other ways in ---- */

static int door_add(struct doors *d, const struct addr *addr, unsigned port,
		    const struct gateway_site *site)
{
	struct door *row = port ? table_push(&d->rows) : NULL;

	if (!port)
		return 0;
	if (!row)
		return -ENOMEM;
	row->order = d->rows.count;
	row->row = (struct hs_door){ .addr = *addr,
				     .port = port,
				     .listener_port = site->port,
				     .listener_group = site->group };
	return 0;
}

/* Those that no other Service has. */
static int external_doors(struct http_compiler *c, struct doors *d, const struct object *service,
			  unsigned port, const struct gateway_site *site)
{
	struct external e;
	size_t next = 0;
	int r = 0;

	while (!r && external_next(&service->service, &next, &e)) {
		struct external_owner owner = external_owner(c->mesh, &e.addr, port);

		if (owner.host && owner.host->service == service)
			r = door_add(d, &e.addr, port, site);
	}
	return r;
}

static int way_doors(struct http_compiler *c, struct doors *d, const struct site_way *way,
		     const struct gateway_site *site)
{
	static const struct addr node;
	const struct strs *ips = &way->service->service.cluster_ips;
	unsigned port = way->port->port;
	int r = door_add(d, &node, way->port->node_port, site);

	for (size_t i = 0; i < ips->count && !r; i++) {
		struct addr addr;

		if (!addr_parse(ips->items[i], &addr) &&
		    gateway_port(c->mesh, way->service, port, addr_family(&addr)))
			r = door_add(d, &addr, port, site);
	}
	return r ? r : external_doors(c, d, way->service, port, site);
}

/* Whether the address that a server is bound to is its own. */
static bool has_bound(struct http_compiler *c, const struct gateway_site *site)
{
	return site->bound &&
	       (c->mesh->l4_only || external_owner(c->mesh, &site->bind, site->port).door);
}

static int site_doors(struct http_compiler *c, struct doors *d, const struct gateway_site *site)
{
	int r = has_bound(c, site) ? door_add(d, &site->bind, site->port, site) : 0;

	for (const struct site_way *way = site->ways; way && !r; way = way->next)
		r = way_doors(c, d, way, site);
	return r;
}

static int compare_places(const struct door *x, const struct door *y)
{
	int r = memcmp(&x->row.addr, &y->row.addr, sizeof(x->row.addr));

	return r ? r : (int)x->row.port - (int)y->row.port;
}

static int compare_doors(const void *a, const void *b)
{
	const struct door *x = a, *y = b;
	int r = compare_places(x, y);

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

/* Of two sites with the same door the first has it, as in the kernel's tables. */
static void write_doors(struct http_compiler *c, struct doors *d)
{
	if (d->rows.count)
		qsort(d->rows.items, d->rows.count, sizeof(*d->rows.items), compare_doors);
	for (size_t i = 0; i < d->rows.count; i++)
		if (!i || compare_places(&d->rows.items[i - 1], &d->rows.items[i]))
			http_build_add(&c->build, HS_DOORS, &d->rows.items[i].row);
}

/* The first that is weft-proxy's says whether all of a site's speak TLS. False: there is none. */
static bool site_is_proxied(const struct gateway_site *site, bool *tls)
{
	for (size_t i = 0; i < site->count; i++) {
		enum server_kind kind = server_kind(site->servers[i].server);

		*tls = server_has_tls(kind);
		if (server_is_proxied(kind))
			return true;
	}
	return false;
}

int http_compile_gateways(struct http_compiler *c)
{
	const struct gateway_sites *sites = c->mesh->gateway_sites;
	struct doors doors = { 0 };
	int r = 0;

	for (const struct gateway_site *site = sites ? sites->first : NULL; site && !r;
	     site = site->next) {
		struct port_hosts p = { .port = site->port, .group = site->group };

		if (!site_is_proxied(site, &p.tls))
			continue;
		c->group = site->group;
		r = compile_site(c, site, &p);
		port_hosts_free(&p);
		if (!r)
			r = site_doors(c, &doors, site);
	}
	if (!r)
		write_doors(c, &doors);
	free(doors.rows.items);
	return r;
}
