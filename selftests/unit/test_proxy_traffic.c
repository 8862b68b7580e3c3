// SPDX-License-Identifier: Apache-2.0
/*
 * Who talks to whom, as weft-proxy counts it: the rows, and what becomes of a request in them.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "proxy/stats/traffic.h"
#include "test_proxy_rules_env.h"
#include "test_proxy_script.h"

/* ---- rows ---- */

TestSuite(proxy_traffic, .timeout = 60);

static int new_map(void)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)sizeof(struct http_traffic) * TRAFFIC_HTTP_ROWS), 0);
	return fd;
}

static struct traffic_rows *open_rows(int fd)
{
	struct traffic_rows *r;

	cr_assert_eq(traffic_rows_open(fd, &r), 0);
	return r;
}

/* That of a key with the source `n`, in a cluster. */
static struct http_traffic *row_of(struct traffic_rows *r, uint32_t n)
{
	return traffic_row(r, &(struct http_traffic_key){ .source = n, .cluster = 1 }, "", 0, NULL);
}

static struct http_traffic *row_of_host(struct traffic_rows *r, const char *host)
{
	return traffic_row(r, &(struct http_traffic_key){ .source = 1 }, host, strlen(host), NULL);
}

static void read_row(int fd, uint32_t i, struct http_traffic *out)
{
	cr_assert_eq(pread(fd, out, sizeof(*out), (off_t)sizeof(*out) * i), (ssize_t)sizeof(*out));
}

Test(proxy_traffic, a_row_is_its_keys_and_hosts_for_good)
{
	_cleanup_close_ int fd = new_map();
	struct traffic_rows *r = open_rows(fd);
	struct http_traffic *a = row_of(r, 1), *h = row_of_host(r, "a.example"), row;
	char longer[2 * TRAFFIC_HOST_MAX];

	cr_expect_neq(a, row_of(r, 2));
	cr_expect_eq(a, row_of(r, 1));
	cr_expect_eq(a, traffic_row(r, &a->key, "of no account", 13, NULL), "the cluster says it");
	cr_expect_neq(h, row_of_host(r, "a.exampl"));
	cr_expect_neq(h, row_of_host(r, ""));
	cr_expect_eq(h, row_of_host(r, "a.example"));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	cr_expect_eq(row_of_host(r, longer), row_of_host(r, longer));
	a->requests = 5;
	traffic_rows_close(r);

	read_row(fd, 0, &row);
	cr_expect_eq(row.taken, TRAFFIC_TAKEN, "the shared one is not the end");
	read_row(fd, 3, &row);
	cr_expect_eq(row.taken, TRAFFIC_TAKEN);
	r = open_rows(fd);
	cr_expect_eq(row_of(r, 1)->requests, 5u);
	cr_expect_str_eq(row_of_host(r, "a.example")->host, "a.example");
	read_row(fd, 7, &row);
	cr_expect_eq(row.taken, TRAFFIC_FREE, "none was taken twice");
	traffic_rows_close(r);
}

Test(proxy_traffic, what_finds_no_row_is_counted_together)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct http_traffic *first = row_of(r, 1), *shared;

	for (uint32_t i = 2; i < TRAFFIC_HTTP_ROWS; i++)
		cr_assert_neq(row_of(r, i), first);
	shared = row_of(r, TRAFFIC_HTTP_ROWS);
	cr_expect_eq(shared, row_of(r, TRAFFIC_HTTP_ROWS + 1));
	cr_expect_eq(row_of(r, 1), first);
	/* A worker's own places are as many. */
	for (uint32_t i = 1; i < 2 * TRAFFIC_HTTP_ROWS; i++)
		traffic_count(c, &(struct traffic_sample){ .key = { .source = i, .cluster = 1 } });
	cr_expect_eq(shared->requests, 0u, "not yet");
	traffic_counts_write(c);
	cr_expect_eq(shared->requests, (uint64_t)TRAFFIC_HTTP_ROWS);
	cr_expect_eq(first->requests, 1u);
	traffic_counts_free(c);
	traffic_rows_close(r);
}

/* Row 0 is of requests: what no longer can be told apart is not to make connections of those. */
Test(proxy_traffic, connections_that_find_no_row_are_not_counted)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct traffic_sample s = { .key = { .cluster = 1, .is_tcp = 1 },
				    .requests = 1,
				    .closed = 1,
				    .request_bytes = 7,
				    .response_bytes = 9 };
	struct http_traffic *shared;

	for (uint32_t i = 1; i < TRAFFIC_HTTP_ROWS; i++)
		row_of(r, i);
	shared = row_of(r, TRAFFIC_HTTP_ROWS);
	/* The worker has places for the first ones, and none for the others. */
	for (uint32_t i = 1; i < 2 * TRAFFIC_HTTP_ROWS; i++) {
		s.key.source = i;
		traffic_count(c, &s);
	}
	traffic_counts_write(c);
	cr_expect_eq(shared->requests, 0u);
	cr_expect_eq(shared->closed, 0u);
	cr_expect_eq(shared->request_bytes.sum, 0u);
	cr_expect_eq(shared->response_bytes.sum, 0u);
	cr_expect_not(traffic_counts_wait(c));
	s.key = (struct http_traffic_key){ .source = 1, .cluster = 1, .code = 200 };
	traffic_count(c, &s);
	traffic_counts_write(c);
	cr_expect_eq(shared->requests, 1u);
	cr_expect_eq(shared->request_bytes.sum, 7u);
	traffic_counts_free(c);
	traffic_rows_close(r);
}

/* Each code in its own row. */
static struct http_traffic *row_of_code(struct traffic_rows *r, uint32_t source, uint32_t cluster,
					unsigned code)
{
	const struct http_traffic_key key = { .source = source,
					      .cluster = cluster,
					      .code = (uint16_t)code,
					      .is_grpc = 1,
					      .grpc = 14 };

	return traffic_row(r, &key, "", 0, NULL);
}

enum { EXACT = TRAFFIC_HTTP_ROWS / 8, WITH_CLASSES = TRAFFIC_HTTP_ROWS / 4 };

/* Nor does an earlier process' share count anew. */
Test(proxy_traffic, a_caller_leaves_rows_to_others)
{
	_cleanup_close_ int fd = new_map();
	struct traffic_rows *r = open_rows(fd);
	struct http_traffic *row;

	for (unsigned i = 0; i < EXACT; i++)
		cr_assert_eq(row_of_code(r, 1, 1, 100 + i)->key.code, 100 + i);
	traffic_rows_close(r);
	r = open_rows(fd);
	row = row_of_code(r, 1, 1, 799);
	cr_expect_eq(row->key.source, 1u);
	cr_expect_eq(row->key.code, 700u);
	cr_expect_eq(row->key.grpc, TRAFFIC_GRPC_NONE);
	cr_expect_eq(row, row_of_code(r, 1, 1, 750));
	cr_expect_eq(row_of_code(r, 1, 1, 105)->key.code, 105u, "what has a row keeps it");
	for (unsigned i = EXACT + 1; i < WITH_CLASSES; i++)
		cr_assert_eq(row_of_code(r, 1, i, 404)->key.code, 400u);
	row = row_of_code(r, 1, WITH_CLASSES, 404);
	cr_expect_eq(row->key.source, 0u, "the shared one");
	cr_expect_eq(row, row_of_code(r, 1, WITH_CLASSES + 1, 200));
	cr_expect_eq(row_of_code(r, 2, 1, 404)->key.code, 404u, "another caller");
	traffic_rows_close(r);
}

Test(proxy_traffic, a_caller_leaves_a_workers_places_to_others)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct traffic_sample s = { .key = { .source = 1, .grpc = TRAFFIC_GRPC_NONE } };
	const uint64_t folded = TRAFFIC_HTTP_ROWS - EXACT;
	const uint64_t classes = WITH_CLASSES - EXACT;

	/* More than a worker has places: each cluster a kind, and each in the class of its code. */
	for (uint32_t i = 0; i < TRAFFIC_HTTP_ROWS; i++) {
		s.key.cluster = 1 + i;
		s.key.code = 404;
		traffic_count(c, &s);
	}
	s.key = (struct http_traffic_key){
		.source = 2, .cluster = 1, .code = 404, .grpc = TRAFFIC_GRPC_NONE
	};
	traffic_count(c, &s);
	traffic_counts_write(c);
	cr_expect_eq(traffic_row(r, &s.key, "", 0, NULL)->requests, 1u);
	cr_expect_eq(traffic_row(r, &s.key, "", 0, NULL)->key.code, 404);
	s.key.source = 1;
	cr_expect_eq(traffic_row(r, &s.key, "", 0, NULL)->requests, 1u);
	s.key.cluster = TRAFFIC_HTTP_ROWS;
	cr_expect_eq(traffic_row(r, &s.key, "", 0, NULL)->requests, folded - classes,
		     "the shared one");
	traffic_counts_free(c);
	traffic_rows_close(r);
}

struct taker {
	pthread_t thread;
	struct traffic_rows *rows;
};

enum { TAKERS = 4, KEYS = 1000 };

static void *take_rows(void *arg)
{
	const struct taker *t = arg;

	for (uint32_t i = 0; i < KEYS; i++)
		__atomic_add_fetch(&row_of(t->rows, 1 + i * 7 % KEYS)->requests, 1,
				   __ATOMIC_RELAXED);
	return NULL;
}

/* Two threads of one process, and those of others, which have maps of their own. */
Test(proxy_traffic, a_row_that_several_want_is_taken_once)
{
	_cleanup_close_ int fd = new_map();
	struct taker takers[TAKERS];
	struct http_traffic row;

	for (int i = 0; i < TAKERS; i++)
		takers[i].rows = i == 1 ? takers[0].rows : open_rows(fd);
	for (int i = 0; i < TAKERS; i++)
		cr_assert_eq(pthread_create(&takers[i].thread, NULL, take_rows, &takers[i]), 0);
	for (int i = 0; i < TAKERS; i++)
		pthread_join(takers[i].thread, NULL);
	for (uint32_t i = 1; i <= KEYS; i++) {
		read_row(fd, i, &row);
		cr_assert_eq(row.taken, TRAFFIC_TAKEN);
		cr_assert_eq(row.requests, (uint64_t)TAKERS, "row %u: %llu", i,
			     (unsigned long long)row.requests);
	}
	read_row(fd, KEYS + 1, &row);
	cr_expect_eq(row.taken, TRAFFIC_FREE);
	for (int i = 0; i < TAKERS; i++)
		if (i != 1)
			traffic_rows_close(takers[i].rows);
}

Test(proxy_traffic, a_row_whose_taker_has_died_is_passed_over)
{
	_cleanup_close_ int fd = new_map();
	struct http_traffic row = { .taken = TRAFFIC_BEING_TAKEN };
	struct traffic_rows *r;

	cr_assert_eq(pwrite(fd, &row, sizeof(row), sizeof(row)), (ssize_t)sizeof(row));
	r = open_rows(fd);
	row_of(r, 1)->requests = 3;
	read_row(fd, 1, &row);
	cr_expect_eq(row.requests, 0u);
	read_row(fd, 2, &row);
	cr_expect_eq(row.requests, 3u);
	traffic_rows_close(r);
}

/* ---- rows that weftd takes back ---- */

/* As weftd does it. `first`: row 1. */
static void give_back(struct http_traffic *first, struct http_traffic *row)
{
	cr_assert_eq(row->writers, 0u);
	row->epoch++;
	memset(&row->key, 0, sizeof(row->key));
	memset(&row->requests, 0, sizeof(*row) - offsetof(struct http_traffic, requests));
	row->taken = TRAFFIC_FREE_AGAIN;
	first[-1].epoch++;
}

static const struct traffic_sample one_request = { .key = { .source = 1, .cluster = 1 } };

static void count_one(struct traffic_counts *c, uint32_t source)
{
	struct traffic_sample s = one_request;

	s.key.source = source;
	traffic_count(c, &s);
	traffic_counts_write(c);
}

Test(proxy_traffic, a_row_that_is_anothers_now_is_not_counted_in)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct http_traffic *a = row_of(r, 1), *b = row_of(r, 2);

	count_one(c, 1);
	cr_expect_eq(a->requests, 1u);
	give_back(a, a);
	cr_expect_eq(row_of(r, 3), a, "the first that is free");
	count_one(c, 1);
	cr_expect_eq(a->requests, 0u);
	cr_expect_neq(row_of(r, 1), a);
	cr_expect_eq(row_of(r, 1)->requests, 1u);
	cr_expect_eq(row_of(r, 2), b);
	cr_expect_eq(a->writers, 0u);
	traffic_counts_free(c);
	traffic_rows_close(r);
}

Test(proxy_traffic, a_row_that_is_leaving_is_not_counted_in)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct http_traffic *a = row_of(r, 1);

	count_one(c, 1);
	a->taken = TRAFFIC_LEAVING;
	count_one(c, 1);
	cr_expect_eq(a->requests, 1u);
	cr_expect_neq(row_of(r, 1), a);
	cr_expect_eq(row_of(r, 1)->requests, 1u);
	count_one(c, 1);
	cr_expect_eq(row_of(r, 1)->requests, 2u);
	traffic_counts_free(c);
	traffic_rows_close(r);
}

Test(proxy_traffic, what_had_no_row_gets_one_when_there_is_one_again)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct http_traffic *first = row_of(r, 1);

	for (uint32_t i = 2; i < TRAFFIC_HTTP_ROWS; i++)
		cr_assert_neq(row_of(r, i), first);
	count_one(c, TRAFFIC_HTTP_ROWS);
	cr_expect_eq(row_of(r, TRAFFIC_HTTP_ROWS)->key.source, 0u, "the shared one");
	give_back(first, first);
	count_one(c, TRAFFIC_HTTP_ROWS);
	cr_expect_eq(first->key.source, (uint32_t)TRAFFIC_HTTP_ROWS);
	cr_expect_eq(first->requests, 1u);
	traffic_counts_free(c);
	traffic_rows_close(r);
}

/* Of one caller there are only so many: those that are given back count no more. */
Test(proxy_traffic, rows_of_a_caller_that_are_given_back_are_its_own_again)
{
	struct traffic_rows *r = open_rows(-1);
	struct http_traffic *first = row_of_code(r, 1, 1, 100);

	for (unsigned i = 0; i < EXACT; i++)
		cr_assert_eq(row_of_code(r, 1, 1, 100 + i)->key.code, 100 + i);
	cr_expect_eq(row_of_code(r, 1, 1, 799)->key.code, 700u);
	give_back(first, first);
	cr_expect_eq(row_of_code(r, 1, 1, 798)->key.code, 700u, "one is of the class");
	give_back(first, row_of_code(r, 1, 1, 101));
	cr_expect_eq(row_of_code(r, 1, 1, 798)->key.code, 798u);
	traffic_rows_close(r);
}

/* A place for each kind of request that there ever was would not do. */
Test(proxy_traffic, a_worker_finds_places_for_new_kinds)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	const uint32_t new_one = 2 * TRAFFIC_HTTP_ROWS;
	struct http_traffic *first = row_of(r, 1);

	for (uint32_t i = 1; i < TRAFFIC_HTTP_ROWS; i++)
		count_one(c, i);
	give_back(first, first);
	count_one(c, new_one);
	cr_expect_eq(first[-1].requests, 1u, "the worker has no place");
	traffic_counts_tidy(c, 1000);
	count_one(c, new_one);
	cr_expect_eq(first[-1].requests, 1u);
	cr_expect_eq(first->key.source, new_one);
	cr_expect_eq(first->requests, 1u);
	count_one(c, 2);
	cr_expect_eq(row_of(r, 2)->requests, 2u, "the others are the same as before");
	traffic_counts_free(c);
	traffic_rows_close(r);
}

Test(proxy_traffic, values_are_in_the_bucket_whose_end_they_do_not_pass)
{
	struct traffic_rows *r = open_rows(-1);
	struct traffic_counts *c = traffic_counts_new(r);
	struct traffic_sample s = { .key = { .source = 1, .cluster = 1 } };
	static const uint64_t us[] = { 0, 500, 501, 1000, 3600000000, 3600000001 };
	static const uint64_t bytes[] = { 0, 1, 2, 5, 3600000, 3600001 };
	const struct http_traffic *row = row_of(r, 1);

	for (size_t i = 0; i < 6; i++) {
		s.duration_us = us[i];
		s.request_bytes = s.response_bytes = bytes[i];
		traffic_count(c, &s);
	}
	cr_expect(traffic_counts_wait(c));
	traffic_counts_write(c);
	cr_expect_not(traffic_counts_wait(c));
	cr_expect_eq(row->requests, 6u);
	cr_expect_eq(row->duration.buckets[0], 2u);
	cr_expect_eq(row->duration.buckets[1], 2u);
	cr_expect_eq(row->duration.buckets[18], 1u);
	cr_expect_eq(row->duration.buckets[19], 1u);
	cr_expect_eq(row->duration.sum, 7200002002u);
	cr_expect_eq(row->request_bytes.buckets[0], 1u);
	cr_expect_eq(row->request_bytes.buckets[1], 1u);
	cr_expect_eq(row->request_bytes.buckets[2], 2u);
	cr_expect_eq(row->response_bytes.buckets[18], 1u);
	cr_expect_eq(row->response_bytes.buckets[19], 1u);
	cr_expect_eq(row->response_bytes.sum, 7200009u);
	traffic_counts_write(c);
	cr_expect_eq(row->requests, 6u, "once");
	traffic_counts_free(c);
	traffic_rows_close(r);
}

/* ---- requests ---- */

enum { CALLER = 7, ENDPOINT = 5, CLUSTER_ID = 9, COPIES = 11 };

static struct env *e;
static struct traffic_rows *rows;

static void setup(void)
{
	struct worker_options o = worker_defaults;

	rows = open_rows(-1);
	o.traffic = rows;
	o.idle_timeout_ms = 2000;
	e = env_new(&o);
	e->plan.traffic = (struct plan_traffic){ .source = CALLER,
						 .cluster = CLUSTER_ID,
						 .reporters = TRAFFIC_SOURCE };
	e->target.peer = ENDPOINT;
	e->target.in_mesh = true;
}

static void teardown(void)
{
	env_free(e);
	traffic_rows_close(rows);
}

TestSuite(proxy_traffic_requests, .init = setup, .fini = teardown, .timeout = 60);

/* What a request to the endpoint is counted as. */
static struct http_traffic_key reached(unsigned code)
{
	return (struct http_traffic_key){ .source = CALLER,
					  .destination = ENDPOINT,
					  .cluster = CLUSTER_ID,
					  .code = (uint16_t)code,
					  .grpc = TRAFFIC_GRPC_NONE,
					  .reporters = TRAFFIC_SOURCE | TRAFFIC_DESTINATION };
}

/* And one that has not got there. */
static struct http_traffic_key unreached(unsigned code, const char *flag)
{
	struct http_traffic_key key = reached(code);

	key.destination = 0;
	key.reporters = TRAFFIC_SOURCE;
	key.security = TRAFFIC_SECURITY_UNKNOWN;
	key.flags = flags_of(flag);
	return key;
}

/* Counted are `n` of that kind, once they are. */
static struct http_traffic *want_row(struct http_traffic_key key, const char *host, uint64_t n)
{
	struct http_traffic *row = traffic_row(rows, &key, host, strlen(host), NULL);
	uint64_t is = 0;

	for (int i = 0; i < 400 && is < n; i++) {
		is = __atomic_load_n(&row->requests, __ATOMIC_RELAXED);
		if (is < n)
			wait_ms(5);
	}
	wait_ms(2 * TRAFFIC_WRITE_MS); /* others would have come, too */
	is = __atomic_load_n(&row->requests, __ATOMIC_RELAXED);
	cr_assert_eq(is, n, "%llu instead of %llu", (unsigned long long)is, (unsigned long long)n);
	return row;
}

/* All that was counted, of whatever kind: key after key of a conversation adds up to it. */
static uint64_t all_rows(void)
{
	const struct http_traffic *first =
		want_row((struct http_traffic_key){ .source = 1 }, "", 0);
	uint64_t sum = 0;

	/* In memory rows lie one behind the other; that one was taken last. */
	for (const struct http_traffic *row = first; row->taken == TRAFFIC_TAKEN; row--) {
		sum += row->requests;
		if (!row->key.source)
			break;
	}
	return sum;
}

Test(proxy_traffic_requests, answers_of_the_endpoint)
{
	struct http_traffic *row;

	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	PLAY("C> GET /a", "U> GET /a", "U< 500 No|Content-Length: 0||",
	     "C< 500 No|Content-Length: 0||");
	row = want_row(reached(200), "", 2);
	cr_expect_eq(row->response_bytes.sum, 4u);
	cr_expect_eq(row->response_bytes.buckets[2], 2u);
	cr_expect_eq(row->request_bytes.sum, 0u);
	cr_expect_lt(row->duration.sum, 2000000u);
	want_row(reached(500), "", 1);
	cr_expect_eq(all_rows(), 3u);
}

Test(proxy_traffic_requests, bodies)
{
	struct http_traffic *row;

	PLAY("C> POST / HTTP/1.1|Host: h|Content-Length: 5||hello",
	     "U> POST / HTTP/1.1|host: h|Content-Length: 5||hello", "U< 200", "C< 200");
	row = want_row(reached(200), "", 1);
	cr_expect_eq(row->request_bytes.sum, 5u);
	cr_expect_eq(row->request_bytes.buckets[2], 1u);
}

Test(proxy_traffic_requests, time_in_microseconds)
{
	struct http_traffic *row;

	PLAY("C> GET /a", "U> GET /a", "T 30", "U< 200", "C< 200");
	row = want_row(reached(200), "", 1);
	cr_expect_geq(row->duration.sum, 29000u);
	cr_expect_neq(row->duration.sum % 1000, 0u, "%llu", (unsigned long long)row->duration.sum);
}

Test(proxy_traffic_requests, an_endpoint_outside_the_mesh_has_the_callers_side_only)
{
	struct http_traffic_key key = reached(200);

	e->target.in_mesh = false;
	key.reporters = TRAFFIC_SOURCE;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	want_row(key, "", 1);
}

Test(proxy_traffic_requests, by_mutual_tls_from_outside_or_from_a_weft_proxy_that_has_counted)
{
	struct http_traffic_key key = reached(200);

	e->plan.traffic.mutual = true;
	key.reporters = TRAFFIC_DESTINATION;
	key.security = TRAFFIC_MUTUAL_TLS;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	want_row(key, "", 1);
	e->plan.traffic.uncounted = true;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	cr_expect_eq(all_rows(), 1u);
}

Test(proxy_traffic_requests, no_endpoint)
{
	e->pick = PICK_NONE;
	PLAY("C> GET /a", "C< 503...no healthy upstream");
	want_row(unreached(503, "UH"), "", 1);
	e->pick = PICK_NO_CLUSTER;
	PLAY("C> GET /a", "C< 503...");
	want_row(unreached(503, "NC"), "", 1);
	cr_expect_eq(all_rows(), 2u);
}

Test(proxy_traffic_requests, an_endpoint_that_is_not_there)
{
	struct http_traffic_key key = unreached(503, "UF");

	close(e->endpoint);
	PLAY("C> GET /a", "C< 503...connection failure");
	want_row(key, "", 1);
	e->endpoint = env_listen(&e->endpoint_port);
	cr_expect_eq(all_rows(), 1u);
}

Test(proxy_traffic_requests, one_that_ends_too_early)
{
	struct http_traffic_key key = reached(503);

	key.flags = flags_of("UC");
	PLAY("C> GET /a", "U> GET /a", "U< END", "C< 503...connection termination");
	want_row(key, "", 1);
}

Test(proxy_traffic_requests, tries_are_one_request)
{
	env_second(e);
	e->second.peer = ENDPOINT + 1;
	e->second.in_mesh = true;
	e->plan.retries = 1;
	e->plan.retry_on = PLAN_RETRY_5XX;
	struct http_traffic_key key = reached(200);

	key.destination = ENDPOINT + 1;
	PLAY("C> GET /a", "U> GET /a", "U< 503", "V> GET /a", "V< 200", "C< 200");
	want_row(key, "", 1);
	cr_expect_eq(all_rows(), 1u);
}

Test(proxy_traffic_requests, a_time_that_is_over)
{
	struct http_traffic_key key = reached(504);

	key.flags = flags_of("UT");
	e->plan.timeout_ms = 50;
	PLAY("C> GET /a", "U> GET /a", "C< 504...upstream request timeout");
	want_row(key, "", 1);
}

Test(proxy_traffic_requests, a_client_that_leaves)
{
	struct http_traffic_key key = reached(0);

	key.flags = flags_of("DC");
	PLAY("C> GET /a", "U> GET /a", "C> RST", "U> GONE");
	want_row(key, "", 1);
	cr_expect_eq(all_rows(), 1u);
}

Test(proxy_traffic_requests, answers_of_the_proxys_own_keep_the_host)
{
	struct http_traffic_key key = unreached(404, "NR");

	e->plan.action = PLAN_ANSWER;
	e->plan.answer = (struct plan_answer){ .status = 404, .flags = "NR" };
	e->plan.traffic.cluster = key.cluster = 0;
	e->plan.traffic.host = (struct h1_span){ "a.default.svc.cluster.local", 27 };
	PLAY("C> GET /a", "C< 404...");
	want_row(key, "a.default.svc.cluster.local", 1);
	e->plan.answer = (struct plan_answer){ .status = 301, .flags = "-" };
	PLAY("C> GET /a", "C< 301...");
	want_row(unreached(301, "-"), "a.default.svc.cluster.local", 0);
	key.code = 301;
	key.flags = 0;
	want_row(key, "a.default.svc.cluster.local", 1);
}

#define GRPC "POST /s/M HTTP/1.1|host: h|content-type: application/grpc+proto|content-length: 0||"

Test(proxy_traffic_requests, grpc)
{
	struct http_traffic_key key = reached(200);

	key.is_grpc = 1;
	key.grpc = 14;
	PLAY("C> " GRPC, "U> " GRPC, "U< 200 OK|grpc-status: 14|content-length: 0||",
	     "C< 200 OK|grpc-status: 14|content-length: 0||");
	want_row(key, "", 1);
	key.grpc = TRAFFIC_GRPC_NONE;
	PLAY("C> " GRPC, "U> " GRPC, "U< 200", "C< 200");
	want_row(key, "", 1);
	PLAY("C> " GRPC, "U> " GRPC, "U< 200 OK|grpc-status: 17|content-length: 0||",
	     "C< 200 OK|grpc-status: 17|content-length: 0||");
	want_row(key, "", 2);
	key.grpc = 16;
	PLAY("C> " GRPC, "U> " GRPC, "U< 200 OK|grpc-status: 16|content-length: 0||",
	     "C< 200 OK|grpc-status: 16|content-length: 0||");
	want_row(key, "", 1);
}

Test(proxy_traffic_requests, a_copy_is_told_of_by_its_endpoint)
{
	struct http_traffic_key copy = reached(503);

	env_mirror(e);
	e->mirror.cluster = copy.cluster = COPIES;
	e->mirror.peer = copy.destination = ENDPOINT + 2;
	e->mirror.in_mesh = true;
	copy.reporters = TRAFFIC_DESTINATION;
	PLAY("C> GET /a", "U> GET /a", "M> GET /a HTTP/1.1|host: h-shadow||", "M< 503", "U< 200",
	     "C< 200");
	want_row(reached(200), "", 1);
	cr_expect_eq(want_row(copy, "", 1)->response_bytes.sum, 2u);
	cr_expect_eq(all_rows(), 2u);
}

Test(proxy_traffic_requests, an_upgrade_is_one_request)
{
	static const char ask[] = "GET / HTTP/1.1|host: h|connection: upgrade|upgrade: websocket||";
	static const char yes[] = "101 Yes|connection: upgrade|upgrade: websocket||";
	char lines[5][128];

	snprintf(lines[0], sizeof(lines[0]), "C> %s", ask);
	snprintf(lines[1], sizeof(lines[1]), "U> %s", ask);
	snprintf(lines[2], sizeof(lines[2]), "U< %s", yes);
	snprintf(lines[3], sizeof(lines[3]), "C< %s", yes);
	PLAY(lines[0], lines[1], lines[2], lines[3], "C> hello", "U> hello", "C> END", "U> END",
	     "U< END", "C< END");
	cr_expect_eq(want_row(reached(101), "", 1)->request_bytes.sum, 5u);
	cr_expect_eq(all_rows(), 1u);
}

/* ---- who it is, by the rules ---- */

Test(proxy_rules, endpoints_are_told_apart_by_who_they_are)
{
	struct asked a = { 0 };
	unsigned picked;
	uint32_t peers[PODS + 1] = { 0 };

	rules_load(CLUSTER POLICY);
	for (int i = 0; i < 64; i++) {
		asked_plan(&a, 1, "/", "");
		cr_expect_eq(a.plan.traffic.source, 0u, "10.1.0.1 is no pod");
		cr_expect_eq(a.plan.traffic.reporters, 0);
		cr_expect_neq(a.plan.traffic.cluster, 0u);
		picked = asked_pick(&a, 0);
		cr_expect(a.target.in_mesh);
		cr_expect_neq(a.target.peer, 0u);
		cr_expect(!peers[picked] || peers[picked] == a.target.peer);
		peers[picked] = a.target.peer;
		asked_done(&a, OUTCOME_STATUS, 200);
		asked_release(&a);
	}
	for (int i = 1; i <= PODS; i++)
		for (int k = 1; k < i; k++)
			cr_expect_neq(peers[i], peers[k], "pods of no Deployment are one each");
}

Test(proxy_rules, a_pod_that_has_other_labels_is_another_peer_at_once)
{
	struct asked a = { 0 };
	uint32_t before, after;

	rules_load(SERVICE POD(1, "v1"));
	asked_plan(&a, 1, "/", "");
	asked_pick(&a, 0);
	before = a.target.peer;
	asked_done(&a, OUTCOME_STATUS, 200);
	rules_patch(POD(1, "v2"), NULL);
	asked_pick(&a, 1);
	after = a.target.peer;
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
	cr_expect_neq(before, 0u);
	cr_expect_neq(after, 0u);
	cr_expect_neq(before, after);
	rules_hand_over();
	asked_plan(&a, 1, "/", "");
	asked_pick(&a, 0);
	cr_expect_eq(a.target.peer, after, "whichever way the rules came");
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
}

Test(proxy_rules, what_no_cluster_was_chosen_for_has_the_services_name)
{
	struct asked a = { 0 };

	rules_load(CLUSTER RULE "  - match: [{uri: {exact: /r}}]\n    redirect: {uri: /x}\n"
				"  - match: [{uri: {exact: /y}}]\n"
				"    fault: {abort: {percentage: {value: 100}, httpStatus: 500}}\n"
				"    route: [{destination: {host: svc}}]\n");
	for (int i = 0; i < 2; i++) {
		asked_plan(&a, 1, i ? "/none" : "/r", "");
		cr_expect_eq(a.plan.traffic.cluster, 0u);
		cr_expect(h1_is(a.plan.traffic.host, "svc.default.svc.cluster.local"), "%.*s",
			  (int)a.plan.traffic.host.n, a.plan.traffic.host.p);
		asked_release(&a);
	}
	asked_plan(&a, 1, "/y", "");
	cr_expect_neq(a.plan.traffic.cluster, 0u, "it would have gone there");
	asked_release(&a);
}
