/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROG_TORTURE_TCP_H
#define WEFT_PROG_TORTURE_TCP_H
/*
 * One end of a TCP connection as RFC 9293 (3.10.7) and RFC 5961 have it, as far as it matters to
 * others: which segments it takes, what it answers. It knows nothing of the programs that are
 * tested.
 */
#include <stdbool.h>

#include <linux/types.h>

enum tcp_state {
	TCP_CLOSED, /* no socket: everything is answered with RST */
	TCP_LISTEN,
	TCP_SYN_SENT,
	TCP_SYN_RCVD,
	TCP_OPEN, /* ESTABLISHED and what follows: see the flags */
};

enum { TCP_WINDOW = 300, TCP_ROOM = 1024 };

struct segment {
	__u8 flags;
	__u32 seq, ack;
	unsigned len;
};

struct tcp {
	enum tcp_state state;
	bool listens; /* a server: what is over makes room for the next */
	__u32 isn, una, next;
	bool fin_sent; /* it is the last number before `next` */
	__u32 irs, expected;
	bool fin_taken;	    /* the other's FIN, in order */
	bool got[TCP_ROOM]; /* beyond `expected` */
	bool fin_waits;	    /* the other's FIN, out of order */
	__u32 fin_at;	    /* number of it */
	void (*send)(void *arg, const struct segment *s);
	void *arg;
};

void tcp_connect(struct tcp *t, __u32 isn);
/* What the application does. Without effect where it can't be done. */
void tcp_write(struct tcp *t, unsigned len);
void tcp_close(struct tcp *t);
void tcp_abort(struct tcp *t);
/* Its timer: sends the first that is not acknowledged again. */
void tcp_repeat(struct tcp *t);
void tcp_receive(struct tcp *t, const struct segment *s);

#endif
