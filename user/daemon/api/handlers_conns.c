// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "daemon/datapath/sockets.h"
#include "daemon/api/ejections.h"
#include "daemon/api/ends.h"
#include "daemon/api/handlers.h"
#include "daemon/api/handlers_http.h"
#include "daemon/api/handlers_object.h"
#include "daemon/api/log_filter.h"
#include "lib/base/addr.h"
#include "lib/base/log.h"

static const char *const states[] = {
	[CONN_SYN] = "syn",	    [CONN_ESTABLISHED] = "established",
	[CONN_CLOSING] = "closing", [CONN_CLOSED] = "closed",
	[CONN_DEAD] = "dead",	    [CONN_REAPED] = "reaped",
};

/* Sorted by address, so that a long table of connections is told quickly. */
struct conns_view {
	struct weftd *d;
	struct reply *reply;
	const struct tables *t;
	struct registry *registry;
	const struct source_entry **sources;
	size_t *services; /* positions */
	__u64 now;
	bool all;
	bool ends; /* rows say who is at both, for the filter */
	struct log_filter filter;
	json_t *rows;
	json_t *ejected; /* rows of their own, by key_of() */
};

static int by_source(const void *a, const void *b)
{
	return memcmp(&(*(struct source_entry *const *)a)->addr,
		      &(*(struct source_entry *const *)b)->addr, sizeof(struct addr));
}

static int compare_key(const struct service_key *a, const struct service_key *b)
{
	int r = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	if (r)
		return r;
	return a->port != b->port ? (int)a->port - (int)b->port : (int)a->scope - (int)b->scope;
}

static int by_service(const void *a, const void *b, void *tables)
{
	const struct tables *t = tables;

	return compare_key(&t->services.items[*(const size_t *)a].key,
			   &t->services.items[*(const size_t *)b].key);
}

static int conns_view_init(struct conns_view *v)
{
	const struct tables *t = engine_tables(v->d->engine);

	v->now = clock_ns();
	v->t = t;
	v->registry = engine_registry(v->d->engine);
	v->rows = json_array();
	v->ejected = json_object();
	v->sources = calloc(t->sources.count + 1, sizeof(const struct source_entry *));
	v->services = calloc(t->services.count + 1, sizeof(size_t));
	if (!v->rows || !v->ejected || !v->sources || !v->services)
		return -ENOMEM;
	for (size_t i = 0; i < t->sources.count; i++)
		v->sources[i] = &t->sources.items[i];
	for (size_t i = 0; i < t->services.count; i++)
		v->services[i] = i;
	qsort(v->sources, t->sources.count, sizeof(*v->sources), by_source);
	qsort_r(v->services, t->services.count, sizeof(*v->services), by_service, (void *)t);
	return 0;
}

static void conns_view_free(struct conns_view *v)
{
	json_decref(v->rows);
	json_decref(v->ejected);
	free(v->sources);
	free(v->services);
	free(v);
}

/* "default/sleep", or the address of a client that is no known pod. */
static json_t *client_name(const struct conns_view *v, const struct addr *addr)
{
	const struct source_entry want = { .addr = *addr }, *key = &want;
	const struct source_entry **found =
		bsearch(&key, v->sources, v->t->sources.count, sizeof(*v->sources), by_source);
	char text[ADDR_TEXT_MAX];

	if (found && (*found)->pod)
		return json_textf("%s/%s", (*found)->pod->meta.namespace, (*found)->pod->meta.name);
	addr_format(addr, text);
	return json_text(text);
}

static const struct service_origin *find_service(const struct conns_view *v,
						 const struct service_key *want)
{
	size_t low = 0, high = v->t->services.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = compare_key(&v->t->services.items[v->services[middle]].key, want);

		if (!r)
			return &v->t->service_origins.items[v->services[middle]];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* What was called: "default/tcp-echo:9000", "gateway default/gw:31400", or the bare address and
 * port. */
static json_t *service_name(const struct conns_view *v, const struct tuple *key)
{
	struct service_key want = { .addr = key->dst, .port = key->dport, .scope = SCOPE_MESH };
	const struct service_origin *o = find_service(v, &want);

	if (!o) {
		want.scope = SCOPE_OUTSIDE;
		o = find_service(v, &want);
	}
	if (o)
		return json_textf("%s/%s:%u", o->namespace, o->name, key->dport);
	want = (struct service_key){ .port = key->dport, .scope = SCOPE_NODE };
	o = find_service(v, &want);
	if (o)
		return json_textf("%s%s/%s:%u", *o->host ? "" : "gateway ", o->namespace, o->name,
				  key->dport);
	return addr_port_json(&key->dst, key->dport);
}

/* outbound|9000|v1|host: the third part. */
static json_t *subset_name(const char *cluster)
{
	const char *at = cluster ? strchr(cluster, '|') : NULL, *end;

	at = at ? strchr(at + 1, '|') : NULL;
	end = at ? strchr(at + 1, '|') : NULL;
	return end ? json_stringn(at + 1, end - at - 1) : json_text("");
}

/* To the millisecond. */
static double seconds(__u64 from, __u64 to)
{
	__u64 ms = to > from ? (to - from) / 1000000 : 0;

	return (double)ms / 1000;
}

/* A connection, wherever it is known from. */
struct conn_view {
	const char *by;	     /* the hook that has steered it: "connect" or "tc" */
	struct tuple called; /* as the client knows it */
	__u32 route, cluster, endpoint, generation;
	struct addr addr; /* the endpoint's */
	__u16 port;
	const char *state;
	double age_s, idle_s;
	__u64 sent, received;
	bool reserved;
};

/* "source" and "destination" as log_filter.h has them. */
static void add_ends(json_t *row, json_t *source, json_t *destination)
{
	const char *cluster = json_get_text(row, "cluster", ""), *host = strrchr(cluster, '|');

	if (destination && host)
		ends_add_host(destination, host + 1, strlen(host + 1));
	json_object_set_new(row, "source", source);
	json_object_set_new(row, "destination", destination);
}

/* Takes the row over, if it is asked for. */
static int add_row(struct conns_view *v, json_t *row)
{
	if (row && !log_filter_holds(&v->filter, row)) {
		json_decref(row);
		return 0;
	}
	return json_array_append_new(v->rows, row) ? -ENOMEM : 0;
}

static int add_conn(struct conns_view *v, const struct conn_view *c)
{
	const char *cluster = registry_name(v->registry, REG_CLUSTER, c->cluster);
	const char *route = registry_name(v->registry, REG_ROUTE, c->route);
	const char *endpoint = registry_name(v->registry, REG_ENDPOINT, c->endpoint);
	json_t *row;

	row = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:f, s:f, s:I, "
			"s:I, s:I, s:b}",
			"protocol", "tcp", "by", c->by, "client", client_name(v, &c->called.src),
			"from", addr_port_json(&c->called.src, c->called.sport), "service",
			service_name(v, &c->called), "to",
			addr_port_json(&c->called.dst, c->called.dport), "rule",
			json_text(route ? route : ""), "subset", subset_name(cluster), "cluster",
			json_text(cluster ? cluster : ""), "endpoint",
			endpoint ? json_text(endpoint) : addr_port_json(&c->addr, c->port), "state",
			c->state, "age_s", c->age_s, "idle_s", c->idle_s, "sent_bytes",
			(json_int_t)c->sent, "received_bytes", (json_int_t)c->received,
			"generation", (json_int_t)c->generation, "reserved", c->reserved);
	if (row && v->ends)
		add_ends(row, ends_at(v->d->engine, &c->called.src, c->called.sport),
			 ends_at(v->d->engine, &c->addr, c->port));
	return add_row(v, row);
}

static int add_entry(void *arg, const struct tuple *key, const struct conn *c,
		     const struct conn *reply)
{
	__u64 seen = reply && reply->seen > c->seen ? reply->seen : c->seen;
	struct conns_view *v = arg;
	struct conn_view view = {
		.by = "tc",
		.called = *key,
		.route = c->route,
		.cluster = c->cluster,
		.endpoint = c->endpoint,
		.generation = c->generation,
		.addr = c->to.dst,
		.port = c->to.dport,
		.state = c->state < sizeof(states) / sizeof(*states) ? states[c->state] : "unknown",
		.age_s = seconds(c->created, v->now),
		.idle_s = seconds(seen, v->now),
		.sent = c->bytes,
		.received = reply ? reply->bytes : 0,
		.reserved = c->reservation != 0,
	};

	return v->all || c->state < CONN_CLOSED ? add_conn(v, &view) : 0;
}

/* In the words of the table's states. TIME_WAIT is no state of a socket that is still there. */
static const char *socket_state(__u32 state)
{
	switch (state) {
	case 0:
		return "unknown";
	case BPF_TCP_SYN_SENT:
	case BPF_TCP_SYN_RECV:
		return "syn";
	case BPF_TCP_ESTABLISHED:
		return "established";
	case BPF_TCP_CLOSE:
		return "closed";
	default:
		return "closing";
	}
}

static int add_socket(void *arg, const struct sock_row *s)
{
	struct conns_view *v = arg;
	struct conn_view view = {
		.by = "connect",
		.called = { .src = s->conn.own,
			    .dst = s->conn.called,
			    .sport = s->conn.own_port,
			    .dport = s->conn.called_port },
		.route = s->conn.route,
		.cluster = s->conn.cluster,
		.endpoint = s->conn.endpoint,
		.generation = s->conn.generation,
		.addr = s->conn.addr,
		.port = s->conn.port,
		.state = socket_state(s->state),
		.age_s = seconds(s->conn.created, v->now),
		.idle_s = (double)s->idle_ms / 1000,
		.sent = s->sent,
		.received = s->received,
		.reserved = s->conn.reservation != 0,
	};

	return v->all || view.reserved ? add_conn(v, &view) : 0;
}

/* ---- endpoints that outlier detection keeps out ---- */

/* "default/web:80" of a Service's host. */
static json_t *host_service(const char *host, unsigned port)
{
	int name = (int)strcspn(host, "."),
	    ns = host[name] ? (int)strcspn(host + name + 1, ".") : 0;

	return ns ? json_textf("%.*s/%.*s:%u", ns, host + name + 1, name, host, port)
		  : json_textf("%s:%u", host, port);
}

static json_t *key_of(const char *cluster, const char *endpoint)
{
	return json_textf("%s %s", cluster, endpoint);
}

/* A row for an endpoint that is out, whether or not a request is under way there. */
static int note_endpoint(struct conns_view *v, const struct http_snapshot *s,
			 const struct hs_cluster *c, json_t *endpoint)
{
	const char *address = json_get_text(endpoint, "address", "");
	_cleanup_json_ json_t *key = key_of(hs_text(s, c->name), address);
	json_t *row;

	if (!json_is_true(json_object_get(endpoint, "ejected")))
		return 0;
	row = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:b, s:O, s:O}", "protocol", "http",
			"service", host_service(hs_text(s, c->host), c->port), "subset",
			json_text(hs_text(s, c->subset)), "cluster", json_text(hs_text(s, c->name)),
			"endpoint", address, "state", "ejected", "ejected", true, "ejected_until",
			json_object_get(endpoint, "ejected_until"), "ejected_for_s",
			json_object_get(endpoint, "ejected_for_s"));
	return json_object_set_new(v->ejected, json_string_value(key), row) ? -ENOMEM : 0;
}

static int note_cluster(struct conns_view *v, struct ejections *e, const struct hs_cluster *c)
{
	struct http_members m = http_members(e->snapshot, c);
	int r = 0;

	for (__u32 i = 0; !r && i < m.count; i++) {
		_cleanup_json_ json_t *endpoint = ejections_endpoint(e, c, &m.items[i]);

		r = note_endpoint(v, e->snapshot, c, endpoint);
	}
	return r;
}

static int note_ejected(struct conns_view *v)
{
	_cleanup_(ejections_free) struct ejections e = { 0 };
	int r = ejections_read(v->d, supervisor_in_force(v->d->supervisor), &e);

	for (__u32 i = 0; !r && e.clusters.count && i < hs_count(e.snapshot, HS_CLUSTERS); i++)
		if (ejections_any(&e, hs_cluster(e.snapshot, i)))
			r = note_cluster(v, &e, hs_cluster(e.snapshot, i));
	return r;
}

/* They have no client; that they are endpoints of what is asked for is seen by the service. */
static int add_ejected(struct conns_view *v)
{
	const char *key;
	json_t *row;
	int r = 0;

	json_object_foreach(v->ejected, key, row)
	{
		if (v->ends)
			add_ends(row, json_object(), json_object());
		if (!r)
			r = add_row(v, json_incref(row));
	}
	return r;
}

/* Says so in the row of a request whose endpoint is out by now. */
static void mark_ejected(const struct conns_view *v, json_t *row)
{
	static const char *const members[] = { "ejected", "ejected_until", "ejected_for_s" };
	_cleanup_json_ json_t *key =
		key_of(json_get_text(row, "cluster", ""), json_get_text(row, "endpoint", ""));
	const json_t *ejected = json_object_get(v->ejected, json_string_value(key));

	for (size_t i = 0; ejected && i < sizeof(members) / sizeof(*members); i++)
		json_object_set(row, members[i], json_object_get(ejected, members[i]));
}

/* A request that the proxy has under way, or a connection without any, which has no method; its
 * connections are its own affair. */
static int add_request(struct conns_view *v, const struct supervisor_request *s)
{
	const struct proxy_request *q = &s->request;
	const struct tuple key = { .dst = q->called, .dport = q->called_port };
	json_t *endpoint = q->endpoint_port ? addr_port_json(&q->endpoint, q->endpoint_port)
					    : json_text("");
	json_t *row = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:I, s:o, "
		"s:o, s:o}",
		"protocol", *q->method ? "http" : "tcp", "client", client_name(v, &q->client),
		"from", addr_port_json(&q->client, q->client_port), "service",
		service_name(v, &key), "to", addr_port_json(&q->called, q->called_port), "rule",
		json_text(q->route), "subset", subset_name(q->cluster), "cluster",
		json_text(q->cluster), "endpoint", endpoint, "state", json_text(q->state), "age_s",
		(double)q->age_ms / 1000, "sent_bytes", (json_int_t)q->received, "received_bytes",
		(json_int_t)q->sent, "tries", (json_int_t)q->tries, "status", (json_int_t)q->status,
		"method", json_text(q->method), "authority", json_text(q->authority), "path",
		json_text(q->path));

	mark_ejected(v, row);
	if (s->draining)
		json_object_set_new(row, "draining", json_true());
	if (row && v->ends)
		add_ends(row, ends_at(v->d->engine, &q->client, q->client_port),
			 q->endpoint_port ? ends_at(v->d->engine, &q->endpoint, q->endpoint_port)
					  : ends_at(v->d->engine, &q->called, q->called_port));
	return add_row(v, row);
}

/* The connections, once the proxy has said what it has: the tables may have changed meanwhile. */
static int conns_view_find(struct conns_view *v)
{
	int r = conns_view_init(v);

	if (!r)
		r = kernel_each_socket(v->d->kernel, add_socket, v);
	if (!r)
		r = kernel_each_conn(v->d->kernel, add_entry, v);
	return r ? r : note_ejected(v);
}

/* Connections are told of, whatever becomes of the proxy. */
static void add_requests(void *arg, int error, const struct supervisor_request *rows, size_t count)
{
	struct conns_view *v = arg;
	struct reply *reply = v->reply;
	int r = conns_view_find(v);

	if (error)
		log_err(error, "ask weft-proxy for its requests");
	for (size_t i = 0; !r && i < count; i++)
		r = add_request(v, &rows[i]);
	if (!r)
		r = add_ejected(v);
	if (!r)
		reply->data = json_pack("{s:O}", "connections", v->rows);
	conns_view_free(v);
	reply_send(reply, r);
}

/* Whether any connection is asked for in particular. */
static bool is_filtered(const struct log_filter *f)
{
	return f->from || f->to || f->protocol || f->namespace;
}

/* With log_filter.h's "from", "to", "protocol" and "namespace"; "ends": true has rows say who is at
 * both ends in any case. */
int handle_conns(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct log_filter filter;
	struct conns_view *v;
	int r = log_filter_parse(request->args, &filter, reply);

	if (r)
		return r;
	v = engine_tables(d->engine) ? calloc(1, sizeof(*v)) : NULL;
	if (!v)
		return engine_tables(d->engine) ? -ENOMEM : -ENODATA;
	v->filter = filter;
	v->ends = is_filtered(&filter) || json_is_true(json_object_get(request->args, "ends"));
	v->d = d;
	v->reply = reply;
	v->all = json_is_true(json_object_get(request->args, "all"));
	supervisor_requests(d->supervisor, add_requests, v);
	return -EINPROGRESS;
}
