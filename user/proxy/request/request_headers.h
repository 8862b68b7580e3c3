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
 *   x-b3-*, b3, traceparent a trace is continued, whichever of the three forms it comes in: with
 *                           a span of its own, whose parent is the one that came. Without one a
 *                           trace begins, in the first and the last form, of which one in a
 *                           hundred is sampled.
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
	struct {
		struct h1_span name; /* in lower case; the request's own are dropped, unless: */
		struct h1_span value, more; /* without value.p it is only dropped */
		bool beside;
	} fields[REQUEST_HEADERS_MAX];
	struct h1_span request_id;
	char uuid[36], trace[32], span[16];
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
};

void request_headers_make(struct request_headers *a, const struct request_headers_ask *ask,
			  struct random *random);
/* Whether the request's own field of that name is left out: one of them takes its place, or it says
 * what only the mesh may say. */
bool request_headers_replace(const struct request_headers *a, struct h1_span name);

#endif
