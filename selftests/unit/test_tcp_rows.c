/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "daemon/datapath/tcp_rows.h"
#include "lib/base/addr.h"

static struct addr addr_of(const char *text)
{
	struct addr a;

	cr_assert_eq(addr_parse(text, &a), 0, "%s", text);
	return a;
}

/* Of one pod, 10.0.0.1, and one endpoint, 7. */
Test(tcp_rows, only_what_is_gone_may_go)
{
	static const struct {
		const char *what, *caller;
		__u32 cluster, endpoint;
		__u64 opened, closed;
		bool idle;
	} rows[] = {
		{ "both are there", "10.0.0.1", 3, 7, 5, 5, false },
		{ "the endpoint is gone", "10.0.0.1", 3, 8, 5, 5, true },
		{ "the pod is gone", "10.0.0.2", 3, 7, 5, 5, true },
		{ "both are gone", "10.0.0.2", 3, 8, 5, 5, true },
		{ "gone, and the end of a connection was not counted", "10.0.0.2", 3, 8, 5, 4,
		  true },
		{ "both are there, and a connection is open", "10.0.0.1", 3, 7, 5, 4, false },
		{ "from outside, and a connection is open", "::", 3, 7, 5, 4, false },
		{ "nothing was counted", "10.0.0.2", 3, 8, 0, 0, true },
		{ "from outside", "::", 3, 7, 5, 5, false },
		{ "from outside, the endpoint is gone", "::", 3, 8, 5, 5, true },
		{ "the row for what finds no room", "::", 0, 0, 5, 5, false },
	};
	struct addr_set pods = { 0 };
	struct ids endpoints = { 0 };
	struct addr pod = addr_of("10.0.0.1");

	cr_assert_eq(addr_set_add(&pods, &pod), 0);
	cr_assert_eq(ids_add(&endpoints, 7), 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tcp_row row = { .key = { .caller = addr_of(rows[i].caller),
						.cluster = rows[i].cluster,
						.endpoint = rows[i].endpoint },
				       .value = { .opened = rows[i].opened,
						  .closed = rows[i].closed } };

		cr_expect_eq(tcp_row_is_idle(&row, &pods, &endpoints), rows[i].idle, "%s",
			     rows[i].what);
	}
	addr_set_free(&pods);
	ids_free(&endpoints);
}

Test(tcp_rows, ids_without_counters_are_nobodys)
{
	static const struct {
		const char *what, *caller;
		__u32 cluster, endpoint;
		bool named;
	} rows[] = {
		{ "both are known", "10.0.0.1", 3, 7, true },
		{ "from outside", "::", 3, 7, true },
		{ "the cluster is not", "10.0.0.1", 7, 7, false },
		{ "the endpoint is not", "10.0.0.1", 3, 3, false },
		{ "neither is", "::", 4, 8, false },
		{ "no cluster", "10.0.0.1", 0, 7, false },
		{ "the row for what finds no room", "::", 0, 0, true },
	};
	struct ids clusters = { 0 }, endpoints = { 0 }, none = { 0 };

	cr_assert_eq(ids_add(&clusters, 3), 1);
	cr_assert_eq(ids_add(&endpoints, 7), 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tcp_traffic_key key = { .caller = addr_of(rows[i].caller),
					       .cluster = rows[i].cluster,
					       .endpoint = rows[i].endpoint };

		cr_expect_eq(tcp_row_is_named(&key, &clusters, &endpoints), rows[i].named, "%s",
			     rows[i].what);
		cr_expect_eq(tcp_row_is_named(&key, &none, &none),
			     !rows[i].cluster && !rows[i].endpoint, "%s, and nothing is known",
			     rows[i].what);
	}
	ids_free(&clusters);
	ids_free(&endpoints);
}
