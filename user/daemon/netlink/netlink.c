/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/netlink.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"

enum {
	ANSWER_SIZE = 64 * 1024, /* the kernel fills at most 32 KiB of a dump's buffer at once */
	EVENT_QUEUE = 8 * 1024 * 1024, /* thousands of interfaces may appear at once */
	DUMP_TRIES = 5,
	TYPE_MASK = NLA_TYPE_MASK,
};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

int nl_open(void)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return -errno;
	r = set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	return r ? r : TAKE_FD(fd);
}

int nl_listen(const unsigned *groups, bool all_nsid)
{
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int r = 0;

	if (fd < 0)
		return -errno;
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, EVENT_QUEUE))
		set_option(fd, SOL_SOCKET, SO_RCVBUF, EVENT_QUEUE);
	if (all_nsid)
		r = set_option(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
	if (!r && bind(fd, (struct sockaddr *)&any, sizeof(any)))
		r = -errno;
	for (; !r && *groups; groups++)
		r = set_option(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, (int)*groups);
	return r ? r : TAKE_FD(fd);
}

void *nl_begin(struct nl_request *q, int type, int flags, size_t size)
{
	memset(q, 0, sizeof(*q));
	q->head.nlmsg_type = (__u16)type;
	q->head.nlmsg_flags = (__u16)(NLM_F_REQUEST | flags);
	q->head.nlmsg_len = NLMSG_LENGTH(size);
	return NLMSG_DATA(&q->head);
}

void nl_put(struct nl_request *q, int type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), data, size);
	q->head.nlmsg_len = NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

struct answer {
	__u32 seq;
	bool interrupted, done;
	int result;
	int (*each)(void *arg, const struct nlmsghdr *h);
	void *arg;
};

static void take_message(struct answer *a, const struct nlmsghdr *h)
{
	if (h->nlmsg_seq != a->seq || a->done)
		return; /* of a request that was given up */
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		const int *error = NLMSG_DATA(h);

		a->done = true;
		if (!a->result && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)))
			a->result = *error;
		return;
	}
	if (a->each && !a->result)
		a->result = a->each(a->arg, h);
}

static int receive_answer(int fd, struct answer *a, char *buf)
{
	while (!a->done) {
		ssize_t n = recv(fd, buf, ANSWER_SIZE, 0);
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, (__u32)len);
		     h = NLMSG_NEXT(h, len))
			take_message(a, h);
	}
	return a->result ? a->result : a->interrupted ? -EAGAIN : 0;
}

int nl_call(int fd, struct nl_request *q, int (*each)(void *arg, const struct nlmsghdr *h),
	    void *arg)
{
	static __u32 last_seq;
	_cleanup_free_ char *buf = malloc(ANSWER_SIZE);
	int r = buf ? -EAGAIN : -ENOMEM;

	/* Some of its bits mean something else to a request that changes things. */
	if ((q->head.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		q->head.nlmsg_flags |= NLM_F_ACK;
	for (int i = 0; r == -EAGAIN && i < DUMP_TRIES; i++) {
		struct answer a = { .seq = ++last_seq, .each = each, .arg = arg };

		q->head.nlmsg_seq = a.seq;
		if (send(fd, q, q->head.nlmsg_len, 0) < 0)
			return -errno;
		r = receive_answer(fd, &a, buf);
	}
	return r;
}

static int message_nsid(struct msghdr *m)
{
	int nsid = NL_NSID_OWN;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	}
	return nsid;
}

int nl_receive(int fd, void (*each)(void *arg, int nsid, const struct nlmsghdr *h), void *arg)
{
	_cleanup_free_ char *buf = malloc(ANSWER_SIZE);
	bool lost = false;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		char control[CMSG_SPACE(64)] __attribute__((aligned(8)));
		struct iovec iov = { buf, ANSWER_SIZE };
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, 0);
		int len = (int)n, nsid;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN ? (lost ? -ENOBUFS : 0) : -errno;
		nsid = message_nsid(&m);
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, (__u32)len);
		     h = NLMSG_NEXT(h, len))
			each(arg, nsid, h);
	}
}

static void parse(const struct rtattr *a, int len, struct nl_attrs *out)
{
	const unsigned max = sizeof(out->at) / sizeof(out->at[0]);

	memset(out, 0, sizeof(*out));
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		unsigned type = a->rta_type & TYPE_MASK;

		if (type < max)
			out->at[type] = a;
	}
}

void nl_parse(const struct nlmsghdr *h, size_t size, struct nl_attrs *out)
{
	int len = (int)h->nlmsg_len - (int)NLMSG_SPACE(size);

	parse((const struct rtattr *)((const char *)h + NLMSG_SPACE(size)), len, out);
}

void nl_parse_nested(const struct rtattr *a, struct nl_attrs *out)
{
	parse(RTA_DATA(a), (int)RTA_PAYLOAD(a), out);
}

int nl_int(const struct rtattr *a, int other)
{
	int value;

	if (!a || RTA_PAYLOAD(a) < sizeof(value))
		return other;
	memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}
