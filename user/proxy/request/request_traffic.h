/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_REQUEST_TRAFFIC_H
#define WEFT_PROXY_REQUEST_REQUEST_TRAFFIC_H
/*
 * Requests and connections without any, as `http_traffic` has them (weft/traffic.h).
 */
#include "proxy/request/request.h"

/* The last try has reached its target: the request, or the connection, is the endpoint's. */
void traffic_reach(struct traffic_end *end, const struct target *t);
/* Who has talked to whom; the rest of the key is the caller's to fill in. */
struct http_traffic_key traffic_key(const struct plan *p, const struct traffic_end *end);

/* The response that the client gets, from an endpoint or of the proxy's own. */
void request_traffic_response(struct request *rq, const struct h1_response *r);
void request_traffic_answer(struct request *rq, const struct plan_answer *a);
/* It is over; bytes of its body and of the response's. */
void request_traffic_count(struct request *rq, uint64_t received, uint64_t sent);

#endif
