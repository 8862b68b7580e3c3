// SPDX-License-Identifier: Apache-2.0
/*
 * stats, status, uninstall.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cleanup.h"
#include "handlers.h"

/* Room for a route's and a cluster's name and what is around them. */
enum { STAT_NAME_MAX = ROUTE_NAME_MAX + CLUSTER_NAME_MAX + 64 };

struct stat_list {
	json_t *object;	      /* name: value */
	const char *contains; /* only lines that do; "" for all */
};

__attribute__((format(printf, 3, 4))) static int put(struct stat_list *l, __u64 value,
						     const char *fmt, ...)
{
	char name[STAT_NAME_MAX], line[STAT_NAME_MAX + 24];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "%s: %llu", name, (unsigned long long)value);
	if (!strstr(line, l->contains))
		return 0;
	return json_object_set_new_nocheck(l->object, name, json_integer((json_int_t)value))
		       ? -ENOMEM
		       : 0;
}

static int put_cluster(void *arg, __u32 id, const struct cluster_stat *s)
{
	const struct {
		const char *name;
		__u64 value;
	} rows[] = {
		{ "upstream_cx_active", s->active },
		{ "upstream_cx_peak", s->peak },
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

static int put_members(struct stat_list *l, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; t && !r && i < t->clusters.count; i++)
		r = put(l, t->clusters.items[i].ep_count, "cluster.%s.membership_total",
			t->cluster_names.items[i]);
	return r;
}

int handle_stats(struct weftd *d, const struct request *request, struct reply *reply)
{
	_cleanup_(json_decrefp) json_t *stats = json_object();
	struct stat_list list = { stats, json_get_text(request->args, "contains", "") };
	int r = stats ? kernel_each_cluster(d->kernel, put_cluster, &list) : -ENOMEM;

	if (!r)
		r = put_members(&list, engine_tables(d->engine));
	if (!r)
		r = kernel_each_endpoint(d->kernel, put_endpoint, &list);
	if (!r)
		r = kernel_each_route(d->kernel, put_route, &list);
	if (!r)
		r = kernel_each_dest(d->kernel, put_dest, &list);
	if (!r)
		r = kernel_each_reason(d->kernel, put_reason, &list);
	if (!r)
		reply->data = TAKE_PTR(stats);
	return r;
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
	int r = kernel_status(d->kernel, &status);

	(void)request;
	if (r)
		return r;
	reply->data = json_pack("{s:b, s:s, s:i, s:I, s:i, s:i, s:i, s:s, s:o, s:o, s:o, s:o}",
				"ready", 1, "version", WEFT_VERSION, "pid", (int)getpid(),
				"generation", (json_int_t)status.generation, "pods",
				(int)status.pods, "nics", (int)status.nics, "connections",
				(int)status.connections, "attach", status.tcx ? "tcx" : "clsact",
				"kernel", json_text(status.release), "bpffs",
				json_text(d->options->kernel.bpffs), "state_dir",
				json_text(d->options->state_dir), "objects",
				count_kinds(engine_objects(d->engine)));
	return reply->data ? 0 : -ENOMEM;
}

int handle_uninstall(struct weftd *d, const struct request *request, struct reply *reply)
{
	int r = kernel_detach(&d->options->kernel);

	(void)request;
	if (r)
		return refuse(reply, "uninstall", "weftd could not remove everything: see its log");
	log_info("everything is taken out of the kernel: ending");
	d->quit = true;
	return 0;
}
