/* SPDX-License-Identifier: Apache-2.0 */
/* spec.tcp and spec.tls of a VirtualService, and what they share with spec.http. */
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

static const struct field port_fields[] = {
	{ "number", FIELD_UINT16, .required = true, .offset = 0, .min = 1, .max = 65535 },
	{ 0 },
};

const struct message schema_port_selector = { .what = "a port (a map with the field number)",
					      .fields = port_fields };

static const struct field destination_fields[] = {
	{ "host", FIELD_STRING, .required = true, .offset = offsetof(struct destination, host),
	  .check = validate_destination_host, .pattern = "^" CRD_HOST "$" },
	{ "subset", FIELD_STRING, .offset = offsetof(struct destination, subset),
	  .check = validate_subset_name, .pattern = "^(" CRD_DNS_LABEL ")?$" },
	{ "port", FIELD_MESSAGE, .offset = offsetof(struct destination, port),
	  .message = &schema_port_selector },
	{ 0 },
};

static void finish_destination(struct decoder *d, const struct node *self_node, void *self)
{
	struct destination *destination = self;

	(void)d;
	(void)self_node;
	if (destination->subset && !*destination->subset)
		destination->subset = NULL;
}

const struct message schema_destination = {
	.what = "a destination (a map)",
	.size = sizeof(struct destination),
	.fields = destination_fields,
	.pos_at = AT(struct destination, pos),
	.finish = finish_destination,
};

static const struct field route_destination_fields[] = {
	{ "destination", FIELD_MESSAGE, .required = true,
	  .offset = offsetof(struct route_destination, destination),
	  .message = &schema_destination },
	{ "weight", FIELD_INT32, .offset = offsetof(struct route_destination, weight),
	  .given_at = AT(struct route_destination, weight_given), .min = 0, .max = INT32_MAX },
	{ 0 },
};

static const struct message route_destination_message = {
	.what = "a route's destination (a map)",
	.size = sizeof(struct route_destination),
	.fields = route_destination_fields,
	.pos_at = AT(struct route_destination, pos),
};

static void decode_destination_subnets(struct decoder *d, const struct node *value, void *target)
{
	struct l4_match *match = target;
	struct strs given = { 0 };
	char name[32];

	if (!decode_strings(d, value, &given))
		return;
	match->destination_subnets.items = decode_alloc(d, given.count * sizeof(struct cidr));
	if (!match->destination_subnets.items)
		return;
	match->destination_subnets.count = given.count;
	for (size_t i = 0; i < given.count; i++) {
		snprintf(name, sizeof(name), "[%zu]", i);
		if (!parse_cidr(given.items[i], &match->destination_subnets.items[i]))
			decode_expected(d, validate_nth(value, i), name,
					"an IP address or a subnet like 10.0.0.0/8");
	}
}

static const struct field tcp_match_fields[] = {
	{ "destinationSubnets", FIELD_CUSTOM, .shape = SHAPE_STRINGS,
	  .decode = decode_destination_subnets },
	{ "port", FIELD_UINT16, .offset = offsetof(struct l4_match, port), .max = 65535 },
	{ "sourceLabels", FIELD_FULL_KVS, .selects = true,
	  .offset = offsetof(struct l4_match, source_labels), .check = validate_labels,
	  .pattern = CRD_LABEL_VALUE },
	{ "gateways", FIELD_STRINGS, .offset = offsetof(struct l4_match, gateways),
	  .check = validate_gateway_refs, .pattern = CRD_GATEWAY_REF },
	{ "sourceNamespace", FIELD_STRING, .offset = offsetof(struct l4_match, source_namespace),
	  .check = validate_namespace },
	{ .name = "sourceSubnet",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_SOURCE_SUBNET },
	{ 0 },
};

static const struct cel sni_hosts_cel[] = {
	{ .rule = "self.size() > 0", .message = "expected at least one host, not an empty list" },
	{ 0 },
};

static const struct field tls_match_fields[] = {
	{ "destinationSubnets", FIELD_CUSTOM, .shape = SHAPE_STRINGS,
	  .decode = decode_destination_subnets },
	{ "port", FIELD_UINT16, .offset = offsetof(struct l4_match, port), .max = 65535 },
	{ "sourceLabels", FIELD_FULL_KVS, .selects = true,
	  .offset = offsetof(struct l4_match, source_labels), .check = validate_labels,
	  .pattern = CRD_LABEL_VALUE },
	{ "gateways", FIELD_STRINGS, .offset = offsetof(struct l4_match, gateways),
	  .check = validate_gateway_refs, .pattern = CRD_GATEWAY_REF },
	{ "sourceNamespace", FIELD_STRING, .offset = offsetof(struct l4_match, source_namespace),
	  .check = validate_namespace },
	{ "sniHosts", FIELD_STRINGS, .required = true,
	  .offset = offsetof(struct l4_match, sni_hosts), .cel = sni_hosts_cel },
	{ 0 },
};

static const struct message tcp_match_message = {
	.what = "a match (a map)",
	.size = sizeof(struct l4_match),
	.fields = tcp_match_fields,
	.pos_at = AT(struct l4_match, pos),
};

static void check_tls_match(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct l4_match *match = self;

	if (!match->sni_hosts.count)
		decode_error(d, self_node, "sniHosts",
			     "expected at least one host, not an empty list");
}

static const struct message tls_match_message = {
	.what = "a match (a map)",
	.size = sizeof(struct l4_match),
	.fields = tls_match_fields,
	.pos_at = AT(struct l4_match, pos),
	.check = check_tls_match,
};

/* One destination gets everything whatever its weight; several share by weight, and all zero is no
 * share. */
static void check_route(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct l4_route *route = self;
	int64_t sum = 0;

	if (!route->route.count) {
		decode_error(d, self_node, "route", "required, with at least one destination");
		return;
	}
	for (size_t i = 0; i < route->route.count; i++)
		sum += route->route.items[i].weight;
	if (route->route.count > 1 && !sum)
		decode_error(d, decode_at(d, self_node, "route"), "route",
			     "expected weights that add up to more than 0");
	if (sum > UINT32_MAX)
		decode_error(d, decode_at(d, self_node, "route"), "route",
			     "expected weights that add up to less than 2^32");
}

static void check_tls_route(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct l4_route *route = self;

	if (!route->match.count)
		decode_error(d, self_node, "match", "required, with at least one match");
	check_route(d, self_node, self);
}

#define CEL_HAS_ROUTE "has(self.route) && self.route.size() > 0"

static const struct cel tcp_route_cel[] = {
	{ .rule = CEL_HAS_ROUTE, .message = "expected a route, with at least one destination" },
	{ 0 },
};

static const struct cel tls_route_cel[] = {
	{ .rule = CEL_HAS_ROUTE, .message = "expected a route, with at least one destination" },
	{ .rule = "has(self.match) && self.match.size() > 0",
	  .message = "expected a match (sniHosts), at least one of them" },
	{ 0 },
};

static const struct field tcp_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct l4_route, name) },
	{ "match", FIELD_LIST, .offset = offsetof(struct l4_route, match), .max = MATCHES_MAX,
	  .message = &tcp_match_message },
	{ "route", FIELD_LIST, .offset = offsetof(struct l4_route, route), .max = DESTINATIONS_MAX,
	  .message = &route_destination_message, .cel = cel_weights },
	{ 0 },
};

static const struct field tls_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct l4_route, name) },
	{ "match", FIELD_LIST, .offset = offsetof(struct l4_route, match), .max = MATCHES_MAX,
	  .message = &tls_match_message },
	{ "route", FIELD_LIST, .offset = offsetof(struct l4_route, route), .max = DESTINATIONS_MAX,
	  .message = &route_destination_message, .cel = cel_weights },
	{ 0 },
};

const struct message schema_l4_route = {
	.what = "a TCP route (a map)",
	.size = sizeof(struct l4_route),
	.fields = tcp_fields,
	.cel = tcp_route_cel,
	.pos_at = AT(struct l4_route, pos),
	.check = check_route,
};

const struct message schema_tls_route = {
	.what = "a TLS route (a map)",
	.size = sizeof(struct l4_route),
	.fields = tls_fields,
	.cel = tls_route_cel,
	.pos_at = AT(struct l4_route, pos),
	.check = check_tls_route,
};
