// SPDX-License-Identifier: Apache-2.0
/*
 * What Prometheus reads of weft, as text.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "daemon/api/listen_address.h"
#include "daemon/api/metrics_gzip.h"
#include "daemon/api/metrics_series.h"
#include "lib/base/cleanup.h"

#define _cleanup_buffer_ _cleanup_(buffer_free)

static const char *text(struct buffer *b)
{
	cr_assert_eq(buffer_add(b, "", 1), 0);
	b->size--;
	return b->bytes;
}

/* ---- lines ---- */

Test(metrics, what_must_be_escaped_in_a_label_is)
{
	_cleanup_buffer_ struct buffer b = { 0 };

	cr_assert_eq(metrics_label(&b, "a", "plain"), 0);
	cr_assert_eq(metrics_label(&b, "b", "a\\b\"c\nd"), 0);
	cr_assert_eq(metrics_label(&b, "c", ""), 0);
	cr_expect_str_eq(text(&b), "a=\"plain\",b=\"a\\\\b\\\"c\\nd\",c=\"\"");
}

Test(metrics, a_family_is_announced_as_either_format_has_it)
{
	static const struct metrics_family counter = { "x_bytes", "bytes", "What.",
						       METRICS_COUNTER };
	_cleanup_buffer_ struct buffer plain = { 0 }, open = { 0 };

	cr_assert_eq(metrics_begin(&plain, METRICS_TEXT, &counter), 0);
	cr_assert_eq(metrics_int(&plain, &counter, "_total", "", 7), 0);
	cr_assert_eq(metrics_end(&plain, METRICS_TEXT), 0);
	cr_expect_str_eq(text(&plain), "# HELP x_bytes_total What.\n# TYPE x_bytes_total counter\n"
				       "x_bytes_total 7\n");
	cr_assert_eq(metrics_begin(&open, METRICS_OPENMETRICS, &counter), 0);
	cr_assert_eq(metrics_int(&open, &counter, "_total", "a=\"b\"", UINT64_MAX), 0);
	cr_assert_eq(metrics_end(&open, METRICS_OPENMETRICS), 0);
	cr_expect_str_eq(text(&open), "# HELP x_bytes What.\n# TYPE x_bytes counter\n"
				      "# UNIT x_bytes bytes\n"
				      "x_bytes_total{a=\"b\"} 18446744073709551615\n# EOF\n");
}

static void expect_line(const char *all, const char *line)
{
	const char *at = strstr(all, line);

	cr_expect(at && (at == all || at[-1] == '\n') && at[strlen(line)] == '\n', "%s in:\n%s",
		  line, all);
}

Test(metrics, the_buckets_of_a_histogram_are_added_up)
{
	static const struct metrics_family f = { "h_milliseconds", "milliseconds", "How.",
						 METRICS_HISTOGRAM };
	const struct traffic_histogram h = { .buckets = { [0] = 2, [3] = 5, [19] = 1 },
					     .sum = 12345678 };
	_cleanup_buffer_ struct buffer plain = { 0 }, open = { 0 };

	cr_assert_eq(metrics_histogram(&plain, METRICS_TEXT, &f, "a=\"b\"", &h, 1000), 0);
	expect_line(text(&plain), "h_milliseconds_bucket{a=\"b\",le=\"0.5\"} 2");
	expect_line(plain.bytes, "h_milliseconds_bucket{a=\"b\",le=\"5\"} 2");
	expect_line(plain.bytes, "h_milliseconds_bucket{a=\"b\",le=\"10\"} 7");
	expect_line(plain.bytes, "h_milliseconds_bucket{a=\"b\",le=\"3600000\"} 7");
	expect_line(plain.bytes, "h_milliseconds_bucket{a=\"b\",le=\"+Inf\"} 8");
	expect_line(plain.bytes, "h_milliseconds_sum{a=\"b\"} 12345.678");
	expect_line(plain.bytes, "h_milliseconds_count{a=\"b\"} 8");
	cr_assert_eq(metrics_histogram(&open, METRICS_OPENMETRICS, &f, "", &h, 1), 0);
	expect_line(text(&open), "h_milliseconds_bucket{le=\"10.0\"} 7");
	expect_line(open.bytes, "h_milliseconds_sum 12345678");
}

Test(metrics, the_format_is_the_one_that_is_asked_for)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} rows[] = {
		{ NULL, METRICS_TEXT },
		{ "*/*", METRICS_TEXT },
		{ "text/plain", METRICS_TEXT },
		{ "application/openmetrics-text", METRICS_OPENMETRICS },
		{ "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
		  "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  METRICS_OPENMETRICS },
		{ "text/plain;version=0.0.4, application/openmetrics-text; version=1.0.0; q=0.5",
		  METRICS_TEXT },
		{ "application/openmetrics-text;q=0, text/plain;q=0.1", METRICS_TEXT },
		{ "application/openmetrics-textual", METRICS_TEXT },
		{ ",,;;q=,", METRICS_TEXT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(metrics_accepted(rows[i].accept), rows[i].format, "%s",
			     rows[i].accept ?: "none");
	cr_expect(metrics_takes_gzip("gzip"));
	cr_expect(metrics_takes_gzip("deflate, GZIP;q=0.5"));
	cr_expect_not(metrics_takes_gzip(NULL));
	cr_expect_not(metrics_takes_gzip("gzip;q=0"));
	cr_expect_not(metrics_takes_gzip("xgzip, deflate"));
}

/* ---- gzip ---- */

/* zlib makes the text again of what was packed, which is freed. Returns its size. */
static size_t expect_packed(struct metrics_gzip *g, const char *text, size_t size)
{
	char *back = malloc(size + 1);
	z_stream z = { 0 };
	size_t packed = g->out.size;

	cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)g->out.bytes;
	z.avail_in = (uInt)packed;
	z.next_out = (Bytef *)back;
	z.avail_out = (uInt)size + 1;
	cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END, "%s", z.msg ?: "");
	cr_expect_eq(z.avail_in, 0);
	cr_expect_eq(z.total_out, size);
	cr_expect_eq(memcmp(back, text, size), 0);
	inflateEnd(&z);
	metrics_gzip_free(g);
	free(back);
	return packed;
}

/* Packs it in pieces of whole lines. Returns the size. */
static size_t pack(const char *lines, size_t size, size_t piece)
{
	struct metrics_gzip g = { 0 };

	cr_assert_eq(metrics_gzip_begin(&g), 0);
	for (size_t at = 0; at < size;) {
		size_t end = at + piece < size ? at + piece : size;

		while (end < size && lines[end - 1] != '\n')
			end++;
		cr_assert_eq(metrics_gzip_add(&g, lines + at, end - at, NULL), 0);
		at = end;
	}
	cr_assert_eq(metrics_gzip_end(&g), 0);
	return expect_packed(&g, lines, size);
}

static struct metrics_labels labels_of(const char *text, size_t len)
{
	return (struct metrics_labels){ text, len, (uint32_t)crc32(0, (const Bytef *)text, len),
					(uint32_t)crc32_combine_gen((z_off_t)len) };
}

/* What is sent of text with marks. */
static void add_unmarked(struct buffer *out, const struct buffer *text,
			 const struct metrics_labels *labels)
{
	for (size_t i = 0; i < text->size; i++)
		cr_assert_eq(text->bytes[i] == METRICS_MARK[0]
				     ? buffer_add(out, labels->text, labels->len)
				     : buffer_add(out, text->bytes + i, 1),
			     0);
}

Test(metrics, what_is_packed_is_what_it_was)
{
	static const char *const texts[] = {
		"",
		"\n",
		"a\n",
		"\n\n\n\n",
		"a\na\na\n",
		"{\"\n\"{\n{{\"\"\n\"\"{{\n",
		"a{b=\"c\"} 1\na{b=\"\"} 1\na{b=\"c\",d=\"e\"} 10\nx{b=\"c\"} 1\n",
		"no end",
		"\xff\xfe\x80\n\xff\xfe\x80\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		pack(texts[i], strlen(texts[i]), 1);
}

/* Lines of letters that ends of values are among, each made of the one before with some changes. */
Test(metrics, whatever_lines_are_is_packed)
{
	static const char letters[] = "{\"ab,=}";
	enum { LINES = 200, LEN_MAX = 40000 };
	char *text = malloc((size_t)LINES * (LEN_MAX + 1));
	unsigned seed = 7;

	for (int round = 0; round < 20; round++) {
		size_t size = 0, before = 0, len = 0;

		for (int line = 0; line < (round ? LINES : 4); line++) {
			size_t at = size, max = round ? 1 + (size_t)round * 50 : LEN_MAX;
			size_t want = (size_t)rand_r(&seed) % max;

			for (size_t i = 0; i < want; i++)
				text[at + i] = i < len && rand_r(&seed) % 50
						       ? text[before + i]
						       : letters[(size_t)rand_r(&seed) % 7];
			text[at + want] = '\n';
			before = at;
			len = want;
			size = at + want + 1;
		}
		pack(text, size, 1 + (size_t)rand_r(&seed) % 5000);
	}
	free(text);
}

/* Labels of any length, after one another and again, with and without what differs in front of
 * them. */
Test(metrics, labels_are_packed_for_their_marks)
{
	enum { SETS = 60, LEN_MAX = 40000 };
	_cleanup_buffer_ struct buffer all = { 0 };
	struct metrics_labels sets[SETS];
	struct metrics_gzip g = { 0 };
	unsigned seed = 3;

	cr_assert_eq(metrics_gzip_begin(&g), 0);
	for (size_t i = 0; i < SETS; i++) {
		size_t len = i < 8 ? i : i == 8 ? LEN_MAX : (size_t)rand_r(&seed) % 1500;
		char *text = malloc(len + 1);

		for (size_t k = 0; k < len; k++)
			text[k] = "ab\"{,"[i % 4 ? k * k % 5 : (size_t)rand_r(&seed) % 5];
		text[len] = '\0';
		sets[i] = labels_of(text, len);
	}
	for (int block = 0; block < 400; block++) {
		_cleanup_buffer_ struct buffer text = { 0 };
		const struct metrics_labels *labels =
			&sets[block < SETS ? block : rand_r(&seed) % SETS];
		int lines = rand_r(&seed) % 5;

		for (int line = 0; line < lines; line++) {
			static const char *const before[] = { "", "x{", "xyz_sum{", "# TYPE x\n",
							      "xyz_bucket{" };
			static const char *const after[] = {
				"",
				",le=\"0.5\"} 12",
				",le=\"1\"} 12",
				"} 18446744073709551615",
				"} the same words for longer than are looked at",
				"} the same words for longer than are looked into",
			};

			if (buffer_add_text(&text, before[rand_r(&seed) % 5]) ||
			    (rand_r(&seed) % 8 && buffer_add_text(&text, METRICS_MARK)) ||
			    buffer_add_text(&text, after[rand_r(&seed) % 6]) ||
			    buffer_add_text(&text, "\n"))
				cr_assert_fail("no memory");
		}
		cr_assert_eq(metrics_gzip_add(&g, text.bytes, text.size, labels), 0);
		add_unmarked(&all, &text, labels);
	}
	cr_assert_eq(metrics_gzip_end(&g), 0);
	expect_packed(&g, all.bytes, all.size);
	for (size_t i = 0; i < SETS; i++)
		free((char *)sets[i].text);
}

Test(metrics, a_histogram_is_packed_well)
{
	static const struct metrics_family f = { "h", NULL, "How.", METRICS_HISTOGRAM };
	_cleanup_buffer_ struct buffer text = { 0 }, marked = { 0 }, all = { 0 };
	struct traffic_histogram h = { .sum = 1 };
	struct metrics_labels sets[50];
	struct metrics_gzip g = { 0 };
	char labels[801];

	for (size_t i = 0; i < 800; i++)
		labels[i] = (char)('a' + i * i % 23);
	labels[800] = '\0';
	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		h.buckets[i] = (__u64)i * 1000;
	cr_assert_eq(metrics_gzip_begin(&g), 0);
	cr_assert_eq(metrics_histogram(&marked, METRICS_TEXT, &f, METRICS_MARK, &h, 1), 0);
	for (int i = 0; i < 50; i++) {
		labels[400] = (char)('a' + i % 26);
		labels[405] = '"';
		cr_assert_eq(metrics_histogram(&text, METRICS_TEXT, &f, labels, &h, 1), 0);
		sets[i] = labels_of(strdup(labels), 800);
		cr_assert_eq(metrics_gzip_add(&g, marked.bytes, marked.size, &sets[i]), 0);
		add_unmarked(&all, &marked, &sets[i]);
	}
	cr_expect_lt(pack(text.bytes, text.size, text.size), text.size / 20);
	cr_assert_eq(metrics_gzip_end(&g), 0);
	cr_expect_eq(all.size, text.size);
	cr_expect_eq(memcmp(all.bytes, text.bytes, all.size), 0);
	cr_expect_lt(expect_packed(&g, all.bytes, all.size), all.size / 20);
	for (int i = 0; i < 50; i++)
		free((char *)sets[i].text);
}

/* ---- series ---- */

#define PEER(name) name "\nshop\n" name "\nv1\n" name "\nv1\nspiffe://cluster.local/" name "\n"

static struct http_traffic row_of(unsigned reporters, unsigned code)
{
	return (struct http_traffic){ .key = { .code = (__u16)code,
					       .grpc = TRAFFIC_GRPC_NONE,
					       .reporters = (__u8)reporters },
				      .requests = 1 };
}

/* Of a request from `from` to `to` of the Service reviews. */
static struct metrics_places place(struct metrics_series *s, const struct http_traffic *row,
				   const char *from, const char *to, const char *subset)
{
	struct metrics_places places;
	struct traffic_texts texts;
	struct traffic t;
	char cluster[128];

	snprintf(cluster, sizeof(cluster), "outbound|9080|%s|reviews.shop.svc.cluster.local",
		 subset);
	traffic_of_http(row, from, to, cluster, &texts, &t);
	cr_assert_str_eq(t.by, "proxy");
	cr_assert_eq(metrics_series_place(s, &t, &places), 0);
	return places;
}

Test(metrics, every_label_is_there_in_its_order)
{
	static const char want[] =
		"reporter=\"source\",source_workload=\"web\",source_canonical_service=\"web\","
		"source_canonical_revision=\"v1\",source_workload_namespace=\"shop\","
		"source_principal=\"spiffe://cluster.local/web\",source_app=\"web\","
		"source_version=\"v1\",source_cluster=\"Kubernetes\","
		"destination_service=\"reviews.shop.svc.cluster.local\","
		"destination_service_namespace=\"shop\",destination_service_name=\"reviews\","
		"destination_workload=\"unknown\",destination_canonical_service=\"unknown\","
		"destination_canonical_revision=\"unknown\","
		"destination_workload_namespace=\"unknown\",destination_principal=\"unknown\","
		"destination_app=\"unknown\",destination_version=\"unknown\","
		"destination_cluster=\"unknown\",request_protocol=\"http\",response_flags=\"UH\","
		"connection_security_policy=\"none\",response_code=\"503\","
		"grpc_response_status=\"\"";
	struct http_traffic row = row_of(TRAFFIC_SOURCE, 503);
	struct metrics_series s;
	struct metrics_places p;

	row.key.flags = flags_of("UH");
	metrics_series_init(&s, 1000);
	p = place(&s, &row, PEER("web"), NULL, "v1");
	cr_expect_eq(p.at[0], 1);
	cr_expect_eq(p.at[1], 0);
	cr_expect_str_eq(s.http.labels[0].text, want);
	metrics_series_free(&s);
}

Test(metrics, rows_that_labels_do_not_tell_apart_are_one)
{
	struct http_traffic row = row_of(TRAFFIC_SOURCE | TRAFFIC_DESTINATION, 200);
	struct metrics_numbers n = { 0 };
	struct metrics_places a, b, c;
	struct metrics_series s;

	metrics_series_init(&s, 1000);
	a = place(&s, &row, PEER("web"), PEER("reviews"), "v1");
	b = place(&s, &row, PEER("web"), PEER("reviews"), "v2"); /* of another subset */
	c = place(&s, &row, PEER("shop"), PEER("reviews"), "v1");
	cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_expect_neq(a.at[0], a.at[1]);
	cr_expect_neq(a.at[0], c.at[0]);
	cr_assert_eq(metrics_numbers_new(&n, &s), 0);
	row.request_bytes = (struct traffic_histogram){ .buckets = { [2] = 1 }, .sum = 4 };
	metrics_numbers_add_http(&n, &a, &row);
	metrics_numbers_add_http(&n, &b, &row);
	metrics_numbers_add_http(&n, &c, &row);
	cr_expect_eq(n.http[a.at[0] - 1].requests, 2);
	cr_expect_eq(n.http[a.at[1] - 1].request_bytes.sum, 8);
	cr_expect_eq(n.http[c.at[0] - 1].request_bytes.buckets[2], 1);
	metrics_numbers_free(&n);
	metrics_series_free(&s);
}

Test(metrics, beyond_the_limit_what_has_a_series_keeps_it_and_nothing_else_gets_one)
{
	const struct http_traffic good = row_of(TRAFFIC_SOURCE, 200),
				  bad = row_of(TRAFFIC_SOURCE, 503);
	struct metrics_places first, second, third, again;
	struct metrics_series s;

	metrics_series_init(&s, 67);
	first = place(&s, &good, PEER("web"), PEER("reviews"), "v1");
	second = place(&s, &good, PEER("shop"), PEER("reviews"), "v1");
	third = place(&s, &bad, PEER("shop"), PEER("reviews"), "v1");
	again = place(&s, &good, PEER("shop"), PEER("reviews"), "v1");
	cr_expect_eq(s.made, 67);
	cr_expect_eq(s.folded, 2);
	cr_expect_neq(first.at[0], second.at[0]);
	cr_expect_eq(second.at[0], again.at[0]);
	cr_expect_neq(second.at[0], third.at[0], "the response's code is told all the same");
	cr_expect(strstr(s.http.labels[second.at[0] - 1].text, "source_workload=\"unknown\""));
	cr_expect(strstr(s.http.labels[second.at[0] - 1].text,
			 "destination_service=\"unknown\",destination_service_namespace"));
	cr_expect(strstr(s.http.labels[third.at[0] - 1].text, "response_code=\"503\""));
	again = place(&s, &good, PEER("web"), PEER("reviews"), "v2");
	cr_expect_eq(again.at[0], first.at[0]);
	metrics_series_free(&s);
}

/* ---- rows that are others' now ---- */

Test(metrics, what_a_row_had_counted_stays_until_its_series_goes)
{
	struct http_traffic row = row_of(TRAFFIC_SOURCE, 200);
	struct metrics_places a, b, c, again;
	struct metrics_numbers n = { 0 };
	struct metrics_moves m;
	struct metrics_series s;

	metrics_series_init(&s, 1000);
	a = place(&s, &row, PEER("gone"), PEER("reviews"), "v1");
	b = place(&s, &row, PEER("web"), PEER("reviews"), "v1");
	c = place(&s, &row, PEER("web"), PEER("reviews"), "v2");
	cr_assert_eq(b.at[0], c.at[0]);
	cr_expect_eq(s.made, 2 * 67);
	row.requests = 5;
	cr_assert_eq(metrics_series_leave_http(&s, &a, &row), 0);
	row.requests = 7;
	cr_assert_eq(metrics_series_leave_http(&s, &b, &row), 0);

	/* One row of the two is left. */
	cr_assert_eq(metrics_moves_new(&m, &s), 0);
	metrics_moves_use(&m, &c, true);
	metrics_series_drop(&s, &m);
	metrics_moves_apply(&m, &c, true);
	metrics_moves_free(&m);
	cr_expect_eq(s.http.count, 1);
	cr_expect_eq(s.made, 67);
	cr_expect_eq(c.at[0], 1);
	cr_assert_eq(metrics_numbers_new(&n, &s), 0);
	row.requests = 1;
	metrics_numbers_add_http(&n, &c, &row);
	cr_expect_eq(n.http[0].requests, 8, "not less than before");
	metrics_numbers_free(&n);

	/* The other series comes back from 0. */
	again = place(&s, &row, PEER("gone"), PEER("reviews"), "v1");
	cr_expect_eq(again.at[0], 2);
	cr_assert_eq(metrics_numbers_new(&n, &s), 0);
	cr_expect_eq(n.http[1].requests, 0);
	metrics_numbers_free(&n);
	metrics_series_free(&s);
}

Test(metrics, series_that_go_make_room_for_others)
{
	const struct http_traffic row = row_of(TRAFFIC_SOURCE, 200);
	struct metrics_places first, second, third;
	struct metrics_moves m;
	struct metrics_series s;

	metrics_series_init(&s, 67);
	first = place(&s, &row, PEER("web"), PEER("reviews"), "v1");
	second = place(&s, &row, PEER("shop"), PEER("reviews"), "v1");
	cr_expect_eq(s.folded, 1);
	cr_assert_eq(metrics_moves_new(&m, &s), 0);
	metrics_moves_use(&m, &second, true);
	metrics_series_drop(&s, &m);
	metrics_moves_apply(&m, &second, true);
	metrics_moves_free(&m);
	cr_expect_eq(s.made, 0);
	cr_expect(strstr(s.http.labels[second.at[0] - 1].text, "source_workload=\"unknown\""));
	third = place(&s, &row, PEER("shop"), PEER("reviews"), "v1");
	cr_expect_neq(third.at[0], second.at[0]);
	cr_expect_eq(s.folded, 1);
	(void)first;
	metrics_series_free(&s);
}

/* ---- rows of a proxy that is not trusted ---- */

Test(metrics, a_row_that_makes_no_sense_is_read_as_one_that_does)
{
	struct http_traffic *rows = calloc(3, sizeof(*rows)), out;
	bool end;

	cr_assert(rows);
	memset(&rows[1], 0xff, sizeof(rows[1]));
	rows[1].taken = TRAFFIC_TAKEN;
	cr_assert_not(traffic_http_read(rows, 0, &out, &end));
	cr_assert_not(end, "row 0 is for what found no other");
	cr_assert(traffic_http_read(rows, 1, &out, &end));
	cr_expect_eq(out.key.reporters, TRAFFIC_SOURCE | TRAFFIC_DESTINATION);
	cr_expect_eq(out.key.security, TRAFFIC_SECURITY_UNKNOWN);
	cr_expect_eq(out.key.source, 0);
	cr_expect_eq(out.key.cluster, 0);
	cr_expect_eq(out.key.flags, (__u32)FLAGS_ALL);
	cr_expect_lt(strlen(out.host), sizeof(out.host));
	rows[1].key.flags = 1u << 31;
	cr_assert(traffic_http_read(rows, 1, &out, &end));
	cr_expect_eq(out.key.flags, 0);
	rows[1].taken = TRAFFIC_LEAVING;
	cr_expect(traffic_http_read(rows, 1, &out, &end));
	rows[1].taken = TRAFFIC_BEING_FREED;
	cr_expect_not(traffic_http_read(rows, 1, &out, &end));
	cr_expect_not(end);
	rows[1].taken = TRAFFIC_FREE_AGAIN;
	cr_expect_not(traffic_http_read(rows, 1, &out, &end));
	cr_expect_not(end);
	rows[1].taken = TRAFFIC_BEING_TAKEN;
	cr_expect_not(traffic_http_read(rows, 1, &out, &end));
	cr_expect_not(end);
	cr_expect_not(traffic_http_read(rows, 2, &out, &end));
	cr_expect(end);
	free(rows);
}

/* ---- where it listens ---- */

Test(metrics, addresses_to_listen_at)
{
	static const struct {
		const char *text;
		bool one, any;
	} rows[] = {
		{ "127.0.0.1:15020", true, true },
		{ "[::1]:15020", true, true },
		{ ":15020", false, true },
		{ "15020", false, false },
		{ ":0", false, false },
		{ ":65536", false, false },
		{ "::1:15020", false, false },
		{ "here:15020", false, false },
		{ "", false, false },
		{ ":", false, false },
		{ "[::1]", false, false },
		{ "127.0.0.1:+1", false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(listen_address_valid(rows[i].text, LISTEN_ONE), rows[i].one, "%s",
			     rows[i].text);
		cr_expect_eq(listen_address_valid(rows[i].text, LISTEN_ANY), rows[i].any, "%s",
			     rows[i].text);
	}
}
