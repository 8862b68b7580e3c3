// SPDX-License-Identifier: Apache-2.0
/*
 * What connections have counted stays with those who they were of.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/datapath/idle.h"
#include "daemon/datapath/tcp_ledger.h"
#include "lib/base/cleanup.h"

enum { WEB = 7, SHOP = 9, CLUSTER = 1 };

static __u32 pods[256]; /* by the last byte of the caller's address: its peer */
static unsigned asked;
static uint64_t now_ms;

static void forget(struct tcp_ledger *l)
{
	tcp_ledger_free(l);
}

static struct tcp_who name(void *arg, const struct tcp_traffic_key *key)
{
	(void)arg;
	asked++;
	return (struct tcp_who){ .source = pods[key->caller.b[15]],
				 .cluster = key->cluster,
				 .reporters = TRAFFIC_SOURCE };
}

struct row {
	unsigned char caller;
	unsigned endpoint;
	uint64_t count; /* of everything */
};

/* A round in which these rows are there, up to one without a caller. */
static void update(struct tcp_ledger *l, uint64_t version, const struct row *rows)
{
	tcp_ledger_begin(l, now_ms);
	for (; rows->caller; rows++) {
		struct tcp_traffic_key key = { .cluster = 1, .endpoint = rows->endpoint };
		struct tcp_traffic now = { rows->count, rows->count, rows->count, rows->count };

		key.caller.b[15] = rows->caller;
		cr_assert_eq(tcp_ledger_take(l, &key, &now, version, name, NULL), 0);
	}
	cr_assert_eq(tcp_ledger_end(l), 0);
}

#define ROWS(...) ((const struct row[]){ __VA_ARGS__, { 0 } })

static const struct tcp_sum *sum_of(const struct tcp_ledger *l, __u32 source)
{
	size_t count;
	const struct tcp_sum *sums = tcp_ledger_list(l, &count);

	for (size_t i = 0; i < count; i++)
		if (sums[i].who.source == source)
			return &sums[i];
	return NULL;
}

static uint64_t sent_by(const struct tcp_ledger *l, __u32 source)
{
	const struct tcp_sum *sum = sum_of(l, source);

	return sum ? sum->count.sent : 0;
}

static void setup(void)
{
	memset(pods, 0, sizeof(pods));
	pods[1] = pods[2] = WEB;
	pods[3] = SHOP;
	asked = 0;
	now_ms = 1000;
}

TestSuite(tcp_ledger, .init = setup);

Test(tcp_ledger, pods_of_one_workload_are_one)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };
	size_t count;

	update(&l, 1, ROWS({ 1, 7, 10 }, { 2, 7, 5 }, { 2, 8, 1 }, { 3, 7, 100 }));
	tcp_ledger_list(&l, &count);
	cr_expect_eq(count, 2);
	cr_expect_eq(sent_by(&l, WEB), 16);
	cr_expect_eq(sent_by(&l, SHOP), 100);
	cr_expect_eq(tcp_ledger_rows(&l), 4);
}

Test(tcp_ledger, an_address_that_comes_to_another_pod_leaves_what_was_counted)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update(&l, 1, ROWS({ 1, 7, 10 }));
	pods[1] = SHOP;
	update(&l, 2, ROWS({ 1, 7, 13 }));
	cr_expect_eq(sent_by(&l, WEB), 10);
	cr_expect_eq(sent_by(&l, SHOP), 3);
}

Test(tcp_ledger, a_row_that_goes_leaves_what_it_has_counted)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update(&l, 1, ROWS({ 1, 7, 10 }, { 2, 7, 5 }));
	update(&l, 1, ROWS({ 2, 7, 6 }));
	cr_expect_eq(sent_by(&l, WEB), 16);
	cr_expect_eq(tcp_ledger_rows(&l), 1);
	update(&l, 1, ROWS({ 1, 7, 20 }, { 2, 7, 6 })); /* another row of the same key */
	cr_expect_eq(sent_by(&l, WEB), 36);
	update(&l, 1, ROWS({ 1, 7, 2 }, { 2, 7, 6 })); /* and another, between two looks */
	cr_expect_eq(sent_by(&l, WEB), 38);
}

Test(tcp_ledger, names_are_asked_for_once)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	for (uint64_t i = 1; i < 5; i++)
		update(&l, 1, ROWS({ 1, 7, i }, { 2, 7, 1 }));
	cr_expect_eq(asked, 2);
	update(&l, 2, ROWS({ 1, 7, 5 }, { 2, 7, 1 }));
	cr_expect_eq(asked, 3, "what has not counted since is not asked for");
}

Test(tcp_ledger, rows_that_are_gone_take_no_memory)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	for (unsigned i = 0; i < 10000; i++)
		update(&l, 1, ROWS({ 1, i, 1 }));
	cr_expect_eq(sent_by(&l, WEB), 10000);
	cr_expect_lt(l.rows.count, 3000);
}

/* ---- connections that outlive their pods ---- */

/* A round with one row, of the caller 1. */
static void update_one(struct tcp_ledger *l, uint64_t version, uint64_t opened, uint64_t closed)
{
	struct tcp_traffic_key key = { .cluster = CLUSTER, .endpoint = 7 };
	struct tcp_traffic now = { .opened = opened, .closed = closed };

	key.caller.b[15] = 1;
	tcp_ledger_begin(l, now_ms);
	cr_assert_eq(tcp_ledger_take(l, &key, &now, version, name, NULL), 0);
	cr_assert_eq(tcp_ledger_end(l), 0);
}

static void expect_count(const struct tcp_ledger *l, __u32 source, uint64_t opened, uint64_t closed)
{
	const struct tcp_sum *sum = sum_of(l, source);

	cr_assert(sum, "of %u there is nothing", source);
	cr_expect_eq(sum->count.opened, opened);
	cr_expect_eq(sum->count.closed, closed);
}

Test(tcp_ledger, what_ends_after_its_pod_has_gone_was_that_pods)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update_one(&l, 1, 5, 2);
	pods[1] = 0;
	update_one(&l, 2, 5, 5);
	expect_count(&l, WEB, 5, 5);
	cr_expect_null(sum_of(&l, 0));
}

Test(tcp_ledger, what_was_open_when_an_address_changed_hands_ends_as_the_first_ones)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update_one(&l, 1, 5, 2);
	pods[1] = SHOP;
	update_one(&l, 2, 9, 4);
	expect_count(&l, WEB, 5, 4);
	expect_count(&l, SHOP, 4, 0);
	update_one(&l, 2, 9, 9);
	expect_count(&l, WEB, 5, 5);
	expect_count(&l, SHOP, 4, 4);
}

/* Whose the rest was is not known any more. */
Test(tcp_ledger, at_the_start_only_what_is_open_counts)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };
	struct tcp_traffic_key key = { .cluster = CLUSTER, .endpoint = 7 };
	struct tcp_traffic was = { .opened = 100, .closed = 97, .received = 1000, .sent = 2000 };
	const struct tcp_sum *sum;

	key.caller.b[15] = 1;
	cr_assert_eq(tcp_ledger_found(&l, &key, &was), 0);
	was.closed = 98;
	was.sent = 2005;
	tcp_ledger_begin(&l, now_ms);
	cr_assert_eq(tcp_ledger_take(&l, &key, &was, 1, name, NULL), 0);
	cr_assert_eq(tcp_ledger_end(&l), 0);
	expect_count(&l, WEB, 3, 1);
	sum = sum_of(&l, WEB);
	cr_expect_eq(sum->count.received, 0);
	cr_expect_eq(sum->count.sent, 5);
}

/* ---- sums that go ---- */

static bool web_is_gone(void *arg, __u32 peer)
{
	(void)arg;
	return peer == WEB;
}

static void forget_sums(struct tcp_ledger *l)
{
	cr_assert_eq(tcp_ledger_forget(l, now_ms, web_is_gone, NULL), 0);
}

Test(tcp_ledger, a_sum_whose_peer_is_gone_goes_after_an_hour)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };
	uint64_t serial;

	now_ms = 1;
	update(&l, 1, ROWS({ 1, 7, 10 }, { 3, 7, 1 }));
	serial = sum_of(&l, WEB)->serial;
	now_ms += IDLE_GONE_MS - 1;
	forget_sums(&l);
	cr_expect_eq(sent_by(&l, WEB), 10);
	now_ms += 2;
	forget_sums(&l);
	cr_expect_null(sum_of(&l, WEB));
	cr_expect_eq(sent_by(&l, SHOP), 1, "its pods are there");
	update(&l, 1, ROWS({ 1, 7, 12 }, { 3, 7, 1 }));
	cr_expect_eq(sent_by(&l, WEB), 2, "it comes back from 0");
	cr_expect_gt(sum_of(&l, WEB)->serial, serial, "as another one");
}

Test(tcp_ledger, a_sum_with_an_open_connection_stays)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	now_ms = 1;
	update_one(&l, 1, 5, 2);
	now_ms += 2 * IDLE_GONE_MS;
	forget_sums(&l);
	update_one(&l, 1, 5, 5);
	expect_count(&l, WEB, 5, 5);
}

/* A caller of its own each time: never as many sums as there were callers, nor two in one. */
Test(tcp_ledger, callers_that_come_and_go_find_room)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	for (unsigned i = 1; i <= 30000; i++) {
		size_t count;

		pods[1] = 100 + i;
		now_ms = 1 + i * 60ull;
		update(&l, i, ROWS({ 1, i, i }));
		if (i % 1000)
			continue;
		forget_sums(&l);
		cr_expect_eq(sent_by(&l, 100 + i), i);
		tcp_ledger_list(&l, &count);
		cr_assert_leq(count, idle_room(TCP_SUMS_MAX));
	}
	cr_expect_null(sum_of(&l, 0), "none was put down to nobody");
}
