// SPDX-License-Identifier: Apache-2.0
/* What weft top makes of two answers, and how it shows numbers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "cli/status_trouble.h"
#include "cli/top_model.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

static json_t *peer(const char *name)
{
	return json_pack("{s:s, s:s}", "workload", name, "namespace", "shop");
}

/* So many requests of one bucket. */
static json_t *http(const char *service, const char *to, int code, int bucket, int requests)
{
	json_t *buckets = json_array();

	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		json_array_append_new(buckets, json_integer(i == bucket ? requests : 0));
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:i, s:{s:o}}", "source",
			 peer("sleep"), "destination", peer(to), "service", service, "service_name",
			 service, "service_namespace", "shop", "protocol", "http", "code", code,
			 "requests", requests, "duration", "buckets", buckets);
}

static json_t *tcp(int opened, int bytes)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "source", peer("sleep"),
			 "destination", peer("db-v1"), "service", "db", "service_name", "db",
			 "service_namespace", "shop", "protocol", "tcp", "opened", opened, "sent",
			 bytes, "received", bytes);
}

/* Takes the rows over. */
static void add(struct top_model *m, double time, json_t *rows)
{
	_cleanup_json_ json_t *answer = json_pack("{s:f, s:o}", "time", time, "traffic", rows);

	cr_assert_eq(top_model_add(m, answer), 0);
}

static const struct top_row *find(const struct top_model *m, enum top_view view, const char *name)
{
	for (size_t i = 0; i < m->rows[view].count; i++)
		if (!strcmp(m->rows[view].items[i].name, name))
			return &m->rows[view].items[i];
	cr_assert_fail("there is no %s", name);
	return NULL;
}

Test(top, rates_are_differences)
{
	struct top_model m = { 0 };
	const struct top_row *r;

	add(&m, 100,
	    json_pack("[o, o, o]", http("reviews", "v1", 200, 2, 1000),
		      http("reviews", "v1", 503, 5, 10), tcp(5, 500)));
	r = find(&m, TOP_SERVICES, "shop/reviews");
	cr_expect_eq(r->value[TOP_RATE], 0, "one answer makes no rate");
	cr_expect(isnan(r->value[TOP_ERRORS]));
	add(&m, 102,
	    json_pack("[o, o, o]", http("reviews", "v1", 200, 2, 1090),
		      http("reviews", "v1", 503, 5, 20), tcp(9, 1500)));
	r = find(&m, TOP_SERVICES, "shop/reviews");
	cr_expect_float_eq(r->value[TOP_RATE], 50, 0.001);
	cr_expect_float_eq(r->value[TOP_ERRORS], 0.1, 0.001);
	cr_expect_float_eq(r->value[TOP_P50], 1 + 4 * 50.0 / 90, 0.001);
	cr_expect_float_eq(r->value[TOP_P99], 25 + 25 * 0.9, 0.001);
	cr_expect_eq(r->requests_total, 1110);
	r = find(&m, TOP_SERVICES, "shop/db");
	cr_expect_float_eq(r->value[TOP_TCP_OPENED], 2, 0.001);
	cr_expect_float_eq(r->value[TOP_TCP_BYTES], 1000, 0.001, "both directions");
	cr_expect(isnan(r->value[TOP_P50]));
	find(&m, TOP_WORKLOADS, "shop/v1");
	find(&m, TOP_EDGES, "shop/sleep -> shop/v1");
	cr_expect_float_eq(m.all.value[TOP_RATE], 50, 0.001);
	top_model_free(&m);
}

Test(top, counters_that_begin_anew_and_rows_that_go)
{
	struct top_model m = { 0 };

	add(&m, 100, json_pack("[o, o]", http("a", "a", 200, 2, 1000), http("b", "b", 200, 2, 7)));
	add(&m, 101, json_pack("[o]", http("a", "a", 200, 2, 30)));
	cr_expect_float_eq(find(&m, TOP_SERVICES, "shop/a")->value[TOP_RATE], 30, 0.001);
	cr_expect_eq(m.rows[TOP_SERVICES].count, 1, "b has gone");
	add(&m, 102, json_pack("[o, o]", http("a", "a", 200, 2, 30), http("c", "c", 200, 2, 4)));
	cr_expect_float_eq(find(&m, TOP_SERVICES, "shop/a")->value[TOP_RATE], 15, 0.001, "of two");
	cr_expect_float_eq(find(&m, TOP_SERVICES, "shop/c")->value[TOP_RATE], 2, 0.001);
	top_model_free(&m);
}

static json_t *tcp_by(const char *by, int opened)
{
	json_t *row = tcp(opened, 10 * opened);

	json_object_set_new(row, "by", json_string(by));
	return row;
}

Test(top, rows_of_equal_labels_that_others_count_are_two)
{
	struct top_model m = { 0 };

	for (int i = 0; i < 2; i++)
		add(&m, 100 + i, json_pack("[o, o]", tcp_by("proxy", 7), tcp_by("kernel", 1000)));
	cr_expect_eq(find(&m, TOP_SERVICES, "shop/db")->value[TOP_TCP_OPENED], 0);
	cr_expect_eq(find(&m, TOP_SERVICES, "shop/db")->value[TOP_TCP_BYTES], 0);
	add(&m, 102, json_pack("[o, o]", tcp_by("proxy", 11), tcp_by("kernel", 1002)));
	cr_expect_float_eq(find(&m, TOP_SERVICES, "shop/db")->value[TOP_TCP_OPENED], 3, 0.001,
			   "of two intervals");
	top_model_free(&m);
}

Test(top, no_answer_is_refused)
{
	struct top_model m = { 0 };
	_cleanup_json_ json_t *none = json_object();

	cr_expect_eq(top_model_add(&m, none), -EINVAL);
	cr_expect_eq(top_model_add(&m, NULL), -EINVAL);
	top_model_free(&m);
}

Test(top, order)
{
	static const struct {
		enum top_column by;
		bool reverse;
		const char *first;
	} rows[] = {
		{ TOP_NAME, false, "shop/a" },	 { TOP_NAME, true, "shop/db" },
		{ TOP_RATE, false, "shop/b" },	 { TOP_RATE, true, "shop/db" },
		{ TOP_P50, false, "shop/a" },	 { TOP_TCP_BYTES, false, "shop/db" },
		{ TOP_ERRORS, true, "shop/db" },
	};
	struct top_model m = { 0 };

	add(&m, 1, json_array());
	add(&m, 2,
	    json_pack("[o, o, o]", http("a", "a", 500, 6, 5), http("b", "b", 200, 2, 9),
		      tcp(1, 1)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		top_model_sort(&m, TOP_SERVICES, rows[i].by, rows[i].reverse);
		cr_expect_str_eq(m.rows[TOP_SERVICES].items[0].name, rows[i].first, "%zu", i);
	}
	top_model_free(&m);
}

Test(top, numbers)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {
		{ 0, "0" },	  { 0.04, "0.0" },   { 1.25, "1.2" },
		{ 12.3, "12" },	  { 999.4, "999" },  { 1000, "1.0k" },
		{ 12345, "12k" }, { 1.5e6, "1.5M" }, { 2.5e9, "2.5G" },
	};
	struct top_row r = { .value = {
				     [TOP_ERRORS] = 0.0004, [TOP_P50] = 2500, [TOP_P99] = NAN } };
	char text[3 * TOP_HISTORY + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_str_eq(top_number(rows[i].value, text), rows[i].text, "%g: %s",
				 rows[i].value, text);
	cr_expect_str_eq(top_cell(&r, TOP_ERRORS, text), "0.1%");
	cr_expect_str_eq(top_cell(&r, TOP_P50, text), "2.5s");
	cr_expect_str_eq(top_cell(&r, TOP_P99, text), "-");
	r.history[TOP_HISTORY - 1].rate = 8;
	r.history[TOP_HISTORY - 2].rate = 1;
	top_sparkline(&r, 3, false, text);
	cr_expect_str_eq(text, " .#");
	top_sparkline(&r, 3, true, text);
	cr_expect_str_eq(text, " ▂█");
}

static const struct {
	const char *status, *trouble;
} statuses[] = {
	{ "{\"ready\":true,\"proxy\":{\"pid\":1}}", NULL },
	{ "{\"ready\":false,\"proxy\":{\"pid\":1}}", "weftd is not ready" },
	{ "{\"ready\":false,\"missing\":[\"a pin\"],\"proxy\":{\"pid\":1}}", "missing: a pin" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":0}}", "no weft-proxy runs" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"certificates\":[\"x ends\"]}",
	  "certificate: x ends" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"tables\":[{\"name\":\"conns\",\"entries\":899,"
	  "\"room\":1000}]}",
	  NULL },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"tables\":[{\"name\":\"conns\",\"entries\":900,"
	  "\"room\":1000}]}",
	  "the table conns is 90 % full: 900 of 1000" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"tables\":[{\"name\":\"frags\",\"entries\":1024,"
	  "\"room\":1024,\"evicts\":true}]}",
	  NULL },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"tables\":[{\"name\":\"frags\",\"entries\":1024,"
	  "\"room\":1024,\"evicts\":true},{\"name\":\"conns\",\"entries\":10,\"room\":10,"
	  "\"evicts\":false}]}",
	  "the table conns is 100 % full: 10 of 10" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"sources\":[{\"name\":\"kubernetes\",\"phase\":"
	  "\"broken\",\"server\":\"S\"}]}",
	  "not in step with the API server at S" },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"sources\":[{\"name\":\"kubernetes\",\"phase\":"
	  "\"synced\"},{\"name\":\"files\"}]}",
	  NULL },
	{ "{\"ready\":true,\"proxy\":{\"pid\":1},\"identities\":{\"wanted\":3,\"valid\":1}}",
	  "2 of 3 identities have no certificate" },
};

Test(status, trouble)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		_cleanup_json_ json_t *status = json_loads(statuses[i].status, 0, NULL);
		_cleanup_json_ json_t *list = status_trouble(status);
		const char *first = json_string_value(json_array_get(list, 0));

		cr_assert(status);
		cr_expect_eq(json_array_size(list), statuses[i].trouble != NULL, "%s",
			     statuses[i].status);
		if (statuses[i].trouble)
			cr_expect_str_eq(first, statuses[i].trouble);
	}
}
