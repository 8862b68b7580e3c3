// SPDX-License-Identifier: Apache-2.0
/*
 * Which of the pods' packets skip the node's stack.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#include "env.h"

enum { EPOCH = 5 };

static const __u64 for_good = ~0ull;

/* A packet from CLIENT_IF, and what is known of its connection. */
static const struct {
	const char *what;
	__u64 until;
	__u8 flags;
	__u32 from, to, epoch;
	bool other_port, fragment, pod_gone;
	int action;
} rows[] = {
	{ .what = "of the connection",
	  for_good,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH,
	  .action = TC_ACT_REDIRECT },
	{ .what = "its end",
	  for_good,
	  FIN | ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH,
	  .action = TC_ACT_REDIRECT },
	{ .what = "a SYN", for_good, SYN, CLIENT_IF, ENDPOINT_IF, EPOCH, .action = TC_ACT_UNSPEC },
	{ .what = "another connection",
	  for_good,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH,
	  .other_port = true,
	  .action = TC_ACT_UNSPEC },
	{ .what = "a fragment",
	  for_good,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH,
	  .fragment = true,
	  .action = TC_ACT_UNSPEC },
	{ .what = "that is another pod's",
	  for_good,
	  ACK,
	  ENDPOINT_IF + 1,
	  ENDPOINT_IF,
	  EPOCH,
	  .action = TC_ACT_UNSPEC },
	{ .what = "not in use", 0, ACK, CLIENT_IF, ENDPOINT_IF, EPOCH, .action = TC_ACT_UNSPEC },
	{ .what = "weftd has gone",
	  1,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH,
	  .action = TC_ACT_UNSPEC },
	{ .what = "after a change",
	  for_good,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF + 2,
	  EPOCH - 1,
	  .action = TC_ACT_REDIRECT },
	{ .what = "the pod is no more",
	  for_good,
	  ACK,
	  CLIENT_IF,
	  ENDPOINT_IF,
	  EPOCH - 1,
	  .pod_gone = true,
	  .action = TC_ACT_UNSPEC },
	{ .what = "none was to be had", for_good, ACK, 0, 0, EPOCH, .action = TC_ACT_UNSPEC },
};

static void expect_row(int family, size_t i)
{
	struct env *e = env_new(&(struct env_options){ .family = family });
	const struct shortcut s = { .from = rows[i].from,
				    .ifindex = rows[i].to,
				    .epoch = rows[i].epoch };
	struct env_packet p = { .t = { .src = env_client(e),
				       .dst = env_endpoint(e),
				       .sport = CLIENT_PORT,
				       .dport = ENDPOINT_PORT },
				.flags = rows[i].flags,
				.payload = 3,
				.first_fragment = rows[i].fragment };
	struct env_result r;

	env_shortcuts(e, &(struct shortcut_state){ .until = rows[i].until, .epoch = EPOCH });
	env_put_shortcut(e, &p.t, &s);
	if (rows[i].pod_gone)
		env_pod_gone(e, ENDPOINT_IF);
	p.t.sport += rows[i].other_port;
	r = env_run(e, "from_pod", &p);
	cr_expect_eq(r.action, rows[i].action, "IPv%d: %s: %d", family, rows[i].what, r.action);
	cr_expect(r.checksums_ok);
	env_free(e);
}

Test(shortcut, packets_that_take_it, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2)
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			expect_row(family, i);
}
