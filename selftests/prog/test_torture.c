// SPDX-License-Identifier: Apache-2.0
/*
 * Random scripts of segments between two ends (torture_tcp.h), some late, lost, repeated, out of
 * order or forged. Whatever came: once a connection is over, its place is free, and as long as both
 * ends have it, it isn't.
 *
 * All segments pass the programs, and may get lost behind them. A forger knows what has passed, not
 * more, and forged segments always arrive: the programs can't know of a RST that would be taken but
 * gets lost. Nor can they tell forged data in a stream from its sender's: of connections with such
 * data only the end is checked, not that they are live.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "torture_tcp.h"

enum { SCRIPTS = 10000, ACTIONS = 40, QUEUE = 64, HISTORY = 64, TRACE = 8192 };

struct end {
	struct tcp tcp;
	struct world *world;
	struct tuple sends;
	const char *program;	     /* that sees what it sends */
	struct segment queue[QUEUE]; /* on its way to the program */
	unsigned queued;
	__u32 sent, edge; /* as seen by the program: what it has sent, and lets the other send */
};

struct world {
	struct env *env;
	struct end ends[2]; /* client, endpoint */
	struct {
		struct segment s;
		int from;
	} history[HISTORY];
	unsigned seen;
	__u32 random;
	bool lossless;
	bool misled; /* a forger has written to one of the streams */
	char trace[TRACE];
	size_t traced;
};

static __u32 roll(struct world *w, __u32 n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random % n;
}

static void note(struct world *w, const char *text)
{
	size_t len = strlen(text);

	if (w->traced + len + 1 < TRACE)
		memcpy(w->trace + w->traced, text, len + 1), w->traced += len;
}

static void note_segment(struct world *w, int from, const struct segment *s, const char *how)
{
	char text[96];

	snprintf(text, sizeof(text), " %c:%s%s%s%s%u+%u,%u%s", "ce"[from],
		 s -> flags &SYN ? "S" : "", s->flags &FIN ? "F" : "", s->flags &RST ? "R" : "",
		 s->flags &ACK ? "A" : "", s->seq, s->len, s->ack, how);
	note(w, text);
}

static void enqueue(void *arg, const struct segment *s)
{
	struct end *e = arg;

	if (e->queued < QUEUE)
		e->queue[e->queued++] = *s;
}

static void answer(void *arg, const struct segment *s)
{
	*(struct segment *)arg = *s;
}

/*
 * Of no connection: what the client sends gets nowhere, and of what the endpoint sends the client
 * knows nothing.
 */
static void pass_untouched(struct world *w, int from, const struct segment *s)
{
	struct segment rst = {};
	struct tcp closed = { .send = answer, .arg = &rst };

	note(w, "u");
	if (from == 0)
		return;
	tcp_receive(&closed, s);
	if (rst.flags)
		tcp_receive(&w->ends[1].tcp, &rst);
}

/* One segment through the program, and on to the other end. */
static void pass(struct world *w, int from, const struct segment *s, bool lost)
{
	struct end *e = &w->ends[from], *other = &w->ends[!from];
	struct env_packet p = { .t = e->sends,
				.flags = s->flags,
				.seq = s->seq,
				.ack = s->ack,
				.window = TCP_WINDOW,
				.payload = s->len };
	struct env_result r = env_run(w->env, e->program, &p);
	__u32 last = s->seq + s->len + !!(s->flags & SYN) + !!(s->flags & FIN);
	struct segment back;

	note_segment(w, from, s, lost ? "x" : r.action == TC_ACT_REDIRECT ? "r" : "");
	w->history[w->seen++ % HISTORY].s = *s;
	w->history[(w->seen - 1) % HISTORY].from = from;
	if (s->flags & SYN || (int)(last - e->sent) > 0)
		e->sent = last;
	if (s->flags & ACK && (int)(s->ack + TCP_WINDOW - e->edge) > 0)
		e->edge = s->ack + TCP_WINDOW;
	if (r.action == TC_ACT_REDIRECT) { /* answered with RST */
		back = (struct segment){ .flags = r.packet.flags,
					 .seq = r.packet.seq,
					 .ack = r.packet.ack };
		tcp_receive(&e->tcp, &back);
	} else if (!memcmp(&r.packet.t, &p.t, sizeof(p.t))) {
		pass_untouched(w, from, s);
	} else if (!lost && r.action != TC_ACT_SHOT) {
		tcp_receive(&other->tcp, s);
	}
}

/* The next of a queue, or a later one. */
static void deliver(struct world *w, int from)
{
	struct end *e = &w->ends[from];
	unsigned at = roll(w, 4) ? 0 : roll(w, e->queued ?: 1);
	struct segment s;

	if (!e->queued)
		return;
	s = e->queue[at];
	memmove(&e->queue[at], &e->queue[at + 1], (--e->queued - at) * sizeof(s));
	pass(w, from, &s, !w->lossless && !roll(w, 8));
}

static void flush(struct world *w)
{
	for (int i = 0; i < 500 && (w->ends[0].queued || w->ends[1].queued); i++)
		deliver(w, !w->ends[0].queued || (w->ends[1].queued && roll(w, 2)));
	w->ends[0].queued = w->ends[1].queued = 0;
}

static void forge(struct world *w, int from)
{
	static const __u8 kinds[] = {
		ACK, ACK, FIN | ACK, RST, RST | ACK, SYN, SYN | ACK, FIN, RST
	};
	struct end *e = &w->ends[from], *other = &w->ends[!from];
	struct segment s = { .flags = kinds[roll(w, sizeof(kinds))] };

	/* About where the two are, or anywhere. */
	s.seq = roll(w, 8) ? e->sent - 40 + roll(w, 80) : roll(w, ~0u);
	if (!roll(w, 3)) /* just what the other has acknowledged */
		s.seq = other->edge - TCP_WINDOW;
	s.ack = s.flags & ACK ? (roll(w, 8) ? other->sent - 40 + roll(w, 60) : roll(w, ~0u)) : 0;
	s.len = s.flags & (RST | SYN) ? 0 : roll(w, 20);
	if ((int)(s.seq - other->edge) > 0 && (int)(s.seq - other->edge) < 2 * TCP_WINDOW)
		s.seq = other->edge;
	w->misled |= (s.len || s.flags & FIN) &&
		     (int)(s.seq + s.len + !!(s.flags & FIN) - e->tcp.next) > 0 &&
		     (int)(s.seq - other->edge) <= 0;
	note(w, " forged");
	pass(w, from, &s, false);
}

static void repeat_old(struct world *w)
{
	unsigned n = w->seen < HISTORY ? w->seen : HISTORY, at;

	if (!n)
		return;
	at = roll(w, n);
	note(w, " copy");
	pass(w, w->history[at].from,
	     &(struct segment){ w->history[at].s.flags, w->history[at].s.seq, w->history[at].s.ack,
				w->history[at].s.len },
	     false);
}

/* What weftd sends for the sweep. */
static void send_asked(struct world *w)
{
	struct reset_event asked[16];
	unsigned n = env_resets(w->env, asked, 16);

	for (unsigned i = 0; i < n && i < 16; i++) {
		struct segment s = { .flags = asked[i].flags,
				     .seq = asked[i].seq,
				     .ack = asked[i].ack };
		int to = memcmp(&asked[i].packet.dst, &w->ends[0].sends.src, sizeof(struct addr)) !=
			 0;

		note_segment(w, !to, &s, "(sweep)");
		tcp_receive(&w->ends[to].tcp, &s);
	}
}

static void wait_ms(struct world *w, unsigned ms)
{
	struct conn c;
	char text[32];

	flush(w); /* nothing is under way for so long */
	snprintf(text, sizeof(text), " %ums", ms);
	note(w, text);
	if (env_conn(w->env, &w->ends[0].sends, &c))
		env_age(w->env, &w->ends[0].sends, ms);
	env_sweep(w->env, 0);
	send_asked(w);
	flush(w);
}

static void act(struct world *w)
{
	int side = roll(w, 2);
	struct tcp *t = &w->ends[side].tcp;

	switch (roll(w, 32)) {
	case 0 ... 5:
		tcp_write(t, 1 + roll(w, 30));
		return;
	case 6:
		tcp_close(t);
		return;
	case 7:
		if (!roll(w, 3))
			tcp_abort(t);
		return;
	case 8 ... 10:
		tcp_repeat(t);
		return;
	case 11 ... 12:
		forge(w, side);
		return;
	case 13:
		repeat_old(w);
		return;
	case 14:
		wait_ms(w, 200 + roll(w, 1500));
		return;
	default:
		deliver(w, side);
		return;
	}
}

/* Both send what they have to, until nothing changes any more. */
static void settle(struct world *w)
{
	w->lossless = true;
	note(w, " |");
	for (int i = 0; i < 6; i++) {
		flush(w);
		tcp_repeat(&w->ends[0].tcp);
		tcp_repeat(&w->ends[1].tcp);
	}
	for (int i = 0; i < 5; i++)
		wait_ms(w, 1000);
}

static bool has_socket(const struct tcp *t)
{
	return t->state != TCP_CLOSED && t->state != TCP_LISTEN;
}

static bool is_over(const struct world *w)
{
	const struct tcp *a = &w->ends[0].tcp, *b = &w->ends[1].tcp;

	return !has_socket(a) && !has_socket(b);
}

/* Both ends have it, it is the same one, and there is something left to say. */
static bool is_live(const struct world *w)
{
	const struct tcp *a = &w->ends[0].tcp, *b = &w->ends[1].tcp;

	return a->state == TCP_OPEN && b->state == TCP_OPEN && a->irs == b->isn &&
	       b->irs == a->isn && !(a->fin_taken && b->fin_taken) && !w->misled;
}

static void check(struct world *w, unsigned script)
{
	__u32 held = env_limit(w->env).steered;

	cr_expect_eq(env_counted(w->env), env_entries(w->env), "script %u: entries", script);
	cr_expect_leq(held, 1, "script %u: %u places", script, held);
	if (is_live(w)) {
		cr_expect_eq(held, 1, "script %u: a live connection was released:%s", script,
			     w->trace);
		return;
	}
	if (!is_over(w))
		return;
	wait_ms(w, 131000);
	held = env_limit(w->env).steered;
	cr_expect_eq(held, 0, "script %u: a place is lost:%s", script, w->trace);
	cr_expect_eq(env_endpoint_stat(w->env).active, held, "script %u: the endpoint's", script);
}

static unsigned over, live;

static void run(struct env *env, unsigned script)
{
	struct world w = { .env = env, .random = script * 2654435761u | 1 };
	struct end *client = &w.ends[0], *endpoint = &w.ends[1];

	*client = (struct end){ .program = "from_pod",
				.world = &w,
				.sends = { .src = env_client(env),
					   .dst = env_vip(env),
					   .sport = CLIENT_PORT,
					   .dport = VIP_PORT } };
	*endpoint = (struct end){ .program = "to_pod",
				  .world = &w,
				  .sends = { .src = env_endpoint(env),
					     .dst = env_client(env),
					     .sport = ENDPOINT_PORT,
					     .dport = CLIENT_PORT } };
	client->tcp = (struct tcp){ .send = enqueue, .arg = client };
	endpoint->tcp = (struct tcp){ .send = enqueue,
				      .arg = endpoint,
				      .listens = true,
				      .state = TCP_LISTEN,
				      .isn = roll(&w, ~0u) };
	tcp_connect(&client->tcp, roll(&w, ~0u));
	for (int i = 0; i < ACTIONS; i++)
		act(&w);
	settle(&w);
	over += is_over(&w);
	live += is_live(&w);
	check(&w, script);
	env_clear(env);
}

/* WEFT_SCRIPT=N runs that one only. */
Test(torture, no_place_is_lost_and_none_given_away, .timeout = 120)
{
	const char *one = getenv("WEFT_SCRIPT");
	struct env *env = env_new(&(struct env_options){ .family = 4 });

	const char *rounds = getenv("WEFT_ROUNDS");
	unsigned scripts = rounds && !strcmp(rounds, "few") ? SCRIPTS / 20 : SCRIPTS;

	for (unsigned i = 1; i <= scripts; i++) {
		if (!one || i == strtoul(one, NULL, 10))
			run(env, i);
	}
	cr_expect(one || (over > scripts / 10 && live > scripts / 10), "%u over, %u live", over,
		  live);
	env_free(env);
}
