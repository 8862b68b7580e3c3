/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a request on purpose, or about one that fails: fault, retries, corsPolicy. */
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/base/grpc_status.h"
#include "lib/schema/schema_http.h"
#include "lib/schema/validate.h"

/* ---- percentages ---- */

static const struct field percentage_fields[] = {
	{ "value", FIELD_DOUBLE, .offset = 0, .least = 0, .most = 100,
	  .what = "a percentage from 0 to 100" },
	{ 0 },
};

const struct message schema_http_percentage = {
	.what = "a percentage (a map with value)",
	.size = sizeof(double),
	.fields = percentage_fields,
};

#define SHARE_EXPECTED "0, or a percentage from 0.0001 to 100"

/* The proxy draws from a million: a smaller share than that could not be told from none. */
static void check_share(struct decoder *d, const struct node *value, const void *target)
{
	double percent = *(const double *)target;

	if (percent != 0 && percent < 0.0001)
		decode_expected(d, value, NULL, SHARE_EXPECTED);
}

static const struct cel share_cel[] = {
	{ .rule = "self == 0.0 || self >= 0.0001", .message = "expected " SHARE_EXPECTED },
	{ 0 },
};

static const struct field share_fields[] = {
	{ "value", FIELD_DOUBLE, .offset = 0, .least = 0, .most = 100, .what = SHARE_EXPECTED,
	  .check = check_share, .cel = share_cel },
	{ 0 },
};

static const struct message share_message = {
	.what = "a percentage (a map with value)",
	.size = sizeof(double),
	.fields = share_fields,
};

/* The older `percent` is a plain number, and counts where `percentage` is not given. */
static void use_old_percent(struct decoder *d, const struct node *node, double *percent)
{
	const struct node *value = decode_at(d, node, "percent");
	int64_t old;

	if (!decode_given(d, node, "percent") || decode_given(d, node, "percentage"))
		return;
	if (decode_integer(d, value, 0, 100, &old))
		*percent = (double)old;
}

/* ---- fault ---- */

static const struct field delay_fields[] = {
	{ "fixedDelay", FIELD_DURATION, .offset = offsetof(struct http_delay, fixed), .min = 1 },
	{ .name = "exponentialDelay",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_EXPONENTIAL_DELAY },
	{ "percentage", FIELD_MESSAGE, .offset = offsetof(struct http_delay, percent),
	  .message = &share_message },
	{ .name = "percent",
	  .type = FIELD_IGNORED,
	  .max = 100,
	  .shape = SHAPE_INTEGER }, /* read by finish_delay() */
	{ 0 },
};

static void init_delay(void *self)
{
	struct http_delay *delay = self;

	delay->fixed = -1;
}

static void finish_delay(struct decoder *d, const struct node *self_node, void *self)
{
	struct http_delay *delay = self;

	use_old_percent(d, self_node, &delay->percent);
}

static void check_delay(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_delay *delay = self;

	if (delay->fixed < 0)
		decode_warn(d, self_node, NULL, "delays nothing without fixedDelay");
}

static const struct message delay_message = {
	.what = "a delay (a map)",
	.size = sizeof(struct http_delay),
	.fields = delay_fields,
	.pos_at = AT(struct http_delay, pos),
	.init = init_delay,
	.finish = finish_delay,
	.check = check_delay,
};

static void check_grpc_status(struct decoder *d, const struct node *value, const void *string)
{
	const char *name = *(const char *const *)string;

	if (grpc_status_parse(name, strlen(name)) < 0)
		decode_expected(d, value, NULL, "a gRPC status like UNAVAILABLE");
}

static const struct field abort_fields[] = {
	{ "httpStatus", FIELD_INT32, .offset = offsetof(struct http_abort, http_status), .min = 200,
	  .max = 600 },
	{ "grpcStatus", FIELD_STRING, .offset = offsetof(struct http_abort, grpc_status),
	  .check = check_grpc_status },
	{ .name = "http2Error",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_HTTP2_ERROR },
	{ "percentage", FIELD_MESSAGE, .offset = offsetof(struct http_abort, percent),
	  .message = &share_message },
	{ .name = "percent",
	  .type = FIELD_IGNORED,
	  .max = 100,
	  .shape = SHAPE_INTEGER }, /* read by finish_abort() */
	{ 0 },
};

static void finish_abort(struct decoder *d, const struct node *self_node, void *self)
{
	struct http_abort *abort = self;

	use_old_percent(d, self_node, &abort->percent);
}

static void check_abort(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_abort *abort = self;

	if (abort->http_status && abort->grpc_status)
		decode_error(d, decode_at(d, self_node, "grpcStatus"), "grpcStatus",
			     "expected one of httpStatus and grpcStatus, not both");
	if (!abort->http_status && !abort->grpc_status)
		decode_warn(d, self_node, NULL, "aborts nothing without httpStatus or grpcStatus");
}

static const struct cel abort_cel[] = {
	{ .rule = "!(has(self.httpStatus) && has(self.grpcStatus))",
	  .message = "expected one of httpStatus and grpcStatus, not both" },
	{ 0 },
};

static const struct message abort_message = {
	.cel = abort_cel,
	.what = "an abort (a map)",
	.size = sizeof(struct http_abort),
	.fields = abort_fields,
	.pos_at = AT(struct http_abort, pos),
	.finish = finish_abort,
	.check = check_abort,
};

static const struct field fault_fields[] = {
	{ "delay", FIELD_POINTER, .offset = offsetof(struct http_fault, delay),
	  .message = &delay_message },
	{ "abort", FIELD_POINTER, .offset = offsetof(struct http_fault, abort),
	  .message = &abort_message },
	{ 0 },
};

static void check_fault(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_fault *fault = self;

	if (!fault->delay && !fault->abort)
		decode_error(d, self_node, NULL, "expected at least one of delay and abort");
}

static const struct cel fault_cel[] = {
	{ .rule = "has(self.delay) || has(self.abort)",
	  .message = "expected at least one of delay and abort" },
	{ 0 },
};

const struct message schema_http_fault = {
	.cel = fault_cel,
	.what = "a fault (a map)",
	.size = sizeof(struct http_fault),
	.fields = fault_fields,
	.pos_at = AT(struct http_fault, pos),
	.check = check_fault,
};

/* ---- retries ---- */

enum { RETRY_ON_MAX = 320 }; /* all that there are, and more */

/* The statuses that have a name (RFC 9110 and what the IANA lists beside it). */
static bool known_status(const char *s)
{
	static const struct {
		int first, last;
	} ranges[] = {
		{ 100, 103 }, { 200, 208 }, { 226, 226 }, { 300, 305 }, { 307, 308 }, { 400, 418 },
		{ 421, 426 }, { 428, 429 }, { 431, 431 }, { 451, 451 }, { 500, 508 }, { 510, 511 },
	};
	int status = 0;

	for (size_t i = 0; i < 3; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		status = status * 10 + (s[i] - '0');
	}
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (status >= ranges[i].first && status <= ranges[i].last)
			return true;
	return false;
}

static bool known_condition(const char *s, size_t len)
{
	static const char *const conditions[] = {
		"5xx",
		"gateway-error",
		"reset",
		"reset-before-request",
		"connect-failure",
		"retriable-4xx",
		"refused-stream",
		"retriable-status-codes",
		"retriable-headers",
		"envoy-ratelimited",
		"http3-post-connect-failure",
		"cancelled",
		"deadline-exceeded",
		"internal",
		"resource-exhausted",
		"unavailable",
	};

	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (strlen(conditions[i]) == len && !memcmp(conditions[i], s, len))
			return true;
	return len == 3 && known_status(s);
}

static void check_retry_on(struct decoder *d, const struct node *value, const void *string)
{
	const char *s = *(const char *const *)string;

	while (*s) {
		size_t len = strcspn(s, ",");

		if (!known_condition(s, len)) {
			decode_expected(d, value, NULL,
					"conditions like 5xx, reset, connect-failure or a status, "
					"with commas between");
			return;
		}
		s += len;
		s += *s == ',' && s[1];
	}
}

#define CRD_CONDITION                                                                         \
	"(5xx|gateway-error|reset|reset-before-request|connect-failure|retriable-4xx|"        \
	"refused-stream|retriable-status-codes|retriable-headers|envoy-ratelimited|"          \
	"http3-post-connect-failure|cancelled|deadline-exceeded|internal|resource-exhausted|" \
	"unavailable|[1-5][0-9][0-9])"

static const struct cel retry_on_cel[] = {
	{ .rule = "self.matches('^(" CRD_CONDITION "(,|$))*$')",
	  .message = "expected conditions like 5xx, reset, connect-failure or a status, with "
		     "commas between" },
	{ 0 },
};

static const struct field retries_fields[] = {
	{ "attempts", FIELD_INT32, .offset = offsetof(struct http_retries, attempts),
	  .max = INT32_MAX },
	{ "perTryTimeout", FIELD_DURATION, .offset = offsetof(struct http_retries, per_try_timeout),
	  .min = 1 },
	{ "retryOn", FIELD_STRING, .offset = offsetof(struct http_retries, retry_on),
	  .max = RETRY_ON_MAX, .check = check_retry_on, .cel = retry_on_cel },
	{ "retryRemoteLocalities", FIELD_BOOL,
	  .offset = offsetof(struct http_retries, remote_localities),
	  .given_at = AT(struct http_retries, remote_localities_given) },
	{ "retryIgnorePreviousHosts", FIELD_BOOL,
	  .offset = offsetof(struct http_retries, ignore_previous_hosts),
	  .given_at = AT(struct http_retries, ignore_previous_hosts_given) },
	{ "backoff", FIELD_DURATION, .offset = offsetof(struct http_retries, backoff), .min = 1 },
	{ 0 },
};

static void init_retries(void *self)
{
	struct http_retries *retries = self;

	retries->per_try_timeout = retries->backoff = -1;
}

static void check_retries(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_retries *r = self;

	if (!r->attempts && (r->per_try_timeout >= 0 || (r->retry_on && *r->retry_on) ||
			     r->remote_localities_given || r->backoff >= 0))
		decode_error(d, self_node, "attempts",
			     "expected more than 0 where retries are described further");
}

const struct message schema_http_retries = {
	.what = "retries (a map)",
	.size = sizeof(struct http_retries),
	.fields = retries_fields,
	.pos_at = AT(struct http_retries, pos),
	.init = init_retries,
	.check = check_retries,
};

/* ---- corsPolicy ---- */

static void check_methods(struct decoder *d, const struct node *value, const void *target)
{
	static const char *const methods[] = { "GET",	 "HEAD",    "POST",    "PUT",	"PATCH",
					       "DELETE", "CONNECT", "OPTIONS", "TRACE", "*" };
	const struct strs *given = target;
	char name[32];

	for (size_t i = 0; i < given->count; i++) {
		bool known = false;

		for (size_t j = 0; j < sizeof(methods) / sizeof(*methods); j++)
			known |= !strcmp(given->items[i], methods[j]);
		snprintf(name, sizeof(name), "[%zu]", i);
		if (!known)
			decode_expected(d, validate_nth(value, i), name,
					"an HTTP method in upper case");
	}
}

static void check_max_age(struct decoder *d, const struct node *value, const void *target)
{
	if (*(const msecs *)target % 1000)
		decode_expected(d, value, NULL, "a duration in whole seconds");
}

static const struct word preflight_words[] = {
	{ "UNSPECIFIED", CORS_PREFLIGHTS_FORWARD },
	{ "FORWARD", CORS_PREFLIGHTS_FORWARD },
	{ "IGNORE", CORS_PREFLIGHTS_IGNORE },
	{ 0 },
};

/* The older form: origins as they stand, "*" for any. */
static void decode_allow_origin(struct decoder *d, const struct node *value, void *target)
{
	struct http_cors *cors = target;
	struct strs origins = { 0 };
	struct string_match *items;

	if (!decode_strings(d, value, &origins))
		return;
	items = decode_alloc(d, (cors->allow_origins.count + origins.count) * sizeof(*items));
	if (!items)
		return;
	if (cors->allow_origins.count)
		memcpy(items, cors->allow_origins.items,
		       cors->allow_origins.count * sizeof(*items));
	for (size_t i = 0; i < origins.count; i++)
		items[cors->allow_origins.count + i] = (struct string_match){
			.pos = origins.at[i],
			.type = strcmp(origins.items[i], "*") ? MATCH_EXACT : MATCH_PRESENT,
			.value = origins.items[i],
		};
	cors->allow_origins.items = items;
	cors->allow_origins.count += origins.count;
}

static void check_origin(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct string_match *match = self;

	if (match->type == MATCH_PRESENT || !*match->value)
		decode_error(d, self_node, NULL, "expected an origin in exact, prefix or regex");
	else
		schema_http_string_match.check(d, self_node, self);
}

static void finish_origin(struct decoder *d, const struct node *self_node, void *self)
{
	schema_http_string_match.finish(d, self_node, self);
}

static void decode_allow_origins(struct decoder *d, const struct node *value, void *target)
{
	struct http_cors *cors = target;
	const struct message origin_message = {
		.what = schema_http_string_match.what,
		.size = sizeof(struct string_match),
		.fields = schema_http_string_match.fields,
		.pos_at = AT(struct string_match, pos),
		.finish = finish_origin,
		.check = check_origin,
	};
	void *items = NULL;
	size_t count = 0;

	/* Where both forms are given the newer one counts. */
	if (decode_at_most(d, value, node_target(value)->count, ORIGINS_MAX) &&
	    decode_list(d, value, &origin_message, &items, &count, false)) {
		cors->allow_origins.items = items;
		cors->allow_origins.count = count;
	}
}

static const struct field cors_fields[] = {
	{ "allowOrigin", FIELD_CUSTOM, .shape = SHAPE_STRINGS, .decode = decode_allow_origin },
	{ "allowOrigins", FIELD_CUSTOM, .max = ORIGINS_MAX, .shape = SHAPE_LIST,
	  .message = &schema_http_string_match, .decode = decode_allow_origins },
	{ "allowMethods", FIELD_STRINGS, .offset = offsetof(struct http_cors, allow_methods),
	  .check = check_methods,
	  .pattern = "^(GET|HEAD|POST|PUT|PATCH|DELETE|CONNECT|OPTIONS|TRACE|\\*)$" },
	{ "allowHeaders", FIELD_STRINGS, .offset = offsetof(struct http_cors, allow_headers),
	  .check = validate_header_names, .pattern = CRD_HEADER },
	{ "exposeHeaders", FIELD_STRINGS, .offset = offsetof(struct http_cors, expose_headers),
	  .check = validate_header_names, .pattern = CRD_HEADER },
	{ "maxAge", FIELD_DURATION, .offset = offsetof(struct http_cors, max_age), .min = 1,
	  .check = check_max_age },
	{ "allowCredentials", FIELD_BOOL, .offset = offsetof(struct http_cors, allow_credentials),
	  .given_at = AT(struct http_cors, allow_credentials_given) },
	{ "unmatchedPreflights", FIELD_ENUM,
	  .offset = offsetof(struct http_cors, unmatched_preflights), .words = preflight_words },
	{ 0 },
};

static void init_cors(void *self)
{
	struct http_cors *cors = self;

	cors->max_age = -1;
}

const struct message schema_http_cors = {
	.what = "a CORS policy (a map)",
	.size = sizeof(struct http_cors),
	.fields = cors_fields,
	.pos_at = AT(struct http_cors, pos),
	.init = init_cors,
};
