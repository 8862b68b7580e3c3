// SPDX-License-Identifier: Apache-2.0
/*
 * stats, status, uninstall.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/stats_gauges.h"
#include "lib/base/histogram.h"
#include "lib/route/snapshot.h"
#include "lib/base/http_stat_fields.h"

enum {
	/* Room for a route's and a cluster's name and what is around them. */
	STAT_NAME_MAX = ROUTE_NAME_MAX + CLUSTER_NAME_MAX + 64,
	HISTOGRAM_TEXT = 512,
};

/* Envoy's users know it by one name, whoever counts: the kernel's share and the proxy's become one
 * line with the sum. */
static int add(json_t *stats, const char *name, __u64 value)
{
	json_t *there = json_object_get(stats, name);

	if (there)
		return json_integer_set(there, json_integer_value(there) + (json_int_t)value);
	return json_object_set_new_nocheck(stats, name, json_integer((json_int_t)value)) ? -ENOMEM
											 : 0;
}

__attribute__((format(printf, 3, 4))) static int put(json_t *stats, __u64 value, const char *fmt,
						     ...)
{
	char name[STAT_NAME_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return add(stats, name, value);
}

static int put_histogram(json_t *stats, const char *kind, const char *owner,
			 const struct histogram *h)
{
	char name[STAT_NAME_MAX], text[HISTOGRAM_TEXT];

	snprintf(name, sizeof(name), "%s.%s.upstream_rq_time", kind, owner);
	histogram_text(h, text, sizeof(text));
	return json_object_set_new(stats, name, json_string(text)) ? -ENOMEM : 0;
}

/* The proxy counts its own connections (put_http_cluster), those without a limit, too. */
static int put_cluster(void *arg, __u32 id, const struct cluster_stat *s,
		       const struct cluster_limit *l)
{
	const struct {
		const char *name;
		__u64 value;
	} rows[] = {
		{ "upstream_cx_active", l->steered },
		{ "upstream_cx_peak", l->peak },
		{ "upstream_cx_total", s->cx_total },
		{ "upstream_cx_overflow", s->overflow },
		{ "upstream_cx_connect_fail", s->connect_fail },
		{ "upstream_cx_none_healthy", s->none_healthy },
		{ "upstream_cx_rx_bytes_total", s->rx_bytes },
		{ "upstream_cx_tx_bytes_total", s->tx_bytes },
	};
	int r = 0;

	(void)id;
	for (size_t i = 0; !r && i < sizeof(rows) / sizeof(*rows); i++)
		r = put(arg, rows[i].value, "cluster.%s.%s", s->name, rows[i].name);
	return r;
}

static int put_http_cluster(void *arg, const struct http_cluster_stat *s)
{
	struct http_cluster_stat row = *s;
	int r = 0;

	for (const struct stat_field *f = http_cluster_fields; !r && f->name; f++)
		r = put(arg, *stat_at(f, &row), "cluster.%s.%s", s->name, f->name);
	return r ? r : put_histogram(arg, "cluster", s->name, &s->upstream_rq_time);
}

static int put_http_route(void *arg, const struct http_route_stat *s)
{
	struct http_route_stat row = *s;
	int r = 0;

	for (const struct stat_field *f = http_route_fields; !r && f->name; f++)
		r = put(arg, *stat_at(f, &row), "route.%s.%s", s->name, f->name);
	return r ? r : put_histogram(arg, "route", s->name, &s->upstream_rq_time);
}

static int put_endpoint(void *arg, __u32 id, const struct endpoint_stat *s)
{
	int r = put(arg, s->active, "endpoint.%s.upstream_cx_active", s->name);

	(void)id;
	if (!r)
		r = put(arg, s->cx_total, "endpoint.%s.upstream_cx_total", s->name);
	if (!r)
		r = put(arg, s->connect_fail, "endpoint.%s.upstream_cx_connect_fail", s->name);
	return r;
}

static int put_route(void *arg, __u32 id, const struct route_stat *s)
{
	(void)id;
	return put(arg, s->picks, "route.%s.picks", s->name);
}

static int put_dest(void *arg, const struct dest_key *key, const struct dest_stat *s)
{
	(void)key;
	return put(arg, s->cx_total, "route.%s.%s.upstream_cx_total", s->route, s->cluster);
}

static int put_reason(void *arg, __u32 reason, const struct reason_stat *s)
{
	return reason == REASON_NONE || !s->name[0] ? 0
						    : put(arg, s->count, "weft.reason.%s", s->name);
}

/* The kernel's tables have a cluster once for each family, the proxy's has both in one; a cluster
 * may be in either or in both. */
static int put_http_members(json_t *stats, const struct http_snapshot *s)
{
	char name[STAT_NAME_MAX];
	int r = 0;

	for (__u32 i = 0; s && !r && i < hs_count(s, HS_CLUSTERS); i++) {
		const struct hs_cluster *c = hs_cluster(s, i);

		snprintf(name, sizeof(name), "cluster.%s.membership_total", hs_text(s, c->name));
		r = json_object_set_new_nocheck(stats, name, json_integer(c->endpoints.count));
	}
	return r ? -ENOMEM : 0;
}

static int put_members(json_t *stats, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; t && !r && i < t->clusters.count; i++)
		r = put(stats, t->clusters.items[i].ep_count, "cluster.%s.membership_total",
			t->cluster_names.items[i]);
	return r ? r : put_http_members(stats, t ? t->http : NULL);
}

static bool line_contains(const char *name, const json_t *value, const char *pattern)
{
	char line[STAT_NAME_MAX + HISTOGRAM_TEXT];

	if (json_is_string(value))
		snprintf(line, sizeof(line), "%s: %s", name, json_string_value(value));
	else
		snprintf(line, sizeof(line), "%s: %lld", name,
			 (long long)json_integer_value(value));
	return strstr(line, pattern);
}

static void keep_matching(json_t *stats, const char *pattern)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(stats, next, name, value) if (!line_contains(name, value, pattern))
		json_object_del(stats, name);
}

int handle_stats(struct weftd *d, const struct request *request, struct reply *reply)
{
	_cleanup_(json_decrefp) json_t *stats = json_object();
	int r = stats ? kernel_each_cluster(d->kernel, put_cluster, stats) : -ENOMEM;

	if (!r)
		r = put_members(stats, engine_tables(d->engine));
	if (!r)
		r = kernel_each_http_cluster(d->kernel, put_http_cluster, stats);
	if (!r)
		r = kernel_each_endpoint(d->kernel, put_endpoint, stats);
	if (!r)
		r = kernel_each_route(d->kernel, put_route, stats);
	if (!r)
		r = kernel_each_http_route(d->kernel, put_http_route, stats);
	if (!r)
		r = kernel_each_dest(d->kernel, put_dest, stats);
	if (!r)
		r = kernel_each_reason(d->kernel, put_reason, stats);
	if (!r)
		r = stats_add_gauges(stats, engine_tables(d->engine));
	if (r)
		return r;
	keep_matching(stats, json_get_text(request->args, "contains", ""));
	reply->data = TAKE_PTR(stats);
	return 0;
}

static json_t *count_kinds(const struct known_set *set)
{
	json_int_t counts[KIND_MAX] = { 0 };
	json_t *object = json_object();

	for (size_t i = 0; i < set->count; i++)
		counts[set->items[i].object->kind]++;
	for (int kind = 0; kind < KIND_MAX; kind++)
		if (counts[kind])
			json_object_set_new(object, kind_name(kind), json_integer(counts[kind]));
	return object;
}

int handle_status(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct kernel_status status = { 0 };
	struct supervisor_status proxy;
	int r = kernel_status(d->kernel, &status);

	(void)request;
	if (r)
		return r;
	supervisor_status(d->supervisor, &proxy);
	reply->data = json_pack(
		"{s:b, s:s, s:i, s:I, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:o, s:o, "
		"s:{s:i, s:i, s:i}, s:i, s:i, s:{s:o, s:i, s:i, s:i}, s:o, s:b, s:o}",
		"ready", 1, "version", WEFT_VERSION, "pid", (int)getpid(), "generation",
		(json_int_t)status.generation, "pods", (int)status.pods, "nics", (int)status.nics,
		"connections", (int)status.connections, "max_connections", (int)status.room,
		"attach", status.tcx ? "tcx" : "clsact", "kernel", json_text(status.release),
		"bpffs", json_text(d->options->kernel.bpffs), "state_dir",
		json_text(d->options->state_dir), "objects", count_kinds(engine_objects(d->engine)),
		"proxy", "pid", (int)proxy.pid, "workers", (int)proxy.workers, "restarts",
		(int)proxy.restarts, "sockets", (int)status.sockets, "pods_unknown",
		(int)status.pods_unknown, "cgroup", "path", json_text(status.cgroup), "hooks",
		(int)status.hooks, "wanted", (int)status.hooks_wanted, "foreign",
		(int)status.hooks_foreign, "shortcut", json_text(status.shortcut), "handover",
		(int)status.handover, "netfilter", json_text(status.netfilter));
	return reply->data ? 0 : -ENOMEM;
}

int handle_uninstall(struct weftd *d, const struct request *request, struct reply *reply)
{
	int r = kernel_detach(&d->options->kernel);

	(void)request;
	if (r)
		return refuse(reply, "uninstall", "weftd could not remove everything: see its log");
	supervisor_end(d->supervisor);
	log_info("everything is taken out of the kernel: ending");
	d->quit = true;
	return 0;
}
