/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "lib/schema/validate.h"

static const char *string_of(const void *target)
{
	return *(const char *const *)target;
}

const struct node *validate_nth(const struct node *list, size_t n)
{
	const struct node *e = node_target(list)->child;

	while (n-- && e)
		e = e->next;
	return e ? e : list;
}

static const char *nth_name(size_t n, char *buf, size_t size)
{
	snprintf(buf, size, "[%zu]", n);
	return buf;
}

/* Hosts are made of a Service's name and its namespace's. */
void validate_object_name(struct decoder *d, const struct node *value, const void *name)
{
	const char *s = string_of(name);

	if (d->object->kind == KIND_SERVICE || d->object->kind == KIND_NAMESPACE) {
		if (!valid_object_label(s))
			decode_expected(d, value, NULL,
					"a name of lower-case letters, digits and '-', at most 63");
	} else if (!valid_object_name(s)) {
		decode_expected(d, value, NULL,
				"a name of lower-case letters, digits, '-' and '.', at most 253");
	}
}

void validate_namespace(struct decoder *d, const struct node *value, const void *name)
{
	const char *s = string_of(name);

	if (*s && !valid_object_label(s))
		decode_expected(d, value, NULL,
				"a namespace (lower-case letters, digits and '-', at most 63)");
}

void validate_ip(struct decoder *d, const struct node *value, const void *string)
{
	if (!valid_ip(string_of(string), NULL))
		decode_expected(d, value, NULL, "an IP address");
}

void validate_labels(struct decoder *d, const struct node *value, const void *target)
{
	const struct kvs *kvs = target;
	const struct node *k = node_target(value)->child;

	if (!decode_count(d, value, kvs->count))
		return;
	for (size_t i = 0; i < kvs->count; i++, k = k->next->next) {
		struct path here = { .up = d->path, .name = kvs->items[i].key, .key = true };

		d->path = &here;
		if (!valid_label_key(kvs->items[i].key))
			decode_expected(d, k, NULL,
					"a label's key ([prefix/]name of at most 63 characters)");
		else if (!valid_label_value(kvs->items[i].value))
			decode_expected(
				d, k->next, NULL,
				"a label's value (letters, digits, '-', '_' and '.', at most 63)");
		d->path = here.up;
	}
}

static const char *gateway_ref_problem(const char *s)
{
	const char *slash = strchr(s, '/');

	if (!slash)
		return valid_dns_name(s) ? NULL : "a gateway as NAME or NAMESPACE/NAME";
	if (!valid_dns_label(s, (size_t)(slash - s)) && strncmp(s, "./", 2) != 0)
		return "a namespace before the slash (NAMESPACE/NAME)";
	return valid_dns_label_s(slash + 1) ? NULL
					    : "a gateway's name behind the slash (NAMESPACE/NAME)";
}

void validate_gateway_refs(struct decoder *d, const struct node *value, const void *strs)
{
	const struct strs *gateways = strs;
	char name[32];

	for (size_t i = 0; i < gateways->count; i++) {
		const char *problem = gateway_ref_problem(gateways->items[i]);

		if (problem)
			decode_expected(d, validate_nth(value, i), nth_name(i, name, sizeof(name)),
					problem);
	}
}

/* The namespace that an exportTo entry stands for. */
static const char *exported_to(const struct decoder *d, const char *entry)
{
	const char *own = d->object->meta.namespace;

	return !strcmp(entry, ".") && own ? own : entry;
}

static void check_export(struct decoder *d, const struct node *value, const struct strs *to,
			 size_t i)
{
	const struct node *at = validate_nth(value, i);
	const char *entry = to->items[i];
	char name[32];

	nth_name(i, name, sizeof(name));
	if (!strcmp(entry, "~"))
		decode_error(d, at, name,
			     "expected a namespace, \".\" or \"*\", not \"~\", which only services "
			     "can have");
	else if (strcmp(entry, ".") != 0 && strcmp(entry, "*") != 0 && !valid_dns_label_s(entry))
		decode_expected(d, at, name, "a namespace, \".\" or \"*\"");
	else if (!strcmp(entry, "*") && to->count > 1)
		decode_error(d, at, name, "expected \"*\" alone, not beside other namespaces");
	for (size_t j = 0; j < i; j++)
		if (!strcmp(exported_to(d, to->items[j]), exported_to(d, entry)))
			decode_expected(d, at, name, "each namespace once");
}

void validate_export_to(struct decoder *d, const struct node *value, const void *strs)
{
	const struct strs *to = strs;

	for (size_t i = 0; i < to->count; i++)
		check_export(d, value, to, i);
}

const struct cel cel_export_to[] = {
	{ .rule = "self.size() < 2 || !self.exists(n, n == '*')",
	  .message = "expected \"*\" alone, not beside other namespaces" },
	{ .rule = "!self.exists(n, n == '~')",
	  .message =
		  "expected a namespace, \".\" or \"*\", not \"~\", which only services can have" },
	{ 0 },
};

/* Several destinations share by weight, and all zero is no share. */
const struct cel cel_weights[] = {
	{ .rule = "self.size() < 2 || self.exists(d, has(d.weight) && d.weight > 0)",
	  .message = "expected weights that add up to more than 0" },
	{ 0 },
};

void validate_subset_name(struct decoder *d, const struct node *value, const void *string)
{
	if (*string_of(string) && !valid_dns_label_s(string_of(string)))
		decode_expected(d, value, NULL,
				"a subset's name (letters, digits and '-', at most 63)");
}

void validate_destination_host(struct decoder *d, const struct node *value, const void *string)
{
	const char *problem = host_problem(string_of(string));

	if (!strcmp(string_of(string), "*"))
		problem = "the host of a service";
	if (problem)
		decode_expected(d, value, NULL, problem);
}

void validate_rule_host(struct decoder *d, const struct node *value, const void *string)
{
	const char *problem = host_problem(string_of(string));

	if (problem)
		decode_expected(d, value, NULL, problem);
}

void validate_header_names(struct decoder *d, const struct node *value, const void *strs)
{
	const struct strs *names = strs;
	char name[32];

	for (size_t i = 0; i < names->count; i++)
		if (!valid_header_name(names->items[i]))
			decode_expected(d, validate_nth(value, i), nth_name(i, name, sizeof(name)),
					"a header's name");
}

/* ---- subnets ---- */

bool valid_subnet(const char *text, struct cidr *out)
{
	return cidr_parse_subnet(text, out);
}

bool decode_subnet(struct decoder *d, const struct node *value, const char *text, struct cidr *out)
{
	if (valid_subnet(text, out))
		return true;
	decode_expected(d, value, NULL, "a subnet like 10.0.0.0/8 or fd00::/8");
	return false;
}

void decode_subnets(struct decoder *d, const struct node *value, const struct strs *given,
		    struct cidr **items, size_t *count)
{
	struct path here = { .up = d->path };

	*items = decode_alloc(d, given->count * sizeof(**items));
	if (!*items)
		return;
	*count = given->count;
	d->path = &here;
	for (; here.index < given->count; here.index++)
		decode_subnet(d, validate_nth(value, here.index), given->items[here.index],
			      &(*items)[here.index]);
	d->path = here.up;
}
