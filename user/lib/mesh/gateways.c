// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/gateways.h"

#include <string.h>
#include <strings.h>

#include "lib/mesh/endpoints.h"

static bool is_among(const char *protocol, const char *const *list)
{
	for (; *list; list++)
		if (protocol && !strcasecmp(protocol, *list))
			return true;
	return false;
}

static bool ends_tls(const char *mode)
{
	return str_eq(mode, "SIMPLE") || str_eq(mode, "MUTUAL") || str_eq(mode, "OPTIONAL_MUTUAL");
}

/* `https`: requests are inside. Without a mode it is the first of Istio's API. */
static enum server_kind tls_kind(const struct gw_server *server, bool https)
{
	const char *mode = server->tls_mode;

	if (!mode || !*mode || str_eq(mode, "PASSTHROUGH"))
		return SERVER_PASSTHROUGH;
	if (!ends_tls(mode))
		return SERVER_NONE;
	return https ? SERVER_HTTPS : SERVER_TLS;
}

enum server_kind server_kind(const struct gw_server *server)
{
	static const char *const http[] = { "HTTP", "HTTP2", "GRPC", "GRPC-WEB", NULL };
	static const char *const tcp[] = { "TCP", "MONGO", "MYSQL", "REDIS", NULL };

	if (is_among(server->protocol, http))
		return SERVER_HTTP;
	if (is_among(server->protocol, tcp))
		return server->tls_mode ? SERVER_NONE : SERVER_TCP;
	if (str_eq(server->protocol, "HTTPS") || str_eq(server->protocol, "TLS"))
		return tls_kind(server, str_eq(server->protocol, "HTTPS"));
	return SERVER_NONE;
}

bool server_has_tls(enum server_kind kind)
{
	return kind == SERVER_HTTPS || kind == SERVER_TLS || kind == SERVER_PASSTHROUGH;
}

bool server_is_proxied(enum server_kind kind)
{
	return kind == SERVER_HTTP || server_has_tls(kind);
}

const struct object *mesh_secret(const struct mesh *mesh, const char *ns, const char *name)
{
	for (size_t i = 0; i < mesh->secrets.count; i++) {
		const struct object *o = mesh->secrets.items[i];

		if (!strcmp(o->meta.name, name) && !strcmp(o->meta.namespace, ns))
			return o;
	}
	return NULL;
}

const char *gateway_secret_namespace(const struct mesh *mesh, const struct object *gw,
				     const char *name)
{
	const char *own = gw->meta.namespace;

	if (mesh->secrets_in)
		return mesh->secrets_in;
	return !mesh_secret(mesh, own, name) && mesh_secret(mesh, ROOT_NAMESPACE, name)
		       ? ROOT_NAMESPACE
		       : own;
}

const struct object *gateway_ca_secret(const struct mesh *mesh, const char *ns, const char *name)
{
	char ca[HOST_MAX + sizeof("-cacert")];
	const struct object *o;

	snprintf(ca, sizeof(ca), "%s-cacert", name);
	o = mesh_secret(mesh, ns, ca);
	return o ? o : mesh_secret(mesh, ns, name);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

const char *gateway_credential(struct mesh *mesh, const struct object *gw,
			       const struct gw_server *server)
{
	const struct gw_tls *t = &server->tls;

	if (t->credential && *t->credential)
		return pool_printf(&mesh->pool, "kubernetes://%s/%s",
				   gateway_secret_namespace(mesh, gw, t->credential),
				   t->credential);
	return pool_printf(&mesh->pool, "file://%s;%s;%s;%s", or_empty(t->chain), or_empty(t->key),
			   or_empty(t->ca), or_empty(t->crl));
}

bool gateways_have_mesh(const struct strs *gateways)
{
	size_t i;

	for (i = 0; i < gateways->count; i++)
		if (!strcmp(gateways->items[i], "mesh"))
			return true;
	return !gateways->count;
}

bool gateways_have(const struct strs *refs, const char *ns, const struct object *gw)
{
	size_t i;

	for (i = 0; i < refs->count; i++)
		if (gateway_ref_is(refs->items[i], ns, gw->meta.namespace, gw->meta.name))
			return true;
	return false;
}

bool server_host_takes(const char *server_host, const char *gw_ns, const char *vs_ns,
		       const char *host)
{
	const char *slash = strchr(server_host, '/');
	size_t len = slash ? (size_t)(slash - server_host) : 0;
	const char *name = slash ? slash + 1 : server_host;

	if (slash && len == 1 && server_host[0] == '.') {
		if (!str_eq(gw_ns, vs_ns))
			return false;
	} else if (slash && !(len == 1 && server_host[0] == '*')) {
		if (strlen(vs_ns) != len || memcmp(vs_ns, server_host, len) != 0)
			return false;
	}
	return host_includes(name, host) || host_includes(host, name);
}

bool virtual_service_at(const struct object *o, const struct object *gateway,
			const struct gw_server *server)
{
	char host[HOST_MAX];
	size_t i, k;

	if (!gateways_have(&o->vs.gateways, o->meta.namespace, gateway) ||
	    !export_visible(&o->vs.export_to, o->meta.namespace, gateway->meta.namespace))
		return false;
	for (i = 0; i < o->vs.hosts.count; i++) {
		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, host))
			continue;
		for (k = 0; k < server->hosts.count; k++)
			if (server_host_takes(server->hosts.items[k], gateway->meta.namespace,
					      o->meta.namespace, host))
				return true;
	}
	return false;
}

bool service_stands_for(const struct object *service, const struct gateway *gw)
{
	return gw->selector.count && labels_hold(&service->service.selector, &gw->selector);
}

struct mesh_port *gateway_port(struct mesh *mesh, const struct object *service, unsigned port,
			       enum family family)
{
	char name[HOST_MAX];
	struct members *members;
	struct mesh_port *sp;
	struct host *h;

	if (host_of_service(service->meta.name, service->meta.namespace, name) ||
	    !(h = mesh_host(mesh, name)))
		return NULL;
	h->at_gateway = true;
	sp = host_port(h, port);
	members = sp ? port_members(mesh, sp, family) : NULL;
	return members && !members->count ? sp : NULL;
}
