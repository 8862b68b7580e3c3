// SPDX-License-Identifier: Apache-2.0
/*
 * What a steered packet looks like when it leaves: which addresses it has on each side, there and
 * back.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "test_steer_util.h"

Test(steer, there_and_back, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), want = from, there;
		struct env_result r;

		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		there = steer_open_from_pod(e, &from);
		steer_expect("SYN", &there, &want);
		r = steer_answer(e, "to_pod", &there);
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		tuple_turn(&want, &from);
		steer_expect("SYN+ACK", &r.packet.t, &want);
		cr_expect_eq(env_reason(e, REASON_SAFETY_NET), 1);
		env_free(e);
	}
}

/* A bridge sends a frame that it doesn't know the place of to all of its ports. */
Test(steer, a_reply_is_turned_at_its_clients_interface_only, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from);
		struct env_packet p = {
			.flags = SYN | ACK, .seq = 1, .ack = 1001, .ifindex = OTHER_IF
		};
		struct env_result r;

		tuple_turn(&p.t, &there);
		r = env_run(e, "to_pod", &p);
		steer_expect_untouched("at another pod", &r, &p);
		p.ifindex = NIC_IF;
		r = env_run(e, "to_nic", &p);
		steer_expect_untouched("at the NIC", &r, &p);
		env_free(e);
	}
}

Test(steer, hairpin_comes_from_the_service, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .hairpin = true });
		struct tuple from = steer_client(e), want = from, got;
		struct env_result r;

		got = steer_open(e, &from, "from_pod", TC_ACT_REDIRECT);
		want.src = env_vip(e);
		want.dst = env_client(e);
		want.dport = ENDPOINT_PORT;
		steer_expect("hairpin", &got, &want);
		r = steer_answer(e, "from_pod", &got);
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		tuple_turn(&want, &from);
		steer_expect("and back", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, pods_of_one_bridge_are_switched, .timeout = 60)
{
	static const __u8 endpoint[6] = { 2, 0, 0, 0, 1, ENDPOINT_IF };

	for (int bridge = 0; bridge <= 1; bridge++) {
		struct env *e = env_new(&(struct env_options){ .family = 4, .bridge = bridge });
		struct env_packet p = { .t = steer_client(e), .flags = SYN, .seq = 1000 };

		for (int i = 0; i < 2; i++) { /* the first packet, and another */
			struct env_result r = env_run(e, "from_pod", &p);

			cr_expect_eq(r.action, TC_ACT_UNSPEC);
			cr_expect_eq(!memcmp(r.dmac, endpoint, 6), bridge, "bridge %d, packet %d",
				     bridge, i);
		}
		env_free(e);
	}
}

Test(steer, an_endpoint_on_the_node_itself, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .node_endpoint = true });
		struct tuple from = steer_client(e), there = steer_open_from_pod(e, &from), want;
		struct env_result r = steer_answer(e, "to_pod", &there);

		tuple_turn(&want, &from);
		steer_expect("SYN+ACK", &r.packet.t, &want);
		env_free(e);
	}
}

static struct tuple expect_second_port(struct env *e, const struct tuple *first,
				       const struct tuple *second)
{
	struct tuple a = steer_open_from_pod(e, first), b = steer_open_from_pod(e, second), want;
	struct env_result r;

	cr_expect_eq(a.sport, CLIENT_PORT);
	cr_expect_neq(b.sport, CLIENT_PORT);
	r = steer_answer(e, "to_pod", &b);
	tuple_turn(&want, second);
	steer_expect("reply of the second", &r.packet.t, &want);
	cr_expect(r.checksums_ok);
	return b;
}

Test(steer, one_port_to_two_services_of_one_endpoint, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple first = steer_client(e), second = first;

		second.dst = env_other_vip(e);
		expect_second_port(e, &first, &second);
		env_free(e);
	}
}

Test(steer, one_port_to_a_service_and_to_its_endpoint, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple first = steer_client(e), second = first, b;

		second.dst = env_endpoint(e);
		second.dport = ENDPOINT_PORT;
		b = expect_second_port(e, &first, &second);
		cr_expect(!memcmp(&b.dst, &second.dst, sizeof(b.dst)) && b.dport == ENDPOINT_PORT);
		cr_expect_eq(env_limit(e).steered, 1, "the direct one takes no place");
		env_run(e, "from_pod",
			&(struct env_packet){
				.t = second, .flags = ACK, .seq = 1001, .ack = 2, .window = 100 });
		env_run(e, "from_pod",
			&(struct env_packet){ .t = second, .flags = RST, .seq = 1001 });
		cr_expect_eq(env_entries(e), 2, "%u entries", env_entries(e));
		cr_expect_eq(env_limit(e).steered, 1);
		env_free(e);
	}
}

/* Client outside, endpoint outside: two translations there, two back. */
Test(steer, from_outside_to_another_node, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){
			.family = family, .outside = true, .remote_endpoint = true });
		struct tuple a = steer_client(e), b, c, want = a, back;
		struct env_result r;

		b = steer_open(e, &a, "from_nic", TC_ACT_UNSPEC);
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		steer_expect("on the node", &b, &want);
		c = steer_open(e, &b, "to_nic", TC_ACT_UNSPEC);
		want.src = env_node(e);
		want.sport = c.sport;
		steer_expect("on the wire", &c, &want);
		r = steer_answer(e, "from_nic", &c);
		tuple_turn(&back, &b);
		steer_expect("back on the node", &r.packet.t, &back);
		cr_expect(r.checksums_ok);
		r = steer_answer(e, "to_nic", &b);
		tuple_turn(&back, &a);
		steer_expect("back on the wire", &r.packet.t, &back);
		cr_expect(r.checksums_ok);
		env_free(e);
	}
}

Test(steer, from_outside_to_a_pod, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .outside = true });
		struct tuple a = steer_client(e), b, back;
		struct env_result r;

		b = steer_open(e, &a, "from_nic", TC_ACT_UNSPEC);
		cr_expect(!memcmp(&b.src, &a.src, sizeof(b.src)), "the pod sees who calls");
		r = steer_answer(e, "to_nic", &b);
		tuple_turn(&back, &a);
		steer_expect("back", &r.packet.t, &back);
		cr_expect_eq(env_reason(e, REASON_SAFETY_NET), 0);
		env_free(e);
	}
}

Test(steer, options_and_extension_headers, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = steer_client(e), want = from;
		struct env_result r;

		r = env_run(e, "from_pod",
			    &(struct env_packet){
				    .t = from, .flags = SYN, .seq = 1000, .options = true });
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		steer_expect("with options", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, from_nic_serves_the_nodes_own_addresses_only, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct env_packet syn = { .t = steer_client(e), .flags = SYN, .seq = 1000 };
		struct env_result r = env_run(e, "from_nic", &syn);

		steer_expect_untouched("a service's", &r, &syn);
		env_free(e);
	}
}

Test(steer, explain_touches_nothing, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .max_connections = 3 });
		struct question q = { .dst = env_vip(e),
				      .client = env_client(e),
				      .source = env_client(e),
				      .port = VIP_PORT };
		struct verdict v = env_explain(e, &q);
		struct addr endpoint = env_endpoint(e);

		cr_expect_eq(v.action, VERDICT_STEER);
		cr_expect_eq(v.cluster, CLUSTER_ID);
		cr_expect_eq(v.port, ENDPOINT_PORT);
		cr_expect_eq(v.max_connections, 3);
		cr_expect_eq(v.keepalive, 1);
		cr_expect_eq(v.keepalive_time_s, KEEPALIVE_TIME);
		cr_expect_eq(v.keepalive_interval_s, KEEPALIVE_INTERVAL);
		cr_expect_eq(v.keepalive_probes, KEEPALIVE_PROBES);
		cr_expect(!memcmp(&v.addr, &endpoint, sizeof(endpoint)));
		cr_expect_eq(env_picks(e), 0);
		cr_expect_eq(env_cluster(e).cx_total, 0);
		cr_expect_eq(env_entries(e), 0);
		q.port++;
		cr_expect_eq(env_explain(e, &q).action, VERDICT_PASS);
		env_free(e);
	}
}
