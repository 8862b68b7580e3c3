/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/model/hostname.h"
#include "lib/schema/validate.h"

/* ---- what Endpoints and EndpointSlice have in common ---- */

static void init_port(void *self)
{
	struct endpoint_port *port = self;

	port->protocol = "TCP";
}

static const struct field port_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct endpoint_port, name) },
	{ "protocol", FIELD_STRING, .offset = offsetof(struct endpoint_port, protocol) },
	{ "appProtocol", FIELD_STRING, .offset = offsetof(struct endpoint_port, app_protocol) },
	{ "port", FIELD_UINT16, .offset = offsetof(struct endpoint_port, port), .max = 65535 },
	{ 0 },
};

static const struct message port_message = {
	.what = "a port (a map)",
	.size = sizeof(struct endpoint_port),
	.fields = port_fields,
	.init = init_port,
};

static const struct field target_fields[] = {
	{ "kind", FIELD_STRING, .offset = offsetof(struct endpoint_address, target_kind) },
	{ "name", FIELD_STRING, .offset = offsetof(struct endpoint_address, target_name) },
	{ "namespace", FIELD_STRING,
	  .offset = offsetof(struct endpoint_address, target_namespace) },
	{ 0 },
};

static const struct message target_message = { .what = "a reference (a map)",
					       .fields = target_fields };

/* ---- Endpoints ---- */

static void decode_ip(struct decoder *d, const struct node *value, void *target)
{
	const char *ip;

	if (!decode_string(d, value, &ip))
		return;
	if (valid_ip(ip, NULL))
		decode_strs_append(d, target, ip, value);
	else
		decode_expected(d, value, NULL, "an IP address");
}

static const struct field address_fields[] = {
	{ "ip", FIELD_CUSTOM, .required = true, .offset = offsetof(struct endpoint_address, ips),
	  .decode = decode_ip },
	{ "nodeName", FIELD_STRING, .offset = offsetof(struct endpoint_address, node_name) },
	{ "targetRef", FIELD_MESSAGE, .message = &target_message },
	{ 0 },
};

static void init_ready(void *self)
{
	struct endpoint_address *address = self;

	address->ready = address->serving = true;
}

static void finish_address(struct decoder *d, const struct node *self_node, void *self)
{
	struct endpoint_address *address = self;
	struct addr addr;

	(void)d;
	(void)self_node;
	for (size_t i = 0; i < address->ips.count; i++) {
		enum family family;

		if (addr_parse(address->ips.items[i], &addr))
			continue;
		family = addr_family(&addr);
		if (!address->given[family])
			address->first[family] = addr;
		address->given[family] = true;
	}
}

static const struct message ready_message = {
	.what = "an address (a map)",
	.size = sizeof(struct endpoint_address),
	.fields = address_fields,
	.init = init_ready,
	.finish = finish_address,
};

static const struct message not_ready_message = {
	.what = "an address (a map)",
	.size = sizeof(struct endpoint_address),
	.fields = address_fields,
	.finish = finish_address,
};

static void add_addresses(struct decoder *d, const struct node *value, struct endpoint_set *set,
			  const struct message *m)
{
	struct endpoint_address *all;
	void *items = NULL;
	size_t count = 0;

	if (!decode_list(d, value, m, &items, &count, false) || !count)
		return;
	all = decode_alloc(d, (set->addresses.count + count) * sizeof(*all));
	if (!all)
		return;
	if (set->addresses.count)
		memcpy(all, set->addresses.items, set->addresses.count * sizeof(*all));
	memcpy(all + set->addresses.count, items, count * sizeof(*all));
	set->addresses.items = all;
	set->addresses.count += count;
}

static void decode_ready(struct decoder *d, const struct node *value, void *target)
{
	add_addresses(d, value, target, &ready_message);
}

static void decode_not_ready(struct decoder *d, const struct node *value, void *target)
{
	add_addresses(d, value, target, &not_ready_message);
}

static const struct field subset_fields[] = {
	{ "addresses", FIELD_CUSTOM, .decode = decode_ready },
	{ "notReadyAddresses", FIELD_CUSTOM, .decode = decode_not_ready },
	{ "ports", FIELD_LIST, .offset = offsetof(struct endpoint_set, ports),
	  .message = &port_message },
	{ 0 },
};

static const struct message subset_message = {
	.what = "a subset (a map)",
	.size = sizeof(struct endpoint_set),
	.fields = subset_fields,
};

static void finish_endpoints(struct decoder *d, const struct node *self_node, void *self)
{
	struct object *o = self;

	(void)d;
	(void)self_node;
	o->endpoints.service = o->meta.name;
}

static const struct field endpoints_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "subsets", FIELD_LIST, .offset = offsetof(struct object, endpoints.sets),
	  .message = &subset_message },
	{ 0 },
};

const struct message schema_endpoints = {
	.what = "Endpoints (a map)",
	.size = OBJECT_SIZE(endpoints),
	.fields = endpoints_fields,
	.finish = finish_endpoints,
};

/* ---- EndpointSlice ---- */

/* What is left out is as kube-proxy reads it: ready, serving, and not terminating. */
struct conditions {
	bool ready, serving, terminating;
};

static const struct field conditions_fields[] = {
	{ "ready", FIELD_BOOL, .offset = offsetof(struct conditions, ready) },
	{ "serving", FIELD_BOOL, .offset = offsetof(struct conditions, serving) },
	{ "terminating", FIELD_BOOL, .offset = offsetof(struct conditions, terminating) },
	{ 0 },
};

static const struct message conditions_message = { .what = "conditions (a map)",
						   .fields = conditions_fields };

static void decode_conditions(struct decoder *d, const struct node *value, void *target)
{
	struct endpoint_address *address = target;
	struct conditions c = { .ready = true, .serving = true };

	decode_message(d, &conditions_message, value, &c);
	address->ready = c.ready;
	address->serving = c.serving;
	address->terminating = c.terminating;
}

static const struct field slice_endpoint_fields[] = {
	{ "addresses", FIELD_STRINGS, .required = true,
	  .offset = offsetof(struct endpoint_address, ips) },
	{ "conditions", FIELD_CUSTOM, .decode = decode_conditions },
	{ "nodeName", FIELD_STRING, .offset = offsetof(struct endpoint_address, node_name) },
	{ "targetRef", FIELD_MESSAGE, .message = &target_message },
	{ 0 },
};

static const struct message slice_endpoint_message = {
	.what = "an endpoint (a map)",
	.size = sizeof(struct endpoint_address),
	.fields = slice_endpoint_fields,
	.init = init_ready,
	.finish = finish_address,
};

static struct endpoint_set *only_set(struct decoder *d, struct endpoints_spec *spec)
{
	if (!spec->sets.items) {
		spec->sets.items = decode_alloc(d, sizeof(*spec->sets.items));
		spec->sets.count = spec->sets.items ? 1 : 0;
	}
	return spec->sets.items;
}

static void decode_slice_endpoints(struct decoder *d, const struct node *value, void *target)
{
	struct endpoint_set *set = only_set(d, target);
	void *items = NULL;

	if (set &&
	    decode_list(d, value, &slice_endpoint_message, &items, &set->addresses.count, false))
		set->addresses.items = items;
}

static void decode_slice_ports(struct decoder *d, const struct node *value, void *target)
{
	struct endpoint_set *set = only_set(d, target);
	void *items = NULL;

	if (set && decode_list(d, value, &port_message, &items, &set->ports.count, false))
		set->ports.items = items;
}

static bool is_fqdn_slice(const struct node *slice)
{
	const struct node *type = node_get(slice, "addressType");

	return type && node_text(type) && !strcmp(node_text(type), "FQDN");
}

static void check_address(struct decoder *d, const struct strs *ips, size_t endpoint)
{
	struct path list = { .up = d->path, .name = "endpoints" },
		    element = { .up = &list, .index = endpoint };

	for (size_t i = 0; i < ips->count; i++) {
		struct node at = { .line = (uint32_t)ips->at[i].line,
				   .col = (uint32_t)ips->at[i].col,
				   .quoted = true };
		struct path addresses = { .up = &element, .name = "addresses" };

		if (valid_ip(ips->items[i], NULL))
			continue;
		at.text = ips->items[i];
		d->path = &addresses;
		decode_expected(d, &at, NULL, "an IP address");
		d->path = list.up;
	}
}

static void finish_slice(struct decoder *d, const struct node *self_node, void *self)
{
	struct object *o = self;
	struct endpoint_set *set = only_set(d, &o->endpoints);
	bool names = is_fqdn_slice(self_node);

	for (size_t i = 0; i < o->meta.labels.count; i++)
		if (!strcmp(o->meta.labels.items[i].key, "kubernetes.io/service-name"))
			o->endpoints.service = o->meta.labels.items[i].value;
	for (size_t i = 0; set && i < set->addresses.count; i++) {
		struct endpoint_address *a = &set->addresses.items[i];

		/* Names are not addresses: such a slice has no endpoints that a packet could be
		 * sent to. */
		if (names) {
			a->ips.count = 0;
			memset(a->given, 0, sizeof(a->given));
		}
		check_address(d, &a->ips, i);
	}
}

static const struct field slice_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "endpoints", FIELD_CUSTOM, .offset = offsetof(struct object, endpoints),
	  .decode = decode_slice_endpoints },
	{ "ports", FIELD_CUSTOM, .offset = offsetof(struct object, endpoints),
	  .decode = decode_slice_ports },
	{ 0 },
};

const struct message schema_endpoint_slice = {
	.what = "an EndpointSlice (a map)",
	.size = OBJECT_SIZE(endpoints),
	.fields = slice_fields,
	.finish = finish_slice,
};
