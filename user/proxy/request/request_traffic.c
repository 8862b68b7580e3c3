// SPDX-License-Identifier: Apache-2.0
/*
 * A request that is over, among those that `http_traffic` has (weft/traffic.h).
 */
#include "proxy/request/request_traffic.h"

#include "proxy/h1/h1_chars.h"

enum { GRPC_STATUS_MAX = 16 }; /* of those that gRPC has */

struct http_traffic_key traffic_key(const struct plan *p, const struct traffic_end *end)
{
	const struct plan_traffic *t = &p->traffic;
	struct http_traffic_key key = { .source = t->source,
					.destination = end->reached ? end->peer : 0,
					.cluster = t->cluster,
					.security = TRAFFIC_SECURITY_UNKNOWN };

	key.reporters = t->mutual ? 0 : t->reporters;
	if (end->reached)
		key.security = end->mutual ? TRAFFIC_MUTUAL_TLS : TRAFFIC_PLAIN;
	if (t->mutual)
		key.security = TRAFFIC_MUTUAL_TLS;
	if (end->reached && end->in_mesh)
		key.reporters |= TRAFFIC_DESTINATION;
	return key;
}

void traffic_reach(struct traffic_end *end, const struct target *t)
{
	*end = (struct traffic_end){
		.reached = true,
		.in_mesh = t->in_mesh,
		.mutual = t->tls.peer,
		.traced = t->traced && !t->tls.peer,
		.peer = t->peer,
	};
}

/* ---- gRPC ---- */

static const struct h1_span *value_of(const struct h1_message *m, const char *name)
{
	for (size_t i = 0; i < m->header_count; i++)
		if (h1_is_nocase(m->headers[i].name, name))
			return &m->headers[i].value;
	return NULL;
}

static bool is_grpc(const struct h1_request *q)
{
	static const char type[] = "application/grpc";
	const size_t n = sizeof(type) - 1;
	const struct h1_span *is = h1_is(q->method, "POST") ? value_of(&q->m, "content-type")
							    : NULL;

	/* Behind it there may be "+proto" or parameters. */
	return is && is->n >= n && h1_is_nocase((struct h1_span){ is->p, n }, type) &&
	       (is->n == n || is->p[n] == '+' || is->p[n] == ';');
}

static uint8_t status_of(struct h1_span text)
{
	unsigned status = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (!h1_digit(text.p[i]) || status > GRPC_STATUS_MAX)
			return TRAFFIC_GRPC_NONE;
		status = status * 10 + (unsigned)(text.p[i] - '0');
	}
	return text.n && status <= GRPC_STATUS_MAX ? (uint8_t)status : TRAFFIC_GRPC_NONE;
}

void request_traffic_response(struct request *rq, const struct h1_response *r)
{
	const struct h1_span *status;

	rq->grpc = is_grpc(&rq->request);
	status = rq->grpc ? value_of(&r->m, "grpc-status") : NULL;
	rq->grpc_status = status ? status_of(*status) : TRAFFIC_GRPC_NONE;
}

void request_traffic_answer(struct request *rq, const struct plan_answer *a)
{
	rq->grpc = is_grpc(&rq->request);
	rq->grpc_status = TRAFFIC_GRPC_NONE;
	for (size_t i = 0; rq->grpc && i < a->header_count; i++)
		if (h1_is(a->headers[i].name, "grpc-status"))
			rq->grpc_status = status_of(a->headers[i].value);
}

/* ---- counting ---- */

void request_traffic_count(struct request *rq, uint64_t received, uint64_t sent)
{
	const struct plan_traffic *t = &rq->plan.traffic;
	struct traffic_sample s = { .key = traffic_key(&rq->plan, &rq->end),
				    .host = t->host.p,
				    .host_len = t->host.n,
				    .duration_us =
					    loop_now_us(rq->worker->io.loop) - rq->started_us,
				    .request_bytes = received,
				    .response_bytes = sent };

	if (!rq->planned || t->uncounted)
		return;
	s.key.flags = rq->flags;
	s.key.code = (uint16_t)rq->status;
	s.key.is_grpc = rq->grpc;
	s.key.grpc = rq->grpc ? rq->grpc_status : TRAFFIC_GRPC_NONE;
	http_worker_count(rq->worker, &s);
}
