// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/half.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void ready(struct loop_io *io, unsigned events)
{
	struct half *h = (struct half *)io; /* io is its first member */

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

int half_open(struct half *h, int fd, struct loop *loop, struct supply *supply,
	      void (*changed)(struct half *h))
{
	int r;

	*h = (struct half){ .io = { fd, ready },
			    .loop = loop,
			    .supply = supply,
			    .changed = changed,
			    .pipe = { .in = -1, .out = -1 } };
	r = loop_watch(loop, &h->io, true);
	if (r) {
		close(fd);
		h->io.fd = -1;
	}
	return r;
}

void half_close(struct half *h)
{
	if (h->io.fd < 0)
		return;
	loop_unwatch(h->loop, &h->io);
	close(h->io.fd);
	h->io.fd = -1;
	buf_release(h->supply, &h->in);
	buf_release(h->supply, &h->out);
	pipe_release(h->supply, &h->pipe);
}

void half_reset(struct half *h)
{
	struct linger now = { 1, 0 };

	if (h->io.fd >= 0)
		setsockopt(h->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	half_close(h);
}

static int broken(struct half *h, int error)
{
	h->broken = true;
	h->readable = h->writable = false;
	return -error;
}

static long received_nothing(struct half *h, long n)
{
	int error = errno;

	buf_consume(h->supply, &h->in, 0);
	if (n == 0) {
		h->eof = true;
		h->readable = false;
		return 0;
	}
	if (error != EAGAIN)
		return broken(h, error);
	h->readable = h->hup;
	return -EAGAIN;
}

long half_receive(struct half *h)
{
	size_t room;
	long n;
	size_t most = h->body.keep > BUF_BIG ? h->body.keep : BUF_BIG;
	int r = buf_reserve(h->supply, &h->in, 1, most);

	if (r)
		return r;
	/* What follows a body is moved away from it: it must not be much. */
	room = buf_room(&h->in) < BUF_SIZE ? buf_room(&h->in) : BUF_SIZE;
	do
		n = recv(h->io.fd, h->in.bytes + h->in.end, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return received_nothing(h, n);
	h->in.end += (uint32_t)n;
	h->received += (uint64_t)n;
	/* Less than asked for: the kernel has no more, unless the end is next. */
	h->readable = (size_t)n == room || h->hup;
	h->bulk = (size_t)n == room && room >= BUF_SIZE / 2;
	return n;
}

/* In one system call; a message of one part is less work for the kernel. */
static long send_parts(const struct half *h, const char *more, size_t n)
{
	struct iovec parts[2] = { { h->out.bytes ? buf_at(&h->out) : NULL, buf_len(&h->out) },
				  { (void *)more, n } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
	const struct iovec *only = n ? &parts[1] : &parts[0];

	if (n && parts[0].iov_len)
		return sendmsg(h->io.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return send(h->io.fd, only->iov_base, only->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

long half_send(struct half *h, const char *more, size_t n)
{
	size_t queued = buf_len(&h->out), of_out;
	long sent;

	if (!queued && !n)
		return 0;
	if (!h->writable)
		return h->broken ? -EPIPE : -EAGAIN;
	do
		sent = send_parts(h, more, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		return broken(h, errno);
	if (sent < (long)(queued + n))
		h->writable = false;
	if (sent < 0)
		return -EAGAIN;
	h->sent += (uint64_t)sent;
	of_out = (size_t)sent < queued ? (size_t)sent : queued;
	if (of_out)
		buf_consume(h->supply, &h->out, of_out);
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
	shutdown(h->io.fd, SHUT_WR);
}
