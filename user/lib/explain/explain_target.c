// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_target.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/explain/explain_gateway.h"
#include "lib/explain/protection.h"
#include "lib/mesh/external.h"

enum { ALIASES_MAX = 8 }; /* an ExternalName may lead to another one */

static const char *namespace_of(const struct explain_query *q)
{
	return q->namespace ? q->namespace : "default";
}

static const struct object *find_object(const struct objects *objects, enum kind kind,
					const char *ns, const char *name)
{
	size_t i;

	for (i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == kind && !strcmp(o->meta.name, name) &&
		    !strcmp(o->meta.namespace, ns))
			return o;
	}
	return NULL;
}

static int no_such(struct errors *errors, const char *what, const char *ns, const char *name)
{
	errors_add(errors, "explain", (struct pos){ 0 }, "no such %s: %s/%s", what, ns, name);
	return -ENOENT;
}

/* A pod without an address is not among the sources: then its labels speak for it. */
static void find_source(const struct tables *t, const struct object *pod,
			struct explain_client *out)
{
	size_t i;

	for (i = 0; i < t->sources.count; i++) {
		if (t->sources.items[i].pod != pod)
			continue;
		out->pod = pod;
		out->addr = t->sources.items[i].addr;
		return;
	}
}

int explain_find_client(const struct tables *t, const struct objects *objects,
			const struct explain_query *q, struct explain_client *out,
			struct errors *errors)
{
	const char *ns = namespace_of(q);
	const struct object *home = enrol_home(objects, ns), *pod;

	if (q->source && addr_parse(q->source, &out->from)) {
		errors_add(errors, "explain", (struct pos){ 0 },
			   "expected the address of who connects, not \"%s\"", q->source);
		return -EINVAL;
	}
	if (explain_is_from_outside(q))
		return 0;
	out->namespace = ns;
	out->labels = q->labels;
	out->ns = tables_namespace_id(t, ns);
	out->enrolment = enrol_labels(q->enrol, ns, q->labels, home);
	if (!q->pod || q->labels)
		return 0;
	pod = find_object(objects, KIND_POD, ns, q->pod);
	if (!pod)
		return no_such(errors, "pod", ns, q->pod);
	out->labels = &pod->meta.labels;
	out->enrolment = enrol_pod(q->enrol, pod, home);
	find_source(t, pod, out);
	return 0;
}

/* "svc", "svc.ns", "svc.ns.svc", the full name, with or without a dot at the end. 0 or
 * -ENAMETOOLONG. */
static int complete_host(const char *host, const char *ns, char out[HOST_MAX])
{
	size_t dots = 0, len = strlen(host), i;
	int n;

	if (len && host[len - 1] == '.')
		len--;
	for (i = 0; i < len; i++)
		dots += host[i] == '.';
	if (!dots)
		n = snprintf(out, HOST_MAX, "%.*s.%s.svc.cluster.local", (int)len, host, ns);
	else if (dots == 1)
		n = snprintf(out, HOST_MAX, "%.*s.svc.cluster.local", (int)len, host);
	else if (dots == 2 && len > 4 && !strncmp(host + len - 4, ".svc", 4))
		n = snprintf(out, HOST_MAX, "%.*s.cluster.local", (int)len, host);
	else
		n = snprintf(out, HOST_MAX, "%.*s", (int)len, host);
	for (i = 0; n < HOST_MAX && out[i]; i++)
		out[i] = tolower((unsigned char)out[i]);
	return n < HOST_MAX ? 0 : -ENAMETOOLONG;
}

const struct object *explain_find_service(const struct objects *objects, const char *host)
{
	char name[HOST_MAX];

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_SERVICE &&
		    !host_of_service(o->meta.name, o->meta.namespace, name) && str_eq(name, host))
			return o;
	}
	return NULL;
}

static bool has_cluster_ip(const struct service_spec *s, const struct addr *addr)
{
	struct addr ip;

	for (size_t i = 0; i < s->cluster_ips.count; i++)
		if (!addr_parse(s->cluster_ips.items[i], &ip) && !memcmp(&ip, addr, sizeof(ip)))
			return true;
	return false;
}

static bool has_external(const struct service_spec *s, const struct addr *addr)
{
	struct external e;
	size_t next = 0;

	while (external_next(s, &next, &e))
		if (!memcmp(&e.addr, addr, sizeof(*addr)))
			return true;
	return false;
}

bool explain_has_port(const struct object *service, unsigned port)
{
	for (size_t i = 0; i < service->service.ports.count; i++)
		if (service->service.ports.items[i].port == port)
			return true;
	return false;
}

/* Of Services that share an external address, one with that port if there is any. */
static const struct object *service_at(const struct objects *objects, const struct addr *addr,
				       unsigned port)
{
	const struct object *found = NULL;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind != KIND_SERVICE)
			continue;
		if (has_cluster_ip(&o->service, addr))
			return o;
		if ((!found || !explain_has_port(found, port)) && has_external(&o->service, addr))
			found = o;
	}
	return found;
}

char *explain_service_ports(const struct object *service)
{
	const struct service_spec *s = &service->service;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs(s->ports.count == 1 ? "port" : "ports", f);
	for (size_t i = 0; i < s->ports.count; i++)
		fprintf(f, "%s %u", i ? "," : "", s->ports.items[i].port);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* DNS answers for an ExternalName with the address of what it stands for. */
static void follow_aliases(const struct objects *objects, char host[HOST_MAX])
{
	const struct object *o = explain_find_service(objects, host);

	for (int i = 0; i < ALIASES_MAX && o && str_eq(o->service.type, "ExternalName"); i++) {
		if (!o->service.external_name || host_complete(o->service.external_name, "", host))
			return;
		o = explain_find_service(objects, host);
	}
}

bool explain_is_from_outside(const struct explain_query *q)
{
	return q->gateway || q->source;
}

struct addr explain_client_addr(const struct tables *t, const struct explain_client *client,
				const struct addr *called)
{
	for (size_t i = 0; client->pod && i < t->sources.count; i++) {
		const struct source_entry *s = &t->sources.items[i];

		if (s->pod == client->pod && addr_family(&s->addr) == addr_family(called))
			return s->addr;
	}
	return client->namespace ? client->addr : client->from;
}

static bool has_endpoints(const struct tables *t, const struct service_entry *e)
{
	const struct rule *rule = &t->rules.items[e->value.rule_first];
	__u32 i, k;

	for (i = 0; i < e->value.rule_count; i++) {
		const struct route *route =
			rule[i].action == RULE_ROUTE ? &t->routes.items[rule[i].route] : NULL;

		for (k = 0; route && k < route->dest_count; k++)
			if (t->clusters.items[t->dests.items[route->dest_first + k].cluster]
				    .ep_count)
				return true;
	}
	return false;
}

/* Of the addresses of a name, the first with an endpoint, like a client that tries them in turn. */
static void prefer(const struct tables *t, struct explain_target *out,
		   const struct service_entry *e, const struct service_origin *o)
{
	if (out->entry && (has_endpoints(t, out->entry) || !has_endpoints(t, e)))
		return;
	out->entry = e;
	out->origin = o;
}

/* The entry for the client's own namespace, where there is one, is what decide() will use. */
static void narrow(const struct tables *t, struct explain_target *out, __u32 ns)
{
	struct service_key key;
	size_t i;

	if (!out->entry || !ns || !(out->entry->value.flags & SERVICE_PER_NAMESPACE))
		return;
	key = out->entry->key;
	key.ns = ns;
	for (i = 0; i < t->services.count; i++) {
		if (memcmp(&t->services.items[i].key, &key, sizeof(key)) != 0)
			continue;
		out->entry = &t->services.items[i];
		out->origin = &t->service_origins.items[i];
		return;
	}
	for (i = 0; i < t->unaddressed.count; i++) {
		if (memcmp(&t->unaddressed.items[i].key, &key, sizeof(key)) != 0)
			continue;
		out->entry = &t->unaddressed.items[i];
		out->origin = &t->unaddressed_origins.items[i];
	}
}

static void find_name(const struct tables *t, const char *host, unsigned port,
		      struct explain_target *out)
{
	size_t i;

	for (i = 0; i < t->services.count; i++) {
		const struct service_entry *e = &t->services.items[i];

		if (e->key.scope == SCOPE_MESH && !e->key.ns && e->key.port == port &&
		    !strcmp(t->service_origins.items[i].host, host))
			prefer(t, out, e, &t->service_origins.items[i]);
	}
	for (i = 0; i < t->unaddressed.count && !out->entry; i++) {
		const struct service_entry *e = &t->unaddressed.items[i];

		if (!e->key.ns && e->key.port == port &&
		    !strcmp(t->unaddressed_origins.items[i].host, host))
			prefer(t, out, e, &t->unaddressed_origins.items[i]);
	}
	out->why = "no service of weft's has this name and port";
}

static bool is_pods(const struct tables *t, const struct addr *addr)
{
	for (size_t i = 0; i < t->sources.count; i++)
		if (!memcmp(&t->sources.items[i].addr, addr, sizeof(*addr)))
			return true;
	return false;
}

/* A ServiceEntry's port that is open for any address. */
static void find_anywhere(const struct tables *t, const struct addr *addr, unsigned port,
			  struct explain_target *out)
{
	for (size_t i = 0; i < t->services.count; i++) {
		const struct service_entry *e = &t->services.items[i];

		if (e->key.scope != SCOPE_ANYWHERE || e->key.ns || e->key.port != port ||
		    addr_is_v4(&e->key.addr) != addr_is_v4(addr) || addr_is_on_link(addr) ||
		    is_pods(t, addr))
			continue;
		out->entry = e;
		out->origin = &t->service_origins.items[i];
		out->addr = *addr;
		out->called = true;
	}
}

static void find_address(const struct tables *t, const struct addr *addr, unsigned port,
			 struct explain_target *out)
{
	size_t i;

	for (i = 0; i < t->services.count; i++) {
		const struct service_entry *e = &t->services.items[i];

		if (e->key.scope == SCOPE_MESH && !e->key.ns && e->key.port == port &&
		    !memcmp(&e->key.addr, addr, sizeof(*addr)))
			prefer(t, out, e, &t->service_origins.items[i]);
	}
	if (!out->entry)
		find_anywhere(t, addr, port, out);
	out->why = "no service of weft's has this address and port";
}

/* A Gateway's: at a port of the node, or at an address that leads there. */
static bool is_at_gateway(const struct tables *t, size_t i, unsigned port, const struct addr *addr)
{
	const struct service_entry *e = &t->services.items[i];

	if (e->key.port != port || !explain_leads_to_gateway(e, &t->service_origins.items[i]))
		return false;
	if (e->key.scope == SCOPE_NODE)
		return !addr || addr_is_v4(addr) == addr_is_v4(&e->key.addr);
	return !addr || !memcmp(addr, &e->key.addr, sizeof(*addr));
}

/* At the address that is called, if one is given, else at the node; the family is the address's. */
static void find_at_gateway(const struct tables *t, unsigned port, const struct addr *addr,
			    struct explain_target *out)
{
	struct explain_target node = { 0 };

	/* IPv4 first: its entries come after those of IPv6. */
	for (size_t i = t->services.count; i--;) {
		const struct service_entry *e = &t->services.items[i];

		if (is_at_gateway(t, i, port, addr))
			prefer(t, e->key.scope == SCOPE_NODE ? &node : out, e,
			       &t->service_origins.items[i]);
	}
	if (node.entry && !(addr && out->entry)) {
		out->entry = node.entry;
		out->origin = node.origin;
	}
	out->why = "no gateway serves this port";
}

static bool find_entry(const struct tables *t, const struct service_key *key,
		       struct explain_target *out)
{
	for (size_t i = 0; i < t->services.count; i++) {
		if (memcmp(&t->services.items[i].key, key, sizeof(*key)) != 0)
			continue;
		out->entry = &t->services.items[i];
		out->origin = &t->service_origins.items[i];
		return true;
	}
	return false;
}

/* As the programs at a NIC look it up: what has that address, then ports of the node. That the
 * address is the node's own is taken for granted then. */
static void find_outside(const struct tables *t, unsigned port, const struct addr *addr,
			 struct explain_target *out)
{
	struct service_key key = { .addr = *addr, .port = (__u16)port, .scope = SCOPE_OUTSIDE };

	out->why = "weft serves no such address and port to callers from outside";
	if (find_entry(t, &key, out))
		return;
	memset(&key.addr.b[addr_is_v4(addr) ? 12 : 0], 0, addr_is_v4(addr) ? 4 : 16);
	if (find_entry(t, &key, out))
		return;
	key.scope = SCOPE_NODE;
	find_entry(t, &key, out);
}

int explain_find_target(const struct tables *t, const struct objects *objects,
			const struct explain_query *q, const struct explain_client *client,
			struct explain_target *out, struct errors *errors)
{
	const char *address = q->address ? q->address : q->host;
	char host[HOST_MAX];
	struct addr addr;
	bool numeric = address && !addr_parse(address, &addr);

	if (!q->port || (q->address && !numeric)) {
		errors_add(errors, "explain", (struct pos){ 0 },
			   "expected HOST:PORT or ADDRESS:PORT, not \"%s:%u\"",
			   address ? address : "", q->port);
		return -EINVAL;
	}
	if (q->gateway) {
		const char *ns = q->gateway_namespace ? q->gateway_namespace : namespace_of(q);

		if (!find_object(objects, KIND_GATEWAY, ns, q->gateway))
			return no_such(errors, "gateway", ns, q->gateway);
		find_at_gateway(t, q->port, numeric ? &addr : NULL, out);
		return 0;
	}
	if (q->source && numeric) {
		find_outside(t, q->port, &addr, out);
	} else if (q->source) {
		errors_add(errors, "explain", (struct pos){ 0 },
			   "expected the address that is called from outside, or a gateway, not "
			   "\"%s\"",
			   address ? address : "");
		return -EINVAL;
	} else if (numeric) {
		find_address(t, &addr, q->port, out);
		out->service = service_at(objects, &addr, q->port);
	} else if (q->host && !complete_host(q->host, client->namespace, host)) {
		follow_aliases(objects, host);
		find_name(t, host, q->port, out);
		out->service = explain_find_service(objects, host);
		if (out->service && out->service->service.foreign)
			out->why = "the service is another proxy's by its label "
				   "service.kubernetes.io/service-proxy-name";
	}
	narrow(t, out, client->ns);
	return 0;
}

int explain_protected(const struct tables *t, const struct objects *objects,
		      const struct explain_query *q, const struct explain_client *client,
		      const struct explain_target *to, bool *dropped, char **why)
{
	const struct protection_query call = { .from = q->source ? &client->from : NULL,
					       .port = q->port,
					       .served = to->entry };

	*dropped = false;
	*why = NULL;
	return explain_is_from_outside(q)
		       ? protection_ask(&t->protection, objects, &call, dropped, why)
		       : 0;
}

int explain_add_pod(struct bytemap *pods, struct pool **pool, const struct object *pod)
{
	for (size_t i = 0; i < pod->pod.ips.count; i++) {
		struct addr *key = pool_alloc(pool, sizeof(*key));
		void **at;

		if (!key)
			return -ENOMEM;
		if (addr_parse(pod->pod.ips.items[i], key))
			continue;
		at = bytemap_at(pods, key, sizeof(*key));
		if (!at)
			return -ENOMEM;
		if (!*at || pod_goes_before(pod, *at))
			*at = (void *)pod;
	}
	return 0;
}
