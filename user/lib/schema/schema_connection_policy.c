/* SPDX-License-Identifier: Apache-2.0 */
/* ConnectionPolicy of weft.dev/v1alpha1: what is let in from outside (docs/connection-policy.md).
 */
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

/* ---- ranges of addresses ---- */

static void decode_range(struct decoder *d, const struct node *value, struct cidr *out)
{
	const char *text;

	if (decode_string(d, value, &text))
		decode_subnet(d, value, text, out);
}

static void decode_ranges(struct decoder *d, const struct node *value, void *target)
{
	const struct node *list = node_target(value);
	struct cidr_list *out = target;
	struct path here = { .up = d->path };

	if (list->type != NODE_LIST) {
		decode_expected(d, value, NULL, "a list of subnets");
		return;
	}
	if (!decode_at_most(d, value, list->count, CONNECTION_POLICY_RANGES))
		return;
	out->items = decode_alloc(d, (list->count + 1) * sizeof(*out->items));
	if (!out->items)
		return;
	d->path = &here;
	for (const struct node *n = list->child; n; n = n->next, here.index++)
		decode_range(d, n, &out->items[here.index]);
	out->count = here.index;
	d->path = here.up;
}

/* It would let no one in, which is hardly what its author meant. */
static void check_allow(struct decoder *d, const struct node *value, const void *target)
{
	if (!((const struct cidr_list *)target)->count)
		decode_error(d, value, NULL, "expected a subnet, or no allow: everyone is let in");
}

/* ---- limits ---- */

static void finish_bucket(struct decoder *d, const struct node *self_node, void *self)
{
	struct token_bucket *b = self;

	(void)d;
	(void)self_node;
	if (!b->burst)
		b->burst = b->rate;
}

static const struct field bucket_fields[] = {
	{ "rate", FIELD_INT32, .required = true, .offset = offsetof(struct token_bucket, rate),
	  .min = 1, .max = CONNECTION_POLICY_RATE },
	{ "burst", FIELD_INT32, .offset = offsetof(struct token_bucket, burst), .min = 1,
	  .max = CONNECTION_POLICY_RATE },
	{ 0 },
};

static const struct message bucket_message = {
	.what = "a limit (a map with rate and burst)",
	.size = sizeof(struct token_bucket),
	.fields = bucket_fields,
	.whole = true,
	.finish = finish_bucket,
};

static const struct field new_connections_fields[] = {
	{ "perSource", FIELD_MESSAGE, .offset = offsetof(struct connection_limits, per_source),
	  .message = &bucket_message },
	{ "total", FIELD_MESSAGE, .offset = offsetof(struct connection_limits, total),
	  .message = &bucket_message },
	{ 0 },
};

static const struct message new_connections_message = {
	.what = "limits (a map with perSource and total)",
	.size = sizeof(struct connection_limits),
	.fields = new_connections_fields,
	.whole = true,
};

/* ---- SYN cookies ---- */

static void init_cookies(void *self)
{
	((struct cookie_policy *)self)->mode = SYN_COOKIES_AUTO;
}

static void check_cookies(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct cookie_policy *c = self;

	if (c->threshold && c->mode != SYN_COOKIES_AUTO)
		decode_error(d, decode_at(d, self_node, "threshold"), "threshold",
			     "expected beside the mode Auto alone");
}

static const struct word cookie_modes[] = {
	{ "Auto", SYN_COOKIES_AUTO },
	{ "Always", SYN_COOKIES_ALWAYS },
	{ "Never", SYN_COOKIES_OFF }, /* "Off" is a truth value to YAML */
	{ 0 },
};

static const struct cel cel_threshold[] = {
	{ "!has(self.threshold) || !has(self.mode) || self.mode == 'Auto'",
	  "threshold: expected beside the mode Auto alone", REFUSED_NOTHING },
	{ 0 },
};

static const struct field cookies_fields[] = {
	{ "mode", FIELD_ENUM, .offset = offsetof(struct cookie_policy, mode),
	  .words = cookie_modes },
	{ "threshold", FIELD_INT32, .offset = offsetof(struct cookie_policy, threshold), .min = 1,
	  .max = CONNECTION_POLICY_RATE },
	{ 0 },
};

static const struct message cookies_message = {
	.what = "a map with mode and threshold",
	.size = sizeof(struct cookie_policy),
	.fields = cookies_fields,
	.whole = true,
	.given_at = AT(struct cookie_policy, given),
	.cel = cel_threshold,
	.init = init_cookies,
	.check = check_cookies,
};

/* ---- ports ---- */

static bool has_port(const struct connection_policy *p, int64_t port)
{
	for (size_t i = 0; i < p->ports.count; i++)
		if (p->ports.items[i] == port)
			return true;
	return false;
}

static void take_port(struct decoder *d, const struct node *value, struct connection_policy *p)
{
	int64_t port;

	if (!decode_integer(d, value, 1, UINT16_MAX, &port))
		return;
	if (has_port(p, port))
		decode_error(d, value, NULL, "is there twice");
	else
		p->ports.items[p->ports.count++] = (uint16_t)port;
}

static void decode_ports(struct decoder *d, const struct node *value, void *target)
{
	const struct node *list = node_target(value);
	struct path here = { .up = d->path };

	if (list->type != NODE_LIST) {
		decode_expected(d, value, NULL, "a list of ports");
		return;
	}
	if (!list->count)
		decode_error(d, value, NULL, "expected a port, or no ports: all of them are meant");
	if (!decode_at_most(d, value, list->count, CONNECTION_POLICY_PORTS))
		return;
	d->path = &here;
	for (const struct node *n = list->child; n; n = n->next, here.index++)
		take_port(d, n, target);
	d->path = here.up;
}

/* ---- the whole ---- */

/* What the API server lets through and decode_subnet() does not would be found out too late: only
 * some that have too many colons, or too few, are left. */
#define CRD_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define CRD_IP4 "(" CRD_BYTE "[.]){3}" CRD_BYTE
#define CRD_IP6 ":?([0-9A-Fa-f]{0,4}:){2,7}([0-9A-Fa-f]{0,4}|:|" CRD_IP4 ")"
#define CRD_SUBNET \
	"^(" CRD_IP4 "/(3[0-2]|[12]?[0-9])|" CRD_IP6 "/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"

static const struct cel cel_any[] = {
	{ "size(self) > 0", "expected an element, or none of it", REFUSED_NOTHING },
	{ 0 },
};

static const struct field spec_fields[] = {
	{ "allow", FIELD_CUSTOM, .shape = SHAPE_STRINGS, .max = CONNECTION_POLICY_RANGES,
	  .offset = offsetof(struct connection_policy, allow), .pattern = CRD_SUBNET,
	  .cel = cel_any, .decode = decode_ranges, .check = check_allow },
	{ "deny", FIELD_CUSTOM, .shape = SHAPE_STRINGS, .max = CONNECTION_POLICY_RANGES,
	  .offset = offsetof(struct connection_policy, deny), .pattern = CRD_SUBNET,
	  .decode = decode_ranges },
	{ "newConnections", FIELD_MESSAGE,
	  .offset = offsetof(struct connection_policy, new_connections),
	  .message = &new_connections_message },
	{ "synCookies", FIELD_MESSAGE, .offset = offsetof(struct connection_policy, cookies),
	  .message = &cookies_message },
	{ "ports", FIELD_CUSTOM, .shape = SHAPE_PORTS, .max = CONNECTION_POLICY_PORTS,
	  .cel = cel_any, .decode = decode_ports },
	{ 0 },
};

/* A policy that says nothing of SYN cookies sends none. */
static void finish_spec(struct decoder *d, const struct node *self_node, void *self)
{
	struct connection_policy *p = self;

	(void)d;
	(void)self_node;
	if (!p->cookies.given)
		p->cookies.mode = SYN_COOKIES_OFF;
	else if (p->cookies.mode == SYN_COOKIES_AUTO && !p->cookies.threshold)
		p->cookies.threshold = CONNECTION_POLICY_THRESHOLD;
}

static const struct message spec_message = {
	.what = "a ConnectionPolicy's spec (a map)",
	.size = sizeof(struct connection_policy),
	.fields = spec_fields,
	.whole = true,
	.finish = finish_spec,
};

static void check_name(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct node *meta = decode_at(d, self_node, "metadata");
	const char *name = ((const struct object *)self)->meta.name;

	if (name && strcmp(name, CONNECTION_POLICY_NAME) != 0)
		decode_error(d, decode_at(d, meta, "name"), "metadata.name",
			     "expected \"" CONNECTION_POLICY_NAME
			     "\", not \"%s\": there is one ConnectionPolicy",
			     name);
}

static const struct field policy_fields[] = OBJECT_FIELDS(protection, spec_message, true);

const struct message schema_connection_policy = {
	.what = "a ConnectionPolicy (a map)",
	.size = OBJECT_SIZE(protection),
	.fields = policy_fields,
	.whole = true,
	.check = check_name,
};
