// SPDX-License-Identifier: Apache-2.0
/*
 * What XDP forwards of a connection from outside whose endpoint is on another node, and what it
 * leaves to tc: anything that is not plain, untouched. For frames with wrong bits see
 * test_mutated.c.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "test_steer_util.h"

enum { ETH = 14, PAYLOAD = 100 };

static const __u8 NIC_MAC[6] = { 2, 0, 0, 0, 0, 2 }, NIC2_MAC[6] = { 2, 0, 0, 0, 0, 3 },
		  CLIENT_HOP[6] = { 2, 0, 0, 0, 0, 0x0c },
		  ENDPOINT_HOP[6] = { 2, 0, 0, 0, 0, 0x0e };

static struct env *far_env(int family)
{
	return env_new(&(struct env_options){
		.family = family, .outside = true, .remote_endpoint = true });
}

/* A connection, as tc opens it: its addresses from the client, and towards the endpoint. */
struct far {
	struct tuple a, c;
};

static struct env_result tc(struct env *e, const char *program, const struct tuple *t, __u8 flags,
			    __u32 seq, __u32 ack)
{
	return env_run(e, program,
		       &(struct env_packet){
			       .t = *t, .flags = flags, .seq = seq, .ack = ack, .window = 65535 });
}

static void answer_syn(struct env *e, const struct far *far)
{
	struct tuple back;
	struct env_result r;

	tuple_turn(&back, &far->c);
	r = tc(e, "from_nic", &back, SYN | ACK, 5000, 1001);
	cr_assert_eq(r.action, TC_ACT_UNSPEC);
	r = tc(e, "to_nic", &r.packet.t, SYN | ACK, 5000, 1001);
	tuple_turn(&back, &far->a);
	steer_expect("SYN+ACK", &r.packet.t, &back);
}

/* The SYN, in and out by the NIC. */
static struct far send_syn(struct env *e)
{
	struct far far = { .a = steer_client(e) };
	struct tuple b = steer_open(e, &far.a, "from_nic", TC_ACT_UNSPEC);

	far.c = tc(e, "to_nic", &b, SYN, 1000, 0).packet.t;
	return far;
}

static struct far open_far(struct env *e)
{
	struct far far = send_syn(e);

	answer_syn(e, &far);
	return far;
}

/* A frame as it is on the wire, and what comes of it. */
struct run {
	__u8 frame[FRAME_MAX], sent[FRAME_MAX];
	size_t size, was;
	struct env_packet packet;
	int verdict;
	__u32 ifindex; /* it has come in by; 0: NIC_IF */
};

static void run_frame(struct env *e, struct run *r)
{
	memcpy(r->sent, r->frame, r->size);
	r->was = r->size;
	r->verdict = env_run_xdp(e, r->ifindex ?: NIC_IF, r->frame, &r->size);
}

static void put_frame(struct run *r, const struct env_packet *p)
{
	memset(r->frame, 0, sizeof(r->frame));
	r->packet = *p;
	r->size = frame_put(r->frame, p);
}

static void expect_passed(const char *what, const struct run *r)
{
	cr_expect_eq(r->verdict, XDP_PASS, "%s: verdict %d", what, r->verdict);
	cr_expect(r->size == r->was && !memcmp(r->frame, r->sent, r->size), "%s: not untouched",
		  what);
}

static void expect_sent_by(const char *what, const struct run *r, int verdict,
			   const struct tuple *want, const __u8 hop[6], const __u8 mac[6])
{
	struct env_result got = {};
	size_t ttl = ETH + (r->frame[ETH] >> 4 == 4 ? 8 : 7);

	cr_assert_eq(r->verdict, verdict, "%s: verdict %d", what, r->verdict);
	cr_expect_eq(r->size, r->was, "%s: length", what);
	frame_get(r->frame, &r->packet, &got);
	cr_expect(got.checksums_ok, "%s: checksums", what);
	steer_expect(what, &got.packet.t, want);
	cr_expect_eq(got.packet.seq, r->packet.seq, "%s", what);
	cr_expect_eq(got.packet.payload, r->packet.payload, "%s", what);
	cr_expect(!memcmp(r->frame, hop, 6), "%s: next hop", what);
	cr_expect(!memcmp(r->frame + 6, mac, 6), "%s: source MAC address", what);
	cr_expect_eq(r->frame[ttl], 63, "%s: TTL %u", what, r->frame[ttl]);
}

static void expect_sent(const char *what, const struct run *r, const struct tuple *want,
			const __u8 hop[6])
{
	expect_sent_by(what, r, XDP_TX, want, hop, NIC_MAC);
}

static struct env_packet from_client(const struct far *far)
{
	return (struct env_packet){ .t = far->a,
				    .flags = ACK,
				    .seq = 1001,
				    .ack = 5001,
				    .window = 65535,
				    .payload = PAYLOAD };
}

static struct env_packet from_endpoint(const struct far *far)
{
	struct env_packet p = {
		.flags = ACK, .seq = 5001, .ack = 1001, .window = 65535, .payload = PAYLOAD
	};

	tuple_turn(&p.t, &far->c);
	return p;
}

static int xdp(struct env *e, const struct env_packet *p)
{
	static struct run r;

	put_frame(&r, p);
	run_frame(e, &r);
	return r.verdict;
}

Test(xdp, there_and_back, .timeout = 300)
{
	static struct run r;

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = open_far(e);
		struct env_packet there = from_client(&far), back = from_endpoint(&far);
		struct xdp_stat before = env_forwarded(e), after;
		struct tuple want;

		put_frame(&r, &there);
		run_frame(e, &r);
		expect_sent("there", &r, &far.c, ENDPOINT_HOP);
		put_frame(&r, &back);
		run_frame(e, &r);
		tuple_turn(&want, &far.a);
		expect_sent("back", &r, &want, CLIENT_HOP);
		after = env_forwarded(e);
		cr_expect_eq(after.packets - before.packets, 2);
		cr_expect_eq(after.bytes - before.bytes, 2 * r.size);
		env_free(e);
	}
}

Test(xdp, short_frames_are_padded, .timeout = 300)
{
	static struct run r;
	struct env *e = far_env(4);
	struct far far = open_far(e);
	struct env_packet p = from_client(&far);

	p.payload = 0;
	put_frame(&r, &p);
	r.size = 60;
	run_frame(e, &r);
	expect_sent("an ACK alone", &r, &far.c, ENDPOINT_HOP);
	env_free(e);
}

/* The handshake shows the way: routing, netfilter and neighbour discovery have had their say. */
Test(xdp, the_handshake_goes_up, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct env_packet p = { .t = steer_client(e), .flags = SYN, .seq = 1000 };
		struct far far;

		cr_expect_eq(xdp(e, &p), XDP_PASS, "SYN");
		far = send_syn(e);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "SYN again");
		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "before there is an answer");
		p = from_endpoint(&far);
		p.flags = SYN | ACK;
		cr_expect_eq(xdp(e, &p), XDP_PASS, "SYN+ACK");
		answer_syn(e, &far);
		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_TX, "the handshake's end");
		env_free(e);
	}
}

/* A firewall that translates, or a route that leads elsewhere: the packet leaves as another, or not
 * by the NIC, and the next one must go the same way. What comes back is the node's own to turn
 * back, also where it has given the client's packets the same address and port as we would have. */
Test(xdp, only_what_the_stack_has_sent_on, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = { .a = steer_client(e) };
		struct tuple b = steer_open(e, &far.a, "from_nic", TC_ACT_UNSPEC);
		struct env_packet p = { .flags = SYN | ACK, .seq = 5000, .ack = 1001 };
		struct tuple back;
		struct env_result r;

		far.c = b;
		far.c.src = env_node(e);
		tuple_turn(&p.t, &far.c);
		r = env_run(e, "from_nic", &p);
		steer_expect_untouched("an answer to the node's own masquerading", &r, &p);
		tuple_turn(&p.t, &b);
		tuple_turn(&back, &far.a);
		r = env_run(e, "to_nic", &p);
		steer_expect("turned back by the node, and by us", &r.packet.t, &back);
		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "never seen to leave");
		p = from_endpoint(&far);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "the node's own masquerading");
		tc(e, "to_nic", &b, ACK, 1001, 5001);
		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_TX, "seen now");
		env_free(e);
	}
}

/* Routes that look at marks or take turns: where the stack sends the packet, nothing else may. */
Test(xdp, only_to_the_hop_that_the_stack_has_chosen, .timeout = 300)
{
	static const __u8 other[6] = { 2, 0, 0, 0, 0, 0x0f };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = { .a = steer_client(e) };
		struct tuple b = steer_open(e, &far.a, "from_nic", TC_ACT_UNSPEC);
		struct env_packet there, back,
			leaves = {
				.t = b, .flags = ACK, .seq = 1001, .ack = 5001, .window = 65535
			};

		far.c = tc(e, "to_nic", &b, SYN, 1000, 0).packet.t;
		answer_syn(e, &far);
		there = from_client(&far);
		back = from_endpoint(&far);
		cr_expect_eq(xdp(e, &there), XDP_TX, "there");
		leaves.hop = other;
		env_run(e, "to_nic", &leaves);
		cr_expect_eq(xdp(e, &there), XDP_PASS, "there, by another hop than the routes say");
		cr_expect_eq(xdp(e, &back), XDP_TX, "the way back is another");
		leaves.hop = ENDPOINT_HOP;
		env_run(e, "to_nic", &leaves);
		cr_expect_eq(xdp(e, &there), XDP_TX, "there again");
		env_free(e);
	}
}

/* tc has seen a VLAN's tag on a packet that comes in: a driver may hide the next one's from XDP. */
Test(xdp, what_comes_by_a_vlan_is_tcs, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = open_far(e);
		struct env_packet there = from_client(&far), back = from_endpoint(&far);

		cr_expect_eq(xdp(e, &there), XDP_TX, "there, without a tag");
		env_flag(e, &there.t, CONN_TAGGED);
		cr_expect_eq(xdp(e, &there), XDP_PASS, "there, with one");
		cr_expect_eq(xdp(e, &back), XDP_TX, "back, without one");
		env_flag(e, &back.t, CONN_TAGGED);
		cr_expect_eq(xdp(e, &back), XDP_PASS, "back, with one");
		env_free(e);
	}
}

/* What weftd says about a NIC, and for how long: it may have gone. */
Test(xdp, only_while_it_is_permitted, .timeout = 300)
{
	static const struct {
		const char *what;
		struct xdp_nic nic;
		int verdict;
	} rows[] = {
		{ "for good", { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 } }, XDP_TX },
		{ "not", { .until = 0, .mac = { 2, 0, 0, 0, 0, 2 } }, XDP_PASS },
		{ "until just now", { .until = 1, .mac = { 2, 0, 0, 0, 0, 2 } }, XDP_PASS },
		{ "to another card", { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 9 } }, XDP_PASS },
	};
	static struct run r;

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = open_far(e);
		struct env_packet p = from_client(&far);

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			env_permit(e, NIC_IF, &rows[i].nic);
			put_frame(&r, &p);
			run_frame(e, &r);
			cr_expect_eq(r.verdict, rows[i].verdict, "%s", rows[i].what);
			if (r.verdict == XDP_PASS)
				expect_passed(rows[i].what, &r);
		}
		env_permit(e, NIC_IF, NULL);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "nothing is said");
		env_free(e);
	}
}

/* In by one NIC and out by another, and back: if both are permitted, and the one sends what it is
 * given. */
Test(xdp, from_nic_to_nic, .timeout = 300)
{
	static const struct xdp_nic second = { .until = ~0ull,
					       .mac = { 2, 0, 0, 0, 0, 3 },
					       .sends = 1 },
				    first = { .until = ~0ull,
					      .mac = { 2, 0, 0, 0, 0, 2 },
					      .sends = 1 },
				    mute = { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 3 } },
				    over = { .until = 1, .mac = { 2, 0, 0, 0, 0, 3 }, .sends = 1 };
	static struct run r;

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = { .a = steer_client(e) };
		struct env_packet p = { .flags = SYN, .seq = 1000, .window = 65535 };
		struct env_result out;
		struct tuple want;

		env_add_nic2(e);
		p.t = steer_open(e, &far.a, "from_nic", TC_ACT_UNSPEC);
		p.ifindex = NIC2_IF;
		far.c = env_run(e, "to_nic", &p).packet.t;
		tuple_turn(&p.t, &far.c);
		p.flags = SYN | ACK;
		p.seq = 5000;
		p.ack = 1001;
		out = env_run(e, "from_nic", &p);
		p.t = out.packet.t;
		p.ifindex = NIC_IF;
		env_run(e, "to_nic", &p);

		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "the second runs no XDP");
		env_permit(e, NIC2_IF, &mute);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "the second sends nothing of XDP's");
		env_permit(e, NIC2_IF, &over);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "not permitted any more");
		env_permit(e, NIC2_IF, &second);
		put_frame(&r, &p);
		run_frame(e, &r);
		expect_sent_by("there", &r, XDP_REDIRECT, &far.c, ENDPOINT_HOP, NIC2_MAC);

		p = from_endpoint(&far);
		put_frame(&r, &p);
		memcpy(r.frame, NIC2_MAC, 6);
		r.ifindex = NIC2_IF;
		run_frame(e, &r);
		expect_passed("back: the first sends nothing of XDP's", &r);
		env_permit(e, NIC_IF, &first);
		run_frame(e, &r);
		tuple_turn(&want, &far.a);
		expect_sent_by("back", &r, XDP_REDIRECT, &want, CLIENT_HOP, NIC_MAC);
		r.ifindex = 0;
		env_drop_nic2(e);
		env_free(e);
	}
}

Test(xdp, an_endpoint_of_this_node_is_tcs, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family, .outside = true });
		struct far far = { .a = steer_client(e) };
		struct env_packet p;

		far.c = steer_open(e, &far.a, "from_nic", TC_ACT_UNSPEC);
		steer_answer(e, "to_nic", &far.c);
		p = from_client(&far);
		p.ack = 2;
		cr_expect_eq(xdp(e, &p), XDP_PASS);
		env_free(e);
	}
}

/* ---- what is not plain ---- */

static void put16(__u8 *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static unsigned get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static bool ip4_of(const struct run *r)
{
	return r->frame[ETH] >> 4 == 4;
}

static __u8 *tcp_at(struct run *r)
{
	return r->frame + ETH + (ip4_of(r) ? 20 : 40);
}

static void other_mac(struct run *r)
{
	r->frame[5] ^= 1;
}

static void broadcast(struct run *r)
{
	memset(r->frame, 0xff, 6);
}

static void last_hop(struct run *r)
{
	r->frame[ETH + (ip4_of(r) ? 8 : 7)] = 1;
}

static void no_hop(struct run *r)
{
	r->frame[ETH + (ip4_of(r) ? 8 : 7)] = 0;
}

static void udp(struct run *r)
{
	r->frame[ETH + (ip4_of(r) ? 9 : 6)] = 17;
}

static void vlan(struct run *r)
{
	frame_tag(r->frame, &r->size);
}

static void other_ethertype(struct run *r)
{
	put16(r->frame + 12, 0x88b5);
}

static void cut_off(struct run *r)
{
	r->size -= 1;
}

static void cut_in_tcp(struct run *r)
{
	r->size = (size_t)(tcp_at(r) - r->frame) + 19;
}

static void cut_in_ip(struct run *r)
{
	r->size = ETH + 19;
}

static void too_short_for_tcp(struct run *r)
{
	put16(r->frame + ETH + (ip4_of(r) ? 2 : 4), ip4_of(r) ? 39 : 19);
}

static void no_length(struct run *r)
{
	put16(r->frame + ETH + (ip4_of(r) ? 2 : 4), 0);
}

static void short_header(struct run *r)
{
	tcp_at(r)[12] = 4 << 4;
}

static void long_header(struct run *r)
{
	put16(r->frame + ETH + (ip4_of(r) ? 2 : 4), ip4_of(r) ? 40 : 20);
	tcp_at(r)[12] = 15 << 4;
}

static void syn_too(struct run *r)
{
	tcp_at(r)[13] |= SYN;
}

static __u32 add(const __u8 *at, size_t len, __u32 sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum += get16(at + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* As a device gets it that is to finish it: the pseudo header's sum, with or without the length. */
static void partial(struct run *r, bool with_length)
{
	const __u8 *ip = r->frame + ETH;
	__u32 sum = add(ip + (ip4_of(r) ? 12 : 8), ip4_of(r) ? 8 : 32, 6);

	if (with_length)
		sum += (__u32)(r->size - (size_t)(tcp_at(r) - r->frame));
	put16(tcp_at(r) + 16, add(NULL, 0, sum));
}

static void partial_checksum(struct run *r)
{
	partial(r, true);
}

static void partial_checksum_of_a_batch(struct run *r)
{
	partial(r, false);
}

static const struct {
	const char *what;
	void (*change)(struct run *r);
	struct env_packet more;
} odd[] = {
	{ .what = "for another host", .change = other_mac },
	{ .what = "broadcast", .change = broadcast },
	{ .what = "no hop left", .change = last_hop },
	{ .what = "no hop left at all", .change = no_hop },
	{ .what = "UDP", .change = udp },
	{ .what = "a VLAN's tag", .change = vlan },
	{ .what = "another protocol than IP", .change = other_ethertype },
	{ .what = "shorter than it says", .change = cut_off },
	{ .what = "cut off in the TCP header", .change = cut_in_tcp },
	{ .what = "cut off in the IP header", .change = cut_in_ip },
	{ .what = "too short for TCP", .change = too_short_for_tcp },
	{ .what = "no length", .change = no_length },
	{ .what = "a TCP header too short", .change = short_header },
	{ .what = "a TCP header longer than the packet", .change = long_header },
	{ .what = "SYN", .change = syn_too },
	{ .what = "a checksum left to the device", .change = partial_checksum },
	{ .what = "a batch's checksum left to the device", .change = partial_checksum_of_a_batch },
	{ .what = "first fragment", .more = { .first_fragment = true } },
	{ .what = "later fragment", .more = { .later_fragment = true } },
	{ .what = "options", .more = { .options = true } },
	{ .what = "larger than the MTU", .more = { .payload = 1500 } },
};

static void expect_odd_passed(struct env *e, const struct env_packet *plain, size_t i)
{
	static struct run r;
	struct env_packet p = *plain;

	p.first_fragment = odd[i].more.first_fragment;
	p.later_fragment = odd[i].more.later_fragment;
	p.options = odd[i].more.options;
	p.payload = odd[i].more.payload ?: p.payload;
	put_frame(&r, &p);
	if (odd[i].change)
		odd[i].change(&r);
	run_frame(e, &r);
	expect_passed(odd[i].what, &r);
}

Test(xdp, what_is_odd_goes_up_untouched, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = open_far(e);
		struct env_packet there = from_client(&far), back = from_endpoint(&far);
		struct xdp_stat before = env_forwarded(e);
		struct conn was, is;

		cr_assert(env_conn(e, &far.a, &was));
		for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
			expect_odd_passed(e, &there, i);
			expect_odd_passed(e, &back, i);
		}
		cr_assert(env_conn(e, &far.a, &is));
		cr_expect(!memcmp(&was, &is, sizeof(is)), "tc is still to count them");
		cr_expect_eq(env_forwarded(e).packets, before.packets);
		cr_expect_eq(xdp(e, &there), XDP_TX, "a plain one");
		env_free(e);
	}
}

Test(xdp, without_a_neighbour_it_goes_up, .timeout = 300)
{
	struct env *e = far_env(4);
	struct far far = open_far(e);
	struct env_packet there = from_client(&far), back = from_endpoint(&far);

	cr_assert_eq(system("ip neighbour del 10.244.0.2 dev nic"), 0);
	cr_expect_eq(xdp(e, &there), XDP_PASS);
	cr_expect_eq(xdp(e, &back), XDP_TX);
	cr_assert_eq(system("ip neighbour replace 10.244.0.2 lladdr 02:00:00:00:00:0e dev nic"), 0);
	cr_expect_eq(xdp(e, &there), XDP_TX);
	cr_assert_eq(system("echo 0 >/proc/sys/net/ipv4/conf/nic/forwarding"), 0);
	cr_expect_eq(xdp(e, &there), XDP_PASS, "the node forwards nothing");
	cr_assert_eq(system("echo 1 >/proc/sys/net/ipv4/conf/nic/forwarding"), 0);
	env_free(e);
}

/* ---- the connection's life ---- */

/* A segment by tc, as it goes up the stack and leaves, or by XDP. */
static void segment(struct env *e, const struct far *far, bool by_xdp, const struct env_packet *p)
{
	struct env_packet out = *p;
	struct env_result r;

	if (by_xdp) {
		cr_expect_eq(xdp(e, p), XDP_TX, "flags %x, number %u", p->flags, p->seq);
		return;
	}
	r = env_run(e, "from_nic", p);
	cr_expect_eq(r.action, TC_ACT_UNSPEC);
	out.t = r.packet.t;
	r = env_run(e, "to_nic", &out);
	cr_expect_eq(r.action, TC_ACT_UNSPEC);
	(void)far;
}

static struct env_packet say(const struct far *far, bool client, __u8 flags, __u32 seq, __u32 ack,
			     unsigned payload)
{
	struct env_packet p = client ? from_client(far) : from_endpoint(far);

	p.flags = flags;
	p.seq = seq;
	p.ack = ack;
	p.payload = payload;
	return p;
}

/* Data both ways, one of them twice, one that no receiver takes, and both FINs. */
static const struct {
	bool client;
	__u8 flags;
	__u32 seq, ack;
	unsigned payload;
} script[] = {
	{ true, ACK, 1001, 5001, 0 },	      { true, ACK, 1001, 5001, 100 },
	{ false, ACK, 5001, 1101, 1000 },     { false, ACK, 5001, 1101, 1000 },
	{ true, ACK, 1101, 6001, 0 },	      { true, ACK, 900000, 6001, 50 },
	{ false, FIN | ACK, 6001, 1101, 10 }, { true, ACK, 1101, 6012, 20 },
	{ true, FIN | ACK, 1121, 6012, 0 },   { false, ACK, 6012, 1122, 0 },
};

/* How packets go: all by tc, all by XDP, in turns. */
static bool goes_by_xdp(int way, size_t i)
{
	return way == 1 || (way == 2 && i % 2);
}

static void forget_times(struct conn *c)
{
	c->created = c->seen = c->reset_at = 0;
}

/* Once both FINs are acknowledged. */
static void expect_counted(struct env *e, size_t steps)
{
	bool ended = steps == sizeof(script) / sizeof(script[0]);
	struct tcp_traffic t = env_tcp_traffic(e);

	cr_expect_eq(t.opened, 1);
	cr_expect_eq(t.closed, ended);
	cr_expect_eq(t.received, ended ? 120 : 0, "%llu received", t.received);
	cr_expect_eq(t.sent, ended ? 1010 : 0, "%llu sent", t.sent);
}

static void play(int family, int way, size_t steps, struct conn out[2])
{
	struct env *e = far_env(family);
	struct far far = open_far(e);
	struct tuple reply;

	for (size_t i = 0; i < steps; i++) {
		struct env_packet p = say(&far, script[i].client, script[i].flags, script[i].seq,
					  script[i].ack, script[i].payload);

		segment(e, &far, goes_by_xdp(way, i), &p);
	}
	cr_assert(env_conn(e, &far.a, &out[0]));
	tuple_turn(&reply, &out[0].to);
	reply.hook = HOOK_EGRESS;
	cr_assert(env_conn(e, &reply, &out[1]));
	forget_times(&out[0]);
	expect_counted(e, steps);
	forget_times(&out[1]);
	env_free(e);
}

/* What an entry says is the same after each packet, whichever way it and those before it went. */
Test(xdp, counts_as_tc_does, .timeout = 300)
{
	const size_t all = sizeof(script) / sizeof(script[0]);

	for (int family = 4; family <= 6; family += 2) {
		for (size_t steps = 1; steps <= all; steps++) {
			struct conn want[2], got[2];

			play(family, 0, steps, want);
			for (int way = 1; way <= 2; way++) {
				play(family, way, steps, got);
				cr_expect(!memcmp(want, got, sizeof(got)),
					  "IPv%d, way %d, %zu packets", family, way, steps);
			}
			if (steps < all)
				continue;
			cr_expect_eq(got[0].state, CONN_CLOSED);
			cr_expect_eq(got[0].bytes, 120);
			cr_expect_eq(got[1].bytes, 1010);
		}
	}
}

Test(xdp, a_place_is_given_back, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = far_env(family);
		struct far far = open_far(e);
		struct env_packet p = say(&far, true, ACK, 1001, 5001, 0);

		segment(e, &far, true, &p);
		cr_expect_eq(env_limit(e).steered, 1);
		cr_expect_eq(env_entries(e), 4);
		p = say(&far, true, RST | ACK, 1001, 5001, 0);
		segment(e, &far, true, &p);
		cr_expect_eq(env_limit(e).steered, 0);
		cr_expect_eq(env_entries(e), 0);
		cr_expect_eq(env_counted(e), 0);
		p = from_client(&far);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "after it");
		env_free(e);
	}
}

/* ---- the handshake, where the stack has no say ---- */

static const struct xdp_nic OPENS = { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 }, .opens = 1 };

static struct env *opening_env(const struct env_options *more, int family)
{
	struct env_options o = *more;
	struct env *e;

	o.family = family;
	o.outside = true;
	e = env_new(&o);
	env_permit(e, NIC_IF, &OPENS);
	return e;
}

static struct env_packet syn_of(struct env *e)
{
	return (struct env_packet){
		.t = steer_client(e), .flags = SYN, .seq = 1000, .window = 65535, .wscale = 8
	};
}

static struct env_packet answer_of(const struct tuple *c)
{
	struct env_packet p = {
		.flags = SYN | ACK, .seq = 5000, .ack = 1001, .window = 65535, .wscale = 10
	};

	tuple_turn(&p.t, c);
	return p;
}

/* Both ends' first packets, up the stack or by XDP. */
static struct far shake_hands(struct env *e, bool by_xdp)
{
	static struct run r;
	struct env_packet p = syn_of(e);
	struct far far = { .a = p.t };
	struct tuple back;

	if (!by_xdp) {
		p.t = env_run(e, "from_nic", &p).packet.t;
		far.c = env_run(e, "to_nic", &p).packet.t;
		p = answer_of(&far.c);
		p.t = env_run(e, "from_nic", &p).packet.t;
		env_run(e, "to_nic", &p);
		return far;
	}
	far.c = p.t;
	far.c.src = env_node(e);
	far.c.dst = env_endpoint(e);
	far.c.dport = ENDPOINT_PORT;
	put_frame(&r, &p);
	run_frame(e, &r);
	expect_sent("SYN", &r, &far.c, ENDPOINT_HOP);
	p = answer_of(&far.c);
	put_frame(&r, &p);
	run_frame(e, &r);
	tuple_turn(&back, &far.a);
	expect_sent("SYN+ACK", &r, &back, CLIENT_HOP);
	return far;
}

/* The four entries of a connection, without times. */
static void read_entries(struct env *e, const struct far *far, struct conn out[4])
{
	struct tuple b = far->a, key[4] = { far->a };

	b.dst = far->c.dst;
	b.dport = far->c.dport;
	key[1] = b;
	key[1].hook = HOOK_EGRESS;
	tuple_turn(&key[2], &b);
	key[2].hook = HOOK_EGRESS;
	tuple_turn(&key[3], &far->c);
	cr_assert_eq(env_entries(e), 4);
	cr_assert_eq(env_counted(e), 4);
	for (int i = 0; i < 4; i++) {
		cr_assert(env_conn(e, &key[i], &out[i]), "entry %d", i);
		forget_times(&out[i]);
	}
}

/* XDP makes what tc would have made of the same packets, and counts the same. */
Test(xdp, opens_as_tc_does, .timeout = 300)
{
	const struct env_options options = { .remote_endpoint = true, .max_connections = 7 };

	for (int family = 4; family <= 6; family += 2) {
		struct conn entries[2][4];
		struct cluster_stat stats[2];
		__u64 picks[2];

		for (int by_xdp = 0; by_xdp <= 1; by_xdp++) {
			struct env *e = opening_env(&options, family);
			struct far far = shake_hands(e, by_xdp);
			struct env_packet p = from_client(&far);

			read_entries(e, &far, entries[by_xdp]);
			stats[by_xdp] = env_cluster(e);
			picks[by_xdp] = env_picks(e);
			cr_expect_eq(env_limit(e).steered, 1);
			cr_expect_eq(env_endpoint_stat(e).active, 1);
			p.payload = 0;
			cr_expect_eq(xdp(e, &p), XDP_TX, "what follows, there");
			p = from_endpoint(&far);
			p.payload = 0;
			cr_expect_eq(xdp(e, &p), XDP_TX, "what follows, back");
			p.flags = RST | ACK;
			cr_expect_eq(xdp(e, &p), XDP_TX, "its end");
			cr_expect_eq(env_limit(e).steered, 0);
			env_free(e);
		}
		for (int i = 0; i < 4; i++)
			cr_expect(!memcmp(&entries[0][i], &entries[1][i], sizeof(struct conn)),
				  "IPv%d: entry %d", family, i);
		cr_expect(!memcmp(&stats[0], &stats[1], sizeof(stats[0])),
			  "the cluster's counters");
		cr_expect_eq(picks[0], picks[1], "turns");
	}
}

/* Another connection has the port, on the node's address: it takes another, and finds back. */
Test(xdp, opens_with_another_port, .timeout = 300)
{
	static struct run r;

	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			opening_env(&(struct env_options){ .remote_endpoint = true }, family);
		struct far first = shake_hands(e, true);
		struct env_packet p = syn_of(e);
		struct env_result got = {};
		struct tuple back;

		p.t.src.b[15]++;
		cr_assert_eq(
			system("ip route add 198.51.100.8/32 via 198.51.100.7 dev nic onlink && "
			       "ip -6 route add 2001:db8:2::8/128 via 2001:db8:2::7 dev nic "
			       "onlink"),
			0);
		put_frame(&r, &p);
		run_frame(e, &r);
		cr_assert_eq(r.verdict, XDP_TX);
		frame_get(r.frame, &p, &got);
		cr_expect(got.checksums_ok);
		cr_expect_neq(got.packet.t.sport, first.c.sport);
		got.packet.t.hook = HOOK_INGRESS;
		back = p.t;
		p = answer_of(&got.packet.t);
		put_frame(&r, &p);
		run_frame(e, &r);
		tuple_turn(&got.packet.t, &back);
		expect_sent("SYN+ACK", &r, &got.packet.t, CLIENT_HOP);
		cr_expect_eq(env_entries(e), 8);
		cr_assert_eq(
			system("ip route del 198.51.100.8/32 && ip -6 route del 2001:db8:2::8/128"),
			0);
		env_free(e);
	}
}

static void other_source(struct env_packet *p, const char *ip4, const char *ip6)
{
	__u8 mapped[16] = { [10] = 0xff, [11] = 0xff };

	if (p->t.src.b[10] == 0xff && !p->t.src.b[0]) {
		inet_pton(AF_INET, ip4, mapped + 12);
		memcpy(p->t.src.b, mapped, 16);
	} else {
		inet_pton(AF_INET6, ip6, p->t.src.b);
	}
}

static void of_loopback(struct env *e, struct env_packet *p)
{
	(void)e;
	other_source(p, "127.0.0.1", "::1");
}

static void of_a_group(struct env *e, struct env_packet *p)
{
	(void)e;
	other_source(p, "224.0.0.5", "ff02::1");
}

static void of_none(struct env *e, struct env_packet *p)
{
	(void)e;
	other_source(p, "0.0.0.0", "::");
}

static void of_the_node(struct env *e, struct env_packet *p)
{
	p->t.src = env_node(e);
}

/* Routes lead elsewhere. */
static void of_unknown(struct env *e, struct env_packet *p)
{
	(void)e;
	other_source(p, "192.0.2.77", "2001:db8:77::1");
}

static void to_another_port(struct env *e, struct env_packet *p)
{
	(void)e;
	p->t.dport++;
}

static void with_rst(struct env *e, struct env_packet *p)
{
	(void)e;
	p->flags |= RST;
}

static void with_fin(struct env *e, struct env_packet *p)
{
	(void)e;
	p->flags |= FIN;
}

static void not_permitted(struct env *e, struct env_packet *p)
{
	static const struct xdp_nic nic = { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 } };

	(void)p;
	env_permit(e, NIC_IF, &nic);
}

static void lapsed(struct env *e, struct env_packet *p)
{
	struct xdp_nic nic = OPENS;

	(void)p;
	nic.until = 1;
	env_permit(e, NIC_IF, &nic);
}

static void full(struct env *e, struct env_packet *p)
{
	(void)p;
	env_set_proxied(e, 7);
}

static const struct {
	const char *what;
	void (*change)(struct env *e, struct env_packet *p);
	struct env_options more;
} left[] = {
	{ "not permitted", not_permitted, { .remote_endpoint = true } },
	{ "not permitted any more", lapsed, { .remote_endpoint = true } },
	{ "from a loopback address", of_loopback, { .remote_endpoint = true } },
	{ "from a group's address", of_a_group, { .remote_endpoint = true } },
	{ "from no address", of_none, { .remote_endpoint = true } },
	{ "from the node's own address", of_the_node, { .remote_endpoint = true } },
	{ "from where no route leads", of_unknown, { .remote_endpoint = true } },
	{ "for no service", to_another_port, { .remote_endpoint = true } },
	{ "SYN and RST", with_rst, { .remote_endpoint = true } },
	{ "SYN and FIN", with_fin, { .remote_endpoint = true } },
	{ "no place", full, { .remote_endpoint = true, .max_connections = 7 } },
	{ "no endpoint", NULL, { .no_endpoint = true } },
	{ "no route", NULL, { .remote_endpoint = true, .no_route = true } },
	{ "an endpoint on this node", NULL, { .family = 4 } },
	{ "the node itself", NULL, { .node_endpoint = true } },
	{ "no rules", NULL, { .remote_endpoint = true, .without_generation = true } },
};

/* tc is to find everything as it was. */
Test(xdp, what_it_does_not_open_is_tcs, .timeout = 600)
{
	static struct run r;

	for (int family = 4; family <= 6; family += 2) {
		for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
			struct env *e = opening_env(&left[i].more, family);
			struct env_packet p = syn_of(e);
			__u64 picks = env_picks(e);

			if (left[i].change)
				left[i].change(e, &p);
			put_frame(&r, &p);
			run_frame(e, &r);
			expect_passed(left[i].what, &r);
			cr_expect_eq(env_entries(e), 0, "%s", left[i].what);
			cr_expect_eq(env_picks(e), picks, "%s: a turn", left[i].what);
			cr_expect_eq(env_limit(e).steered, 0, "%s: a place", left[i].what);
			cr_expect_eq(env_cluster(e).overflow, 0, "%s: refused", left[i].what);
			env_free(e);
		}
	}
}

/* The SYN again, and one for a connection that has ended, find their entries: tc knows what to do.
 */
Test(xdp, a_syn_of_what_is_known_is_tcs, .timeout = 300)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e =
			opening_env(&(struct env_options){ .remote_endpoint = true }, family);
		struct env_packet p = syn_of(e);

		shake_hands(e, true);
		cr_expect_eq(xdp(e, &p), XDP_PASS, "again");
		p.seq += 100000;
		cr_expect_eq(xdp(e, &p), XDP_PASS, "another");
		cr_expect_eq(env_entries(e), 4);
		env_free(e);
	}
}

Test(xdp, a_full_table_is_tcs_to_refuse, .timeout = 300)
{
	struct env *e =
		opening_env(&(struct env_options){ .remote_endpoint = true, .table_size = 6 }, 4);
	struct env_packet p = syn_of(e);

	shake_hands(e, true);
	p.t.sport++;
	cr_expect_eq(xdp(e, &p), XDP_PASS);
	cr_expect_eq(env_entries(e), 4);
	cr_expect_eq(env_counted(e), 4);
	cr_expect_eq(env_limit(e).steered, 1);
	env_free(e);
}
