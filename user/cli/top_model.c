// SPDX-License-Identifier: Apache-2.0
#include "cli/top_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/table.h"

const char *const top_view_names[TOP_VIEWS] = { "services", "workloads", "edges" };
const char *const top_column_names[TOP_COLUMNS] = {
	"name", "rate", "errors", "p50", "p99", "tcp", "bytes",
};

/* ---- names ---- */

static const char *member(const json_t *row, const char *end, const char *key)
{
	const json_t *peer = json_object_get(row, end);

	return json_get_text(peer, key, "unknown");
}

/* "shop/cart-v1"; what is no pod has the service's name, or none. */
static json_t *workload_name(const json_t *row, const char *end)
{
	const char *workload = member(row, end, "workload"), *ns = member(row, end, "namespace");

	if (strcmp(workload, "unknown") == 0)
		return json_text("unknown");
	return json_textf("%s/%s", ns, workload);
}

static json_t *service_name(const json_t *row)
{
	const char *ns = json_get_text(row, "service_namespace", "unknown");

	if (strcmp(ns, "unknown") == 0)
		return json_text(json_get_text(row, "service", "unknown"));
	return json_textf("%s/%s", ns, json_get_text(row, "service_name", "unknown"));
}

static json_t *edge_name(const json_t *row)
{
	_cleanup_json_ json_t *from = workload_name(row, "source");
	_cleanup_json_ json_t *to = workload_name(row, "destination");
	_cleanup_json_ json_t *service = service_name(row);
	const char *reached = json_string_value(to);

	if (reached && strcmp(reached, "unknown") == 0)
		reached = json_string_value(service);
	return json_textf("%s -> %s", json_string_value(from), reached);
}

static json_t *name_in(const json_t *row, enum top_view view)
{
	if (view == TOP_SERVICES)
		return service_name(row);
	return view == TOP_WORKLOADS ? workload_name(row, "destination") : edge_name(row);
}

/* What makes it the same row in the next answer: all that is no number. */
static json_t *key_of(const json_t *row)
{
	static const char *const texts[] = { "service",	 "cluster", "protocol",	  "by",
					     "security", "flags",   "grpc_status" };
	_cleanup_json_ json_t *parts = json_array();
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		json_array_append_new(parts, json_text(json_get_text(row, texts[i], "")));
	json_array_append_new(parts, json_integer(json_get_int(row, "code", -1)));
	json_array_append(parts, json_object_get(row, "source"));
	json_array_append(parts, json_object_get(row, "destination"));
	json_array_append(parts, json_object_get(row, "reporters"));
	text = json_dumps(parts, JSON_COMPACT | JSON_SORT_KEYS);
	return text ? json_string(text) : NULL;
}

static bool in_namespace(const json_t *row, const char *ns)
{
	return !ns || strcmp(member(row, "source", "namespace"), ns) == 0 ||
	       strcmp(member(row, "destination", "namespace"), ns) == 0 ||
	       strcmp(json_get_text(row, "service_namespace", ""), ns) == 0;
}

/* ---- differences ---- */

static double number(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	return json_is_number(value) ? json_number_value(value) : 0;
}

/* A counter that has become smaller has begun anew. */
static double more(double now, double before)
{
	return now >= before ? now - before : now;
}

static double bucket(const json_t *row, size_t i)
{
	const json_t *buckets = json_object_get(json_object_get(row, "duration"), "buckets");

	return json_number_value(json_array_get(buckets, i));
}

static bool has_failed(const json_t *row)
{
	json_int_t code = json_get_int(row, "code", 0);
	const char *grpc = json_get_text(row, "grpc_status", "");

	return code == 0 || code >= 500 || (*grpc && strcmp(grpc, "0") != 0);
}

/* `before` is NULL for a row that was not there. `seconds` have passed. */
static struct top_sample difference(const json_t *now, const json_t *before, double seconds)
{
	struct top_sample s = { 0 };

	s.opened = more(number(now, "opened"), number(before, "opened")) / seconds;
	s.bytes = (more(number(now, "sent"), number(before, "sent")) +
		   more(number(now, "received"), number(before, "received"))) /
		  seconds;
	s.requests = more(number(now, "requests"), number(before, "requests"));
	s.rate = s.requests / seconds;
	s.failed = has_failed(now) ? s.requests : 0;
	s.errors = s.failed / seconds;
	for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
		s.buckets[i] = more(bucket(now, i), bucket(before, i));
	return s;
}

static void add_sample(struct top_row *r, const struct top_sample *s)
{
	struct top_sample *to = &r->history[TOP_HISTORY - 1];

	to->opened += s->opened;
	to->bytes += s->bytes;
	to->requests += s->requests;
	to->rate += s->rate;
	to->failed += s->failed;
	to->errors += s->errors;
	for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
		to->buckets[i] += s->buckets[i];
}

static void begin_interval(struct top_row *r)
{
	memmove(r->history, r->history + 1, sizeof(r->history) - sizeof(*r->history));
	r->history[TOP_HISTORY - 1] = (struct top_sample){ 0 };
	r->requests_total = 0;
}

/* ---- values ---- */

double top_quantile(const double buckets[TRAFFIC_BUCKETS], double share)
{
	static const double ends[] = TRAFFIC_BUCKET_ENDS;
	double count = 0, rank, below = 0;
	size_t i = 0;

	for (size_t n = 0; n < TRAFFIC_BUCKETS; n++)
		count += buckets[n];
	if (!(count > 0))
		return NAN;
	rank = share * count;
	while (i < TRAFFIC_BUCKETS - 1 && below + buckets[i] < rank)
		below += buckets[i++];
	if (i == TRAFFIC_BUCKETS - 1)
		return ends[i - 1]; /* or above */
	return (i ? ends[i - 1] : 0) +
	       (ends[i] - (i ? ends[i - 1] : 0)) * (rank - below) / buckets[i];
}

/* Of so many of the last intervals: few requests come in none of one, and in the next two. */
static void set_rates(struct top_row *r, size_t intervals)
{
	double rate = 0, opened = 0, bytes = 0;

	for (size_t i = TOP_HISTORY - intervals; i < TOP_HISTORY; i++) {
		rate += r->history[i].rate;
		opened += r->history[i].opened;
		bytes += r->history[i].bytes;
	}
	r->value[TOP_RATE] = rate / (double)intervals;
	r->value[TOP_TCP_OPENED] = opened / (double)intervals;
	r->value[TOP_TCP_BYTES] = bytes / (double)intervals;
}

/* The first answer made no interval. */
static void end_interval(struct top_row *r, unsigned long long answers)
{
	double buckets[TRAFFIC_BUCKETS] = { 0 }, requests = 0, failed = 0;

	for (size_t h = 0; h < TOP_HISTORY; h++) {
		requests += r->history[h].requests;
		failed += r->history[h].failed;
		for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
			buckets[i] += r->history[h].buckets[i];
	}
	set_rates(r, answers > TOP_SMOOTH ? TOP_SMOOTH : answers > 1 ? answers - 1 : 1);
	r->value[TOP_NAME] = NAN;
	r->value[TOP_ERRORS] = requests > 0 ? failed / requests : NAN;
	r->value[TOP_P50] = top_quantile(buckets, 0.5);
	r->value[TOP_P99] = top_quantile(buckets, 0.99);
}

/* ---- all rows ---- */

/* Rows by name of one view for the time of one answer: there may be thousands. */
static struct top_row *row_for(struct top_model *m, json_t *index, enum top_view view,
			       const json_t *traffic)
{
	_cleanup_json_ json_t *name = name_in(traffic, view);
	const char *text = json_string_value(name);
	json_t *known = text ? json_object_get(index, text) : NULL;
	struct top_row *r;

	if (!text)
		return NULL;
	if (known)
		return &m->rows[view].items[json_integer_value(known)];
	r = table_push(&m->rows[view]);
	if (!r)
		return NULL;
	r->name = strdup(text);
	if (!r->name) {
		m->rows[view].count--;
		return NULL;
	}
	json_object_set_new(index, text, json_integer((json_int_t)(m->rows[view].count - 1)));
	return r;
}

static json_t *index_of(const struct top_model *m, enum top_view view)
{
	json_t *index = json_object();

	for (size_t i = 0; i < m->rows[view].count; i++)
		json_object_set_new(index, m->rows[view].items[i].name,
				    json_integer((json_int_t)i));
	return index;
}

/* In the first interval there is no difference to tell. */
static int add_to(struct top_model *m, json_t *const *indices, const json_t *traffic,
		  const struct top_sample *s)
{
	for (enum top_view view = 0; view < TOP_VIEWS; view++) {
		struct top_row *r = row_for(m, indices[view], view, traffic);

		if (!r)
			return -ENOMEM;
		r->requests_total += number(traffic, "requests");
		r->seen = m->intervals;
		add_sample(r, s);
	}
	m->all.requests_total += number(traffic, "requests");
	add_sample(&m->all, s);
	return 0;
}

static int add_row(struct top_model *m, json_t *const *indices, const json_t *traffic,
		   double seconds, json_t *totals)
{
	_cleanup_json_ json_t *key = key_of(traffic);
	const json_t *before = key ? json_object_get(m->before, json_string_value(key)) : NULL;
	struct top_sample s = { 0 };

	if (!key || json_object_set(totals, json_string_value(key), (json_t *)traffic))
		return -ENOMEM;
	if (!in_namespace(traffic, m->namespace))
		return 0;
	if (m->before && seconds > 0)
		s = difference(traffic, before, seconds);
	return add_to(m, indices, traffic, &s);
}

static void begin_all(struct top_model *m)
{
	for (enum top_view view = 0; view < TOP_VIEWS; view++)
		for (size_t i = 0; i < m->rows[view].count; i++)
			begin_interval(&m->rows[view].items[i]);
	begin_interval(&m->all);
	m->intervals++;
}

/* What weftd tells of no more has no more to tell. */
static void drop_gone(struct top_model *m, enum top_view view)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->rows[view].count; i++) {
		struct top_row *r = &m->rows[view].items[i];

		if (r->seen != m->intervals) {
			free(r->name);
			continue;
		}
		end_interval(r, m->intervals);
		m->rows[view].items[kept++] = *r;
	}
	m->rows[view].count = kept;
}

static int add_all(struct top_model *m, const json_t *rows, double seconds, json_t *totals)
{
	json_t *indices[TOP_VIEWS], *row;
	int r = 0;
	size_t i;

	for (enum top_view view = 0; view < TOP_VIEWS; view++)
		indices[view] = index_of(m, view);
	json_array_foreach(rows, i, row)
	{
		if (!r)
			r = add_row(m, indices, row, seconds, totals);
	}
	for (enum top_view view = 0; view < TOP_VIEWS; view++)
		json_decref(indices[view]);
	return r;
}

int top_model_add(struct top_model *m, const json_t *traffic)
{
	const json_t *rows = json_object_get(traffic, "traffic");
	double time = number(traffic, "time");
	_cleanup_json_ json_t *totals = json_object();
	int r;

	if (!json_is_array(rows) || !(time > 0))
		return -EINVAL;
	if (!totals)
		return -ENOMEM;
	begin_all(m);
	r = add_all(m, rows, time - m->time, totals);
	if (r)
		return r;
	for (enum top_view view = 0; view < TOP_VIEWS; view++)
		drop_gone(m, view);
	end_interval(&m->all, m->intervals);
	json_decref(m->before);
	m->before = TAKE_PTR(totals);
	m->time = time;
	return 0;
}

void top_model_free(struct top_model *m)
{
	for (enum top_view view = 0; view < TOP_VIEWS; view++) {
		for (size_t i = 0; i < m->rows[view].count; i++)
			free(m->rows[view].items[i].name);
		free(m->rows[view].items);
	}
	json_decref(m->before);
	*m = (struct top_model){ 0 };
}

/* ---- order ---- */

struct order {
	enum top_column by;
	bool reverse;
};

static int compare(const void *a, const void *b, void *arg)
{
	const struct top_row *x = a, *y = b;
	const struct order *o = arg;
	double p = isnan(x->value[o->by]) ? -1 : x->value[o->by],
	       q = isnan(y->value[o->by]) ? -1 : y->value[o->by];
	int r = o->by == TOP_NAME || p == q ? strcmp(x->name, y->name) : p > q ? -1 : 1;

	return o->reverse ? -r : r;
}

void top_model_sort(struct top_model *m, enum top_view view, enum top_column by, bool reverse)
{
	struct order o = { by, reverse };

	if (m->rows[view].count)
		qsort_r(m->rows[view].items, m->rows[view].count, sizeof(struct top_row), compare,
			&o);
}

/* ---- texts ---- */

/* Of what there is none. */
static char *put_dash(char out[TOP_NUMBER])
{
	snprintf(out, TOP_NUMBER, "-");
	return out;
}

char *top_number(double value, char out[TOP_NUMBER])
{
	static const char units[] = " kMGTPE";
	size_t unit = 0;

	if (isnan(value))
		return put_dash(out);
	while (value >= 999.5 && units[unit + 1]) {
		value /= 1000;
		unit++;
	}
	if (unit)
		snprintf(out, TOP_NUMBER, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	else
		snprintf(out, TOP_NUMBER, value && value < 9.95 ? "%.1f" : "%.0f", value);
	return out;
}

static char *time_text(double ms, char out[TOP_NUMBER])
{
	if (isnan(ms))
		return put_dash(out);
	if (ms < 999.5)
		snprintf(out, TOP_NUMBER, ms < 9.95 ? "%.1fms" : "%.0fms", ms);
	else
		snprintf(out, TOP_NUMBER, ms < 99500 ? "%.1fs" : "%.0fs", ms / 1000);
	return out;
}

char *top_cell(const struct top_row *r, enum top_column c, char out[TOP_NUMBER])
{
	double value = r->value[c];

	if (c == TOP_P50 || c == TOP_P99)
		return time_text(value, out);
	if (c != TOP_ERRORS || isnan(value))
		return top_number(value, out);
	/* One of many is not none. */
	snprintf(out, TOP_NUMBER, value > 0 && value < 0.0995 ? "%.1f%%" : "%.0f%%",
		 value > 0 && value < 0.001 ? 0.1 : value * 100);
	return out;
}

void top_sparkline(const struct top_row *r, unsigned width, bool utf8, char *out)
{
	static const char *const bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const ascii[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
	double most = 0;

	for (unsigned i = TOP_HISTORY - width; i < TOP_HISTORY; i++)
		most = r->history[i].rate > most ? r->history[i].rate : most;
	for (unsigned i = TOP_HISTORY - width; i < TOP_HISTORY; i++) {
		double rate = r->history[i].rate;
		int height = most > 0 ? (int)ceil(rate / most * 7) : 0;

		out = stpcpy(out, rate > 0 ? (utf8 ? bars : ascii)[height] : " ");
	}
	*out = '\0';
}
