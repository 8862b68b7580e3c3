// SPDX-License-Identifier: Apache-2.0
/*
 * Frames with a few bits that are wrong, for every program that sees frames: whatever comes of
 * them, it is one of the verdicts that tc or XDP knows, and nothing is changed that is not
 * translated. Of TCP, also with options, extension headers, in fragments or with a VLAN's tag, and
 * of ICMP errors; of a connection, and of new ones. $WEFT_MUTATED: how many for each program.
 */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "test_steer_util.h"
#include "weft/tproxy.h"

enum {
	RST_LEN = 20,
	FRAME_LEAST = 54, /* the kernel's test runs want an IP header */
};

/* A connection's addresses at each hook, both ways. */
struct seen {
	struct tuple a, b, c;
};

struct row {
	const char *program;
	bool outside; /* the client; then the endpoint is on another node */
	bool back;    /* what the endpoint sends */
	struct tuple (*at)(const struct seen *s);
	__u32 ifindex;
	__u32 mark;
};

static struct tuple as_called(const struct seen *s)
{
	return s->a;
}

static struct tuple as_forwarded(const struct seen *s)
{
	return s->b;
}

static struct tuple as_sent(const struct seen *s)
{
	return s->c;
}

static const struct row rows[] = {
	{ "from_pod", false, false, as_called, CLIENT_IF, 0 },
	{ "to_pod", false, true, as_forwarded, CLIENT_IF, 0 },
	{ "from_nic", true, false, as_called, NIC_IF, 0 },
	{ "to_nic", true, false, as_forwarded, NIC_IF, 0 },
	{ "from_nic", true, true, as_sent, NIC_IF, 0 },
	{ "to_nic", true, true, as_forwarded, NIC_IF, 0 },
	{ "from_bridge", false, false, as_called, CLIENT_IF, TPROXY_MARK },
	{ "from_wire", true, false, as_called, NIC_IF, 0 },
	{ "from_wire", true, true, as_sent, NIC_IF, 0 },
};

/* Up to the endpoint's answer. */
static struct seen open_seen(struct env *e, const struct row *row)
{
	struct seen s = { .a = steer_client(e) };
	struct env_packet syn = { .flags = SYN, .seq = 1000, .window = 65535 };
	struct tuple back;

	s.b = steer_open(e, &s.a, row->outside ? "from_nic" : "from_pod", TC_ACT_UNSPEC);
	s.c = s.b;
	if (!row->outside) {
		steer_answer(e, "to_pod", &s.b);
		return s;
	}
	syn.t = s.b;
	s.c = env_run(e, "to_nic", &syn).packet.t;
	back = steer_answer(e, "from_nic", &s.c).packet.t;
	tuple_turn(&syn.t, &back);
	steer_answer(e, "to_nic", &syn.t);
	return s;
}

static struct env_packet packet_of(const struct row *row, const struct seen *s)
{
	struct env_packet p = { .t = row->at(s),
				.flags = ACK,
				.seq = row->back ? 2 : 1001,
				.ack = row->back ? 1001 : 2,
				.window = 65535,
				.payload = 100 };

	if (row->back) {
		struct tuple there = p.t;

		tuple_turn(&p.t, &there);
	}
	return p;
}

static void expect_reset(const struct row *row, const __u8 *out, size_t size)
{
	size_t headers = out[14] >> 4 == 4 ? 34 : 54;

	cr_assert(frame_is_plain(out, size), "%s: an answer", row->program);
	cr_assert_eq(size, headers + RST_LEN, "%s: an answer's length", row->program);
	cr_assert(frame_checksums_ok(out), "%s: an answer's checksums", row->program);
	cr_assert(out[headers + 13] & RST, "%s: an answer", row->program);
}

/* ---- what is sent ---- */

enum kind {
	DATA,
	OPENING, /* SYN, or what answers it */
	OPTIONS,
	FIRST_FRAGMENT,
	LATER_FRAGMENT,
	ERROR,
	QUOTED_OPTIONS,
	TAGGED,
	KINDS,
};

/* Half of them are plain. */
static enum kind any_kind(void)
{
	int n = rand() % (2 * KINDS);

	return n < KINDS ? (enum kind)n : DATA;
}

static size_t put_kind(__u8 *frame, const struct env_packet *plain, enum kind kind)
{
	struct env_packet p = *plain;
	struct tuple about;
	size_t size;

	tuple_turn(&about, &p.t);
	if (kind == OPENING) {
		p.flags = SYN | (p.seq == 2 ? ACK : 0);
		p.payload = 0;
		p.wscale = rand() % 16;
	}
	p.options = kind == OPTIONS;
	p.first_fragment = kind == FIRST_FRAGMENT;
	p.later_fragment = kind == LATER_FRAGMENT;
	if (kind == ERROR || kind == QUOTED_OPTIONS)
		p.quoted = &about;
	p.quoted_options = kind == QUOTED_OPTIONS;
	size = frame_put(frame, &p);
	if (kind == TAGGED)
		frame_tag(frame, &size);
	return size;
}

/* ---- what comes of it ---- */

static void expect_sane(const struct row *row, int verdict, const __u8 *out, size_t size,
			const __u8 *sent, size_t was)
{
	bool xdp = !strcmp(row->program, "from_wire");
	const char *wrong;

	if (!xdp && verdict == TC_ACT_SHOT)
		return;
	if (!xdp && verdict == TC_ACT_REDIRECT) {
		expect_reset(row, out, size);
		return;
	}
	if (xdp ? verdict != XDP_PASS && verdict != XDP_TX
		: verdict != TC_ACT_UNSPEC && verdict != TC_ACT_OK)
		cr_assert_fail("%s: verdict %d", row->program, verdict);
	cr_assert_eq(size, was, "%s: length", row->program);
	if (xdp && verdict == XDP_PASS)
		cr_assert(!memcmp(out, sent, size), "%s: passed, and not untouched", row->program);
	wrong = frame_mangled(out, sent, size, xdp && verdict == XDP_TX);
	cr_assert(!wrong, "%s: %s", row->program, wrong);
}

static int run(struct env *e, const struct row *row, __u8 *frame, size_t *size)
{
	if (!strcmp(row->program, "from_wire"))
		return env_run_xdp(e, row->ifindex, frame, size);
	return env_run_frame(e, row->program, row->ifindex, row->mark, frame, size);
}

static struct env *env_of(const struct row *row, int family)
{
	static const struct xdp_nic opens = { .until = ~0ull,
					      .mac = { 2, 0, 0, 0, 0, 2 },
					      .opens = 1 };
	struct env *e = env_new(&(struct env_options){
		.family = family, .outside = row->outside, .remote_endpoint = row->outside });

	env_permit(e, NIC_IF, &opens);
	return e;
}

/* Counts in `changed` how many frames of each kind were translated or answered. */
static void mutate_all(const struct row *row, int family, unsigned frames, unsigned changed[KINDS])
{
	struct env *e = env_of(row, family);
	struct seen seen = open_seen(e, row);
	struct env_packet plain = packet_of(row, &seen);
	__u64 entries = env_counted(e);

	for (unsigned i = 0; i < frames; i++) {
		__u8 frame[FRAME_MAX] = {}, sent[FRAME_MAX];
		enum kind kind = any_kind();
		size_t size = put_kind(frame, &plain, kind), was;
		int verdict;

		frame_mutate(frame, &size);
		if (size < FRAME_LEAST)
			size = FRAME_LEAST;
		was = size;
		memcpy(sent, frame, size);
		verdict = run(e, row, frame, &size);
		expect_sane(row, verdict, frame, size, sent, was);
		changed[kind] += memcmp(frame, sent, was) != 0;
		if (env_counted(e) == entries)
			continue;
		env_clear(e); /* a RST has ended it, or a SYN has begun another */
		seen = open_seen(e, row);
		plain = packet_of(row, &seen);
	}
	env_free(e);
}

/* What is no connection's is not changed by from_bridge, nor what is not plain by XDP. */
static bool changes(const struct row *row, enum kind kind)
{
	if (kind == TAGGED)
		return false;
	if (!strcmp(row->program, "from_bridge"))
		return kind == OPENING;
	return strcmp(row->program, "from_wire") != 0 || kind == DATA ||
	       (kind == OPENING && row->back);
}

static void mutate_row(const struct row *row, int family, unsigned frames)
{
	unsigned changed[KINDS] = {};

	mutate_all(row, family, frames, changed);
	for (int kind = 0; kind < KINDS; kind++) {
		unsigned sent = frames / (2 * KINDS) * (kind == DATA ? KINDS + 1 : 1);

		if (changes(row, kind))
			cr_expect_gt(changed[kind], sent / 10, "%s, IPv%d, kind %d: %u changed",
				     row->program, family, kind, changed[kind]);
	}
}

/* How many rows are about the same program. */
static unsigned rows_like(const struct row *row)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		n += !strcmp(rows[i].program, row->program);
	return n;
}

Test(mutated, every_program, .timeout = 1800)
{
	srand(4711);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int family = 4; family <= 6; family += 2)
			mutate_row(&rows[i], family, frame_mutations() / rows_like(&rows[i]) / 2);
	}
}
