// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that are over without a FIN: which end is sent a RST, or asked about one.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#include "test_steer_util.h"

/* A reply for a connection that is over is answered with RST, sent to the endpoint through the
 * client's interface. */
Test(steer, a_dead_connection_is_answered_with_reset, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .idle_timeout_ms = 1000 });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_result r;

		steer_answer(e, "to_pod", &there);
		env_run(e, "from_pod",
			&(struct env_packet){
				.t = from, .flags = ACK, .seq = 1001, .ack = 2, .window = 65535 });
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		r = steer_answer(e, "to_pod", &there);
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		cr_expect_eq(r.packet.flags, RST);
		steer_expect("RST", &r.packet.t, &there);
		cr_expect(r.checksums_ok);
		env_free(e);
	}
}

/* Whether a RST was taken, its receiver knows. */
Test(steer, a_doubtful_reset_is_asked_about, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_packet p = { .t = from,
					.flags = ACK,
					.seq = 1001,
					.ack = 2,
					.window = 65535,
					.payload = 10 };
		struct reset_event asked[4];

		steer_answer(e, "to_pod", &there);
		env_run(e, "from_pod", &p);
		p.flags = RST, p.seq = 1011, p.payload = 0;
		env_run(e, "from_pod", &p);
		env_sweep(e, 0);
		cr_expect_eq(env_resets(e, asked, 4), 0, "not at once");
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		cr_assert_eq(env_resets(e, asked, 4), 1);
		steer_expect("to the endpoint", &asked[0].packet, &there);
		cr_expect_eq(asked[0].flags, ACK);
		cr_expect((int)(1001 - asked[0].seq) > 65535, "below its window: %u", asked[0].seq);
		env_free(e);
	}
}

Test(steer, timeouts_ask_for_resets_of_both_ends, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .idle_timeout_ms = 1000 });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from), back,
			     to_client;
		struct reset_event resets[4];

		tuple_turn(&back, &there);
		tuple_turn(&to_client, &from);
		env_run(e, "to_pod",
			&(struct env_packet){ .t = back,
					      .flags = SYN | ACK,
					      .seq = 5000,
					      .ack = 1001,
					      .window = 65535 });
		env_run(e, "from_pod",
			&(struct env_packet){ .t = from, .flags = ACK, .seq = 1001, .ack = 5001 });
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		cr_assert_eq(env_resets(e, resets, 4), 2);
		steer_expect("to the client", &resets[0].packet, &to_client);
		cr_expect_eq(resets[0].seq, 5001);
		cr_expect_eq(resets[0].flags, RST);
		steer_expect("to the endpoint", &resets[1].packet, &there);
		cr_expect_eq(resets[1].seq, 1001);
		env_free(e);
	}
}
