/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_REQUEST_HEADERS_H
#define WEFT_PROXY_REQUEST_REQUEST_HEADERS_H
/*
 * The fields that a request gets on its way, as Istio's users know them from Envoy:
 *
 *   x-request-id            made (a random UUID) unless there is one
 *   x-forwarded-proto       http or https, unless there is one; at a gateway always
 *   x-forwarded-for         at a gateway: the client's address behind what is there
 *   x-forwarded-client-cert at a gateway, of a client that has shown a certificate: By, Hash, Cert,
 *                           Subject, URI and DNS, as Istio's gateways set it (SANITIZE_SET)
 *   x-envoy-internal        at a gateway, for a private address that is the only one so far
 *   x-envoy-external-address  at a gateway, for all others: the client
 *   x-envoy-original-path   when a rule rewrites the path
 *   x-envoy-attempt-count   which try it is (head_writer.c)
 *   x-b3-*, b3, traceparent a trace that is sampled is continued, whichever of the three forms it
 *                           comes in, by the span that is told of the request (request_trace.h),
 *                           whose parent is the one that came. Where none is told, what came goes
 *                           on as it is: it may be an application's own. Without any a trace
 *                           begins, in the first and the last form. Whether it is sampled the
 *                           caller says, or else its row of the snapshot (hs_tracing).
 *
 * What only the mesh may say is taken out of the request before that (docs/headers.md).
 *
 * A response gets x-envoy-upstream-service-time: milliseconds that the endpoint took for its head.
 * Other things that Envoy does are left alone: `server` is the application's, and what a rule says
 * of any of these fields comes last.
 */
#include <linux/types.h>

#include "proxy/h1/h1.h"
#include "proxy/io/random.h"
#include "proxy/io/tls.h"
#include "weft/addr.h"

enum { REQUEST_HEADERS_MAX = 13 };

/* Spans point into the request, or to the texts below. */
struct request_headers {
	size_t count;
	bool gateway;
	bool sampled;	/* the trace is, and spans are told of some pods: what follows is set */
	bool continued; /* it has come with the request: in these fields, the last ones, it goes on
			 */
	size_t trace_from, trace_end;
	struct h1_span trace_id;  /* of 16 or 32 digits */
	struct h1_span parent_id; /* of 16; empty: the trace begins here */
	struct {
		struct h1_span name; /* in lower case; the request's own are dropped, unless: */
		struct h1_span value, more; /* without value.p it is only dropped */
		bool beside;
	} fields[REQUEST_HEADERS_MAX];
	struct h1_span request_id;
	char uuid[36], trace[32];
	char span[16]; /* the innermost one here: the parent of what the endpoint does */
	char traceparent[55];
	char b3[100];
	char client[48]; /* ", " and an address */
};

struct request_headers_ask {
	const struct h1_request *request;
	struct h1_span scheme;
	bool gateway;
	struct addr client;
	const struct tls_peer *peer; /* what it has shown of itself by TLS, or NULL */
	bool mutual;		     /* it is a proxy of the mesh, for which the peer stands */
	bool rewritten;		     /* the path */
	/* How many are sampled of the traces that begin here, of HS_SAMPLING_ALL. */
	uint32_t sampling;
	bool told; /* spans may be told of it */
};

void request_headers_make(struct request_headers *a, const struct request_headers_ask *ask,
			  struct random *random);
/* Whether a span is told of the request, of all that is known by now: else a trace that has come
 * with it goes on as it came. Harmless for one that is not sampled. */
static inline void request_headers_tell(struct request_headers *a, bool told)
{
	if (a->sampled && a->continued)
		a->count = told ? a->trace_end : a->trace_from;
}
/* Whether the request's own field of that name is left out: one of them takes its place, or it says
 * what only the mesh may say. */
bool request_headers_replace(const struct request_headers *a, struct h1_span name);

#endif
