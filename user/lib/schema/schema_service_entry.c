/* SPDX-License-Identifier: Apache-2.0 */
/* ServiceEntry, and WorkloadEntry, whose spec is an element of its endpoints. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	ENTRY_HOSTS_MAX = 256, /* Istio's own bounds */
	ENTRY_ADDRESSES_MAX = 256,
	ENTRY_PORTS_MAX = 256,
	ENTRY_ENDPOINTS_MAX = 4096,
	WEIGHT_MAX = 1000, /* of one endpoint: that many rows stand for it */
};

static const char unix_prefix[] = "unix://";

static bool is_unix(const char *address)
{
	return !strncmp(address, unix_prefix, sizeof(unix_prefix) - 1);
}

/* A whole name, which DNS can be asked for. */
static bool is_fqdn(const char *s)
{
	return s[0] != '*' && !host_problem(s);
}

/* ---- ports ---- */

static const struct {
	const char *name, *app_protocol;
} protocols[] = {
	{ "HTTP", "http" },	    { "HTTP2", "http2" }, { "GRPC", "grpc" },
	{ "GRPC-WEB", "grpc-web" }, { "HTTPS", "https" }, { "TLS", "tls" },
	{ "TCP", "tcp" },	    { "UDP", "udp" },	  { "MONGO", "mongo" },
	{ "REDIS", "redis" },	    { "MYSQL", "mysql" },
};

static void set_protocol(struct service_port *port, size_t i)
{
	bool udp = !strcmp(protocols[i].name, "UDP");

	port->app_protocol = protocols[i].app_protocol;
	port->protocol = udp ? "UDP" : "TCP";
}

static void decode_protocol(struct decoder *d, const struct node *value, void *target)
{
	static const char *const refused[] = { "HTTP_PROXY", "HBONE", "DOUBLE_HBONE" };
	const char *s;

	if (!decode_string(d, value, &s) || !*s)
		return;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcasecmp(s, protocols[i].name)) {
			set_protocol(target, i);
			return;
		}
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (!strcasecmp(s, refused[i])) {
			decode_refuse_value(d, value, REFUSED_ENTRY_PROTOCOL);
			return;
		}
	decode_expected(d, value, NULL,
			"one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, UDP, MONGO, REDIS, "
			"MYSQL");
}

static const struct cel protocol_cel[] = {
	{ .rule = "!(self.upperAscii() in ['HTTP_PROXY', 'HBONE', 'DOUBLE_HBONE'])",
	  .refused = REFUSED_ENTRY_PROTOCOL },
	{ .rule = "self.upperAscii() in ['', 'HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTPS', 'TLS', "
		  "'TCP', 'UDP', 'MONGO', 'REDIS', 'MYSQL', 'HTTP_PROXY', 'HBONE', "
		  "'DOUBLE_HBONE']",
	  .message = "expected one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, UDP, MONGO, "
		     "REDIS, MYSQL" },
	{ 0 },
};

static void check_port_name(struct decoder *d, const struct node *value, const void *string)
{
	if (!valid_dns_label_s(*(const char *const *)string))
		decode_expected(d, value, NULL,
				"a port's name (letters, digits and '-', at most 63)");
}

static void init_port(void *self)
{
	struct service_port *port = self;

	port->protocol = "TCP";
}

static const struct field port_fields[] = {
	{ "number", FIELD_UINT16, .required = true, .offset = offsetof(struct service_port, port),
	  .min = 1, .max = 65535 },
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct service_port, name),
	  .max = PORT_NAME_MAX, .check = check_port_name, .pattern = "^" CRD_DNS_LABEL "$" },
	{ "protocol", FIELD_CUSTOM, .max = TEXT_MAX, .shape = SHAPE_STRING,
	  .decode = decode_protocol, .cel = protocol_cel },
	{ "targetPort", FIELD_UINT16, .offset = offsetof(struct service_port, target_port),
	  .max = 65535 },
	{ 0 },
};

static const struct message port_message = {
	.what = "a port (a map)",
	.size = sizeof(struct service_port),
	.fields = port_fields,
	.pos_at = AT(struct service_port, pos),
	.init = init_port,
};

/* ---- a workload ---- */

static void decode_port_number(struct decoder *d, const struct node *key,
			       struct workload_port *port)
{
	struct path here = { .up = d->path, .name = node_text(key), .key = true };
	int64_t number;

	d->path = &here;
	port->name = node_text(key);
	if (!valid_dns_label_s(port->name))
		decode_expected(d, key, NULL,
				"a port's name (letters, digits and '-', at most 63)");
	else if (decode_integer(d, key->next, 1, 65535, &number))
		port->port = (uint16_t)number;
	d->path = here.up;
}

/* By the names of the ServiceEntry's ports. */
static void decode_ports(struct decoder *d, const struct node *value, void *target)
{
	struct workload *w = target;
	const struct node *map = node_target(value);

	if (map->type != NODE_MAP) {
		decode_expected(d, value, NULL, "a map of ports' names and numbers");
		return;
	}
	if (!decode_at_most(d, value, map->count, ENTRY_PORTS_MAX))
		return;
	w->ports.items = decode_alloc(d, (map->count + 1) * sizeof(*w->ports.items));
	if (!w->ports.items)
		return;
	for (const struct node *k = map->child; k; k = k->next->next)
		decode_port_number(d, k, &w->ports.items[w->ports.count++]);
}

static void check_unix(struct decoder *d, const struct node *at, const struct workload *w)
{
	const char *path = w->address + sizeof(unix_prefix) - 1;

	if (*path != '/' && *path != '@')
		decode_expected(d, at, "address", "unix:// and an absolute path");
	else if (w->ports.count)
		decode_error(d, at, "ports", "expected no ports of a Unix socket");
}

/* What is wrong with an endpoint whatever entry it is of. */
static void check_endpoint_alone(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct workload *w = self;
	const struct node *at = decode_at(d, self_node, "address");

	if (w->weight > WEIGHT_MAX)
		decode_refuse(d, decode_at(d, self_node, "weight"), REFUSED_ENDPOINT_WEIGHT);
	if (!w->address || !*w->address) {
		if (w->network && *w->network)
			decode_refuse(d, at, REFUSED_NETWORK_ENDPOINT);
		else
			decode_error(d, self_node, "address", "required, but not given");
		return;
	}
	if (is_unix(w->address))
		check_unix(d, at, w);
	else if (!w->numeric && !is_fqdn(w->address))
		decode_expected(d, at, "address", "an IP address or a full host name");
}

/* A refusal of what is given as `name`. What is plainly wrong is said in its place, by the caller.
 */
static void refuse_at(struct decoder *d, const char *name, const struct node *at, enum refused what)
{
	struct path here = { .up = d->path, .name = name };

	d->path = &here;
	decode_refuse_value(d, at, what);
	d->path = here.up;
}

static void check_workload(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct workload *w = self;
	size_t reported = d->reported;

	check_endpoint_alone(d, self_node, self);
	if (d->reported == reported && is_unix(w->address))
		refuse_at(d, "address", decode_at(d, self_node, "address"), REFUSED_UNIX_ENDPOINT);
}

static void finish_workload(struct decoder *d, const struct node *self_node, void *self)
{
	struct workload *w = self;

	(void)d;
	(void)self_node;
	w->numeric = w->address && valid_ip(w->address, &w->addr);
}

static const struct field workload_fields[] = {
	{ "address", FIELD_STRING, .offset = offsetof(struct workload, address), .max = 256 },
	{ "ports", FIELD_CUSTOM, .shape = SHAPE_OBJECT, .decode = decode_ports },
	{ "labels", FIELD_FULL_KVS, .selects = true, .offset = offsetof(struct workload, labels),
	  .check = validate_labels, .pattern = CRD_LABEL_VALUE },
	{ "network", FIELD_STRING, .offset = offsetof(struct workload, network), .max = 2048 },
	{ "locality", FIELD_STRING, .offset = offsetof(struct workload, locality), .max = 2048 },
	{ "weight", FIELD_INT64, .offset = offsetof(struct workload, weight),
	  .pos_at = AT(struct workload, weight_pos), .max = UINT32_MAX },
	{ "serviceAccount", FIELD_STRING, .offset = offsetof(struct workload, service_account),
	  .max = 253 },
	{ 0 },
};

static const struct message endpoint_message = {
	.what = "an endpoint (a map)",
	.size = sizeof(struct workload),
	.fields = workload_fields,
	.pos_at = AT(struct workload, pos),
	.finish = finish_workload,
	.check = check_endpoint_alone,
};

static const struct message workload_message = {
	.what = "a WorkloadEntry's spec (a map)",
	.size = sizeof(struct workload),
	.fields = workload_fields,
	.pos_at = AT(struct workload, pos),
	.finish = finish_workload,
	.check = check_workload,
};

static const struct field workload_entry_fields[] = OBJECT_FIELDS(workload, workload_message, true);

const struct message schema_workload_entry = {
	.what = "a WorkloadEntry (a map)",
	.size = sizeof(struct object),
	.fields = workload_entry_fields,
};

/* ---- hosts and addresses ---- */

static void check_hosts(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *hosts = target;
	char name[32];

	if (!hosts->count)
		decode_error(d, value, NULL, "expected at least one host, not an empty list");
	if (!decode_at_most(d, value, hosts->count, ENTRY_HOSTS_MAX))
		return;
	for (size_t i = 0; i < hosts->count; i++) {
		const char *problem = strcmp(hosts->items[i], "*") != 0
					      ? host_problem(hosts->items[i])
					      : "a host that is not \"*\"";

		snprintf(name, sizeof(name), "[%zu]", i);
		if (problem)
			decode_expected(d, validate_nth(value, i), name, problem);
	}
}

static const struct cel hosts_cel[] = {
	{ .rule = "self.size() > 0", .message = "expected at least one host, not an empty list" },
	{ .rule = "self.all(x, x != '*')", .message = "expected a host that is not \"*\"" },
	{ 0 },
};

static void decode_addresses(struct decoder *d, const struct node *value, void *target)
{
	struct entry_spec *entry = target;
	char name[32];

	if (!decode_strings(d, value, &entry->addresses) ||
	    !decode_at_most(d, value, entry->addresses.count, ENTRY_ADDRESSES_MAX))
		return;
	entry->ranges.items =
		decode_alloc(d, (entry->addresses.count + 1) * sizeof(*entry->ranges.items));
	if (!entry->ranges.items)
		return;
	entry->ranges.count = entry->addresses.count;
	for (size_t i = 0; i < entry->addresses.count; i++) {
		snprintf(name, sizeof(name), "[%zu]", i);
		if (!parse_cidr(entry->addresses.items[i], &entry->ranges.items[i]))
			decode_expected(d, validate_nth(value, i), name,
					"an IP address or a subnet like 10.0.0.0/8");
	}
}

static void decode_resolution(struct decoder *d, const struct node *value, void *target)
{
	static const struct word words[] = {
		{ "NONE", RESOLUTION_NONE },
		{ "STATIC", RESOLUTION_STATIC },
		{ "DNS", RESOLUTION_DNS },
		{ "DNS_ROUND_ROBIN", RESOLUTION_DNS_ROUND_ROBIN },
		{ "DYNAMIC_DNS", RESOLUTION_DYNAMIC_DNS }, /* refused by check_dynamic() */
		{ 0 },
	};
	const char *s;

	if (!decode_string(d, value, &s))
		return;
	for (const struct word *w = words; w->name; w++)
		if (!strcmp(s, w->name)) {
			*(int *)target = w->value;
			return;
		}
	decode_expected(d, value, NULL, "one of NONE, STATIC, DNS, DNS_ROUND_ROBIN");
}

static const struct cel resolution_cel[] = {
	{ .rule = "self != 'DYNAMIC_DNS'", .refused = REFUSED_DYNAMIC_DNS },
	{ .rule = "self in ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']",
	  .message = "expected one of NONE, STATIC, DNS, DNS_ROUND_ROBIN" },
	{ 0 },
};

static const struct word location_words[] = {
	{ "MESH_EXTERNAL", LOCATION_MESH_EXTERNAL },
	{ "MESH_INTERNAL", LOCATION_MESH_INTERNAL },
	{ 0 },
};

/* ---- the fields together ---- */

static bool resolves(const struct entry_spec *entry)
{
	return entry->resolution == RESOLUTION_DNS ||
	       entry->resolution == RESOLUTION_DNS_ROUND_ROBIN;
}

static bool is_subnet(const char *address)
{
	return strchr(address, '/');
}

static void check_subnets(struct decoder *d, const struct node *node,
			  const struct entry_spec *entry)
{
	const struct node *list = decode_at(d, node, "addresses");
	char name[48];

	for (size_t i = 0; resolves(entry) && i < entry->addresses.count; i++) {
		snprintf(name, sizeof(name), "addresses[%zu]", i);
		if (is_subnet(entry->addresses.items[i]))
			decode_expected(d, validate_nth(list, i), name,
					"an address that is no subnet with a resolution by DNS");
	}
}

static bool same_port(const struct service_port *a, const struct service_port *b)
{
	return a->port == b->port || !strcmp(a->name, b->name);
}

static void check_port_twice(struct decoder *d, const struct node *node,
			     const struct entry_spec *entry, size_t i)
{
	const struct service_port *port = &entry->ports.items[i];
	const struct node *at = validate_nth(decode_at(d, node, "ports"), i);
	char name[48];

	for (size_t k = 0; k < i; k++) {
		if (!same_port(port, &entry->ports.items[k]))
			continue;
		snprintf(name, sizeof(name), "ports[%zu]", i);
		decode_error(d, at, name,
			     "expected a name and a number that no other port has, not \"%.64s\" "
			     "and %u",
			     port->name, port->port);
		return;
	}
}

static bool entry_has_port(const struct entry_spec *entry, const char *name)
{
	for (size_t i = 0; i < entry->ports.count; i++)
		if (!strcmp(entry->ports.items[i].name, name))
			return true;
	return false;
}

static void check_endpoint_ports(struct decoder *d, const struct node *at, const char *field,
				 const struct entry_spec *entry, const struct workload *w)
{
	char name[96];

	for (size_t i = 0; i < w->ports.count; i++) {
		if (entry_has_port(entry, w->ports.items[i].name))
			continue;
		snprintf(name, sizeof(name), "%s.ports", field);
		decode_error(d, at, name, "expected names of the entry's ports, not \"%.64s\"",
			     w->ports.items[i].name);
	}
}

static void check_unix_endpoint(struct decoder *d, const struct node *at, const char *name,
				const struct entry_spec *entry)
{
	if (resolves(entry))
		decode_expected(d, at, name, "an IP address or a full host name");
	else if (entry->ports.count != 1)
		decode_error(d, at, name, "expected one port with a Unix socket, not %zu",
			     entry->ports.count);
	else
		refuse_at(d, name, at, REFUSED_UNIX_ENDPOINT);
}

static void check_endpoint(struct decoder *d, const struct node *at, const char *field,
			   const struct entry_spec *entry, const struct workload *w)
{
	char name[96];

	check_endpoint_ports(d, at, field, entry, w);
	snprintf(name, sizeof(name), "%s.address", field);
	if (is_unix(w->address))
		check_unix_endpoint(d, decode_at(d, at, "address"), name, entry);
	else if (entry->resolution == RESOLUTION_STATIC && !w->numeric)
		decode_expected(d, decode_at(d, at, "address"), name,
				"an IP address with the resolution STATIC");
}

static void check_endpoints(struct decoder *d, const struct node *node,
			    const struct entry_spec *entry)
{
	const struct node *list = decode_at(d, node, "endpoints");
	size_t count = entry->endpoints.count;
	char name[48];

	if (entry->resolution == RESOLUTION_NONE && count)
		decode_error(d, list, "endpoints",
			     "expected no endpoints with the resolution NONE");
	if (entry->resolution == RESOLUTION_DNS_ROUND_ROBIN && count > 1)
		decode_error(d, list, "endpoints",
			     "expected at most one endpoint with the resolution DNS_ROUND_ROBIN, "
			     "not %zu",
			     count);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "endpoints[%zu]", i);
		check_endpoint(d, validate_nth(list, i), name, entry, &entry->endpoints.items[i]);
	}
}

/* Without endpoints it is the hosts that DNS is asked for. */
static void check_names(struct decoder *d, const struct node *node, const struct entry_spec *entry)
{
	const struct node *list = decode_at(d, node, "hosts");
	char name[48];

	for (size_t i = 0; resolves(entry) && !entry->endpoints.count && i < entry->hosts.count;
	     i++) {
		snprintf(name, sizeof(name), "hosts[%zu]", i);
		if (!is_fqdn(entry->hosts.items[i]))
			decode_expected(d, validate_nth(list, i), name,
					"a full host name, with a resolution by DNS and no "
					"endpoints");
	}
}

/* Of plain TCP nothing says which of several hosts is meant. */
static void check_several_hosts(struct decoder *d, const struct node *node,
				const struct entry_spec *entry)
{
	char name[48];

	if (entry->resolution == RESOLUTION_NONE || entry->hosts.count < 2)
		return;
	for (size_t i = 0; i < entry->ports.count; i++) {
		const char *app = entry->ports.items[i].app_protocol;

		if (app &&
		    (!strncmp(app, "http", 4) || !strncmp(app, "grpc", 4) || !strcmp(app, "tls")))
			continue;
		snprintf(name, sizeof(name), "ports[%zu].protocol", i);
		decode_error(d, validate_nth(decode_at(d, node, "ports"), i), name,
			     "expected HTTP or TLS, which tell several hosts apart");
	}
}

static void warn_selector(struct decoder *d, const struct node *node,
			  const struct entry_spec *entry)
{
	const struct node *at = decode_at(d, node, "workloadSelector");

	if (!entry->selects)
		return;
	if (entry->resolution != RESOLUTION_STATIC)
		decode_warn(d, at, "workloadSelector",
			    "has no effect with another resolution than STATIC");
	else if (!entry->selector.count)
		decode_warn(d, at, "workloadSelector",
			    "has no labels: it selects every workload of the namespace");
}

static void warn_target_ports(struct decoder *d, const struct node *node,
			      const struct entry_spec *entry)
{
	char name[48];

	for (size_t i = 0; entry->resolution == RESOLUTION_NONE && i < entry->ports.count; i++) {
		if (!entry->ports.items[i].target_port)
			continue;
		snprintf(name, sizeof(name), "ports[%zu].targetPort", i);
		decode_warn(d, validate_nth(decode_at(d, node, "ports"), i), name,
			    "has no effect with the resolution NONE");
	}
}

/* ---- DYNAMIC_DNS ---- */

static void check_dynamic_hosts(struct decoder *d, const struct node *node,
				const struct entry_spec *entry)
{
	const struct node *list = decode_at(d, node, "hosts");
	char name[48];

	for (size_t i = 0; i < entry->hosts.count; i++) {
		snprintf(name, sizeof(name), "hosts[%zu]", i);
		if (entry->hosts.items[i][0] != '*')
			decode_expected(
				d, validate_nth(list, i), name,
				"a host with a * in front, with the resolution DYNAMIC_DNS");
	}
}

static void check_dynamic_ports(struct decoder *d, const struct node *node,
				const struct entry_spec *entry)
{
	static const char *const taken[] = { "http", "http2", "grpc", "tls" };
	char name[48];

	for (size_t i = 0; i < entry->ports.count; i++) {
		const char *app = entry->ports.items[i].app_protocol;
		bool good = false;

		for (size_t k = 0; app && k < sizeof(taken) / sizeof(*taken); k++)
			good |= !strcmp(app, taken[k]);
		snprintf(name, sizeof(name), "ports[%zu].protocol", i);
		if (!good)
			decode_error(d, validate_nth(decode_at(d, node, "ports"), i), name,
				     "expected one of HTTP, HTTP2, GRPC, TLS with the resolution "
				     "DYNAMIC_DNS");
	}
}

/* weft refuses it, but says first what Istio would not take either. */
static void check_dynamic(struct decoder *d, const struct node *node,
			  const struct entry_spec *entry)
{
	size_t reported = d->reported;

	check_dynamic_hosts(d, node, entry);
	check_dynamic_ports(d, node, entry);
	if (entry->addresses.count)
		decode_error(d, decode_at(d, node, "addresses"), "addresses",
			     "expected no addresses with the resolution DYNAMIC_DNS");
	if (entry->endpoints.count)
		decode_error(d, decode_at(d, node, "endpoints"), "endpoints",
			     "expected no endpoints with the resolution DYNAMIC_DNS");
	if (d->reported == reported)
		refuse_at(d, "resolution", decode_at(d, node, "resolution"), REFUSED_DYNAMIC_DNS);
}

static void check_entry(struct decoder *d, const struct node *node, const void *self)
{
	const struct entry_spec *entry = self;

	if (entry->resolution == RESOLUTION_DYNAMIC_DNS) {
		check_dynamic(d, node, entry);
		return;
	}
	if (entry->selects && entry->endpoints.count)
		decode_error(d, decode_at(d, node, "endpoints"), "endpoints",
			     "expected one of endpoints and workloadSelector, not both");
	check_subnets(d, node, entry);
	for (size_t i = 0; i < entry->ports.count; i++)
		check_port_twice(d, node, entry, i);
	check_endpoints(d, node, entry);
	check_names(d, node, entry);
	check_several_hosts(d, node, entry);
	warn_selector(d, node, entry);
	warn_target_ports(d, node, entry);
}

static const struct cel entry_cel[] = {
	{ .rule = "!has(self.workloadSelector) || !has(self.endpoints)",
	  .message = "expected one of endpoints and workloadSelector, not both" },
	{ .rule = "(has(self.resolution) && self.resolution != 'NONE') || !has(self.endpoints) || "
		  "self.endpoints.size() == 0",
	  .message = "expected no endpoints with the resolution NONE" },
	{ .rule = "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || "
		  "!has(self.endpoints) || self.endpoints.size() < 2",
	  .message = "expected at most one endpoint with the resolution DNS_ROUND_ROBIN" },
	{ 0 },
};

/* "~" alone: nobody sees it. */
static void check_exports(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *to = target;

	if (to->count != 1 || strcmp(to->items[0], "~") != 0)
		validate_export_to(d, value, target);
}

static const struct cel ports_cel[] = {
	{ .rule = "self.all(a, self.exists_one(b, b.number == a.number))",
	  .message = "expected a number that no other port has" },
	{ .rule = "self.all(a, self.exists_one(b, b.name == a.name))",
	  .message = "expected a name that no other port has" },
	{ 0 },
};

static const struct field selector_fields[] = {
	{ "labels", FIELD_FULL_KVS, .selects = true,
	  .offset = offsetof(struct entry_spec, selector), .check = validate_labels,
	  .pattern = CRD_LABEL_VALUE },
	{ 0 },
};

static const struct message selector_message = {
	.what = "a workloadSelector (a map)",
	.fields = selector_fields,
	.given_at = AT(struct entry_spec, selects),
};

static const struct field spec_fields[] = {
	{ "hosts", FIELD_STRINGS, .required = true, .offset = offsetof(struct entry_spec, hosts),
	  .max = ENTRY_HOSTS_MAX, .check = check_hosts, .pattern = "^" CRD_HOST "$",
	  .cel = hosts_cel },
	{ "addresses", FIELD_CUSTOM, .shape = SHAPE_STRINGS, .max = ENTRY_ADDRESSES_MAX,
	  .decode = decode_addresses },
	{ "ports", FIELD_LIST, .offset = offsetof(struct entry_spec, ports), .max = ENTRY_PORTS_MAX,
	  .message = &port_message, .cel = ports_cel },
	{ "location", FIELD_ENUM, .offset = offsetof(struct entry_spec, location),
	  .words = location_words },
	{ "resolution", FIELD_CUSTOM, .offset = offsetof(struct entry_spec, resolution),
	  .max = TEXT_MAX, .shape = SHAPE_STRING, .decode = decode_resolution,
	  .cel = resolution_cel },
	{ "endpoints", FIELD_LIST, .offset = offsetof(struct entry_spec, endpoints),
	  .max = ENTRY_ENDPOINTS_MAX, .message = &endpoint_message },
	{ "workloadSelector", FIELD_MESSAGE, .message = &selector_message },
	{ "exportTo", FIELD_STRINGS, .offset = offsetof(struct entry_spec, export_to),
	  .check = check_exports },
	{ "subjectAltNames", FIELD_STRINGS, .offset = offsetof(struct entry_spec, alt_names) },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a ServiceEntry's spec (a map)",
	.size = sizeof(struct entry_spec),
	.fields = spec_fields,
	.cel = entry_cel,
	.check = check_entry,
};

static const struct field service_entry_fields[] = OBJECT_FIELDS(entry, spec_message, true);

const struct message schema_service_entry = {
	.what = "a ServiceEntry (a map)",
	.size = sizeof(struct object),
	.fields = service_entry_fields,
};
