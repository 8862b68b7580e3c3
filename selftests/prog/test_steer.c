// SPDX-License-Identifier: Apache-2.0
/*
 * What a steered packet looks like when it leaves.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

#include "env.h"

static struct tuple client_tuple(const struct env *e)
{
	return (struct tuple){
		.src = env_client(e), .dst = env_vip(e), .sport = CLIENT_PORT, .dport = VIP_PORT
	};
}

static const char *show(const struct tuple *t)
{
	static char text[160];
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, t->src.b, src, sizeof(src));
	inet_ntop(AF_INET6, t->dst.b, dst, sizeof(dst));
	snprintf(text, sizeof(text), "[%s]:%u > [%s]:%u", src, t->sport, dst, t->dport);
	return text;
}

static void expect_tuple(const char *what, const struct tuple *got, const struct tuple *want)
{
	cr_expect(!memcmp(got, want, sizeof(*got)), "%s: got %s", what, show(got));
}

/* Runs a SYN through and checks that it is steered to the endpoint. */
static struct tuple open_connection(struct env *e, const struct tuple *from, const char *program,
				    int action)
{
	struct env_packet syn = { .t = *from, .flags = SYN, .seq = 1000, .window = 65535 };
	struct env_result r = env_run(e, program, &syn);

	cr_assert_eq(r.action, action, "SYN: action %d", r.action);
	cr_expect(memcmp(&r.packet.t, from, sizeof(*from)), "SYN: not translated");
	cr_expect(r.checksums_ok);
	return r.packet.t;
}

static struct tuple open_from_pod(struct env *e, const struct tuple *from)
{
	return open_connection(e, from, "from_pod", TC_ACT_UNSPEC);
}

/* The endpoint's answer to what it has got with addresses `there`. */
static struct env_result answer(struct env *e, const char *program, const struct tuple *there)
{
	struct env_packet p = { .flags = SYN | ACK, .seq = 1, .ack = 1001, .window = 65535 };

	tuple_turn(&p.t, there);
	return env_run(e, program, &p);
}

static void expect_untouched(const char *what, const struct env_result *r,
			     const struct env_packet *sent)
{
	cr_expect_eq(r->action, TC_ACT_UNSPEC, "%s: action %d", what, r->action);
	expect_tuple(what, &r->packet.t, &sent->t);
}

Test(steer, there_and_back, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), want = from, there;
		struct env_result r;

		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		there = open_from_pod(e, &from);
		expect_tuple("SYN", &there, &want);
		r = answer(e, "to_pod", &there);
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		tuple_turn(&want, &from);
		expect_tuple("SYN+ACK", &r.packet.t, &want);
		cr_expect_eq(env_reason(e, REASON_SAFETY_NET), 1);
		env_free(e);
	}
}

/* A bridge sends a frame that it doesn't know the place of to all of its ports. */
Test(steer, a_reply_is_turned_at_its_clients_interface_only, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_packet p = {
			.flags = SYN | ACK, .seq = 1, .ack = 1001, .ifindex = OTHER_IF
		};
		struct env_result r;

		tuple_turn(&p.t, &there);
		r = env_run(e, "to_pod", &p);
		expect_untouched("at another pod", &r, &p);
		p.ifindex = NIC_IF;
		r = env_run(e, "to_nic", &p);
		expect_untouched("at the NIC", &r, &p);
		env_free(e);
	}
}

Test(steer, hairpin_comes_from_the_service, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .hairpin = true });
		struct tuple from = client_tuple(e), want = from, got;
		struct env_result r;

		got = open_connection(e, &from, "from_pod", TC_ACT_REDIRECT);
		want.src = env_vip(e);
		want.dst = env_client(e);
		want.dport = ENDPOINT_PORT;
		expect_tuple("hairpin", &got, &want);
		r = answer(e, "from_pod", &got);
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		tuple_turn(&want, &from);
		expect_tuple("and back", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, pods_of_one_bridge_are_switched, .timeout = 60)
{
	static const __u8 endpoint[6] = { 2, 0, 0, 0, 1, ENDPOINT_IF };

	for (int bridge = 0; bridge <= 1; bridge++) {
		struct env *e = env_new(&(struct env_options){ .family = 4, .bridge = bridge });
		struct env_packet p = { .t = client_tuple(e), .flags = SYN, .seq = 1000 };

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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from), want;
		struct env_result r = answer(e, "to_pod", &there);

		tuple_turn(&want, &from);
		expect_tuple("SYN+ACK", &r.packet.t, &want);
		env_free(e);
	}
}

static struct tuple expect_second_port(struct env *e, const struct tuple *first,
				       const struct tuple *second)
{
	struct tuple a = open_from_pod(e, first), b = open_from_pod(e, second), want;
	struct env_result r;

	cr_expect_eq(a.sport, CLIENT_PORT);
	cr_expect_neq(b.sport, CLIENT_PORT);
	r = answer(e, "to_pod", &b);
	tuple_turn(&want, second);
	expect_tuple("reply of the second", &r.packet.t, &want);
	cr_expect(r.checksums_ok);
	return b;
}

Test(steer, one_port_to_two_services_of_one_endpoint, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple first = client_tuple(e), second = first;

		second.dst = env_other_vip(e);
		expect_second_port(e, &first, &second);
		env_free(e);
	}
}

Test(steer, one_port_to_a_service_and_to_its_endpoint, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple first = client_tuple(e), second = first, b;

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
		struct tuple a = client_tuple(e), b, c, want = a, back;
		struct env_result r;

		b = open_connection(e, &a, "from_nic", TC_ACT_UNSPEC);
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		expect_tuple("on the node", &b, &want);
		c = open_connection(e, &b, "to_nic", TC_ACT_UNSPEC);
		want.src = env_node(e);
		want.sport = c.sport;
		expect_tuple("on the wire", &c, &want);
		r = answer(e, "from_nic", &c);
		tuple_turn(&back, &b);
		expect_tuple("back on the node", &r.packet.t, &back);
		cr_expect(r.checksums_ok);
		r = answer(e, "to_nic", &b);
		tuple_turn(&back, &a);
		expect_tuple("back on the wire", &r.packet.t, &back);
		cr_expect(r.checksums_ok);
		env_free(e);
	}
}

Test(steer, from_outside_to_a_pod, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .outside = true });
		struct tuple a = client_tuple(e), b, back;
		struct env_result r;

		b = open_connection(e, &a, "from_nic", TC_ACT_UNSPEC);
		cr_expect(!memcmp(&b.src, &a.src, sizeof(b.src)), "the pod sees who calls");
		r = answer(e, "to_nic", &b);
		tuple_turn(&back, &a);
		expect_tuple("back", &r.packet.t, &back);
		cr_expect_eq(env_reason(e, REASON_SAFETY_NET), 0);
		env_free(e);
	}
}

/* ---- senders that have no right to an address ---- */

Test(steer, a_pod_with_anothers_address_is_not_steered, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct env_packet p = {
			.t = client_tuple(e), .flags = SYN, .seq = 1000, .ifindex = OTHER_IF
		};
		struct env_result r = env_run(e, "from_pod", &p);

		expect_untouched("another pod's address", &r, &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 1);
		p.t.src = env_router(e);
		r = env_run(e, "from_pod", &p);
		expect_untouched("an outsider's address", &r, &p);
		cr_expect_eq(env_reason(e, REASON_SPOOFED), 2);
		cr_expect_eq(env_entries(e), 0);
		p.t = client_tuple(e);
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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_packet p = { .t = from, .flags = RST, .seq = 1001, .ifindex = OTHER_IF };
		struct env_result r;

		answer(e, "to_pod", &there);
		r = env_run(e, "from_pod", &p);
		expect_untouched("the client's RST from elsewhere", &r, &p);
		p.ifindex = NIC_IF;
		r = env_run(e, "from_nic", &p);
		expect_untouched("... from outside", &r, &p);
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
		expect_untouched("the endpoint's own", &r, &p);
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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_packet p = {
			.flags = SYN | ACK, .seq = 1, .ack = 1001, .ifindex = NIC_IF
		};
		struct env_result r;

		tuple_turn(&p.t, &there);
		r = env_run(e, "from_nic", &p);
		expect_untouched("by the NIC", &r, &p);
		p.ifindex = OTHER_IF;
		cr_expect_eq(env_run(e, "from_pod", &p).action, TC_ACT_SHOT, "from a pod");
		env_free(e);
	}
}

Test(steer, pods_that_no_hook_sees_may_be_refused, .timeout = 60)
{
	struct env *e = env_new(&(struct env_options){ .family = 4, .refuse_unseen = true });
	struct env_packet p = { .t = client_tuple(e), .flags = SYN, .seq = 1000 };
	struct env_result r = env_run(e, "from_pod", &p);

	cr_expect_eq(r.packet.flags, RST | ACK);
	cr_expect_eq(env_reason(e, REASON_UNSEEN), 1);
	cr_expect_eq(env_limit(e).peak, 0);
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
	expect_tuple("RST", &r.packet.t, &want);
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
		struct tuple from = client_tuple(e), there;
		struct cluster_limit l;

		there = open_from_pod(e, &from);
		from.sport++;
		open_from_pod(e, &from);
		from.sport++;
		expect_refused(e, from);
		l = env_limit(e);
		cr_expect_eq(l.steered, 2);
		cr_expect_eq(l.peak, 2);
		cr_expect_eq(env_cluster(e).overflow, 1);
		cr_expect_eq(env_reason(e, REASON_OVERFLOW), 1);
		answer(e, "to_pod", &there);
		env_run(e, "from_pod",
			&(struct env_packet){ .t = client_tuple(e), .flags = RST, .seq = 1001 });
		open_from_pod(e, &from);
		env_free(e);
	}
}

/* What the proxy holds counts, and is left alone. */
Test(steer, max_connections_are_shared_with_the_proxy, .timeout = 60)
{
	struct env *e = env_new(&(struct env_options){ .family = 4, .max_connections = 3 });
	struct tuple from = client_tuple(e);
	struct cluster_limit l;

	env_set_proxied(e, 2);
	open_from_pod(e, &from);
	from.sport++;
	expect_refused(e, from);
	env_set_proxied(e, 1);
	open_from_pod(e, &from);
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
		struct tuple from = client_tuple(e);
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

Test(steer, options_and_extension_headers, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), want = from;
		struct env_result r;

		r = env_run(e, "from_pod",
			    &(struct env_packet){
				    .t = from, .flags = SYN, .seq = 1000, .options = true });
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		expect_tuple("with options", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, fragments_follow_the_first, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), want = from, there;
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

		there = open_from_pod(e, &from);
		answer(e, "to_pod", &there);
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		r = env_run(e, "from_pod", &later);
		cr_expect(!memcmp(&r.packet.t.dst, &from.dst, sizeof(from.dst)),
			  "before the first");
		cr_expect_eq(env_reason(e, REASON_FRAGMENT), 1);
		r = env_run(e, "from_pod", &first);
		expect_tuple("first fragment", &r.packet.t, &want);
		cr_expect(r.checksums_ok);
		r = env_run(e, "from_pod", &later);
		cr_expect_eq(r.action, TC_ACT_UNSPEC);
		cr_expect(r.checksums_ok);
		want.sport = want.dport = 0;
		expect_tuple("later fragment", &r.packet.t, &want);
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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from), want;
		struct env_packet first = {
			.flags = ACK, .seq = 2, .ack = 1001, .payload = 492, .first_fragment = true
		};
		struct env_packet later = { .payload = 100, .later_fragment = true };
		struct env_result r;

		answer(e, "to_pod", &there);
		tuple_turn(&first.t, &there);
		later.t = first.t;
		tuple_turn(&want, &from);
		r = env_run(e, "to_pod", &first);
		expect_tuple("first fragment", &r.packet.t, &want);
		r = env_run(e, "to_pod", &later);
		want.sport = want.dport = 0;
		expect_tuple("later fragment", &r.packet.t, &want);
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
		expect_tuple("quoted", &r.quoted, known);
		cr_expect(!memcmp(&r.packet.t.dst, &known->src, sizeof(struct addr)),
			  "%s: the error goes to %s", program, show(&r.packet.t));
		cr_expect(!memcmp(&r.packet.t.src, reporter, sizeof(struct addr)),
			  "%s: the error comes from %s", program, show(&r.packet.t));
	}
}

Test(steer, icmp_errors_find_their_connection, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from), back, reply;
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
		struct tuple a = client_tuple(e), a_back, b, b_back, c, c_back;
		struct addr router = env_router(e), node = env_node(e);
		struct env_packet by_router = { .t.src = router };

		b = open_connection(e, &a, "from_nic", TC_ACT_UNSPEC);
		c = open_connection(e, &b, "to_nic", TC_ACT_UNSPEC);
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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_packet error = { .t = { .src = env_router(e), .dst = there.src },
					    .quoted = &there,
					    .quoted_seq = u->seq,
					    .icmp_type = u->type,
					    .icmp_code = u->code };

		if (u->answered)
			answer(e, "to_pod", &there);
		env_run(e, "to_pod", &error);
		cr_expect_eq(env_entries(e), u->left, "%s: %u entries", u->what, env_entries(e));
		cr_expect_eq(env_limit(e).steered, u->left / 2, "%s: active %u", u->what,
			     env_limit(e).steered);
		cr_expect_eq(env_cluster(e).connect_fail, !u->left, "%s", u->what);
		env_free(e);
	}
}

/* A reply for a connection that is over is answered with RST, sent to the endpoint through the
 * client's interface. */
Test(steer, a_dead_connection_is_answered_with_reset, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .idle_timeout_ms = 1000 });
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_result r;

		answer(e, "to_pod", &there);
		env_run(e, "from_pod",
			&(struct env_packet){
				.t = from, .flags = ACK, .seq = 1001, .ack = 2, .window = 65535 });
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		r = answer(e, "to_pod", &there);
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		cr_expect_eq(r.packet.flags, RST);
		expect_tuple("RST", &r.packet.t, &there);
		cr_expect(r.checksums_ok);
		env_free(e);
	}
}

/* Whether a RST was taken, its receiver knows. */
Test(steer, a_doubtful_reset_is_asked_about, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from);
		struct env_packet p = { .t = from,
					.flags = ACK,
					.seq = 1001,
					.ack = 2,
					.window = 65535,
					.payload = 10 };
		struct reset_event asked[4];

		answer(e, "to_pod", &there);
		env_run(e, "from_pod", &p);
		p.flags = RST, p.seq = 1011, p.payload = 0;
		env_run(e, "from_pod", &p);
		env_sweep(e, 0);
		cr_expect_eq(env_resets(e, asked, 4), 0, "not at once");
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		cr_assert_eq(env_resets(e, asked, 4), 1);
		expect_tuple("to the endpoint", &asked[0].packet, &there);
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
		struct tuple from = client_tuple(e), there = open_from_pod(e, &from), back,
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
		expect_tuple("to the client", &resets[0].packet, &to_client);
		cr_expect_eq(resets[0].seq, 5001);
		cr_expect_eq(resets[0].flags, RST);
		expect_tuple("to the endpoint", &resets[1].packet, &there);
		cr_expect_eq(resets[1].seq, 1001);
		env_free(e);
	}
}

Test(steer, from_nic_serves_the_nodes_own_addresses_only, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct env_packet syn = { .t = client_tuple(e), .flags = SYN, .seq = 1000 };
		struct env_result r = env_run(e, "from_nic", &syn);

		expect_untouched("a service's", &r, &syn);
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
