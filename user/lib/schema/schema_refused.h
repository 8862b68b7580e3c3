/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_SCHEMA_REFUSED_H
#define WEFT_LIB_SCHEMA_SCHEMA_REFUSED_H
/*
 * What weft understands and has no way to honour, in one place: docs/unsupported.md has each of
 * them. What depends on more than the object itself (HTTP parts at a port that is not TCP) is
 * refused by compile().
 */
enum refused {
	REFUSED_NOTHING,
	REFUSED_SERVICE_ENTRY,
	REFUSED_SOURCE_SUBNET,
	REFUSED_JWT_CLAIMS,
	REFUSED_REDIRECT_CODE,
	REFUSED_EXPONENTIAL_DELAY,
	REFUSED_HTTP2_ERROR,
	REFUSED_STAT_PREFIX,
	REFUSED_HEADER_EXPRESSION,
	REFUSED_WORKLOAD_SELECTOR,
	REFUSED_LOCALITY,
	REFUSED_ZONE_AWARE,
	REFUSED_HASH_WITHOUT_KEY,
	REFUSED_WARMUP,
	REFUSED_DESTINATION_TLS,
	REFUSED_TUNNEL,
	REFUSED_PROXY_PROTOCOL,
	REFUSED_H2_UPGRADE,
	REFUSED_HTTP2_KEEPALIVE,
	REFUSED_PASSTHROUGH_POOL,
	REFUSED_PASSTHROUGH_SUBSET,
	REFUSED_GATEWAY_PROTOCOL,
	REFUSED_GATEWAY_TLS,
	REFUSED_CREDENTIAL_NAMES,
	REFUSED_TLS_CERTIFICATES,
	REFUSED_CA_CREDENTIAL,
	REFUSED_UNIX_BIND,
	REFUSED_MAX,
};

struct refusal {
	const char *kind; /* of the object */
	const char *what; /* the field, and its value where only some are refused */
	const char *why;
};

extern const struct refusal schema_refused[REFUSED_MAX];

#endif
