// SPDX-License-Identifier: Apache-2.0
/*
 * Frames with a few bits that are wrong, at every hook of tc that sees a connection's: whatever
 * comes of them, it is one of the verdicts that tc knows, and a frame that was right is right
 * afterwards. For XDP see test_xdp.c.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "test_steer_util.h"

enum {
	MUTATED = 100000,
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
	{ "from_pod", false, false, as_called, CLIENT_IF },
	{ "to_pod", false, true, as_forwarded, CLIENT_IF },
	{ "from_nic", true, false, as_called, NIC_IF },
	{ "to_nic", true, false, as_forwarded, NIC_IF },
	{ "from_nic", true, true, as_sent, NIC_IF },
	{ "to_nic", true, true, as_forwarded, NIC_IF },
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

static void expect_sane(const struct row *row, int verdict, const __u8 *out, size_t size,
			const __u8 *sent, size_t was)
{
	switch (verdict) {
	case TC_ACT_SHOT:
		return;
	case TC_ACT_REDIRECT:
		expect_reset(row, out, size);
		return;
	case TC_ACT_UNSPEC:
	case TC_ACT_OK:
		cr_assert_eq(size, was, "%s: length", row->program);
		if (!frame_is_plain(sent, was))
			return;
		cr_assert(frame_only_addressed(out, sent, size), "%s: more than addresses",
			  row->program);
		cr_assert_eq(frame_checksums_ok(out), frame_checksums_ok(sent), "%s: checksums",
			     row->program);
		return;
	default:
		cr_assert_fail("%s: verdict %d", row->program, verdict);
	}
}

/* Returns how many frames got other addresses. */
static unsigned mutate_all(const struct row *row, int family)
{
	struct env *e = env_new(&(struct env_options){
		.family = family, .outside = row->outside, .remote_endpoint = row->outside });
	struct seen seen = open_seen(e, row);
	struct env_packet plain = packet_of(row, &seen);
	__u64 entries = env_counted(e);
	unsigned translated = 0;

	for (int i = 0; i < MUTATED; i++) {
		__u8 frame[FRAME_MAX] = {}, sent[FRAME_MAX];
		size_t size = frame_put(frame, &plain), was;
		int verdict;

		frame_mutate(frame, &size);
		if (size < FRAME_LEAST)
			size = FRAME_LEAST;
		was = size;
		memcpy(sent, frame, size);
		verdict = env_run_frame(e, row->program, row->ifindex, frame, &size);
		expect_sane(row, verdict, frame, size, sent, was);
		translated += verdict == TC_ACT_UNSPEC && memcmp(frame, sent, was);
		if (env_counted(e) == entries)
			continue;
		env_clear(e); /* a RST has ended it, or a SYN has begun another */
		seen = open_seen(e, row);
		plain = packet_of(row, &seen);
	}
	env_free(e);
	return translated;
}

Test(mutated, tc, .timeout = 600)
{
	srand(4711);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int family = 4; family <= 6; family += 2)
			cr_expect_gt(mutate_all(&rows[i], family), MUTATED / 10,
				     "row %zu, IPv%d: hardly any was translated", i, family);
	}
}
