/* SPDX-License-Identifier: Apache-2.0 */
/* AuthorizationPolicy of security.istio.io: what Istio's own validation takes, less what weft
 * refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/authz/apart.h"
#include "lib/authz/authz.h"
#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	INDEX_TEXT = 32, /* room for "[17]" */
	RULES = 256,
	PARTS = 128, /* of from, to and when */
	VALUES = 1024,
	KEY = 256, /* bytes of a condition's key */
};

/* ---- values ---- */

/* What one element of a list has to be: NULL, or what is expected instead. */
typedef const char *(*problem_of)(const char *text);

static void check_each(struct decoder *d, const struct node *value, const struct strs *texts,
		       problem_of problem)
{
	char at[INDEX_TEXT];

	if (!texts->count)
		decode_error(d, value, NULL, "expected at least one element, not an empty list");
	for (size_t i = 0; i < texts->count; i++) {
		const char *wrong = problem(texts->items[i]);

		snprintf(at, sizeof(at), "[%zu]", i);
		if (wrong)
			decode_expected(d, validate_nth(value, i), at, wrong);
	}
}

static const char *text_problem(const char *text)
{
	return *text ? NULL : "a text that is not empty";
}

static const char *subnet_problem(const char *text)
{
	struct cidr subnet;

	return authz_subnet(text, &subnet) ? NULL : "an address, or a subnet such as 10.0.0.0/8";
}

static const char *port_problem(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && port && port <= UINT16_MAX
		       ? NULL
		       : "a port as text, \"1\" to \"65535\"";
}

/* A bare name, or NAMESPACE/NAME: no wildcards. */
static const char *account_problem(const char *text)
{
	static const char expected[] = "the name of a service account, or NAMESPACE/NAME";
	const char *slash = strchr(text, '/');

	if (slash && !valid_dns_label(text, (size_t)(slash - text)))
		return expected;
	return valid_object_name(slash ? slash + 1 : text) ? NULL : expected;
}

static bool is_literal(const char *segment, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "-._~%!$&'()+,;:@=",
			    segment[i]))
			return false;
	return true;
}

/* As Istio's CheckValidPathTemplate(). */
static const char *path_problem(const char *text)
{
	bool template = strstr(text, "{*}") || strstr(text, "{**}"), any = false;
	const char *at = text;

	if (!*text)
		return "a path that is not empty";
	while (*at) {
		size_t len = strcspn(at, "/");
		bool one = len == 3 && !strncmp(at, "{*}", len);
		bool all = len == 4 && !strncmp(at, "{**}", len);

		if ((one || all) && any)
			return "a path whose {**} is its last operator";
		if (!one && !all && (memchr(at, '{', len) || memchr(at, '}', len)))
			return "a path in which {*} and {**} are whole segments, without other { "
			       "and }";
		if (!one && !all && template && !is_literal(at, len))
			return "a path whose segments are {*}, {**} or literal";
		any |= all;
		at += len + (at[len] == '/');
	}
	return NULL;
}

static void check_texts(struct decoder *d, const struct node *value, const void *strs)
{
	check_each(d, value, strs, text_problem);
}

static void check_subnets(struct decoder *d, const struct node *value, const void *strs)
{
	check_each(d, value, strs, subnet_problem);
}

static void check_ports(struct decoder *d, const struct node *value, const void *strs)
{
	check_each(d, value, strs, port_problem);
}

static void check_accounts(struct decoder *d, const struct node *value, const void *strs)
{
	check_each(d, value, strs, account_problem);
}

static void check_paths(struct decoder *d, const struct node *value, const void *strs)
{
	check_each(d, value, strs, path_problem);
}

/* A field, and the one that says the opposite. */
#define BOTH(type, yes_name, no_name, member, how)                                                 \
	{ yes_name, FIELD_STRINGS, .offset = offsetof(struct type, member.yes), .max = VALUES,     \
	  .check = how },                                                                          \
	{                                                                                          \
		no_name, FIELD_STRINGS, .offset = offsetof(struct type, member.no), .max = VALUES, \
					.check = how                                               \
	}

/* ---- from ---- */

static bool says(const struct authz_values *v)
{
	return v->yes.count || v->no.count;
}

static void check_source(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct authz_source *s = self;

	if (!says(&s->principals) && !says(&s->namespaces) && !says(&s->service_accounts) &&
	    !says(&s->ip_blocks) && !says(&s->remote_ip_blocks))
		decode_error(d, self_node, NULL,
			     "expected a field, such as principals, not an empty source");
	if (s->service_accounts.yes.count && (s->namespaces.yes.count || s->principals.yes.count))
		decode_error(d, decode_at(d, self_node, "serviceAccounts"), "serviceAccounts",
			     "expected without principals and namespaces");
}

static const struct field source_fields[] = {
	BOTH(authz_source, "principals", "notPrincipals", principals, check_texts),
	BOTH(authz_source, "namespaces", "notNamespaces", namespaces, check_texts),
	BOTH(authz_source, "serviceAccounts", "notServiceAccounts", service_accounts,
	     check_accounts),
	BOTH(authz_source, "ipBlocks", "notIpBlocks", ip_blocks, check_subnets),
	BOTH(authz_source, "remoteIpBlocks", "notRemoteIpBlocks", remote_ip_blocks, check_subnets),
	{ .name = "requestPrincipals",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_AUTHZ_JWT,
	  .shape = SHAPE_STRINGS },
	{ .name = "notRequestPrincipals",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_AUTHZ_JWT,
	  .shape = SHAPE_STRINGS },
	{ 0 },
};

static const struct message source_message = {
	.what = "a source (a map with principals, namespaces, ipBlocks, ...)",
	.size = sizeof(struct authz_source),
	.fields = source_fields,
	.pos_at = AT(struct authz_source, pos),
	.check = check_source,
};

static const struct field from_fields[] = {
	{ "source", FIELD_MESSAGE, .required = true, .message = &source_message },
	{ 0 },
};

static const struct message from_message = {
	.what = "an element of from (a map with source)",
	.size = sizeof(struct authz_source),
	.fields = from_fields,
};

/* ---- to ---- */

static void check_operation(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct authz_operation *o = self;

	if (!says(&o->hosts) && !says(&o->ports) && !says(&o->methods) && !says(&o->paths))
		decode_error(d, self_node, NULL,
			     "expected a field, such as methods, not an empty operation");
}

static const struct field operation_fields[] = {
	BOTH(authz_operation, "hosts", "notHosts", hosts, check_texts),
	BOTH(authz_operation, "ports", "notPorts", ports, check_ports),
	BOTH(authz_operation, "methods", "notMethods", methods, check_texts),
	BOTH(authz_operation, "paths", "notPaths", paths, check_paths),
	{ 0 },
};

static const struct message operation_message = {
	.what = "an operation (a map with hosts, ports, methods or paths)",
	.size = sizeof(struct authz_operation),
	.fields = operation_fields,
	.pos_at = AT(struct authz_operation, pos),
	.check = check_operation,
};

static const struct field to_fields[] = {
	{ "operation", FIELD_MESSAGE, .required = true, .message = &operation_message },
	{ 0 },
};

static const struct message to_message = {
	.what = "an element of to (a map with operation)",
	.size = sizeof(struct authz_operation),
	.fields = to_fields,
};

/* ---- when ---- */

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static void check_key(struct decoder *d, const struct node *value, const void *string)
{
	const char *key = *(const char *const *)string;

	if (starts(key, "request.auth."))
		decode_refuse_value(d, value, REFUSED_AUTHZ_JWT);
	else if (!strcmp(key, "connection.sni"))
		decode_refuse_value(d, value, REFUSED_AUTHZ_SNI);
	else if (starts(key, "experimental."))
		decode_refuse_value(d, value, REFUSED_AUTHZ_EXPERIMENTAL);
	else if (authz_condition_attribute(key) == AUTHZ_ATTRIBUTES)
		decode_expected(d, value, NULL,
				"a condition's key: request.headers[NAME], source.ip, remote.ip, "
				"source.namespace, source.principal, source.serviceAccount, "
				"destination.ip or destination.port");
}

static problem_of problem_for(const char *key)
{
	switch (authz_condition_attribute(key)) {
	case AUTHZ_SOURCE_IP:
	case AUTHZ_REMOTE_IP:
	case AUTHZ_DESTINATION_IP:
		return subnet_problem;
	case AUTHZ_DESTINATION_PORT:
		return port_problem;
	case AUTHZ_SERVICE_ACCOUNT:
		return account_problem;
	default:
		return text_problem;
	}
}

static void check_condition(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct authz_condition *c = self;
	problem_of problem = problem_for(c->key);

	if (!says(&c->values))
		decode_error(d, self_node, NULL, "expected values or notValues");
	if (c->values.yes.count)
		check_each(d, decode_at(d, self_node, "values"), &c->values.yes, problem);
	if (c->values.no.count)
		check_each(d, decode_at(d, self_node, "notValues"), &c->values.no, problem);
}

static const struct cel cel_key[] = {
	{ .rule = "!self.startsWith('request.auth.')", .refused = REFUSED_AUTHZ_JWT },
	{ .rule = "self != 'connection.sni'", .refused = REFUSED_AUTHZ_SNI },
	{ .rule = "!self.startsWith('experimental.')", .refused = REFUSED_AUTHZ_EXPERIMENTAL },
	{ 0 },
};

static const struct field condition_fields[] = {
	{ "key", FIELD_STRING, .required = true, .offset = offsetof(struct authz_condition, key),
	  .max = KEY, .check = check_key, .cel = cel_key },
	{ "values", FIELD_STRINGS, .offset = offsetof(struct authz_condition, values.yes),
	  .max = VALUES },
	{ "notValues", FIELD_STRINGS, .offset = offsetof(struct authz_condition, values.no),
	  .max = VALUES },
	{ 0 },
};

static const struct message condition_message = {
	.what = "a condition (a map with key, values and notValues)",
	.size = sizeof(struct authz_condition),
	.fields = condition_fields,
	.pos_at = AT(struct authz_condition, pos),
	.check = check_condition,
};

/* ---- rules ---- */

static void check_given(struct decoder *d, const struct node *rule, const char *name, size_t count)
{
	if (!count && decode_given(d, rule, name))
		decode_error(d, decode_at(d, rule, name), name,
			     "expected at least one element, not an empty list");
}

static void check_rule(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct authz_rule *r = self;

	check_given(d, self_node, "from", r->from.count);
	check_given(d, self_node, "to", r->to.count);
	check_given(d, self_node, "when", r->when.count);
}

static const struct field rule_fields[] = {
	{ "from", FIELD_LIST, .offset = offsetof(struct authz_rule, from), .max = PARTS,
	  .message = &from_message },
	{ "to", FIELD_LIST, .offset = offsetof(struct authz_rule, to), .max = PARTS,
	  .message = &to_message },
	{ "when", FIELD_LIST, .offset = offsetof(struct authz_rule, when), .max = PARTS,
	  .message = &condition_message },
	{ 0 },
};

static const struct message rule_message = {
	.what = "a rule (a map with from, to and when)",
	.size = sizeof(struct authz_rule),
	.fields = rule_fields,
	.pos_at = AT(struct authz_rule, pos),
	.check = check_rule,
};

/* ---- the whole ---- */

static void check_action(struct decoder *d, const struct node *value, const void *target)
{
	if (*(const int *)target == AUTHZ_CUSTOM)
		decode_refuse_value(d, value, REFUSED_AUTHZ_CUSTOM);
}

static const struct word actions[] = {
	{ "ALLOW", AUTHZ_ALLOW },
	{ "DENY", AUTHZ_DENY },
	{ "AUDIT", AUTHZ_AUDIT },
	{ "CUSTOM", AUTHZ_CUSTOM },
	{ 0 },
};

static const struct cel cel_action[] = {
	{ .rule = "self != 'CUSTOM'", .refused = REFUSED_AUTHZ_CUSTOM },
	{ 0 },
};

/* It would never hold, which is hardly what its author meant. */
static void check_spec(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct authorization_policy *p = self;

	if (!p->rules.count && p->action == AUTHZ_DENY)
		decode_error(d, self_node, "rules",
			     "required for the action DENY, but not given: it would never hold "
			     "(rules: [{}] always does)");
	if (!authz_fits(p))
		decode_error(d, self_node, "rules",
			     "expected subnets and ports for at most %d rows of the kernel's "
			     "table, one for each subnet at each port",
			     AUTHZ_ROWS_MOST);
}

static const struct field spec_fields[] = {
	{ "selector", FIELD_MESSAGE, .offset = offsetof(struct authorization_policy, selector),
	  .message = &schema_match_labels },
	{ "action", FIELD_ENUM, .offset = offsetof(struct authorization_policy, action),
	  .words = actions, .check = check_action, .cel = cel_action },
	{ "rules", FIELD_LIST, .offset = offsetof(struct authorization_policy, rules), .max = RULES,
	  .message = &rule_message },
	{ .name = "provider",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_AUTHZ_CUSTOM,
	  .shape = SHAPE_OBJECT },
	{ .name = "targetRef",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_AUTHZ_TARGET,
	  .shape = SHAPE_OBJECT },
	{ .name = "targetRefs",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_AUTHZ_TARGET,
	  .shape = SHAPE_LIST },
	{ 0 },
};

static const struct message spec_message = {
	.what = "an AuthorizationPolicy's spec (a map)",
	.size = sizeof(struct authorization_policy),
	.fields = spec_fields,
	.check = check_spec,
};

static const struct field policy_fields[] = OBJECT_FIELDS(authz, spec_message, false);

const struct message schema_authorization_policy = {
	.what = "an AuthorizationPolicy (a map)",
	.size = sizeof(struct object),
	.fields = policy_fields,
};
