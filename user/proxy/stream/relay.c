// SPDX-License-Identifier: Apache-2.0
/*
 * Bodies, from one half to the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>

#include "proxy/stream/half.h"

enum {
	SPLICE_MIN = 64 * 1024, /* bytes still to come from which on a pipe pays */
	TURN = 1024 * 1024,	/* bytes that one body may move before others have their turn */
};

void body_begin(struct half *h, enum h1_framing framing, uint64_t length)
{
	h->body = (struct body){ .framing = (uint8_t)framing, .left = length };
}

/* Bytes that have not been scanned yet. */
static size_t unseen(const struct half *h)
{
	return buf_len(&h->in) - h->body.kept - h->body.ready;
}

/* What is not to be passed on is taken out of the buffer: extensions of chunks, or all framing. */
static int scan_chunks(struct half *h)
{
	struct body *b = &h->body;
	size_t left = unseen(h);
	char *at, *to;
	long n;

	if (!left)
		return 0;
	at = to = buf_at(&h->in) + b->kept + b->ready;
	while (left && !b->chunks.done) {
		n = h1_chunks_next(&b->chunks, at, left);
		if (n < 0)
			return H1_BAD;
		if (b->chunks.data || !(b->dechunk || b->chunks.ignored)) {
			if (to != at)
				memmove(to, at, (size_t)n);
			to += n;
			b->ready += (uint32_t)n;
		}
		at += n;
		left -= (size_t)n;
	}
	if (to == at)
		return 0;
	memmove(to, at, left);
	h->in.end -= (uint32_t)(at - to);
	buf_consume(h->buffers, &h->in, 0);
	return 0;
}

static int scan(struct half *h)
{
	struct body *b = &h->body;
	uint32_t n;

	switch (b->framing) {
	case H1_NO_BODY:
		return 0;
	case H1_CHUNKED:
		return scan_chunks(h);
	case H1_LENGTH:
		n = (uint32_t)unseen(h);
		if (n > b->left)
			n = (uint32_t)b->left;
		b->ready += n;
		b->left -= n;
		return 0;
	default:
		b->ready += (uint32_t)unseen(h);
		return 0;
	}
}

int body_scan(struct half *h)
{
	uint32_t before = h->body.kept + h->body.ready;
	int r = scan(h);
	uint32_t after = h->body.kept + h->body.ready;

	if (h->tee && after > before)
		h->tee(h, buf_at(&h->in) + before, after - before);
	return r;
}

bool body_received(const struct half *h)
{
	switch (h->body.framing) {
	case H1_NO_BODY:
		return true;
	case H1_CHUNKED:
		return h->body.chunks.done;
	case H1_LENGTH:
		return !h->body.left;
	default:
		return h->eof;
	}
}

bool body_done(const struct half *h)
{
	return body_received(h) && !h->body.ready && !h->pipe.n;
}

void body_rewind(struct half *h)
{
	h->body.ready += h->body.kept;
	h->body.kept = 0;
}

void body_forget(struct half *h)
{
	uint32_t kept = h->body.kept;

	h->body.keep = h->body.kept = 0;
	if (!kept)
		return;
	buf_consume(h->buffers, &h->in, kept);
	buf_shrink(h->buffers, &h->in);
}

bool body_discard(struct half *h)
{
	if (body_scan(h) || h->pipe.n)
		return false;
	body_rewind(h);
	h->body.keep = 0;
	if (h->body.ready)
		buf_consume(h->buffers, &h->in, h->body.ready);
	h->body.ready = 0;
	return body_done(h);
}

static void passed_on(struct half *h, uint32_t n)
{
	h->body.ready -= n;
	if (h->body.keep)
		h->body.kept += n;
	else
		buf_consume(h->buffers, &h->in, n);
}

/* to->out and what is ready of from's body, in one system call. */
static int send_ready(struct half *from, struct half *to)
{
	const char *bytes = from->body.ready ? buf_at(&from->in) + from->body.kept : NULL;
	size_t n = from->pipe.n ? 0 : from->body.ready;
	long sent = half_send(to, bytes, n);

	if (sent < 0)
		return (int)sent;
	if (sent)
		passed_on(from, (uint32_t)sent);
	return buf_len(&to->out) || (size_t)sent < n ? -EAGAIN : 0;
}

/* Bytes of the body that may go through the kernel unseen. */
static uint64_t unseen_to_come(const struct half *h)
{
	const struct body *b = &h->body;

	if (buf_len(&h->in))
		return 0;
	switch (b->framing) {
	case H1_LENGTH:
		return b->left;
	case H1_CHUNKED:
		return b->chunks.left;
	default:
		return h->bulk ? UINT64_MAX : 0;
	}
}

static void went_unseen(struct half *h, uint64_t n)
{
	if (h->body.framing == H1_LENGTH)
		h->body.left -= n;
	else if (h->body.framing == H1_CHUNKED)
		h1_chunks_skip(&h->body.chunks, n);
}

static int pipe_fill(struct half *from, uint64_t max)
{
	size_t n = max < PIPE_SIZE ? (size_t)max : PIPE_SIZE;
	ssize_t r;

	if (from->pipe.in < 0 && pipe_take(from->buffers, &from->pipe))
		return -ENOBUFS;
	r = splice(from->transport.io.fd, NULL, from->pipe.in, NULL, n,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (r > 0) {
		from->pipe.n = (size_t)r;
		from->received += (uint64_t)r;
		from->bulk = (size_t)r >= BUF_SIZE;
		went_unseen(from, (uint64_t)r);
		return 0;
	}
	if (r == 0) {
		from->eof = true;
		from->readable = false;
		return 0;
	}
	if (errno != EAGAIN) {
		from->broken = true;
		return -errno;
	}
	from->readable = from->hup;
	return -EAGAIN;
}

/* Of a body whose end is not known it can't be said that more is about to come: what the kernel
 * keeps for that would wait for 200 ms. */
static unsigned more_to_come(const struct half *h)
{
	bool known = h->body.framing == H1_LENGTH || h->body.framing == H1_CHUNKED;

	return known && !body_received(h) ? SPLICE_F_MORE : 0;
}

static int pipe_drain(struct half *from, struct half *to)
{
	unsigned more = more_to_come(from);
	ssize_t r;

	if (!to->writable)
		return to->broken ? -EPIPE : -EAGAIN;
	r = splice(from->pipe.out, NULL, to->transport.io.fd, NULL, from->pipe.n,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK | more);
	if (r <= 0) {
		if (r < 0 && errno == EAGAIN) {
			to->writable = false;
			return -EAGAIN;
		}
		to->broken = true;
		return -EPIPE;
	}
	from->pipe.n -= (size_t)r;
	to->sent += (uint64_t)r;
	return 0;
}

/* With what is to come, one byte at least. */
static bool too_long_to_keep(const struct body *b)
{
	uint64_t left = b->left + b->chunks.left;

	return b->keep && b->kept + (left ? left : 1) > b->keep;
}

static bool is_plain(const struct half *from, const struct half *to)
{
	return transport_can_splice(&from->transport) && transport_can_splice(&to->transport);
}

/* Another try would need what a pipe takes away, and so would a mirror. */
static bool may_splice(const struct half *from, const struct half *to)
{
	return !from->body.keep && !from->body.dechunk && !from->tee && is_plain(from, to);
}

/* Gets more of the body. 0, -EAGAIN, -errno. */
static int refill(struct half *from, const struct half *to)
{
	uint64_t max;
	long r;

	if (!from->readable)
		return from->broken ? -ECONNRESET : -EAGAIN;
	if (too_long_to_keep(&from->body))
		body_forget(from);
	max = unseen_to_come(from);
	if (max >= SPLICE_MIN && may_splice(from, to)) {
		r = pipe_fill(from, max);
		if (r != -ENOBUFS)
			return (int)r;
	}
	/* TLS sends several records in one call, if it has what to put into them. */
	r = max >= BUF_BIG && !is_plain(from, to) ? half_receive_bulk(from) : half_receive(from);
	if (r == -ENOBUFS && from->body.keep) {
		body_forget(from);
		r = half_receive(from);
	}
	return r < 0 ? (int)r : 0;
}

static int leave_with(struct half *from, struct half *to)
{
	uint32_t n = from->body.ready;
	int r = n ? buf_append(to->buffers, &to->out, buf_at(&from->in), n) : 0;

	if (!r && n)
		passed_on(from, n);
	return r;
}

/* Both ends of it may be at work at the same time: the pipe is emptied before it is filled again,
 * the buffer sent before it is received into again. */
static enum relay relay_some(struct half *from, struct half *to)
{
	int r;

	if (body_scan(from))
		return RELAY_BAD;
	if (from->body.early && body_received(from) && !from->pipe.n)
		return leave_with(from, to) ? RELAY_FAILED : RELAY_DONE;
	r = send_ready(from, to);
	if (!r && from->pipe.n)
		r = pipe_drain(from, to);
	if (r)
		return r == -EAGAIN ? RELAY_WAIT : RELAY_FAILED;
	if (body_done(from))
		return RELAY_DONE;
	if (from->pipe.n || from->body.ready || unseen(from))
		return RELAY_AGAIN;
	if (from->eof)
		return RELAY_CUT;
	r = refill(from, to);
	if (r)
		return r == -EAGAIN ? RELAY_WAIT : RELAY_CUT;
	return RELAY_AGAIN;
}

enum relay relay(struct half *from, struct half *to)
{
	uint64_t until = to->sent + TURN;
	enum relay r;

	do
		r = relay_some(from, to);
	while (r == RELAY_AGAIN && to->sent < until);
	if (!from->pipe.n) /* others may use it meanwhile */
		pipe_release(from->buffers, &from->pipe);
	return r;
}
