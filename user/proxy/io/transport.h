/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_TRANSPORT_H
#define WEFT_PROXY_IO_TRANSPORT_H
/*
 * How a connection's bytes get in and out of its socket: as they are (TCP), or by functions that
 * turn them into others, as TLS would. All that reads or writes a connection goes through here.
 *
 * For TCP there is no call through a pointer: the system calls are inlined behind one branch.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/io/loop.h"

struct transport;

/* Each returns at once. Fewer bytes than asked for means: there is no more now, no more room; the
 * loop tells when that changes. Where the transport says `more`, it does not: recv() is to be
 * called again. */
struct transport_ops {
	/* Bytes, 0 at the end, or -errno: -EAGAIN if there are none yet. */
	ssize_t (*recv)(struct transport *t, void *to, size_t n);
	/* Bytes, or -errno: -EAGAIN if there is room for none. */
	ssize_t (*send)(struct transport *t, const struct iovec *parts, size_t count);
	/* No more will be sent: tells the peer. */
	void (*shut)(struct transport *t);
	/* Gives `state` back. The socket is closed afterwards. */
	void (*close)(struct transport *t);
};

struct transport {
	struct loop_io io;		 /* first; io.fd: the socket, -1 when it is closed */
	const struct transport_ops *ops; /* NULL: TCP */
	void *state;			 /* of the ops */
	bool more;			 /* recv() has more to tell; TCP: never */
};

static inline bool transport_is_tcp(const struct transport *t)
{
	return __builtin_expect(!t->ops, 1);
}

/* The socket's bytes are the connection's: the kernel may move them unseen. */
static inline bool transport_can_splice(const struct transport *t)
{
	return transport_is_tcp(t);
}

/* See struct transport_ops. */
static inline ssize_t transport_recv(struct transport *t, void *to, size_t n)
{
	ssize_t r;

	if (!transport_is_tcp(t))
		return t->ops->recv(t, to, n);
	do
		r = recv(t->io.fd, to, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static inline ssize_t transport_send(struct transport *t, const struct iovec *parts, size_t count)
{
	const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	struct msghdr m = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };
	ssize_t r;

	if (!transport_is_tcp(t))
		return t->ops->send(t, parts, count);
	/* A message of one part is less work for the kernel. */
	do
		r = count == 1 ? send(t->io.fd, parts->iov_base, parts->iov_len, flags)
			       : sendmsg(t->io.fd, &m, flags);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static inline void transport_shut(struct transport *t)
{
	if (!transport_is_tcp(t))
		t->ops->shut(t);
	else
		shutdown(t->io.fd, SHUT_WR);
}

static inline void transport_close(struct transport *t)
{
	if (!transport_is_tcp(t))
		t->ops->close(t);
	close(t->io.fd);
	t->io.fd = -1;
}

#endif
