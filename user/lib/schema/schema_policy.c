/* SPDX-License-Identifier: Apache-2.0 */
/* A DestinationRule's trafficPolicy, at its three levels: the rule's, a port's, a subset's. */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/model/model_http.h"
#include "lib/schema/validate.h"

/* ---- connectionPool ---- */

/* What Linux takes for TCP_KEEPCNT, and in seconds for TCP_KEEPIDLE and TCP_KEEPINTVL. */
enum { KEEPALIVE_PROBES_MAX = 127, KEEPALIVE_SECONDS_MAX = 32767 };

static void check_keepalive_time(struct decoder *d, const struct node *value, const void *target)
{
	msecs ms = *(const msecs *)target;
	char what[64];

	if (ms >= 1000 && ms <= KEEPALIVE_SECONDS_MAX * 1000 && ms % 1000 == 0)
		return;
	snprintf(what, sizeof(what), "a duration in whole seconds from 1s to %ds",
		 KEEPALIVE_SECONDS_MAX);
	decode_expected(d, value, NULL, what);
}

static const struct cel keepalive_time_cel[] = {
	{ .rule = "duration(self) >= duration('1s') && duration(self) <= duration('32767s')",
	  .message = "expected a duration in whole seconds from 1s to 32767s" },
	{ 0 },
};

static const struct field tcp_keepalive_fields[] = {
	{ "probes", FIELD_INT32, .offset = offsetof(struct tcp_keepalive, probes),
	  .max = KEEPALIVE_PROBES_MAX },
	{ "time", FIELD_DURATION, .offset = offsetof(struct tcp_keepalive, time),
	  .check = check_keepalive_time, .cel = keepalive_time_cel },
	{ "interval", FIELD_DURATION, .offset = offsetof(struct tcp_keepalive, interval),
	  .check = check_keepalive_time, .cel = keepalive_time_cel },
	{ 0 },
};

static const struct message tcp_keepalive_message = {
	.what = "a map",
	.size = sizeof(struct tcp_keepalive),
	.fields = tcp_keepalive_fields,
	.given_at = AT(struct tcp_keepalive, given),
};

static void init_tcp_pool(void *self)
{
	struct tcp_pool *pool = self;

	pool->connect_timeout = pool->idle_timeout = pool->max_duration = -1;
}

static const struct field tcp_pool_fields[] = {
	{ "maxConnections", FIELD_INT32, .offset = offsetof(struct tcp_pool, max_connections),
	  .max = INT32_MAX },
	{ "connectTimeout", FIELD_DURATION, .offset = offsetof(struct tcp_pool, connect_timeout),
	  .min = 1 },
	{ "idleTimeout", FIELD_DURATION, .offset = offsetof(struct tcp_pool, idle_timeout) },
	{ "maxConnectionDuration", FIELD_DURATION,
	  .offset = offsetof(struct tcp_pool, max_duration), .min = 1 },
	{ "tcpKeepalive", FIELD_MESSAGE, .offset = offsetof(struct tcp_pool, keepalive),
	  .message = &tcp_keepalive_message },
	{ 0 },
};

static const struct message tcp_pool_message = {
	.what = "a map",
	.size = sizeof(struct tcp_pool),
	.fields = tcp_pool_fields,
	.given_at = AT(struct tcp_pool, given),
	.init = init_tcp_pool,
};

static const struct field connection_pool_fields[] = {
	{ "tcp", FIELD_MESSAGE, .offset = offsetof(struct traffic_policy, tcp),
	  .message = &tcp_pool_message },
	{ "http", FIELD_POINTER, .offset = offsetof(struct traffic_policy, http),
	  .pos_at = AT(struct traffic_policy, http_pool), .message = &schema_http_pool },
	{ 0 },
};

static void check_connection_pool(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct traffic_policy *policy = self;

	if (!policy->tcp.given && !policy->http)
		decode_error(d, self_node, NULL,
			     "expected at least one of tcp and http, not an empty map");
}

static const struct cel connection_pool_cel[] = {
	{ .rule = "has(self.tcp) || has(self.http)",
	  .message = "expected at least one of tcp and http, not an empty map" },
	{ 0 },
};

static const struct message connection_pool_message = {
	.cel = connection_pool_cel,
	.what = "a map",
	.fields = connection_pool_fields,
	.check = check_connection_pool,
};

/* ---- loadBalancer ---- */

static const struct word simple_words[] = {
	{ "UNSPECIFIED", LB_SIMPLE_UNSET },
	{ "LEAST_REQUEST", LB_SIMPLE_LEAST_REQUEST },
	{ "LEAST_CONN", LB_SIMPLE_LEAST_REQUEST },
	{ "ROUND_ROBIN", LB_SIMPLE_ROUND_ROBIN },
	{ "RANDOM", LB_SIMPLE_RANDOM },
	{ "PASSTHROUGH", LB_SIMPLE_PASSTHROUGH },
	{ 0 },
};

static const struct field warmup_fields[] = {
	{ "duration", FIELD_DURATION, .required = true, .offset = offsetof(struct warmup, duration),
	  .min = 1 },
	{ "minimumPercent", FIELD_DOUBLE, .offset = offsetof(struct warmup, minimum_percent),
	  .least = 0, .most = 100, .what = "a percentage from 0 to 100" },
	{ "aggression", FIELD_DOUBLE, .offset = offsetof(struct warmup, aggression), .least = 0.001,
	  .most = DBL_MAX, .what = "a number from 0.001 on" },
	{ 0 },
};

static const struct message warmup_message = {
	.what = "a map",
	.size = sizeof(struct warmup),
	.fields = warmup_fields,
};

static const struct field load_balancer_fields[] = {
	{ "simple", FIELD_ENUM, .offset = offsetof(struct load_balancer, simple),
	  .words = simple_words },
	{ "consistentHash", FIELD_POINTER, .offset = offsetof(struct load_balancer, hash),
	  .pos_at = AT(struct load_balancer, hash_http_pos), .message = &schema_hash },
	{ .name = "localityLbSetting",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_OBJECT,
	  .refused = REFUSED_LOCALITY },
	{ .name = "zoneAwareLbSetting",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_OBJECT,
	  .refused = REFUSED_ZONE_AWARE },
	{ "warmupDurationSecs", FIELD_DURATION,
	  .offset = offsetof(struct load_balancer, warmup.duration),
	  .pos_at = AT(struct load_balancer, warmup_pos), .min = 1 },
	{ "warmup", FIELD_MESSAGE, .offset = offsetof(struct load_balancer, warmup),
	  .pos_at = AT(struct load_balancer, warmup_pos), .message = &warmup_message },
	{ 0 },
};

static void init_load_balancer(void *self)
{
	struct load_balancer *lb = self;

	lb->warmup = (struct warmup){ .minimum_percent = 10, .aggression = 1 };
}

static void finish_load_balancer(struct decoder *d, const struct node *self_node, void *self)
{
	struct load_balancer *lb = self;

	(void)d;
	(void)self_node;
	lb->hash_source_ip = lb->hash && lb->hash->source_ip;
	lb->hash_http = lb->hash && !lb->hash_source_ip;
}

static void refuse_warmup(struct decoder *d, const struct node *lb)
{
	struct path field = { .up = d->path, .name = "warmup" };

	if (!decode_given(d, lb, field.name))
		field.name = "warmupDurationSecs";
	d->path = &field;
	decode_refuse(d, decode_at(d, lb, field.name), REFUSED_WARMUP);
	d->path = field.up;
}

static void check_load_balancer(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct load_balancer *lb = self;

	if (lb->hash && decode_given(d, self_node, "simple"))
		decode_error(d, decode_at(d, self_node, "simple"), "simple",
			     "expected one of simple and consistentHash, not both");
	if (decode_given(d, self_node, "warmup") &&
	    decode_given(d, self_node, "warmupDurationSecs"))
		decode_error(d, decode_at(d, self_node, "warmupDurationSecs"), "warmupDurationSecs",
			     "expected one of warmup and warmupDurationSecs, not both");
	if (lb->warmup.duration &&
	    (lb->hash || lb->simple == LB_SIMPLE_RANDOM || lb->simple == LB_SIMPLE_PASSTHROUGH))
		refuse_warmup(d, self_node);
}

static const struct cel load_balancer_cel[] = {
	{ .rule = "!(has(self.simple) && has(self.consistentHash))",
	  .message = "expected one of simple and consistentHash, not both" },
	{ .rule = "!(has(self.warmup) && has(self.warmupDurationSecs))",
	  .message = "expected one of warmup and warmupDurationSecs, not both" },
	{ 0 },
};

static const struct message load_balancer_message = {
	.cel = load_balancer_cel,
	.what = "a map",
	.size = sizeof(struct load_balancer),
	.fields = load_balancer_fields,
	.given_at = AT(struct load_balancer, given),
	.init = init_load_balancer,
	.finish = finish_load_balancer,
	.check = check_load_balancer,
};

/* ---- the rest ---- */

static void init_retry_budget(void *self)
{
	struct retry_budget *budget = self;

	budget->percent = 20;
	budget->least = 3;
}

static const struct field retry_budget_fields[] = {
	{ "percent", FIELD_DOUBLE, .offset = offsetof(struct retry_budget, percent), .least = 0,
	  .most = 100, .what = "a percentage from 0 to 100" },
	{ "minRetryConcurrency", FIELD_INT32, .offset = offsetof(struct retry_budget, least),
	  .max = INT32_MAX },
	{ 0 },
};

static const struct message retry_budget_message = {
	.what = "a map",
	.size = sizeof(struct retry_budget),
	.fields = retry_budget_fields,
	.given_at = AT(struct retry_budget, given),
	.init = init_retry_budget,
};

static void init_policy(struct traffic_policy *policy)
{
	policy->tcp.connect_timeout = policy->tcp.idle_timeout = policy->tcp.max_duration = -1;
}

/* weft neither counts nor ends connections that it passes through: no limit can hold for them. */
static void check_passthrough(struct decoder *d, const struct node *node,
			      const struct traffic_policy *policy)
{
	struct path pool = { .up = d->path, .name = "connectionPool" };
	struct path tcp = { .up = &pool, .name = "tcp" };
	const struct tcp_pool *given = &policy->tcp;

	if (policy->lb.simple != LB_SIMPLE_PASSTHROUGH ||
	    (!given->max_connections && given->connect_timeout < 0 && given->idle_timeout < 0 &&
	     given->max_duration < 0 && !given->keepalive.given))
		return;
	d->path = &tcp;
	decode_refuse(d, decode_at(d, decode_at(d, node, "connectionPool"), "tcp"),
		      REFUSED_PASSTHROUGH_POOL);
	d->path = pool.up;
}

static void check_policy(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct dr_policy *dr = self;

	check_passthrough(d, self_node, &dr->policy);
	for (const struct node *k = node_target(self_node)->child; k; k = k->next->next) {
		const struct node *value = node_target(k->next);

		if (!node_is_null(value) && (d->kept || value->type != NODE_LIST || value->child))
			return;
	}
	decode_error(d, self_node, NULL, "expected at least one field, not an empty map");
}

static void init_port_policy(void *self)
{
	struct port_policy *port = self;

	init_policy(&port->policy);
}

static const struct field port_policy_fields[] = {
	{ "port", FIELD_MESSAGE, .required = true, .offset = offsetof(struct port_policy, port),
	  .message = &schema_port_selector },
	{ "loadBalancer", FIELD_MESSAGE, .offset = offsetof(struct port_policy, policy.lb),
	  .message = &load_balancer_message },
	{ "connectionPool", FIELD_MESSAGE, .offset = offsetof(struct port_policy, policy),
	  .message = &connection_pool_message },
	{ "outlierDetection", FIELD_POINTER,
	  .offset = offsetof(struct port_policy, policy.outliers),
	  .pos_at = AT(struct port_policy, policy.outlier_detection),
	  .message = &schema_outlier_detection },
	{ "tls", FIELD_POINTER, .offset = offsetof(struct port_policy, policy.tls),
	  .message = &schema_client_tls },
	{ 0 },
};

static void check_port_policy(struct decoder *d, const struct node *self_node, const void *self)
{
	static const char *const fields[] = { "loadBalancer", "connectionPool", "outlierDetection",
					      "tls" };
	const struct port_policy *port = self;

	check_passthrough(d, self_node, &port->policy);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (decode_given(d, self_node, fields[i]))
			return;
	decode_error(d, self_node, NULL, "expected at least one setting beside port");
}

static const struct message port_policy_message = {
	.what = "a port's settings (a map)",
	.size = sizeof(struct port_policy),
	.fields = port_policy_fields,
	.given_at = AT(struct port_policy, policy.given),
	.init = init_port_policy,
	.check = check_port_policy,
};

static void check_ports(struct decoder *d, const struct node *value, const void *target)
{
	const struct dr_policy *dr =
		(const void *)((const char *)target - offsetof(struct dr_policy, ports));
	char name[48];

	for (size_t i = 0; i < dr->ports.count; i++)
		for (size_t j = 0; j < i; j++)
			if (dr->ports.items[i].port == dr->ports.items[j].port) {
				snprintf(name, sizeof(name), "[%zu].port.number", i);
				decode_warn(d, validate_nth(value, i), name,
					    "port %u is there already: the first settings count",
					    dr->ports.items[i].port);
			}
}

static const struct field dr_policy_fields[] = {
	{ "loadBalancer", FIELD_MESSAGE, .offset = offsetof(struct dr_policy, policy.lb),
	  .message = &load_balancer_message },
	{ "connectionPool", FIELD_MESSAGE, .offset = offsetof(struct dr_policy, policy),
	  .message = &connection_pool_message },
	{ "outlierDetection", FIELD_POINTER, .offset = offsetof(struct dr_policy, policy.outliers),
	  .pos_at = AT(struct dr_policy, policy.outlier_detection),
	  .message = &schema_outlier_detection },
	{ "tls", FIELD_POINTER, .offset = offsetof(struct dr_policy, policy.tls),
	  .message = &schema_client_tls },
	{ "portLevelSettings", FIELD_LIST, .offset = offsetof(struct dr_policy, ports),
	  .max = PORT_SETTINGS_MAX, .message = &port_policy_message, .check = check_ports },
	{ .name = "tunnel",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_OBJECT,
	  .refused = REFUSED_TUNNEL },
	{ .name = "proxyProtocol",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_OBJECT,
	  .refused = REFUSED_PROXY_PROTOCOL },
	{ "retryBudget", FIELD_MESSAGE, .offset = offsetof(struct dr_policy, policy.retry_budget),
	  .message = &retry_budget_message },
	{ 0 },
};

static void init_dr_policy(void *self)
{
	struct dr_policy *dr = self;

	init_policy(&dr->policy);
}

static const struct message dr_policy_message = {
	.what = "a map",
	.size = sizeof(struct dr_policy),
	.fields = dr_policy_fields,
	.given_at = AT(struct dr_policy, policy.given),
	.init = init_dr_policy,
	.check = check_policy,
};

/* ---- DestinationRule ---- */

static void check_subset_name(struct decoder *d, const struct node *value, const void *string)
{
	if (!valid_dns_label_s(*(const char *const *)string))
		decode_expected(d, value, NULL,
				"a subset's name (letters, digits and '-', at most 63)");
}

static const struct field subset_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct subset, name),
	  .max = 63, .check = check_subset_name, .pattern = "^" CRD_DNS_LABEL "$" },
	{ "labels", FIELD_FULL_KVS, .selects = true, .offset = offsetof(struct subset, labels),
	  .check = validate_labels, .pattern = CRD_LABEL_VALUE },
	{ "trafficPolicy", FIELD_MESSAGE, .offset = offsetof(struct subset, policy),
	  .message = &dr_policy_message },
	{ 0 },
};

static void init_subset(void *self)
{
	struct subset *subset = self;

	init_policy(&subset->policy.policy);
}

static void refuse_passthrough(struct decoder *d, const struct node *policy)
{
	struct path lb = { .up = d->path, .name = "loadBalancer" };
	struct path simple = { .up = &lb, .name = "simple" };

	d->path = &simple;
	decode_refuse_value(d, decode_at(d, decode_at(d, policy, "loadBalancer"), "simple"),
			    REFUSED_PASSTHROUGH_SUBSET);
	d->path = lb.up;
}

static void check_subset(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct subset *subset = self;
	const struct node *policy = decode_at(d, self_node, "trafficPolicy");
	const struct node *ports = decode_at(d, policy, "portLevelSettings");
	struct path whole = { .up = d->path, .name = "trafficPolicy" };
	struct path list = { .up = &whole, .name = "portLevelSettings" }, port = { .up = &list };

	d->path = &whole;
	if (subset->policy.policy.lb.simple == LB_SIMPLE_PASSTHROUGH)
		refuse_passthrough(d, policy);
	d->path = &port;
	for (; port.index < subset->policy.ports.count; port.index++)
		if (subset->policy.ports.items[port.index].policy.lb.simple ==
		    LB_SIMPLE_PASSTHROUGH)
			refuse_passthrough(d, validate_nth(ports, port.index));
	d->path = whole.up;
}

static const struct message subset_message = {
	.what = "a subset (a map)",
	.size = sizeof(struct subset),
	.fields = subset_fields,
	.pos_at = AT(struct subset, pos),
	.init = init_subset,
	.check = check_subset,
};

static void check_subsets(struct decoder *d, const struct node *value, const void *target)
{
	const struct destination_rule *dr =
		(const void *)((const char *)target - offsetof(struct destination_rule, subsets));
	char name[48];

	for (size_t i = 0; i < dr->subsets.count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(dr->subsets.items[i].name, dr->subsets.items[j].name)) {
				snprintf(name, sizeof(name), "[%zu].name", i);
				decode_expected(d, decode_at(d, validate_nth(value, i), "name"),
						name, "each subset once");
				break;
			}
}

static const struct cel subsets_cel[] = {
	{ .rule = "self.all(a, self.exists_one(b, b.name == a.name))",
	  .message = "expected each subset's name once" },
	{ 0 },
};

static const struct field spec_fields[] = {
	{ "host", FIELD_STRING, .required = true, .offset = offsetof(struct destination_rule, host),
	  .pos_at = AT(struct destination_rule, host_pos), .check = validate_rule_host,
	  .pattern = "^" CRD_HOST "$" },
	{ "trafficPolicy", FIELD_MESSAGE, .offset = offsetof(struct destination_rule, policy),
	  .message = &dr_policy_message },
	{ "subsets", FIELD_LIST, .offset = offsetof(struct destination_rule, subsets),
	  .max = SUBSETS_MAX, .message = &subset_message, .check = check_subsets,
	  .cel = subsets_cel },
	{ "exportTo", FIELD_STRINGS, .offset = offsetof(struct destination_rule, export_to),
	  .check = validate_export_to, .cel = cel_export_to },
	{ .name = "workloadSelector",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_OBJECT,
	  .refused = REFUSED_WORKLOAD_SELECTOR },
	{ 0 },
};

static void init_spec(void *self)
{
	struct destination_rule *dr = self;

	init_policy(&dr->policy.policy);
}

static const struct message spec_message = {
	.what = "a DestinationRule's spec (a map)",
	.size = sizeof(struct destination_rule),
	.fields = spec_fields,
	.init = init_spec,
};

static const struct field rule_fields[] = OBJECT_FIELDS(dr, spec_message, true);

const struct message schema_destination_rule = {
	.what = "a DestinationRule (a map)",
	.size = OBJECT_SIZE(dr),
	.fields = rule_fields,
};
