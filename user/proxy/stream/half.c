// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/half.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ready(struct loop_io *io, unsigned events)
{
	struct half *h = (struct half *)io; /* its transport is first, and first there is io */

	if (events & LOOP_READ)
		h->readable = true;
	if (events & LOOP_WRITE)
		h->writable = true;
	if (events & LOOP_HUP)
		h->hup = true;
	if (events & LOOP_ERROR)
		h->broken = h->hup = true;
	h->changed(h);
}

int half_open(struct half *h, int fd, struct loop *loop, struct buffer_pool *buffers,
	      void (*changed)(struct half *h))
{
	int r;

	*h = (struct half){ .transport = { .io = { fd, ready } },
			    .loop = loop,
			    .buffers = buffers,
			    .changed = changed,
			    .pipe = { .in = -1, .out = -1 } };
	r = loop_watch(loop, &h->transport.io, true);
	if (r)
		transport_close(&h->transport);
	return r;
}

void half_close(struct half *h)
{
	if (h->transport.io.fd < 0)
		return;
	loop_unwatch(h->loop, &h->transport.io);
	transport_close(&h->transport);
	buf_release(h->buffers, &h->in);
	buf_release(h->buffers, &h->out);
	pipe_release(h->buffers, &h->pipe);
}

void half_reset(struct half *h)
{
	struct linger now = { 1, 0 };

	if (h->transport.io.fd >= 0)
		setsockopt(h->transport.io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	half_close(h);
}

static int broken(struct half *h, int error)
{
	h->broken = true;
	h->readable = h->writable = false;
	return error;
}

static long received_nothing(struct half *h, long n)
{
	buf_consume(h->buffers, &h->in, 0);
	if (n == 0) {
		h->eof = true;
		h->readable = false;
		return 0;
	}
	if (n != -EAGAIN)
		return broken(h, (int)n);
	h->readable = h->hup || h->transport.more;
	return -EAGAIN;
}

/* What has come before the end may be no data (a ticket of TLS): the end, for which there is no
 * other event, is behind it. */
static long receive_into(struct half *h, char *to, size_t room)
{
	long n = transport_recv(&h->transport, to, room);

	return n == -EAGAIN && h->hup ? transport_recv(&h->transport, to, room) : n;
}

/* `most` bytes, into the buffer as it is. */
static long receive(struct half *h, size_t most)
{
	size_t room = buf_room(&h->in) < most ? buf_room(&h->in) : most;
	long n;

	n = receive_into(h, h->in.bytes + h->in.end, room);
	if (n <= 0)
		return received_nothing(h, n);
	h->in.end += (uint32_t)n;
	h->received += (uint64_t)n;
	/* Less than asked for: the kernel has no more, unless the end is next. */
	h->readable = (size_t)n == room || h->hup || h->transport.more;
	h->bulk = (size_t)n == room && room >= BUF_SIZE / 2;
	return n;
}

long half_receive(struct half *h)
{
	size_t max = h->body.keep > BUF_BIG ? h->body.keep : BUF_BIG;
	int r = buf_reserve(h->buffers, &h->in, 1, max);

	/* What follows a body is moved away from it: it must not be much. */
	return r ? r : receive(h, BUF_SIZE);
}

long half_receive_bulk(struct half *h)
{
	int r = buf_reserve(h->buffers, &h->in, BUF_BIG, BUF_BIG);

	return r ? r : receive(h, BUF_BIG);
}

/* In one system call. */
static long send_parts(struct half *h, const char *more, size_t n)
{
	struct iovec parts[2] = { { h->out.bytes ? buf_at(&h->out) : NULL, buf_len(&h->out) },
				  { (void *)more, n } };
	const struct iovec *first = parts[0].iov_len ? &parts[0] : &parts[1];

	return transport_send(&h->transport, first, n && first == &parts[0] ? 2 : 1);
}

long half_send(struct half *h, const char *more, size_t n)
{
	size_t queued = buf_len(&h->out), of_out;
	long sent;

	if (!queued && !n)
		return 0;
	if (!h->writable)
		return h->broken ? -EPIPE : -EAGAIN;
	sent = send_parts(h, more, n);
	if (sent < 0 && sent != -EAGAIN)
		return broken(h, (int)sent);
	if (sent < (long)(queued + n))
		h->writable = false;
	if (sent < 0)
		return -EAGAIN;
	h->sent += (uint64_t)sent;
	of_out = (size_t)sent < queued ? (size_t)sent : queued;
	if (of_out)
		buf_consume(h->buffers, &h->out, of_out);
	return sent - (long)of_out;
}

int half_flush(struct half *h)
{
	long r = half_send(h, NULL, 0);

	if (r < 0)
		return (int)r;
	return buf_len(&h->out) ? -EAGAIN : 0;
}

void half_shut(struct half *h)
{
	if (h->shut)
		return;
	h->shut = true;
	transport_shut(&h->transport);
}
