// SPDX-License-Identifier: Apache-2.0
/*
 * A decision, in the proxy's words.
 */
#include "proxy/route/router_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/grpc_status.h"

#define SPAN(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}

enum { OPS_ROOM = 16 }; /* of a list at first */

static struct h1_span h1(struct http_span s)
{
	return (struct h1_span){ s.at, s.len };
}

static struct h1_span text_of(const struct router_plan *p, struct hs_str s)
{
	return h1(hs_span(p->version->snapshot, s));
}

/* ---- header operations ---- */

static int grow(struct router_ops *list)
{
	size_t room = list->room ? list->room * 2 : OPS_ROOM;
	struct plan_op *items = reallocarray(list->items, room, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	return 0;
}

static int add_op(struct router_ops *list, enum plan_op_type type, struct h1_span name,
		  struct h1_span value)
{
	if (list->count == list->room && grow(list))
		return -ENOMEM;
	list->items[list->count++] = (struct plan_op){ type, name, value };
	return 0;
}

static int add_ops(struct router_plan *p, const struct hs_range lists[HTTP_OPS])
{
	static const enum plan_op_type types[] = {
		[HS_OP_REMOVE] = PLAN_REMOVE,
		[HS_OP_SET] = PLAN_SET,
		[HS_OP_ADD] = PLAN_ADD,
	};
	int r = 0;

	for (int i = 0; i < HTTP_OPS; i++)
		for (uint32_t k = 0; !r && k < lists[i].count; k++) {
			const struct hs_op *op = hs_op(p->version->snapshot, lists[i].first + k);

			r = add_op(&p->ops, types[op->type], text_of(p, op->name),
				   text_of(p, op->value));
		}
	return r;
}

static int add_cors(const struct router_plan *p, struct router_ops *to, enum plan_op_type type)
{
	struct http_field fields[HTTP_CORS_FIELDS];
	size_t n = http_cors_fields(p->version->snapshot, &p->decision, fields);
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = add_op(to, type, h1(fields[i].name), h1(fields[i].value));
	return r;
}

static int add_cookie(struct router_plan *p)
{
	if (!p->cookie_len)
		return 0;
	return add_op(&p->ops, PLAN_ADD, (struct h1_span)SPAN("set-cookie"),
		      (struct h1_span){ p->cookie, p->cookie_len });
}

static int fill_ops(struct router_plan *p, struct plan *out)
{
	int r = add_ops(p, p->decision.request);
	size_t n = p->ops.count;

	if (!r)
		r = add_ops(p, p->decision.response);
	if (!r)
		r = add_cors(p, &p->ops, PLAN_SET);
	if (!r)
		r = add_cookie(p);
	if (r || !p->ops.count)
		return r;
	out->request = (struct plan_ops){ p->ops.items, n };
	out->response = (struct plan_ops){ p->ops.items + n, p->ops.count - n };
	return 0;
}

/* ---- texts ---- */

typedef long (*writer)(const struct http_snapshot *s, const struct http_decision *d,
		       const struct http_request *q, char *out, size_t size);

static int write_text(const struct router_plan *p, struct buffer_pool *buffers, struct plan *out,
		      writer write, struct h1_span *text)
{
	static const size_t rooms[] = { 4 * 1024, BUF_BIG };
	long n = -ENOSPC;
	int r = 0;

	for (size_t i = 0; !r && n == -ENOSPC && i < 2; i++) {
		r = buf_reserve(buffers, &out->text, rooms[i], BUF_BIG);
		if (!r)
			n = write(p->version->snapshot, &p->decision, &p->request, out->text.bytes,
				  buf_room(&out->text));
	}
	if (r || n < 0)
		return r ? r : (int)n;
	out->text.end = (uint32_t)n;
	*text = (struct h1_span){ out->text.bytes, (size_t)n };
	return 0;
}

/* Rules could make something of a path that is none any more. */
static bool good_path(struct h1_span path)
{
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= ' ' || path.p[i] == 0x7f)
			return false;
	return path.n && (*path.p == '/' || h1_is(path, "*"));
}

static int fill_path(struct router_plan *p, struct buffer_pool *buffers, struct plan *out)
{
	const struct hs_action *a = p->decision.route;
	int r;

	out->path = h1(p->request.path);
	if (!a || (!a->rewrite.len && a->rewrite_regex == HS_NONE))
		return 0;
	r = write_text(p, buffers, out, http_path, &out->path);
	return r || good_path(out->path) ? r : -EINVAL;
}

/* ---- answers ---- */

static int add_header(struct router_plan *p, struct h1_span name, struct h1_span value)
{
	return add_op(&p->headers, PLAN_ADD, name, value);
}

/* Whether a later operation of the list takes it away again. */
static bool undone(const struct plan_ops *ops, size_t i)
{
	for (size_t k = i + 1; k < ops->count; k++)
		if (ops->items[k].type != PLAN_ADD &&
		    h1_same_nocase(ops->items[k].name, ops->items[i].name))
			return true;
	return false;
}

static int add_response_headers(struct router_plan *p, const struct plan *out)
{
	int r = 0;

	for (size_t i = 0; !r && i < out->response.count; i++)
		if (out->response.items[i].type != PLAN_REMOVE && !undone(&out->response, i))
			r = add_header(p, out->response.items[i].name,
				       out->response.items[i].value);
	return r;
}

static void answer(struct router_plan *p, struct plan *out, const char *flags, const char *details)
{
	out->action = PLAN_ANSWER;
	out->answer = (struct plan_answer){ .status = p->decision.status,
					    .headers = p->headers.items,
					    .header_count = p->headers.count,
					    .flags = flags,
					    .details = details };
}

static int answer_redirect(struct router_plan *p, struct buffer_pool *buffers, struct plan *out)
{
	struct h1_span location;
	int r = write_text(p, buffers, out, http_location_text, &location);

	if (!r)
		r = add_header(p, (struct h1_span)SPAN("location"), location);
	if (!r)
		r = add_response_headers(p, out);
	answer(p, out, "-", "direct_response");
	return r;
}

static int answer_direct(struct router_plan *p, struct plan *out)
{
	const struct hs_action *a = p->decision.route;
	int r = add_response_headers(p, out);

	answer(p, out, "-",
	       p->decision.cors == HTTP_CORS_PREFLIGHT ? "cors_response" : "direct_response");
	if (p->decision.cors != HTTP_CORS_PREFLIGHT && a && a->type == HS_DIRECT_RESPONSE)
		out->answer.body = text_of(p, a->body);
	return r;
}

static int grpc_status(struct h1_span name)
{
	const int unknown = 2;
	int status = grpc_status_parse(name.p, name.n);

	return status < 0 ? unknown : status;
}

static const char *const digits[] = { "0", "1",	 "2",  "3",  "4",  "5",	 "6",  "7", "8",
				      "9", "10", "11", "12", "13", "14", "15", "16" };

static int add_grpc_status(struct router_plan *p, struct h1_span message)
{
	const char *n = digits[grpc_status(text_of(p, p->decision.route->abort_grpc))];
	int r = add_header(p, (struct h1_span)SPAN("content-type"),
			   (struct h1_span)SPAN("application/grpc"));

	if (!r)
		r = add_header(p, (struct h1_span)SPAN("grpc-status"),
			       (struct h1_span){ n, strlen(n) });
	if (!r)
		r = add_header(p, (struct h1_span)SPAN("grpc-message"), message);
	return r;
}

static int answer_abort(struct router_plan *p, struct plan *out)
{
	static const struct h1_span body = SPAN("fault filter abort");
	int r = p->decision.status ? 0 : add_grpc_status(p, body);

	/* A page from elsewhere is to be told as well; the route's own headers are for its answers.
	 */
	if (!r)
		r = add_cors(p, &p->headers, PLAN_ADD);
	answer(p, out, "FI", "fault_filter_abort");
	if (p->decision.status)
		out->answer.body = body;
	else
		out->answer.status = 200;
	return r;
}

/* ---- retries ---- */

static uint32_t retry_on(uint32_t on)
{
	static const struct {
		uint32_t snapshot, plan;
	} bits[] = {
		{ HS_RETRY_5XX, PLAN_RETRY_5XX },
		{ HS_RETRY_GATEWAY_ERROR, PLAN_RETRY_GATEWAY_ERROR },
		{ HS_RETRY_RESET, PLAN_RETRY_RESET },
		{ HS_RETRY_CONNECT_FAILURE, PLAN_RETRY_CONNECT_FAILURE },
		{ HS_RETRY_RETRIABLE_4XX, PLAN_RETRY_4XX },
		{ HS_RETRY_RESET_BEFORE_REQUEST, PLAN_RETRY_RESET_BEFORE_REQUEST },
		{ HS_RETRY_ENVOY_RATELIMITED, PLAN_RETRY_RATELIMITED },
		{ HS_RETRY_CANCELLED, PLAN_RETRY_CANCELLED },
		{ HS_RETRY_DEADLINE_EXCEEDED, PLAN_RETRY_DEADLINE_EXCEEDED },
		{ HS_RETRY_INTERNAL, PLAN_RETRY_INTERNAL },
		{ HS_RETRY_RESOURCE_EXHAUSTED, PLAN_RETRY_RESOURCE_EXHAUSTED },
		{ HS_RETRY_UNAVAILABLE, PLAN_RETRY_UNAVAILABLE },
	};
	uint32_t out = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
		if (on & bits[i].snapshot)
			out |= bits[i].plan;
	return out;
}

_Static_assert(sizeof(struct hs_status) == sizeof(uint32_t),
	       "a row of statuses is a list of numbers");

static void fill_retries(const struct router_plan *p, struct plan *out)
{
	const struct hs_retries *r = &p->decision.route->retries;

	out->retries = r->attempts;
	out->retry_on = retry_on(r->on);
	out->per_try_timeout_ms = r->per_try_timeout_ms;
	out->backoff_ms = r->backoff_ms;
	if (!r->statuses.count)
		return;
	out->retry_statuses = &hs_status(p->version->snapshot, r->statuses.first)->status;
	out->retry_status_count = r->statuses.count;
}

/* pick_mirror() decides for each mirror whether it gets a copy. A request whose Host is too long
 * for a name is not copied. */
static void fill_mirrors(struct router_plan *p, struct plan *out)
{
	const struct hs_range *m = &p->decision.route->mirrors;
	long n = m->count ? http_shadow(&p->decision, p->shadow, sizeof(p->shadow)) : -ENOENT;

	if (n < 0)
		return;
	out->mirror_authority = (struct h1_span){ p->shadow, (size_t)n };
	out->mirror_count = m->count;
}

static struct http_cluster_stat *cluster_stat(const struct router_plan *p)
{
	const struct router_version *v = p->version;
	const struct hs_cluster *c = p->decision.cluster;

	return c && c->lb != LB_PASSTHROUGH ? v->clusters[c - hs_cluster(v->snapshot, 0)]->stat
					    : v->passthrough;
}

static struct http_route_stat *route_stat(const struct router_plan *p)
{
	const struct router_version *v = p->version;
	const struct hs_action *a = p->decision.route;

	return a ? v->routes[hs_action_number(v->snapshot, a)]->stat : v->allow_any;
}

static void count(const struct router_plan *p, struct plan *out)
{
	const struct http_decision *d = &p->decision;
	struct http_route_stat *s = route_stat(p);

	if (!d->route && d->action != HTTP_ROUTE && d->action != HTTP_PASSTHROUGH)
		return;
	out->route = s;
	stat_inc(&s->rq_total);
	if (d->delay_ms)
		stat_inc(&s->delays_injected);
	if (d->aborted)
		stat_inc(&s->aborts_injected);
	else if (d->action == HTTP_REDIRECT)
		stat_inc(&s->rq_redirect);
	else if (d->action == HTTP_DIRECT_RESPONSE && d->route->type == HS_DIRECT_RESPONSE)
		stat_inc(&s->rq_direct_response);
}

static int forward(struct router_plan *p, struct buffer_pool *buffers, struct plan *out)
{
	out->action = PLAN_FORWARD;
	out->count_tries = true;
	out->authority = h1(p->decision.authority);
	out->cluster = cluster_stat(p);
	if (p->decision.route) {
		out->timeout_ms = p->decision.route->timeout_ms;
		fill_retries(p, out);
		fill_mirrors(p, out);
	}
	return fill_path(p, buffers, out);
}

int router_plan_fill(struct router_plan *p, struct buffer_pool *buffers, struct plan *out)
{
	const struct http_decision *d = &p->decision;
	int r = fill_ops(p, out);

	count(p, out);
	out->delay_ms = d->delay_ms;
	out->identify = true;
	out->gateway = d->listener && d->listener->scope == SCOPE_NODE;
	out->scheme = h1(p->request.scheme);
	if (r)
		return r;
	if (d->aborted)
		return answer_abort(p, out);
	switch (d->action) {
	case HTTP_ROUTE:
	case HTTP_PASSTHROUGH:
		return forward(p, buffers, out);
	case HTTP_REDIRECT:
		return answer_redirect(p, buffers, out);
	case HTTP_DIRECT_RESPONSE:
		return answer_direct(p, out);
	case HTTP_NOT_FOUND:
		answer(p, out, "NR", "route_not_found");
		return 0;
	case HTTP_BLOCKED:
		answer(p, out, "-", "direct_response");
		return 0;
	case HTTP_MISDIRECTED:
		answer(p, out, "NR", "misdirected_request");
		out->answer.last = !d->server; /* no request on this connection can be answered */
		return 0;
	default:
		answer(p, out, "NC", "cluster_not_found");
		out->answer.status = 503;
		return 0;
	}
}

void router_plan_fill_tunnel(const struct router_plan *p, struct plan *out)
{
	out->route = route_stat(p);
	stat_inc(&out->route->cx_total);
	if (p->decision.action != HTTP_ROUTE && p->decision.action != HTTP_PASSTHROUGH)
		return; /* no_rules says it: its cluster is not there */
	out->action = PLAN_FORWARD;
	out->cluster = cluster_stat(p);
}
