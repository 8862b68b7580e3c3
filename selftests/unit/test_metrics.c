// SPDX-License-Identifier: Apache-2.0
/*
 * What Prometheus reads of weft, as text.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "daemon/api/listen_address.h"
#include "daemon/api/metrics_blocks.h"
#include "lib/base/cleanup.h"

#define _cleanup_buffer_ _cleanup_(buffer_free)

static const char *text(struct buffer *b)
{
	cr_assert_eq(buffer_add(b, "", 1), 0);
	b->size--;
	return b->bytes;
}

static struct metrics_labels labels_of(const char *labels)
{
	return metrics_labels_of(labels, strlen(labels));
}

static void name_parts(struct metrics_name names[METRICS_PARTS], const char *family)
{
	names[METRICS_BUCKET] = metrics_name_of(family, "_bucket");
	names[METRICS_SUM] = metrics_name_of(family, "_sum");
	names[METRICS_COUNT] = metrics_name_of(family, "_count");
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
	const struct metrics_name name = metrics_name_of("x_bytes", "_total");
	const struct metrics_labels labels = labels_of("a=\"b\"");
	struct metrics_out plain = { .format = METRICS_TEXT },
			   open = { .format = METRICS_OPENMETRICS };

	cr_assert_eq(metrics_begin(&plain, &counter), 0);
	cr_assert_eq(metrics_float(&plain, &counter, "_total", "", 7), 0);
	cr_assert_eq(metrics_finish(&plain), 0);
	cr_expect_str_eq(text(&plain.text),
			 "# HELP x_bytes_total What.\n# TYPE x_bytes_total counter\n"
			 "x_bytes_total 7\n");
	cr_assert_eq(metrics_begin(&open, &counter), 0);
	cr_assert_eq(metrics_int(&open, &name, &labels, UINT64_MAX), 0);
	cr_assert_eq(metrics_float(&open, &counter, "_total", "a=\"c\"", 0.5), 0);
	cr_assert_eq(metrics_finish(&open), 0);
	cr_expect_str_eq(text(&open.text), "# HELP x_bytes What.\n# TYPE x_bytes counter\n"
					   "# UNIT x_bytes bytes\n"
					   "x_bytes_total{a=\"b\"} 18446744073709551615\n"
					   "x_bytes_total{a=\"c\"} 0.5\n# EOF\n");
	buffer_free(&plain.text);
	buffer_free(&open.text);
}

static void expect_line(const char *all, const char *line)
{
	const char *at = strstr(all, line);

	cr_expect(at && (at == all || at[-1] == '\n') && at[strlen(line)] == '\n', "%s in:\n%s",
		  line, all);
}

Test(metrics, the_buckets_of_a_histogram_are_added_up)
{
	const struct metrics_labels labels = labels_of("a=\"b\"");
	struct metrics_out plain = { .format = METRICS_TEXT },
			   open = { .format = METRICS_OPENMETRICS };
	struct metrics_name names[METRICS_PARTS];
	const struct traffic_histogram h = { .buckets = { [0] = 2, [3] = 5, [19] = 1 },
					     .sum = 12345678 };

	name_parts(names, "h_milliseconds");
	cr_assert_eq(metrics_histogram(&plain, names, &labels, &h, true), 0);
	expect_line(text(&plain.text), "h_milliseconds_bucket{a=\"b\",le=\"0.5\"} 2");
	expect_line(plain.text.bytes, "h_milliseconds_bucket{a=\"b\",le=\"5\"} 2");
	expect_line(plain.text.bytes, "h_milliseconds_bucket{a=\"b\",le=\"10\"} 7");
	expect_line(plain.text.bytes, "h_milliseconds_bucket{a=\"b\",le=\"3600000\"} 7");
	expect_line(plain.text.bytes, "h_milliseconds_bucket{a=\"b\",le=\"+Inf\"} 8");
	expect_line(plain.text.bytes, "h_milliseconds_sum{a=\"b\"} 12345.678");
	expect_line(plain.text.bytes, "h_milliseconds_count{a=\"b\"} 8");
	cr_assert_eq(metrics_histogram(&open, names, &labels, &h, false), 0);
	expect_line(text(&open.text), "h_milliseconds_bucket{a=\"b\",le=\"10.0\"} 7");
	expect_line(open.text.bytes, "h_milliseconds_bucket{a=\"b\",le=\"3.6e+06\"} 7");
	expect_line(open.text.bytes, "h_milliseconds_sum{a=\"b\"} 12345678");
	buffer_free(&plain.text);
	buffer_free(&open.text);
}

static void expect_number(const struct metrics_number *n, const char *want)
{
	const char *text = metrics_number_text(n);

	cr_expect_eq(n->len, strlen(want) + 1, "%s", want);
	cr_expect_eq(memcmp(text, want, n->len - 1), 0, "%s", want);
	cr_expect_eq(text[n->len - 1], '\n');
	for (const char *before = n->room; before < text; before++)
		cr_expect_eq(*before, 0);
}

Test(metrics, numbers_are_written_as_they_are)
{
	static const struct {
		uint64_t n;
		const char *text, *thousandths;
	} rows[] = {
		{ 0, "0", "0" },
		{ 9, "9", "0.009" },
		{ 10, "10", "0.01" },
		{ 999, "999", "0.999" },
		{ 1000, "1000", "1" },
		{ 1001, "1001", "1.001" },
		{ 123400, "123400", "123.4" },
		{ 9999999, "9999999", "9999.999" },
		{ 10000000, "10000000", "10000" },
		{ 9999999999999999999u, "9999999999999999999", "9999999999999999.999" },
		{ 10000000000000000000u, "10000000000000000000", "10000000000000000" },
		{ UINT64_MAX, "18446744073709551615", "18446744073709551.615" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metrics_number n = metrics_number_of(rows[i].n);
		struct metrics_number part = metrics_number_of_thousandths(rows[i].n);

		expect_number(&n, rows[i].text);
		expect_number(&part, rows[i].thousandths);
	}
	for (uint64_t i = 0; i < 11000000; i += i < 11000 ? 1 : 997) {
		struct metrics_number n = metrics_number_of(i);
		char want[32];

		snprintf(want, sizeof(want), "%llu", (unsigned long long)i);
		expect_number(&n, want);
	}
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

static const struct gzip_tables *tables(void)
{
	static struct gzip_tables *t;

	if (!t)
		t = gzip_tables_new();
	cr_assert_not_null(t);
	return t;
}

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

	cr_assert_eq(metrics_gzip_begin(&g, tables(), METRICS_TEXT), 0);
	for (size_t at = 0; at < size;) {
		size_t end = at + piece < size ? at + piece : size;

		while (end < size && lines[end - 1] != '\n')
			end++;
		cr_assert_eq(metrics_gzip_text(&g, lines + at, end - at), 0);
		at = end;
	}
	cr_assert_eq(metrics_gzip_end(&g), 0);
	return expect_packed(&g, lines, size);
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

/* What has been packed, as it is taken: bit by bit it goes on in a buffer that is empty. */
static void take_packed(struct metrics_gzip *g, struct buffer *taken)
{
	cr_assert_eq(buffer_add(taken, g->out.bytes, g->out.size), 0);
	g->out.size = 0;
}

/* The coder gets all of it back: as expect_packed() has it. */
static void put_back(struct metrics_gzip *g, struct buffer *taken)
{
	take_packed(g, taken);
	cr_assert_eq(buffer_add(&g->out, taken->bytes, taken->size), 0);
	buffer_free(taken);
}

/* A line to both: packed, and as text. */
static void add_line(struct metrics_gzip *g, struct buffer *all, const struct metrics_line *line)
{
	cr_assert_eq(metrics_gzip_line(g, line), 0);
	if (buffer_add(all, line->name->text, line->name->len) ||
	    buffer_add(all, line->labels.text, line->labels.len) ||
	    buffer_add_text(all, metrics_end(g->format, line->end)) ||
	    buffer_add(all, metrics_number_text(line->number), line->number->len))
		cr_assert_fail("no memory");
}

static void add_words(struct metrics_gzip *g, struct buffer *all, const char *words)
{
	cr_assert_eq(metrics_gzip_text(g, words, strlen(words)), 0);
	cr_assert_eq(buffer_add_text(all, words), 0);
}

/* Labels of any length, after one another and again, with names of any length and any ends. */
static void pack_any(enum metrics_format format, unsigned seed)
{
	enum { SETS = 60, LEN_MAX = 40000, NAMES = 6 };
	static const char *const families[NAMES] = {
		"",
		"x",
		"xyz",
		"istio_request_duration_milliseconds",
		"istio_request_bytes",
		"a_name_that_is_longer_than_there_is_room_for_so_that_it_is_cut_off"
	};
	_cleanup_buffer_ struct buffer all = { 0 };
	struct buffer taken = { 0 };
	struct metrics_labels sets[SETS];
	struct metrics_name names[NAMES];
	struct metrics_gzip g = { 0 };

	cr_assert_eq(metrics_gzip_begin(&g, tables(), format), 0);
	for (int i = 0; i < NAMES; i++)
		names[i] = metrics_name_of(families[i], i % 2 ? "_sum" : "");
	for (size_t i = 0; i < SETS; i++) {
		size_t len = i < 8 ? i + 1 : i == 8 ? LEN_MAX : 1 + (size_t)rand_r(&seed) % 1500;
		char *text = malloc(len + 1);

		for (size_t k = 0; k < len; k++)
			text[k] = "ab\"{,"[i % 4 ? k * k % 5 : (size_t)rand_r(&seed) % 5];
		text[len] = '\0';
		sets[i] = metrics_labels_of(text, len);
	}
	for (int block = 0; block < 400; block++) {
		struct metrics_number number = metrics_number_of(0);
		struct metrics_line line = {
			.name = &names[rand_r(&seed) % NAMES],
			.labels = sets[block < SETS ? block : rand_r(&seed) % SETS],
			.number = &number
		};
		int lines = rand_r(&seed) % 30;

		for (int i = 0; i < lines; i++) {
			uint64_t n = UINT64_MAX >> rand_r(&seed) % 64;

			line.end = (unsigned)rand_r(&seed) % METRICS_ENDS;
			if (rand_r(&seed) % 2)
				number = rand_r(&seed) % 4 ? metrics_number_of(n)
							   : metrics_number_of_thousandths(n);
			add_line(&g, &all, &line);
		}
		if (rand_r(&seed) % 8 == 0)
			add_words(&g, &all, "# TYPE x\n# TYPE y\n");
		if (rand_r(&seed) % 2)
			take_packed(&g, &taken);
	}
	cr_assert_eq(metrics_gzip_end(&g), 0);
	put_back(&g, &taken);
	expect_packed(&g, all.bytes, all.size);
	for (size_t i = 0; i < SETS; i++)
		free((char *)sets[i].text);
}

Test(metrics, lines_are_packed_by_their_parts)
{
	for (unsigned seed = 0; seed < 20; seed++)
		pack_any(seed % 2 ? METRICS_OPENMETRICS : METRICS_TEXT, seed);
}

Test(metrics, a_histogram_is_packed_well)
{
	struct metrics_out text = { .format = METRICS_TEXT }, packed = { .format = METRICS_TEXT };
	struct traffic_histogram h = { .sum = 1 };
	struct metrics_name names[METRICS_PARTS];
	struct metrics_gzip g = { 0 };
	static char labels[50][801];

	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		h.buckets[i] = (__u64)i * 1000;
	name_parts(names, "h");
	cr_assert_eq(metrics_gzip_begin(&g, tables(), METRICS_TEXT), 0);
	packed.gzip = &g;
	for (int i = 0; i < 50; i++) {
		struct metrics_labels set;

		for (size_t k = 0; k < 800; k++)
			labels[i][k] = (char)('a' + k * k % 23);
		labels[i][400] = (char)('a' + i % 26);
		labels[i][405] = '"';
		set = labels_of(labels[i]);
		cr_assert_eq(metrics_histogram(&text, names, &set, &h, true), 0);
		cr_assert_eq(metrics_histogram(&packed, names, &set, &h, true), 0);
	}
	cr_expect_lt(pack(text.text.bytes, text.text.size, text.text.size), text.text.size / 20);
	cr_assert_eq(metrics_finish(&packed), 0);
	cr_expect_lt(expect_packed(&g, text.text.bytes, text.text.size), text.text.size / 40);
	buffer_free(&text.text);
	buffer_free(&packed.text);
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
	cr_assert_eq(metrics_numbers_begin(&n, &s), 0);
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

/* ---- what was packed the last time ---- */

/* All families. What is packed is taken each time. */
static void write_all(struct metrics_blocks *b, struct metrics_out *out, struct buffer *taken,
		      const struct metrics_series *s, const struct metrics_numbers *n)
{
	for (unsigned family = 0; family < METRICS_SERIES_FAMILIES; family++) {
		cr_assert_eq(metrics_begin(out, metrics_series_family(family)), 0);
		for (size_t i = 0; i < metrics_series_count(family, n); i++) {
			cr_assert_eq(metrics_blocks_write(b, out, family, s, n, i), 0);
			if (out->gzip)
				take_packed(out->gzip, taken);
		}
	}
	cr_assert_eq(metrics_finish(out), 0);
}

static struct buffer written(enum metrics_format format, const struct metrics_series *s,
			     const struct metrics_numbers *n)
{
	struct metrics_out out = { .format = format };
	struct metrics_blocks none = { 0 };

	write_all(&none, &out, NULL, s, n);
	return out.text;
}

/* Packed, it is that text. */
static void expect_told(struct metrics_blocks *b, enum metrics_format format,
			const struct metrics_series *s, const struct metrics_numbers *n,
			const struct buffer *text)
{
	struct metrics_gzip g = { 0 };
	struct metrics_out out = { .format = format, .gzip = &g };
	struct buffer taken = { 0 };

	cr_assert_eq(metrics_gzip_begin(&g, tables(), format), 0);
	write_all(b, &out, &taken, s, n);
	put_back(&g, &taken);
	expect_packed(&g, text->bytes, text->size);
	buffer_free(&out.text);
}

/* Rows of both reporters with labels of several lengths; a fourth of them is of connections. */
enum { BLOCK_ROWS = 40 };
static void make_rows(struct metrics_series *s, struct metrics_places places[BLOCK_ROWS])
{
	struct http_traffic row = row_of(TRAFFIC_SOURCE | TRAFFIC_DESTINATION, 200);

	metrics_series_init(s, 100000);
	for (int i = 0; i < BLOCK_ROWS; i++) {
		char from[128];

		snprintf(from, sizeof(from), "w%d\nshop\nw\nv1\nw\nv1\nspiffe://c/w\n", i * 7);
		row.key.is_tcp = i % 4 == 3;
		places[i] = place(s, &row, from, PEER("reviews"), "v1");
	}
}

/* Blocks whose neighbours become longer, are others, or are of another format. */
Test(metrics, what_has_not_changed_is_packed_with_what_has)
{
	struct http_traffic row = row_of(TRAFFIC_SOURCE | TRAFFIC_DESTINATION, 200);
	struct tcp_traffic tcp = { .opened = 9, .sent = 99 };
	struct metrics_places places[BLOCK_ROWS];
	struct metrics_blocks blocks = { 0 };
	struct metrics_numbers n = { 0 };
	struct metrics_series s;
	unsigned seed = 5;

	make_rows(&s, places);
	cr_assert_eq(metrics_numbers_begin(&n, &s), 0);
	for (int round = 0; round < 200; round++) {
		enum metrics_format format = round % 50 < 40 ? METRICS_TEXT : METRICS_OPENMETRICS;
		int changed = round % 3 ? 1 : rand_r(&seed) % BLOCK_ROWS;
		_cleanup_buffer_ struct buffer text = { 0 };

		for (int i = 0; i < changed; i++) {
			int which = rand_r(&seed) % BLOCK_ROWS;

			row.requests = row.duration.buckets[rand_r(&seed) % TRAFFIC_BUCKETS] = 1;
			row.request_bytes.buckets[3] = 1;
			row.duration.sum = row.request_bytes.sum = (__u64)rand_r(&seed) % 5000;
			if (which % 4 == 3)
				metrics_numbers_add_tcp(&n, &places[which], &tcp);
			else
				metrics_numbers_add_http(&n, &places[which], &row);
		}
		text = written(format, &s, &n);
		expect_told(&blocks, format, &s, &n, &text);
		if (round == 100)
			metrics_blocks_free(&blocks);
	}
	metrics_blocks_free(&blocks);
	metrics_numbers_free(&n);
	metrics_series_free(&s);
}

/* A series gets other labels, which nothing but a test does: who would look at it again would see
 * them. */
Test(metrics, what_has_not_changed_is_not_looked_at_again)
{
	_cleanup_buffer_ struct buffer before = { 0 }, after = { 0 };
	struct metrics_places places[BLOCK_ROWS];
	struct metrics_blocks blocks = { 0 };
	struct metrics_numbers n = { 0 };
	struct metrics_moves m;
	struct metrics_series s;
	const char *had;
	char *other;

	make_rows(&s, places);
	cr_assert_eq(metrics_numbers_begin(&n, &s), 0);
	before = written(METRICS_TEXT, &s, &n);
	expect_told(&blocks, METRICS_TEXT, &s, &n, &before);
	had = s.http.labels[5].text;
	other = strdup(had);
	strstr(other, "source_app")[0] = 'X';
	s.http.labels[5] = labels_of(other);
	after = written(METRICS_TEXT, &s, &n);
	cr_assert_eq(before.size, after.size);
	cr_assert_neq(memcmp(before.bytes, after.bytes, before.size), 0);
	expect_told(&blocks, METRICS_TEXT, &s, &n, &before);

	/* Series have moved: all are looked at. */
	cr_assert_eq(metrics_moves_new(&m, &s), 0);
	for (int i = 0; i < BLOCK_ROWS; i++)
		metrics_moves_use(&m, &places[i], i % 4 != 3);
	metrics_series_drop(&s, &m);
	metrics_moves_free(&m);
	expect_told(&blocks, METRICS_TEXT, &s, &n, &after);
	metrics_blocks_free(&blocks);
	metrics_numbers_free(&n);
	free((char *)had);
	metrics_series_free(&s);
}

Test(metrics, blocks_are_put_only_behind_what_they_were_behind)
{
	const struct metrics_name name = metrics_name_of("x", "_total");
	const struct metrics_labels a = labels_of("a=\"1\""), b = labels_of("b=\"1\"");
	const struct metrics_number one = metrics_number_of(1), two = metrics_number_of(20);
	const struct metrics_line first = { &name, a, METRICS_END, &one },
				  longer = { &name, a, METRICS_END, &two },
				  next = { &name, b, METRICS_END, &one };
	static const char all[] =
		"x_total{a=\"1\"} 1\nx_total{b=\"1\"} 1\nx_total{a=\"1\"} 20\n# x\n"
		"x_total{a=\"1\"} 20\n"
		"x_total{a=\"1\"} 1\nx_total{b=\"1\"} 1\n";
	struct metrics_gzip_block block = { 0 }, none = { 0 };
	struct metrics_gzip_mark mark;
	struct metrics_gzip g = { 0 };

	cr_assert_eq(metrics_gzip_begin(&g, tables(), METRICS_TEXT), 0);
	cr_expect_eq(metrics_gzip_again(&g, &block), 1, "there is none");
	cr_assert_eq(metrics_gzip_line(&g, &first), 0);
	mark = metrics_gzip_mark(&g);
	cr_assert_eq(metrics_gzip_line(&g, &next), 0);
	metrics_gzip_keep(&g, &mark, &block);
	cr_expect_eq(metrics_gzip_again(&g, &block), 1, "behind itself");
	cr_assert_eq(metrics_gzip_line(&g, &longer), 0);
	cr_expect_eq(metrics_gzip_again(&g, &block), 1, "another length");
	mark = metrics_gzip_mark(&g);
	cr_assert_eq(metrics_gzip_text(&g, "# x\n", 4), 0);
	cr_expect_eq(metrics_gzip_again(&g, &block), 1, "text");
	metrics_gzip_keep(&g, &mark, &none);
	cr_assert_eq(metrics_gzip_line(&g, &longer), 0);
	cr_expect_eq(metrics_gzip_again(&g, &none), 1, "no block has text at its end");
	cr_assert_eq(metrics_gzip_line(&g, &first), 0);
	cr_expect_eq(metrics_gzip_again(&g, &block), 0);
	cr_assert_eq(metrics_gzip_end(&g), 0);
	expect_packed(&g, all, strlen(all));
	metrics_gzip_block_free(&block);
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
	cr_assert_eq(metrics_numbers_begin(&n, &s), 0);
	row.requests = 1;
	metrics_numbers_add_http(&n, &c, &row);
	cr_expect_eq(n.http[0].requests, 8, "not less than before");
	metrics_numbers_free(&n);

	/* The other series comes back from 0. */
	again = place(&s, &row, PEER("gone"), PEER("reviews"), "v1");
	cr_expect_eq(again.at[0], 2);
	cr_assert_eq(metrics_numbers_begin(&n, &s), 0);
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
