/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_REMARKS_H
#define WEFT_LIB_MODEL_REMARKS_H
/*
 * What `weft analyze` may remark about rules that are valid: a stable code for each kind, Istio's
 * own where istioctl has one.
 */
#include <jansson.h>

#include "lib/model/model.h"

struct remark {
	const char *code;
	const char *name;  /* for people: Istio's own, too, where the code is */
	const char *level; /* "error", "warning" or "info", as istioctl has it */
	const char *advice;
};

enum remark_kind {
	REMARK_NO_EFFECT, /* what errors_warn() says, and nothing more special */
	REMARK_NOT_FOUND,
	REMARK_CONFLICTING_HOSTS,
	REMARK_PORT_NEEDED,
	REMARK_NO_WORKLOAD,
	REMARK_UNREACHABLE,
	REMARK_COVERED,
	REMARK_HOST_NOT_AT_GATEWAY,
	REMARK_CONFLICTING_GATEWAYS,
	REMARK_SUBSET_WITHOUT_PODS,
	REMARK_POLICY_WITHOUT_HOST,
	REMARK_NOT_STEERED,
	REMARK_PORT_NOT_FOUND,
	REMARK_TCP_RULE_ON_HTTP,
	REMARK_HTTP_RULE_ON_TCP,
	REMARK_IGNORED_AT_GATEWAY,
	REMARK_POLICY_PART,
	REMARK_DELEGATE,
	REMARK_WEIGHTS,
	REMARK_ADDRESS_TWICE,
	REMARK_NO_CLUSTER_IP,
	REMARK_TOO_MANY_ENDPOINTS,
	REMARK_UNUSED_DELEGATE,
	REMARK_HTTP2,
	REMARK_MATCH_ELSEWHERE,
	REMARK_NOT_ENROLLED,
	REMARK_TWO_MESH_LABELS,
	REMARK_CONTRADICTION,
	REMARK_EXTERNAL_TAKEN,
	REMARK_BAD_CREDENTIAL, /* it is there, but can't be used */
	REMARK_BAD_CERTIFICATE,
	REMARK_TLS_RULE_WITHOUT_TLS,
	REMARK_CA,
	REMARK_MTLS_CONFLICT,
	REMARK_MTLS_STRANGER,
	REMARK_PEER_IGNORED,
	REMARK_STRICT_OUTSIDE,
	REMARK_TELEMETRY_IGNORED,
	REMARK_TRACING_NOWHERE,
};

/* Adds "FILE:LINE:COL: MESSAGE; ADVICE [CODE]" as a warning about an object (NULL: about weftd
 * itself), `at` being a place in its file. */
__attribute__((format(printf, 5, 6))) void errors_remark(struct errors *e, enum remark_kind kind,
							 const struct object *o, struct pos at,
							 const char *fmt, ...);

/* What kind of message it is: that of any error if it is one. Never NULL. */
const struct remark *remark_of(const struct error *e);
/* Whether it comes and goes with pods. */
bool remark_of_pods(const struct remark *r);
/* What the message is, by the code at its end. NULL: it has none. */
const struct remark *remark_of_text(const char *text);
/* The message without its place, advice and code; `*len` bytes. */
const char *remark_message(const struct error *e, size_t *len);

/* [{"code", "level", "namespace", "at", "message", "advice"}, ...], errors included; "at" is
 * "FILE:LINE:COL". The caller's reference; NULL when out of memory. */
json_t *remarks_json(const struct errors *e);

#endif
