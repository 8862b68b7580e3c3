/* SPDX-License-Identifier: Apache-2.0 */
/* What a trafficPolicy says about requests: connectionPool.http, outlierDetection, consistentHash.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/decode.h"
#include "lib/model/model_http.h"
#include "lib/schema/validate.h"

/* ---- connectionPool.http ---- */

static const struct word upgrade_words[] = {
	{ "DEFAULT", H2_UPGRADE_DEFAULT },
	{ "DO_NOT_UPGRADE", H2_UPGRADE_NO },
	{ "UPGRADE", H2_UPGRADE_YES },
	{ 0 },
};

/* Pings on HTTP/2 connections, of which there are none. */
struct keepalive {
	msecs interval, timeout;
};

static const struct field keepalive_fields[] = {
	{ "interval", FIELD_DURATION, .required = true,
	  .offset = offsetof(struct keepalive, interval), .min = 1 },
	{ "timeout", FIELD_DURATION, .required = true,
	  .offset = offsetof(struct keepalive, timeout), .min = 1 },
	{ 0 },
};

static const struct message keepalive_message = { .what = "a map", .fields = keepalive_fields };

static void decode_keepalive(struct decoder *d, const struct node *value, void *target)
{
	size_t errors = d->reported;
	struct keepalive ignored;

	(void)target;
	decode_message(d, &keepalive_message, value, &ignored);
	if (d->reported == errors)
		decode_refuse(d, value, REFUSED_HTTP2_KEEPALIVE);
}

static void check_upgrade(struct decoder *d, const struct node *value, const void *target)
{
	if (*(const int *)target == H2_UPGRADE_YES)
		decode_refuse(d, value, REFUSED_H2_UPGRADE);
}

static const struct cel upgrade_cel[] = {
	{ .rule = "self != 'UPGRADE'", .refused = REFUSED_H2_UPGRADE },
	{ 0 },
};

static const struct field pool_fields[] = {
	{ "http1MaxPendingRequests", FIELD_INT32, .offset = offsetof(struct http_pool, max_pending),
	  .max = INT32_MAX },
	{ "http2MaxRequests", FIELD_INT32, .offset = offsetof(struct http_pool, max_requests),
	  .max = INT32_MAX },
	{ "maxRequestsPerConnection", FIELD_INT32,
	  .offset = offsetof(struct http_pool, max_requests_per_connection), .max = INT32_MAX },
	{ "maxRetries", FIELD_INT32, .offset = offsetof(struct http_pool, max_retries),
	  .max = INT32_MAX },
	{ "maxConcurrentStreams", FIELD_INT32,
	  .offset = offsetof(struct http_pool, max_concurrent_streams), .max = INT32_MAX },
	{ "idleTimeout", FIELD_DURATION, .offset = offsetof(struct http_pool, idle_timeout),
	  .min = 1 },
	{ "h2UpgradePolicy", FIELD_ENUM, .offset = offsetof(struct http_pool, h2_upgrade),
	  .words = upgrade_words, .check = check_upgrade, .cel = upgrade_cel },
	{ "useClientProtocol", FIELD_BOOL,
	  .offset = offsetof(struct http_pool, use_client_protocol) },
	{ "http2KeepAlive", FIELD_CUSTOM, .shape = SHAPE_OBJECT, .refused = REFUSED_HTTP2_KEEPALIVE,
	  .decode = decode_keepalive },
	{ 0 },
};

static void init_pool(void *self)
{
	struct http_pool *pool = self;

	pool->idle_timeout = -1;
}

static void check_pool(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_pool *pool = self;

	if (pool->h2_upgrade == H2_UPGRADE_YES && pool->use_client_protocol)
		decode_error(d, self_node, "useClientProtocol",
			     "expected false where h2UpgradePolicy is UPGRADE, not \"true\"");
}

const struct message schema_http_pool = {
	.what = "a map",
	.size = sizeof(struct http_pool),
	.fields = pool_fields,
	.init = init_pool,
	.check = check_pool,
};

/* ---- outlierDetection ---- */

static void decode_old_form(struct decoder *d, const struct node *value, void *target);

static const struct field outlier_fields[] = {
	{ "consecutive5xxErrors", FIELD_INT64,
	  .offset = offsetof(struct outlier_detection, consecutive_5xx), .max = UINT32_MAX },
	{ "consecutiveGatewayErrors", FIELD_INT64,
	  .offset = offsetof(struct outlier_detection, consecutive_gateway), .max = UINT32_MAX },
	{ "consecutiveLocalOriginFailures", FIELD_INT64,
	  .offset = offsetof(struct outlier_detection, consecutive_local_origin),
	  .max = UINT32_MAX },
	{ "consecutiveErrors", FIELD_INT64,
	  .offset = offsetof(struct outlier_detection, consecutive_old), .max = INT32_MAX },
	{ "splitExternalLocalOriginErrors", FIELD_BOOL,
	  .offset = offsetof(struct outlier_detection, split_local_origin) },
	{ "interval", FIELD_DURATION, .offset = offsetof(struct outlier_detection, interval),
	  .min = 1 },
	{ "baseEjectionTime", FIELD_DURATION,
	  .offset = offsetof(struct outlier_detection, base_ejection), .min = 1 },
	{ "maxEjectionPercent", FIELD_INT32,
	  .offset = offsetof(struct outlier_detection, max_ejection_percent), .max = 100 },
	{ "minHealthPercent", FIELD_INT32,
	  .offset = offsetof(struct outlier_detection, min_health_percent), .max = 100 },
	{ "http", FIELD_CUSTOM, .shape = SHAPE_OBJECT, .decode = decode_old_form },
	{ 0 },
};

static void init_outliers(void *self)
{
	struct outlier_detection *o = self;

	o->consecutive_5xx = o->consecutive_gateway = o->consecutive_local_origin =
		o->consecutive_old = -1;
	o->interval = o->base_ejection = -1;
	o->max_ejection_percent = o->min_health_percent = -1;
}

static void check_outliers(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct outlier_detection *o = self;

	if (!o->split_local_origin && o->consecutive_local_origin > 0)
		decode_error(d, self_node, "consecutiveLocalOriginFailures",
			     "expected splitExternalLocalOriginErrors: true beside it");
}

/* Before Istio 1.0 the fields were one level further down. */
static const struct message old_outliers = { .what = "a map", .fields = outlier_fields };

static void decode_old_form(struct decoder *d, const struct node *value, void *target)
{
	decode_message(d, &old_outliers, value, target);
}

static const struct cel outliers_cel[] = {
	{ .rule = "!has(self.consecutiveLocalOriginFailures) || "
		  "self.consecutiveLocalOriginFailures == 0 "
		  "|| (has(self.splitExternalLocalOriginErrors) && "
		  "self.splitExternalLocalOriginErrors) || "
		  "has(self.http)",
	  .message = "consecutiveLocalOriginFailures: expected splitExternalLocalOriginErrors: "
		     "true beside it" },
	{ 0 },
};

const struct message schema_outlier_detection = {
	.cel = outliers_cel,
	.what = "a map",
	.size = sizeof(struct outlier_detection),
	.fields = outlier_fields,
	.init = init_outliers,
	.check = check_outliers,
};

/* ---- loadBalancer.consistentHash ---- */

enum { COOKIE_MAX = 320 }; /* bytes of name, path and attributes: with all else, HS_COOKIE_MAX */

static const struct field attribute_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct kv, key) },
	{ "value", FIELD_STRING, .offset = offsetof(struct kv, value) },
	{ 0 },
};

static const struct message attribute_message = {
	.what = "an attribute (a map)",
	.size = sizeof(struct kv),
	.fields = attribute_fields,
	.pos_at = AT(struct kv, pos),
};

static void decode_attributes(struct decoder *d, const struct node *value, void *target);

static const struct field cookie_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct hash_cookie, name) },
	{ "path", FIELD_STRING, .offset = offsetof(struct hash_cookie, path) },
	{ "ttl", FIELD_DURATION, .offset = offsetof(struct hash_cookie, ttl) },
	{ "attributes", FIELD_CUSTOM, .offset = offsetof(struct hash_cookie, attributes),
	  .shape = SHAPE_LIST, .message = &attribute_message, .decode = decode_attributes },
	{ 0 },
};

static void init_cookie(void *self)
{
	struct hash_cookie *cookie = self;

	cookie->ttl = -1;
}

static void check_cookie(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct hash_cookie *cookie = self;

	size_t len = strlen(cookie->name) + (cookie->path ? strlen(cookie->path) : 0);

	if (*cookie->name == ':' || !valid_header_name(cookie->name))
		decode_expected(d, decode_at(d, self_node, "name"), "name", "a cookie's name");
	if (cookie->path && !valid_cookie_text(cookie->path))
		decode_expected(d, decode_at(d, self_node, "path"), "path", "a cookie's path");
	for (size_t i = 0; i < cookie->attributes.count; i++)
		len += strlen(cookie->attributes.items[i].key) +
		       strlen(cookie->attributes.items[i].value) + 3;
	if (len > COOKIE_MAX)
		decode_error(d, self_node, NULL, "expected at most %d bytes in all, not %zu",
			     COOKIE_MAX, len);
}

static const struct message cookie_message = {
	.what = "a cookie (a map)",
	.size = sizeof(struct hash_cookie),
	.fields = cookie_fields,
	.init = init_cookie,
	.check = check_cookie,
};

static void check_attribute_value(struct decoder *d, const struct node *node, size_t i,
				  struct kv *kv)
{
	char name[32];

	if (!kv->value)
		kv->value = "";
	snprintf(name, sizeof(name), "[%zu].value", i);
	if (!valid_cookie_text(kv->value))
		decode_expected(d, decode_at(d, node, "value"), name, "an attribute's value");
}

static void decode_attributes(struct decoder *d, const struct node *value, void *target)
{
	struct kvs *kvs = target;
	size_t errors = d->reported;
	void *items = NULL;
	char name[32];

	if (!decode_list(d, value, &attribute_message, &items, &kvs->count, false))
		return;
	kvs->items = items;
	for (size_t i = 0; d->reported == errors && i < kvs->count; i++) {
		snprintf(name, sizeof(name), "[%zu].name", i);
		if (!valid_header_name(kvs->items[i].key))
			decode_expected(d, decode_at(d, validate_nth(value, i), "name"), name,
					"an attribute's name");
		check_attribute_value(d, validate_nth(value, i), i, &kvs->items[i]);
		for (size_t j = 0; j < i; j++)
			if (!strcasecmp(kvs->items[i].key, kvs->items[j].key))
				decode_expected(d, decode_at(d, validate_nth(value, i), "name"),
						name, "each attribute once");
	}
}

static const struct field ring_hash_fields[] = {
	{ "minimumRingSize", FIELD_INT64, .offset = offsetof(struct hash_policy, ring_size),
	  .max = INT64_MAX },
	{ 0 },
};

static const struct message ring_hash_message = { .what = "a map", .fields = ring_hash_fields };

static bool is_prime(uint64_t n)
{
	if (n < 2)
		return false;
	for (uint64_t i = 2; i * i <= n; i++)
		if (n % i == 0)
			return false;
	return true;
}

static void check_table_size(struct decoder *d, const struct node *value, const void *target)
{
	if (!is_prime(*(const uint64_t *)target))
		decode_expected(d, value, NULL, "a prime number");
}

enum { MAGLEV_MAX = 5000010 };

static const struct field maglev_fields[] = {
	{ "tableSize", FIELD_INT64, .required = true,
	  .offset = offsetof(struct hash_policy, maglev_size), .min = 1, .max = MAGLEV_MAX,
	  .check = check_table_size },
	{ 0 },
};

static const struct message maglev_message = { .what = "a map", .fields = maglev_fields };

static const struct field hash_fields[] = {
	{ "httpHeaderName", FIELD_STRING, .offset = offsetof(struct hash_policy, header) },
	{ "httpCookie", FIELD_POINTER, .offset = offsetof(struct hash_policy, cookie),
	  .message = &cookie_message },
	{ "useSourceIp", FIELD_BOOL, .offset = offsetof(struct hash_policy, source_ip) },
	{ "httpQueryParameterName", FIELD_STRING,
	  .offset = offsetof(struct hash_policy, query_parameter) },
	{ "ringHash", FIELD_MESSAGE, .message = &ring_hash_message },
	{ "maglev", FIELD_MESSAGE, .message = &maglev_message },
	{ "minimumRingSize", FIELD_INT64, .offset = offsetof(struct hash_policy, ring_size),
	  .max = INT64_MAX },
	{ 0 },
};

static void check_hash(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct hash_policy *hash = self;
	int keys = !!hash->header + !!hash->cookie + hash->source_ip + !!hash->query_parameter;

	if (!keys)
		decode_refuse(d, self_node, REFUSED_HASH_WITHOUT_KEY);
	if (keys > 1)
		decode_error(d, self_node, NULL,
			     "expected one of httpHeaderName, httpCookie, useSourceIp and "
			     "httpQueryParameterName, not %d",
			     keys);
	if (decode_given(d, self_node, "ringHash") && decode_given(d, self_node, "maglev"))
		decode_error(d, self_node, "maglev",
			     "expected one of ringHash and maglev, not both");
	if (decode_given(d, self_node, "minimumRingSize") &&
	    (decode_given(d, self_node, "ringHash") || decode_given(d, self_node, "maglev")))
		decode_error(d, decode_at(d, self_node, "minimumRingSize"), "minimumRingSize",
			     "expected one of minimumRingSize, ringHash and maglev, not several");
	if (hash->header && !valid_header_name(hash->header))
		decode_expected(d, decode_at(d, self_node, "httpHeaderName"), "httpHeaderName",
				"a header's name");
	if (hash->query_parameter && !*hash->query_parameter)
		decode_expected(d, self_node, "httpQueryParameterName", "a parameter's name");
}

#define CEL_KEY(field) "(has(self." field ") ? 1 : 0)"
#define CEL_KEYS                                   \
	CEL_KEY("httpHeaderName")                  \
	" + " CEL_KEY("httpCookie") " + " CEL_KEY( \
		"httpQueryParameterName") " + "    \
					  "(has(self.useSourceIp) && self.useSourceIp ? 1 : 0)"

static const struct cel hash_cel[] = {
	{ .rule = CEL_KEYS " > 0", .refused = REFUSED_HASH_WITHOUT_KEY },
	{ .rule = CEL_KEYS " < 2",
	  .message = "expected one of httpHeaderName, httpCookie, useSourceIp and "
		     "httpQueryParameterName, not "
		     "several" },
	{ .rule = CEL_KEY("ringHash") " + " CEL_KEY("maglev") " + " CEL_KEY(
		  "minimumRingSize") " < 2",
	  .message = "expected one of minimumRingSize, ringHash and maglev, not several" },
	{ 0 },
};

const struct message schema_hash = {
	.cel = hash_cel,
	.what = "a map",
	.size = sizeof(struct hash_policy),
	.fields = hash_fields,
	.check = check_hash,
};
