/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	AFFINITY_DEFAULT_S = 10800,
	AFFINITY_MAX_S = 86400,
	CLUSTER_IPS_MAX = 16, /* Kubernetes gives two; each has entries for all ports */
};

static void add_cluster_ip(struct decoder *d, struct strs *ips, const char *ip,
			   const struct node *at)
{
	for (size_t i = 0; i < ips->count; i++)
		if (!strcmp(ips->items[i], ip))
			return;
	if (strcmp(ip, "None") != 0 && !valid_ip(ip, NULL)) {
		decode_expected(d, at, NULL, "an IP address or \"None\"");
		return;
	}
	if (ips->count == CLUSTER_IPS_MAX)
		decode_error(d, at, NULL, "expected at most %d addresses", CLUSTER_IPS_MAX);
	else
		decode_strs_append(d, ips, ip, at);
}

static void decode_cluster_ip(struct decoder *d, const struct node *value, void *target)
{
	const char *ip;

	if (decode_string(d, value, &ip) && *ip)
		add_cluster_ip(d, target, ip, value);
}

static void decode_cluster_ips(struct decoder *d, const struct node *value, void *target)
{
	struct strs given = { 0 };

	if (!decode_strings(d, value, &given))
		return;
	for (size_t i = 0; i < given.count; i++)
		add_cluster_ip(d, target, given.items[i], validate_nth(value, i));
}

static void decode_target_port(struct decoder *d, const struct node *value, void *target)
{
	struct service_port *port = target;
	int64_t number;

	if (node_scalar(value) == SCALAR_INT || node_scalar(value) == SCALAR_FLOAT) {
		if (decode_integer(d, value, 0, 65535, &number))
			port->target_port = (uint16_t)number;
		return;
	}
	decode_string(d, value, &port->target_name);
}

static void init_port(void *self)
{
	struct service_port *port = self;

	port->protocol = "TCP";
}

static const struct field port_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct service_port, name) },
	{ "protocol", FIELD_STRING, .offset = offsetof(struct service_port, protocol) },
	{ "appProtocol", FIELD_STRING, .offset = offsetof(struct service_port, app_protocol) },
	{ "port", FIELD_UINT16, .required = true, .offset = offsetof(struct service_port, port),
	  .min = 1, .max = 65535 },
	{ "nodePort", FIELD_UINT16, .offset = offsetof(struct service_port, node_port),
	  .max = 65535 },
	{ "targetPort", FIELD_CUSTOM, .decode = decode_target_port },
	{ 0 },
};

static const struct message port_message = {
	.what = "a port (a map)",
	.size = sizeof(struct service_port),
	.fields = port_fields,
	.pos_at = AT(struct service_port, pos),
	.init = init_port,
};

static const struct field client_ip_fields[] = {
	{ "timeoutSeconds", FIELD_INT64, .min = 1, .max = AFFINITY_MAX_S },
	{ 0 },
};

static const struct message client_ip_message = { .what = "a map", .fields = client_ip_fields };

static const struct field affinity_config_fields[] = {
	{ "clientIP", FIELD_MESSAGE, .message = &client_ip_message },
	{ 0 },
};

static const struct message affinity_config_message = {
	.what = "a map",
	.fields = affinity_config_fields,
};

static void check_type(struct decoder *d, const struct node *value, const void *string)
{
	static const char *const types[] = { "ClusterIP", "NodePort", "LoadBalancer",
					     "ExternalName" };
	const char *type = *(const char *const *)string;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(type, types[i]))
			return;
	decode_expected(d, value, NULL, "one of ClusterIP, NodePort, LoadBalancer, ExternalName");
}

static void check_affinity(struct decoder *d, const struct node *value, const void *string)
{
	const char *affinity = *(const char *const *)string;

	if (strcmp(affinity, "None") != 0 && strcmp(affinity, "ClientIP") != 0)
		decode_expected(d, value, NULL, "None or ClientIP");
}

static void decode_internal_policy(struct decoder *d, const struct node *value, void *target)
{
	const char *policy;

	if (!decode_string(d, value, &policy))
		return;
	if (!strcmp(policy, "Local"))
		*(bool *)target = true;
	else if (strcmp(policy, "Cluster") != 0)
		decode_expected(d, value, NULL, "Cluster or Local");
}

/*
 * "Local" promises that a connection never leaves the node. To balance it over all endpoints would
 * break that, and to refuse it would keep a whole cluster's services from loading: the service is
 * left to the program that serves it already.
 */
static void finish_spec(struct decoder *d, const struct node *self_node, void *self)
{
	struct service_spec *spec = self;

	if (!spec->internal_local || !spec->cluster_ips.count ||
	    !strcmp(spec->cluster_ips.items[0], "None"))
		return;
	spec->cluster_ips.count = 0;
	decode_warn(d, decode_at(d, self_node, "internalTrafficPolicy"), "internalTrafficPolicy",
		    "Local is left to kube-proxy, weft does not answer for the service's address");
}

static void init_spec(void *self)
{
	struct service_spec *spec = self;

	spec->type = "ClusterIP";
	spec->session_affinity = "None";
	spec->affinity_s = AFFINITY_DEFAULT_S;
}

static const struct field spec_fields[] = {
	{ "type", FIELD_STRING, .offset = offsetof(struct service_spec, type),
	  .check = check_type },
	{ "clusterIP", FIELD_CUSTOM, .offset = offsetof(struct service_spec, cluster_ips),
	  .decode = decode_cluster_ip },
	{ "clusterIPs", FIELD_CUSTOM, .offset = offsetof(struct service_spec, cluster_ips),
	  .decode = decode_cluster_ips },
	{ "selector", FIELD_KVS, .selects = true, .offset = offsetof(struct service_spec, selector),
	  .check = validate_labels },
	{ "ports", FIELD_LIST, .offset = offsetof(struct service_spec, ports),
	  .message = &port_message },
	{ "sessionAffinity", FIELD_STRING,
	  .offset = offsetof(struct service_spec, session_affinity), .check = check_affinity },
	{ "sessionAffinityConfig", FIELD_MESSAGE,
	  .offset = offsetof(struct service_spec, affinity_s),
	  .message = &affinity_config_message },
	{ "externalName", FIELD_STRING, .offset = offsetof(struct service_spec, external_name) },
	{ "publishNotReadyAddresses", FIELD_BOOL,
	  .offset = offsetof(struct service_spec, publish_not_ready) },
	{ "internalTrafficPolicy", FIELD_CUSTOM,
	  .offset = offsetof(struct service_spec, internal_local),
	  .decode = decode_internal_policy },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a Service's spec (a map)",
	.size = sizeof(struct service_spec),
	.fields = spec_fields,
	.init = init_spec,
	.finish = finish_spec,
};

static const struct field service_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "spec", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, service),
	  .message = &spec_message },
	{ 0 },
};

const struct message schema_service = {
	.what = "a Service (a map)",
	.size = sizeof(struct object),
	.fields = service_fields,
};

static const struct field namespace_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ 0 },
};

const struct message schema_namespace = {
	.what = "a Namespace (a map)",
	.size = sizeof(struct object),
	.fields = namespace_fields,
};
