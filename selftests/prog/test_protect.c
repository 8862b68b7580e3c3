// SPDX-License-Identifier: Apache-2.0
/*
 * What a ConnectionPolicy lets in, drops and asks for a proof, at XDP and at tc. Every row and
 * every test runs at both, with IPv4 and IPv6.
 */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "test_steer_util.h"

enum { ETH = 14, OTHER_PORT = 9001, TCP_LEN = 20 };

enum at { AT_XDP, AT_TC, AT_COUNT };

static const char *const at_names[] = { "XDP", "tc" };

enum fate { FATE_PASSED, FATE_DROPPED, FATE_ANSWERED };

/* A frame, and what has become of it. */
struct shot {
	__u8 frame[FRAME_MAX], sent[FRAME_MAX];
	size_t size, was;
	enum fate fate;
};

static struct env *protected_env(int family)
{
	return env_new(&(struct env_options){
		.family = family, .outside = true, .remote_endpoint = true, .table_size = 4096 });
}

static enum fate fate_of(enum at at, int verdict)
{
	if (at == AT_XDP)
		return verdict == XDP_DROP ? FATE_DROPPED
		       : verdict == XDP_TX ? FATE_ANSWERED
					   : FATE_PASSED;
	return verdict == TC_ACT_SHOT	    ? FATE_DROPPED
	       : verdict == TC_ACT_REDIRECT ? FATE_ANSWERED
					    : FATE_PASSED;
}

static enum fate shoot(struct env *e, enum at at, struct shot *s)
{
	memcpy(s->sent, s->frame, s->size);
	s->was = s->size;
	s->fate = fate_of(at, at == AT_XDP ? env_run_xdp(e, NIC_IF, s->frame, &s->size)
					   : env_run_frame(e, "from_nic", NIC_IF, 0, s->frame,
							   &s->size));
	return s->fate;
}

static void put(struct shot *s, const struct env_packet *p)
{
	memset(s->frame, 0, sizeof(s->frame));
	s->size = frame_put(s->frame, p);
}

static enum fate fire(struct env *e, enum at at, const struct env_packet *p)
{
	static struct shot s;

	put(&s, p);
	return shoot(e, at, &s);
}

static struct env_packet syn_of(struct env *e, __u16 sport)
{
	struct env_packet p = { .t = steer_client(e), .flags = SYN, .seq = 1000, .window = 65535 };

	p.t.sport = sport;
	return p;
}

/* How often each reason was counted, and the difference since. */
struct counts {
	__u64 n[PROTECT_REASONS];
};

static struct counts counts_now(struct env *e)
{
	struct counts c;

	for (int i = 0; i < PROTECT_REASONS; i++)
		c.n[i] = env_protect_count(e, i);
	return c;
}

/* PROTECT_REASONS: none of them. */
static void expect_counted(struct env *e, const char *what, const struct counts *before,
			   enum protect_reason reason, __u64 times)
{
	struct counts now = counts_now(e);

	for (int i = 0; i < PROTECT_REASONS; i++)
		cr_expect_eq(now.n[i] - before->n[i], i == (int)reason ? times : 0,
			     "%s: reason %d: %llu", what, i,
			     (unsigned long long)(now.n[i] - before->n[i]));
}

/* ---- what is wrong by itself ---- */

static bool is_ip4(const struct shot *s)
{
	return s->frame[ETH] >> 4 == 4;
}

static __u8 *tcp_at(struct shot *s)
{
	return s->frame + ETH + (is_ip4(s) ? 20 : 40);
}

static void source_is(struct shot *s, const __u8 ip4[4], const __u8 ip6[16])
{
	if (is_ip4(s))
		memcpy(s->frame + ETH + 12, ip4, 4);
	else
		memcpy(s->frame + ETH + 8, ip6, 16);
}

static void loopback(struct shot *s)
{
	source_is(s, (__u8[4]){ 127, 1, 2, 3 }, (__u8[16]){ [15] = 1 });
}

static void multicast(struct shot *s)
{
	source_is(s, (__u8[4]){ 239, 1, 2, 3 }, (__u8[16]){ 0xff, 2, [15] = 9 });
}

static void unspecified(struct shot *s)
{
	source_is(s, (__u8[4]){ 0 }, (__u8[16]){ 0 });
}

static void broadcast_or_mapped(struct shot *s)
{
	source_is(s, (__u8[4]){ 255, 255, 255, 255 },
		  (__u8[16]){ [10] = 0xff, [11] = 0xff, 198, 51, 100, 9 });
}

static void own_address(struct shot *s)
{
	source_is(s, (__u8[4]){ 203, 0, 113, 1 }, (__u8[16]){ 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 });
}

static void syn_fin(struct shot *s)
{
	tcp_at(s)[13] = SYN | FIN;
}

static void syn_rst(struct shot *s)
{
	tcp_at(s)[13] = SYN | RST;
}

static void no_flags(struct shot *s)
{
	tcp_at(s)[13] = 0xc0; /* those of congestion do not count */
}

static void short_header(struct shot *s)
{
	tcp_at(s)[12] = 4 << 4;
}

static void long_header(struct shot *s)
{
	tcp_at(s)[12] = 15 << 4;
}

static void add_length(struct shot *s, int more)
{
	__u8 *at = s->frame + ETH + (is_ip4(s) ? 2 : 4);
	int len = (at[0] << 8 | at[1]) + more;

	at[0] = len >> 8;
	at[1] = len;
}

static void longer_than_the_frame(struct shot *s)
{
	add_length(s, 1);
}

static void shorter_than_its_header(struct shot *s)
{
	add_length(s, -1);
}

static void plain_ack(struct shot *s)
{
	tcp_at(s)[13] = ACK;
}

static const struct fault {
	const char *what;
	void (*change)(struct shot *s);
	enum protect_reason reason; /* PROTECT_REASONS: it passes */
} faults[] = {
	{ "SYN and FIN", syn_fin, PROTECT_MALFORMED },
	{ "SYN and RST", syn_rst, PROTECT_MALFORMED },
	{ "no flags", no_flags, PROTECT_MALFORMED },
	{ "a header too short", short_header, PROTECT_MALFORMED },
	{ "a header longer than the packet", long_header, PROTECT_MALFORMED },
	{ "a packet longer than its frame", longer_than_the_frame, PROTECT_MALFORMED },
	{ "a packet shorter than its header", shorter_than_its_header, PROTECT_MALFORMED },
	{ "from loopback", loopback, PROTECT_SPOOFED },
	{ "from a multicast address", multicast, PROTECT_SPOOFED },
	{ "from no address", unspecified, PROTECT_SPOOFED },
	{ "from broadcast, from IPv4 in IPv6", broadcast_or_mapped, PROTECT_SPOOFED },
	{ "from the node itself", own_address, PROTECT_SPOOFED },
	{ "an ACK", plain_ack, PROTECT_REASONS },
};

static void expect_fault(struct env *e, enum at at, const struct fault *f)
{
	struct counts before = counts_now(e);
	struct env_packet p = syn_of(e, CLIENT_PORT);
	enum fate want = f->reason == PROTECT_REASONS ? FATE_PASSED : FATE_DROPPED;
	static struct shot s;

	put(&s, &p);
	f->change(&s);
	cr_expect_eq(shoot(e, at, &s), want, "%s: %s: fate %d", at_names[at], f->what, s.fate);
	expect_counted(e, f->what, &before, f->reason, 1);
}

Test(protect, what_no_host_sends_is_dropped, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);

		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++)
			for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
				expect_fault(e, at, &faults[i]);
		cr_expect_eq(env_entries(e), 0);
		env_free(e);
	}
}

/* To where weft serves nothing, what is odd is not ours to judge; nor is anything without a
 * policy. */
Test(protect, what_is_not_served_passes, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON };
	static struct shot s;

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);

		for (enum at at = 0; at < AT_COUNT; at++) {
			for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
				struct env_packet p = syn_of(e, CLIENT_PORT);
				struct counts before = counts_now(e);

				p.t.dst = env_router(e);
				env_protect(e, &on);
				put(&s, &p);
				faults[i].change(&s);
				shoot(e, at, &s);
				cr_expect_eq(s.fate, FATE_PASSED, "%s: %s, elsewhere", at_names[at],
					     faults[i].what);
				env_protect(e, NULL);
				p.t.dst = env_vip(e);
				p.flags = ACK;
				put(&s, &p);
				cr_expect_eq(shoot(e, at, &s), FATE_PASSED);
				expect_counted(e, faults[i].what, &before, PROTECT_REASONS, 0);
			}
		}
		env_free(e);
	}
}

/* ---- allow and deny ---- */

static void expect_syn(struct env *e, enum at at, const struct addr *src,
		       enum protect_reason reason)
{
	struct counts before = counts_now(e);
	struct env_packet p = syn_of(e, CLIENT_PORT);
	enum fate want = reason == PROTECT_PASSED_SYN ? FATE_PASSED : FATE_DROPPED;

	p.t.src = *src;
	cr_expect_eq(fire(e, at, &p), want, "%s: %s", at_names[at], steer_show(&p.t));
	expect_counted(e, steer_show(&p.t), &before, reason, 1);
	env_clear(e);
}

Test(protect, the_longest_prefix_counts, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		const unsigned wide = family == 4 ? 16 : 48, narrow = family == 4 ? 24 : 64,
			       all = family == 4 ? 32 : 128;
		struct protect_limits on = { .flags = PROTECT_ON };
		struct env *e = protected_env(family);
		struct addr client = env_client(e), near = client, other = env_router(e);

		near.b[15] ^= 1;
		env_protect_source(e, &client, wide, PROTECT_DENY);
		env_protect_source(e, &client, narrow, PROTECT_ALLOW);
		env_protect_source(e, &near, all, PROTECT_DENY);
		for (enum at at = 0; at < AT_COUNT; at++) {
			on.flags = PROTECT_ON;
			env_protect(e, &on);
			expect_syn(e, at, &client, PROTECT_PASSED_SYN);
			expect_syn(e, at, &near, PROTECT_DENIED);
			expect_syn(e, at, &other, PROTECT_PASSED_SYN);
			on.flags |= PROTECT_ALLOW_LISTED;
			env_protect(e, &on);
			expect_syn(e, at, &client, PROTECT_PASSED_SYN);
			expect_syn(e, at, &near, PROTECT_DENIED);
			expect_syn(e, at, &other, PROTECT_NOT_ALLOWED);
		}
		env_free(e);
	}
}

Test(protect, only_the_ports_that_are_named, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct protect_limits on = { .flags = PROTECT_ON | PROTECT_ALLOW_LISTED };
		struct env *e = protected_env(family);

		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env_packet p = syn_of(e, CLIENT_PORT);

			on.port_count = 0;
			env_protect(e, &on);
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: served", at_names[at]);
			p.t.dport = OTHER_PORT;
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: not served", at_names[at]);
			on.port_count = 2;
			on.ports[1] = OTHER_PORT;
			env_protect(e, &on);
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: named", at_names[at]);
			p.t.dst = env_router(e);
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: elsewhere", at_names[at]);
			p = syn_of(e, CLIENT_PORT);
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: not named", at_names[at]);
			env_clear(e);
		}
		env_free(e);
	}
}

/* A source that is not heard may ask for nothing, but what the node has asked it for comes in. */
Test(protect, an_endpoints_answers_pass, .timeout = 60)
{
	struct protect_limits on = { .flags = PROTECT_ON | PROTECT_ALLOW_LISTED, .port_count = 1 };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct tuple a = steer_client(e), b = steer_open(e, &a, "from_nic", TC_ACT_UNSPEC);
		struct env_packet syn = { .t = b, .flags = SYN, .seq = 1000, .window = 65535 };
		struct env_packet back = { .flags = SYN | ACK, .seq = 1, .ack = 1001 };
		struct tuple c = env_run(e, "to_nic", &syn).packet.t;

		tuple_turn(&back.t, &c);
		on.ports[0] = c.sport;
		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env_packet other = back;

			cr_expect_eq(fire(e, at, &back), FATE_PASSED, "%s: an endpoint's",
				     at_names[at]);
			other.t.sport++;
			other.flags = SYN;
			cr_expect_eq(fire(e, at, &other), FATE_DROPPED, "%s: another's",
				     at_names[at]);
		}
		env_free(e);
	}
}

/* What is of no caller's connection may be the answer to one of the node's own whose number, which
 * masquerading has chosen, is that of a port that is served. */
Test(protect, only_callers_connections_are_held_to_sources, .timeout = 60)
{
	static const __u8 answers[] = { SYN | ACK, ACK, FIN | ACK, RST, RST | ACK };
	struct protect_limits on = { .flags = PROTECT_ON };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct addr client = env_client(e);
		struct tuple a = steer_client(e);
		struct env_packet p = syn_of(e, a.sport + 1);

		steer_open(e, &a, "from_nic", TC_ACT_UNSPEC);
		env_protect_source(e, &client, family == 4 ? 32 : 128, PROTECT_DENY);
		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++) {
			for (size_t i = 0; i < sizeof(answers); i++) {
				p.flags = answers[i];
				p.t.sport = a.sport + 1;
				cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: answer %zu",
					     at_names[at], i);
				p.t.sport = a.sport;
				cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: a caller's %zu",
					     at_names[at], i);
			}
			p.flags = SYN;
			p.t.sport = a.sport + 1;
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: a SYN", at_names[at]);
		}
		env_free(e);
	}
}

static void wait_for_jiffies(void)
{
	usleep(2 * 10 * 1000); /* two, where they are longest */
}

/* What a destination is is not looked up for each frame: never longer than a jiffy, and not for
 * another generation, does it count. */
Test(protect, what_is_served_no_more_is_not_protected, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct addr client = env_client(e);
		struct env_packet p = syn_of(e, CLIENT_PORT);

		env_protect_source(e, &client, family == 4 ? 32 : 128, PROTECT_DENY);
		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++) {
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s", at_names[at]);
			env_set_generation(e, 2);
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: served by no generation",
				     at_names[at]);
			env_set_generation(e, 1);
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: again", at_names[at]);
			env_set_node(e, false);
			wait_for_jiffies();
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: another node's address",
				     at_names[at]);
			env_set_node(e, true);
			wait_for_jiffies();
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: the node's", at_names[at]);
			env_clear(e);
		}
		env_free(e);
	}
}

/* Their packets come by the NIC where that is the bridge. */
Test(protect, pods_behind_a_bridge_are_not_outside, .timeout = 60)
{
	const struct xdp_nic bridge = { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 } }, plain = {
		.until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 }, .no_bridge = 1
	};
	const struct protect_limits on = { .flags = PROTECT_ON };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct addr client = env_client(e);
		struct env_packet p = syn_of(e, CLIENT_PORT);

		env_protect_source(e, &client, family == 4 ? 32 : 128, PROTECT_DENY);
		env_add_behind_nic(e, &client);
		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++) {
			env_permit(e, NIC_IF, &bridge);
			wait_for_jiffies();
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: a bridge", at_names[at]);
			env_permit(e, NIC_IF, &plain);
			wait_for_jiffies();
			cr_expect_eq(fire(e, at, &p), FATE_DROPPED, "%s: none", at_names[at]);
			env_permit(e, NIC_IF, NULL);
			wait_for_jiffies();
			cr_expect_eq(fire(e, at, &p), FATE_PASSED, "%s: unknown", at_names[at]);
			env_clear(e);
		}
		env_free(e);
	}
}

/* ---- rates ---- */

static void wait_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

/* How many of `count` SYNs, each from a port of its own, pass. */
static unsigned passed_of(struct env *e, enum at at, const struct addr *src, unsigned count)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < count; i++) {
		struct env_packet p = syn_of(e, CLIENT_PORT + i);

		p.t.src = *src;
		passed += fire(e, at, &p) == FATE_PASSED;
	}
	env_clear(e);
	return passed;
}

Test(protect, each_source_has_a_rate, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON,
					   .source_rate = 2,
					   .source_burst = 5 };

	for (int family = 4; family <= 6; family += 2) {
		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env *e = protected_env(family);
			struct addr one = env_client(e), near = one, other = one;
			struct counts before = counts_now(e);

			near.b[15] ^= 1;
			other.b[family == 4 ? 15 : 7] ^= 2;
			env_protect(e, &on);
			cr_expect_eq(passed_of(e, at, &one, 8), 5);
			cr_expect_eq(env_protect_count(e, PROTECT_SOURCE_RATE) -
					     before.n[PROTECT_SOURCE_RATE],
				     3);
			/* Of IPv6 it is the /64 that has one. */
			cr_expect_eq(passed_of(e, at, &near, 8), family == 4 ? 5 : 0);
			cr_expect_eq(passed_of(e, at, &other, 8), 5);
			wait_ms(550);
			cr_expect_eq(passed_of(e, at, &one, 8), 1, "after half a second");
			env_free(e);
		}
	}
}

Test(protect, all_have_a_rate, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON, .total_rate = 4 },
				    fast = { .flags = PROTECT_ON, .total_rate = 1000 };

	for (int family = 4; family <= 6; family += 2) {
		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env *e = protected_env(family);
			struct addr one = env_client(e), other = env_router(e);
			struct counts before = counts_now(e);

			wait_ms(1100); /* the bucket is everyone's, also an earlier test's */
			env_protect(e, &on);
			cr_expect_eq(passed_of(e, at, &one, 3) + passed_of(e, at, &other, 3), 4);
			cr_expect_eq(env_protect_count(e, PROTECT_TOTAL_RATE) -
					     before.n[PROTECT_TOTAL_RATE],
				     2);
			env_protect(e, &fast);
			passed_of(e, at, &one, 1);
			wait_ms(100);
			cr_expect_eq(passed_of(e, at, &one, 20), 20,
				     "what another policy has taken counts no more");
			env_free(e);
		}
	}
}

/* A packet that is no SYN takes nothing. */
Test(protect, only_new_connections_count, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON,
					   .source_rate = 1,
					   .source_burst = 1 };

	for (enum at at = 0; at < AT_COUNT; at++) {
		struct env *e = protected_env(4);
		struct env_packet p = syn_of(e, CLIENT_PORT);
		struct addr client = env_client(e);

		env_protect(e, &on);
		p.flags = ACK;
		for (int i = 0; i < 5; i++)
			cr_expect_eq(fire(e, at, &p), FATE_PASSED);
		cr_expect_eq(passed_of(e, at, &client, 3), 1);
		env_free(e);
	}
}

/* ---- cookies ---- */

/* The challenge that a SYN is answered with; its cookie. */
static __u32 challenge(struct env *e, enum at at, const struct env_packet *syn)
{
	struct tuple back;
	struct env_result got = {};
	static struct shot s;

	put(&s, syn);
	cr_assert_eq(shoot(e, at, &s), FATE_ANSWERED, "%s: fate %d", at_names[at], s.fate);
	frame_get(s.frame, syn, &got);
	tuple_turn(&back, &syn->t);
	steer_expect("the challenge", &got.packet.t, &back);
	cr_expect(got.checksums_ok, "%s: checksums", at_names[at]);
	cr_expect(frame_is_plain(s.frame, s.size));
	cr_expect_eq(got.packet.flags, ACK, "flags %x", got.packet.flags);
	cr_expect_eq(got.packet.payload, 0);
	cr_expect(s.size <= s.was, "it is not longer than what it answers");
	cr_expect(!memcmp(s.frame, s.sent + 6, 6) && !memcmp(s.frame + 6, s.sent, 6));
	cr_expect(at != AT_XDP || !env_marked(e), "the mark leaves with it");
	return got.packet.ack;
}

static struct env_packet proof_of(const struct env_packet *syn, __u32 cookie)
{
	struct env_packet p = *syn;

	p.flags = RST;
	p.seq = cookie;
	p.ack = 0;
	p.window = 0;
	p.payload = 0;
	p.wscale = 0;
	return p;
}

static void expect_proof(struct env *e, enum at at, const struct env_packet *syn)
{
	struct counts before = counts_now(e);
	__u32 cookie = challenge(e, at, syn);
	struct env_packet proof = proof_of(syn, cookie), bad = proof_of(syn, cookie ^ 1 << 28),
			  other = *syn;

	expect_counted(e, "a SYN", &before, PROTECT_COOKIE_SENT, 1);
	before = counts_now(e);
	cr_expect_eq(fire(e, at, &bad), FATE_PASSED);
	expect_counted(e, "a bad cookie", &before,
		       at == AT_TC ? PROTECT_COOKIE_BAD : PROTECT_REASONS, 1);
	challenge(e, at, syn);
	before = counts_now(e);
	cr_expect_eq(fire(e, at, &proof), FATE_DROPPED);
	expect_counted(e, "a good cookie", &before, PROTECT_COOKIE_GOOD, 1);
	other.t.sport++;
	challenge(e, at, &other);
	before = counts_now(e);
	cr_expect_eq(fire(e, at, syn), FATE_PASSED, "%s: the SYN again", at_names[at]);
	expect_counted(e, "the SYN again", &before, PROTECT_PASSED_SYN, 1);
	cr_expect(at != AT_XDP || env_marked(e), "tc shall not judge it again");
	env_clear(e);
}

Test(protect, a_client_proves_where_it_is, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);

		env_protect(e, &on);
		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env_packet syn = syn_of(e, CLIENT_PORT + 10 * at);

			expect_proof(e, at, &syn);
			syn.t.sport += 5;
			syn.wscale = 8;
			syn.payload = 1000; /* TCP Fast Open */
			expect_proof(e, at, &syn);
		}
		cr_expect_eq(env_entries(e), 0);
		env_free(e);
	}
}

/* A proof at one hook is good at the other: a NIC's XDP may come and go. */
Test(protect, xdp_and_tc_believe_each_other, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct env_packet syn = syn_of(e, CLIENT_PORT), proof;

		env_protect(e, &on);
		proof = proof_of(&syn, challenge(e, AT_XDP, &syn));
		cr_expect_eq(fire(e, AT_TC, &proof), FATE_DROPPED);
		cr_expect_eq(fire(e, AT_XDP, &syn), FATE_PASSED);
		cr_expect_eq(fire(e, AT_TC, &syn), FATE_PASSED);
		env_free(e);
	}
}

static enum fate shoot_at_mac(struct env *e, enum at at, const struct env_packet *p,
			      const __u8 mac[6])
{
	static struct shot s;

	put(&s, p);
	memcpy(s.frame, mac, 6);
	return shoot(e, at, &s);
}

/* A group's frames are answered by nobody, another host's not by XDP: only where a NIC is in
 * promiscuous mode do they come, and tc sees that they are not for this host. */
Test(protect, others_frames_are_not_answered, .timeout = 60)
{
	static const __u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
			  other[6] = { 2, 0, 0, 0, 9, 9 };
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS };
	struct env *e = protected_env(4);
	struct env_packet syn = syn_of(e, CLIENT_PORT);
	struct counts before = counts_now(e);

	env_protect(e, &on);
	cr_expect_eq(shoot_at_mac(e, AT_XDP, &syn, all), FATE_PASSED);
	cr_expect_eq(shoot_at_mac(e, AT_XDP, &syn, other), FATE_PASSED);
	cr_expect_not(env_marked(e), "tc shall judge it");
	expect_counted(e, "at XDP", &before, PROTECT_REASONS, 0);
	cr_expect_eq(shoot_at_mac(e, AT_TC, &syn, all), FATE_DROPPED);
	expect_counted(e, "at tc", &before, PROTECT_UNANSWERED, 1);
	env_free(e);
}

/* Where XDP can't send, tc asks for the proof, and counts the SYN. */
Test(protect, where_xdp_cannot_send_tc_answers, .timeout = 60)
{
	static const struct xdp_nic mute = { .until = ~0ull,
					     .mac = { 2, 0, 0, 0, 0, 2 },
					     .opens = 1 };
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS },
				    plain = { .flags = PROTECT_ON };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct env_packet syn = syn_of(e, CLIENT_PORT);
		struct counts before = counts_now(e);

		env_protect(e, &on);
		env_permit(e, NIC_IF, &mute);
		cr_expect_eq(fire(e, AT_XDP, &syn), FATE_PASSED);
		cr_expect_not(env_marked(e), "tc shall judge it");
		env_permit(e, NIC_IF, NULL);
		cr_expect_eq(fire(e, AT_XDP, &syn), FATE_PASSED);
		expect_counted(e, "at XDP", &before, PROTECT_REASONS, 0);
		expect_proof(e, AT_TC, &syn);
		env_protect(e, &plain);
		before = counts_now(e);
		cr_expect_eq(fire(e, AT_XDP, &syn), FATE_PASSED);
		expect_counted(e, "no proof is asked for", &before, PROTECT_PASSED_SYN, 1);
		env_free(e);
	}
}

Test(protect, cookies_are_asked_for_under_a_flood, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_AUTO,
					   .cookie_threshold = 20 };

	for (int family = 4; family <= 6; family += 2) {
		for (enum at at = 0; at < AT_COUNT; at++) {
			struct env *e = protected_env(family);
			struct addr one = env_client(e);

			wait_ms(1100);
			env_protect(e, &on);
			env_protect_calm(e);
			cr_expect_eq(passed_of(e, at, &one, 20), 20, "%s", at_names[at]);
			cr_expect_eq(passed_of(e, at, &one, 20), 0, "%s", at_names[at]);
			wait_ms(200);
			cr_expect_eq(passed_of(e, at, &one, 3), 0,
				     "%s: not for as long as it was just now", at_names[at]);
			env_protect_calm(e);
			wait_ms(200);
			cr_expect_gt(passed_of(e, at, &one, 3), 0, "%s: calm again", at_names[at]);
			env_free(e);
		}
	}
}

/* ---- what is not plain ---- */

/* XDP leaves to tc what has options or comes in fragments. */
Test(protect, tc_judges_what_is_not_plain, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_ALLOW_LISTED };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct env_packet options = syn_of(e, CLIENT_PORT), fragment = options;

		options.options = true;
		fragment.first_fragment = true;
		env_protect(e, &on);
		cr_expect_eq(fire(e, AT_XDP, &options), FATE_PASSED);
		cr_expect_eq(fire(e, AT_TC, &options), FATE_DROPPED);
		cr_expect_eq(fire(e, AT_XDP, &fragment), FATE_PASSED);
		cr_expect_eq(fire(e, AT_TC, &fragment), FATE_DROPPED);
		env_free(e);
	}
}

/* Puts extension headers of `bytes` each in front of the TCP header. */
static void extend(struct shot *s, unsigned count, unsigned bytes)
{
	enum { AT = ETH + 40, DSTOPTS = 60, TCP = 6, PADN = 1 };
	__u8 *next = s->frame + ETH + 6;

	memmove(s->frame + AT + count * bytes, s->frame + AT, s->size - AT);
	memset(s->frame + AT, 0, count * bytes);
	for (unsigned i = 0; i < count; i++) {
		__u8 *h = s->frame + AT + i * bytes;

		*next = DSTOPTS;
		next = h;
		h[1] = bytes / 8 - 1;
		for (unsigned at = 2, left; at < bytes; at += left) {
			left = bytes - at < 257 ? bytes - at : 257;
			if (left == bytes - at - 1)
				left--;
			h[at] = PADN;
			h[at + 1] = left - 2;
		}
	}
	*next = TCP;
	s->size += count * bytes;
	add_length(s, count * bytes);
}

/* What packet_parse() does not read to its end hides no SYN from a policy. */
Test(protect, headers_without_end_are_dropped, .timeout = 60)
{
	static const struct {
		unsigned count, bytes;
		enum protect_reason reason;
	} rows[] = {
		{ 1, 8, PROTECT_NOT_ALLOWED },	{ 5, 8, PROTECT_NOT_ALLOWED },
		{ 6, 8, PROTECT_MALFORMED },	{ 7, 8, PROTECT_MALFORMED },
		{ 1, 1032, PROTECT_MALFORMED }, { 6, 200, PROTECT_MALFORMED },
	};
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_ALLOW_LISTED };
	struct env *e = protected_env(6);
	static struct shot s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct env_packet syn = syn_of(e, CLIENT_PORT);
		const struct addr dsts[] = { env_vip(e), env_node(e) };

		for (size_t k = 0; k < 2; k++) {
			struct counts before = counts_now(e);

			if (k && rows[i].reason == PROTECT_NOT_ALLOWED)
				continue; /* the node has no such port */
			syn.t.dst = dsts[k];
			env_protect(e, &on);
			put(&s, &syn);
			extend(&s, rows[i].count, rows[i].bytes);
			cr_expect_eq(shoot(e, AT_XDP, &s), FATE_PASSED);
			cr_expect_eq(shoot(e, AT_TC, &s), FATE_DROPPED, "%u headers of %u bytes",
				     rows[i].count, rows[i].bytes);
			expect_counted(e, "headers", &before, rows[i].reason, 1);
			env_protect(e, NULL);
			cr_expect_eq(shoot(e, AT_TC, &s), FATE_PASSED);
		}
		env_clear(e);
	}
	env_free(e);
}

Test(protect, options_are_cut_off_a_challenge, .timeout = 60)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS };

	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct env_packet syn = syn_of(e, CLIENT_PORT), proof;

		env_protect(e, &on);
		syn.options = true;
		proof = proof_of(&syn, challenge(e, AT_TC, &syn));
		cr_expect_eq(fire(e, AT_TC, &proof), FATE_DROPPED);
		cr_expect_eq(fire(e, AT_TC, &syn), FATE_PASSED);
		env_free(e);
	}
}

/* ---- any bytes ---- */

enum { MUTATED = 50000 };

static void expect_sane(enum at at, const struct shot *s)
{
	switch (s->fate) {
	case FATE_DROPPED:
		return;
	case FATE_ANSWERED:
		cr_assert(frame_is_plain(s->frame, s->size), "%s: an answer", at_names[at]);
		cr_assert(frame_checksums_ok(s->frame), "%s: an answer's checksums", at_names[at]);
		cr_assert(s->size <= s->was);
		return;
	case FATE_PASSED:
		cr_assert_eq(s->size, s->was);
		cr_assert(at == AT_TC || !memcmp(s->frame, s->sent, s->was), "not untouched");
	}
}

/* Whatever a frame is like, it passes, untouched by XDP, is dropped, or is answered properly. */
Test(protect, any_bytes, .timeout = 300)
{
	const struct protect_limits on = { .flags = PROTECT_ON | PROTECT_COOKIES_ALWAYS,
					   .source_rate = 1000,
					   .total_rate = 1000 };
	static struct shot s;

	srand(4711);
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = protected_env(family);
		struct counts before = counts_now(e), after;

		env_protect(e, &on);
		for (int i = 0; i < MUTATED; i++) {
			struct env_packet syn = syn_of(e, CLIENT_PORT);
			enum at at = i & 1;

			if (i & 2)
				syn.flags = RST;
			syn.options = i & 4;
			put(&s, &syn);
			frame_mutate(s.frame, &s.size);
			if (s.size < ETH + TCP_LEN + TCP_LEN)
				s.size = ETH + TCP_LEN + TCP_LEN;
			shoot(e, at, &s);
			expect_sane(at, &s);
		}
		after = counts_now(e);
		cr_expect_gt(after.n[PROTECT_COOKIE_SENT] - before.n[PROTECT_COOKIE_SENT],
			     MUTATED / 20);
		cr_expect_gt(after.n[PROTECT_MALFORMED] - before.n[PROTECT_MALFORMED],
			     MUTATED / 100);
		env_free(e);
	}
}
