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
static struct tuple open_connection(struct env *e, const struct tuple *from)
{
	struct env_packet syn = { .t = *from, .flags = SYN, .seq = 1000 };
	struct env_result r = env_run(e, "from_pod", &syn);

	cr_assert_eq(r.action, TC_ACT_REDIRECT, "SYN: action %d", r.action);
	cr_expect(r.checksums_ok);
	return r.packet.t;
}

Test(steer, there_and_back, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), want = from, back, reply;
		struct env_result r;

		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		reply = open_connection(e, &from);
		expect_tuple("SYN", &reply, &want);
		tuple_turn(&back, &reply);
		r = env_run(e, "from_pod",
			    &(struct env_packet){
				    .t = back, .flags = SYN | ACK, .seq = 1, .ack = 1001 });
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		cr_expect(r.checksums_ok);
		tuple_turn(&want, &from);
		expect_tuple("SYN+ACK", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, hairpin_comes_from_the_service, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .hairpin = true });
		struct tuple from = client_tuple(e), got = open_connection(e, &from), want = from;

		want.src = env_vip(e);
		want.dst = env_client(e);
		want.dport = ENDPOINT_PORT;
		expect_tuple("hairpin", &got, &want);
		env_free(e);
	}
}

Test(steer, one_port_to_two_services_of_one_endpoint, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple first = client_tuple(e), second = first, a, b, back, want;
		struct env_result r;

		second.dst = env_other_vip(e);
		a = open_connection(e, &first);
		b = open_connection(e, &second);
		cr_expect_eq(a.sport, CLIENT_PORT);
		cr_expect_neq(b.sport, CLIENT_PORT);
		tuple_turn(&back, &b);
		r = env_run(e, "from_pod",
			    &(struct env_packet){
				    .t = back, .flags = SYN | ACK, .seq = 1, .ack = 1001 });
		tuple_turn(&want, &second);
		expect_tuple("reply of the second", &r.packet.t, &want);
		cr_expect(r.checksums_ok);
		env_free(e);
	}
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
		struct tuple from = client_tuple(e);
		struct cluster_limit l;

		open_connection(e, &from);
		from.sport++;
		open_connection(e, &from);
		from.sport++;
		expect_refused(e, from);
		l = env_limit(e);
		cr_expect_eq(l.steered, 2);
		cr_expect_eq(l.peak, 2);
		cr_expect_eq(env_cluster(e).overflow, 1);
		cr_expect_eq(env_reason(e, REASON_OVERFLOW), 1);
		env_run(e, "from_pod",
			&(struct env_packet){ .t = client_tuple(e), .flags = RST, .seq = 1001 });
		open_connection(e, &from);
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
	open_connection(e, &from);
	from.sport++;
	expect_refused(e, from);
	env_set_proxied(e, 1);
	open_connection(e, &from);
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
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		cr_expect(r.checksums_ok);
		expect_tuple("with options", &r.packet.t, &want);
		env_free(e);
	}
}

Test(steer, fragments_follow_the_first, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), want = from;
		struct env_packet first = { .t = from,
					    .flags = ACK,
					    .seq = 1001,
					    .ack = 1,
					    .payload = 492,
					    .first_fragment = true };
		struct env_packet later = { .t = from, .payload = 100, .later_fragment = true };
		struct env_result r;

		open_connection(e, &from);
		want.dst = env_endpoint(e);
		want.dport = ENDPOINT_PORT;
		r = env_run(e, "from_pod", &later);
		cr_expect_eq(r.action, TC_ACT_UNSPEC, "before the first: action %d", r.action);
		r = env_run(e, "from_pod", &first);
		expect_tuple("first fragment", &r.packet.t, &want);
		cr_expect(r.checksums_ok);
		r = env_run(e, "from_pod", &later);
		cr_expect_eq(r.action, TC_ACT_REDIRECT);
		cr_expect(r.checksums_ok);
		want.sport = want.dport = 0;
		expect_tuple("later fragment", &r.packet.t, &want);
		env_free(e);
	}
}

/* An error about a packet of the connection, sent by `reporter` (NULL: a router), must speak of
 * `quoted` when it arrives. */
static void expect_error(struct env *e, const struct tuple *seen, const struct tuple *known,
			 bool by_far_end)
{
	struct env_packet error = { .quoted = seen };
	struct env_result r;

	error.t.src = by_far_end ? seen->dst : env_router(e);
	error.t.dst = seen->src;
	r = env_run(e, "from_pod", &error);
	cr_expect_eq(r.action, TC_ACT_REDIRECT, "action %d", r.action);
	cr_expect(r.checksums_ok);
	expect_tuple("quoted", &r.quoted, known);
	cr_expect(!memcmp(&r.packet.t.dst, &known->src, sizeof(struct addr)),
		  "the error goes to %s", show(&r.packet.t));
	cr_expect(!memcmp(&r.packet.t.src, by_far_end ? &known->dst : &error.t.src,
			  sizeof(struct addr)),
		  "the error comes from %s", show(&r.packet.t));
}

Test(steer, icmp_errors_find_their_connection, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct tuple from = client_tuple(e), there = open_connection(e, &from), back, reply;
		struct env_packet stray;
		struct tuple other = there;

		tuple_turn(&back, &there);
		tuple_turn(&reply, &from);
		expect_error(e, &there, &from, true);
		expect_error(e, &there, &from, false);
		/* And the other way: the reply could not be delivered to the client. */
		expect_error(e, &reply, &back, true);
		expect_error(e, &reply, &back, false);
		other.sport++;
		stray = (struct env_packet){ .t = back, .quoted = &other };
		cr_expect_eq(env_run(e, "from_pod", &stray).action, TC_ACT_UNSPEC,
			     "an error of no connection is passed");
		env_free(e);
	}
}

Test(steer, timeouts_ask_for_resets_of_both_ends, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			env_new(&(struct env_options){ .family = family, .idle_timeout_ms = 1000 });
		struct tuple from = client_tuple(e), there = open_connection(e, &from), back,
			     to_client;
		struct reset_event resets[4];

		tuple_turn(&back, &there);
		tuple_turn(&to_client, &from);
		env_run(e, "from_pod",
			&(struct env_packet){
				.t = back, .flags = SYN | ACK, .seq = 5000, .ack = 1001 });
		env_run(e, "from_pod",
			&(struct env_packet){ .t = from, .flags = ACK, .seq = 1001, .ack = 5001 });
		env_age(e, &from, 1100);
		env_sweep(e, 0);
		cr_assert_eq(env_resets(e, resets, 4), 2);
		expect_tuple("to the client", &resets[0].packet, &to_client);
		cr_expect_eq(resets[0].seq, 5001);
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

		cr_expect_eq(env_run(e, "from_nic", &syn).action, TC_ACT_UNSPEC);
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
