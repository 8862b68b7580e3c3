// SPDX-License-Identifier: Apache-2.0
/*
 * Rows of `http_traffic` and names of peers come back when their workloads have gone: weft-proxy's
 * and weftd's part together, over the time of many workloads.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/datapath/http_rows.h"
#include "daemon/datapath/idle.h"
#include "daemon/datapath/peers.h"
#include "lib/base/cleanup.h"
#include "proxy/stats/traffic.h"

enum { ROUND_MS = 60000, CALLED = 1 };

static struct traffic_rows *rows;
static struct http_traffic *all; /* from row 0 on */
static struct http_rows keeper;
static struct ids here; /* peers that have pods */
static uint64_t now_ms;

static bool is_gone(void *arg, __u32 peer)
{
	(void)arg;
	return !ids_has(&here, peer);
}

static struct http_traffic *row_of(__u32 source)
{
	const struct http_traffic_key key = { .source = source,
					      .destination = CALLED,
					      .cluster = 1 };

	return traffic_row(rows, &key, "", 0, NULL);
}

static int next_round(void)
{
	int r;

	now_ms += ROUND_MS;
	r = http_rows_round(&keeper, all, TRAFFIC_HTTP_ROWS, now_ms, is_gone, NULL);
	cr_assert_geq(r, 0);
	return r;
}

static void setup(void)
{
	cr_assert_eq(traffic_rows_open(-1, &rows), 0);
	cr_assert_eq(ids_add(&here, CALLED), 1);
	now_ms = 1000;
	all = row_of(2) - 1;
}

static void teardown(void)
{
	traffic_rows_close(rows);
	http_rows_free(&keeper);
	ids_free(&here);
}

TestSuite(traffic_keep, .init = setup, .fini = teardown, .timeout = 300);

static void count(struct http_traffic *row)
{
	__atomic_add_fetch(&row->requests, 1, __ATOMIC_RELAXED);
}

/* Rounds until it leaves, of which there are `most` at most. */
static int rounds_until_it_leaves(const struct http_traffic *row, int most)
{
	int n = 0;

	for (; row->taken == TRAFFIC_TAKEN && n < most; n++)
		next_round();
	return n;
}

Test(traffic_keep, a_row_whose_caller_is_gone_is_free_an_hour_after_its_last_request)
{
	struct http_traffic *row = row_of(2);

	count(row);
	for (int i = 0; i < 50; i++)
		next_round();
	count(row);
	cr_expect_eq(rounds_until_it_leaves(row, 100), IDLE_GONE_MS / ROUND_MS + 1);
	cr_expect_eq(row->taken, TRAFFIC_LEAVING);
	cr_expect_eq(row->requests, 2u, "what it has counted can still be read");
	cr_expect_eq(next_round(), 1);
	cr_expect_eq(row->taken, TRAFFIC_FREE_AGAIN);
	cr_expect_eq(row->epoch, 1u);
	cr_expect_eq(row->requests, 0u);
	cr_expect_eq(row->key.source, 0u);
	cr_expect_eq(all->epoch, 1u);
	cr_expect_eq(row_of(3), row);
	cr_expect_eq(row->epoch, 1u);
}

Test(traffic_keep, a_row_of_pods_that_are_there_stays)
{
	struct http_traffic *row = row_of(2);

	cr_assert_eq(ids_add(&here, 2), 1);
	count(row);
	cr_expect_eq(rounds_until_it_leaves(row, 1000), 1000);
	cr_expect_eq(row->requests, 1u);
}

Test(traffic_keep, a_row_with_an_open_connection_stays)
{
	struct http_traffic *row = row_of(2);

	row->key.is_tcp = 1;
	count(row);
	cr_expect_eq(rounds_until_it_leaves(row, 1000), 1000);
	row->closed++;
	cr_expect_lt(rounds_until_it_leaves(row, 1000), 100);
}

/* weft-proxy may have been stopped for however long. */
Test(traffic_keep, a_row_that_somebody_is_adding_to_waits)
{
	struct http_traffic *row = row_of(2);

	row->writers = 1;
	rounds_until_it_leaves(row, 100);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(next_round(), 0);
	row->writers = 0;
	cr_expect_eq(next_round(), 1);
}

/* Rows that an earlier weftd was about to free. */
Test(traffic_keep, a_new_weftd_goes_on_where_the_last_one_ended)
{
	struct http_traffic *leaving = row_of(2), *half = row_of(3);

	leaving->taken = TRAFFIC_LEAVING;
	half->taken = TRAFFIC_BEING_FREED;
	cr_expect_eq(next_round(), 1);
	cr_expect_eq(half->taken, TRAFFIC_FREE_AGAIN);
	cr_expect_eq(leaving->taken, TRAFFIC_LEAVING, "it may have been made so just now");
	cr_expect_eq(next_round(), 1);
	cr_expect_eq(leaving->taken, TRAFFIC_FREE_AGAIN);
}

Test(traffic_keep, where_room_is_short_the_longest_idle_go_whoever_is_there)
{
	const __u32 last = idle_room(TRAFFIC_HTTP_ROWS) + 10;

	for (__u32 i = 2; i < 2 + last; i++) {
		(void)ids_add(&here, i);
		count(row_of(i));
	}
	next_round();
	for (__u32 i = 2; i < 2 + last; i++)
		if (i < 100 || i > 200)
			count(row_of(i));
	for (int i = 0; i < IDLE_SHORT_MS / ROUND_MS - 1; i++)
		next_round();
	for (__u32 i = 2; i < 2 + last; i++)
		cr_assert_eq(row_of(i)->taken, TRAFFIC_TAKEN, "not before five minutes");
	next_round();
	for (__u32 i = 1; i < 1 + last; i++)
		cr_assert_eq(all[i].taken,
			     i + 1 >= 100 && i + 1 < 110 ? TRAFFIC_LEAVING : TRAFFIC_TAKEN,
			     "row %u", i);
}

Test(traffic_keep, a_caller_with_very_many_rows_gets_new_ones)
{
	unsigned free = 0;

	cr_assert_eq(ids_add(&here, 2), 1);
	for (__u32 i = 0; i < TRAFFIC_CALLER_ROWS; i++) {
		const struct http_traffic_key key = { .source = 2, .cluster = 1 + i };

		count(traffic_row(rows, &key, "", 0, NULL));
	}
	for (int i = 0; i < 10; i++)
		free += (unsigned)next_round();
	cr_expect_eq(free, TRAFFIC_CALLER_ROWS + 1 - HTTP_ROWS_OF_CALLER);
}

Test(traffic_keep, connections_that_end_in_another_row_keep_both)
{
	struct http_traffic_key key = { .source = 7, .cluster = 1, .is_tcp = 1 };
	struct http_traffic *opened = traffic_row(rows, &key, "", 0, NULL), *closed;

	key.flags = 1;
	closed = traffic_row(rows, &key, "", 0, NULL);
	cr_assert_neq(opened, closed);
	opened->requests = closed->closed = 3;
	for (int i = 0; i < 2 * IDLE_GONE_MS / ROUND_MS; i++)
		next_round();
	cr_expect_eq(opened->taken, TRAFFIC_TAKEN);
	cr_expect_eq(closed->taken, TRAFFIC_TAKEN);
}

/* ---- many workloads, one after the other ---- */

enum { PODS = 50000, AT_ONCE = 500, A_MINUTE = 50 };

static struct {
	struct registry *registry;
	uint64_t requests[PODS + 2]; /* of each id */
	uint64_t read[PODS + 2];     /* what a scrape of its row has said last */
} many;

static __u32 pod_comes(unsigned n)
{
	char name[64];
	__u32 id;

	snprintf(name, sizeof(name), "pod-%u\nshop\n", n);
	id = registry_id(many.registry, REG_PEER, name);
	cr_assert_neq(id, 0, "pod %u is nobody", n);
	cr_assert_leq(id, PODS + 1);
	cr_assert_eq(ids_add(&here, id), 1, "pod %u has another's id", n);
	return id;
}

/* Every minute: nothing is in a row but its own pod's requests. */
static void scrape(void)
{
	for (__u32 i = 1; i < TRAFFIC_HTTP_ROWS && all[i].taken != TRAFFIC_FREE; i++) {
		const struct http_traffic *row = &all[i];

		if (row->taken != TRAFFIC_TAKEN && row->taken != TRAFFIC_LEAVING)
			continue;
		cr_assert_eq(row->requests, many.requests[row->key.source], "row %u of %u", i,
			     row->key.source);
		cr_assert_not_null(registry_name(many.registry, REG_PEER, row->key.source));
		many.read[row->key.source] = row->requests;
	}
}

static void review_names(void)
{
	_cleanup_(ids_free) struct ids used = { 0 };
	struct peer_list gone = { 0 };

	for (size_t i = 0; i < here.room; i++)
		if (here.slots[i])
			cr_assert_geq(ids_add(&used, here.slots[i]), 0);
	cr_assert_eq(http_rows_peers(all, TRAFFIC_HTTP_ROWS, &used), 0);
	cr_assert_eq(peers_review(many.registry, &used, PODS + 2, now_ms, &gone), 0);
	for (size_t i = 0; i < gone.ids.count; i++)
		cr_assert_not(ids_has(&used, gone.ids.items[i]));
	free(gone.ids.items);
}

static void minute(struct traffic_counts *counts, const __u32 *ids, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		const struct traffic_sample s = {
			.key = { .source = ids[n], .destination = CALLED, .cluster = 1 }
		};

		traffic_count(counts, &s);
		many.requests[ids[n]]++;
	}
	traffic_counts_write(counts);
	traffic_counts_tidy(counts, now_ms);
	scrape();
	next_round();
	review_names();
}

/* A bare Pod each, 50 a minute, each there for 10 minutes: three times as many as there are names,
 * and twelve times as many as rows. */
Test(traffic_keep, workloads_that_come_and_go_are_told_apart)
{
	struct traffic_counts *counts = traffic_counts_new(rows);
	__u32 *ids = calloc(PODS, sizeof(*ids));

	cr_assert(ids && counts);
	many.registry = registry_new();
	cr_assert_eq(registry_id(many.registry, REG_PEER, "called\nshop\n"), CALLED);
	for (unsigned n = 0; n < PODS; n += A_MINUTE) {
		for (unsigned i = n; i < n + A_MINUTE; i++)
			ids[i] = pod_comes(i);
		for (unsigned i = n; n >= AT_ONCE && i < n + A_MINUTE; i++)
			ids_remove(&here, ids[i - AT_ONCE]);
		minute(counts, ids, n < AT_ONCE - A_MINUTE ? 0 : n + A_MINUTE - AT_ONCE,
		       n + A_MINUTE);
		cr_assert_lt(registry_count(many.registry, REG_PEER), TRAFFIC_PEERS_MAX);
	}
	cr_expect_eq(all[0].requests, 0u, "all have found rows");
	for (unsigned n = 0; n < PODS - AT_ONCE; n++)
		cr_assert_eq(many.read[ids[n]], many.requests[ids[n]], "pod %u: all was told", n);
	traffic_counts_free(counts);
	registry_free(many.registry);
	free(ids);
}

/* ---- while others count ---- */

enum { COUNTERS = 4, KINDS = 1000, ROUNDS = 300 };

struct counter {
	pthread_t thread;
	struct traffic_rows *rows;
	unsigned seed;
	unsigned requests[KINDS];
};

static bool enough;

static void *count_on(void *arg)
{
	struct counter *c = arg;
	struct traffic_counts *counts = traffic_counts_new(c->rows);

	while (!__atomic_load_n(&enough, __ATOMIC_SEQ_CST)) {
		for (int n = 0; n < 10; n++) {
			unsigned kind = (unsigned)rand_r(&c->seed) % KINDS;
			const struct traffic_sample s = { .key = { .source = 1 + kind,
								   .cluster = 1 } };

			traffic_count(counts, &s);
			c->requests[kind]++;
		}
		traffic_counts_write(counts);
		usleep(100); /* rows are idle for a round now and then */
	}
	traffic_counts_free(counts);
	return NULL;
}

static bool all_gone(void *arg, __u32 peer)
{
	(void)arg;
	(void)peer;
	return true;
}

/* What rows have counted that are free after this round, by source. */
static void hasty_round(struct http_rows *h, struct http_traffic *from, uint64_t now,
			uint64_t *past)
{
	static uint64_t counted[TRAFFIC_HTTP_ROWS];
	static __u32 source[TRAFFIC_HTTP_ROWS], epoch[TRAFFIC_HTTP_ROWS];

	for (__u32 i = 1; i < TRAFFIC_HTTP_ROWS; i++) {
		if (__atomic_load_n(&from[i].taken, __ATOMIC_SEQ_CST) == TRAFFIC_LEAVING)
			while (__atomic_load_n(&from[i].writers, __ATOMIC_SEQ_CST))
				;
		counted[i] = __atomic_load_n(&from[i].requests, __ATOMIC_SEQ_CST);
		source[i] = from[i].key.source;
		epoch[i] = from[i].epoch;
	}
	cr_assert_geq(http_rows_round(h, from, TRAFFIC_HTTP_ROWS, now, all_gone, NULL), 0);
	for (__u32 i = 1; i < TRAFFIC_HTTP_ROWS; i++)
		if (from[i].epoch != epoch[i])
			past[source[i]] += counted[i];
}

/* Two processes of two workers each, and a weftd that takes rows back as fast as it can. */
Test(traffic_keep, nothing_is_lost_and_nothing_is_in_anothers_row)
{
	const size_t size = sizeof(struct http_traffic) * TRAFFIC_HTTP_ROWS;
	_cleanup_close_ int fd = memfd_create("map", MFD_CLOEXEC);
	static struct counter counters[COUNTERS];
	static uint64_t past[KINDS + 1];
	struct http_rows hasty = { 0 };
	struct http_traffic *from;
	uint64_t now = 1, freed, together = 0; /* what has found no row is in row 0 */

	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(from, MAP_FAILED);
	for (unsigned i = 0; i < COUNTERS; i++) {
		counters[i].seed = i;
		if (i % 2)
			counters[i].rows = counters[i - 1].rows;
		else
			cr_assert_eq(traffic_rows_open(fd, &counters[i].rows), 0);
		cr_assert_eq(pthread_create(&counters[i].thread, NULL, count_on, &counters[i]), 0);
	}
	for (int i = 0; i < ROUNDS; i++)
		hasty_round(&hasty, from, now += 2ull * IDLE_GONE_MS, past);
	__atomic_store_n(&enough, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < COUNTERS; i++)
		pthread_join(counters[i].thread, NULL);
	freed = from->epoch;
	for (int i = 0; i < 4; i++)
		hasty_round(&hasty, from, now += 2ull * IDLE_GONE_MS, past);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		uint64_t want = 0;

		for (unsigned i = 0; i < COUNTERS; i++)
			want += counters[i].requests[kind];
		cr_assert_leq(past[1 + kind], want, "kind %u: %llu instead of %llu", kind,
			      (unsigned long long)past[1 + kind], (unsigned long long)want);
		together += want - past[1 + kind];
	}
	cr_expect_gt(freed, 10, "rows came back meanwhile");
	cr_expect_eq(from->requests, together);
	cr_expect_lt(together, 20u, "who is kept waiting several times loses its row each time");
	traffic_rows_close(counters[0].rows);
	traffic_rows_close(counters[2].rows);
	http_rows_free(&hasty);
	munmap(from, size);
}

/* ---- names ---- */

static size_t review(struct registry *r, const struct ids *used, uint64_t now)
{
	struct peer_list gone = { 0 };
	size_t count;

	cr_assert_eq(peers_review(r, used, UINT32_MAX, now, &gone), 0);
	count = gone.ids.count;
	free(gone.ids.items);
	return count;
}

Test(traffic_keep, a_name_goes_an_hour_after_its_last_use)
{
	_cleanup_(ids_free) struct ids used = { 0 };
	struct registry *r = registry_new();

	registry_id(r, REG_PEER, "a");
	registry_id(r, REG_PEER, "b");
	registry_id(r, REG_PEER, "last");
	cr_assert_eq(ids_add(&used, 1), 1);
	cr_expect_eq(review(r, &used, 1), 0);
	cr_expect_eq(review(r, &used, IDLE_GONE_MS), 0);
	cr_assert_eq(ids_add(&used, 2), 1);
	cr_expect_eq(review(r, &used, IDLE_GONE_MS + 1), 0, "it is in use again");
	ids_remove(&used, 2);
	cr_expect_eq(review(r, &used, IDLE_GONE_MS + 2), 0);
	cr_expect_eq(review(r, &used, 2 * IDLE_GONE_MS + 2), 1);
	cr_expect_str_eq(registry_name(r, REG_PEER, 1), "a");
	cr_expect_null(registry_name(r, REG_PEER, 2));
	cr_expect_str_eq(registry_name(r, REG_PEER, 3), "last");
	registry_free(r);
}

Test(traffic_keep, a_name_that_is_not_written_down_yet_stays)
{
	struct registry *r = registry_new();
	struct peer_list gone = { 0 };
	const struct ids none = { 0 };

	registry_id(r, REG_PEER, "a");
	registry_id(r, REG_PEER, "b");
	registry_id(r, REG_PEER, "last");
	for (uint64_t now = 1; now < 3ull * IDLE_GONE_MS; now += ROUND_MS)
		cr_assert_eq(peers_review(r, &none, 1, now, &gone), 0);
	cr_expect_eq(gone.ids.count, 1);
	cr_expect_str_eq(registry_name(r, REG_PEER, 2), "b");
	free(gone.ids.items);
	registry_free(r);
}
