// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_own.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/datapath/map_use.h"
#include "daemon/resolve/resolver.h"
#include "daemon/source/kubernetes.h"
#include "daemon/tracing/tracing.h"
#include "lib/base/cleanup.h"
#include "lib/base/http_stat_fields.h"
#include "lib/base/table.h"

#define COUNTER(symbol, name, help) \
	static const struct metrics_family symbol = { name, NULL, help, METRICS_COUNTER }
#define GAUGE(symbol, name, help) \
	static const struct metrics_family symbol = { name, NULL, help, METRICS_GAUGE }
#define BYTES(symbol, name, help) \
	static const struct metrics_family symbol = { name, "bytes", help, METRICS_GAUGE }

__attribute__((format(printf, 5, 6))) static int tell(struct metrics_samples *to,
						      const struct metrics_family *f,
						      const char *suffix, double value,
						      const char *labels, ...)
{
	struct metrics_sample *s = table_push(to);
	va_list args;

	if (!s)
		return -ENOMEM;
	s->family = f;
	s->suffix = suffix;
	s->value = value;
	va_start(args, labels);
	vsnprintf(s->labels, sizeof(s->labels), labels, args);
	va_end(args);
	return 0;
}

static int count(struct metrics_samples *to, const struct metrics_family *f, double value)
{
	return tell(to, f, f->type == METRICS_COUNTER ? "_total" : "", value, "%s", "");
}

void metrics_samples_free(struct metrics_samples *s)
{
	free(s->items);
	*s = (struct metrics_samples){ 0 };
}

/* ---- what the event loop knows ---- */

GAUGE(build, "istio_build", "The version of what is told of here.");
GAUGE(ready, "weft_ready", "1 while all that weftd is to carry out is carried out.");
GAUGE(generation, "weft_generation", "The generation of rules in force, 0 if there is none.");
COUNTER(changes, "weft_changes", "Changes of objects, by what has become of them.");
static const struct metrics_family apply = {
	"weft_apply_duration_seconds", "seconds",
	"How long changes took from compilation to the kernel, without waiting for weft-proxy.",
	METRICS_SUMMARY
};
GAUGE(apply_last, "weft_apply_last_seconds", "How long the last one took.");
GAUGE(objects, "weft_objects", "Objects that are known.");
GAUGE(rejected, "weft_objects_rejected",
      "Objects that are wrong, or that weft does not carry out.");
GAUGE(pods, "weft_pods", "Pods of this node: all, in the mesh, and those steered by packets only.");
GAUGE(nics, "weft_nics", "Interfaces to the outside.");
COUNTER(refusals, "weft_refusals", "Connections and packets that were not let through, by reason.");
COUNTER(protection, "weft_connection_policy_events",
	"What ConnectionPolicies have had done beside that.");
COUNTER(guarded, "weft_guard_restored", "What others took out of the kernel and was put back.");
COUNTER(xdp_packets, "weft_xdp_forwarded_packets", "Packets that XDP has forwarded.");
static const struct metrics_family xdp_bytes = { "weft_xdp_forwarded_bytes", "bytes",
						 "Bytes that XDP has forwarded.", METRICS_COUNTER };
GAUGE(proxy_up, "weft_proxy_running", "1 while weft-proxy runs.");
GAUGE(proxy_workers, "weft_proxy_workers", "Threads of weft-proxy.");
GAUGE(proxy_draining, "weft_proxy_draining", "Earlier weft-proxies that end what is under way.");
COUNTER(proxy_restarts, "weft_proxy_restarts", "How often weft-proxy was started again.");
static const struct metrics_family sweeps = { "weft_sweep_duration_seconds", "seconds",
					      "How long sweeps over the connections took.",
					      METRICS_SUMMARY };
GAUGE(kube_watch, "weft_kubernetes_watch",
      "State of the watch of a kind of objects: 1 for the phase that it is in.");
COUNTER(kube_lists, "weft_kubernetes_lists", "Lists of a kind that were asked for.");
COUNTER(kube_watches, "weft_kubernetes_watches", "Watches of a kind that were begun.");
COUNTER(kube_events, "weft_kubernetes_events", "Changes that the API server has told of.");
static const struct metrics_family kube_bytes = { "weft_kubernetes_received_bytes", "bytes",
						  "Bytes of answers of the API server.",
						  METRICS_COUNTER };
GAUGE(dns_names, "weft_dns_names", "Names that DNS is asked for.");
COUNTER(dns_queries, "weft_dns_queries", "Questions to DNS, by result.");
GAUGE(certificates, "weft_identity_certificates",
      "Identities of this node's pods for mutual TLS: wanted, and those with a valid certificate.");
COUNTER(signatures, "weft_identity_signatures",
	"Certificates for mutual TLS that were asked for, by result.");
COUNTER(spans_sent, "weft_spans_sent", "Spans that the collector of traces has taken.");
COUNTER(spans_dropped, "weft_spans_dropped", "Spans that it has not, by reason.");

static int tell_engine(const struct weftd *d, struct metrics_samples *to)
{
	const struct engine_counts c = engine_counts(d->engine);
	int r = tell(to, &build, "", 1, "component=\"weft\",tag=\"%s\"", WEFT_VERSION);

	if (!r)
		r = count(to, &generation, (double)kernel_generation(d->kernel));
	if (!r)
		r = tell(to, &changes, "_total", (double)c.applied, "result=\"applied\"");
	if (!r)
		r = tell(to, &changes, "_total", (double)c.refused, "result=\"refused\"");
	if (!r)
		r = tell(to, &apply, "_sum", c.applied_ms / 1000, "%s", "");
	if (!r)
		r = tell(to, &apply, "_count", (double)c.applied, "%s", "");
	if (!r)
		r = count(to, &apply_last, c.last_ms / 1000);
	return r ? r : count(to, &objects, (double)engine_objects(d->engine)->count);
}

static int tell_rejected(void *to, const char *word, size_t n)
{
	return tell(to, &rejected, "", (double)n, "kind=\"%s\"", word);
}

static int tell_node(const struct weftd *d, struct metrics_samples *to)
{
	struct node_counts n = kernel_node(d->kernel);
	int r = tell(to, &pods, "", n.pods, "state=\"here\"");

	if (!r)
		r = tell(to, &pods, "", n.members, "state=\"mesh\"");
	if (!r)
		r = tell(to, &pods, "", n.pods_unknown, "state=\"unseen\"");
	return r ? r : count(to, &nics, n.nics);
}

static int tell_reason(void *to, __u32 reason, const struct reason_stat *s)
{
	return reason == REASON_NONE || !s->name[0]
		       ? 0
		       : tell(to, &refusals, "_total", (double)s->count, "reason=\"%s\"", s->name);
}

static int tell_dropped(void *to, const char *name, bool dropped, __u64 n)
{
	return dropped ? tell(to, &refusals, "_total", (double)n, "reason=\"protect_%s\"", name)
		       : 0;
}

static int tell_protected(void *to, const char *name, bool dropped, __u64 n)
{
	return dropped ? 0 : tell(to, &protection, "_total", (double)n, "event=\"%s\"", name);
}

static int tell_guarded(void *to, const char *name, __u64 restored)
{
	return tell(to, &guarded, "_total", (double)restored, "kind=\"%s\"", name);
}

/* What the maps of the kernel count beside traffic. */
static int tell_kernel(const struct weftd *d, struct metrics_samples *to)
{
	const struct kernel_sweeps swept = kernel_sweeps(d->kernel);
	struct xdp_stat xdp = { 0 };
	int r = kernel_each_reason(d->kernel, tell_reason, to);

	if (!r)
		r = kernel_each_protected(d->kernel, tell_dropped, to);
	if (!r)
		r = kernel_each_protected(d->kernel, tell_protected, to);
	if (!r)
		r = kernel_each_guarded(d->kernel, tell_guarded, to);
	if (!r)
		r = kernel_xdp_forwarded(d->kernel, &xdp);
	if (!r)
		r = count(to, &xdp_packets, (double)xdp.packets);
	if (!r)
		r = count(to, &xdp_bytes, (double)xdp.bytes);
	if (!r)
		r = tell(to, &sweeps, "_sum", (double)swept.ns / 1e9, "%s", "");
	return r ? r : tell(to, &sweeps, "_count", (double)swept.runs, "%s", "");
}

static int tell_proxy(const struct weftd *d, struct metrics_samples *to)
{
	struct supervisor_status s;
	int r;

	supervisor_status(d->supervisor, &s);
	r = count(to, &proxy_up, s.pid != 0);
	if (!r)
		r = count(to, &proxy_workers, s.workers);
	if (!r)
		r = count(to, &proxy_draining, s.draining);
	return r ? r : count(to, &proxy_restarts, s.restarts);
}

/* ---- sources ---- */

static int tell_phase(void *to, const struct kube_watch *w)
{
	return tell(to, &kube_watch, "", 1, "resource=\"%s\",phase=\"%s\"", w->resource, w->phase);
}

static int tell_lists(void *to, const struct kube_watch *w)
{
	return tell(to, &kube_lists, "_total", (double)w->lists, "resource=\"%s\"", w->resource);
}

static int tell_watches(void *to, const struct kube_watch *w)
{
	return tell(to, &kube_watches, "_total", (double)w->watches, "resource=\"%s\"",
		    w->resource);
}

static int tell_events(void *to, const struct kube_watch *w)
{
	return tell(to, &kube_events, "_total", (double)w->events, "resource=\"%s\"", w->resource);
}

static int tell_bytes(void *to, const struct kube_watch *w)
{
	return tell(to, &kube_bytes, "_total", (double)w->bytes, "resource=\"%s\"", w->resource);
}

static int tell_kubernetes(const struct weftd *d, struct metrics_samples *to)
{
	static int (*const families[])(void *to, const struct kube_watch *w) = {
		tell_phase, tell_lists, tell_watches, tell_events, tell_bytes
	};
	int r = d->kubernetes ? kube_source_each_rejected(d->kubernetes, tell_rejected, to) : 0;

	for (size_t i = 0; !r && d->kubernetes && i < sizeof(families) / sizeof(*families); i++)
		r = kube_source_each_watch(d->kubernetes, families[i], to);
	return r;
}

static int tell_dns(const struct weftd *d, struct metrics_samples *to)
{
	const struct resolver *resolver = engine_resolver(d->engine);
	struct resolver_counters c;
	int r;

	if (!resolver)
		return 0;
	resolver_count(resolver, &c);
	r = count(to, &dns_names, (double)resolver_names(resolver));
	if (!r)
		r = tell(to, &dns_queries, "_total", (double)c.success, "result=\"success\"");
	return r ? r : tell(to, &dns_queries, "_total", (double)c.failure, "result=\"failure\"");
}

static int tell_identities(const struct weftd *d, struct metrics_samples *to)
{
	struct identities_state s;
	int r;

	identities_tell(engine_identities(d->engine), &s);
	r = tell(to, &certificates, "", (double)s.wanted, "state=\"wanted\"");
	if (!r)
		r = tell(to, &certificates, "", (double)s.good, "state=\"valid\"");
	if (!r)
		r = tell(to, &signatures, "_total", (double)s.signed_count, "result=\"success\"");
	return r ? r
		 : tell(to, &signatures, "_total", (double)s.failed_count, "result=\"failure\"");
}

static int tell_spans(const struct weftd *d, struct metrics_samples *to)
{
	const struct tracing_counts c = d->tracing ? tracing_counts(d->tracing)
						   : (struct tracing_counts){ 0 };
	int r = count(to, &spans_sent, (double)c.sent);

	if (!r)
		r = tell(to, &spans_dropped, "_total", (double)c.overflow, "reason=\"overflow\"");
	if (!r)
		r = tell(to, &spans_dropped, "_total", (double)c.collector, "reason=\"collector\"");
	return r ? r
		 : tell(to, &spans_dropped, "_total", (double)c.rejected, "reason=\"rejected\"");
}

int metrics_own_loop(const struct weftd *d, bool is_ready, struct metrics_samples *out)
{
	static int (*const parts[])(const struct weftd *d, struct metrics_samples *to) = {
		tell_engine,	 tell_node, tell_kernel,     tell_proxy,
		tell_kubernetes, tell_dns,  tell_identities, tell_spans
	};
	int r = count(out, &ready, is_ready);

	for (size_t i = 0; r != -ENOMEM && i < sizeof(parts) / sizeof(*parts); i++)
		r = parts[i](d, out);
	return r == -ENOMEM ? r : 0;
}

/* ---- processes ---- */

COUNTER(cpu, "process_cpu_seconds", "Processor time of weftd.");
BYTES(rss, "process_resident_memory_bytes", "Memory of weftd that is in use.");
BYTES(vsize, "process_virtual_memory_bytes", "Virtual memory of weftd.");
GAUGE(fds, "process_open_fds", "Descriptors that weftd has open.");
GAUGE(fds_max, "process_max_fds", "Descriptors that weftd may have open.");
GAUGE(started, "process_start_time_seconds", "When weftd was started, as Unix seconds.");
COUNTER(proxy_cpu, "weft_proxy_cpu_seconds", "Processor time of weft-proxy.");
BYTES(proxy_rss, "weft_proxy_resident_memory_bytes", "Memory of weft-proxy that is in use.");
GAUGE(proxy_fds, "weft_proxy_open_fds", "Descriptors that weft-proxy has open.");

/* What /proc tells of a process. */
struct process {
	double cpu_s, rss, vsize, start_s; /* start_s: since the kernel's */
};

/* False: there is no such process. */
static bool read_process(pid_t pid, struct process *out)
{
	unsigned long long user, system, start, vsize;
	_cleanup_fclose_ FILE *f = NULL;
	double tick = (double)sysconf(_SC_CLK_TCK);
	char path[64], text[1024];
	const char *at;
	long long pages;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		return false;
	at = strrchr(text, ')'); /* behind the name, which may be anything */
	if (!at || sscanf(at + 1,
			  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
			  "%*d %*d %llu %llu %lld",
			  &user, &system, &start, &vsize, &pages) != 5)
		return false;
	*out = (struct process){ .cpu_s = (double)(user + system) / tick,
				 .rss = (double)pages * (double)sysconf(_SC_PAGESIZE),
				 .vsize = (double)vsize,
				 .start_s = (double)start / tick };
	return true;
}

static unsigned count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (!stat(path, &st) && st.st_size) /* since Linux 6.2 */
		return (unsigned)st.st_size;
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n < 2 ? 0 : n - 2; /* "." and ".." */
}

/* Unix seconds when the kernel started. */
static double boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
}

static int tell_weftd(struct metrics_samples *to)
{
	struct rlimit limit = { 0 };
	struct process p;
	int r;

	if (!read_process(getpid(), &p))
		return 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	r = count(to, &cpu, p.cpu_s);
	if (!r)
		r = count(to, &rss, p.rss);
	if (!r)
		r = count(to, &vsize, p.vsize);
	if (!r)
		r = count(to, &fds, count_fds(getpid()));
	if (!r)
		r = count(to, &fds_max, (double)limit.rlim_cur);
	return r ? r : count(to, &started, boot_time() + p.start_s);
}

int metrics_own_processes(pid_t proxy, struct metrics_samples *out)
{
	int r = tell_weftd(out);
	struct process p;

	if (r || !proxy || !read_process(proxy, &p))
		return r;
	r = count(out, &proxy_cpu, p.cpu_s);
	if (!r)
		r = count(out, &proxy_rss, p.rss);
	return r ? r : count(out, &proxy_fds, count_fds(proxy));
}

/* ---- maps ---- */

GAUGE(map_entries, "weft_map_entries", "Entries of a table of the kernel's.");
GAUGE(map_room, "weft_map_max_entries", "Entries that it may have.");
BYTES(map_memory, "weft_map_memory_bytes", "Memory that a map takes in the kernel.");

enum { MAPS_MAX = 128 };

struct map_list {
	struct map_use items[MAPS_MAX];
	size_t count;
};

static int note_map(void *arg, const struct map_use *u)
{
	struct map_list *l = arg;

	if (l->count < MAPS_MAX)
		l->items[l->count++] = *u;
	return 0;
}

int metrics_own_maps(const struct kernel *k, size_t rows, struct metrics_samples *out)
{
	struct map_list l = { .count = 0 };
	int r = map_use_each(k, note_map, &l);

	for (size_t i = 0; i < l.count; i++)
		if (!strcmp(l.items[i].name, "http_traffic")) {
			l.items[i].filled = true;
			l.items[i].entries = rows;
		}
	if (r)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; !r && i < l.count; i++)
		if (l.items[i].filled)
			r = tell(out, &map_entries, "", (double)l.items[i].entries, "map=\"%s\"",
				 l.items[i].name);
	for (size_t i = 0; !r && i < l.count; i++)
		if (l.items[i].filled)
			r = tell(out, &map_room, "", (double)l.items[i].room, "map=\"%s\"",
				 l.items[i].name);
	for (size_t i = 0; !r && i < l.count; i++)
		r = tell(out, &map_memory, "", (double)l.items[i].memory, "map=\"%s\"",
			 l.items[i].name);
	return r;
}

/* ---- what weft-proxy counts, of all clusters ---- */

GAUGE(connections, "weft_connections", "Connections to endpoints that are open, by who has them.");
GAUGE(requests_active, "weft_proxy_requests", "Requests under way to endpoints, or waiting.");
GAUGE(ejected, "weft_ejected_endpoints", "Endpoints that outlier detection keeps out.");
COUNTER(ejections, "weft_ejections", "How often outlier detection has put an endpoint out.");
COUNTER(retries, "weft_proxy_retries", "Tries of requests beyond the first.");
COUNTER(overflows, "weft_proxy_overflows", "Requests that a limit of a cluster has refused.");

struct sums {
	__u64 active, requests, pending, ejected, ejections, retries, overflows;
};

static int add_cluster(void *arg, const struct http_cluster_stat *c)
{
	struct sums *s = arg;

	s->active += gauge_sum(c->upstream_cx_active);
	s->requests += gauge_sum(c->upstream_rq_active);
	s->pending += gauge_sum(c->upstream_rq_pending_active);
	s->ejected += gauge_sum(c->ejections_active);
	s->ejections += c->ejections_enforced_total;
	s->retries += c->upstream_rq_retry;
	s->overflows += c->upstream_rq_pending_overflow;
	return 0;
}

int metrics_own_requests(struct kernel *k, __u32 last_cluster, struct metrics_samples *out)
{
	struct sums s = { 0 };
	int r = kernel_each_http_cluster(k, add_cluster, &s);

	if (r)
		return 0;
	r = tell(out, &connections, "", (double)kernel_steered(k, last_cluster), "by=\"kernel\"");
	if (!r)
		r = tell(out, &connections, "", (double)s.active, "by=\"proxy\"");
	if (!r)
		r = tell(out, &requests_active, "", (double)s.requests, "state=\"active\"");
	if (!r)
		r = tell(out, &requests_active, "", (double)s.pending, "state=\"pending\"");
	if (!r)
		r = count(out, &ejected, (double)s.ejected);
	if (!r)
		r = count(out, &ejections, (double)s.ejections);
	if (!r)
		r = count(out, &retries, (double)s.retries);
	return r ? r : count(out, &overflows, (double)s.overflows);
}

/* ---- what /metrics tells of itself ---- */

COUNTER(scrapes, "weft_metrics_scrapes", "Questions for these metrics.");
COUNTER(late, "weft_metrics_late_scrapes",
	"Those that were answered without what the event loop knew by then.");
COUNTER(folded, "weft_metrics_folded",
	"Label sets that have no series of their own: see --metrics-series-max.");
GAUGE(series, "weft_metrics_series", "Time series of traffic.");
GAUGE(seconds, "weft_metrics_scrape_seconds", "How long the last answer took to put together.");

int metrics_own_self(const struct metrics_self *self, struct metrics_samples *out)
{
	int r = count(out, &scrapes, (double)self->scrapes);

	if (!r)
		r = count(out, &late, (double)self->late);
	if (!r)
		r = count(out, &folded, (double)self->folded);
	if (!r)
		r = count(out, &series, (double)self->series);
	return r ? r : count(out, &seconds, self->seconds);
}

int metrics_samples_write(struct metrics_out *out, const struct metrics_samples *s)
{
	const struct metrics_family *last = NULL;
	int r = 0;

	for (size_t i = 0; !r && i < s->count; i++) {
		const struct metrics_sample *sample = &s->items[i];

		if (sample->family != last)
			r = metrics_begin(out, sample->family);
		last = sample->family;
		if (!r)
			r = metrics_float(out, last, sample->suffix, sample->labels, sample->value);
	}
	return r;
}
