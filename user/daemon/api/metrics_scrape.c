// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_scrape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/metrics_gzip.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum { MAPS_FOR_MS = 30000 }; /* how long it is not looked again how full the maps are */

/* The names of ids, as far as they were asked for. */
struct names {
	const char **at; /* NULL: not asked yet */
	size_t count;
	struct metrics_ids wanted;
};

static const char nameless[1]; /* the name of what was asked for and has none */

struct metrics_source {
	struct kernel *kernel;
	struct metrics_exchange *exchange;
	struct metrics_series series;
	struct names peers, clusters;
	struct metrics_places http[TRAFFIC_HTTP_ROWS]; /* of rows */
	bool placed[TRAFFIC_HTTP_ROWS];
	struct metrics_places *tcp; /* of what traffic_tcp() has, which only grows at its end */
	size_t tcp_count, tcp_room;
	struct metrics_samples maps;
	uint64_t maps_until; /* clock_ms() */
	struct metrics_self self;
};

/* ---- names ---- */

static void want(struct names *n, __u32 id)
{
	if (!id || id >= n->count || n->at[id] || n->wanted.count == METRICS_ASK_MAX)
		return;
	n->at[id] = nameless; /* once, also where several rows want it */
	n->wanted.ids[n->wanted.count++] = id;
}

/* Those of the question that comes now are not known yet. */
static void mark_unknown(struct names *n)
{
	for (size_t i = 0; i < n->wanted.count; i++)
		n->at[n->wanted.ids[i]] = NULL;
	n->wanted.count = 0;
}

static void learn(struct names *n, const struct metrics_ids *told)
{
	for (size_t i = 0; i < told->count; i++)
		n->at[told->ids[i]] = told->names[i] ?: nameless;
}

static bool is_known(const struct names *n, __u32 id)
{
	return !id || id >= n->count || n->at[id];
}

static const char *name_of(const struct names *n, __u32 id)
{
	const char *name = id && id < n->count ? n->at[id] : NULL;

	return name == nameless ? NULL : name;
}

/* ---- rows ---- */

/* A pass over the rows in use. */
struct rows {
	struct kernel *kernel;
	const struct http_traffic *all;
	const bool *skip; /* of each whether it is left out; NULL: none is */
	struct http_traffic row;
	__u32 next;
	bool end;
};

/* The number of the next row, which is read; -1: there are no more. */
static int next_row(struct rows *r)
{
	while (!r->end && traffic_http_reach(r->kernel, r->next)) {
		__u32 i = r->next++;

		if (!(r->skip && r->skip[i]) && traffic_http_read(r->all, i, &r->row, &r->end))
			return (int)i;
	}
	return -1;
}

static void want_names(struct metrics_source *s)
{
	struct rows rows = { .kernel = s->kernel,
			     .all = traffic_http_rows(s->kernel),
			     .skip = s->placed };

	while (next_row(&rows) >= 0) {
		want(&s->peers, rows.row.key.source);
		want(&s->peers, rows.row.key.destination);
		want(&s->clusters, rows.row.key.cluster);
	}
}

/* A row whose names are not known comes the next time. 0 or -ENOMEM. */
static int place_row(struct metrics_source *s, int i, const struct http_traffic *row)
{
	const struct http_traffic_key *key = &row->key;
	struct traffic_texts texts;
	struct traffic t;
	int r;

	if (!is_known(&s->peers, key->source) || !is_known(&s->peers, key->destination) ||
	    !is_known(&s->clusters, key->cluster))
		return 0;
	traffic_of_http(row, name_of(&s->peers, key->source), name_of(&s->peers, key->destination),
			name_of(&s->clusters, key->cluster), &texts, &t);
	r = metrics_series_place(&s->series, &t, &s->http[i]);
	s->placed[i] = !r;
	return r;
}

static int place_rows(struct metrics_source *s)
{
	struct rows rows = { .kernel = s->kernel,
			     .all = traffic_http_rows(s->kernel),
			     .skip = s->placed };
	int r = 0;

	for (int i; !r && (i = next_row(&rows)) >= 0;)
		r = place_row(s, i, &rows.row);
	return r;
}

static int place_sums(struct metrics_source *s, const struct metrics_told *told)
{
	int r = 0;

	if (told->sum_count > s->tcp_room) {
		size_t room = 2 * told->sum_count;
		struct metrics_places *more = realloc(s->tcp, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->tcp = more;
		s->tcp_room = room;
	}
	while (!r && s->tcp_count < told->sum_count) {
		struct traffic_texts texts;
		struct traffic t;

		traffic_of_tcp(&told->sums[s->tcp_count], &texts, &t);
		r = metrics_series_place(&s->series, &t, &s->tcp[s->tcp_count]);
		s->tcp_count += !r;
	}
	return r;
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

/* The count of rows in use. */
static size_t add_numbers(const struct metrics_source *s, const struct metrics_told *told,
			  struct metrics_numbers *n)
{
	struct rows rows = { .kernel = s->kernel, .all = traffic_http_rows(s->kernel) };

	for (int i; (i = next_row(&rows)) >= 0;)
		if (s->placed[i])
			add_row(n, &s->http[i], &rows.row);
	for (size_t i = 0; i < s->tcp_count && i < told->sum_count; i++)
		metrics_numbers_add_tcp(n, &s->tcp[i], &told->sums[i].count);
	return rows.next;
}

/* ---- an answer ---- */

struct metrics_scrape {
	struct metrics_source *source;
	enum metrics_format format;
	struct metrics_numbers numbers;
	struct metrics_samples samples;
	/* Where the text is: samples come first, then families, each one label set after another.
	 */
	unsigned family;
	size_t next;
	bool begun, ended;
	struct buffer text; /* that is not sent yet, from `sent` on */
	size_t sent;
	bool gzip, packed; /* packed: the last of it, too */
	struct metrics_gzip packer;
	size_t packed_sent;
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
	const struct metrics_told *told;
	size_t rows;
	int r;

	want_names(s);
	s->self.late += !metrics_ask(s->exchange, &s->peers.wanted, &s->clusters.wanted, &told);
	mark_unknown(&s->peers);
	mark_unknown(&s->clusters);
	learn(&s->peers, &told->peers);
	learn(&s->clusters, &told->clusters);
	r = place_rows(s);
	if (!r)
		r = place_sums(s, told);
	if (!r)
		r = metrics_numbers_new(&a->numbers, &s->series);
	if (r)
		return r;
	rows = add_numbers(s, told, &a->numbers);
	r = look_at_maps(s, rows);
	if (!r)
		r = add_samples(&a->samples, &told->samples);
	if (!r)
		r = metrics_own_requests(s->kernel, &a->samples);
	if (!r)
		r = metrics_own_processes(told->proxy, &a->samples);
	return r ? r : add_samples(&a->samples, &s->maps);
}

DEFINE_CLEANUP(struct metrics_scrape *, metrics_scrape_free);

int metrics_scrape_new(struct metrics_source *s, enum metrics_format format, bool gzip,
		       struct metrics_scrape **out)
{
	_cleanup_(metrics_scrape_freep) struct metrics_scrape *a = calloc(1, sizeof(*a));
	uint64_t begun = clock_ns();
	int r;

	if (!a)
		return -ENOMEM;
	a->source = s;
	a->format = format;
	s->self.scrapes++;
	r = gather(s, a);
	s->self.folded = s->series.folded;
	s->self.series = s->series.made;
	if (!r)
		r = metrics_own_self(&s->self, &a->samples);
	if (!r && gzip)
		r = metrics_gzip_begin(&a->packer);
	a->gzip = gzip;
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
	metrics_gzip_free(&a->packer);
	metrics_numbers_free(&a->numbers);
	metrics_samples_free(&a->samples);
	buffer_free(&a->text);
	free(a);
}

/* ---- its text ---- */

static int write_series(struct metrics_scrape *a, const struct metrics_family *family)
{
	size_t count = metrics_series_count(a->family, &a->numbers);
	int r = a->next ? 0 : metrics_begin(&a->text, a->format, family);

	if (!r && a->next < count)
		r = metrics_series_write(&a->text, a->format, a->family, &a->source->series,
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
	const struct metrics_family *family;

	if (!a->begun) {
		a->begun = true;
		return metrics_samples_write(&a->text, a->format, &a->samples);
	}
	if (metrics_series_family(a->family, &family))
		return write_series(a, family);
	a->ended = true;
	return metrics_end(&a->text, a->format);
}

/* So that at least one byte is there to be sent, unless that was all. */
static int fill(struct metrics_scrape *a)
{
	int r = 0;

	if (a->sent < a->text.size)
		return 0;
	a->text.size = 0;
	a->sent = 0;
	while (!r && !a->ended && !a->text.size)
		r = write_more(a);
	return r;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static ssize_t read_plain(struct metrics_scrape *a, char *out, size_t max)
{
	size_t n = 0;
	int r = 0;

	while (!r && n < max) {
		size_t some;

		r = fill(a);
		some = least(a->text.size - a->sent, max - n);
		if (!some)
			break;
		memcpy(out + n, a->text.bytes + a->sent, some);
		a->sent += some;
		n += some;
	}
	return r ? r : (ssize_t)n;
}

/* So that at least one byte of it is there, unless that was all. */
static int pack(struct metrics_scrape *a)
{
	int r = 0;

	if (a->packed_sent == a->packer.out.size) {
		a->packer.out.size = 0;
		a->packed_sent = 0;
	}
	while (!r && !a->packed && !a->packer.out.size) {
		r = fill(a);
		if (!r)
			r = metrics_gzip_add(&a->packer, a->text.bytes + a->sent,
					     a->text.size - a->sent);
		a->sent = a->text.size;
		a->packed = a->ended;
		if (!r && a->packed)
			r = metrics_gzip_end(&a->packer);
	}
	return r;
}

static ssize_t read_gzip(struct metrics_scrape *a, char *out, size_t max)
{
	size_t n = 0;
	int r = 0;

	while (!r && n < max) {
		size_t some;

		r = pack(a);
		some = least(a->packer.out.size - a->packed_sent, max - n);
		if (!some)
			break;
		memcpy(out + n, a->packer.out.bytes + a->packed_sent, some);
		a->packed_sent += some;
		n += some;
	}
	return r ? r : (ssize_t)n;
}

ssize_t metrics_scrape_read(struct metrics_scrape *a, char *out, size_t max)
{
	return a->gzip ? read_gzip(a, out, max) : read_plain(a, out, max);
}

/* ---- what answers have in common ---- */

DEFINE_CLEANUP(struct metrics_source *, metrics_source_free);

struct metrics_source *metrics_source_new(struct kernel *kernel, struct metrics_exchange *x,
					  size_t series_max)
{
	_cleanup_(metrics_source_freep) struct metrics_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->kernel = kernel;
	s->exchange = x;
	metrics_series_init(&s->series, series_max);
	s->peers.count = TRAFFIC_PEERS_MAX;
	s->clusters.count = CLUSTER_IDS_MAX;
	s->peers.at = calloc(s->peers.count, sizeof(*s->peers.at));
	s->clusters.at = calloc(s->clusters.count, sizeof(*s->clusters.at));
	return s->peers.at && s->clusters.at ? TAKE_PTR(s) : NULL;
}

void metrics_source_free(struct metrics_source *s)
{
	if (!s)
		return;
	metrics_series_free(&s->series);
	metrics_samples_free(&s->maps);
	free(s->peers.at);
	free(s->clusters.at);
	free(s->tcp);
	free(s);
}
