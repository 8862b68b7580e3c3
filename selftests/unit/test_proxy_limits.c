// SPDX-License-Identifier: Apache-2.0
/*
 * As many connections and waiting requests as there may be, and not one more.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_script.h"

static struct env *e;
static struct cluster_limit row;
static uint32_t held;
static struct limit limit = { .connections = &row, .held = &held };

static void begin(struct env *env)
{
	e = env;
	e->target.limit = &limit;
	e->target.max = (struct limit_max){ .connections = 1, .pending = 1 };
}

static void setup(void)
{
	begin(env_new(NULL));
}

static void setup_pair(void)
{
	begin(env_new_pair());
}

/* All that was taken has been given back. */
static void teardown(void)
{
	env_free(e);
	cr_expect_eq(row.proxied, 0u);
	cr_expect_eq(limit.pending, 0u);
	cr_expect_eq(limit.admitted, 0u);
	cr_expect_eq(limit.requests, 0u);
	cr_expect_eq(limit.retries, 0u);
}

TestSuite(proxy_limits, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(proxy_limits_shared, .init = setup_pair, .fini = teardown, .timeout = 60);

/* Answered by the proxy, as there are too many. */
#define REASON "upstream connect error or disconnect/reset before headers. reset reason: "
#define OVERFLOW "503...||" REASON "overflow"

Test(proxy_limits, two_are_admitted_and_the_third_is_refused)
{
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "T 50", "C3> GET /a",
	     "C3< 503 ...content-length: 81|...x-envoy-overloaded: true|...||" REASON "overflow",
	     "L 503 UO", "S cluster upstream_rq_pending_overflow 1", "U2> -");
	PLAY("U< 200", "C< 200", "U> GET /a", "U< 200", "C2< 200");
	PLAY("C3> GET /a", "U> GET /a", "U< 200", "C3< 200");
	PLAY("S cluster upstream_rq_pending_overflow 1");
	cr_expect_eq(row.proxied, 1u);
	cr_expect_eq(row.peak, 1u);
}

Test(proxy_limits, a_refusal_says_nothing_about_the_endpoint)
{
	e->target.max = (struct limit_max){ .requests = 1 };
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "C2< " OVERFLOW);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED);
	PLAY("U< 200", "C< 200");
}

Test(proxy_limits, who_waits_gets_a_new_connection_when_the_old_one_is_used_up)
{
	e->target.max_requests_per_connection = 1;
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "C2< -", "U< 200", "C< 200", "U> END");
	PLAY("U2> GET /a", "U2< 200", "C2< 200");
}

/* Two leave: one of those that wait, and the last one. */
Test(proxy_limits, who_waits_first_is_served_first)
{
	e->target.max.pending = 0;
	PLAY("C1> GET /1", "T 2", "C2> GET /2", "T 2", "C3> GET /3", "T 2", "C4> GET /4", "T 2");
	PLAY("C5> GET /5", "T 2", "C6> GET /6", "T 2", "C7> GET /7", "T 2", "C8> GET /8", "T 2");
	PLAY("C9> GET /9", "T 2");
	PLAY("U> GET /1", "U< 200", "C1< 200", "U> GET /2", "U< 200", "C2< 200");
	PLAY("U> GET /3", "U< 200", "C3< 200", "U> GET /4", "U< 200", "C4< 200");
	PLAY("C6> END", "C9> END", "T 20");
	PLAY("U> GET /5", "U< 200", "C5< 200", "U> GET /7", "U< 200", "C7< 200");
	PLAY("U> GET /8", "U< 200", "C8< 200", "U> -");
}

Test(proxy_limits, who_waits_and_goes_away_is_forgotten)
{
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "T 50", "C2> RST", "L 0 DC");
	PLAY("C3> GET /a", "T 50", "U< 200", "C< 200", "U> GET /a", "U< 200", "C3< 200");
	PLAY("S cluster upstream_rq_pending_overflow 0");
}

Test(proxy_limits, waiting_ends_with_the_routes_time)
{
	PLAY("C> GET /a", "U> GET /a");
	e->plan.timeout_ms = 100;
	PLAY("C2> GET /a", "C2< 504...", "U< 200", "C< 200");
}

Test(proxy_limits, an_unused_connection_to_another_endpoint_makes_way)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	env_second(e);
	e->target = e->second;
	PLAY("C2> GET /a", "V> GET /a", "U> END", "V< 200", "C2< 200");
}

Test(proxy_limits, a_connection_that_fails_is_given_back)
{
	uint16_t good = e->target.port;

	close(env_listen(&e->target.port));
	for (int i = 0; i < 3; i++)
		PLAY("C> GET /a", "C< 503...connection failure");
	e->target.port = good;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
}

/* More connections than requests may be under way: those that wait for one don't count. */
Test(proxy_limits, requests_under_way)
{
	e->target.max = (struct limit_max){ .connections = 1, .requests = 1 };
	PLAY("C> GET /a", "U> GET /a", "C2> GET /a", "C2< -", "U< 200", "C< 200");
	PLAY("U> GET /a", "U< 200", "C2< 200", "S cluster upstream_rq_pending_overflow 0");
	e->target.max = (struct limit_max){ .requests = 1 };
	PLAY("C> GET /a", "U> GET /a", "C3> GET /a", "C3< " OVERFLOW, "U< 200", "C< 200");
	PLAY("S cluster upstream_rq_pending_overflow 1");
}

Test(proxy_limits, a_connection_is_used_again_only_for_the_cluster_that_counts_it)
{
	static struct cluster_limit other_row;
	static uint32_t other_held;
	static struct limit other = { .connections = &other_row, .held = &other_held };

	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	e->target.limit = &other;
	PLAY("C> GET /a", "U2> GET /a", "U2< 200", "C< 200");
	cr_expect_eq(row.proxied, 1u);
	cr_expect_eq(other_row.proxied, 1u);
	e->target.limit = &limit;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200", "U2< END");
	for (int i = 0; i < 1000 && __atomic_load_n(&other_row.proxied, __ATOMIC_SEQ_CST); i++)
		wait_ms(1);
	cr_expect_eq(__atomic_load_n(&other_row.proxied, __ATOMIC_SEQ_CST), 0u);
}

static const uint32_t unavailable[] = { 503 };

Test(proxy_limits, retries_under_way)
{
	e->target.max = (struct limit_max){ .retries = 1 };
	e->plan.retries = 1;
	e->plan.retry_statuses = unavailable;
	e->plan.retry_status_count = 1;
	env_second(e);
	PLAY("C> GET /a", "U> GET /a", "U< 503", "V> GET /a");
	PLAY("C2> GET /a", "U2> GET /a", "U2< 503", "C2< 503", "L 503 UO");
	PLAY("S cluster upstream_rq_retry_overflow 1", "V< 200", "C< 200", "L2 200 -");
	cr_expect_eq(limit.retries, 0u);
}

Test(proxy_limits_row, a_budget_of_retries)
{
	const struct limit_max fifth = {
		.retry_budget = true, .retry_share = 200000, .retry_least = 3, .retries = 1
	};
	const struct limit_max none = { .retry_budget = true };
	int n = 0;

	limit.admitted = 40;
	while (n < 100 && limit_retry(&limit, &fifth))
		n++;
	cr_expect_eq(n, 8, "%d of 40", n);
	limit.retries = 0;
	limit.admitted = 1;
	for (n = 0; n < 100 && limit_retry(&limit, &fifth);)
		n++;
	cr_expect_eq(n, 3, "always so many, not %d", n);
	limit.retries = 0;
	cr_expect_not(limit_retry(&limit, &none));
	cr_expect_eq(limit.retries, 0u);
}

Test(proxy_limits_row, who_asks_for_the_next_one)
{
	long anna = 0, berta = 0;

	cr_expect_not(limit_asked_before(&limit, UINT64_MAX));
	cr_expect_not(limit_pass_on(&limit, UINT64_MAX));
	cr_expect_not(limit_withdraw(&limit, &anna));
	limit_ask(&limit, &anna, 1000);
	limit_ask(&limit, &berta, 500);
	cr_expect_not(limit_asked_before(&limit, 1001), "those here have waited about as long");
	cr_expect_not(limit_pass_on(&limit, 1001));
	cr_expect(limit_asked_before(&limit, 1100));
	cr_expect_not(limit_passed(&limit, &anna), "not yet");
	cr_expect(limit_pass_on(&limit, 1100));
	cr_expect_not(limit_asked_before(&limit, UINT64_MAX), "one is enough");
	cr_expect_not(limit_pass_on(&limit, UINT64_MAX));
	cr_expect_not(limit_passed(&limit, &berta), "one at a time");
	cr_expect_not(limit_withdraw(&limit, &berta));
	cr_expect(limit_passed(&limit, &anna));
	cr_expect_not(limit_passed(&limit, &anna), "once");
	limit_ask(&limit, &berta, 500);
	cr_expect_not(limit_withdraw(&limit, &berta), "it was not passed on");
	cr_expect_not(limit_pass_on(&limit, UINT64_MAX));
	limit_ask(&limit, &berta, 500);
	cr_expect(limit_pass_on(&limit, UINT64_MAX));
	cr_expect(limit_withdraw(&limit, &berta), "it was");
	cr_expect_eq(limit.turn, 0u);
}

/* ---- the kernel's part ---- */

Test(proxy_limits, connections_of_the_kernel_count)
{
	row.steered = 1;
	PLAY("C> GET /a", "C< -", "C2> GET /a", "C2< " OVERFLOW);
	/* The kernel says to no one that it has given one back. */
	__atomic_sub_fetch(&row.steered, 1, __ATOMIC_SEQ_CST);
	PLAY("U> GET /a", "U< 200", "C< 200");
	cr_expect_eq(row.steered, 0u);
	cr_expect_eq(row.proxied, 1u);
}

Test(proxy_limits_row, a_reservation)
{
	row = (struct cluster_limit){ .steered = 2 };
	held = 0;
	cr_expect(limit_connect(&limit, 3));
	cr_expect_not(limit_connect(&limit, 3));
	cr_expect(limit_connect(&limit, 0));
	cr_expect_eq(row.steered, 2u);
	cr_expect_eq(row.proxied, 2u);
	cr_expect_eq(row.peak, 4u);
	cr_expect_eq(held, 2u, "what is given back for it, should it be killed");
	limit_disconnect(&limit);
	limit_disconnect(&limit);
	cr_expect_eq(row.steered, 2u);
	cr_expect_eq(row.proxied, 0u);
	cr_expect_eq(row.peak, 4u);
	row.steered = UINT32_MAX;
	cr_expect_not(limit_connect(&limit, UINT32_MAX));
}

/* One that drains has its part of the same limit. */
Test(proxy_limits_row, what_other_proxies_have_is_not_there_for_requests)
{
	const struct limit_max max = { .connections = 3, .pending = 1 };

	row = (struct cluster_limit){ .steered = 1, .proxied = 2 };
	held = 1;
	limit.admitted = 0;
	cr_expect(limit_admit(&limit, &max));
	cr_expect(limit_admit(&limit, &max), "this one's connection, and one that waits");
	cr_expect_not(limit_admit(&limit, &max));
	limit.admitted = 0;
	held = 0;
	row = (struct cluster_limit){ 0 };
}

/* What a BPF array gives is what a file gives: pages that others see, too. */
Test(proxy_limits_row, rows_are_shared_through_the_descriptor)
{
	struct cluster_limit *one, *two, *own;
	uint32_t mine = 0;
	struct limit l = { .held = &mine };
	int fd = memfd_create("limits", 0);

	cr_assert_eq(ftruncate(fd, CLUSTER_IDS_MAX * sizeof(*one)), 0);
	cr_assert_eq(limits_map(fd, &one), 0);
	cr_assert_eq(limits_map(fd, &two), 0);
	cr_assert_eq(limits_map(-1, &own), 0);
	l.connections = &one[CLUSTER_IDS_MAX - 1];
	cr_expect(limit_connect(&l, 1));
	cr_expect_eq(two[CLUSTER_IDS_MAX - 1].proxied, 1u);
	l.connections = &two[CLUSTER_IDS_MAX - 1];
	cr_expect_not(limit_connect(&l, 1));
	cr_expect_eq(own[CLUSTER_IDS_MAX - 1].proxied, 0u);
	limits_unmap(one);
	limits_unmap(two);
	limits_unmap(own);
	close(fd);
	cr_expect_neq(limits_map(fd, &one), 0);
}

/* ---- several workers ---- */

Test(proxy_limits_shared, two_are_admitted_and_the_third_is_refused)
{
	PLAY("C> GET /a", "U> GET /a", "D> GET /a", "D< -", "C2> GET /a", "C2< " OVERFLOW, "U2> -");
	/* It moves to the other worker: closed here, opened there. */
	PLAY("U< 200", "C< 200", "U> END", "U2> GET /a", "U2< 200", "D< 200");
	cr_expect_eq(row.peak, 1u);
}

/* Two are admitted although the other worker has an unused connection. */
Test(proxy_limits_shared, an_unused_connection_takes_nobodys_place)
{
	PLAY("C> GET /a");
	for (int round = 0; round < 20; round++) {
		PLAY("U> GET /a", "U< 200", "C< 200", "D> GET /a", "D2> GET /a", "U> END",
		     "U< END");
		PLAY("U2> GET /a", "U2< 200", "U2> GET /a", "U2< 200", "D< 200", "D2< 200");
		PLAY("C> GET /a", "U2> END", "U2< END");
	}
	PLAY("U> GET /a", "U< 200", "C< 200", "S cluster upstream_rq_pending_overflow 0");
	cr_expect_eq(row.peak, 1u);
}

/* ---- many at once, in threads ---- */

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static bool asking = true, serving = true;

static void *ask_all_the_time(void *arg)
{
	int fd = *(int *)arg;

	while (__atomic_load_n(&asking, __ATOMIC_SEQ_CST)) {
		put(fd, GET);
		want(fd, OK);
	}
	return NULL;
}

static void *serve_one_at_a_time(void *arg);

/* Several requests wait in one worker, and one in the other: it has its turn. */
Test(proxy_limits_shared, nobody_waits_for_ever)
{
	int busy[] = { env_client(e), env_client(e), env_client(e) }, fd = env_client_of_other(e);
	pthread_t server, clients[3];

	e->target.max.pending = 0;
	e->target.idle_timeout_ms = 50;
	cr_assert_eq(pthread_create(&server, NULL, serve_one_at_a_time, NULL), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&clients[i], NULL, ask_all_the_time, &busy[i]), 0);
	for (int i = 0; i < 10; i++) {
		put(fd, GET);
		want(fd, OK);
	}
	__atomic_store_n(&asking, false, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++)
		pthread_join(clients[i], NULL);
	__atomic_store_n(&serving, false, __ATOMIC_SEQ_CST);
	pthread_join(server, NULL);
	cr_expect_eq(row.peak, 1u);
}

static void *ask_often(void *arg)
{
	int fd = *(int *)arg;
	unsigned long refused = 0;

	for (int i = 0; i < 100; i++) {
		put(fd, GET);
		refused += strstr(get_message(fd), "x-envoy-overloaded: true") != NULL;
	}
	return (void *)refused;
}

static void *serve_one_at_a_time(void *arg)
{
	int s;

	(void)arg;
	while ((s = env_accept_maybe(e)) >= 0 || __atomic_load_n(&serving, __ATOMIC_SEQ_CST)) {
		char got[sizeof(GOT)];

		while (s >= 0 && recv(s, got, sizeof(GOT) - 1, MSG_WAITALL) > 0) {
			wait_ms(2);
			put(s, OK);
		}
		if (s >= 0)
			close(s);
	}
	return NULL;
}

/* Three clients, two workers: each 503 is counted once, nothing is left over. */
Test(proxy_limits_shared, refusals_are_as_many_as_are_counted)
{
	int fds[] = { env_client(e), env_client_of_other(e), env_client(e) };
	pthread_t server, clients[3];
	unsigned long refused = 0;
	void *n;

	e->target.idle_timeout_ms = 50;
	cr_assert_eq(pthread_create(&server, NULL, serve_one_at_a_time, NULL), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&clients[i], NULL, ask_often, &fds[i]), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(clients[i], &n);
		refused += (unsigned long)n;
	}
	__atomic_store_n(&serving, false, __ATOMIC_SEQ_CST);
	cr_expect_eq(e->cluster.upstream_rq_pending_overflow, refused, "%llu counted, %lu seen",
		     (unsigned long long)e->cluster.upstream_rq_pending_overflow, refused);
	cr_expect_gt(refused, 0u);
	cr_expect_lt(refused, 300u);
	cr_expect_eq(row.peak, 1u);
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
	pthread_join(server, NULL);
}

/* ---- whatever happens, all is given back ---- */

enum { WILD_CLIENTS = 6, WILD_REQUESTS = 60 };

static void leave(int fd, unsigned how)
{
	struct linger now = { 1, 0 };

	if (how & 1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void *ask_wildly(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char bytes[512];

	for (int i = 0; i < WILD_REQUESTS; i++) {
		int fd = rand_r(&seed) % 2 ? env_client(e) : env_client_of_other(e);
		unsigned how = (unsigned)rand_r(&seed) % 8;

		put(fd,
		    how == 7 ? "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc" : GET);
		if (how >= 4)
			wait_ms(rand_r(&seed) % 20);
		else
			(void)!recv(fd, bytes, sizeof(bytes), 0);
		leave(fd, how);
	}
	return NULL;
}

/* One request: answers, says nothing, or breaks off. */
static void serve_wildly(int s, unsigned how)
{
	char bytes[512];

	if (how == 0 || recv(s, bytes, sizeof(bytes), 0) <= 0) {
		leave(s, how);
		return;
	}
	wait_ms(how);
	if (how < 6)
		(void)!send(s, OK, how < 4 ? strlen(OK) : 20, MSG_NOSIGNAL);
	if (how < 3)
		(void)!recv(s, bytes, sizeof(bytes), 0);
	leave(s, how);
}

static void *serve_all_wildly(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (__atomic_load_n(&serving, __ATOMIC_SEQ_CST)) {
		int s = env_accept_maybe(e);

		if (s >= 0)
			serve_wildly(s, (unsigned)rand_r(&seed) % 8);
	}
	return NULL;
}

static bool anything_left(void)
{
	const uint32_t *counts[] = { &row.proxied, &limit.admitted, &limit.pending, &limit.requests,
				     &limit.retries };

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (__atomic_load_n(counts[i], __ATOMIC_SEQ_CST))
			return true;
	return false;
}

Test(proxy_limits_shared, whatever_happens_all_is_given_back)
{
	pthread_t server, clients[WILD_CLIENTS];

	e->target.max =
		(struct limit_max){ .connections = 2, .pending = 2, .requests = 2, .retries = 1 };
	e->target.idle_timeout_ms = 20;
	e->plan.timeout_ms = 40;
	e->plan.per_try_timeout_ms = 15;
	e->plan.retries = 2;
	e->plan.retry_on = PLAN_RETRY_5XX;
	e->plan.backoff_ms = 2;
	cr_assert_eq(pthread_create(&server, NULL, serve_all_wildly, NULL), 0);
	for (uintptr_t i = 0; i < WILD_CLIENTS; i++)
		cr_assert_eq(pthread_create(&clients[i], NULL, ask_wildly, (void *)(i + 1)), 0);
	for (int i = 0; i < WILD_CLIENTS; i++)
		pthread_join(clients[i], NULL);
	for (int i = 0; i < 3000 && anything_left(); i++)
		wait_ms(1);
	__atomic_store_n(&serving, false, __ATOMIC_SEQ_CST);
	pthread_join(server, NULL);
	cr_expect_not(anything_left());
	cr_expect_leq(row.peak, 2u);
}
