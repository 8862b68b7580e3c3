/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/datapath/counters.h"
#include "lib/base/bytemap.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/http_stat_fields.h"

/* What is known of a cluster beside the kernel's counters. */
struct cluster_rest {
	const char *name;
	struct http_cluster_stat *http; /* owned, or NULL */
	__u64 members;
	/* As they are in force; 0: unlimited. */
	__u32 max_connections, max_requests, max_pending;
	bool has_members, has_requests;
	bool told; /* with the kernel's counters */
};

struct walk {
	int (*each)(void *arg, const struct statistic *s);
	void *arg;
	struct bytemap clusters; /* by name */
	struct cluster_rest *rests;
	size_t count;
};

static void walk_free(struct walk *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->rests[i].http);
	free(w->rests);
	bytemap_free(&w->clusters);
}

static int tell(struct walk *w, const char *of, const char *owner, const char *name, bool gauge,
		__u64 value)
{
	return w->each(
		w->arg,
		&(struct statistic){
			.of = of, .owner = owner, .name = name, .gauge = gauge, .value = value });
}

static int tell_histogram(struct walk *w, const char *of, const char *owner,
			  const struct histogram *h)
{
	return w->each(w->arg, &(struct statistic){ .of = of,
						    .owner = owner,
						    .name = "upstream_rq_time",
						    .histogram = h });
}

/* ---- clusters ---- */

/* The name is borrowed for as long as the walk. */
static struct cluster_rest *rest_of(struct walk *w, const char *name)
{
	void **at = bytemap_at(&w->clusters, name, strlen(name));

	if (!at)
		return NULL;
	if (!*at) {
		w->rests[w->count].name = name;
		*at = &w->rests[w->count++];
	}
	return *at;
}

/* Those that are past their time are back, though weft-proxy counts them out until it looks. */
static __u64 still_out(const struct http_cluster_stat *s)
{
	__u64 now_ms = clock_ms(), over = 0, out = gauge_sum(s->ejections_active);

	for (size_t i = 0; i < HTTP_EJECTED_MAX; i++)
		over += s->ejected[i].back_ds && s->ejected[i].back_ds * 100ull <= now_ms;
	return out > over ? out - over : 0;
}

static int note_http(void *arg, const struct http_cluster_stat *s)
{
	struct http_cluster_stat *copy = malloc(sizeof(*copy));
	struct cluster_rest *rest;

	if (!copy)
		return -ENOMEM;
	*copy = *s;
	memset(copy->ejections_active, 0, sizeof(copy->ejections_active));
	copy->ejections_active[0] = (__u32)still_out(s);
	rest = rest_of(arg, copy->name);
	if (!rest || rest->http) {
		free(copy);
		return rest ? 0 : -ENOMEM;
	}
	rest->http = copy;
	return 0;
}

/* The kernel's tables have a cluster once for each family, the proxy's has both in one; a cluster
 * may be in either or in both. */
static int note_members(struct walk *w, const struct tables *t)
{
	const struct hs_cluster *c;
	struct cluster_rest *rest;

	for (size_t i = 0; i < t->clusters.count; i++) {
		rest = rest_of(w, t->cluster_names.items[i]);
		if (!rest)
			return -ENOMEM;
		rest->members += t->clusters.items[i].ep_count;
		rest->max_connections = t->clusters.items[i].max_connections;
		rest->has_members = true;
	}
	for (__u32 i = 0; i < http_rows(t, HS_CLUSTERS); i++) {
		c = hs_cluster(t->http, i);
		rest = rest_of(w, hs_text(t->http, c->name));
		if (!rest)
			return -ENOMEM;
		rest->members = http_members(t->http, c).count;
		rest->max_connections = c->max_connections;
		rest->max_requests = c->max_requests;
		rest->max_pending = c->max_pending;
		rest->has_members = rest->has_requests = true;
	}
	return 0;
}

static int note_rests(struct walk *w, struct kernel *k, const struct tables *t)
{
	size_t most = HTTP_STAT_ROWS + (t ? t->clusters.count + http_rows(t, HS_CLUSTERS) : 0);
	int r;

	w->rests = calloc(most, sizeof(*w->rests));
	if (!w->rests)
		return -ENOMEM;
	r = t ? note_members(w, t) : 0;
	return r ? r : kernel_each_http_cluster(k, note_http, w);
}

/* Of a counter of the kernel's: what the proxy counts under the same name. */
static __u64 http_share(const struct cluster_rest *rest, const char *name)
{
	if (!rest || !rest->http)
		return 0;
	for (const struct stat_field *f = http_cluster_fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return stat_value(f, rest->http);
	return 0;
}

static int tell_open(struct walk *w, const struct cluster_rest *rest, const char *name,
		     __u64 active, __u32 limit)
{
	return tell(w, "cluster", rest->name, name, true, limit && active >= limit);
}

/* What follows from other statistics and from the limits. "Open": nothing more is let in. */
static int tell_derived(struct walk *w, const struct cluster_rest *rest, __u64 connections)
{
	__u64 ejected = http_share(rest, "outlier_detection.ejections_active");
	int r = tell(w, "cluster", rest->name, "membership_total", true, rest->members);

	if (!r)
		r = tell(w, "cluster", rest->name, "membership_healthy", true,
			 rest->members > ejected ? rest->members - ejected : 0);
	if (!r)
		r = tell_open(w, rest, "circuit_breakers.default.cx_open", connections,
			      rest->max_connections);
	if (r || !rest->has_requests)
		return r;
	r = tell_open(w, rest, "circuit_breakers.default.rq_open",
		      http_share(rest, "upstream_rq_active"), rest->max_requests);
	return r ? r
		 : tell_open(w, rest, "circuit_breakers.default.rq_pending_open",
			     http_share(rest, "upstream_rq_pending_active"), rest->max_pending);
}

/* Its counters whose names are not among `told`. `steered`: its connections beside the proxy's. */
static int tell_rest(struct walk *w, const struct cluster_rest *rest, __u64 steered,
		     const char *const *told)
{
	int r = 0;

	if (rest->has_members)
		r = tell_derived(w, rest, steered + http_share(rest, "upstream_cx_active"));
	if (r || !rest->http)
		return r;
	for (const struct stat_field *f = http_cluster_fields; !r && f->name; f++) {
		const char *const *at = told;

		while (*at && strcmp(*at, f->name) != 0)
			at++;
		if (!*at)
			r = tell(w, "cluster", rest->name, f->name, f->gauge,
				 stat_value(f, rest->http));
	}
	return r ? r : tell_histogram(w, "cluster", rest->name, &rest->http->upstream_rq_time);
}

/* The proxy counts its own connections, those without a limit, too. */
static int tell_cluster(void *arg, __u32 id, const struct cluster_stat *s,
			const struct cluster_limit *l)
{
	static const char *const names[] = {
		"upstream_cx_active",
		"upstream_cx_peak",
		"upstream_cx_total",
		"upstream_cx_overflow",
		"upstream_cx_connect_fail",
		"upstream_cx_none_healthy",
		"upstream_cx_rx_bytes_total",
		"upstream_cx_tx_bytes_total",
		NULL,
	};
	const __u64 values[] = { l->steered,	  l->peak,	   s->cx_total, s->overflow,
				 s->connect_fail, s->none_healthy, s->rx_bytes, s->tx_bytes };
	struct walk *w = arg;
	struct cluster_rest *rest = bytemap_str(&w->clusters, s->name);
	int r = 0;

	(void)id;
	for (int i = 0; !r && names[i]; i++) /* the first two are gauges */
		r = tell(w, "cluster", s->name, names[i], i < 2,
			 values[i] + http_share(rest, names[i]));
	if (r || !rest)
		return r;
	rest->told = true;
	return tell_rest(w, rest, l->steered, names);
}

static int tell_clusters(struct walk *w, struct kernel *k, const struct tables *t)
{
	static const char *const none[] = { NULL };
	int r = note_rests(w, k, t);

	if (!r)
		r = kernel_each_cluster(k, tell_cluster, w);
	for (size_t i = 0; !r && i < w->count; i++)
		if (!w->rests[i].told)
			r = tell_rest(w, &w->rests[i], 0, none);
	return r;
}

/* ---- the others ---- */

static int tell_endpoint(void *arg, __u32 id, const struct endpoint_stat *s)
{
	int r = tell(arg, "endpoint", s->name, "upstream_cx_active", true, s->active);

	(void)id;
	if (!r)
		r = tell(arg, "endpoint", s->name, "upstream_cx_total", false, s->cx_total);
	if (!r)
		r = tell(arg, "endpoint", s->name, "upstream_cx_connect_fail", false,
			 s->connect_fail);
	return r;
}

static int tell_route(void *arg, __u32 id, const struct route_stat *s)
{
	(void)id;
	return tell(arg, "route", s->name, "picks", false, s->picks);
}

static int tell_http_route(void *arg, const struct http_route_stat *s)
{
	struct http_route_stat row = *s;
	int r = 0;

	for (const struct stat_field *f = http_route_fields; !r && f->name; f++)
		r = tell(arg, "route", s->name, f->name, f->gauge, stat_value(f, &row));
	return r ? r : tell_histogram(arg, "route", s->name, &s->upstream_rq_time);
}

static int tell_http_listener(void *arg, const struct http_listener_stat *s)
{
	int r = 0;

	for (const struct stat_field *f = http_listener_fields; !r && f->name; f++)
		r = tell(arg, "listener", s->name, f->name, f->gauge, stat_value(f, s));
	return r;
}

static int tell_dest(void *arg, const struct dest_key *key, const struct dest_stat *s)
{
	struct walk *w = arg;

	(void)key;
	return w->each(w->arg, &(struct statistic){ .of = "route",
						    .owner = s->route,
						    .cluster = s->cluster,
						    .name = "upstream_cx_total",
						    .value = s->cx_total });
}

/* What REGISTRY_ONLY refuses is Envoy's BlackHoleCluster's, which has no endpoint. */
static int tell_black_hole(struct walk *w, __u64 count)
{
	return count ? tell(w, "cluster", "BlackHoleCluster", "upstream_cx_none_healthy", false,
			    count)
		     : 0;
}

static int tell_reason(void *arg, __u32 reason, const struct reason_stat *s)
{
	int r = reason == REASON_UNREGISTERED ? tell_black_hole(arg, s->count) : 0;

	if (r)
		return r;
	return reason == REASON_NONE || !s->name[0]
		       ? 0
		       : tell(arg, "weft.reason", s->name, NULL, false, s->count);
}

static int tell_guarded(void *arg, const char *name, __u64 restored)
{
	return tell(arg, "weft.guard", name, "restored", false, restored);
}

/* "weft.reason.protect_denied", "weft.protect.cookies_sent" */
static int tell_protected(void *arg, const char *name, bool dropped, __u64 count)
{
	char reason[64];

	snprintf(reason, sizeof(reason), "protect_%s", name);
	return tell(arg, dropped ? "weft.reason" : "weft.protect", dropped ? reason : name, NULL,
		    false, count);
}

static int tell_xdp(struct walk *w, struct kernel *k)
{
	struct xdp_stat s;
	int r = kernel_xdp_forwarded(k, &s);

	if (!r)
		r = tell(w, "weft.xdp", "forwarded", "packets", false, s.packets);
	return r ? r : tell(w, "weft.xdp", "forwarded", "bytes", false, s.bytes);
}

int stats_each(struct kernel *k, const struct tables *tables,
	       int (*each)(void *arg, const struct statistic *s), void *arg)
{
	_cleanup_(walk_free) struct walk w = { .each = each, .arg = arg };
	int r = tell_clusters(&w, k, tables);

	if (!r)
		r = kernel_each_endpoint(k, tell_endpoint, &w);
	if (!r)
		r = kernel_each_route(k, tell_route, &w);
	if (!r)
		r = kernel_each_http_route(k, tell_http_route, &w);
	if (!r)
		r = kernel_each_http_listener(k, tell_http_listener, &w);
	if (!r)
		r = kernel_each_dest(k, tell_dest, &w);
	if (!r)
		r = kernel_each_reason(k, tell_reason, &w);
	if (!r)
		r = kernel_each_protected(k, tell_protected, &w);
	if (!r)
		r = kernel_each_guarded(k, tell_guarded, &w);
	if (!r)
		r = tell_xdp(&w, k);
	return r;
}

void statistic_name(const struct statistic *s, char out[STATISTIC_NAME_MAX])
{
	snprintf(out, STATISTIC_NAME_MAX, "%s.%s%s%s%s%s", s->of, s->owner, s->cluster ? "." : "",
		 s->cluster ? s->cluster : "", s->name ? "." : "", s->name ? s->name : "");
}
