/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_STREAM_HALF_H
#define WEFT_PROXY_STREAM_HALF_H
/*
 * One side of a connection through the proxy: a transport, what has come from it, what is to be
 * sent to it. Both sides are alike; relay() moves a body from either to the other.
 */
#include "proxy/h1/h1.h"
#include "proxy/io/buf.h"
#include "proxy/io/loop.h"
#include "proxy/io/transport.h"

/* The body that comes from a half. The first `kept` bytes of half.in have been passed on and are
 * kept for another try; the next `ready` bytes are known to belong to the body. */
struct body {
	uint8_t framing; /* enum h1_framing */
	bool dechunk;	 /* pass on the data alone: the receiver doesn't know chunks */
	bool early;	 /* done with when it is received: what is not sent yet goes to to->out */
	uint32_t keep;	 /* bytes that are kept when they are passed on, if it has no more */
	uint32_t kept, ready;
	uint64_t left; /* H1_LENGTH: bytes that are not yet in `ready` */
	struct h1_chunks chunks;
};

struct half {
	struct transport transport; /* first */
	/* Something has changed; called by the loop. */
	void (*changed)(struct half *h);
	struct loop *loop;
	struct buffer_pool *buffers;
	struct buf in;	  /* received */
	struct buf out;	  /* to be sent before anything else */
	struct pipe pipe; /* received by splice, on its way to the other half */
	struct body body;
	bool readable, writable; /* may be, until the kernel says no */
	bool hup;    /* the peer has said that it will send no more: reading gets to the end */
	bool eof;    /* and that end is reached */
	bool broken; /* reset, or otherwise of no use in either direction */
	bool shut;   /* we have said that we'll send no more */
	bool bulk;   /* data comes faster than in buffers */
	/* If not NULL, is shown each byte of the body once, framing included. */
	void (*tee)(struct half *h, const char *bytes, size_t n);
	uint64_t received, sent; /* bytes */
};

/* Takes the descriptor over, also on failure. 0 or -errno. */
int half_open(struct half *h, int fd, struct loop *loop, struct buffer_pool *buffers,
	      void (*changed)(struct half *h));
void half_close(struct half *h); /* also one that is closed */
/* The same, with a RST: what the peer has not got yet it won't get. */
void half_reset(struct half *h);

/* Receives into h->in: how many bytes; 0 at the end; -EAGAIN; -ENOBUFS: it is as full as may be;
 * -errno: broken. */
long half_receive(struct half *h);
/* The same of a body of which BUF_BIG bytes are yet to come at least, into h->in, which is empty:
 * more in one call. */
long half_receive_bulk(struct half *h);
/* Sends h->out and then `n` bytes at `more`: how many of the latter were sent, -EAGAIN if there was
 * no room for any of it, -errno: broken. */
long half_send(struct half *h, const char *more, size_t n);
/* Whether all of h->out is sent: 0, -EAGAIN, -errno. */
int half_flush(struct half *h);
/* No more will be sent. */
void half_shut(struct half *h);

/* A body of this framing follows what has been consumed of h->in. */
void body_begin(struct half *h, enum h1_framing framing, uint64_t length);
/* Scans what is in h->in. 0 or H1_BAD. */
int body_scan(struct half *h);
/* The end of it has been received. */
bool body_received(const struct half *h);
/* All of it has been received and passed on. */
bool body_done(const struct half *h);
/* What was kept will be passed on once more. */
void body_rewind(struct half *h);
/* Throws away what is in h->in of it. Whether that was the rest. */
bool body_discard(struct half *h);
/* No other try will need it. */
void body_forget(struct half *h);

enum relay {
	RELAY_WAIT,   /* for one of the two sockets */
	RELAY_AGAIN,  /* there's more to do, but others want their turn */
	RELAY_DONE,   /* the body has been passed on; RELAY_DONE again for ever after */
	RELAY_BAD,    /* chunks are malformed */
	RELAY_CUT,    /* the sender has gone before the end of it */
	RELAY_FAILED, /* the receiver has gone */
};

/* Sends to->out, then from's body to `to`. If that is `early`, some may be left in to->out. */
enum relay relay(struct half *from, struct half *to);

#endif
