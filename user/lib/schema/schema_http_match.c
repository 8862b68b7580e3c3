/* SPDX-License-Identifier: Apache-2.0 */
/* What a request has to look like for an HTTP route. */
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/schema_http.h"
#include "lib/schema/validate.h"

/* ---- one value ---- */

static void decode_kind(struct decoder *d, const struct node *value, struct string_match *match,
			enum match_type type)
{
	const char *s;

	if (!decode_string(d, value, &s))
		return;
	if (match->type != MATCH_NONE) {
		decode_error(d, value, NULL,
			     "expected one of exact, prefix and regex, not several");
		return;
	}
	match->type = type;
	match->value = s;
}

static void decode_exact(struct decoder *d, const struct node *value, void *target)
{
	decode_kind(d, value, target, MATCH_EXACT);
}

static void decode_prefix(struct decoder *d, const struct node *value, void *target)
{
	decode_kind(d, value, target, MATCH_PREFIX);
}

static void decode_regex(struct decoder *d, const struct node *value, void *target)
{
	decode_kind(d, value, target, MATCH_REGEX);
}

static const struct field string_match_fields[] = {
	{ "exact", FIELD_CUSTOM, .shape = SHAPE_STRING, .decode = decode_exact },
	{ "prefix", FIELD_CUSTOM, .shape = SHAPE_STRING, .decode = decode_prefix },
	{ "regex", FIELD_CUSTOM, .shape = SHAPE_STRING, .decode = decode_regex },
	{ 0 },
};

static void finish_string_match(struct decoder *d, const struct node *self_node, void *self)
{
	struct string_match *match = self;

	(void)d;
	(void)self_node;
	if (match->type == MATCH_NONE)
		match->type = MATCH_PRESENT;
}

static void check_regex(struct decoder *d, const struct node *node,
			const struct string_match *match)
{
	const char *problem;

	if (match->type != MATCH_REGEX)
		return;
	problem = *match->value ? regex_problem(match->value) : "it is empty";
	if (problem)
		decode_error(d, decode_at(d, node, "regex"), "regex",
			     "expected a regular expression (RE2), not \"%.64s\": %s", match->value,
			     problem);
}

static void check_string_match(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct string_match *match = self;

	if (match->type == MATCH_PREFIX && !*match->value)
		decode_expected(d, decode_at(d, self_node, "prefix"), "prefix",
				"at least one character");
	check_regex(d, self_node, match);
}

const struct message schema_http_string_match = {
	.what = "a map with exact, prefix or regex",
	.one_of = true,
	.size = sizeof(struct string_match),
	.fields = string_match_fields,
	.pos_at = AT(struct string_match, pos),
	.finish = finish_string_match,
	.check = check_string_match,
};

/* Every path has the empty prefix: for a uri it says "any". */
static void check_uri(struct decoder *d, const struct node *self_node, const void *self)
{
	check_regex(d, self_node, self);
}

static const struct message uri_message = {
	.what = "a map with exact, prefix or regex",
	.one_of = true,
	.size = sizeof(struct string_match),
	.fields = string_match_fields,
	.pos_at = AT(struct string_match, pos),
	.finish = finish_string_match,
	.check = check_uri,
};

/* ---- headers and parameters: a map from name to match ---- */

static const struct field named_fields[] = {
	{ "exact", FIELD_CUSTOM, .offset = offsetof(struct named_match, match),
	  .shape = SHAPE_STRING, .decode = decode_exact },
	{ "prefix", FIELD_CUSTOM, .offset = offsetof(struct named_match, match),
	  .shape = SHAPE_STRING, .decode = decode_prefix },
	{ "regex", FIELD_CUSTOM, .offset = offsetof(struct named_match, match),
	  .shape = SHAPE_STRING, .decode = decode_regex },
	{ 0 },
};

static void finish_named(struct decoder *d, const struct node *self_node, void *self)
{
	struct named_match *named = self;

	finish_string_match(d, self_node, &named->match);
}

static void finish_without(struct decoder *d, const struct node *self_node, void *self)
{
	struct named_match *named = self;

	if (named->match.type == MATCH_REGEX && !strcmp(named->match.value, "*"))
		named->match.type = MATCH_PRESENT;
	finish_named(d, self_node, self);
}

static bool is_pseudo_header(const char *name)
{
	static const char *const names[] = { ":method", ":scheme", ":authority", ":path",
					     ":status" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void check_header(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct named_match *named = self;

	if (*named->name == '@')
		decode_refuse(d, self_node, REFUSED_JWT_CLAIMS);
	else if (!valid_header_name(named->name) ||
		 (*named->name == ':' && !d->kept && !is_pseudo_header(named->name)))
		decode_error(d, self_node, NULL, "expected a header's name, not \"%.64s\"",
			     named->name);
	check_string_match(d, self_node, &named->match);
}

static void check_parameter(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct named_match *named = self;

	check_string_match(d, self_node, &named->match);
}

static const struct message header_message = {
	.what = "a map with exact, prefix or regex",
	.one_of = true,
	.size = sizeof(struct named_match),
	.fields = named_fields,
	.pos_at = AT(struct named_match, match.pos),
	.finish = finish_named,
	.check = check_header,
};

static const struct message without_message = {
	.what = "a map with exact, prefix or regex",
	.one_of = true,
	.size = sizeof(struct named_match),
	.fields = named_fields,
	.null_ok = true,
	.pos_at = AT(struct named_match, match.pos),
	.finish = finish_without,
	.check = check_header,
};

static const struct message parameter_message = {
	.what = "a map with exact, prefix or regex",
	.one_of = true,
	.size = sizeof(struct named_match),
	.fields = named_fields,
	.null_ok = true,
	.pos_at = AT(struct named_match, match.pos),
	.finish = finish_named,
	.check = check_parameter,
};

/* ---- the whole ---- */

static const struct field match_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct http_match, name) },
	{ "uri", FIELD_MESSAGE, .offset = offsetof(struct http_match, uri),
	  .message = &uri_message },
	{ "scheme", FIELD_MESSAGE, .offset = offsetof(struct http_match, scheme),
	  .message = &schema_http_string_match },
	{ "method", FIELD_MESSAGE, .offset = offsetof(struct http_match, method),
	  .message = &schema_http_string_match },
	{ "authority", FIELD_MESSAGE, .offset = offsetof(struct http_match, authority),
	  .message = &schema_http_string_match },
	{ "headers", FIELD_MAP, .offset = offsetof(struct http_match, headers),
	  .message = &header_message },
	{ "withoutHeaders", FIELD_MAP, .offset = offsetof(struct http_match, without_headers),
	  .message = &without_message },
	{ "queryParams", FIELD_MAP, .offset = offsetof(struct http_match, query_params),
	  .message = &parameter_message },
	{ "port", FIELD_UINT16, .offset = offsetof(struct http_match, port), .max = 65535 },
	{ "sourceLabels", FIELD_FULL_KVS, .selects = true,
	  .offset = offsetof(struct http_match, source_labels), .check = validate_labels,
	  .pattern = CRD_LABEL_VALUE },
	{ "gateways", FIELD_STRINGS, .offset = offsetof(struct http_match, gateways),
	  .check = validate_gateway_refs, .pattern = CRD_GATEWAY_REF },
	{ "sourceNamespace", FIELD_STRING, .offset = offsetof(struct http_match, source_namespace),
	  .check = validate_namespace },
	{ "ignoreUriCase", FIELD_BOOL, .offset = offsetof(struct http_match, ignore_uri_case) },
	{ .name = "statPrefix",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_STAT_PREFIX },
	{ 0 },
};

const struct message schema_http_match = {
	.what = "a match (a map)",
	.size = sizeof(struct http_match),
	.fields = match_fields,
	.pos_at = AT(struct http_match, pos),
};
