/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_REQUEST_TRACE_H
#define WEFT_PROXY_REQUEST_REQUEST_TRACE_H
/*
 * The spans of a request whose trace is sampled, as Istio's sidecars would tell them: one of who
 * calls, or of the Gateway, and within it one of the endpoint. Each is told where it is known best:
 * this weft-proxy makes both where it has both ends; where it calls the weft-proxy of another node
 * by mutual TLS, that one makes the endpoint's. The endpoint gets the id of the innermost one
 * (headers.span). Of several tries only the last has a span.
 *
 * Of a request that is not sampled nothing here is called but request_is_traced(): it costs a test.
 */
#include "proxy/request/request.h"

/* Whether spans may be told of a request, by what is known before it has an endpoint. */
bool request_is_traced(const struct request *rq);
/* Whether one is, now that rq->target is chosen. */
bool request_trace_tells(const struct request *rq);
/* The last try has reached its endpoint. */
void request_trace_reach(struct request *rq);
/* It is over, and sampled: tells its spans, if there are any. */
void request_trace(struct request *rq);

#endif
