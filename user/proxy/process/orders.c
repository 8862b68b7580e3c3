// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/orders.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/wire/proxy_orders.h"

enum { BACKLOG = 128, ACCEPT_PAUSE_MS = 100 };

struct message {
	struct proxy_order order;
	char bytes[PROXY_ORDER_BYTES + 1]; /* one more than may be used */
};

struct peer {
	const struct orders *o;
	int conn; /* -1: no weftd is there */
	bool quit;
	struct message in;
	size_t behind; /* bytes of it, behind the order */
};

/* The descriptor that came with the order, in *fd. How many bytes, 0 at the end, -errno. */
static ssize_t receive(int conn, struct message *in, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	struct iovec part = { in, sizeof(*in) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };
	ssize_t n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (n < 0)
		return -errno;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n;
}

/* Does not wait for a weftd that does not read. 0 or -errno. */
static int answer(const struct peer *p, const void *reply, size_t size, const int *fds,
		  size_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PROXY_MAX_WORKERS)];
	} space = { 0 };
	struct iovec part = { (void *)reply, size };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count) {
		m.msg_control = &space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		*CMSG_FIRSTHDR(&m) =
			(struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int) * fd_count) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(int) * fd_count);
	}
	return sendmsg(p->conn, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int hello(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply, int fd)
{
	struct proxy_hello h = { .workers = (uint32_t)p->o->count,
				 .can = PROXY_CAN_DRAIN | PROXY_CAN_READ,
				 .version = WEFT_VERSION };

	(void)order;
	if (fd >= 0 && dup2(fd, STDERR_FILENO) < 0)
		reply->error = -errno;
	h.reply = *reply;
	strncpy(h.identity, p->o->identity, sizeof(h.identity) - 1);
	return answer(p, &h, sizeof(h), p->o->listeners, p->o->count);
}

static int snapshot(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		    int fd)
{
	reply->error = fd < 0 ? -EBADMSG : p->o->snapshot(p->o->arg, fd, order->snapshot.state);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int patch(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply, int fd)
{
	const struct patch_order o = { .fd = fd,
				       .bytes = p->in.bytes,
				       .size = p->behind,
				       .state = order->snapshot.state,
				       .before = order->snapshot.before };

	reply->error = fd < 0 && !o.size ? -EBADMSG : p->o->patch(p->o->arg, &o);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int requests(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		    int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->requests(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int write_log(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		     int fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	reply->error = fd >= 0 && own < 0 ? -errno : p->o->log(p->o->arg, own, order->json);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

/* Hands a copy of the pipe over. */
static int write_to(struct peer *p, struct proxy_reply *reply, int fd,
		    int (*change)(void *arg, int fd))
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	reply->error = fd >= 0 && own < 0 ? -errno : change(p->o->arg, own);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int follow(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		  int fd)
{
	(void)order;
	return write_to(p, reply, fd, p->o->follow);
}

static int trace(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply, int fd)
{
	(void)order;
	return write_to(p, reply, fd, p->o->trace);
}

static int succeed(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		   int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->succeed(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int drain(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply, int fd)
{
	reply->error = fd < 0 ? -EBADMSG
			      : p->o->drain(p->o->arg, fd, order->drain.ms, order->drain.shared);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int credentials(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
		       int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->credentials(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int tell_tickets(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
			int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->tell_tickets(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int take_tickets(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply,
			int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->take_tickets(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int tell_identities(struct peer *p, const struct proxy_order *order,
			   struct proxy_reply *reply, int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->tell_identities(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int take_identities(struct peer *p, const struct proxy_order *order,
			   struct proxy_reply *reply, int fd)
{
	(void)order;
	reply->error = fd < 0 ? -EBADMSG : p->o->take_identities(p->o->arg, fd);
	return answer(p, reply, sizeof(*reply), NULL, 0);
}

static int quit(struct peer *p, const struct proxy_order *order, struct proxy_reply *reply, int fd)
{
	(void)order;
	(void)reply;
	(void)fd;
	p->quit = true;
	return 0;
}

/* `fd` stays the caller's; -1: none came. -errno when the connection is of no use any more. */
static int (*const handlers[])(struct peer *p, const struct proxy_order *order,
			       struct proxy_reply *reply, int fd) = {
	[PROXY_HELLO] = hello,
	[PROXY_SNAPSHOT] = snapshot,
	[PROXY_QUIT] = quit,
	[PROXY_REQUESTS] = requests,
	[PROXY_LOG] = write_log,
	[PROXY_SUCCEED] = succeed,
	[PROXY_DRAIN] = drain,
	[PROXY_PATCH] = patch,
	[PROXY_CREDENTIALS] = credentials,
	[PROXY_TICKETS] = tell_tickets,
	[PROXY_TAKE_TICKETS] = take_tickets,
	[PROXY_IDENTITIES] = tell_identities,
	[PROXY_TAKE_IDENTITIES] = take_identities,
	[PROXY_FOLLOW] = follow,
	[PROXY_TRACE] = trace,
};

/* Whether the message is an order, with no more behind it than that one may have. */
static bool is_order(const struct peer *p, size_t size)
{
	const struct proxy_order *order = &p->in.order;

	return size >= sizeof(*order) && order->type < sizeof(handlers) / sizeof(*handlers) &&
	       handlers[order->type] &&
	       p->behind <= (order->type == PROXY_PATCH ? PROXY_ORDER_BYTES : 0);
}

/* -EPIPE: weftd has closed the connection. */
static int handle_order(struct peer *p)
{
	_cleanup_close_ int fd = -1;
	struct proxy_order *order = &p->in.order;
	struct proxy_reply reply;
	ssize_t n;

	*order = (struct proxy_order){ 0 };
	n = receive(p->conn, &p->in, &fd);
	if (n <= 0)
		return n ? (int)n : -EPIPE;
	p->behind = (size_t)n > sizeof(*order) ? (size_t)n - sizeof(*order) : 0;
	reply = (struct proxy_reply){ .type = order->type, .sequence = order->sequence };
	if (is_order(p, (size_t)n))
		return handlers[order->type](p, order, &reply, fd);
	reply.error = -EOPNOTSUPP;
	return answer(p, &reply, sizeof(reply), NULL, 0);
}

static void hang_up(struct peer *p)
{
	closep(&p->conn);
	p->conn = -1;
}

int orders_listen(int listener)
{
	return listener >= 0 && listen(listener, BACKLOG) ? -errno : 0;
}

int orders_serve(const struct orders *o, int signals)
{
	struct peer p = { .o = o, .conn = -1 };
	struct pollfd polled[4];

	while (!p.quit) {
		polled[0] = (struct pollfd){ signals, POLLIN, 0 };
		polled[1] = (struct pollfd){ p.conn < 0 ? o->listener : p.conn, POLLIN, 0 };
		polled[2] = (struct pollfd){ o->wake, POLLIN, 0 };
		polled[3] = (struct pollfd){ o->alarm, POLLIN, 0 };
		if (poll(polled, 4, -1) < 0 && errno != EINTR)
			return log_err(-errno, "poll");
		if (polled[0].revents ||
		    ((polled[2].revents || polled[3].revents) && o->over(o->arg)))
			break;
		if (!polled[1].revents)
			continue;
		if (p.conn >= 0) {
			if (handle_order(&p))
				hang_up(&p);
			continue;
		}
		p.conn = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC);
		if (p.conn < 0) /* for want of descriptors, say: that may pass */
			(void)poll(polled, 1, ACCEPT_PAUSE_MS);
	}
	hang_up(&p);
	return 0;
}
