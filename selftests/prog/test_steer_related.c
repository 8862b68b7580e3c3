// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that find their connection without ports of their own: fragments, and ICMP errors about
 * another packet.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "test_steer_util.h"

Test(steer, fragments_follow_the_first, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), want = from, there;
		struct env_packet first = { .t = from,
					    .flags = ACK | FIN,
					    .seq = 1001,
					    .ack = 2,
					    .window = 65535,
					    .payload = 492,
					    .first_fragment = true };
		struct env_packet later = { .t = from, .payload = 100, .later_fragment = true };
		struct env_packet ack = { .flags = ACK, .seq = 2, .window = 65535 };
		struct env_result r;
		struct conn c;

		there = steer_open_from_pod(e, &from);
		steer_answer(e, "to_pod", &there);
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		r = env_run(e, "from_pod", &later);
		cr_expect(!memcmp(&r.packet.t.dst, &from.dst, sizeof(from.dst)),
			  "before the first");
		cr_expect_eq(env_reason(e, REASON_FRAGMENT), 1);
		r = env_run(e, "from_pod", &first);
		steer_expect("first fragment", &r.packet.t, &want);
		cr_expect(r.checksums_ok);
		r = env_run(e, "from_pod", &later);
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		want.sport = want.dport = 0;
		steer_expect("later fragment", &r.packet.t, &want);
		cr_expect(env_conn(e, &from, &c));
		cr_expect_eq(c.bytes, 592, "%llu bytes", c.bytes);
		cr_expect_eq(c.end, 1001 + 592 + 1, "FIN is behind all of it: %u", c.end);
		tuple_turn(&ack.t, &there);
		ack.ack = c.end;
		env_run(e, "to_pod", &ack);
		cr_expect(env_conn(e, &from, &c) && c.fins_acked, "and is acknowledged there");
		env_free(e);
	}
}

/* And on the way out to the client. */
Test(steer, fragments_of_replies, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from), want;
		struct env_packet first = {
			.flags = ACK, .seq = 2, .ack = 1001, .payload = 492, .first_fragment = true
		};
		struct env_packet later = { .payload = 100, .later_fragment = true };
		struct env_result r;

		steer_answer(e, "to_pod", &there);
		tuple_turn(&first.t, &there);
		later.t = first.t;
		tuple_turn(&want, &from);
		r = env_run(e, "to_pod", &first);
		steer_expect("first fragment", &r.packet.t, &want);
		r = env_run(e, "to_pod", &later);
		want.sport = want.dport = 0;
		steer_expect("later fragment", &r.packet.t, &want);
		env_free(e);
	}
}

/*
 * An error about a packet that was seen as `seen` must speak of `known` when it has passed, and
 * come from `reporter`.
 */
static void expect_error(struct env *e, const char *program, struct env_packet error,
			 const struct tuple *seen, const struct tuple *known,
			 const struct addr *reporter)
{
	struct env_result r;

	error.quoted = seen;
	error.t.dst = seen->src;
	for (int options = 0; options <= 1; options++) {
		error.quoted_options = options;
		r = env_run(e, program, &error);
		cr_expect_eq(r.action, TC_ACT_UNSPEC, "%s: action %d", program, r.action);
		cr_expect(r.checksums_ok, "%s", program);
		steer_expect("quoted", &r.quoted, known);
		cr_expect(!memcmp(&r.packet.t.dst, &known->src, sizeof(struct addr)),
			  "%s: the error goes to %s", program, steer_show(&r.packet.t));
		cr_expect(!memcmp(&r.packet.t.src, reporter, sizeof(struct addr)),
			  "%s: the error comes from %s", program, steer_show(&r.packet.t));
	}
}

Test(steer, icmp_errors_find_their_connection, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from), back,
			     reply;
		struct addr router = env_router(e);
		struct env_packet stray, by_router = { .t.src = router },
					 by_end = { .t.src = there.dst };
		struct tuple other = there;
		struct env_result r;

		tuple_turn(&back, &there);
		tuple_turn(&reply, &from);
		expect_error(e, "to_pod", by_end, &there, &from, &from.dst);
		expect_error(e, "to_pod", by_router, &there, &from, &router);
		/* And the other way: the reply could not be delivered to the client. */
		by_end.t.src = from.src;
		expect_error(e, "from_pod", by_end, &reply, &back, &from.src);
		expect_error(e, "from_pod", by_router, &reply, &back, &router);
		other.sport++;
		stray = (struct env_packet){ .t = back, .quoted = &other };
		stray.t.sport = stray.t.dport = 0;
		r = env_run(e, "to_pod", &stray);
		cr_expect(!memcmp(&r.quoted, &other, sizeof(other)) && r.action == TC_ACT_UNSPEC,
			  "an error of no connection is passed");
		cr_expect_eq(env_entries(e), 2);
		env_free(e);
	}
}

/* A reporter's own address would come from the wrong side of the node. */
Test(steer, icmp_errors_pass_a_gateway, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){
			.family = family, .outside = true, .remote_endpoint = true });
		struct tuple a = steer_client(e), a_back, b, b_back, c, c_back;
		struct addr router = env_router(e), node = env_node(e);
		struct env_packet by_router = { .t.src = router };

		b = steer_open(e, &a, "from_nic", TC_ACT_UNSPEC);
		c = steer_open(e, &b, "to_nic", TC_ACT_UNSPEC);
		tuple_turn(&a_back, &a);
		tuple_turn(&b_back, &b);
		tuple_turn(&c_back, &c);
		/* From a router towards the endpoint, to the caller. */
		expect_error(e, "from_nic", by_router, &c, &b, &router);
		expect_error(e, "to_nic", by_router, &b, &a, &node);
		/* From a router towards the caller, to the endpoint. */
		expect_error(e, "from_nic", by_router, &a_back, &b_back, &router);
		expect_error(e, "to_nic", by_router, &b_back, &c_back, &node);
		env_free(e);
	}
}

static const struct unreachable {
	const char *what;
	int family;
	__u8 type, code;
	__u32 seq;
	bool answered;
	unsigned left;
} unreachables[] = {
	{ "host unreachable", 4, 3, 1, 1000, .left = 0 },
	{ "port unreachable", 4, 3, 3, 1000, .left = 0 },
	{ "fragmentation needed", 4, 3, 4, 1000, .left = 2 },
	{ "time exceeded", 4, 11, 0, 1000, .left = 2 },
	{ "no route", 6, 1, 0, 1000, .left = 0 },
	{ "packet too big", 6, 2, 0, 1000, .left = 2 },
	{ "about another SYN", 4, 3, 1, 999, .left = 2 },
	{ "about an open connection", 4, 3, 1, 1000, .answered = true, .left = 2 },
};

Test(steer, a_syn_that_gets_nowhere_gives_its_place_back, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(unreachables) / sizeof(*unreachables); i++) {
		const struct unreachable *u = &unreachables[i];
		struct env *e = env_new(&(struct env_options){ .family = u->family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_packet error = { .t = { .src = env_router(e), .dst = there.src },
					    .quoted = &there,
					    .quoted_seq = u->seq,
					    .icmp_type = u->type,
					    .icmp_code = u->code };

		if (u->answered)
			steer_answer(e, "to_pod", &there);
		env_run(e, "to_pod", &error);
		cr_expect_eq(env_entries(e), u->left, "%s: %u entries", u->what, env_entries(e));
		cr_expect_eq(env_limit(e).steered, u->left / 2, "%s: active %u", u->what,
			     env_limit(e).steered);
		cr_expect_eq(env_cluster(e).connect_fail, !u->left, "%s", u->what);
		env_free(e);
	}
}
