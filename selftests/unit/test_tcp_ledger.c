// SPDX-License-Identifier: Apache-2.0
/*
 * What connections have counted stays with those who they were of.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/datapath/tcp_ledger.h"
#include "lib/base/cleanup.h"

static const char *pods[256]; /* by the last byte of the caller's address: its peer's name */
static unsigned asked;

static void forget(struct tcp_ledger *l)
{
	tcp_ledger_free(l);
}

static uint64_t name(void *arg, const struct tcp_traffic_key *key, struct tcp_names *names)
{
	(void)arg;
	asked++;
	names->source = pods[key->caller.b[15]];
	names->cluster = "outbound|80||a.b.svc.cluster.local";
	return TRAFFIC_SOURCE;
}

struct row {
	unsigned char caller;
	unsigned endpoint;
	uint64_t count; /* of everything */
};

/* A round in which these rows are there, up to one without a caller. */
static void update(struct tcp_ledger *l, uint64_t version, const struct row *rows)
{
	tcp_ledger_begin(l);
	for (; rows->caller; rows++) {
		struct tcp_traffic_key key = { .cluster = 1, .endpoint = rows->endpoint };
		struct tcp_traffic now = { rows->count, rows->count, rows->count, rows->count };

		key.caller.b[15] = rows->caller;
		cr_assert_eq(tcp_ledger_take(l, &key, &now, version, name, NULL), 0);
	}
	cr_assert_eq(tcp_ledger_end(l), 0);
}

#define ROWS(...) ((const struct row[]){ __VA_ARGS__, { 0 } })

static uint64_t sent_by(const struct tcp_ledger *l, const char *source)
{
	size_t count;
	const struct tcp_sum *sums = tcp_ledger_list(l, &count);

	for (size_t i = 0; i < count; i++)
		if (sums[i].names.source == source)
			return sums[i].count.sent;
	return 0;
}

static void setup(void)
{
	pods[1] = pods[2] = "web";
	pods[3] = "shop";
	asked = 0;
}

TestSuite(tcp_ledger, .init = setup);

Test(tcp_ledger, pods_of_one_workload_are_one)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };
	size_t count;

	update(&l, 1, ROWS({ 1, 7, 10 }, { 2, 7, 5 }, { 2, 8, 1 }, { 3, 7, 100 }));
	tcp_ledger_list(&l, &count);
	cr_expect_eq(count, 2);
	cr_expect_eq(sent_by(&l, "web"), 16);
	cr_expect_eq(sent_by(&l, "shop"), 100);
	cr_expect_eq(tcp_ledger_rows(&l), 4);
}

Test(tcp_ledger, an_address_that_comes_to_another_pod_leaves_what_was_counted)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update(&l, 1, ROWS({ 1, 7, 10 }));
	pods[1] = "shop";
	update(&l, 2, ROWS({ 1, 7, 13 }));
	cr_expect_eq(sent_by(&l, "web"), 10);
	cr_expect_eq(sent_by(&l, "shop"), 3);
}

Test(tcp_ledger, a_row_that_goes_leaves_what_it_has_counted)
{
	_cleanup_(forget) struct tcp_ledger l = { 0 };

	update(&l, 1, ROWS({ 1, 7, 10 }, { 2, 7, 5 }));
	update(&l, 1, ROWS({ 2, 7, 6 }));
	cr_expect_eq(sent_by(&l, "web"), 16);
	cr_expect_eq(tcp_ledger_rows(&l), 1);
	update(&l, 1, ROWS({ 1, 7, 20 }, { 2, 7, 6 })); /* another row of the same key */
	cr_expect_eq(sent_by(&l, "web"), 36);
	update(&l, 1, ROWS({ 1, 7, 2 }, { 2, 7, 6 })); /* and another, between two looks */
	cr_expect_eq(sent_by(&l, "web"), 38);
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
	cr_expect_eq(sent_by(&l, "web"), 10000);
	cr_expect_lt(l.rows.count, 3000);
}
