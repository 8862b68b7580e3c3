// SPDX-License-Identifier: Apache-2.0
/*
 * traffic: who talks to whom, with totals since weft began to count. What asks again makes rates of
 * the differences.
 */
#include <errno.h>
#include <time.h>

#include "daemon/api/handlers.h"
#include "lib/base/cleanup.h"

static const struct object *pod_at(void *arg, const struct addr *addr)
{
	const struct weftd *d = arg;

	return engine_pod_at(d->engine, addr);
}

struct traffic_walk weftd_traffic(const struct weftd *d)
{
	return (struct traffic_walk){ .kernel = d->kernel,
				      .registry = engine_registry(d->engine),
				      .pod_at = pod_at,
				      .arg = (void *)d,
				      .version = engine_version(d->engine) };
}

static json_t *reporters_json(unsigned reporters)
{
	json_t *list = json_array();

	if (reporters & TRAFFIC_SOURCE)
		json_array_append_new(list, json_string("source"));
	if (reporters & TRAFFIC_DESTINATION)
		json_array_append_new(list, json_string("destination"));
	return list;
}

static json_t *peer_json(const struct peer *p)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "workload", json_text(p->workload),
			 "namespace", json_text(p->ns), "app", json_text(p->app), "version",
			 json_text(p->version), "canonical_service",
			 json_text(p->canonical_service), "canonical_revision",
			 json_text(p->canonical_revision), "principal", json_text(p->principal));
}

static const char *security_name(enum traffic_security s)
{
	return s == TRAFFIC_PLAIN ? "none" : s == TRAFFIC_MUTUAL_TLS ? "mutual_tls" : "unknown";
}

/* `sum`: the name of the sum, which says its unit. */
static json_t *histogram_json(const struct traffic_histogram *h, const char *sum)
{
	json_t *buckets = json_array();

	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		json_array_append_new(buckets, json_integer((json_int_t)h->buckets[i]));
	return json_pack("{s:o, s:I}", "buckets", buckets, sum, (json_int_t)h->sum);
}

static json_t *grpc_json(unsigned status)
{
	return status == TRAFFIC_GRPC_NONE ? json_string("") : json_textf("%u", status);
}

static json_t *http_json(const struct traffic *t)
{
	const struct http_traffic *h = t->http;

	return json_pack("{s:i, s:s, s:o, s:I, s:o, s:o, s:o}", "code", (int)h->key.code, "flags",
			 t->flags, "grpc_status", grpc_json(h->key.grpc), "requests",
			 (json_int_t)h->requests, "duration",
			 histogram_json(&h->duration, "sum_us"), "request_bytes",
			 histogram_json(&h->request_bytes, "sum"), "response_bytes",
			 histogram_json(&h->response_bytes, "sum"));
}

static json_t *tcp_json(const struct tcp_traffic *t)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "opened", (json_int_t)t->opened, "closed",
			 (json_int_t)t->closed, "received", (json_int_t)t->received, "sent",
			 (json_int_t)t->sent);
}

static int add_row(void *list, const struct traffic *t)
{
	json_t *row = t->http ? http_json(t) : tcp_json(t->tcp);
	_cleanup_(json_decrefp) json_t *rest = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:s}", "reporters",
		reporters_json(t->reporters), "source", peer_json(t->source), "destination",
		peer_json(t->destination), "service", json_text(t->service), "service_name",
		json_text(t->service_name), "service_namespace", json_text(t->service_namespace),
		"cluster", json_text(t->cluster ? t->cluster : ""), "protocol", t->protocol, "by",
		t->by, "security", security_name(t->security));

	if (!row || !rest || json_object_update(row, rest)) {
		json_decref(row);
		return -ENOMEM;
	}
	return json_array_append_new(list, row) ? -ENOMEM : 0;
}

/* Unix seconds. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* {"time": SECONDS, "traffic": [{"reporters", "source", ...}, ...]} */
int handle_traffic(struct weftd *d, const struct request *request, struct reply *reply)
{
	_cleanup_(json_decrefp) json_t *list = json_array();
	const struct traffic_walk walk = weftd_traffic(d);
	int r = list ? traffic_each(&walk, add_row, list) : -ENOMEM;

	(void)request;
	if (r)
		return r;
	reply->data = json_pack("{s:f, s:O}", "time", now(), "traffic", list);
	return reply->data ? 0 : -ENOMEM;
}
