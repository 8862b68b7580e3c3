// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/tunnel.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/response_flags.h"
#include "proxy/request/request_traffic.h"

enum {
	CONNECT_MS = 10 * 1000,
	COUNT_BYTES = 64 * 1024, /* from which on what was moved is counted at once */
};

/* ---- its timer ---- */

static void timer_fired(struct loop_timer *timer)
{
	struct tunnel *t = (struct tunnel *)((char *)timer - offsetof(struct tunnel, timer));

	t->fired = true;
	t->changed(t);
}

static void wait(struct tunnel *t, uint64_t ms)
{
	t->fired = false;
	loop_timer_set(t->worker->io.loop, &t->timer, ms);
}

static uint64_t now(const struct tunnel *t)
{
	return loop_now(t->worker->io.loop);
}

/* ---- who talks to whom ---- */

/* Counts what is new since the last time. `opened` or `closed`: likewise that; where it was never
 * opened, it is both. */
static void count_traffic(struct tunnel *t, bool opened, bool closed)
{
	const struct half *client = &t->down->half;
	struct traffic_sample s = { .key = traffic_key(&t->plan, &t->end),
				    .host = t->plan.traffic.host.p,
				    .host_len = t->plan.traffic.host.n,
				    .requests = opened || (closed && !t->end.reached),
				    .closed = closed,
				    .request_bytes = client->received - t->received,
				    .response_bytes = client->sent - t->sent };

	t->received = client->received;
	t->sent = client->sent;
	if (t->plan.traffic.uncounted || !t->plan.data)
		return;
	s.key.is_tcp = 1;
	s.key.grpc = TRAFFIC_GRPC_NONE;
	s.key.flags = closed ? t->flags : 0;
	http_worker_count(t->worker, &s);
}

/* ---- its end ---- */

static void end_try(struct tunnel *t, enum outcome outcome, bool broken)
{
	struct router *r = t->worker->router;
	struct upstream *up = t->up;

	t->up = NULL;
	if (broken)
		upstream_reset(up);
	else
		upstream_close(up);
	if (!t->picked)
		return;
	t->picked = false;
	r->done(r, &t->plan, &t->target, outcome, 0);
}

/* What either side gets is a reset: an orderly end could be taken for the other side's. */
static enum step cut_off(struct tunnel *t, enum outcome outcome, const char *flag)
{
	flags_add(&t->flags, flag);
	end_try(t, outcome, true);
	half_reset(&t->down->half);
	return STEP_END;
}

/* There is no other try, which Envoy says, too. */
static enum step not_connected(struct tunnel *t, enum outcome outcome)
{
	flags_add(&t->flags, "URX");
	return cut_off(t, outcome, "UF");
}

/* ---- the connection to the endpoint ---- */

/* Requests of the same cluster may have left an unused connection. */
static bool may_connect(struct tunnel *t)
{
	struct limit *l = t->target.limit;
	uint32_t max = t->target.max.connections;

	return !l || limit_connect(l, max) ||
	       (upstreams_close_idle(&t->worker->upstreams, l) && limit_connect(l, max));
}

static enum step overflow(struct tunnel *t)
{
	stat_inc(&t->target.stat->upstream_cx_overflow);
	return cut_off(t, OUTCOME_ABANDONED, "UO");
}

static void up_changed(struct upstream *u)
{
	struct tunnel *t = u->owner;

	t->changed(t);
}

/* Mutual TLS without an identity of the caller's says nothing about the endpoint. */
static enum step broken(struct tunnel *t)
{
	static const char *const details[] = {
		[TARGET_NO_CLIENT] = "no_certificate",
		[TARGET_NO_IDENTITY] = "no_identity",
		[TARGET_NOT_IN_MESH] = "not_in_mesh",
	};
	enum target_broken why = t->target.tls.broken;

	t->details = details[why];
	return not_connected(t, why == TARGET_NO_IDENTITY ? OUTCOME_ABANDONED : OUTCOME_CONNECT);
}

static enum step reach(struct tunnel *t)
{
	struct upstreams *pool = &t->worker->upstreams;
	const struct target *target = &t->target;
	struct addr from = upstream_source(pool, target, &t->down->client_addr, &t->down->called);

	if (target->closed) {
		stat_inc(&target->stat->network_policy);
		t->details = "network_policy";
		return not_connected(t, OUTCOME_ABANDONED);
	}
	if (target->tls.broken)
		return broken(t);
	if (!may_connect(t))
		return overflow(t);
	if (upstream_connect(pool, target, &from, &t->up))
		return not_connected(t, OUTCOME_CONNECT);
	t->up->owner = t;
	t->up->changed = up_changed;
	t->state = TUNNEL_CONNECT;
	wait(t, target->connect_timeout_ms ? target->connect_timeout_ms : CONNECT_MS);
	return STEP_AGAIN;
}

/* By the endpoint's AuthorizationPolicies. */
static bool is_denied(struct tunnel *t)
{
	struct router *r = t->worker->router;
	struct route_rbac rbac = { 0 };
	bool allowed = !r->allows || r->allows(r, &t->plan, NULL, &t->target, &rbac);

	t->audit = rbac.audit;
	if (!allowed)
		t->details = rbac.details;
	return !allowed;
}

static enum step pick(struct tunnel *t)
{
	struct router *r = t->worker->router;
	enum pick p;

	if (t->plan.action == PLAN_ANSWER) {
		t->details = t->plan.answer.details;
		return cut_off(t, OUTCOME_ABANDONED, t->plan.answer.flags);
	}
	p = r->pick(r, &t->plan, 0, &t->target);
	if (p == PICK_NONE)
		stat_inc(&t->plan.cluster->upstream_cx_none_healthy);
	if (p != PICK_OK)
		return cut_off(t, OUTCOME_ABANDONED, p == PICK_NONE ? "UH" : "NC");
	t->picked = true;
	t->target.opaque = true;
	t->endpoint = t->target.addr;
	t->endpoint_port = t->target.port;
	return is_denied(t) ? cut_off(t, OUTCOME_ABANDONED, "-") : reach(t);
}

/* When it is to be looked at next, whatever happens. */
static void wait_for_end(struct tunnel *t)
{
	uint64_t idle = t->target.tunnel_idle_ms, most = t->target.max_duration_ms;
	uint64_t at = idle ? t->moved_at + idle : UINT64_MAX;

	if (most && t->opened + most < at)
		at = t->opened + most;
	if (at != UINT64_MAX)
		wait(t, at > now(t) ? at - now(t) : 1);
	else
		loop_timer_clear(t->worker->io.loop, &t->timer);
}

static enum step open_up(struct tunnel *t)
{
	struct router *r = t->worker->router;
	struct half *client = &t->down->half;

	t->state = TUNNEL_OPEN;
	t->opened = t->moved_at = now(t);
	t->local = t->up->conn->local;
	t->local_port = t->up->conn->local_port;
	if (r->reached)
		r->reached(r, &t->plan);
	traffic_reach(&t->end, &t->target);
	count_traffic(t, true, false);
	body_begin(client, H1_TUNNEL, 0);
	body_begin(&t->up->half, H1_TUNNEL, 0);
	client->readable = true; /* what was only looked at has no event left */
	wait_for_end(t);
	return STEP_AGAIN;
}

static enum step step_connect(struct tunnel *t)
{
	int r = upstream_connected(t->up);

	if (t->down->half.broken)
		return cut_off(t, OUTCOME_ABANDONED, "DC");
	if (!r)
		return open_up(t);
	if (r != -EAGAIN)
		return not_connected(t, OUTCOME_CONNECT);
	if (!t->fired)
		return STEP_WAIT;
	stat_inc(&t->target.stat->upstream_cx_connect_timeout);
	return not_connected(t, OUTCOME_CONNECT);
}

/* ---- bytes ---- */

/* Takes note of what has moved since. */
static void look(struct tunnel *t)
{
	const struct half *client = &t->down->half, *up = &t->up->half;
	uint64_t sum = client->received + client->sent + up->received + up->sent;

	if (sum != t->moved)
		t->moved_at = now(t);
	t->moved = sum;
	if (sum - t->counted < COUNT_BYTES)
		return;
	t->counted = sum;
	upstream_count(t->up);
	count_traffic(t, false, false);
}

/* Each side is told of the end in an orderly way; the client by its owner, who closes it. */
static enum step time_is_over(struct tunnel *t, const char *flag, const char *details)
{
	flags_add(&t->flags, flag);
	t->details = details;
	half_shut(&t->down->half);
	end_try(t, OUTCOME_ABANDONED, false);
	return STEP_END;
}

/* STEP_WAIT: it is not. */
static enum step look_at_time(struct tunnel *t)
{
	uint64_t idle = t->target.tunnel_idle_ms, most = t->target.max_duration_ms;

	if (idle && now(t) - t->moved_at >= idle) {
		stat_inc(&t->target.stat->upstream_cx_idle_timeout);
		return time_is_over(t, "SI", "idle_timeout");
	}
	if (most && now(t) - t->opened >= most)
		return time_is_over(t, "-", "max_duration_timeout");
	wait_for_end(t);
	return STEP_WAIT;
}

/* One direction; the other may still have something to say. */
static enum relay pass_on(struct half *from, struct half *to)
{
	enum relay r = relay(from, to);

	if (r == RELAY_DONE)
		half_shut(to);
	return r;
}

/* A side that has said all it has to say is not read from: that it is gone shows nowhere else. */
static bool is_cut(const struct half *side, enum relay from)
{
	return from >= RELAY_BAD || (from == RELAY_DONE && side->broken);
}

static enum step step_open(struct tunnel *t)
{
	struct half *client = &t->down->half, *up = &t->up->half;
	/* An endpoint may have said why before it stopped listening. */
	enum relay back = pass_on(up, client), there = pass_on(client, up);

	look(t);
	if (there == RELAY_DONE && back == RELAY_DONE) {
		end_try(t, OUTCOME_ABANDONED, false);
		return STEP_END;
	}
	if (is_cut(client, there) || is_cut(up, back))
		return cut_off(t, OUTCOME_ABANDONED, client->broken ? "DC" : "UC");
	if (t->fired && look_at_time(t) == STEP_END)
		return STEP_END;
	return there == RELAY_AGAIN || back == RELAY_AGAIN ? STEP_LATER : STEP_WAIT;
}

enum step tunnel_run(struct tunnel *t)
{
	static enum step (*const steps[])(struct tunnel * t) = {
		[TUNNEL_PICK] = pick,
		[TUNNEL_CONNECT] = step_connect,
		[TUNNEL_OPEN] = step_open,
	};

	return steps[t->state](t);
}

/* ---- memory ---- */

int tunnel_new(struct http_worker *w, struct downstream *down, const struct plan *plan,
	       struct h1_span name, struct tunnel **out)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	struct plan copy = *plan;

	if (!t) {
		w->router->release(w->router, &copy);
		return -ENOMEM;
	}
	t->worker = w;
	t->down = down;
	t->plan = copy;
	t->timer.fire = timer_fired;
	t->started = loop_now(w->io.loop);
	if (name.n && name.n < sizeof(t->name))
		memcpy(t->name, name.p, name.n);
	t->next = w->tunnels;
	t->link = &w->tunnels;
	if (t->next)
		t->next->link = &t->next;
	w->tunnels = t;
	*out = t;
	return 0;
}

static void write_log(const struct tunnel *t)
{
	const struct worker_options *o = &t->worker->options;
	const struct downstream *d = t->down;
	char flags[FLAGS_TEXT];
	const struct access_entry e = {
		.tls = d->tls,
		.plan = &t->plan,
		.flags = flags_text(t->flags, flags),
		.details = t->details,
		.audit = t->audit,
		.received = d->half.received,
		.sent = d->half.sent,
		.duration_ms = now(t) - t->started,
		.service_ms = -1,
		.tries = t->endpoint_port ? 1 : 0,
		.client = d->client_addr,
		.called = d->called,
		.local = t->local,
		.endpoint = t->endpoint,
		.client_port = d->client_port,
		.called_port = d->called_port,
		.local_port = t->local_port,
		.endpoint_port = t->endpoint_port,
		.server_name = { *t->name ? t->name : NULL, strlen(t->name) },
	};

	if (!o->log || (o->log_wants && !o->log_wants(o->log_arg, now(t))))
		return;
	o->log(o->log_arg, &e);
	t->worker->unflushed = true;
}

/* By neither side: the worker ends, or its time to drain is over. */
static void end_unasked(struct tunnel *t)
{
	t->details = "drain_time";
	(void)cut_off(t, OUTCOME_ABANDONED, "DT");
}

void tunnel_free(struct tunnel *t)
{
	if (!t)
		return;
	if (t->up)
		end_unasked(t);
	write_log(t);
	count_traffic(t, false, true);
	t->worker->router->release(t->worker->router, &t->plan);
	loop_timer_clear(t->worker->io.loop, &t->timer);
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	free(t);
}
