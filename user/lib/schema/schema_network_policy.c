/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicy of networking.k8s.io/v1: what the API server takes, and nothing else. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	INDEX_TEXT = 32, /* room for "[17]" */
	/* Elements of a list: more than the API server has room for in an object, as it sets no
	 * limit of its own. */
	ELEMENTS_MAX = 1 << 17,
};

/* ---- selectors ---- */

static void check_key(struct decoder *d, const struct node *value, const void *string)
{
	if (!valid_label_key(*(const char *const *)string))
		decode_expected(d, value, NULL,
				"a label's key ([prefix/]name of at most 63 characters)");
}

static void check_values(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *values = target;
	char at[INDEX_TEXT];

	for (size_t i = 0; i < values->count; i++) {
		snprintf(at, sizeof(at), "[%zu]", i);
		if (!valid_label_value(values->items[i]))
			decode_expected(
				d, validate_nth(value, i), at,
				"a label's value (letters, digits, '-', '_' and '.', at most 63)");
	}
}

static void check_expression(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct label_expression *e = self;
	bool set = e->operator== LABEL_IN || e->operator== LABEL_NOT_IN;

	if (set && !e->values.count)
		decode_error(d, self_node, "values", "required for In and NotIn, but not given");
	if (!set && e->values.count)
		decode_error(d, decode_at(d, self_node, "values"), "values",
			     "expected none for Exists and DoesNotExist");
}

static const struct word operators[] = {
	{ "In", LABEL_IN },
	{ "NotIn", LABEL_NOT_IN },
	{ "Exists", LABEL_EXISTS },
	{ "DoesNotExist", LABEL_DOES_NOT_EXIST },
	{ 0 },
};

static const struct field expression_fields[] = {
	{ "key", FIELD_STRING, .required = true, .offset = offsetof(struct label_expression, key),
	  .check = check_key },
	{ "operator", FIELD_ENUM, .required = true,
	  .offset = offsetof(struct label_expression, operator), .words = operators },
	{ "values", FIELD_STRINGS, .offset = offsetof(struct label_expression, values),
	  .check = check_values },
	{ 0 },
};

static const struct message expression_message = {
	.what = "an expression (a map with key, operator and values)",
	.size = sizeof(struct label_expression),
	.fields = expression_fields,
	.whole = true,
	.check = check_expression,
};

static const struct field selector_fields[] = {
	{ "matchLabels", FIELD_KVS, .selects = true,
	  .offset = offsetof(struct label_selector, labels), .check = validate_labels },
	{ "matchExpressions", FIELD_LIST, .offset = offsetof(struct label_selector, expressions),
	  .message = &expression_message },
	{ 0 },
};

static const struct message selector_message = {
	.what = "a selector (a map with matchLabels and matchExpressions)",
	.size = sizeof(struct label_selector),
	.fields = selector_fields,
	.whole = true,
};

/* ---- ipBlock ---- */

/* Of one family, and with more bits. */
static bool is_part(const struct cidr *whole, const struct cidr *part)
{
	return addr_is_v4(&whole->addr) == addr_is_v4(&part->addr) &&
	       part->prefix > whole->prefix && cidr_holds(whole, &part->addr);
}

static void decode_cidr(struct decoder *d, const struct node *value, void *target)
{
	const char *text;

	if (decode_string(d, value, &text))
		decode_subnet(d, value, text, target);
}

static void decode_except(struct decoder *d, const struct node *value, void *target)
{
	struct ip_block *b = target;
	struct strs given = { 0 };

	if (decode_strings(d, value, &given))
		decode_subnets(d, value, &given, &b->except.items, &b->except.count);
}

static void check_block(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct node *list = decode_at(d, self_node, "except");
	const struct ip_block *b = self;
	char at[INDEX_TEXT];

	for (size_t i = 0; i < b->except.count; i++) {
		snprintf(at, sizeof(at), "except[%zu]", i);
		if (!is_part(&b->cidr, &b->except.items[i]))
			decode_expected(d, validate_nth(list, i), at,
					"a subnet within that of cidr, and smaller");
	}
}

static const struct field block_fields[] = {
	{ "cidr", FIELD_CUSTOM, .required = true, .offset = offsetof(struct ip_block, cidr),
	  .decode = decode_cidr },
	{ "except", FIELD_CUSTOM, .decode = decode_except },
	{ 0 },
};

static const struct message block_message = {
	.what = "an ipBlock (a map with cidr and except)",
	.size = sizeof(struct ip_block),
	.fields = block_fields,
	.whole = true,
	.check = check_block,
};

/* ---- rules ---- */

static void check_peer(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct policy_peer *p = self;

	if (!p->pods && !p->namespaces && !p->block)
		decode_error(d, self_node, NULL,
			     "expected podSelector, namespaceSelector or ipBlock, not an empty "
			     "element");
	if (p->block && (p->pods || p->namespaces))
		decode_error(d, decode_at(d, self_node, "ipBlock"), "ipBlock",
			     "expected alone, not beside a selector");
}

static const struct field peer_fields[] = {
	{ "podSelector", FIELD_POINTER, .offset = offsetof(struct policy_peer, pods),
	  .message = &selector_message },
	{ "namespaceSelector", FIELD_POINTER, .offset = offsetof(struct policy_peer, namespaces),
	  .message = &selector_message },
	{ "ipBlock", FIELD_POINTER, .offset = offsetof(struct policy_peer, block),
	  .message = &block_message },
	{ 0 },
};

static const struct message peer_message = {
	.what = "a peer (a map)",
	.size = sizeof(struct policy_peer),
	.fields = peer_fields,
	.whole = true,
	.check = check_peer,
};

/* IANA's service names: a letter among letters, digits and single hyphens, at most 15. */
static bool is_port_name(const char *s)
{
	size_t len = strlen(s);
	bool letter = false;

	if (!len || len > 15 || s[0] == '-' || s[len - 1] == '-' || strstr(s, "--"))
		return false;
	for (; *s; s++) {
		bool is_letter = *s >= 'a' && *s <= 'z';

		if (!is_letter && *s != '-' && (*s < '0' || *s > '9'))
			return false;
		letter |= is_letter;
	}
	return letter;
}

static void decode_port(struct decoder *d, const struct node *value, void *target)
{
	struct policy_port *port = target;
	int64_t number;

	if (node_scalar(value) == SCALAR_INT || node_scalar(value) == SCALAR_FLOAT) {
		if (decode_integer(d, value, 1, UINT16_MAX, &number))
			port->port = (uint16_t)number;
		return;
	}
	if (decode_string(d, value, &port->name) && !is_port_name(port->name))
		decode_expected(d, value, NULL,
				"a number from 1 to 65535, or a port's name (lower-case letters, "
				"digits and '-', at most 15)");
}

static void check_protocol(struct decoder *d, const struct node *value, const void *string)
{
	const char *protocol = *(const char *const *)string;

	if (strcmp(protocol, "TCP") != 0 && strcmp(protocol, "UDP") != 0 &&
	    strcmp(protocol, "SCTP") != 0)
		decode_expected(d, value, NULL, "one of TCP, UDP, SCTP");
}

static void check_port(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct policy_port *p = self;
	const struct node *end = decode_at(d, self_node, "endPort");

	if (p->end_port && !p->port)
		decode_error(d, end, "endPort", "expected beside a port that is a number");
	else if (p->end_port && p->end_port < p->port)
		decode_expected(d, end, "endPort", "a number that is not below port");
}

static void init_port(void *self)
{
	struct policy_port *port = self;

	port->protocol = "TCP";
}

static const struct field port_fields[] = {
	{ "protocol", FIELD_STRING, .offset = offsetof(struct policy_port, protocol),
	  .check = check_protocol },
	{ "port", FIELD_CUSTOM, .decode = decode_port },
	{ "endPort", FIELD_UINT16, .offset = offsetof(struct policy_port, end_port), .min = 1,
	  .max = UINT16_MAX },
	{ 0 },
};

static const struct message port_message = {
	.what = "a port (a map)",
	.size = sizeof(struct policy_port),
	.fields = port_fields,
	.whole = true,
	.init = init_port,
	.check = check_port,
};

static const struct field ingress_fields[] = {
	{ "ports", FIELD_LIST, .offset = offsetof(struct policy_rule, ports), .max = ELEMENTS_MAX,
	  .message = &port_message },
	{ "from", FIELD_LIST, .offset = offsetof(struct policy_rule, peers), .max = ELEMENTS_MAX,
	  .message = &peer_message },
	{ 0 },
};

static const struct message ingress_message = {
	.what = "a rule (a map with from and ports)",
	.size = sizeof(struct policy_rule),
	.fields = ingress_fields,
	.whole = true,
};

static const struct field egress_fields[] = {
	{ "ports", FIELD_LIST, .offset = offsetof(struct policy_rule, ports), .max = ELEMENTS_MAX,
	  .message = &port_message },
	{ "to", FIELD_LIST, .offset = offsetof(struct policy_rule, peers), .max = ELEMENTS_MAX,
	  .message = &peer_message },
	{ 0 },
};

static const struct message egress_message = {
	.what = "a rule (a map with to and ports)",
	.size = sizeof(struct policy_rule),
	.fields = egress_fields,
	.whole = true,
};

/* ---- the whole ---- */

enum { POLICY_TYPES_MAX = 2 };

static void decode_types(struct decoder *d, const struct node *value, void *target)
{
	struct network_policy *p = target;
	struct strs types = { 0 };
	char at[INDEX_TEXT];

	if (!decode_strings(d, value, &types))
		return;
	if (types.count > POLICY_TYPES_MAX)
		decode_error(d, value, NULL, "expected at most two types");
	for (size_t i = 0; i < types.count; i++) {
		bool ingress = !strcmp(types.items[i], "Ingress");

		snprintf(at, sizeof(at), "[%zu]", i);
		if (!ingress && strcmp(types.items[i], "Egress") != 0)
			decode_expected(d, validate_nth(value, i), at, "Ingress or Egress");
		*(ingress ? &p->closes_ingress : &p->closes_egress) = true;
	}
}

static const struct field spec_fields[] = {
	{ "podSelector", FIELD_MESSAGE, .offset = offsetof(struct network_policy, pods),
	  .message = &selector_message },
	{ "policyTypes", FIELD_CUSTOM, .decode = decode_types },
	{ "ingress", FIELD_LIST, .offset = offsetof(struct network_policy, ingress),
	  .max = ELEMENTS_MAX, .message = &ingress_message },
	{ "egress", FIELD_LIST, .offset = offsetof(struct network_policy, egress),
	  .max = ELEMENTS_MAX, .message = &egress_message },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a NetworkPolicy's spec (a map)",
	.size = sizeof(struct network_policy),
	.fields = spec_fields,
	.whole = true,
};

/* Without policyTypes it is about ingress, and about egress if it has such rules. */
static void finish_policy(struct decoder *d, const struct node *self_node, void *self)
{
	struct network_policy *p = &((struct object *)self)->policy;

	(void)d;
	(void)self_node;
	if (p->closes_ingress || p->closes_egress)
		return;
	p->closes_ingress = true;
	p->closes_egress = p->egress.count;
}

static const struct field policy_fields[] = OBJECT_FIELDS(policy, spec_message, false);

const struct message schema_network_policy = {
	.what = "a NetworkPolicy (a map)",
	.size = OBJECT_SIZE(policy),
	.fields = policy_fields,
	.whole = true,
	.finish = finish_policy,
};
