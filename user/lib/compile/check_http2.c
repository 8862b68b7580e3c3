// SPDX-License-Identifier: Apache-2.0
/*
 * Rules for ports that carry HTTP/2, which weft-proxy does not speak yet. Without a rule such a
 * port is balanced like any other.
 */
#include <stdio.h>

#include "lib/compile/check.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/model/model_http.h"
#include "lib/model/remarks.h"

enum { FIELD_MAX = 96 };

static const char answered[] = "weft does not speak HTTP/2 yet and answers it with 400";

/* What the port says of itself. */
static const char *protocol_word(const struct service_port *port)
{
	return port->app_protocol ? port->app_protocol : port->name;
}

/* The first port of the host that weft-proxy has and HTTP/2 clients call. */
static const struct mesh_port *http2_port(struct mesh *mesh, struct host *h)
{
	struct host *at = host_concrete(mesh, h);

	for (size_t i = 0; at && i < at->port_count; i++)
		if (at->ports[i].proxied && port_is_http2(at->ports[i].port))
			return &at->ports[i];
	return NULL;
}

/* A port of `h` to warn of. `policy`: only where no HTTP rule has brought it to weft-proxy. */
static const struct mesh_port *port_to_warn(struct mesh *mesh, struct host *h, bool policy)
{
	return policy && host_has_http_rule(mesh, h->name) ? NULL : http2_port(mesh, h);
}

/* The first such port of what the host of a rule stands for. */
static const struct mesh_port *covered_port(struct mesh *mesh, const char *host, bool policy)
{
	const struct mesh_port *found = NULL;
	struct host *h = mesh_host(mesh, host);

	if (!host_is_wildcard(host))
		return h ? port_to_warn(mesh, h, policy) : NULL;
	for (size_t i = 0; i < mesh->services.count && !found; i++) {
		h = &mesh->host_list[i];
		if (h->name && host_includes(host, h->name))
			found = port_to_warn(mesh, h, policy);
	}
	return found;
}

static void warn_port(struct mesh *mesh, const struct object *o, struct pos at, const char *field,
		      const struct mesh_port *sp, const char *what)
{
	const struct meta *meta = &sp->host->service->meta;

	errors_remark(mesh->errors, REMARK_HTTP2, o, at.line ? at : o->pos,
		      "%s: port %u of service %s/%s carries \"%s\": %s", field, sp->port->port,
		      meta->namespace, meta->name, protocol_word(sp->port), what);
}

static bool check_hosts(struct mesh *mesh, const struct object *o)
{
	const struct strs *hosts = &o->vs.hosts;
	char host[HOST_MAX], field[FIELD_MAX];
	bool warned = false;

	for (size_t i = 0; i < hosts->count && gateways_have_mesh(&o->vs.gateways); i++) {
		const struct mesh_port *sp;

		if (host_complete(hosts->items[i], o->meta.namespace, host))
			continue;
		sp = covered_port(mesh, host, false);
		snprintf(field, sizeof(field), "spec.hosts[%zu]", i);
		if (sp)
			warn_port(mesh, o, hosts->at ? hosts->at[i] : o->pos, field, sp, answered);
		warned |= !!sp;
	}
	return warned;
}

/* NULL: not such a port, or which one depends on the port called. */
static const struct mesh_port *destination_port(struct mesh *mesh, const struct object *o,
						const struct destination *d)
{
	char host[HOST_MAX];
	const struct mesh_port *sp;
	struct host *h;

	if (host_complete(d->host, o->meta.namespace, host))
		return NULL;
	h = host_concrete(mesh, mesh_host(mesh, host));
	if (!h || (!d->port && h->port_count != 1))
		return NULL;
	sp = d->port ? host_port(h, d->port) : &h->ports[0];
	return sp && port_is_http2(sp->port) ? sp : NULL;
}

static bool check_destination(struct mesh *mesh, const struct object *o,
			      const struct destination *d, const char *list, size_t route, size_t i)
{
	const struct mesh_port *sp = destination_port(mesh, o, d);
	char field[FIELD_MAX];

	if (!sp)
		return false;
	snprintf(field, sizeof(field), "spec.http[%zu].%s[%zu].destination", route, list, i);
	warn_port(mesh, o, d->pos, field, sp,
		  "weft does not speak HTTP/2 yet and sends requests there in HTTP/1.1");
	return true;
}

/* From a gateway or another service: the first is told of. */
static void check_destinations(struct mesh *mesh, const struct object *o)
{
	bool warned = false;

	for (size_t i = 0; i < o->vs.http.count && !warned; i++) {
		const struct http_route *r = &o->vs.http.items[i];

		for (size_t k = 0; k < r->route.count && !warned; k++)
			warned = check_destination(mesh, o, &r->route.items[k].destination, "route",
						   i, k);
		for (size_t k = 0; k < r->mirrors.count && !warned; k++)
			warned = check_destination(mesh, o, &r->mirrors.items[k].destination,
						   "mirrors", i, k);
	}
}

static void check_policy(struct mesh *mesh, const struct object *o)
{
	const struct mesh_port *sp;
	char host[HOST_MAX];

	if (host_complete(o->dr.host, o->meta.namespace, host))
		return;
	sp = covered_port(mesh, host, true);
	if (sp)
		warn_port(mesh, o, o->dr.host_pos, "spec.host", sp, answered);
}

static void check_servers(struct mesh *mesh, const struct object *o)
{
	static const char *const protocols[] = { "HTTP2", "GRPC", "GRPC-WEB" };

	for (size_t i = 0; i < o->gateway.servers.count; i++) {
		const struct gw_server *s = &o->gateway.servers.items[i];

		for (size_t k = 0; k < sizeof(protocols) / sizeof(*protocols); k++)
			if (str_eq(s->protocol, protocols[k]))
				errors_remark(mesh->errors, REMARK_HTTP2, o,
					      s->pos.line ? s->pos : o->pos,
					      "spec.servers[%zu].port.protocol: %s: %s", i,
					      s->protocol, answered);
	}
}

void check_http2_of(struct mesh *mesh, const struct object *o)
{
	if (o->vs.http.count && !check_hosts(mesh, o))
		check_destinations(mesh, o);
}

void check_http2(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->rules.count; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind == KIND_VIRTUAL_SERVICE)
			check_http2_of(mesh, o);
		else if (o->kind == KIND_DESTINATION_RULE)
			check_policy(mesh, o);
		else if (o->kind == KIND_GATEWAY)
			check_servers(mesh, o);
	}
}
