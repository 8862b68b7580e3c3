// SPDX-License-Identifier: Apache-2.0
#include "torture_tcp.h"

#include <string.h>

#include "env.h"

static bool before(__u32 a, __u32 b)
{
	return (int)(a - b) < 0;
}

static bool within(__u32 low, __u32 n, __u32 high)
{
	return !before(n, low) && !before(high, n);
}

static void emit(struct tcp *t, __u8 flags, __u32 seq, unsigned len)
{
	struct segment s = {
		.flags = flags, .seq = seq, .ack = flags & ACK ? t->expected : 0, .len = len
	};

	t->send(t->arg, &s);
}

static void acknowledge(struct tcp *t)
{
	emit(t, ACK, t->next, 0);
}

static void end(struct tcp *t)
{
	t->state = t->listens ? TCP_LISTEN : TCP_CLOSED;
}

void tcp_connect(struct tcp *t, __u32 isn)
{
	t->isn = t->una = isn;
	t->next = isn + 1;
	t->state = TCP_SYN_SENT;
	emit(t, SYN, isn, 0);
}

void tcp_write(struct tcp *t, unsigned len)
{
	if (t->state != TCP_OPEN || t->fin_sent || t->next + len - t->una > TCP_WINDOW)
		return;
	t->next += len;
	emit(t, ACK, t->next - len, len);
}

void tcp_close(struct tcp *t)
{
	if (t->state != TCP_OPEN || t->fin_sent || t->next - t->una >= TCP_WINDOW)
		return;
	t->fin_sent = true;
	t->next++;
	emit(t, FIN | ACK, t->next - 1, 0);
}

void tcp_abort(struct tcp *t)
{
	if (t->state == TCP_OPEN || t->state == TCP_SYN_RCVD)
		emit(t, RST | ACK, t->next, 0);
	if (t->state != TCP_LISTEN)
		end(t);
}

void tcp_repeat(struct tcp *t)
{
	unsigned waiting = t->next - t->una;

	switch (t->state) {
	case TCP_SYN_SENT:
		emit(t, SYN, t->isn, 0);
		return;
	case TCP_SYN_RCVD:
		emit(t, SYN | ACK, t->isn, 0);
		return;
	case TCP_OPEN:
		if (waiting)
			emit(t, ACK | (t->fin_sent ? FIN : 0), t->una, waiting - t->fin_sent);
		return;
	default:
		return;
	}
}

static void refuse(struct tcp *t, const struct segment *s)
{
	struct segment r = { .flags = RST };

	if (s->flags & RST)
		return;
	if (s->flags & ACK) {
		r.seq = s->ack;
	} else {
		r.flags |= ACK;
		r.ack = s->seq + s->len + !!(s->flags & SYN) + !!(s->flags & FIN);
	}
	t->send(t->arg, &r);
}

static void take_irs(struct tcp *t, __u32 irs)
{
	t->irs = irs;
	t->expected = irs + 1;
	t->fin_taken = t->fin_waits = false;
	memset(t->got, 0, sizeof(t->got));
}

/* 3.10.7.2 */
static void receive_listening(struct tcp *t, const struct segment *s)
{
	if (s->flags & RST)
		return;
	if (s->flags & ACK || !(s->flags & SYN)) {
		if (s->flags & ACK)
			refuse(t, s);
		return;
	}
	take_irs(t, s->seq);
	t->isn += 100000; /* of no earlier connection */
	t->una = t->isn;
	t->next = t->isn + 1;
	t->fin_sent = false;
	t->state = TCP_SYN_RCVD;
	emit(t, SYN | ACK, t->isn, 0);
}

/* 3.10.7.3 */
static void receive_connecting(struct tcp *t, const struct segment *s)
{
	bool acked = s->flags & ACK && s->ack == t->next;

	if (s->flags & ACK && !acked) {
		refuse(t, s);
		return;
	}
	if (s->flags & RST) {
		if (acked)
			end(t);
		return;
	}
	if (!(s->flags & SYN))
		return;
	take_irs(t, s->seq);
	if (acked) {
		t->una = s->ack;
		t->state = TCP_OPEN;
		acknowledge(t);
	} else {
		t->state = TCP_SYN_RCVD;
		emit(t, SYN | ACK, t->isn, 0);
	}
}

static void take_data(struct tcp *t, const struct segment *s)
{
	bool fin = s->flags & FIN;

	for (unsigned i = 0; i < s->len; i++) {
		__u32 at = s->seq + i - t->expected;

		if (at < TCP_WINDOW)
			t->got[at] = true;
	}
	if (fin && s->seq + s->len - t->expected < TCP_WINDOW) {
		t->fin_waits = true;
		t->fin_at = s->seq + s->len;
	}
	while (t->got[0] && !t->fin_taken) {
		if (t->fin_waits && t->fin_at == t->expected)
			break;
		memmove(t->got, t->got + 1, sizeof(t->got) - sizeof(t->got[0]));
		t->expected++;
	}
	if (t->fin_waits && !t->fin_taken && t->fin_at == t->expected) {
		t->fin_taken = true;
		t->expected++;
	}
}

/* 3.10.7.4 */
static void receive_open(struct tcp *t, const struct segment *s)
{
	unsigned len = s->len + !!(s->flags & SYN) + !!(s->flags & FIN);

	if (!within(t->expected, s->seq + len, s->seq + len + TCP_WINDOW * 4) ||
	    before(s->seq + len, t->expected) || before(t->expected + TCP_WINDOW, s->seq)) {
		if (!(s->flags & RST))
			acknowledge(t);
		return;
	}
	if (s->flags & RST) {
		if (s->seq == t->expected)
			end(t);
		else if (within(t->expected, s->seq, t->expected + TCP_WINDOW))
			acknowledge(t);
		return;
	}
	if (s->flags & SYN) {
		/* A simultaneous open ends with the other's SYN+ACK, which says its SYN again. */
		if (t->state == TCP_SYN_RCVD && s->flags & ACK && s->seq == t->irs &&
		    s->ack == t->next) {
			t->una = s->ack;
			t->state = TCP_OPEN;
		}
		acknowledge(t);
		return;
	}
	if (!(s->flags & ACK))
		return;
	if (t->state == TCP_SYN_RCVD) {
		if (s->ack != t->next) {
			refuse(t, s);
			return;
		}
		t->state = TCP_OPEN;
	}
	/* RFC 5961 5.2 */
	if (before(t->next, s->ack) || before(s->ack, t->una - TCP_WINDOW)) {
		acknowledge(t);
		return;
	}
	if (before(t->una, s->ack))
		t->una = s->ack;
	if (!t->fin_taken)
		take_data(t, s);
	if (len)
		acknowledge(t);
}

void tcp_receive(struct tcp *t, const struct segment *s)
{
	switch (t->state) {
	case TCP_CLOSED:
		refuse(t, s);
		return;
	case TCP_LISTEN:
		receive_listening(t, s);
		return;
	case TCP_SYN_SENT:
		receive_connecting(t, s);
		return;
	default:
		receive_open(t, s);
		return;
	}
}
