// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft get` shows of each kind.
 */
#include "lib/authz/authz.h"
#include "lib/base/cleanup.h"
#include "daemon/api/handlers_object.h"
#include "lib/base/json_io.h"
#include "lib/explain/protection.h"
#include "lib/mesh/external.h"
#include "lib/mesh/peers.h"

static void column(json_t *columns, const char *heading, json_t *value)
{
	json_array_append_new(columns, json_pack("[s, o]", heading, value));
}

static json_t *service_ports(const struct service_spec *s)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < s->ports.count; i++) {
		const struct service_port *p = &s->ports.items[i];

		fprintf(f, i ? ",%u" : "%u", p->port);
		if (p->node_port)
			fprintf(f, ":%u", p->node_port);
		fprintf(f, "/%s", p->protocol);
	}
	return fclose(f) ? NULL : json_text(text);
}

static json_t *endpoint_addresses(const struct endpoints_spec *e)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, used = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t s = 0; s < e->sets.count; s++)
		for (size_t i = 0; i < e->sets.items[s].addresses.count; i++)
			for (size_t j = 0; j < e->sets.items[s].addresses.items[i].ips.count; j++)
				fprintf(f, "%s%s", used++ ? "," : "",
					e->sets.items[s].addresses.items[i].ips.items[j]);
	return fclose(f) ? NULL : json_text(text);
}

static json_t *server_ports(const struct gateway *g)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < g->servers.count; i++)
		fprintf(f, "%s%u/%s", i ? "," : "", g->servers.items[i].port,
			g->servers.items[i].protocol);
	return fclose(f) ? NULL : json_text(text);
}

/* As kubectl has them, but for those of a load balancer that calls nodes by their own. */
static json_t *external_addresses(const struct service_spec *s)
{
	_cleanup_free_ char *text = NULL;
	char addr[ADDR_TEXT_MAX];
	struct external e;
	size_t size = 0, next = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	while (external_next(s, &next, &e)) {
		addr_format(&e.addr, addr);
		fprintf(f, ftell(f) ? ",%s" : "%s", addr);
	}
	return fclose(f) ? NULL : json_text(text);
}

static void service_columns(json_t *columns, const struct service_spec *s)
{
	column(columns, "TYPE", json_text(s->type));
	column(columns, "CLUSTER-IP", strs_text(&s->cluster_ips));
	column(columns, "EXTERNAL-IP", external_addresses(s));
	column(columns, "PORTS", service_ports(s));
}

static void pod_columns(json_t *columns, const struct object *o)
{
	column(columns, "STATUS",
	       json_text(o->pod.deleting ? "Terminating"
			 : o->pod.phase	 ? o->pod.phase
					 : ""));
	column(columns, "READY", json_text(o->pod.ready ? "yes" : "no"));
	column(columns, "IP", strs_text(&o->pod.ips));
}

static json_t *subset_names(const struct destination_rule *dr)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < dr->subsets.count; i++)
		fprintf(f, "%s%s", i ? "," : "", dr->subsets.items[i].name);
	return fclose(f) ? NULL : json_text(text);
}

static void write_expression(FILE *f, const struct label_expression *e)
{
	bool set = e->operator== LABEL_IN || e->operator== LABEL_NOT_IN;

	fprintf(f, "%s%s", e->operator== LABEL_DOES_NOT_EXIST ? "!" : "", e->key);
	if (!set)
		return;
	fputs(e->operator== LABEL_IN ? " in (" : " notin (", f);
	for (size_t i = 0; i < e->values.count; i++)
		fprintf(f, "%s%s", i ? "," : "", e->values.items[i]);
	fputc(')', f);
}

/* As kubectl shows it: "app=web,tier in (a,b),!old". */
static json_t *selector_text(const struct object *policy)
{
	const struct label_selector *s = &policy->policy.pods;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < s->labels.count; i++)
		fprintf(f, "%s%s=%s", i ? "," : "", s->labels.items[i].key,
			s->labels.items[i].value);
	for (size_t i = 0; i < s->expressions.count; i++) {
		fputs(i || s->labels.count ? "," : "", f);
		write_expression(f, &s->expressions.items[i]);
	}
	if (!s->labels.count && !s->expressions.count)
		fputs("<none>", f);
	if (policy->stands_in)
		fputs(" (can't be read)", f);
	return fclose(f) ? NULL : json_text(text);
}

static json_t *policy_types(const struct network_policy *p)
{
	return json_string(!p->closes_egress	? "Ingress"
			   : !p->closes_ingress ? "Egress"
						: "Ingress,Egress");
}

/* What of it is there. */
static json_t *secret_parts(const struct secret *s)
{
	const struct {
		const char *name;
		bool given;
	} parts[] = { { "certificate", s->chain.len },
		      { "key", s->key.len },
		      { "ca", s->ca.len },
		      { "crl", s->crl.len } };
	char text[64] = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i].given)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? "," : "", parts[i].name);
	return json_string(text);
}

static json_t *rate_json(const struct token_bucket *b)
{
	char text[64];

	protection_rate_text(b, text, sizeof(text));
	return json_string(text);
}

static void protection_columns(json_t *columns, const struct connection_policy *p)
{
	char cookies[32];

	protection_cookies_text(&p->cookies, cookies, sizeof(cookies));
	column(columns, "ALLOW",
	       p->allow.count ? json_textf("%zu", p->allow.count) : json_string("everyone"));
	column(columns, "DENY", json_textf("%zu", p->deny.count));
	column(columns, "PER-SOURCE", rate_json(&p->new_connections.per_source));
	column(columns, "TOTAL", rate_json(&p->new_connections.total));
	column(columns, "SYN-COOKIES", json_string(cookies));
}

static json_t *protected_ports(const struct connection_policy *p)
{
	char text[CONNECTION_POLICY_PORTS * sizeof("65535,")] = "all";
	size_t len = 0;

	for (size_t i = 0; i < p->ports.count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, i ? ",%u" : "%u",
					p->ports.items[i]);
	return json_string(text);
}

/* "8080=DISABLE,8081=STRICT" */
static json_t *port_modes(const struct peer_authentication *p)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f && i < p->ports.count; i++)
		fprintf(f, "%s%u=%s", i ? "," : "", p->ports.items[i].port,
			mtls_mode_name((enum mtls_mode)p->ports.items[i].mode));
	return f && !fclose(f) ? json_string(text) : NULL;
}

/* "100%", or "CLIENT=1%,SERVER=off": how much is sampled, and where nothing is told. */
static void write_tracing(FILE *f, const struct tracing_rule *r)
{
	const char *mode = r->modes == TRACING_CLIENT	? "CLIENT="
			   : r->modes == TRACING_SERVER ? "SERVER="
							: "";
	bool off = r->disabled_given && r->disabled;

	if (!off && !r->sampling_given)
		return;
	fprintf(f, ftell(f) ? ",%s" : "%s", mode);
	if (off)
		fputs("off", f);
	else
		fprintf(f, "%g%%", r->percentage);
}

static json_t *tracing_text(const struct telemetry *t)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f && i < t->tracing.count; i++)
		write_tracing(f, &t->tracing.items[i]);
	return f && !fclose(f) ? json_string(text) : NULL;
}

static json_t *provider_names(const struct telemetry *t)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f && i < t->tracing.count; i++)
		if (t->tracing.items[i].provider)
			fprintf(f, ftell(f) ? ",%s" : "%s", t->tracing.items[i].provider);
	return f && !fclose(f) ? json_text(text) : NULL;
}

static const char *resolution_name(int resolution)
{
	static const char *const names[] = { [RESOLUTION_NONE] = "NONE",
					     [RESOLUTION_STATIC] = "STATIC",
					     [RESOLUTION_DNS] = "DNS",
					     [RESOLUTION_DNS_ROUND_ROBIN] = "DNS_ROUND_ROBIN" };

	return names[resolution];
}

json_t *object_columns(const struct object *o)
{
	json_t *columns = json_array();

	switch (o->kind) {
	case KIND_SERVICE:
		service_columns(columns, &o->service);
		break;
	case KIND_POD:
		pod_columns(columns, o);
		break;
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
		column(columns, "SERVICE",
		       json_text(o->endpoints.service ? o->endpoints.service : ""));
		column(columns, "ENDPOINTS", endpoint_addresses(&o->endpoints));
		break;
	case KIND_NETWORK_POLICY:
		column(columns, "POD-SELECTOR", selector_text(o));
		break;
	case KIND_SECRET:
		column(columns, "TYPE", json_text(o->secret.type ? o->secret.type : "Opaque"));
		column(columns, "HOLDS", secret_parts(&o->secret));
		break;
	case KIND_VIRTUAL_SERVICE:
		column(columns, "GATEWAYS", strs_text(&o->vs.gateways));
		column(columns, "HOSTS", strs_text(&o->vs.hosts));
		break;
	case KIND_DESTINATION_RULE:
		column(columns, "HOST", json_text(o->dr.host));
		column(columns, "SUBSETS", subset_names(&o->dr));
		break;
	case KIND_GATEWAY:
		column(columns, "PORTS", server_ports(&o->gateway));
		column(columns, "SELECTOR", kvs_text(&o->gateway.selector));
		break;
	case KIND_CONNECTION_POLICY:
		protection_columns(columns, &o->protection);
		break;
	case KIND_AUTHORIZATION_POLICY:
		column(columns, "ACTION", json_text(authz_action_name(o->authz.action)));
		column(columns, "SELECTOR", kvs_text(&o->authz.selector));
		break;
	case KIND_PEER_AUTHENTICATION:
		column(columns, "MODE", json_text(mtls_mode_name((enum mtls_mode)o->peer.mode)));
		column(columns, "PORTS", port_modes(&o->peer));
		column(columns, "SELECTOR", kvs_text(&o->peer.selector));
		break;
	case KIND_TELEMETRY:
		column(columns, "PROVIDER", provider_names(&o->telemetry));
		column(columns, "SAMPLING", tracing_text(&o->telemetry));
		column(columns, "SELECTOR", kvs_text(&o->telemetry.selector));
		break;
	case KIND_SERVICE_ENTRY:
		column(columns, "HOSTS", strs_text(&o->entry.hosts));
		column(columns, "LOCATION",
		       json_text(o->entry.location == LOCATION_MESH_INTERNAL ? "MESH_INTERNAL"
									     : "MESH_EXTERNAL"));
		column(columns, "RESOLUTION", json_text(resolution_name(o->entry.resolution)));
		break;
	case KIND_WORKLOAD_ENTRY:
		column(columns, "ADDRESS", json_text(o->workload.address));
		column(columns, "LABELS", kvs_text(&o->workload.labels));
		break;
	default:
		break;
	}
	return columns;
}

json_t *object_wide_columns(const struct object *o, const struct enrolment *pod)
{
	json_t *columns = json_array();

	if (o->kind == KIND_SERVICE)
		column(columns, "SELECTOR", kvs_text(&o->service.selector));
	if (o->kind == KIND_NETWORK_POLICY)
		column(columns, "TYPES", policy_types(&o->policy));
	if (o->kind == KIND_CONNECTION_POLICY)
		column(columns, "PORTS", protected_ports(&o->protection));
	if (o->kind == KIND_POD) {
		column(columns, "NODE", json_text(o->pod.node_name ? o->pod.node_name : ""));
		column(columns, "MESH", json_text(pod->in ? "yes" : "no"));
		column(columns, "LABELS", kvs_text(&o->meta.labels));
	}
	column(columns, "FROM", object_place(o));
	return columns;
}
