// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/feed.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <linux/types.h>

#include "lib/base/bytemap.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "weft/traffic.h"

enum {
	FLAGS_MAX = 24,
	FLAG_MAX = 12,
	NONE = -1,
	/* With what has gone: several times what weftd tells of at a time. */
	ROWS_MAX = 4 * (TRAFFIC_HTTP_ROWS + TRAFFIC_TCP_ROWS),
};

/* What was counted in one turn. */
struct sums {
	uint32_t requests, client_errors, failed, secure, plain;
	uint32_t buckets[TRAFFIC_BUCKETS];
	uint32_t flags[FLAGS_MAX];
	uint64_t in, out;
};

struct edge {
	char *key;
	unsigned from, to;
	char *protocol, *cluster;
	struct sums turns[FEED_WINDOW];
	int64_t open;
	json_t *value; /* as it was told last */
	bool changed;
};

/* A row of the last answer: all that it has ever counted. */
struct row {
	char *key;
	int edges[2]; /* or NONE */
	uint64_t requests, in, out, opened, closed;
	uint64_t buckets[TRAFFIC_BUCKETS];
	uint64_t answer; /* the last one that had it */
};

struct feed {
	struct bytemap row_at, node_at, edge_at; /* by key; of nodes and edges the id + 1 */
	struct row **rows;
	struct edge **edges;
	json_t *nodes; /* as they are told */
	size_t row_count, edge_count, row_room, edge_room;
	size_t nodes_told, edges_told;
	char flags[FLAGS_MAX]
		  [FLAG_MAX]; /* names of struct sums.flags; the last is for all others */
	double seconds[FEED_WINDOW];
	unsigned turn; /* of the window, that counts now */
	uint64_t answers;
	bool begun;
};

struct feed *feed_new(void)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->nodes = json_array();
	if (f->nodes)
		return f;
	free(f);
	return NULL;
}

static void edge_free(struct edge *e)
{
	free(e->key);
	free(e->protocol);
	free(e->cluster);
	json_decref(e->value);
	free(e);
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->row_count; i++) {
		free(f->rows[i]->key);
		free(f->rows[i]);
	}
	for (size_t i = 0; i < f->edge_count; i++)
		edge_free(f->edges[i]);
	for (size_t i = 0; i < f->node_at.count; i++)
		free((void *)f->node_at.entries[i].key);
	bytemap_free(&f->row_at);
	bytemap_free(&f->node_at);
	bytemap_free(&f->edge_at);
	free(f->rows);
	free(f->edges);
	json_decref(f->nodes);
	free(f);
}

/* Room for one more pointer. 0 or -ENOMEM. */
static int grow(void *list, size_t count, size_t *room)
{
	void **items = *(void ***)list;
	size_t more = *room ? 2 * *room : 64;

	if (count < *room)
		return 0;
	items = reallocarray(items, more, sizeof(*items));
	if (!items)
		return -ENOMEM;
	*(void ***)list = items;
	*room = more;
	return 0;
}

/* ---- nodes ---- */

/* The id, or -ENOMEM. */
static int node_id(struct feed *f, const char *kind, const json_t *peer, const char *namespace,
		   const char *name)
{
	const char *version = peer ? json_get_text(peer, "version", "unknown") : "";
	const char *app = peer ? json_get_text(peer, "app", "unknown") : "";
	size_t id = json_array_size(f->nodes);
	_cleanup_free_ char *key = NULL;
	void **at;

	if (asprintf(&key, "%s|%s|%s|%s|%s", kind, namespace, name, version, app) < 0) {
		key = NULL;
		return -ENOMEM;
	}
	at = bytemap_at(&f->node_at, key, strlen(key));
	if (!at)
		return -ENOMEM;
	if (*at)
		return (int)((uintptr_t)*at - 1);
	*at = (void *)(id + 1);
	(void)TAKE_PTR(key);
	return json_array_append_new(f->nodes, json_pack("[I,s,s,s,s,s]", (json_int_t)id, kind,
							 namespace, name, version, app))
		       ? -ENOMEM
		       : (int)id;
}

static int peer_node(struct feed *f, const json_t *peer)
{
	return node_id(f, "workload", peer, json_get_text(peer, "namespace", "unknown"),
		       json_get_text(peer, "workload", "unknown"));
}

static int service_node(struct feed *f, const json_t *row)
{
	return node_id(f, "service", NULL, json_get_text(row, "service_namespace", "unknown"),
		       json_get_text(row, "service_name",
				     json_get_text(row, "service", "unknown")));
}

/* ---- edges ---- */

static int edge_add(struct feed *f, struct edge *e, void **at)
{
	if (!e->protocol || !e->cluster || grow(&f->edges, f->edge_count, &f->edge_room))
		return -ENOMEM;
	f->edges[f->edge_count++] = e;
	*at = (void *)f->edge_count;
	return (int)f->edge_count - 1;
}

/* The id, or -errno of an id that is given. */
static int edge_id(struct feed *f, int from, int to, const json_t *row, const char *cluster)
{
	const char *protocol = json_get_text(row, "protocol", "http");
	_cleanup_free_ char *key = NULL;
	struct edge *e;
	void **at;
	int id;

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (asprintf(&key, "%d|%d|%s|%s", from, to, protocol, cluster) < 0) {
		key = NULL;
		return -ENOMEM;
	}
	at = bytemap_at(&f->edge_at, key, strlen(key));
	if (!at)
		return -ENOMEM;
	if (*at)
		return (int)((uintptr_t)*at - 1);
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct edge){ .key = TAKE_PTR(key),
			    .from = (unsigned)from,
			    .to = (unsigned)to,
			    .protocol = strdup(protocol),
			    .cluster = strdup(cluster) };
	id = edge_add(f, e, at);
	if (id < 0)
		edge_free(e); /* its key stays in the map, which the caller gives up */
	return id;
}

/* Where no endpoint was reached, as with 503 UH, there is no second edge. */
static bool has_destination(const json_t *row)
{
	const json_t *d = json_object_get(row, "destination");

	return strcmp(json_get_text(d, "workload", "unknown"), "unknown") != 0;
}

static int find_edges(struct feed *f, const json_t *row, int out[2])
{
	int service = service_node(f, row);
	int caller = peer_node(f, json_object_get(row, "source"));

	out[1] = NONE;
	out[0] = edge_id(f, caller, service, row, "");
	if (out[0] < 0 || !has_destination(row))
		return out[0] < 0 ? -ENOMEM : 0;
	out[1] = edge_id(f, service, peer_node(f, json_object_get(row, "destination")), row,
			 json_get_text(row, "cluster", ""));
	return out[1] < 0 ? -ENOMEM : 0;
}

/* ---- rows ---- */

/* What tells rows apart. NULL when out of memory. */
static char *row_key(const json_t *row)
{
	static const char *const members[] = { "source",   "destination", "service",  "cluster",
					       "protocol", "by",	  "security", "code",
					       "flags",	   "grpc_status", "reporters" };
	_cleanup_json_ json_t *key = json_array();

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		json_t *member = json_object_get(row, members[i]);

		if (json_array_append_new(key, member ? json_incref(member) : json_null()))
			return NULL;
	}
	return json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS);
}

/* NULL when out of memory. */
static struct row *row_at(struct feed *f, const json_t *row)
{
	_cleanup_free_ char *key = row_key(row);
	_cleanup_free_ struct row *r = NULL;
	void **at = key ? bytemap_at(&f->row_at, key, strlen(key)) : NULL;

	if (!at || *at)
		return at ? *at : NULL;
	r = calloc(1, sizeof(*r));
	if (!r || find_edges(f, row, r->edges) || grow(&f->rows, f->row_count, &f->row_room)) {
		(void)TAKE_PTR(key); /* the map has it */
		return NULL;
	}
	r->key = TAKE_PTR(key);
	f->rows[f->row_count++] = r;
	*at = r;
	return TAKE_PTR(r);
}

/* Since the last answer; what has begun anew counts from 0. */
static uint64_t step(uint64_t *last, json_int_t now)
{
	uint64_t value = now < 0 ? 0 : (uint64_t)now;
	uint64_t more = value >= *last ? value - *last : value;

	*last = value;
	return more;
}

static unsigned flag_index(struct feed *f, const char *name, size_t len)
{
	for (unsigned i = 0; i < FLAGS_MAX - 1; i++) {
		if (!*f->flags[i] && len < FLAG_MAX)
			memcpy(f->flags[i], name, len);
		if (strlen(f->flags[i]) == len && !memcmp(f->flags[i], name, len))
			return i;
	}
	return FLAGS_MAX - 1;
}

/* "UO,URX"; "-" is none. */
static void count_flags(struct feed *f, struct sums *s, const char *flags, uint32_t count)
{
	for (size_t len; *flags && strcmp(flags, "-") != 0; flags += len + (flags[len] == ',')) {
		len = strcspn(flags, ",");
		if (len)
			s->flags[flag_index(f, flags, len)] += count;
	}
}

static bool has_failed(const json_t *row, json_int_t code)
{
	const char *grpc = json_get_text(row, "grpc_status", "");

	return !code || code >= 500 || (*grpc && strcmp(grpc, "0") != 0);
}

static json_int_t body_sum(const json_t *row, const char *member)
{
	return json_get_int(json_object_get(row, member), "sum", 0);
}

/* Adds what the row has counted since the last answer to `s`. */
static void count_http(struct feed *f, struct row *r, const json_t *row, struct sums *s)
{
	const json_t *buckets = json_object_get(json_object_get(row, "duration"), "buckets");
	json_int_t code = json_get_int(row, "code", 0);

	s->requests = (uint32_t)step(&r->requests, json_get_int(row, "requests", 0));
	for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
		s->buckets[i] = (uint32_t)step(&r->buckets[i],
					       json_integer_value(json_array_get(buckets, i)));
	s->client_errors = code >= 400 && code < 500 ? s->requests : 0;
	s->failed = has_failed(row, code) ? s->requests : 0;
	s->in = step(&r->in, body_sum(row, "request_bytes"));
	s->out = step(&r->out, body_sum(row, "response_bytes"));
	if (s->requests)
		count_flags(f, s, json_get_text(row, "flags", "-"), s->requests);
}

static void count_tcp(struct row *r, const json_t *row, struct sums *s, int64_t *open)
{
	json_int_t opened = json_get_int(row, "opened", 0), closed = json_get_int(row, "closed", 0);

	*open = (int64_t)opened - closed - (int64_t)(r->opened - r->closed);
	s->requests = (uint32_t)step(&r->opened, opened);
	step(&r->closed, closed);
	s->in = step(&r->in, json_get_int(row, "received", 0));
	s->out = step(&r->out, json_get_int(row, "sent", 0));
}

static void sums_add(struct sums *to, const struct sums *s)
{
	to->requests += s->requests;
	to->client_errors += s->client_errors;
	to->failed += s->failed;
	to->secure += s->secure;
	to->plain += s->plain;
	to->in += s->in;
	to->out += s->out;
	for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
		to->buckets[i] += s->buckets[i];
	for (size_t i = 0; i < FLAGS_MAX; i++)
		to->flags[i] += s->flags[i];
}

static void count_security(const json_t *row, struct sums *s)
{
	const char *security = json_get_text(row, "security", "unknown");

	if (strcmp(security, "mutual_tls") == 0)
		s->secure = s->requests;
	else if (strcmp(security, "none") == 0)
		s->plain = s->requests;
}

static int take_row(struct feed *f, const json_t *row)
{
	struct row *r = row_at(f, row);
	struct sums s = { 0 };
	int64_t open = 0;

	if (!r)
		return -ENOMEM;
	r->answer = f->answers;
	if (strcmp(json_get_text(row, "protocol", ""), "tcp") == 0)
		count_tcp(r, row, &s, &open);
	else
		count_http(f, r, row, &s);
	count_security(row, &s);
	for (size_t i = 0; i < 2; i++) {
		struct edge *e = r->edges[i] == NONE ? NULL : f->edges[r->edges[i]];

		if (e)
			e->open += open;
		if (e && f->begun)
			sums_add(&e->turns[f->turn], &s);
	}
	return 0;
}

/* What is not told of any more begins at 0 should it come again. */
static void forget_row(struct feed *f, struct row *r)
{
	for (size_t i = 0; i < 2; i++)
		if (r->edges[i] != NONE)
			f->edges[r->edges[i]]->open -= (int64_t)(r->opened - r->closed);
	r->requests = r->in = r->out = r->opened = r->closed = 0;
	memset(r->buckets, 0, sizeof(r->buckets));
}

static void forget_rows(struct feed *f)
{
	for (size_t i = 0; i < f->row_count; i++)
		if (f->rows[i]->answer != f->answers)
			forget_row(f, f->rows[i]);
}

/* ---- what is told ---- */

static double window_seconds(const struct feed *f)
{
	double seconds = 0;

	for (size_t i = 0; i < FEED_WINDOW; i++)
		seconds += f->seconds[i];
	return seconds > 0 ? seconds : 1;
}

/* In milliseconds: where in its bucket, by proportion. New value. */
static json_t *quantile(const struct sums *s, double share)
{
	static const double ends[TRAFFIC_BUCKETS - 1] = TRAFFIC_BUCKET_ENDS;
	uint64_t all = 0, below = 0;

	for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
		all += s->buckets[i];
	for (size_t i = 0; all && i < TRAFFIC_BUCKETS; i++) {
		double begin = i ? ends[i - 1] : 0;
		double end = i < TRAFFIC_BUCKETS - 1 ? ends[i] : begin;

		if ((double)(below + s->buckets[i]) >= share * (double)all)
			return json_real(begin + (end - begin) *
							 (share * (double)all - (double)below) /
							 (double)s->buckets[i]);
		below += s->buckets[i];
	}
	return json_null();
}

static json_t *flags_json(const struct feed *f, const struct sums *s)
{
	json_t *json = json_object();

	for (size_t i = 0; i < FLAGS_MAX; i++)
		if (s->flags[i])
			json_object_set_new(json, i < FLAGS_MAX - 1 ? f->flags[i] : "other",
					    json_integer(s->flags[i]));
	return json;
}

static json_t *security_json(const struct sums *s)
{
	uint64_t known = (uint64_t)s->secure + s->plain;

	return known ? json_real((double)s->secure / (double)known) : json_null();
}

/* NULL when out of memory. */
static json_t *edge_value(const struct feed *f, size_t id)
{
	const struct edge *e = f->edges[id];
	double per = 1 / window_seconds(f);
	struct sums s = { 0 };

	for (size_t i = 0; i < FEED_WINDOW; i++)
		sums_add(&s, &e->turns[i]);
	return json_pack("[I,f,f,f,o,o,f,f,I,o,o]", (json_int_t)id, s.requests * per,
			 s.client_errors * per, s.failed * per, quantile(&s, 0.5),
			 quantile(&s, 0.99), (double)s.in * per, (double)s.out * per,
			 (json_int_t)e->open, security_json(&s), flags_json(f, &s));
}

static int tell_edges(struct feed *f)
{
	for (size_t i = 0; i < f->edge_count; i++) {
		struct edge *e = f->edges[i];
		json_t *value = edge_value(f, i);

		if (!value)
			return -ENOMEM;
		e->changed = !e->value || !json_equal(e->value, value);
		json_decref(e->value);
		e->value = value;
	}
	return 0;
}

int feed_take(struct feed *f, const json_t *data, double seconds)
{
	const json_t *rows = json_object_get(data, "traffic");
	const json_t *row;
	size_t i;
	int r = 0;

	f->answers++;
	f->turn = (f->turn + 1) % FEED_WINDOW;
	f->seconds[f->turn] = f->begun ? seconds : 0;
	for (i = 0; i < f->edge_count; i++)
		f->edges[i]->turns[f->turn] = (struct sums){ 0 };
	json_array_foreach(rows, i, row)
	{
		r = take_row(f, row);
		if (!r && f->row_count > ROWS_MAX)
			r = -E2BIG;
		if (r)
			return r;
	}
	forget_rows(f);
	f->begun = true;
	return tell_edges(f);
}

/* Nodes and edges from these on, and the values of edges that are new or, `all`, of all. */
static json_t *message(struct feed *f, size_t node, size_t edge, bool all)
{
	json_t *nodes = json_array(), *edges = json_array(), *values = json_array();

	for (; node < json_array_size(f->nodes); node++)
		json_array_append(nodes, json_array_get(f->nodes, node));
	for (size_t i = 0; i < f->edge_count; i++) {
		const struct edge *e = f->edges[i];

		if (i >= edge)
			json_array_append_new(
				edges, json_pack("[I,I,I,s,s]", (json_int_t)i, (json_int_t)e->from,
						 (json_int_t)e->to, e->protocol, e->cluster));
		if (e->value && (all || e->changed))
			json_array_append(values, e->value);
	}
	return json_pack("{s:o, s:o, s:o}", "nodes", nodes, "edges", edges, "values", values);
}

json_t *feed_changes(struct feed *f)
{
	json_t *json = message(f, f->nodes_told, f->edges_told, false);

	f->nodes_told = json_array_size(f->nodes);
	f->edges_told = f->edge_count;
	return json;
}

json_t *feed_all(struct feed *f)
{
	json_t *json = message(f, 0, 0, true);

	json_object_set_new(json, "full", json_true());
	return json;
}
