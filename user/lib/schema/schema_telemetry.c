/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry of telemetry.istio.io: what Istio's own validation takes, less what weft refuses. */
#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum {
	RULES = 64,	/* of tracing */
	PROVIDERS = 16, /* of one of them */
};

static void check_given(struct decoder *d, const struct node *value, const void *string)
{
	if (!**(const char *const *)string)
		decode_expected(d, value, NULL, "a text that is not empty");
}

static const struct cel cel_given[] = {
	{ .rule = "self != ''", .message = "expected a text that is not empty" },
	{ 0 },
};

/* ---- providers ---- */

static const struct field provider_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = 0, .max = TRACING_TEXT_MAX,
	  .check = check_given, .cel = cel_given },
	{ 0 },
};

static const struct message provider_message = {
	.what = "a provider (a map with name)",
	.size = sizeof(const char *),
	.fields = provider_fields,
};

/* There is one destination of spans, whatever it is called. */
static void decode_providers(struct decoder *d, const struct node *value, void *target)
{
	void *names = NULL;
	size_t count = 0;

	if (!decode_list(d, value, &provider_message, &names, &count, false))
		return;
	if (count > 1)
		decode_refuse(d, value, REFUSED_TRACING_PROVIDERS);
	else if (count)
		*(const char **)target = *(const char **)names;
}

static const struct cel cel_providers[] = {
	{ .rule = "self.size() <= 1", .refused = REFUSED_TRACING_PROVIDERS },
	{ 0 },
};

/* ---- whose spans ---- */

static const struct word modes[] = {
	{ "CLIENT_AND_SERVER", TRACING_BOTH },
	{ "CLIENT", TRACING_CLIENT },
	{ "SERVER", TRACING_SERVER },
	{ 0 },
};

static const struct field match_fields[] = {
	{ "mode", FIELD_ENUM, .words = modes },
	{ 0 },
};

static const struct message match_message = {
	.what = "a map with mode",
	.size = sizeof(int),
	.fields = match_fields,
};

/* ---- tags ---- */

static const struct field literal_fields[] = {
	{ "value", FIELD_STRING, .required = true, .offset = offsetof(struct tracing_tag, literal),
	  .max = TRACING_TEXT_MAX, .check = check_given },
	{ 0 },
};

static const struct message literal_message = {
	.what = "a map with value",
	.size = sizeof(struct tracing_tag),
	.fields = literal_fields,
};

static void check_header(struct decoder *d, const struct node *value, const void *string)
{
	const char *name = *(const char *const *)string;

	if (*name == ':' || !valid_header_name(name))
		decode_expected(d, value, NULL, "a header's name");
}

static const struct field header_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct tracing_tag, header),
	  .max = TRACING_TEXT_MAX, .check = check_header },
	{ "defaultValue", FIELD_STRING, .offset = offsetof(struct tracing_tag, default_value),
	  .max = TRACING_TEXT_MAX },
	{ 0 },
};

static const struct message header_message = {
	.what = "a map with name",
	.size = sizeof(struct tracing_tag),
	.fields = header_fields,
};

static const struct field tag_fields[] = {
	{ "literal", FIELD_MESSAGE, .offset = 0, .message = &literal_message },
	{ "header", FIELD_MESSAGE, .offset = 0, .message = &header_message },
	{ .name = "environment",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TRACING_TAG,
	  .shape = SHAPE_OBJECT },
	{ .name = "formatter",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TRACING_TAG,
	  .shape = SHAPE_OBJECT },
	{ 0 },
};

static void check_tag(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct tracing_tag *tag = self;

	if (!*tag->name)
		decode_error(d, self_node, NULL, "expected a tag's name as the key, not \"\"");
	if (!tag->literal == !tag->header)
		decode_error(d, self_node, NULL, "expected either literal or header");
}

static const struct message tag_message = {
	.what = "a tag (a map with literal or header)",
	.size = sizeof(struct tracing_tag),
	.fields = tag_fields,
	.one_of = true,
	.check = check_tag,
};

/* ---- spec.tracing ---- */

/* Each of these is taken as long as it says what is so in any case. */
static void decode_bool_but(struct decoder *d, const struct node *value, bool refused,
			    enum refused what)
{
	bool given;

	if (decode_bool(d, value, &given) && given == refused)
		decode_refuse_value(d, value, what);
}

static void decode_request_id(struct decoder *d, const struct node *value, void *target)
{
	(void)target;
	decode_bool_but(d, value, true, REFUSED_TRACING_REQUEST_ID);
}

static void decode_istio_tags(struct decoder *d, const struct node *value, void *target)
{
	(void)target;
	decode_bool_but(d, value, false, REFUSED_TRACING_ISTIO_TAGS);
}

static void decode_propagation(struct decoder *d, const struct node *value, void *target)
{
	(void)target;
	decode_bool_but(d, value, true, REFUSED_TRACING_PROPAGATION);
}

static const struct cel cel_request_id[] = {
	{ .rule = "!self", .refused = REFUSED_TRACING_REQUEST_ID },
	{ 0 },
};

static const struct cel cel_istio_tags[] = {
	{ .rule = "self", .refused = REFUSED_TRACING_ISTIO_TAGS },
	{ 0 },
};

static const struct cel cel_propagation[] = {
	{ .rule = "!self", .refused = REFUSED_TRACING_PROPAGATION },
	{ 0 },
};

static void init_rule(void *self)
{
	((struct tracing_rule *)self)->modes = TRACING_BOTH;
}

static void check_rule(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct tracing_rule *rule = self;

	if (rule->sampling_given && rule->modes == TRACING_SERVER)
		decode_refuse(d, decode_at(d, self_node, "randomSamplingPercentage"),
			      REFUSED_TRACING_SERVER);
	if (rule->tags.count && rule->modes != TRACING_BOTH)
		decode_refuse(d, decode_at(d, self_node, "customTags"), REFUSED_TRACING_MODE_TAGS);
}

static const struct cel cel_rule[] = {
	{ .rule = "!has(self.randomSamplingPercentage) || !has(self.match) || "
		  "!has(self.match.mode) || self.match.mode != 'SERVER'",
	  .refused = REFUSED_TRACING_SERVER },
	{ .rule = "!has(self.customTags) || self.customTags.size() == 0 || !has(self.match) || "
		  "!has(self.match.mode) || self.match.mode == 'CLIENT_AND_SERVER'",
	  .refused = REFUSED_TRACING_MODE_TAGS },
	{ 0 },
};

static const struct field rule_fields[] = {
	{ "match", FIELD_MESSAGE, .offset = offsetof(struct tracing_rule, modes),
	  .message = &match_message },
	{ "providers", FIELD_CUSTOM, .offset = offsetof(struct tracing_rule, provider),
	  .shape = SHAPE_LIST, .max = PROVIDERS, .message = &provider_message,
	  .decode = decode_providers, .cel = cel_providers },
	{ "randomSamplingPercentage", FIELD_DOUBLE,
	  .offset = offsetof(struct tracing_rule, percentage),
	  .given_at = AT(struct tracing_rule, sampling_given),
	  .pos_at = AT(struct tracing_rule, sampling_pos), .least = 0, .most = 100,
	  .what = "a percentage from 0 to 100" },
	{ "disableSpanReporting", FIELD_BOOL, .offset = offsetof(struct tracing_rule, disabled),
	  .given_at = AT(struct tracing_rule, disabled_given) },
	{ "customTags", FIELD_MAP, .offset = offsetof(struct tracing_rule, tags),
	  .max = TRACING_TAGS_MAX, .message = &tag_message },
	{ "useRequestIdForTraceSampling", FIELD_CUSTOM, .shape = SHAPE_BOOL,
	  .decode = decode_request_id, .cel = cel_request_id },
	{ "enableIstioTags", FIELD_CUSTOM, .shape = SHAPE_BOOL, .decode = decode_istio_tags,
	  .cel = cel_istio_tags },
	{ "disableContextPropagation", FIELD_CUSTOM, .shape = SHAPE_BOOL,
	  .decode = decode_propagation, .cel = cel_propagation },
	{ 0 },
};

static const struct message rule_message = {
	.what = "what is traced (a map)",
	.size = sizeof(struct tracing_rule),
	.fields = rule_fields,
	.pos_at = AT(struct tracing_rule, pos),
	.init = init_rule,
	.cel = cel_rule,
	.check = check_rule,
};

/* ---- the whole ---- */

static const struct field spec_fields[] = {
	{ "selector", FIELD_MESSAGE, .offset = offsetof(struct telemetry, selector),
	  .message = &schema_match_labels },
	{ "tracing", FIELD_LIST, .offset = offsetof(struct telemetry, tracing), .max = RULES,
	  .message = &rule_message },
	{ .name = "metrics",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TELEMETRY_METRICS,
	  .shape = SHAPE_LIST },
	{ .name = "accessLogging",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TELEMETRY_LOGGING,
	  .shape = SHAPE_LIST },
	{ .name = "targetRef",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TELEMETRY_TARGET,
	  .shape = SHAPE_OBJECT },
	{ .name = "targetRefs",
	  .type = FIELD_REFUSED,
	  .refused = REFUSED_TELEMETRY_TARGET,
	  .shape = SHAPE_LIST },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a Telemetry's spec (a map)",
	.size = sizeof(struct telemetry),
	.fields = spec_fields,
};

static const struct field telemetry_fields[] = OBJECT_FIELDS(telemetry, spec_message, false);

const struct message schema_telemetry = {
	.what = "a Telemetry (a map)",
	.size = OBJECT_SIZE(telemetry),
	.fields = telemetry_fields,
};
