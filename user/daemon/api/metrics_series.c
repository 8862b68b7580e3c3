// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define UNKNOWN "unknown"

enum {
	HTTP_LINES = 1 + 3 * (TRAFFIC_BUCKETS + 2), /* time series that a label set makes */
	TCP_LINES = 4,
};

/* ---- labels, in ztunnel's order ---- */

static const char *security_label(enum traffic_security s)
{
	return s == TRAFFIC_PLAIN ? "none" : s == TRAFFIC_MUTUAL_TLS ? "mutual_tls" : UNKNOWN;
}

/* Istio's name for a cluster that has none: weft knows no other. */
static const char *cluster_of(const struct peer *p)
{
	return strcmp(p->workload, UNKNOWN) != 0 ? "Kubernetes" : UNKNOWN;
}

static int add_all(struct buffer *out, const char *const *pairs)
{
	int r = 0;

	for (; !r && *pairs; pairs += 2)
		r = metrics_label(out, pairs[0], pairs[1]);
	return r;
}

static int add_peers(struct buffer *out, const char *reporter, const struct traffic *t)
{
	const struct peer *from = t->source, *to = t->destination;

	return add_all(out, (const char *const[]){ "reporter",
						   reporter,
						   "source_workload",
						   from->workload,
						   "source_canonical_service",
						   from->canonical_service,
						   "source_canonical_revision",
						   from->canonical_revision,
						   "source_workload_namespace",
						   from->ns,
						   "source_principal",
						   from->principal,
						   "source_app",
						   from->app,
						   "source_version",
						   from->version,
						   "source_cluster",
						   cluster_of(from),
						   "destination_service",
						   t->service,
						   "destination_service_namespace",
						   t->service_namespace,
						   "destination_service_name",
						   t->service_name,
						   "destination_workload",
						   to->workload,
						   "destination_canonical_service",
						   to->canonical_service,
						   "destination_canonical_revision",
						   to->canonical_revision,
						   "destination_workload_namespace",
						   to->ns,
						   "destination_principal",
						   to->principal,
						   "destination_app",
						   to->app,
						   "destination_version",
						   to->version,
						   "destination_cluster",
						   cluster_of(to),
						   "request_protocol",
						   t->protocol,
						   "response_flags",
						   t->flags,
						   "connection_security_policy",
						   security_label(t->security),
						   NULL });
}

static int add_response(struct buffer *out, const struct http_traffic_key *key)
{
	char code[16], grpc[16] = "";

	snprintf(code, sizeof(code), "%u", key->code);
	if (key->grpc != TRAFFIC_GRPC_NONE)
		snprintf(grpc, sizeof(grpc), "%u", key->grpc);
	return add_all(out, (const char *const[]){ "response_code", code, "grpc_response_status",
						   grpc, NULL });
}

/* With a NUL behind them, which isn't counted. */
static int put_labels(struct buffer *out, const char *reporter, const struct traffic *t)
{
	int r = add_peers(out, reporter, t);

	if (!r && t->http)
		r = add_response(out, &t->http->key);
	if (!r)
		r = buffer_add(out, "", 1);
	if (!r)
		out->size--;
	return r;
}

/* ---- the series of a label set ---- */

static void set_free(struct metrics_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free((char *)set->labels[i].text);
	free(set->labels);
	free(set->folded);
	bytemap_free(&set->by_labels);
}

/* Index + 1; 0: there is none. */
static unsigned set_find(struct metrics_set *set, const struct buffer *labels)
{
	return (unsigned)(uintptr_t)bytemap_get(&set->by_labels, labels->bytes, labels->size);
}

static int set_grow(struct metrics_set *set)
{
	size_t room = set->room ? 2 * set->room : 64;
	struct metrics_labels *labels;
	bool *folded;

	if (set->count < set->room)
		return 0;
	labels = realloc(set->labels, room * sizeof(*labels));
	if (!labels)
		return -ENOMEM;
	set->labels = labels;
	folded = realloc(set->folded, room * sizeof(*folded));
	if (!folded)
		return -ENOMEM;
	set->folded = folded;
	set->room = room;
	return 0;
}

static int set_add(struct metrics_set *set, const struct buffer *labels, bool folded, unsigned *at)
{
	_cleanup_free_ char *copy = strdup(labels->bytes);
	void **slot;

	if (!copy || set_grow(set))
		return -ENOMEM;
	slot = bytemap_at(&set->by_labels, copy, labels->size);
	if (!slot)
		return -ENOMEM;
	set->folded[set->count] = folded;
	set->labels[set->count++] = metrics_labels_of(TAKE_PTR(copy), labels->size);
	*at = (unsigned)set->count;
	*slot = (void *)(uintptr_t)*at;
	return 0;
}

/* Each is counted once. */
static int note_folded(struct metrics_series *s, const struct buffer *labels)
{
	_cleanup_free_ char *copy = NULL;
	void **at;

	if (bytemap_get(&s->folded_labels, labels->bytes, labels->size))
		return 0;
	copy = strdup(labels->bytes);
	at = copy ? bytemap_at(&s->folded_labels, copy, labels->size) : NULL;
	if (!at)
		return -ENOMEM;
	*at = TAKE_PTR(copy);
	s->folded++;
	return 0;
}

/* Nothing but the protocol and the response is known. */
static int put_folded(struct buffer *out, const char *reporter, const struct traffic *t)
{
	struct http_traffic http = { .key.grpc = TRAFFIC_GRPC_NONE };
	struct traffic_texts texts;
	struct traffic folded;

	if (t->http)
		http.key.code = t->http->key.code;
	traffic_of_http(&http, NULL, NULL, NULL, &texts, &folded);
	folded.protocol = t->protocol;
	folded.security = TRAFFIC_SECURITY_UNKNOWN;
	folded.http = t->http ? &http : NULL;
	out->size = 0;
	return put_labels(out, reporter, &folded);
}

static int place(struct metrics_series *s, const char *reporter, const struct traffic *t,
		 unsigned *at)
{
	struct metrics_set *set = t->http ? &s->http : &s->tcp;
	size_t lines = t->http ? HTTP_LINES : TCP_LINES;
	_cleanup_(buffer_free) struct buffer labels = { 0 };
	int r = put_labels(&labels, reporter, t);

	if (r)
		return r;
	*at = set_find(set, &labels);
	if (*at)
		return 0;
	if (s->made + lines <= s->max) {
		r = set_add(set, &labels, false, at);
		s->made += r ? 0 : lines;
		return r;
	}
	r = note_folded(s, &labels);
	if (!r)
		r = put_folded(&labels, reporter, t);
	if (r)
		return r;
	*at = set_find(set, &labels);
	return *at ? 0 : set_add(set, &labels, true, at);
}

int metrics_series_place(struct metrics_series *s, const struct traffic *t,
			 struct metrics_places *out)
{
	static const char *const reporters[METRICS_REPORTERS] = { "source", "destination" };
	struct metrics_places places = { { 0 } };
	int r = 0;

	for (int i = 0; !r && i < METRICS_REPORTERS; i++)
		if (t->reporters & (i ? TRAFFIC_DESTINATION : TRAFFIC_SOURCE))
			r = place(s, reporters[i], t, &places.at[i]);
	if (!r)
		*out = places;
	return r;
}

static void forget_folded(struct metrics_series *s)
{
	for (size_t i = 0; i < s->folded_labels.count; i++)
		free(s->folded_labels.entries[i].value);
	bytemap_free(&s->folded_labels);
}

void metrics_series_free(struct metrics_series *s)
{
	forget_folded(s);
	set_free(&s->http);
	set_free(&s->tcp);
	metrics_numbers_free(&s->past);
}

/* ---- series that go ---- */

int metrics_moves_new(struct metrics_moves *m, const struct metrics_series *s)
{
	struct metrics_moves fresh = { calloc(s->http.count + 1, sizeof(*fresh.http)),
				       calloc(s->tcp.count + 1, sizeof(*fresh.tcp)) };

	*m = fresh;
	if (fresh.http && fresh.tcp)
		return 0;
	metrics_moves_free(m);
	return -ENOMEM;
}

void metrics_moves_free(struct metrics_moves *m)
{
	free(m->http);
	free(m->tcp);
	*m = (struct metrics_moves){ 0 };
}

void metrics_moves_use(struct metrics_moves *m, const struct metrics_places *places, bool http)
{
	unsigned *moves = http ? m->http : m->tcp;

	for (int i = 0; i < METRICS_REPORTERS; i++)
		moves[places->at[i]] = 1;
}

void metrics_moves_apply(const struct metrics_moves *m, struct metrics_places *places, bool http)
{
	const unsigned *moves = http ? m->http : m->tcp;

	for (int i = 0; i < METRICS_REPORTERS; i++)
		places->at[i] = moves[places->at[i]];
}

/* `numbers`: `count` of `size` bytes, which move along. The lines of series that go, which were not
 * folded. */
static size_t set_drop(struct metrics_set *set, unsigned *moves, char *numbers, size_t count,
		       size_t size, size_t lines)
{
	size_t left = 0, dropped = 0;

	bytemap_clear(&set->by_labels);
	for (size_t i = 0; i < set->count; i++) {
		if (!moves[i + 1]) {
			dropped += set->folded[i] ? 0 : lines;
			free((char *)set->labels[i].text);
			continue;
		}
		set->labels[left] = set->labels[i];
		set->folded[left] = set->folded[i];
		if (i < count)
			memmove(numbers + left * size, numbers + i * size, size);
		else if (left < count)
			memset(numbers + left * size, 0, size);
		moves[i + 1] = (unsigned)++left;
		*bytemap_at(&set->by_labels, set->labels[left - 1].text,
			    set->labels[left - 1].len) = (void *)(uintptr_t)left;
	}
	set->count = left;
	moves[0] = 0;
	return dropped;
}

void metrics_series_drop(struct metrics_series *s, struct metrics_moves *m)
{
	struct metrics_numbers *past = &s->past;

	s->made -= set_drop(&s->http, m->http, (char *)past->http, past->http_count,
			    sizeof(*past->http), HTTP_LINES);
	s->made -= set_drop(&s->tcp, m->tcp, (char *)past->tcp, past->tcp_count, sizeof(*past->tcp),
			    TCP_LINES);
	if (past->http_count > s->http.count)
		past->http_count = s->http.count;
	if (past->tcp_count > s->tcp.count)
		past->tcp_count = s->tcp.count;
	s->drops++;
	forget_folded(s); /* they are counted again when they come again */
}

/* ---- numbers ---- */

/* `count` of `size` bytes each: the first ones are the past's, the others 0. */
static int begin(void **items, size_t *room, size_t count, size_t size, const void *past,
		 size_t past_count)
{
	if (!*items || *room < count) {
		void *more = calloc(count + 1, size);

		if (!more)
			return -ENOMEM;
		free(*items);
		*items = more;
		*room = count;
	}
	if (past_count)
		memcpy(*items, past, past_count * size);
	memset((char *)*items + past_count * size, 0, (count - past_count) * size);
	return 0;
}

int metrics_numbers_begin(struct metrics_numbers *n, const struct metrics_series *s)
{
	const struct metrics_numbers *past = &s->past;

	n->http_count = s->http.count;
	n->tcp_count = s->tcp.count;
	if (begin((void **)&n->http, &n->http_room, n->http_count, sizeof(*n->http), past->http,
		  past->http_count))
		return -ENOMEM;
	return begin((void **)&n->tcp, &n->tcp_room, n->tcp_count, sizeof(*n->tcp), past->tcp,
		     past->tcp_count);
}

/* The past gets numbers of all series. */
static int past_grow(struct metrics_series *s)
{
	struct metrics_numbers more = { 0 };

	if (s->past.http_count == s->http.count && s->past.tcp_count == s->tcp.count)
		return 0;
	if (metrics_numbers_begin(&more, s)) {
		metrics_numbers_free(&more);
		return -ENOMEM;
	}
	metrics_numbers_free(&s->past);
	s->past = more;
	return 0;
}

int metrics_series_leave_http(struct metrics_series *s, const struct metrics_places *places,
			      const struct http_traffic *row)
{
	int r = past_grow(s);

	if (!r)
		metrics_numbers_add_http(&s->past, places, row);
	return r;
}

int metrics_series_leave_tcp(struct metrics_series *s, const struct metrics_places *places,
			     const struct tcp_traffic *row)
{
	int r = past_grow(s);

	if (!r)
		metrics_numbers_add_tcp(&s->past, places, row);
	return r;
}

void metrics_numbers_free(struct metrics_numbers *n)
{
	free(n->http);
	free(n->tcp);
	*n = (struct metrics_numbers){ 0 };
}

static void add_histogram(struct traffic_histogram *to, const struct traffic_histogram *from)
{
	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
	to->sum += from->sum;
}

void metrics_numbers_add_http(struct metrics_numbers *n, const struct metrics_places *places,
			      const struct http_traffic *row)
{
	for (int i = 0; i < METRICS_REPORTERS; i++) {
		struct metrics_requests *to = places->at[i] ? &n->http[places->at[i] - 1] : NULL;

		if (!to)
			continue;
		to->requests += row->requests;
		add_histogram(&to->duration, &row->duration);
		add_histogram(&to->request_bytes, &row->request_bytes);
		add_histogram(&to->response_bytes, &row->response_bytes);
	}
}

void metrics_numbers_add_tcp(struct metrics_numbers *n, const struct metrics_places *places,
			     const struct tcp_traffic *row)
{
	for (int i = 0; i < METRICS_REPORTERS; i++) {
		struct tcp_traffic *to = places->at[i] ? &n->tcp[places->at[i] - 1] : NULL;

		if (!to)
			continue;
		to->opened += row->opened;
		to->closed += row->closed;
		to->received += row->received;
		to->sent += row->sent;
	}
}

/* ---- families ---- */

enum { REQUESTS, DURATION, REQUEST_BYTES, RESPONSE_BYTES, OPENED, CLOSED, RECEIVED, SENT };
_Static_assert((int)SENT + 1 == (int)METRICS_SERIES_FAMILIES, "all are numbered");

/* Names and meanings are Istio's. */
static const struct metrics_family families[METRICS_SERIES_FAMILIES] = {
	[REQUESTS] = { "istio_requests", NULL, "Requests, by HTTP and gRPC.", METRICS_COUNTER },
	[DURATION] = { "istio_request_duration_milliseconds", "milliseconds",
		       "How long requests took, from their head to the end of the response.",
		       METRICS_HISTOGRAM },
	[REQUEST_BYTES] = { "istio_request_bytes", "bytes", "Sizes of the bodies of requests.",
			    METRICS_HISTOGRAM },
	[RESPONSE_BYTES] = { "istio_response_bytes", "bytes", "Sizes of the bodies of responses.",
			     METRICS_HISTOGRAM },
	[OPENED] = { "istio_tcp_connections_opened", NULL,
		     "Connections without requests that have come about.", METRICS_COUNTER },
	[CLOSED] = { "istio_tcp_connections_closed", NULL,
		     "Connections without requests that have ended.", METRICS_COUNTER },
	[RECEIVED] = { "istio_tcp_received_bytes", "bytes",
		       "Bytes from callers to endpoints on connections without requests.",
		       METRICS_COUNTER },
	[SENT] = { "istio_tcp_sent_bytes", "bytes",
		   "Bytes from endpoints to callers on connections without requests.",
		   METRICS_COUNTER },
};

const struct metrics_family *metrics_series_family(unsigned family)
{
	return &families[family];
}

void metrics_series_init(struct metrics_series *s, size_t max)
{
	static const char *const parts[METRICS_PARTS] = { "_bucket", "_sum", "_count" };

	*s = (struct metrics_series){ .max = max };
	for (int i = 0; i < METRICS_SERIES_FAMILIES; i++)
		for (int part = 0; part < METRICS_PARTS; part++)
			s->names[i].of[part] = metrics_name_of(
				families[i].name,
				families[i].type == METRICS_HISTOGRAM ? parts[part] : "_total");
}

size_t metrics_series_count(unsigned family, const struct metrics_numbers *n)
{
	return family < OPENED ? n->http_count : n->tcp_count;
}

const void *metrics_series_value(unsigned family, const struct metrics_numbers *n, size_t i,
				 size_t *size)
{
	*size = sizeof(struct traffic_histogram);
	switch (family) {
	case REQUESTS:
		*size = sizeof(n->http[i].requests);
		return &n->http[i].requests;
	case DURATION:
		return &n->http[i].duration;
	case REQUEST_BYTES:
		return &n->http[i].request_bytes;
	case RESPONSE_BYTES:
		return &n->http[i].response_bytes;
	default:
		return NULL;
	}
}

static int write_http(struct metrics_out *out, unsigned family, const struct metrics_name *names,
		      const struct metrics_requests *n, const struct metrics_labels *labels)
{
	switch (family) {
	case REQUESTS:
		return metrics_int(out, names, labels, n->requests);
	case DURATION:
		return metrics_histogram(out, names, labels, &n->duration, true);
	case REQUEST_BYTES:
		return metrics_histogram(out, names, labels, &n->request_bytes, false);
	default:
		return metrics_histogram(out, names, labels, &n->response_bytes, false);
	}
}

static uint64_t of_connections(unsigned family, const struct tcp_traffic *n)
{
	switch (family) {
	case OPENED:
		return n->opened;
	case CLOSED:
		return n->closed;
	case RECEIVED:
		return n->received;
	default:
		return n->sent;
	}
}

int metrics_series_write(struct metrics_out *out, unsigned family, const struct metrics_series *s,
			 const struct metrics_numbers *n, size_t i)
{
	const struct metrics_name *names = s->names[family].of;

	if (family < OPENED)
		return write_http(out, family, names, &n->http[i], &s->http.labels[i]);
	return metrics_int(out, names, &s->tcp.labels[i], of_connections(family, &n->tcp[i]));
}
