// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a connection, as a script of packets between client (c) and endpoint (e).
 *
 *   c:S       SYN            e:SA     SYN+ACK       c:A      ACK of everything so far
 *   c:D       10 bytes       c:FA     FIN+ACK       c:R      RST, e:RA RST+ACK
 *   e:R!      a RST far outside the window
 *   sweep     one sweep      age=MS   the connection gets older
 *   gone=c|e  that pod's interface goes away        del=e    the endpoint's Pod is deleted, its
 * interface stays
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

struct side {
	struct tuple sends; /* what its packets carry */
	__u32 next;	    /* sequence number of its next byte */
	__u32 fin;	    /* of its FIN; 0 before that */
};

struct script {
	struct env *env;
	struct side client, endpoint;
	int last; /* action of the last packet */
	__u8 last_flags;
};

static const struct row {
	const char *what, *events;
	struct env_options o;
	unsigned entries;
	__u64 active, peak, total, fail;
	int last;	 /* action of the last packet: 0 is not checked */
	__u8 last_flags; /* of what came out, with `last` */
} rows[] = {
	{ "a SYN takes one reservation", "c:S", .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "a repeated SYN takes no second one", "c:S c:S c:S", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "open", "c:S e:SA c:A c:D e:A", .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "client closes first", "c:S e:SA c:A c:FA e:FA c:A", .peak = 1, .total = 1 },
	{ "endpoint closes first; its last ACK may be lost", "c:S e:SA c:A e:FA c:A c:FA e:A",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "... until the sweep", "c:S e:SA c:A e:FA c:A c:FA e:A age=6000 sweep", .peak = 1,
	  .total = 1 },
	{ "the reservation goes back with the second FIN", "c:S e:SA c:A c:FA e:FA", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "a FIN repeated does no harm", "c:S e:SA c:A c:FA c:FA e:FA e:FA c:FA c:A", .peak = 1,
	  .total = 1 },
	{ "half closed", "c:S e:SA c:A c:FA e:A", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "half closed and still sending", "c:S e:SA c:A c:FA e:A age=100000 e:D age=100000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "half closed and silent", "c:S e:SA c:A c:FA e:A age=130000 sweep", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "simultaneous close", "c:S e:SA c:A c:FA e:FA e:A c:A", .peak = 1, .total = 1 },
	{ "RST from the client", "c:S e:SA c:A c:R", .peak = 1, .total = 1 },
	{ "RST from the endpoint", "c:S e:SA c:A e:R", .peak = 1, .total = 1 },
	{ "both RST", "c:S e:SA c:A c:R e:R", .peak = 1, .total = 1 },
	{ "refused by the endpoint", "c:S e:RA", .peak = 1, .total = 1, .fail = 1 },
	{ "given up by the client", "c:S c:R", .peak = 1, .total = 1 },
	{ "a RST out of the blue ends nothing", "c:S e:SA c:A e:R!", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "RST after FIN", "c:S e:SA c:A c:FA e:R", .peak = 1, .total = 1 },
	{ "the same port again after a close", "c:S e:SA c:A e:FA c:A c:FA e:A c:S", .entries = 2,
	  .active = 1, .peak = 1, .total = 2 },
	{ "a SYN on an open connection is the endpoint's business", "c:S e:SA c:A c:S",
	  .entries = 2, .active = 1, .peak = 1, .total = 1, .last = TC_ACT_REDIRECT,
	  .last_flags = SYN },
	{ "no answer within 10 s", "c:S age=10100 sweep", .entries = 2, .peak = 1, .total = 1,
	  .fail = 1 },
	{ "repeated SYNs don't extend that", "c:S age=9000 c:S age=1100 sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "a SYN repeated after that is refused", "c:S age=10100 sweep c:S", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1, .last = TC_ACT_REDIRECT, .last_flags = RST | ACK },
	{ "connectTimeout",
	  "c:S age=300 sweep",
	  { .connect_timeout_ms = 200 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "within connectTimeout",
	  "c:S age=100 sweep",
	  { .connect_timeout_ms = 200 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "idleTimeout",
	  "c:S e:SA c:A age=2100 sweep",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1 },
	{ "within idleTimeout",
	  "c:S e:SA c:A age=1500 e:D age=1500 sweep",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "after idleTimeout the client gets RST",
	  "c:S e:SA c:A age=2100 sweep c:D",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST },
	{ "maxConnectionDuration",
	  "c:S e:SA c:A age=4000 c:D age=1100 c:D sweep",
	  { .max_duration_ms = 5000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1 },
	{ "data and RST: the endpoint may ask back", "c:S e:SA c:A c:D c:R", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "... and gets a RST that it believes", "c:S e:SA c:A c:D c:R e:A", .entries = 2,
	  .peak = 1, .total = 1, .last = TC_ACT_REDIRECT, .last_flags = RST },
	{ "a handshake that the client doesn't complete", "c:S e:SA age=10100 sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "a SYN on a connection that the endpoint has forgotten, too", "c:S e:SA c:A c:S e:RA",
	  .peak = 1, .total = 1 },
	{ "... which makes it a new one: its first FIN is the first",
	  "c:S e:SA c:A c:FA c:S e:SA c:A e:FA", .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "the client's pod goes", "c:S e:SA c:A gone=c sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... the endpoint is told, and it is soon forgotten",
	  "c:S e:SA c:A gone=c sweep age=6000 sweep", .peak = 1, .total = 1 },
	{ "the endpoint's pod goes", "c:S e:SA c:A gone=e sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... and the client's next packet is answered with RST", "c:S e:SA c:A gone=e sweep c:D",
	  .entries = 2, .peak = 1, .total = 1, .last = TC_ACT_REDIRECT, .last_flags = RST },
	{ "... and a minute later nothing is left", "c:S e:SA c:A gone=e sweep age=61000 sweep",
	  .peak = 1, .total = 1 },
	{ "the endpoint's Pod is deleted", "c:S e:SA c:A del=e sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "the endpoint's pod goes during the handshake", "c:S gone=e sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "a packet of no connection is passed", "c:D", .last = TC_ACT_UNSPEC },
	{ "a reply of no connection is passed", "e:SA", .last = TC_ACT_UNSPEC },
	{ "a RST of no connection is passed", "c:R", .last = TC_ACT_UNSPEC },
	{ "hairpin: a pod reaches itself",
	  "c:S e:SA c:A c:FA e:FA c:A",
	  { .hairpin = true },
	  .peak = 1,
	  .total = 1 },
	{ "an empty cluster refuses",
	  "c:S",
	  { .no_endpoint = true },
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST | ACK },
	{ "no way to the endpoint refuses",
	  "c:S",
	  { .remote_endpoint = true },
	  .peak = 1 - 1,
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST | ACK },
	{ "before the first rules everything is passed",
	  "c:S",
	  { .without_generation = true },
	  .last = TC_ACT_UNSPEC },
};

static void send_packet(struct script *s, const char *event)
{
	bool client = event[0] == 'c';
	struct side *from = client ? &s->client : &s->endpoint,
		    *peer = client ? &s->endpoint : &s->client;
	struct env_packet p = { .t = from->sends, .seq = from->next, .ack = peer->next };
	struct env_result r;
	const char *c;

	for (c = event + 2; *c; c++) {
		switch (*c) {
		case 'S':
			p.flags |= SYN;
			break;
		case 'A':
			p.flags |= ACK;
			break;
		case 'F':
			p.flags |= FIN;
			break;
		case 'R':
			p.flags |= RST;
			break;
		case 'D':
			p.flags |= ACK, p.payload = 10;
			break;
		case '!':
			p.seq += 1u << 30;
			break;
		default:
			cr_assert_fail("bad event %s", event);
		}
	}
	if (!(p.flags & ACK))
		p.ack = 0;
	/* Repeated SYNs and FINs carry the same number. */
	if (p.flags & SYN)
		p.seq = from->next = client ? 1000 : 5000;
	if ((p.flags & FIN) && from->fin)
		p.seq = from->next = from->fin;
	if (p.flags & FIN)
		from->fin = from->next;
	r = env_run(s->env, "from_pod", &p);
	cr_expect(r.checksums_ok, "%s: checksums", event);
	from->next += p.payload + !!(p.flags & SYN) + !!(p.flags & FIN);
	s->last = r.action;
	s->last_flags = r.packet.flags;
}

/* What the endpoint's packets look like follows from the forward entry. */
static void learn_endpoint(struct script *s)
{
	struct conn c;

	if (env_conn(s->env, &s->client.sends, &c))
		tuple_turn(&s->endpoint.sends, &c.to);
}

static void run_event(struct script *s, const char *event)
{
	struct addr endpoint = env_endpoint(s->env);

	if (event[1] == ':') {
		send_packet(s, event);
		learn_endpoint(s);
	} else if (!strcmp(event, "sweep")) {
		env_sweep(s->env, 1);
	} else if (!strncmp(event, "age=", 4)) {
		env_age(s->env, &s->client.sends, atoi(event + 4));
	} else if (!strncmp(event, "gone=", 5)) {
		env_pod_gone(s->env, event[5] == 'c' ? CLIENT_IF : ENDPOINT_IF);
	} else if (!strcmp(event, "del=e")) {
		env_addr_gone(s->env, &endpoint);
	} else {
		cr_assert_fail("bad event %s", event);
	}
}

static void check_row(const struct row *row, struct script *s)
{
	struct cluster_stat c = env_cluster(s->env);
	struct cluster_limit l = env_limit(s->env);
	int family = s->client.sends.src.b[0] ? 6 : 4;

	cr_expect_eq(env_entries(s->env), row->entries, "%s, IPv%d: %u entries", row->what, family,
		     env_entries(s->env));
	cr_expect_eq(l.steered, row->active, "%s, IPv%d: active %u", row->what, family, l.steered);
	cr_expect_eq(env_endpoint_stat(s->env).active, row->active, "%s, IPv%d: endpoint's active",
		     row->what, family);
	cr_expect_eq(l.peak, row->peak, "%s, IPv%d: peak %u", row->what, family, l.peak);
	cr_expect_eq(c.cx_total, row->total, "%s, IPv%d: total %llu", row->what, family,
		     c.cx_total);
	cr_expect_eq(c.connect_fail, row->fail, "%s, IPv%d: fail %llu", row->what, family,
		     c.connect_fail);
	if (row->last || row->last_flags) {
		cr_expect_eq(s->last, row->last, "%s, IPv%d: action %d", row->what, family,
			     s->last);
		if (row->last_flags)
			cr_expect_eq(s->last_flags, row->last_flags, "%s, IPv%d: flags %x",
				     row->what, family, s->last_flags);
	}
}

static void run_row(const struct row *row, int family)
{
	struct env_options o = row->o;
	struct script s = { .client.next = 1001, .endpoint.next = 5001 };
	char events[256], *event, *rest;

	o.family = family;
	s.env = env_new(&o);
	s.client.sends = (struct tuple){ .src = env_client(s.env),
					 .dst = env_vip(s.env),
					 .sport = CLIENT_PORT,
					 .dport = VIP_PORT };
	s.endpoint.sends = (struct tuple){ .src = env_endpoint(s.env),
					   .dst = env_client(s.env),
					   .sport = ENDPOINT_PORT,
					   .dport = CLIENT_PORT };
	snprintf(events, sizeof(events), "%s", row->events);
	for (event = strtok_r(events, " ", &rest); event; event = strtok_r(NULL, " ", &rest))
		run_event(&s, event);
	check_row(row, &s);
	env_free(s.env);
}

Test(conn, life, .timeout = 120)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		run_row(&rows[i], 4);
		run_row(&rows[i], 6);
	}
}
