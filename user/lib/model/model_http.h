/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_MODEL_HTTP_H
#define WEFT_LIB_MODEL_MODEL_HTTP_H
/*
 * The parts of rules that speak of HTTP: a VirtualService's spec.http, and what a trafficPolicy
 * says about requests. As everywhere in the model, strings that were not given are NULL, durations
 * -1, and everything lives in the object's arena. Percentages are 0..100 with a fraction.
 */
#include "lib/model/model.h"

enum match_type {
	MATCH_NONE, /* not given */
	MATCH_EXACT,
	MATCH_PREFIX,
	MATCH_REGEX,
	MATCH_PRESENT, /* `{}`, or in withoutHeaders the regex "*" */
};

struct string_match {
	struct pos pos;
	enum match_type type;
	const char *value;
};

/* A header or query parameter. */
struct named_match {
	const char *name;
	struct string_match match;
};

struct named_matches {
	struct named_match *items;
	size_t count;
};

struct http_match {
	struct pos pos;
	const char *name;
	struct string_match uri, scheme, method, authority;
	struct named_matches headers, without_headers, query_params;
	uint16_t port; /* 0: any */
	struct kvs source_labels;
	struct strs gateways; /* empty: those of the VirtualService */
	const char *source_namespace;
	bool ignore_uri_case;
};

/* In the order in which they are carried out: remove, set, add. */
struct header_operations {
	struct strs remove;
	struct kvs set, add;
};

struct http_headers {
	struct header_operations request, response;
};

struct http_route_destination {
	struct pos pos;
	struct destination destination;
	int32_t weight; /* 0 when not given */
	bool weight_given;
	struct http_headers headers;
};

enum derive_port { DERIVE_PORT_NONE, DERIVE_PORT_PROTOCOL_DEFAULT, DERIVE_PORT_REQUEST };

struct http_redirect {
	struct pos pos;
	const char *uri, *prefix_rewrite, *authority, *scheme;
	uint16_t port;	 /* 0: not given */
	int derive_port; /* enum derive_port */
	int32_t code;	 /* 301 when not given */
};

struct http_direct_response {
	struct pos pos;
	int32_t status;
	const char *body; /* NULL: none. May hold NULs. */
	size_t body_len;
};

struct http_rewrite {
	struct pos pos;
	const char *uri, *authority;
	const char *regex, *regex_rewrite; /* uriRegexRewrite: both or neither */
};

struct http_retries {
	struct pos pos;
	int32_t attempts; /* tries beyond the first; 0 switches retries off */
	msecs per_try_timeout, backoff;
	const char *retry_on;
	bool remote_localities, remote_localities_given;
	bool ignore_previous_hosts, ignore_previous_hosts_given;
};

struct http_delay {
	struct pos pos;
	msecs fixed;
	double percent; /* 0 when not given: never */
};

enum abort_type { ABORT_NONE, ABORT_HTTP, ABORT_GRPC };

struct http_abort {
	struct pos pos;
	int32_t http_status;	 /* 0: not given */
	const char *grpc_status; /* "UNAVAILABLE", ... */
	double percent;		 /* 0 when not given: never */
};

struct http_fault {
	struct pos pos;
	struct http_delay *delay; /* NULL: not given */
	struct http_abort *abort;
};

struct http_mirror {
	struct pos pos;
	struct destination destination;
	double percent; /* 100 when not given */
};

struct http_mirrors {
	struct http_mirror *items;
	size_t count;
};

enum cors_preflights { CORS_PREFLIGHTS_FORWARD, CORS_PREFLIGHTS_IGNORE };

struct http_cors {
	struct pos pos;
	struct {
		struct string_match *items;
		size_t count;
	} allow_origins;
	struct strs allow_methods, allow_headers, expose_headers;
	msecs max_age;
	bool allow_credentials, allow_credentials_given;
	int unmatched_preflights; /* enum cors_preflights */
};

struct http_delegate {
	struct pos pos;
	const char *name, *namespace; /* namespace NULL: the rule's own */
};

/* One element of spec.http. Of route, redirect, direct_response and delegate exactly one is given.
 */
struct http_route {
	struct pos pos;
	const char *name;
	struct {
		struct http_match *items;
		size_t count;
	} match;
	struct {
		struct http_route_destination *items;
		size_t count;
	} route;
	struct http_redirect *redirect;
	struct http_direct_response *direct_response;
	struct http_delegate *delegate;
	struct http_rewrite *rewrite;
	msecs timeout;
	struct http_retries *retries;
	struct http_fault *fault;
	struct http_mirrors mirrors; /* `mirror` with its percentage, or `mirrors` */
	struct http_cors *cors;
	struct http_headers headers;
};

/* ---- trafficPolicy ---- */

struct http_pool {
	int32_t max_pending, max_requests, max_requests_per_connection, max_retries,
		max_concurrent_streams;
	msecs idle_timeout;
	int h2_upgrade; /* enum h2_upgrade */
	bool use_client_protocol;
};

enum h2_upgrade { H2_UPGRADE_DEFAULT, H2_UPGRADE_NO, H2_UPGRADE_YES };

/* Counts are -1 when not given, percentages too. */
struct outlier_detection {
	int64_t consecutive_5xx, consecutive_gateway, consecutive_local_origin, consecutive_old;
	bool split_local_origin;
	msecs interval, base_ejection;
	int32_t max_ejection_percent, min_health_percent;
};

struct hash_cookie {
	const char *name, *path;
	msecs ttl;
	struct kvs attributes;
};

/* loadBalancer.consistentHash: exactly one of the keys. */
struct hash_policy {
	const char *header, *query_parameter;
	struct hash_cookie *cookie;
	bool source_ip;
	uint64_t ring_size, maglev_size; /* 0: not given */
};

#endif
