// SPDX-License-Identifier: Apache-2.0
/*
 * Warns of rules that are right and change nothing: their author would believe that they are in
 * force.
 */
#include "lib/compile/check.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/model/remarks.h"
#include "lib/mesh/proxied.h"

enum { FIELD_MAX = 96 };

/* Why calls to a service don't come by weft; NULL if they do. */
static const char *why_idle(const struct host *h)
{
	const struct service_spec *s = &h->service->service;

	if (str_eq(s->type, "ExternalName"))
		return "is an ExternalName, which only DNS knows";
	if (s->cluster_ips.count && str_eq(s->cluster_ips.items[0], "None"))
		return "is headless, clients call its pods themselves";
	if (s->foreign)
		return "has the label service.kubernetes.io/service-proxy-name, which leaves it to "
		       "another proxy";
	return NULL;
}

/* The services that a host of a rule stands for, one after the other; *next: 0 at first. */
static struct host *covered_host(struct mesh *mesh, const char *host, size_t *next)
{
	bool wildcard = host_is_wildcard(host);

	if (!wildcard)
		return (*next)++ ? NULL : mesh_host(mesh, host);
	while (*next < mesh->services.count) {
		struct host *h = &mesh->host_list[(*next)++];

		if (h->name && host_includes(host, h->name))
			return h;
	}
	return NULL;
}

/* Mutual TLS is spoken with the pods themselves, too. */
static bool is_mutual(const struct object *o, const struct host *h)
{
	return o->kind == KIND_DESTINATION_RULE && rule_asks_mutual(o, 0) &&
	       service_is_headless(&h->service->service);
}

/* A file of rules alone says nothing about which services there are. `known`: the host has to be
 * one of them; `where`: the rule has no effect. */
static void check_host(struct mesh *mesh, const struct object *o, const char *field, struct pos at,
		       const char *given, bool known, const char *where)
{
	char host[HOST_MAX];
	const char *why;
	struct host *h;
	size_t next = 0;

	if (!mesh->services.count || host_complete(given, o->meta.namespace, host))
		return;
	at = at.line ? at : o->pos;
	h = covered_host(mesh, host, &next);
	why = h && !host_is_wildcard(host) ? why_idle(h) : NULL;
	if (!h && known)
		errors_remark(mesh->errors,
			      o->kind == KIND_DESTINATION_RULE ? REMARK_POLICY_WITHOUT_HOST
							       : REMARK_NOT_FOUND,
			      o, at, "%s: no service \"%s\": the rule has no effect on it", field,
			      host);
	else if (why && !is_mutual(o, h))
		errors_remark(mesh->errors, REMARK_NOT_STEERED, o, at,
			      "%s: service %s/%s %s: the rule has no effect on it%s", field,
			      h->service->meta.namespace, h->service->meta.name, why, where);
}

/* What the ports of a rule's services are, as far as services are known. */
struct ports {
	bool known;    /* some service is */
	bool open;     /* some has the port (0: any) */
	bool not_http; /* and doesn't declare that it carries HTTP */
};

static void add_port(struct ports *ports, const struct host *h, unsigned port)
{
	size_t i;

	ports->known = true;
	for (i = 0; i < h->port_count; i++) {
		if (port && h->ports[i].port->port != port)
			continue;
		ports->open = true;
		ports->not_http |= h->ports[i].protocol != PORT_HTTP;
	}
}

static struct ports host_ports(struct mesh *mesh, const struct object *o, const char *given,
			       unsigned port)
{
	struct ports ports = { 0 };
	char host[HOST_MAX];
	struct host *h;
	size_t next = 0;

	if (host_complete(given, o->meta.namespace, host))
		return ports;
	while (!ports.not_http && (h = covered_host(mesh, host, &next)))
		add_port(&ports, h, port);
	return ports;
}

static struct ports rule_ports(struct mesh *mesh, const struct object *o, unsigned port)
{
	struct ports all = { 0 };
	size_t i;

	for (i = 0; i < o->vs.hosts.count && !all.not_http; i++) {
		struct ports one = host_ports(mesh, o, o->vs.hosts.items[i], port);

		all.known |= one.known;
		all.open |= one.open;
		all.not_http |= one.not_http;
	}
	return all;
}

static bool names_gateway(const struct strs *refs)
{
	size_t i;

	for (i = 0; i < refs->count; i++)
		if (!str_eq(refs->items[i], "mesh"))
			return true;
	return false;
}

/* A Gateway that isn't there has its own warning, and may have any port. */
static bool gateway_has_port(const struct mesh *mesh, const struct object *o,
			     const struct strs *refs, unsigned port)
{
	bool any = false;
	size_t i, k;

	for (i = 0; i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		if (!gateways_have(refs, o->meta.namespace, gw))
			continue;
		any = true;
		for (k = 0; k < gw->gateway.servers.count; k++)
			if (gw->gateway.servers.items[k].port == port)
				return true;
	}
	return !any;
}

static void check_port(struct mesh *mesh, const struct object *o, const char *field, struct pos at,
		       const struct strs *gateways, unsigned port)
{
	bool elsewhere = names_gateway(gateways) &&
			 (!port || gateway_has_port(mesh, o, gateways, port));
	struct ports ports = { 0 };

	if (elsewhere)
		return;
	if (gateways_have_mesh(gateways)) {
		ports = rule_ports(mesh, o, port);
		if (!ports.known || ports.not_http)
			return;
	}
	if (ports.open)
		errors_remark(
			mesh->errors, REMARK_TCP_RULE_ON_HTTP, o, at,
			"%s: the port carries http, by its name or appProtocol: the rule has no "
			"effect there",
			field);
	else if (port)
		errors_remark(mesh->errors, REMARK_PORT_NOT_FOUND, o, at,
			      "%s.port: %s has TCP port %u: the rule has no effect", field,
			      ports.known ? "no service of the rule's hosts"
					  : "no gateway of the rule",
			      port);
}

static bool has_source(const struct l4_match *m)
{
	return m->source_labels.count || m->source_namespace;
}

/* Callers of a gateway are outside: Istio ignores these fields there, and so does weft. */
static void check_ignored(struct mesh *mesh, const struct object *o, const char *field,
			  struct pos at, const struct l4_match *m)
{
	const struct strs *gateways = m->gateways.count ? &m->gateways : &o->vs.gateways;
	bool gateway = names_gateway(gateways);

	if (has_source(m) && (m->gateways.count || gateway))
		errors_remark(mesh->errors, REMARK_IGNORED_AT_GATEWAY, o, at,
			      "%s.%s: ignored %s, as in Istio", field,
			      m->source_labels.count ? "sourceLabels" : "sourceNamespace",
			      m->gateways.count ? "beside gateways" : "at a gateway");
	if (m->destination_subnets.count && gateway)
		errors_remark(mesh->errors, REMARK_IGNORED_AT_GATEWAY, o, at,
			      "%s.destinationSubnets: ignored at a gateway, as in Istio", field);
}

/* ---- tls rules where no TLS is ---- */

static bool host_has_tls(struct mesh *mesh, const struct object *o, const char *given, bool *known)
{
	char host[HOST_MAX];
	struct host *h;
	size_t next = 0, i;

	if (host_complete(given, o->meta.namespace, host))
		return false;
	while ((h = covered_host(mesh, host, &next)))
		for (i = 0; i < h->port_count; i++) {
			*known = true;
			if (h->ports[i].protocol == PORT_TLS)
				return true;
		}
	return false;
}

/* Without a port, a match is for those that are declared to carry TLS. */
static bool mesh_has_tls(struct mesh *mesh, const struct object *o, const struct l4_match *m)
{
	bool known = false, any = m->port;
	size_t i;

	for (i = 0; i < o->vs.hosts.count && !any; i++)
		any = host_has_tls(mesh, o, o->vs.hosts.items[i], &known);
	return any || !known;
}

/* Of a Gateway that isn't there, or has not the port, others speak. */
static bool gateways_pass_tls(const struct mesh *mesh, const struct object *o,
			      const struct strs *refs, unsigned port)
{
	bool known = false;
	size_t i, k;

	for (i = 0; i < mesh->gateways.count; i++) {
		const struct object *gw = mesh->gateways.items[i];

		if (!gateways_have(refs, o->meta.namespace, gw))
			continue;
		for (k = 0; k < gw->gateway.servers.count; k++) {
			const struct gw_server *s = &gw->gateway.servers.items[k];

			if (port && s->port != port)
				continue;
			known = true;
			if (server_kind(s) == SERVER_PASSTHROUGH)
				return true;
		}
	}
	return !known;
}

static void check_tls(struct mesh *mesh, const struct object *o, const char *field, struct pos at,
		      const struct l4_match *m)
{
	const struct strs *gateways = m->gateways.count ? &m->gateways : &o->vs.gateways;

	if (gateways_have_mesh(gateways) && !mesh_has_tls(mesh, o, m))
		errors_remark(mesh->errors, REMARK_TLS_RULE_WITHOUT_TLS, o, at,
			      "%s: no port of the rule's services carries tls, by its name or "
			      "appProtocol: the rule has no effect in the mesh",
			      field);
	if (names_gateway(gateways) && !gateways_pass_tls(mesh, o, gateways, m->port))
		errors_remark(
			mesh->errors, REMARK_TLS_RULE_WITHOUT_TLS, o, at,
			"%s: no server of the rule's gateways has the mode PASSTHROUGH there: "
			"the rule has no effect at them",
			field);
}

static void check_route(struct mesh *mesh, const struct object *o, const char *kind, size_t index,
			const struct l4_route *route)
{
	struct pos at = route->pos.line ? route->pos : o->pos;
	char field[FIELD_MAX];
	size_t i;

	snprintf(field, sizeof(field), "spec.%s[%zu]", kind, index);
	if (!route->match.count)
		check_port(mesh, o, field, at, &o->vs.gateways, 0);
	for (i = 0; i < route->match.count; i++) {
		const struct l4_match *m = &route->match.items[i];

		snprintf(field, sizeof(field), "spec.%s[%zu].match[%zu]", kind, index, i);
		check_port(mesh, o, field, m->pos.line ? m->pos : at,
			   m->gateways.count ? &m->gateways : &o->vs.gateways, m->port);
		check_ignored(mesh, o, field, m->pos.line ? m->pos : at, m);
		if (m->sni_hosts.count)
			check_tls(mesh, o, field, m->pos.line ? m->pos : at, m);
	}
}

/* Istio takes no notice of HTTP rules on ports that are declared to carry something else. */
static void check_http(struct mesh *mesh, const struct object *o)
{
	char host[HOST_MAX];
	bool known = false;
	size_t i, k;

	if (!o->vs.http.count || names_gateway(&o->vs.gateways))
		return;
	for (i = 0; i < o->vs.hosts.count; i++) {
		struct host *h;
		size_t next = 0;

		if (host_complete(o->vs.hosts.items[i], o->meta.namespace, host))
			continue;
		while ((h = covered_host(mesh, host, &next))) {
			struct host *at = host_concrete(mesh, h);

			known = true;
			for (k = 0; at && k < at->port_count; k++)
				if (port_carries_http(mesh, h, &at->ports[k]))
					return;
		}
	}
	if (known)
		errors_remark(mesh->errors, REMARK_HTTP_RULE_ON_TCP, o, spec_pos(o, "http"),
			      "spec.http: no port of the rule's hosts carries http, by its name or "
			      "appProtocol: the rules have no effect");
}

/* A host that is among the names of tls rules for the others. */
static bool is_for_sni(struct mesh *mesh, const struct object *o, const char *given)
{
	char host[HOST_MAX];
	bool sni = false, service = false;
	size_t next, i, k, n;

	for (i = 0; i < o->vs.tls.count; i++)
		for (k = 0; k < o->vs.tls.items[i].match.count; k++) {
			const struct strs *names = &o->vs.tls.items[i].match.items[k].sni_hosts;

			for (n = 0; n < names->count; n++)
				sni |= host_includes(given, names->items[n]);
		}
	for (i = 0; i < o->vs.hosts.count && sni && !service; i++) {
		next = 0;
		service = !host_complete(o->vs.hosts.items[i], o->meta.namespace, host) &&
			  covered_host(mesh, host, &next);
	}
	return service;
}

void check_idle_virtual_service(struct mesh *mesh, const struct object *o)
{
	bool gateway = names_gateway(&o->vs.gateways);
	char field[FIELD_MAX];
	size_t i;

	for (i = 0; i < o->vs.hosts.count && gateways_have_mesh(&o->vs.gateways); i++) {
		snprintf(field, sizeof(field), "spec.hosts[%zu]", i);
		/* At a gateway, names from outside are to be expected. */
		check_host(mesh, o, field, o->vs.hosts.at ? o->vs.hosts.at[i] : o->pos,
			   o->vs.hosts.items[i],
			   !gateway && !is_for_sni(mesh, o, o->vs.hosts.items[i]),
			   gateway ? " in the mesh" : "");
	}
	check_http(mesh, o);
	for (i = 0; i < o->vs.tcp.count; i++)
		check_route(mesh, o, "tcp", i, &o->vs.tcp.items[i]);
	for (i = 0; i < o->vs.tls.count; i++)
		check_route(mesh, o, "tls", i, &o->vs.tls.items[i]);
}

static void check_levels(struct mesh *mesh, const struct object *o, const char *field,
			 struct pos at, const struct dr_policy *p)
{
	size_t i;

	for (i = 0; i < p->ports.count; i++) {
		unsigned port = p->ports.items[i].port;
		struct ports ports = host_ports(mesh, o, o->dr.host, port);

		if (ports.known && !ports.open)
			errors_remark(
				mesh->errors, REMARK_PORT_NOT_FOUND, o, at,
				"%s.portLevelSettings[%zu].port: no service of \"%s\" has TCP "
				"port %u: these settings have no effect",
				field, i, o->dr.host, port);
	}
}

void check_idle_destination_rule(struct mesh *mesh, const struct object *o)
{
	char field[FIELD_MAX];
	size_t i;

	check_host(mesh, o, "spec.host", o->dr.host_pos, o->dr.host, true,
		   " but on what VirtualServices send there");
	check_levels(mesh, o, "spec.trafficPolicy", spec_pos(o, "trafficPolicy"), &o->dr.policy);
	for (i = 0; i < o->dr.subsets.count; i++) {
		snprintf(field, sizeof(field), "spec.subsets[%zu].trafficPolicy", i);
		check_levels(mesh, o, field, o->dr.subsets.items[i].pos,
			     &o->dr.subsets.items[i].policy);
	}
}
