/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request: headers, rewrite, redirect, direct response. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/base64.h"
#include "lib/schema/decode.h"
#include "lib/schema/schema_http.h"
#include "lib/schema/validate.h"

/* ---- headers ---- */

static bool is_authority(const char *name)
{
	return !strcasecmp(name, ":authority") || !strcasecmp(name, "host");
}

/* Pseudo-headers can't be changed, and of the authority only a request's. */
static const char *name_problem(const char *name, bool authority)
{
	if (!valid_header_name(name))
		return "a header's name";
	if (is_authority(name) && !authority)
		return "a header that can be changed";
	if (name[0] == ':' && !is_authority(name))
		return "a header that can be changed";
	return NULL;
}

static void check_values(struct decoder *d, const struct node *value, const struct kvs *kvs,
			 bool authority)
{
	const struct node *k = node_target(value)->child;

	for (size_t i = 0; i < kvs->count; i++, k = k->next->next) {
		struct path here = { .up = d->path, .name = kvs->items[i].key, .key = true };
		const char *problem = name_problem(kvs->items[i].key, authority);

		d->path = &here;
		if (problem)
			decode_expected(d, k, NULL, problem);
		problem = header_value_problem(kvs->items[i].value);
		if (problem)
			decode_expected(d, k->next, NULL, problem);
		else if (header_value_has_expression(kvs->items[i].value))
			decode_refuse_value(d, k->next, REFUSED_HEADER_EXPRESSION);
		d->path = here.up;
	}
}

static void check_request_values(struct decoder *d, const struct node *value, const void *kvs)
{
	check_values(d, value, kvs, true);
}

static void check_response_values(struct decoder *d, const struct node *value, const void *kvs)
{
	check_values(d, value, kvs, false);
}

static void check_removed(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *names = target;
	char name[32];

	for (size_t i = 0; i < names->count; i++) {
		const char *problem = name_problem(names->items[i], false);

		snprintf(name, sizeof(name), "[%zu]", i);
		if (problem)
			decode_expected(d, validate_nth(value, i), name, problem);
	}
}

static const struct field request_fields[] = {
	{ "set", FIELD_FULL_KVS, .offset = offsetof(struct header_operations, set),
	  .check = check_request_values },
	{ "add", FIELD_FULL_KVS, .offset = offsetof(struct header_operations, add),
	  .check = check_request_values },
	{ "remove", FIELD_STRINGS, .offset = offsetof(struct header_operations, remove),
	  .check = check_removed },
	{ 0 },
};

static const struct field response_fields[] = {
	{ "set", FIELD_FULL_KVS, .offset = offsetof(struct header_operations, set),
	  .check = check_response_values },
	{ "add", FIELD_FULL_KVS, .offset = offsetof(struct header_operations, add),
	  .check = check_response_values },
	{ "remove", FIELD_STRINGS, .offset = offsetof(struct header_operations, remove),
	  .check = check_removed },
	{ 0 },
};

static const struct message request_message = { .what = "a map with set, add and remove",
						.fields = request_fields };
static const struct message response_message = { .what = "a map with set, add and remove",
						 .fields = response_fields };

static const struct field headers_fields[] = {
	{ "request", FIELD_MESSAGE, .offset = offsetof(struct http_headers, request),
	  .message = &request_message },
	{ "response", FIELD_MESSAGE, .offset = offsetof(struct http_headers, response),
	  .message = &response_message },
	{ 0 },
};

const struct message schema_http_headers = {
	.what = "a map with request and response",
	.size = sizeof(struct http_headers),
	.fields = headers_fields,
};

/* ---- rewrite ---- */

static const struct field regex_rewrite_fields[] = {
	{ "match", FIELD_STRING, .required = true, .offset = offsetof(struct http_rewrite, regex) },
	{ "rewrite", FIELD_STRING, .required = true,
	  .offset = offsetof(struct http_rewrite, regex_rewrite) },
	{ 0 },
};

static void check_regex_rewrite(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_rewrite *rewrite = self;
	const char *problem = *rewrite->regex ? regex_problem(rewrite->regex) : "it is empty";

	if (problem)
		decode_error(d, decode_at(d, self_node, "match"), "match",
			     "expected a regular expression (RE2), not \"%.64s\": %s",
			     rewrite->regex, problem);
	if (!*rewrite->regex_rewrite)
		decode_expected(d, decode_at(d, self_node, "rewrite"), "rewrite", "a replacement");
}

static const struct message regex_rewrite_message = {
	.what = "a map with match and rewrite",
	.fields = regex_rewrite_fields,
	.check = check_regex_rewrite,
};

static const struct field rewrite_fields[] = {
	{ "uri", FIELD_STRING, .offset = offsetof(struct http_rewrite, uri) },
	{ "authority", FIELD_STRING, .offset = offsetof(struct http_rewrite, authority) },
	{ "uriRegexRewrite", FIELD_MESSAGE, .message = &regex_rewrite_message },
	{ 0 },
};

static bool filled(const char *s)
{
	return s && *s;
}

static void check_rewrite(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_rewrite *rewrite = self;

	if (!filled(rewrite->uri) && !filled(rewrite->authority) && !rewrite->regex)
		decode_error(d, self_node, NULL,
			     "expected at least one of uri, uriRegexRewrite and authority");
	if (filled(rewrite->uri) && rewrite->regex)
		decode_error(d, decode_at(d, self_node, "uriRegexRewrite"), "uriRegexRewrite",
			     "expected one of uri and uriRegexRewrite, not both");
}

const struct message schema_http_rewrite = {
	.what = "a rewrite (a map)",
	.size = sizeof(struct http_rewrite),
	.fields = rewrite_fields,
	.pos_at = AT(struct http_rewrite, pos),
	.check = check_rewrite,
};

/* ---- redirect ---- */

static const struct word derive_words[] = {
	{ "FROM_PROTOCOL_DEFAULT", DERIVE_PORT_PROTOCOL_DEFAULT },
	{ "FROM_REQUEST_PORT", DERIVE_PORT_REQUEST },
	{ 0 },
};

static void check_code(struct decoder *d, const struct node *value, const void *target)
{
	static const int32_t codes[] = { 0, 301, 302, 303, 307, 308 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (*(const int32_t *)target == codes[i])
			return;
	if (*(const int32_t *)target >= 300 && *(const int32_t *)target <= 399)
		decode_refuse_value(d, value, REFUSED_REDIRECT_CODE);
	else
		decode_expected(d, value, NULL, "one of 301, 302, 303, 307, 308");
}

static const struct field redirect_fields[] = {
	{ "uri", FIELD_STRING, .offset = offsetof(struct http_redirect, uri) },
	{ "prefixRewrite", FIELD_STRING, .offset = offsetof(struct http_redirect, prefix_rewrite) },
	{ "authority", FIELD_STRING, .offset = offsetof(struct http_redirect, authority) },
	{ "scheme", FIELD_STRING, .offset = offsetof(struct http_redirect, scheme) },
	{ "port", FIELD_UINT16, .offset = offsetof(struct http_redirect, port), .max = 65535 },
	{ "derivePort", FIELD_ENUM, .offset = offsetof(struct http_redirect, derive_port),
	  .words = derive_words },
	{ "redirectCode", FIELD_INT32, .offset = offsetof(struct http_redirect, code), .max = 599,
	  .check = check_code },
	{ 0 },
};

static void finish_redirect(struct decoder *d, const struct node *self_node, void *self)
{
	struct http_redirect *redirect = self;

	(void)d;
	(void)self_node;
	if (!redirect->code)
		redirect->code = 301;
	if (!filled(redirect->prefix_rewrite))
		redirect->prefix_rewrite = NULL;
}

static void check_redirect(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_redirect *r = self;

	if (!filled(r->uri) && !r->prefix_rewrite && !filled(r->authority) && !filled(r->scheme) &&
	    !r->port && !r->derive_port)
		decode_error(d, self_node, NULL,
			     "expected at least one of uri, authority, scheme and port");
	if (filled(r->uri) && r->prefix_rewrite)
		decode_error(d, decode_at(d, self_node, "prefixRewrite"), "prefixRewrite",
			     "expected one of uri and prefixRewrite, not both");
	if (filled(r->scheme) && strcmp(r->scheme, "http") != 0 && strcmp(r->scheme, "https") != 0)
		decode_expected(d, decode_at(d, self_node, "scheme"), "scheme", "http or https");
	if (r->port && r->derive_port)
		decode_error(d, decode_at(d, self_node, "derivePort"), "derivePort",
			     "expected one of port and derivePort, not both");
}

const struct message schema_http_redirect = {
	.what = "a redirect (a map)",
	.size = sizeof(struct http_redirect),
	.fields = redirect_fields,
	.pos_at = AT(struct http_redirect, pos),
	.finish = finish_redirect,
	.check = check_redirect,
};

/* ---- directResponse ---- */

static void decode_body_string(struct decoder *d, const struct node *value, void *target)
{
	struct http_direct_response *response = target;

	if (decode_string(d, value, &response->body))
		response->body_len = strlen(response->body);
}

static void decode_body_bytes(struct decoder *d, const struct node *value, void *target)
{
	struct http_direct_response *response = target;
	const char *s;
	char *bytes;

	if (!decode_string(d, value, &s))
		return;
	bytes = decode_alloc(d, strlen(s) + 1);
	if (!bytes)
		return;
	if (!base64_decode(s, bytes, &response->body_len))
		decode_expected(d, value, NULL, "base64");
	response->body = bytes;
}

static const struct field body_fields[] = {
	{ "string", FIELD_CUSTOM, .decode = decode_body_string },
	{ "bytes", FIELD_CUSTOM, .decode = decode_body_bytes },
	{ 0 },
};

static void check_body(struct decoder *d, const struct node *self_node, const void *self)
{
	enum { BODY_MAX = 1 << 20 };
	const struct http_direct_response *response = self;

	if (decode_given(d, self_node, "string") && decode_given(d, self_node, "bytes"))
		decode_error(d, self_node, NULL, "expected one of string and bytes, not both");
	if (response->body_len > BODY_MAX)
		decode_error(d, self_node, NULL, "expected at most %d bytes, not %zu", BODY_MAX,
			     response->body_len);
}

static const struct message body_message = {
	.what = "a map with string or bytes",
	.fields = body_fields,
	.check = check_body,
};

static const struct field direct_response_fields[] = {
	{ "status", FIELD_INT32, .required = true,
	  .offset = offsetof(struct http_direct_response, status), .min = 200, .max = 600 },
	{ "body", FIELD_MESSAGE, .message = &body_message },
	{ 0 },
};

const struct message schema_http_direct_response = {
	.what = "a direct response (a map)",
	.size = sizeof(struct http_direct_response),
	.fields = direct_response_fields,
	.pos_at = AT(struct http_direct_response, pos),
};
