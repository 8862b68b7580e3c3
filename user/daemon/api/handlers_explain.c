// SPDX-License-Identifier: Apache-2.0
/*
 * explain and analyze: questions about the rules in force.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/source/kubernetes.h"
#include "lib/base/http_stat_fields.h"
#include "lib/base/cleanup.h"
#include "lib/explain/explain_gateway.h"
#include "lib/explain/explain_http.h"
#include "lib/model/remarks.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_http.h"

/* Takes both over. */
static int say(json_t *answer, char *text, struct reply *reply)
{
	json_t *words = text ? json_text(text) : NULL;

	free(text);
	reply->data = json_pack("{s:o, s:o}", "answer", answer, "text", words);
	return reply->data ? 0 : -ENOMEM;
}

/* What the counters in force say of one cluster. */
struct load_query {
	__u32 id;
	const char *cluster;
	struct explain_load *out;
};

static int read_limit(void *arg, __u32 id, const struct cluster_stat *s,
		      const struct cluster_limit *l)
{
	struct load_query *q = arg;

	(void)s;
	if (id != q->id)
		return 0;
	q->out->steered = l->steered;
	q->out->connections = (__u64)l->steered + l->proxied;
	return 1;
}

static int read_requests(void *arg, const struct http_cluster_stat *s)
{
	struct load_query *q = arg;

	if (strcmp(s->name, q->cluster) != 0)
		return 0;
	q->out->requests = gauge_sum(s->upstream_rq_active);
	q->out->pending = gauge_sum(s->upstream_rq_pending_active);
	memcpy(q->out->ejected, s->ejected, sizeof(s->ejected));
	return 1;
}

static int read_load(void *arg, __u32 id, const char *cluster, struct explain_load *out)
{
	struct weftd *d = arg;
	struct load_query q = { id, cluster, out };
	struct timespec now;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &now);
	out->now_ms = (__u64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	r = kernel_each_cluster(d->kernel, read_limit, &q);

	if (r >= 0)
		r = kernel_each_http_cluster(d->kernel, read_requests, &q);
	return r < 0 ? r : 0;
}

/* What an answer is about: the rules in force, or those of one Gateway alone. */
struct asked {
	struct weftd *d;
	const struct tables *tables;
	const struct objects *objects;
	const struct http_snapshot *http; /* NULL: nothing speaks of HTTP */
};

/* An answer chooses, but takes no place of a cluster: whether there is one, the counters tell. */
static int look_at_limit(const struct asked *a, struct verdict *v)
{
	struct explain_load load = { 0 };
	struct load_query limit = { .id = v->cluster, .out = &load };
	const struct cluster *c;
	int r;

	if (!v->cluster || v->cluster_index >= a->tables->clusters.count)
		return 0;
	c = &a->tables->clusters.items[v->cluster_index];
	r = c->max_connections ? kernel_each_cluster(a->d->kernel, read_limit, &limit) : 0;
	if (r > 0 && load.connections >= c->max_connections)
		v->reason = REASON_OVERFLOW;
	return r < 0 ? r : 0;
}

/* The loaded program's answer, from the live maps. */
static int ask_kernel(void *arg, const struct question *q, struct verdict *out)
{
	const struct asked *a = arg;
	int r = kernel_explain(a->d->kernel, q, out);

	return r ? r : look_at_limit(a, out);
}

/* The kernel has the rules of all Gateways: what one of them says is asked of its own. */
static int ask_tables(void *arg, const struct question *q, struct verdict *out)
{
	struct decide_context context = { .given = true };
	const struct asked *a = arg;

	decide_tables(a->tables, &context, q, out);
	return look_at_limit(a, out);
}

static int answer_tcp(struct asked *asked, const struct explain_query *q, struct reply *reply)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	int r = explain(asked->tables, asked->objects, q, q->gateway ? ask_tables : ask_kernel,
			asked, &a, &reply->errors);

	return r ? r : say(explain_json(&a), explain_text(&a), reply);
}

/* -EPROTONOSUPPORT: no HTTP is spoken there. */
static int answer_http(const struct asked *a, const struct explain_query *q,
		       const struct explain_request *request, struct reply *reply)
{
	const struct explain_live live = { read_load, a->d };
	json_t *json = NULL;
	int r = a->http ? explain_http(a->http, a->tables, a->objects, q, request, &live, &json,
				       &reply->errors)
			: -EPROTONOSUPPORT;

	return r ? r : say(json, explain_http_text(json), reply);
}

static int answer(struct asked *a, const struct explain_query *q,
		  const struct explain_request *request, struct reply *reply)
{
	int r = answer_http(a, q, request, reply);

	return r == -EPROTONOSUPPORT ? answer_tcp(a, q, reply) : r;
}

static int answer_gateway(const struct asked *all, const struct explain_query *q,
			  const struct explain_request *request, struct reply *reply)
{
	_cleanup_(explain_gateway_free) struct explain_gateway alone = { 0 };
	struct asked a = { .d = all->d, .objects = &alone.objects };
	int r = explain_gateway_make(all->objects, q, engine_registry(all->d->engine), &alone,
				     &reply->errors);

	if (r)
		return r;
	a.tables = alone.tables;
	a.http = alone.tables->http;
	return answer(&a, q, request, reply);
}

static int answer_any(struct weftd *d, const struct explain_query *q,
		      const struct explain_request *request, struct reply *reply)
{
	_cleanup_free_ struct object **items = NULL;
	struct objects objects;
	struct asked a = { .d = d,
			   .tables = engine_tables(d->engine),
			   .objects = &objects,
			   .http = supervisor_in_force(d->supervisor) };
	int r = engine_list(d->engine, &objects);

	if (r)
		return r;
	items = objects.items;
	return q->gateway ? answer_gateway(&a, q, request, reply) : answer(&a, q, request, reply);
}

/* Into a list that the caller frees; the words stay those of `args`. */
static int read_headers(const json_t *args, struct explain_request *out, const char ***words)
{
	const json_t *list = json_object_get(args, "headers");
	size_t i;
	json_t *value;

	*words = calloc(json_array_size(list) + 1, sizeof(**words));
	if (!*words)
		return -ENOMEM;
	json_array_foreach(list, i, value) if (json_is_string(value))(*words)[out->header_count++] =
		json_string_value(value);
	out->headers = *words;
	return 0;
}

/* {"namespace", "pod" | "gateway", "host" | "address", "port", "sni", "method", "scheme", "path",
 * "headers": ["NAME=VALUE", ...]} */
int handle_explain(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct explain_query q = {
		.namespace = json_get_text(request->args, "namespace", NULL),
		.pod = json_get_text(request->args, "pod", NULL),
		.gateway_namespace = json_get_text(request->args, "gateway_namespace", NULL),
		.gateway = json_get_text(request->args, "gateway", NULL),
		.source = json_get_text(request->args, "source", NULL),
		.host = json_get_text(request->args, "host", NULL),
		.address = json_get_text(request->args, "address", NULL),
		.port = (unsigned)json_get_int(request->args, "port", 0),
		.sni = json_get_text(request->args, "sni", NULL),
		.enrol = d->enrol,
	};

	struct explain_request http = {
		.method = json_get_text(request->args, "method", NULL),
		.scheme = json_get_text(request->args, "scheme", NULL),
		.path = json_get_text(request->args, "path", NULL),
	};
	_cleanup_free_ const char **words = NULL;
	int r;

	if (!engine_tables(d->engine))
		return refuse(reply, "explain", "no rules are in force");
	r = read_headers(request->args, &http, &words);
	return r ? r : answer_any(d, &q, &http, reply);
}

static bool is_of(const struct error *e, void *namespace)
{
	return e->namespace && strcmp(e->namespace, namespace) == 0;
}

static json_int_t count_objects(const struct known_set *set, const char *namespace)
{
	json_int_t n = 0;

	for (size_t i = 0; i < set->count; i++) {
		const char *own = set->items[i].object->meta.namespace;

		n += !namespace || (own && strcmp(own, namespace) == 0);
	}
	return n;
}

/* {"namespace"}: only its objects are told of; without it all. The remarks come out of compiling
 * all that is in force once more; what of a cluster is not in force, errors, comes first. */
int handle_analyze(struct weftd *d, const struct request *request, struct reply *reply)
{
	const char *namespace = json_get_text(request->args, "namespace", NULL);
	_cleanup_free_ struct object **items = NULL;
	struct objects objects;
	int r = d->kubernetes ? kube_source_errors(d->kubernetes, &reply->errors) : 0;

	if (!r)
		r = engine_analyze(d->engine, &reply->errors);
	if (!r)
		r = engine_list(d->engine, &objects);
	if (r)
		return r;
	items = objects.items;
	enrol_remarks(d->enrol, &objects, &reply->errors);
	if (namespace)
		errors_keep(&reply->errors, is_of, (void *)namespace);
	reply->data = json_pack("{s:I, s:I, s:I, s:o}", "objects",
				count_objects(engine_objects(d->engine), namespace), "errors",
				(json_int_t)(reply->errors.count - reply->errors.warnings),
				"warnings", (json_int_t)reply->errors.warnings, "remarks",
				remarks_json(&reply->errors));
	return 0;
}
