/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	AFFINITY_DEFAULT_S = 10800,
	AFFINITY_MAX_S = 86400,
	CLUSTER_IPS_MAX = 16, /* Kubernetes gives two; each has entries for all ports */
	EXTERNAL_IPS_MAX = 256,
	SOURCE_RANGES_MAX = 512, /* of the rules of a port */
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

/* As the API server has it. */
static bool may_be_external(const struct addr *a)
{
	static const struct cidr special[] = {
		{ .addr = { { 0 } }, .prefix = 127 }, /* :: and ::1 */
		{ .addr = { { [10] = 0xff, 0xff, 127 } }, .prefix = 104 },
		{ .addr = { { [10] = 0xff, 0xff, 169, 254 } }, .prefix = 112 },
		{ .addr = { { [10] = 0xff, 0xff, 224, 0, 0 } }, .prefix = 120 },
		{ .addr = { { [10] = 0xff, 0xff } }, .prefix = 128 },
		{ .addr = { { 0xfe, 0x80 } }, .prefix = 10 },
		{ .addr = { { 0xff, 0x02 } }, .prefix = 16 },
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
		if (cidr_holds(&special[i], a))
			return false;
	return true;
}

static void add_external_ip(struct decoder *d, struct strs *ips, const char *ip,
			    const struct node *at)
{
	struct addr addr;

	if (!valid_ip(ip, &addr) || !may_be_external(&addr))
		decode_warn(
			d, at, NULL,
			"\"%s\" is no IP address that can be called from outside, weft does not "
			"answer for it",
			ip);
	else if (ips->count == EXTERNAL_IPS_MAX)
		decode_warn(d, at, NULL, "weft answers for the first %d addresses only",
			    EXTERNAL_IPS_MAX);
	else
		decode_strs_append(d, ips, ip, at);
}

/* What is wrong in how a Service is called from outside does not take its cluster IP away. */
static void decode_external_ips(struct decoder *d, const struct node *value, void *target)
{
	struct path here = { .up = d->path };
	struct strs given = { 0 };

	if (!decode_strings(d, value, &given))
		return;
	d->path = &here;
	for (; here.index < given.count && here.index <= EXTERNAL_IPS_MAX; here.index++)
		add_external_ip(d, target, given.items[here.index],
				validate_nth(value, here.index));
	d->path = here.up;
}

/* The API server lets blanks be around a subnet, here alone. NULL without memory. */
static const char *without_blanks(struct decoder *d, const char *text)
{
	size_t len;
	char *copy;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	copy = decode_alloc(d, len + 1);
	return copy ? memcpy(copy, text, len) : NULL;
}

/* Of one that can't be read nobody is let in: "::" calls no one. */
static bool read_source_range(struct decoder *d, const struct node *at, const char *text,
			      struct cidr *out)
{
	const char *plain = without_blanks(d, text);

	if (!plain)
		return false;
	if (valid_subnet(plain, out))
		return true;
	*out = (struct cidr){ .prefix = 128 };
	decode_warn(d, at, NULL,
		    "\"%s\" is no subnet like 10.0.0.0/8 or fd00::/8, it lets nobody in", plain);
	return true;
}

static void decode_source_ranges(struct decoder *d, const struct node *value, void *target)
{
	struct service_spec *spec = target;
	struct path here = { .up = d->path };
	struct strs given = { 0 };
	bool many;

	if (!decode_strings(d, value, &given))
		return;
	many = given.count > SOURCE_RANGES_MAX;
	spec->source_ranges.items = decode_alloc(d, given.count * sizeof(struct cidr));
	if (!spec->source_ranges.items)
		return;
	if (many) {
		decode_warn(d, value, NULL,
			    "there are more than %d, weft lets nobody in at the load balancer's "
			    "addresses",
			    SOURCE_RANGES_MAX);
		spec->source_ranges.items[spec->source_ranges.count++].prefix = 128;
	}
	d->path = &here;
	for (; !many && here.index < given.count; here.index++)
		if (read_source_range(d, validate_nth(value, here.index), given.items[here.index],
				      &spec->source_ranges.items[here.index]))
			spec->source_ranges.count++;
	d->path = here.up;
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

/* internalTrafficPolicy, externalTrafficPolicy */
static void decode_traffic_policy(struct decoder *d, const struct node *value, void *target)
{
	const char *policy;

	if (!decode_string(d, value, &policy))
		return;
	if (!strcmp(policy, "Local"))
		*(bool *)target = true;
	else if (strcmp(policy, "Cluster") != 0)
		decode_expected(d, value, NULL, "Cluster or Local");
}

static void leave_cluster_ips(struct service_spec *s)
{
	if (!s->cluster_ips.count)
		return;
	s->left_ips = s->cluster_ips;
	s->cluster_ips = (struct strs){ .count = 0 };
}

/* A preference and no promise: what it asks for may happen, and more. */
static void warn_distribution(struct decoder *d, const struct node *value, void *target)
{
	const char *text;

	(void)target;
	if (decode_string(d, value, &text) && *text)
		decode_warn(d, value, NULL,
			    "weft knows no zones, endpoints near and far are called alike");
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
	  .decode = decode_traffic_policy },
	{ "externalTrafficPolicy", FIELD_CUSTOM,
	  .offset = offsetof(struct service_spec, external_local),
	  .decode = decode_traffic_policy },
	{ "healthCheckNodePort", FIELD_UINT16, .offset = offsetof(struct service_spec, health_port),
	  .max = 65535 },
	{ "externalIPs", FIELD_CUSTOM, .offset = offsetof(struct service_spec, external_ips),
	  .decode = decode_external_ips },
	{ "loadBalancerSourceRanges", FIELD_CUSTOM, .decode = decode_source_ranges },
	{ "trafficDistribution", FIELD_CUSTOM, .decode = warn_distribution },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a Service's spec (a map)",
	.size = sizeof(struct service_spec),
	.fields = spec_fields,
	.init = init_spec,
};

/* ---- what a load balancer says of itself ---- */

static void decode_ingress_ip(struct decoder *d, const struct node *value, void *target)
{
	const char *ip;

	if (!decode_string(d, value, &ip) || !*ip)
		return;
	if (valid_ip(ip, NULL))
		*(const char **)target = ip;
	else
		decode_warn(d, value, NULL, "\"%s\" is no IP address, weft does not answer for it",
			    ip);
}

static void decode_ip_mode(struct decoder *d, const struct node *value, void *target)
{
	const char *mode;

	if (!decode_string(d, value, &mode))
		return;
	*(bool *)target = strcmp(mode, "VIP") != 0;
	if (*(bool *)target && strcmp(mode, "Proxy") != 0)
		decode_warn(d, value, NULL,
			    "\"%s\" is neither VIP nor Proxy, weft does not answer for the address",
			    mode);
}

static const struct field ingress_fields[] = {
	{ "ip", FIELD_CUSTOM, .offset = offsetof(struct lb_ingress, ip),
	  .decode = decode_ingress_ip },
	{ "ipMode", FIELD_CUSTOM, .offset = offsetof(struct lb_ingress, proxied),
	  .decode = decode_ip_mode },
	{ 0 },
};

static const struct message ingress_message = {
	.what = "an address of a load balancer (a map)",
	.size = sizeof(struct lb_ingress),
	.fields = ingress_fields,
};

static const struct field balancer_fields[] = {
	{ "ingress", FIELD_LIST, .message = &ingress_message, .max = EXTERNAL_IPS_MAX },
	{ 0 },
};

static const struct message balancer_message = { .what = "a map", .fields = balancer_fields };

static const struct field status_fields[] = {
	{ "loadBalancer", FIELD_MESSAGE, .message = &balancer_message },
	{ 0 },
};

static const struct message status_message = {
	.what = "a Service's status (a map)",
	.fields = status_fields,
};

#define OTHER_PROXY "service.kubernetes.io/service-proxy-name"

/* As kube-proxy has it: whatever the label's value. */
static void finish_service(struct decoder *d, const struct node *self_node, void *self)
{
	struct object *o = self;
	struct service_spec *s = &o->service;

	for (size_t i = 0; i < o->meta.labels.count && !s->foreign; i++)
		s->foreign = !strcmp(o->meta.labels.items[i].key, OTHER_PROXY);
	if (!s->foreign)
		return;
	leave_cluster_ips(s);
	s->external_ips.count = s->ingress.count = 0;
	for (size_t i = 0; i < s->ports.count; i++)
		s->ports.items[i].node_port = 0;
	decode_warn(d, decode_at(d, self_node, "metadata"), "metadata.labels",
		    "the service is another proxy's by its label " OTHER_PROXY
		    ", weft answers for none of its addresses");
}

static const struct field service_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "spec", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, service),
	  .message = &spec_message },
	{ "status", FIELD_MESSAGE, .offset = offsetof(struct object, service.ingress),
	  .message = &status_message },
	{ 0 },
};

const struct message schema_service = {
	.what = "a Service (a map)",
	.size = OBJECT_SIZE(service),
	.fields = service_fields,
	.finish = finish_service,
};

static const struct field namespace_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ 0 },
};

const struct message schema_namespace = {
	.what = "a Namespace (a map)",
	.size = offsetof(struct object, service),
	.fields = namespace_fields,
};
