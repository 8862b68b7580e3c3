// SPDX-License-Identifier: Apache-2.0
/*
 * What is not steered: senders that have no right to an address, and more connections than there
 * may be.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#include "test_steer_util.h"

Test(steer, a_pod_with_anothers_address_is_not_steered, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct env_packet p = {
			.t = steer_client(e), .flags = SYN, .seq = 1000, .ifindex = OTHER_IF
		};
		struct env_result r = env_run(e, "from_pod", &p);

		steer_expect_untouched("another pod's address", &r, &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 1);
		p.t.src = env_router(e);
		r = env_run(e, "from_pod", &p);
		steer_expect_untouched("an outsider's address", &r, &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 2);
		cr_expect_eq(env_entries(e), 0);
		p.t = steer_client(e);
		p.t.dst = env_router(e);
		env_run(e, "from_pod", &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 2, "not for us");
		env_free(e);
	}
}

Test(steer, no_pod_touches_anothers_connection, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_packet p = { .t = from, .flags = RST, .seq = 1001, .ifindex = OTHER_IF };
		struct env_result r;

		steer_answer(e, "to_pod", &there);
		r = env_run(e, "from_pod", &p);
		steer_expect_untouched("the client's RST from elsewhere", &r, &p);
		p.ifindex = NIC_IF;
		r = env_run(e, "from_nic", &p);
		steer_expect_untouched("... from outside", &r, &p);
		tuple_turn(&p.t, &there);
		p.seq = 2;
		cr_expect_eq(env_run(e, "from_nic", &p).action, TC_ACT_SHOT,
			     "the endpoint's from outside");
		p.ifindex = OTHER_IF;
		cr_expect_eq(env_run(e, "from_pod", &p).action, TC_ACT_SHOT,
			     "the endpoint's from another pod");
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 4);
		p.ifindex = ENDPOINT_IF;
		r = env_run(e, "from_pod", &p);
		steer_expect_untouched("the endpoint's own", &r, &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 4);
		cr_expect_eq(env_limit(e).steered, 1);
		env_free(e);
	}
}

/* The reply of a remote endpoint comes by the NIC, as it should. */
Test(steer, a_remote_endpoint_is_no_impostor, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .remote_endpoint = true });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_packet p = {
			.flags = SYN | ACK, .seq = 1, .ack = 1001, .ifindex = NIC_IF
		};
		struct env_result r;

		tuple_turn(&p.t, &there);
		r = env_run(e, "from_nic", &p);
		steer_expect_untouched("by the NIC", &r, &p);
		p.ifindex = OTHER_IF;
		cr_expect_eq(env_run(e, "from_pod", &p).action, TC_ACT_SHOT, "from a pod");
		env_free(e);
	}
}

Test(steer, pods_that_no_hook_sees_may_be_refused, .timeout = 60)
{
	struct env *e = env_new(&(struct env_options){ .family = 4, .refuse_unseen = true });
	struct env_packet p = { .t = steer_client(e), .flags = SYN, .seq = 1000 };
	struct env_result r = env_run(e, "from_pod", &p);

	cr_expect_eq(r.packet.flags, RST | ACK);
	cr_expect_eq(env_reason(e, REASON_UNSEEN), 1);
	cr_expect_eq(env_limit(e).peak, 0);
	env_free(e);
}

/* To an address that no Service has. */
static struct tuple to_unknown(const struct env *e)
{
	struct tuple t = steer_client(e);

	t.dst = env_router(e);
	t.dport = 443;
	return t;
}

Test(steer, what_nothing_knows_is_refused_where_the_registry_alone_is_called, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .registry_only = true });
		struct env_packet p = { .t = to_unknown(e), .flags = SYN, .seq = 1000 };
		struct env_result r = env_run(e, "from_pod", &p);
		struct tuple from = steer_client(e), back;

		tuple_turn(&back, &p.t);
		steer_expect("RST", &r.packet.t, &back);
		cr_expect_eq(r.packet.flags, RST | ACK);
		cr_expect_eq(env_reason(e, REASON_UNREGISTERED), 1);
		p.ifindex = NIC_IF;
		r = env_run(e, "from_nic", &p);
		steer_expect_untouched("what comes from outside", &r, &p);
		steer_open_from_pod(e, &from);
		cr_expect_eq(env_reason(e, REASON_UNREGISTERED), 1);
		env_free(e);
	}
}

Test(steer, what_nothing_knows_passes_otherwise, .timeout = 60)
{
	struct env *e = env_new(&(struct env_options){ .family = 4 });
	struct env_packet p = { .t = to_unknown(e), .flags = SYN, .seq = 1000 };
	struct env_result r = env_run(e, "from_pod", &p);

	steer_expect_untouched("unknown", &r, &p);
	cr_expect_eq(env_reason(e, REASON_UNREGISTERED), 0);
	env_free(e);
}

static void expect_refused(struct env *e, struct tuple from)
{
	struct env_result r =
		env_run(e, "from_pod",
			&(struct env_packet){ .t = from, .flags = SYN, .seq = 1000, .payload = 3 });
	struct tuple want;

	tuple_turn(&want, &from);
	cr_expect_eq(r.action, TC_ACT_REDIRECT, "action %d", r.action);
	steer_expect("RST", &r.packet.t, &want);
	cr_expect_eq(r.packet.flags, RST | ACK, "flags %x", r.packet.flags);
	cr_expect_eq(r.packet.ack, 1004, "ack %u", r.packet.ack);
	cr_expect_eq(r.packet.payload, 0);
	cr_expect(r.checksums_ok);
}

Test(steer, max_connections, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .max_connections = 2 });
		struct tuple from = steer_client(e), there;
		struct cluster_limit l;

		there = steer_open_from_pod(e, &from);
		from.sport++;
		steer_open_from_pod(e, &from);
		from.sport++;
		expect_refused(e, from);
		l = env_limit(e);
		cr_expect_eq(l.steered, 2);
		cr_expect_eq(l.peak, 2);
		cr_expect_eq(env_cluster(e).overflow, 1);
		cr_expect_eq(env_reason(e, REASON_OVERFLOW), 1);
		steer_answer(e, "to_pod", &there);
		env_run(e, "from_pod",
			&(struct env_packet){ .t = steer_client(e), .flags = RST, .seq = 1001 });
		steer_open_from_pod(e, &from);
		env_free(e);
	}
}

/* What the proxy holds counts, and is left alone. */
Test(steer, max_connections_are_shared_with_the_proxy, .timeout = 60)
{
	struct env *e = env_new(&(struct env_options){ .family = 4, .max_connections = 3 });
	struct tuple from = steer_client(e);
	struct cluster_limit l;

	env_set_proxied(e, 2);
	steer_open_from_pod(e, &from);
	from.sport++;
	expect_refused(e, from);
	env_set_proxied(e, 1);
	steer_open_from_pod(e, &from);
	l = env_limit(e);
	cr_expect_eq(l.steered, 2);
	cr_expect_eq(l.proxied, 1);
	cr_expect_eq(l.peak, 3);
	env_free(e);
}

Test(steer, a_full_table_refuses_and_evicts_nobody, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .table_size = 32 });
		struct tuple from = steer_client(e);
		unsigned opened = 0;
		__u32 active;

		for (; opened < 100; opened++, from.sport++) {
			struct env_packet syn = { .t = from, .flags = SYN, .seq = 1000 };

			if (env_run(e, "from_pod", &syn).packet.flags & RST)
				break;
		}
		active = env_limit(e).steered;
		cr_expect(opened >= 16 && opened < 100, "%u opened", opened);
		cr_expect_eq(active, opened);
		cr_expect_eq(env_entries(e), 2 * opened);
		cr_expect_eq(env_reason(e, REASON_TABLE_FULL), 1);
		env_free(e);
	}
}
