// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_scrape.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/metrics_blocks.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/id_set.h"
#include "lib/base/table.h"

enum {
	MAPS_FOR_MS = 30000, /* how long it is not looked again how full the maps are */
	ROWS_AT_ONCE = 64,   /* that are read until others may run */
	SERIES_AT_ONCE = 32, /* that are written likewise: 0.1 ms if all have counted */
};

/* A thread that wakes on this processor waits until a time slice of this one is over, whatever its
 * niceness (EEVDF: RUN_TO_PARITY, 0.7 ms on two processors), unless this one lets it go first. */
static void give_way(void)
{
	sched_yield();
}

/* A row that has its series. */
struct placed_row {
	bool is;
	__u32 epoch; /* it was that row's */
	struct metrics_places at;
	struct http_traffic last; /* as it was told last */
};

/* Likewise, of what traffic_tcp() has. */
struct placed_sum {
	uint64_t serial;
	struct metrics_places at;
	struct tcp_traffic last;
};

struct metrics_source {
	struct kernel *kernel;
	struct metrics_exchange *exchange;
	struct metrics_series series;
	struct metrics_question question;
	struct ids wanted_peers, wanted_clusters; /* that are in it */
	struct placed_row rows[TRAFFIC_HTTP_ROWS];
	__u32 row_count; /* of those that were ever in use: the others are no memory yet */
	TABLE(struct placed_sum) sums; /* in the order of their serials */
	bool left;	/* a row or sum has left its series since series were dropped */
	size_t answers; /* that are being sent: they have the series by number */
	struct metrics_samples maps;
	uint64_t maps_until; /* clock_ms() */
	struct metrics_self self;
	struct gzip_tables *gzip; /* NULL: nothing was packed yet */
	struct metrics_blocks blocks;
	struct metrics_numbers spare; /* an answer's that has been sent: the next one's */
};

/* ---- names ---- */

/* Once, also where several rows want it. */
static void want(struct ids *wanted, struct metrics_ids *ids, __u32 id)
{
	__u32 *slot;

	if (!id || ids->list.count == METRICS_ASK_MAX || ids_add(wanted, id) <= 0)
		return;
	slot = table_push(&ids->list);
	if (slot)
		*slot = id;
}

static void want_nothing(struct metrics_source *s)
{
	ids_free(&s->wanted_peers);
	ids_free(&s->wanted_clusters);
	s->question.peers.list.count = s->question.clusters.list.count = 0;
}

/* ---- rows ---- */

/* A pass over the rows in use. */
struct rows {
	struct metrics_source *source;
	const struct http_traffic *all;
	struct http_traffic row;
	__u32 next;
	bool end;
};

static bool is_placed(const struct placed_row *p, const struct http_traffic *row, __u32 i)
{
	return p->is && (!i || __atomic_load_n(&row->epoch, __ATOMIC_ACQUIRE) == p->epoch);
}

/* The number of the next row without a series, which is read; -1: there are no more. */
static int next_row(struct rows *r)
{
	while (!r->end && traffic_http_reach(r->source->kernel, r->next)) {
		__u32 i = r->next++;

		if (!is_placed(&r->source->rows[i], &r->all[i], i) &&
		    traffic_http_read(r->all, i, &r->row, &r->end))
			return (int)i;
	}
	return -1;
}

static void want_names(struct metrics_source *s)
{
	struct rows rows = { .source = s, .all = traffic_http_rows(s->kernel) };

	while (next_row(&rows) >= 0) {
		want(&s->wanted_peers, &s->question.peers, rows.row.key.source);
		want(&s->wanted_peers, &s->question.peers, rows.row.key.destination);
		want(&s->wanted_clusters, &s->question.clusters, rows.row.key.cluster);
	}
}

static void add_row(struct metrics_numbers *n, const struct metrics_places *places,
		    const struct http_traffic *row)
{
	struct traffic_texts texts;
	struct traffic t;

	if (!row->key.is_tcp) {
		metrics_numbers_add_http(n, places, row);
		return;
	}
	traffic_of_http(row, NULL, NULL, NULL, &texts, &t);
	metrics_numbers_add_tcp(n, places, t.tcp);
}

/* 0 or -ENOMEM. */
static int leave_row(struct metrics_source *s, struct placed_row *p)
{
	struct traffic_texts texts;
	struct traffic t;
	int r;

	if (!p->last.key.is_tcp) {
		r = metrics_series_leave_http(&s->series, &p->at, &p->last);
	} else {
		traffic_of_http(&p->last, NULL, NULL, NULL, &texts, &t);
		r = metrics_series_leave_tcp(&s->series, &p->at, t.tcp);
	}
	if (r)
		return r;
	p->is = false;
	s->left = true;
	return 0;
}

/* Those that are others' now. 0 or -ENOMEM. */
static int leave_rows(struct metrics_source *s)
{
	const struct http_traffic *all = traffic_http_rows(s->kernel);
	int r = 0;

	for (__u32 i = 1; !r && i < s->row_count; i++)
		if (s->rows[i].is && !is_placed(&s->rows[i], &all[i], i))
			r = leave_row(s, &s->rows[i]);
	return r;
}

/* A row whose names are not known comes the next time. 0 or -ENOMEM. */
static int place_row(struct metrics_source *s, struct metrics_told *told, int i,
		     const struct http_traffic *row)
{
	const struct http_traffic_key *key = &row->key;
	const char *source, *destination, *cluster;
	struct placed_row *p = &s->rows[i];
	struct traffic_texts texts;
	struct traffic t;
	int r;

	if (!metrics_name(&told->peers, key->source, &source) ||
	    !metrics_name(&told->peers, key->destination, &destination) ||
	    !metrics_name(&told->clusters, key->cluster, &cluster))
		return 0;
	traffic_of_http(row, source, destination, cluster, &texts, &t);
	r = metrics_series_place(&s->series, &t, &p->at);
	if (r)
		return r;
	p->is = true;
	if ((__u32)i >= s->row_count)
		s->row_count = (__u32)i + 1;
	p->epoch = row->epoch;
	p->last = *row;
	return 0;
}

static int place_rows(struct metrics_source *s, struct metrics_told *told)
{
	struct rows rows = { .source = s, .all = traffic_http_rows(s->kernel) };
	int r = leave_rows(s);

	for (int i; !r && (i = next_row(&rows)) >= 0;)
		if (!s->rows[i].is)
			r = place_row(s, told, i, &rows.row);
	return r;
}

/* ---- what connections have counted ---- */

static int leave_sum(struct metrics_source *s, const struct placed_sum *p)
{
	s->left = true;
	return metrics_series_leave_tcp(&s->series, &p->at, &p->last);
}

/* Both are in the order of serials; what is not told of any more has gone. 0 or -ENOMEM. */
static int follow_sums(struct metrics_source *s, const struct metrics_told *told)
{
	size_t left = 0, at = 0;
	int r = 0;

	for (size_t i = 0; i < s->sums.count; i++) {
		struct placed_sum *p = &s->sums.items[i];

		while (at < told->sum_count && told->sums[at].serial < p->serial)
			at++;
		if (at < told->sum_count && told->sums[at].serial == p->serial)
			p->last = told->sums[at].count;
		else if (!r && !(r = leave_sum(s, p)))
			continue;
		s->sums.items[left++] = *p;
	}
	s->sums.count = left;
	return r;
}

/* 1: its names are not known. 0 or -ENOMEM. */
static int place_sum(struct metrics_source *s, struct metrics_told *told, const struct tcp_sum *sum)
{
	const char *source, *destination, *cluster;
	struct metrics_places places;
	struct placed_sum *p;
	struct traffic_texts texts;
	struct traffic t;
	int r;

	if (!metrics_name(&told->peers, sum->who.source, &source) ||
	    !metrics_name(&told->peers, sum->who.destination, &destination) ||
	    !metrics_name(&told->clusters, sum->who.cluster, &cluster))
		return 1;
	traffic_of_tcp(sum, source, destination, cluster, &texts, &t);
	r = metrics_series_place(&s->series, &t, &places);
	p = r ? NULL : table_push(&s->sums);
	if (!p)
		return -ENOMEM;
	*p = (struct placed_sum){ sum->serial, places, sum->count };
	s->question.sums_known = sum->serial;
	return 0;
}

static int place_sums(struct metrics_source *s, struct metrics_told *told)
{
	int r = 0;

	if (!told->has_sums)
		return 0;
	r = follow_sums(s, told);
	for (size_t i = 0; !r && i < told->sum_count; i++)
		if (told->sums[i].serial > s->question.sums_known)
			r = place_sum(s, told, &told->sums[i]);
	return r < 0 ? r : 0;
}

/* ---- numbers ---- */

/* A row that has just become another's counts as it was told last; so does one of which weft-proxy,
 * which is not trusted, says that it is of another kind than when it got its places. */
static void read_row(const struct http_traffic *all, __u32 i, struct placed_row *p)
{
	struct http_traffic row;
	bool end;

	if (traffic_http_read(all, i, &row, &end) && row.epoch == p->epoch &&
	    row.key.is_tcp == p->last.key.is_tcp)
		p->last = row;
}

/* The count of rows in use. */
static size_t add_numbers(struct metrics_source *s, struct metrics_numbers *n)
{
	const struct http_traffic *all = traffic_http_rows(s->kernel);
	size_t used = 0;

	for (__u32 i = 0; traffic_http_reach(s->kernel, i); i++) {
		struct placed_row *p = &s->rows[i];
		__u32 taken = __atomic_load_n(&all[i].taken, __ATOMIC_ACQUIRE);

		if (i % ROWS_AT_ONCE == 0)
			give_way();
		if (i && taken == TRAFFIC_FREE)
			break;
		used += taken != TRAFFIC_FREE_AGAIN;
		if (!p->is)
			continue;
		read_row(all, i, p);
		add_row(n, &p->at, &p->last);
	}
	for (size_t i = 0; i < s->sums.count; i++)
		metrics_numbers_add_tcp(n, &s->sums.items[i].at, &s->sums.items[i].last);
	return used;
}

/* ---- series that nothing counts in any more ---- */

static void each_places(struct metrics_source *s, struct metrics_moves *m,
			void (*each)(struct metrics_moves *m, struct metrics_places *places,
				     bool http))
{
	for (size_t i = 0; i < s->row_count; i++)
		if (s->rows[i].is)
			each(m, &s->rows[i].at, !s->rows[i].last.key.is_tcp);
	for (size_t i = 0; i < s->sums.count; i++)
		each(m, &s->sums.items[i].at, false);
}

static void use(struct metrics_moves *m, struct metrics_places *places, bool http)
{
	metrics_moves_use(m, places, http);
}

static void apply(struct metrics_moves *m, struct metrics_places *places, bool http)
{
	metrics_moves_apply(m, places, http);
}

/* Not while an answer is being sent: the next one will do it. 0 or -ENOMEM. */
static int drop_series(struct metrics_source *s)
{
	struct metrics_moves moves;
	int r = s->left && !s->answers ? metrics_moves_new(&moves, &s->series) : 1;

	if (r)
		return r < 0 ? r : 0;
	each_places(s, &moves, use);
	metrics_series_drop(&s->series, &moves);
	each_places(s, &moves, apply);
	metrics_moves_free(&moves);
	s->left = false;
	return 0;
}

/* ---- an answer ---- */

struct metrics_scrape {
	struct metrics_source *source;
	bool counted; /* among its answers */
	struct metrics_numbers numbers;
	struct metrics_samples samples;
	/* Where the text is: samples come first, then families, each one label set after another.
	 */
	unsigned family;
	size_t next;
	bool begun, ended;
	struct metrics_out out;
	struct metrics_gzip gzip;
	size_t sent; /* of what is in it */
};

static int add_samples(struct metrics_samples *to, const struct metrics_samples *from)
{
	struct metrics_sample *more;

	if (!from->count)
		return 0;
	more = realloc(to->items, (to->count + from->count) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more + to->count, from->items, from->count * sizeof(*more));
	to->items = more;
	to->count += from->count;
	to->room = to->count;
	return 0;
}

static int look_at_maps(struct metrics_source *s, size_t rows)
{
	uint64_t now = clock_ms();

	if (now < s->maps_until)
		return 0;
	s->maps_until = now + MAPS_FOR_MS;
	s->maps.count = 0;
	return metrics_own_maps(s->kernel, rows, &s->maps);
}

static int gather(struct metrics_source *s, struct metrics_scrape *a)
{
	struct metrics_told *told;
	bool answered;
	size_t rows;
	int r;

	want_names(s);
	answered = metrics_ask(s->exchange, &s->question, &told);
	s->self.late += !answered;
	want_nothing(s);
	give_way();
	r = place_rows(s, told);
	if (!r)
		r = place_sums(s, told);
	if (!r)
		r = drop_series(s);
	if (!r)
		r = metrics_numbers_begin(&a->numbers, &s->series);
	if (r)
		return r;
	rows = add_numbers(s, &a->numbers);
	give_way();
	r = look_at_maps(s, rows);
	give_way();
	if (!r)
		r = add_samples(&a->samples, &told->samples);
	if (!r)
		r = metrics_own_requests(s->kernel,
					 answered ? told->last_cluster : CLUSTER_IDS_MAX - 1,
					 &a->samples);
	give_way();
	if (!r)
		r = metrics_own_processes(told->proxy, &a->samples);
	return r ? r : add_samples(&a->samples, &s->maps);
}

DEFINE_CLEANUP(struct metrics_scrape *, metrics_scrape_free);

static int begin_gzip(struct metrics_source *s, struct metrics_scrape *a)
{
	if (!s->gzip)
		s->gzip = gzip_tables_new();
	a->out.gzip = &a->gzip;
	return s->gzip ? metrics_gzip_begin(&a->gzip, s->gzip, a->out.format) : -ENOMEM;
}

int metrics_scrape_new(struct metrics_source *s, enum metrics_format format, bool gzip,
		       struct metrics_scrape **out)
{
	_cleanup_(metrics_scrape_freep) struct metrics_scrape *a = calloc(1, sizeof(*a));
	uint64_t begun = clock_ns();
	int r;

	if (!a)
		return -ENOMEM;
	a->source = s;
	a->numbers = s->spare;
	s->spare = (struct metrics_numbers){ 0 };
	a->out.format = format;
	s->self.scrapes++;
	r = gather(s, a);
	s->answers++;
	a->counted = true;
	s->self.folded = s->series.folded;
	s->self.series = s->series.made;
	if (!r)
		r = metrics_own_self(&s->self, &a->samples);
	if (!r && gzip)
		r = begin_gzip(s, a);
	if (r)
		return r;
	s->self.seconds = (double)(clock_ns() - begun) / 1e9;
	*out = TAKE_PTR(a);
	return 0;
}

void metrics_scrape_free(struct metrics_scrape *a)
{
	if (!a)
		return;
	a->source->answers -= a->counted;
	metrics_gzip_free(&a->gzip);
	metrics_numbers_free(&a->source->spare);
	a->source->spare = a->numbers;
	metrics_samples_free(&a->samples);
	buffer_free(&a->out.text);
	free(a);
}

/* ---- its text ---- */

static int write_series(struct metrics_scrape *a)
{
	size_t count = metrics_series_count(a->family, &a->numbers);
	int r = a->next ? 0 : metrics_begin(&a->out, metrics_series_family(a->family));

	if (!r && a->next < count)
		r = metrics_blocks_write(&a->source->blocks, &a->out, a->family, &a->source->series,
					 &a->numbers, a->next);
	if (++a->next >= count) {
		a->family++;
		a->next = 0;
	}
	return r;
}

/* Some more of it. 0 or -ENOMEM. */
static int write_more(struct metrics_scrape *a)
{
	if (!a->begun) {
		a->begun = true;
		return metrics_samples_write(&a->out, &a->samples);
	}
	if (a->next % SERIES_AT_ONCE == 0)
		give_way();
	if (a->family < METRICS_SERIES_FAMILIES)
		return write_series(a);
	a->ended = true;
	return metrics_finish(&a->out);
}

ssize_t metrics_scrape_read(struct metrics_scrape *a, char *out, size_t max)
{
	struct buffer *b = a->out.gzip ? &a->gzip.out : &a->out.text;
	size_t n = 0;
	int r = 0;

	for (;;) {
		size_t left = b->size - a->sent, some = left < max - n ? left : max - n;

		if (some)
			memcpy(out + n, b->bytes + a->sent, some);
		n += some;
		a->sent += some;
		if (a->sent < b->size || a->ended)
			return (ssize_t)n;
		b->size = a->sent = 0;
		r = write_more(a);
		if (r)
			return r;
	}
}

/* ---- what answers have in common ---- */

struct metrics_source *metrics_source_new(struct kernel *kernel, struct metrics_exchange *x,
					  size_t series_max)
{
	struct metrics_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->kernel = kernel;
	s->exchange = x;
	metrics_series_init(&s->series, series_max);
	return s;
}

void metrics_source_free(struct metrics_source *s)
{
	if (!s)
		return;
	metrics_blocks_free(&s->blocks);
	metrics_numbers_free(&s->spare);
	metrics_series_free(&s->series);
	free(s->gzip);
	metrics_samples_free(&s->maps);
	want_nothing(s);
	free(s->question.peers.list.items);
	free(s->question.clusters.list.items);
	free(s->sums.items);
	free(s);
}
