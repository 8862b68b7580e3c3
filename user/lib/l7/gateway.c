// SPDX-License-Identifier: Apache-2.0
/*
 * The servers of Gateways that weft-proxy has. All of HTTP that are on one port make one listener;
 * rules for one host are appended by age, those that take everything last. Servers of TLS keep
 * their hosts and rules apart, as Envoy's filter chains do: the ClientHello chooses one of them.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/mesh/external.h"
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
	bool tls;
	__u32 server; /* of http_server_add(); 0: no TLS */
	TABLE(struct gathered) hosts;
};

struct doors {
	TABLE(struct hs_door) rows;
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
	struct port_hosts own = { .port = server->port, .tls = true };
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

static int compile_port(struct http_compiler *c, struct port_hosts *p)
{
	struct http_domain none = {
		.scope = SCOPE_NODE, .port = p->port, .tls = p->tls, .name = ""
	};
	int r = 0;

	for (size_t i = 0; i < c->mesh->gateways.count; i++) {
		const struct object *gw = c->mesh->gateways.items[i];

		for (size_t k = 0; k < gw->gateway.servers.count && !r; k++) {
			const struct gw_server *server = &gw->gateway.servers.items[k];
			enum server_kind kind = server_kind(server);

			if (server->port == p->port && server_is_proxied(kind) &&
			    server_has_tls(kind) == p->tls)
				r = add_any_server(c, p, gw, server);
		}
	}
	http_domain_add(c, &none);
	return r ? r : write_hosts(c, p);
}

/* ---- other ways in ---- */

static int door_add(struct doors *d, const struct addr *addr, unsigned port, unsigned listener_port)
{
	struct hs_door *row = port ? table_push(&d->rows) : NULL;

	if (!port)
		return 0;
	if (!row)
		return -ENOMEM;
	*row = (struct hs_door){ .addr = *addr, .port = port, .listener_port = listener_port };
	return 0;
}

/* Those that no other Service has. */
static int external_doors(struct http_compiler *c, struct doors *d, const struct object *service,
			  unsigned port)
{
	struct external e;
	size_t next = 0;
	int r = 0;

	while (!r && external_next(&service->service, &next, &e)) {
		struct external_owner owner = external_owner(c->mesh, &e.addr, port);

		if (owner.host && owner.host->service == service)
			r = door_add(d, &e.addr, port, port);
	}
	return r;
}

static int service_doors(struct http_compiler *c, struct doors *d, const struct object *service,
			 const struct service_port *port)
{
	static const struct addr node;
	const struct strs *ips = &service->service.cluster_ips;
	int r = door_add(d, &node, port->node_port, port->port);

	for (size_t i = 0; i < ips->count && !r; i++) {
		struct addr addr;

		if (!addr_parse(ips->items[i], &addr) &&
		    gateway_port(c->mesh, service, port->port, addr_family(&addr)))
			r = door_add(d, &addr, port->port, port->port);
	}
	return r ? r : external_doors(c, d, service, port->port);
}

static int gateway_doors(struct http_compiler *c, struct doors *d, const struct gateway *gw,
			 unsigned port)
{
	int r = 0;

	for (size_t i = 0; i < c->mesh->services.count && !r; i++) {
		const struct object *service = c->mesh->services.items[i];

		if (!service_stands_for(service, gw))
			continue;
		for (size_t k = 0; k < service->service.ports.count && !r; k++) {
			const struct service_port *p = &service->service.ports.items[k];

			if (p->port == port && protocol_is_tcp(p->protocol))
				r = service_doors(c, d, service, p);
		}
	}
	return r;
}

static int compare_doors(const void *a, const void *b)
{
	const struct hs_door *x = a, *y = b;
	int r = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return r ? r : (int)x->port - (int)y->port;
}

static void write_doors(struct http_compiler *c, struct doors *d)
{
	if (d->rows.count)
		qsort(d->rows.items, d->rows.count, sizeof(*d->rows.items), compare_doors);
	for (size_t i = 0; i < d->rows.count; i++)
		if (!i || compare_doors(&d->rows.items[i - 1], &d->rows.items[i]))
			http_build_add(&c->build, HS_DOORS, &d->rows.items[i]);
}

static int compile_doors(struct http_compiler *c)
{
	struct doors doors = { 0 };
	int r = 0;

	for (size_t i = 0; i < c->mesh->gateways.count; i++) {
		const struct gateway *gw = &c->mesh->gateways.items[i]->gateway;

		for (size_t k = 0; k < gw->servers.count && !r; k++)
			if (server_is_proxied(server_kind(&gw->servers.items[k])))
				r = gateway_doors(c, &doors, gw, gw->servers.items[k].port);
	}
	if (!r)
		write_doors(c, &doors);
	free(doors.rows.items);
	return r;
}

int http_compile_gateways(struct http_compiler *c)
{
	_cleanup_free_ bool *done = calloc(65536, sizeof(*done));
	int r = 0;

	if (!done)
		return -ENOMEM;
	for (size_t i = 0; i < c->mesh->gateways.count; i++) {
		const struct gateway *gw = &c->mesh->gateways.items[i]->gateway;

		for (size_t k = 0; k < gw->servers.count && !r; k++) {
			enum server_kind kind = server_kind(&gw->servers.items[k]);
			struct port_hosts p = { .port = gw->servers.items[k].port,
						.tls = server_has_tls(kind) };

			if (done[p.port] || !server_is_proxied(kind))
				continue;
			done[p.port] = true;
			r = compile_port(c, &p);
			port_hosts_free(&p);
		}
	}
	return r ? r : compile_doors(c);
}
