// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies -> rows.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/authz/authz.h"
#include "lib/base/cleanup.h"

/* While a policy is written. */
struct writer {
	struct authz_rows *r;
	const struct object *o;
	bool nomem, http, wrong;
};

const char *authz_action_name(int action)
{
	static const char *const names[] = { [AUTHZ_ALLOW] = "ALLOW",
					     [AUTHZ_DENY] = "DENY",
					     [AUTHZ_AUDIT] = "AUDIT",
					     [AUTHZ_CUSTOM] = "CUSTOM" };

	return names[action];
}

/* ---- what conditions are about ---- */

#define HEADER_KEY "request.headers["

enum authz_attribute authz_condition_attribute(const char *key)
{
	static const struct {
		const char *key;
		enum authz_attribute attribute;
	} keys[] = {
		{ "source.ip", AUTHZ_SOURCE_IP },
		{ "remote.ip", AUTHZ_REMOTE_IP },
		{ "source.namespace", AUTHZ_NAMESPACE },
		{ "source.principal", AUTHZ_PRINCIPAL },
		{ "source.serviceAccount", AUTHZ_SERVICE_ACCOUNT },
		{ "destination.ip", AUTHZ_DESTINATION_IP },
		{ "destination.port", AUTHZ_DESTINATION_PORT },
	};
	size_t len = strlen(key), begin = strlen(HEADER_KEY);

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(key, keys[i].key))
			return keys[i].attribute;
	if (len > begin + 1 && !strncmp(key, HEADER_KEY, begin) && key[len - 1] == ']')
		return AUTHZ_HEADER;
	return AUTHZ_ATTRIBUTES;
}

static bool operation_is_of_requests(const struct authz_operation *o)
{
	const struct authz_values *all[] = { &o->hosts, &o->methods, &o->paths };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i]->yes.count || all[i]->no.count)
			return true;
	return false;
}

static bool rule_is_of_requests(const struct authz_rule *r)
{
	for (size_t i = 0; i < r->to.count; i++)
		if (operation_is_of_requests(&r->to.items[i]))
			return true;
	for (size_t i = 0; i < r->when.count; i++)
		if (authz_condition_attribute(r->when.items[i].key) >= AUTHZ_HOST)
			return true;
	return false;
}

bool authz_speaks_of_requests(const struct authorization_policy *p)
{
	for (size_t i = 0; i < p->rules.count; i++)
		if (rule_is_of_requests(&p->rules.items[i]))
			return true;
	return false;
}

/* ---- values ---- */

int authz_rows_put(struct authz_rows *r, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char *slot = table_push(&r->bytes);

		if (!slot)
			return -ENOMEM;
		*slot = text[i];
	}
	return 0;
}

static struct authz_str put_bytes(struct writer *w, const char *text, size_t len)
{
	struct authz_str s = { w->r->bytes.count, len };

	if (!authz_rows_put(w->r, text, len))
		return s;
	w->nomem = true;
	return (struct authz_str){ 0, 0 };
}

/* "*", "*x", "x*", "x": with Istio's other wildcards only where Istio has them. */
static void write_text(struct writer *w, const char *text, bool anywhere, struct authz_value *out)
{
	size_t len = strlen(text), skip = 0;
	const char *star = strchr(text, '*');

	out->match = AUTHZ_EXACT;
	if (!strcmp(text, "*")) {
		out->match = AUTHZ_PRESENT;
	} else if (anywhere && star && star != text && star[1]) {
		out->match = AUTHZ_GLOB;
	} else if (*text == '*') {
		out->match = anywhere && strchr(text + 1, '*') ? AUTHZ_GLOB : AUTHZ_SUFFIX;
		skip = out->match == AUTHZ_SUFFIX;
	} else if (len && text[len - 1] == '*') {
		out->match = AUTHZ_PREFIX;
		len--;
	}
	out->text = put_bytes(w, text + skip, len - skip);
}

static void write_path(struct writer *w, const char *text, struct authz_value *out)
{
	if (!strstr(text, "{*}") && !strstr(text, "{**}")) {
		write_text(w, text, false, out);
		return;
	}
	out->match = AUTHZ_TEMPLATE;
	out->text = put_bytes(w, text, strlen(text));
}

/* A name alone is of the policy's namespace. */
static void write_account(struct writer *w, const char *text, struct authz_value *out)
{
	const char *ns = w->o->meta.namespace;

	out->match = AUTHZ_EXACT;
	if (strchr(text, '/')) {
		out->text = put_bytes(w, text, strlen(text));
		return;
	}
	out->text = put_bytes(w, ns, strlen(ns));
	put_bytes(w, "/", 1);
	put_bytes(w, text, strlen(text));
	out->text.len += 1 + strlen(text);
}

enum { V4_BITS = 96 };

bool authz_subnet(const char *text, struct cidr *out)
{
	bool ok = strchr(text, '/') ? cidr_parse_subnet(text, out) : cidr_parse(text, out);

	return ok && (!addr_is_v4(&out->addr) || out->prefix >= V4_BITS);
}

static void write_subnet(struct writer *w, const char *text, struct authz_value *out)
{
	struct cidr subnet;

	out->match = AUTHZ_SUBNET;
	if (!authz_subnet(text, &subnet)) {
		w->wrong = true;
		return;
	}
	out->addr = subnet.addr;
	out->number = subnet.prefix;
}

static void write_value(struct writer *w, enum authz_attribute attribute, const char *text)
{
	struct authz_value *slot, value = { .match = AUTHZ_NUMBER };

	switch (attribute) {
	case AUTHZ_SERVICE_ACCOUNT:
		write_account(w, text, &value);
		break;
	case AUTHZ_SOURCE_IP:
	case AUTHZ_REMOTE_IP:
	case AUTHZ_DESTINATION_IP:
		write_subnet(w, text, &value);
		break;
	case AUTHZ_DESTINATION_PORT:
		value.number = (__u32)strtoul(text, NULL, 10);
		break;
	case AUTHZ_PATH:
		write_path(w, text, &value);
		break;
	default:
		write_text(w, text, attribute == AUTHZ_NAMESPACE, &value);
		/* Of requests "*" is all that is there, empty or not. */
		if (attribute >= AUTHZ_HOST && value.match == AUTHZ_PRESENT)
			value = (struct authz_value){ .match = AUTHZ_PREFIX };
	}
	slot = table_push(&w->r->values);
	w->nomem |= !slot;
	if (slot)
		*slot = value;
}

static struct authz_range write_values(struct writer *w, enum authz_attribute attribute,
				       const struct strs *values)
{
	struct authz_range range = { w->r->values.count, values->count };

	for (size_t i = 0; i < values->count; i++)
		write_value(w, attribute, values->items[i]);
	return range;
}

/* ---- clauses ---- */

static void write_clause(struct writer *w, enum authz_attribute attribute, struct authz_str key,
			 const struct authz_values *values)
{
	struct authz_clause clause = { .attribute = attribute, .key = key };
	struct authz_clause *slot;

	if (!values->yes.count && !values->no.count)
		return;
	w->http |= attribute >= AUTHZ_HOST;
	clause.yes = write_values(w, attribute, &values->yes);
	clause.no = write_values(w, attribute, &values->no);
	slot = table_push(&w->r->clauses);
	w->nomem |= !slot;
	if (slot)
		*slot = clause;
}

static void close_alternative(struct writer *w, __u32 first)
{
	struct authz_alternative *slot = table_push(&w->r->alternatives);

	w->nomem |= !slot;
	if (slot)
		slot->clauses = (struct authz_range){ first, w->r->clauses.count - first };
}

static void write_source(struct writer *w, const struct authz_source *s)
{
	const struct authz_str none = { 0, 0 };
	__u32 first = w->r->clauses.count;

	write_clause(w, AUTHZ_PRINCIPAL, none, &s->principals);
	write_clause(w, AUTHZ_NAMESPACE, none, &s->namespaces);
	write_clause(w, AUTHZ_SERVICE_ACCOUNT, none, &s->service_accounts);
	write_clause(w, AUTHZ_SOURCE_IP, none, &s->ip_blocks);
	write_clause(w, AUTHZ_REMOTE_IP, none, &s->remote_ip_blocks);
	close_alternative(w, first);
}

static void write_operation(struct writer *w, const struct authz_operation *o)
{
	const struct authz_str none = { 0, 0 };
	__u32 first = w->r->clauses.count;

	write_clause(w, AUTHZ_HOST, none, &o->hosts);
	write_clause(w, AUTHZ_DESTINATION_PORT, none, &o->ports);
	write_clause(w, AUTHZ_METHOD, none, &o->methods);
	write_clause(w, AUTHZ_PATH, none, &o->paths);
	close_alternative(w, first);
}

static void write_condition(struct writer *w, const struct authz_condition *c)
{
	enum authz_attribute attribute = authz_condition_attribute(c->key);
	struct authz_str key = { 0, 0 };

	if (attribute == AUTHZ_HEADER) {
		const char *name = c->key + strlen(HEADER_KEY);

		key = put_bytes(w, name, strlen(name) - 1);
		for (__u32 i = 0; i < key.len; i++)
			w->r->bytes.items[key.at + i] =
				(char)tolower((unsigned char)w->r->bytes.items[key.at + i]);
	}
	write_clause(w, attribute, key, &c->values);
}

/* ---- rules and policies ---- */

static void write_rule(struct writer *w, const struct authz_rule *from)
{
	struct authz_rule_row row = { .from = { w->r->alternatives.count, from->from.count } };
	struct authz_rule_row *slot;

	w->http = false;
	for (size_t i = 0; i < from->from.count; i++)
		write_source(w, &from->from.items[i]);
	row.to = (struct authz_range){ w->r->alternatives.count, from->to.count };
	for (size_t i = 0; i < from->to.count; i++)
		write_operation(w, &from->to.items[i]);
	row.when.first = w->r->clauses.count;
	for (size_t i = 0; i < from->when.count; i++)
		write_condition(w, &from->when.items[i]);
	row.when.count = w->r->clauses.count - row.when.first;
	row.http = w->http;
	slot = table_push(&w->r->rules);
	w->nomem |= !slot;
	if (slot)
		*slot = row;
}

static int write_policy(struct authz_rows *r, const struct object *o)
{
	struct writer w = { .r = r, .o = o };
	struct authz_policy row = { .action = (__u32)o->authz.action }, *slot;

	row.ns = put_bytes(&w, o->meta.namespace, strlen(o->meta.namespace));
	row.name = put_bytes(&w, o->meta.name, strlen(o->meta.name));
	row.rules = (struct authz_range){ r->rules.count, o->authz.rules.count };
	for (size_t i = 0; i < o->authz.rules.count; i++)
		write_rule(&w, &o->authz.rules.items[i]);
	slot = table_push(&r->policies);
	if (slot)
		*slot = row;
	if (!slot || w.nomem)
		return -ENOMEM;
	return w.wrong ? -EINVAL : 0;
}

/* ---- PeerAuthentications ---- */

enum {
	PORT_TEXT = 6,	 /* room for "65535" */
	STRICT_MOST = 2, /* policies of a set that PeerAuthentications make */
};

/* The ports that it lists: those that are STRICT, or all. */
static void list_ports(const struct object *policy, bool strict, struct strs *out,
		       char (*texts)[PORT_TEXT])
{
	for (size_t i = 0; i < policy->peer.ports.count; i++) {
		const struct port_mtls *p = &policy->peer.ports.items[i];

		if (strict ? p->mode != MTLS_STRICT : p->mode == MTLS_UNSET)
			continue;
		snprintf(texts[out->count], PORT_TEXT, "%u", p->port);
		out->items[out->count] = texts[out->count];
		out->count++;
	}
}

static int add_denial(struct authz_rows *r, const struct object *by, const struct authz_rule *rule)
{
	struct writer w = { .r = r, .o = by };
	struct authz_policy row = { .action = AUTHZ_DENY, .plaintext = true }, *slot;

	row.ns = put_bytes(&w, by->meta.namespace, strlen(by->meta.namespace));
	row.name = put_bytes(&w, by->meta.name, strlen(by->meta.name));
	row.rules = (struct authz_range){ r->rules.count, 1 };
	write_rule(&w, rule);
	slot = table_push(&r->policies);
	if (slot)
		*slot = row;
	return slot && !w.nomem ? 0 : -ENOMEM;
}

/* It denies who has no principal: at the ports of s->ports that are STRICT, or, where s->by is
 * given, at those that s->ports does not list. */
static int write_strict(struct authz_rows *r, const struct authz_strict *s)
{
	size_t count = s->ports ? s->ports->peer.ports.count : 0;
	_cleanup_free_ char(*texts)[PORT_TEXT] = calloc(count + 1, sizeof(*texts));
	_cleanup_free_ const char **items = calloc(count + 1, sizeof(*items));
	const char *any[] = { "*" };
	struct authz_source from = { .principals.no = { .items = any, .count = 1 } };
	struct authz_operation to = { 0 };
	struct strs *ports = s->by ? &to.ports.no : &to.ports.yes;
	struct authz_rule rule = { .from = { &from, 1 }, .to = { &to, 1 } };

	assert(s->by || s->ports);
	if (!texts || !items)
		return -ENOMEM;
	ports->items = items;
	if (s->ports)
		list_ports(s->ports, !s->by, ports, texts);
	if (!ports->count)
		rule.to.count = 0;
	return add_denial(r, s->by ? s->by : s->ports, &rule);
}

/* The policy that it makes, which is new if there is none. */
static int find_strict(struct authz_rows *r, const struct authz_strict *s, struct authz_member *out)
{
	struct authz_strict_row *slot;

	for (size_t i = 0; i < r->strict.count; i++)
		if (r->strict.items[i].strict.by == s->by &&
		    r->strict.items[i].strict.ports == s->ports) {
			out->policy = r->strict.items[i].policy;
			return 0;
		}
	slot = table_push(&r->strict);
	if (!slot)
		return -ENOMEM;
	*slot = (struct authz_strict_row){ *s, r->policies.count };
	out->policy = slot->policy;
	return write_strict(r, s);
}

static bool any_port_is_strict(const struct object *policy)
{
	for (size_t i = 0; policy && i < policy->peer.ports.count; i++)
		if (policy->peer.ports.items[i].mode == MTLS_STRICT)
			return true;
	return false;
}

/* STRICT_MOST of them. */
static int add_strict(struct authz_rows *r, const struct authz_strict *s,
		      struct authz_member *members, size_t *count)
{
	const struct authz_strict ports = { .ports = s->ports };
	int e = 0;

	if (any_port_is_strict(s->ports))
		e = find_strict(r, &ports, &members[(*count)++]);
	if (!e && s->by)
		e = find_strict(r, s, &members[(*count)++]);
	return e;
}

const struct object *authz_rows_object(const struct authz_rows *r, __u32 policy)
{
	if (policy < r->objects.count)
		return r->objects.items[policy];
	for (size_t i = 0; i < r->strict.count; i++) {
		const struct authz_strict *s = &r->strict.items[i].strict;

		if (r->strict.items[i].policy == policy)
			return s->by ? s->by : s->ports;
	}
	return NULL;
}

/* Of an action: see struct authz_set. */
static int turn_of(int action)
{
	static const int turns[] = { [AUTHZ_AUDIT] = 0, [AUTHZ_DENY] = 1, [AUTHZ_ALLOW] = 2 };

	return turns[action];
}

/* By their turn, then by name. */
static int by_turn(const void *a, const void *b)
{
	const struct object *x = *(const struct object *const *)a;
	const struct object *y = *(const struct object *const *)b;
	int r = turn_of(x->authz.action) - turn_of(y->authz.action);

	if (!r)
		r = strcmp(x->meta.namespace, y->meta.namespace);
	return r ? r : strcmp(x->meta.name, y->meta.name);
}

int authz_rows_make(struct authz_rows *r, const struct object *const *objects, size_t count,
		    const char *root)
{
	int e = 0;

	r->root = root;
	for (size_t i = 0; i < count; i++) {
		const struct object **slot;

		if (objects[i]->kind != KIND_AUTHORIZATION_POLICY)
			continue;
		slot = table_push(&r->objects);
		if (!slot)
			return -ENOMEM;
		*slot = objects[i];
	}
	if (r->objects.count)
		qsort(r->objects.items, r->objects.count, sizeof(*r->objects.items), by_turn);
	for (size_t i = 0; i < r->objects.count && !e; i++)
		e = write_policy(r, r->objects.items[i]);
	return e;
}

/* ---- sets ---- */

static const char *label_of(const struct kvs *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (!strcmp(labels->items[i].key, key))
			return labels->items[i].value ? labels->items[i].value : "";
	return NULL;
}

/* Whether it is one that allows, for pods of some labels. */
static bool is_guess(const struct object *policy)
{
	return policy->authz.action == AUTHZ_ALLOW && policy->authz.selector.count;
}

bool authz_selects(const struct object *policy, const char *root, const char *ns,
		   const struct kvs *labels)
{
	const struct kvs *want = &policy->authz.selector;

	if (strcmp(policy->meta.namespace, ns) != 0 && strcmp(policy->meta.namespace, root) != 0)
		return false;
	for (size_t i = 0; labels && i < want->count; i++) {
		const char *value = label_of(labels, want->items[i].key);

		if (!value || strcmp(value, want->items[i].value ? want->items[i].value : "") != 0)
			return false;
	}
	return true;
}

/* A policy that allows nothing, beyond those of `objects`. */
static int add_nothing(struct authz_rows *r, struct authz_member *out)
{
	struct authz_policy *slot;

	if (!r->nothing) {
		slot = table_push(&r->policies);
		if (!slot)
			return -ENOMEM;
		*slot = (struct authz_policy){ .action = AUTHZ_ALLOW };
		r->nothing = r->policies.count;
	}
	out->policy = r->nothing - 1;
	return 0;
}

/* The set whose members are the last ones of the list; known as `key`. */
static int add_set(struct authz_rows *r, const struct authz_member *members, size_t count,
		   __u32 *out)
{
	struct authz_set *set = table_push(&r->sets);
	char *key = pool_copy(&r->pool, (const char *)members, count * sizeof(*members));
	void **at = key ? bytemap_at(&r->by_members, key, count * sizeof(*members)) : NULL;

	if (!set || !at)
		return -ENOMEM;
	*set = (struct authz_set){ .members = { r->members.count, count } };
	for (size_t i = 0; i < count; i++) {
		const struct authz_policy *p = &r->policies.items[members[i].policy];
		struct authz_member *slot = table_push(&r->members);

		set->audits |= p->action == AUTHZ_AUDIT;
		set->authorizes |= p->action != AUTHZ_AUDIT && !p->plaintext;

		if (!slot)
			return -ENOMEM;
		*slot = members[i];
	}
	*at = (void *)(uintptr_t)r->sets.count;
	*out = r->sets.count;
	return 0;
}

int authz_rows_select(struct authz_rows *r, const char *ns, const struct kvs *labels,
		      const struct authz_strict *strict, __u32 *set)
{
	_cleanup_free_ struct authz_member *members =
		calloc(r->objects.count + STRICT_MOST + 1, sizeof(*members));
	bool guessed = false;
	size_t count = 0;

	*set = 0;
	if (!members || add_strict(r, strict, members, &count))
		return -ENOMEM;
	for (__u32 i = 0; i < r->objects.count; i++) {
		if (!authz_selects(r->objects.items[i], r->root, ns, labels))
			continue;
		/* What it allows may be meant for other pods. */
		if (!labels && is_guess(r->objects.items[i]))
			guessed = true;
		else
			members[count++].policy = i;
	}
	if (guessed && add_nothing(r, &members[count++]))
		return -ENOMEM;
	if (!count)
		return 0;
	*set = (__u32)(uintptr_t)bytemap_get(&r->by_members, members, count * sizeof(*members));
	return *set ? 0 : add_set(r, members, count, set);
}

struct authz_view authz_rows_view(const struct authz_rows *r)
{
	return (struct authz_view){
		.sets = r->sets.items,
		.members = r->members.items,
		.policies = r->policies.items,
		.rules = r->rules.items,
		.alternatives = r->alternatives.items,
		.clauses = r->clauses.items,
		.values = r->values.items,
		.bytes = r->bytes.items,
		.set_count = r->sets.count,
		.member_count = r->members.count,
		.policy_count = r->policies.count,
		.rule_count = r->rules.count,
		.alternative_count = r->alternatives.count,
		.clause_count = r->clauses.count,
		.value_count = r->values.count,
		.byte_count = r->bytes.count,
	};
}

void authz_rows_free(struct authz_rows *r)
{
	free(r->sets.items);
	free(r->members.items);
	free(r->policies.items);
	free(r->rules.items);
	free(r->alternatives.items);
	free(r->clauses.items);
	free(r->values.items);
	free(r->bytes.items);
	free(r->objects.items);
	free(r->strict.items);
	bytemap_free(&r->by_members);
	pool_free(r->pool);
	*r = (struct authz_rows){ 0 };
}
