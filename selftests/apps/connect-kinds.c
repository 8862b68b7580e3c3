/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect-kinds KIND ADDRESS PORT [ADDRESS PORT | LOCAL-PORT]: connects in one of the ways that
 * programs do, asks tcp-echo a line, and prints one word: the word that the answer begins with, or
 * the name of the errno ("unreachable" for both of its kind), "closed", "skip" where this kernel
 * does not have it, or "peer-ADDRESS" when getpeername() gives another address than was called.
 * Where there are two connections, it is both words: "ECONNREFUSED,one". What is open then stays so
 * until standard input ends.
 *
 *   plain            connect(), blocking
 *   mapped           by ::ffff:ADDRESS, on an IPv6 socket
 *   nonblocking      with poll()
 *   bound            from LOCAL-PORT
 *   fastopen         sendto(MSG_FASTOPEN)
 *   fastopen-connect TCP_FASTOPEN_CONNECT
 *   fastopen-unsent  the same, and nothing is ever sent: "connected"
 *   uring            by io_uring, in a worker of the kernel's
 *   mptcp            IPPROTO_MPTCP
 *   again            to the second address, which fails, then on the same socket to the first
 *   twice            a second connect() while the first is under way: "EALREADY"
 *   unspec           to the first, then AF_UNSPEC, then to the second
 *   fork             a child has the socket, the parent has closed it
 *   pass             another process has got it by SCM_RIGHTS
 *   pass-lost        it is on the way to a process that never takes it: "sent"
 *   late-bytes       waits for the other side's FIN and prints "half"; when input ends: 1,000 bytes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORD = 64, TIMEOUT_S = 5, LATE_BYTES = 1000 };

struct address {
	struct sockaddr_storage any;
	socklen_t len;
};

struct call {
	struct address to, other; /* `other`: the second address, where there is one */
	int local_port;
};

static const char line[] = "hello\n";

static const char *error_word(int error)
{
	if (error == EHOSTUNREACH || error == ENETUNREACH)
		return "unreachable";
	if (error == EAGAIN)
		return "timeout";
	return strerrorname_np(error);
}

static int usage(void)
{
	fprintf(stderr, "usage: connect-kinds KIND ADDRESS PORT [ADDRESS PORT | LOCAL-PORT]\n");
	exit(2);
}

static struct address address_of(const char *word, const char *port)
{
	struct address a = { 0 };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a.any;
	struct sockaddr_in *four = (struct sockaddr_in *)&a.any;

	if (inet_pton(AF_INET, word, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)atoi(port));
		a.len = sizeof(*four);
	} else if (inet_pton(AF_INET6, word, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)atoi(port));
		a.len = sizeof(*six);
	} else {
		usage();
	}
	return a;
}

static int open_socket(int family, int protocol)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static int connect_to(int fd, const struct address *to)
{
	return connect(fd, (const struct sockaddr *)&to->any, to->len) ? -errno : 0;
}

static bool peer_is(int fd, const struct address *to, char *word)
{
	struct sockaddr_in6 peer = { 0 };
	socklen_t len = sizeof(peer);
	char text[INET6_ADDRSTRLEN] = "none";
	bool six;

	if (getpeername(fd, (struct sockaddr *)&peer, &len)) {
		snprintf(word, WORD, "peer-%s", strerrorname_np(errno));
		return false;
	}
	six = peer.sin6_family == AF_INET6;
	if (len == to->len && !memcmp(&peer, &to->any,
				      six ? offsetof(struct sockaddr_in6, sin6_scope_id)
					  : offsetof(struct sockaddr_in, sin_zero)))
		return true;
	inet_ntop(peer.sin6_family,
		  six ? (void *)&peer.sin6_addr : (void *)&((struct sockaddr_in *)&peer)->sin_addr,
		  text, sizeof(text));
	snprintf(word, WORD, "peer-%s", text);
	return false;
}

/* The first word of the answer to a line that has been sent. */
static const char *read_answer(int fd, char *word)
{
	char in[256];
	size_t got = 0;

	do {
		ssize_t n = recv(fd, in + got, sizeof(in) - 1 - got, 0);

		if (n <= 0)
			return n ? error_word(errno) : "closed";
		got += (size_t)n;
	} while (in[got - 1] != '\n' && got < sizeof(in) - 1);
	in[got] = 0;
	snprintf(word, WORD, "%.*s", (int)strcspn(in, " "), in);
	return word;
}

/* Asks, and looks at the peer's name where `to` is given. */
static const char *ask(int fd, const struct address *to, char *word)
{
	if (to && !peer_is(fd, to, word))
		return word;
	if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0)
		return error_word(errno);
	return read_answer(fd, word);
}

/* What a connect() came to, and if that is well, the answer. */
static const char *outcome(int fd, int error, const struct address *to, char *word)
{
	return error ? error_word(-error) : ask(fd, to, word);
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* Until standard input ends. */
static void stay(void)
{
	char in[16];

	while (read(STDIN_FILENO, in, sizeof(in)) > 0)
		;
}

static void say_and_stay(const char *word)
{
	say(word);
	stay();
}

/* ---- the kinds ---- */

static int stream_to(const struct address *to)
{
	int fd = open_socket(to->any.ss_family, 0);

	if (fd < 0)
		exit(1);
	return fd;
}

static void plain(const struct call *call)
{
	int fd = stream_to(&call->to);
	char word[WORD];

	say_and_stay(outcome(fd, connect_to(fd, &call->to), &call->to, word));
}

static void mapped(const struct call *call)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&call->to.any;
	struct address to = { .len = sizeof(struct sockaddr_in6) };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to.any;
	char word[WORD];
	int fd;

	six->sin6_family = AF_INET6;
	six->sin6_port = four->sin_port;
	six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&six->sin6_addr.s6_addr[12], &four->sin_addr, 4);
	fd = stream_to(&to);
	say_and_stay(outcome(fd, connect_to(fd, &to), &to, word));
}

/* The end of a connect() that has said EINPROGRESS. */
static int connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, TIMEOUT_S * 1000) <= 0)
		return -ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

static void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

static void nonblocking(const struct call *call)
{
	int fd = stream_to(&call->to), r;
	char word[WORD];

	set_nonblocking(fd, true);
	r = connect_to(fd, &call->to);
	if (r == -EINPROGRESS)
		r = connected(fd);
	set_nonblocking(fd, false);
	say_and_stay(outcome(fd, r, &call->to, word));
}

static void bound(const struct call *call)
{
	struct sockaddr_in6 from = { .sin6_family = call->to.any.ss_family,
				     .sin6_port = htons((uint16_t)call->local_port) };
	int fd = stream_to(&call->to), on = 1;
	char word[WORD];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, call->to.len))
		say_and_stay("bind");
	else
		say_and_stay(outcome(fd, connect_to(fd, &call->to), &call->to, word));
}

static void fastopen(const struct call *call)
{
	int fd = stream_to(&call->to);
	char word[WORD];

	if (sendto(fd, line, sizeof(line) - 1, MSG_FASTOPEN | MSG_NOSIGNAL,
		   (const struct sockaddr *)&call->to.any, call->to.len) < 0)
		say_and_stay(error_word(errno));
	else if (!peer_is(fd, &call->to, word))
		say_and_stay(word);
	else
		say_and_stay(read_answer(fd, word));
}

static int fastopen_socket(const struct call *call)
{
	int fd = stream_to(&call->to), on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on))) {
		say("skip");
		exit(0);
	}
	return fd;
}

static void fastopen_connect(const struct call *call)
{
	int fd = fastopen_socket(call), r = connect_to(fd, &call->to);
	char word[WORD];

	/* Its peer's name is known only when something has been sent. */
	const char *answer = outcome(fd, r, NULL, word);

	say_and_stay(answer == word && !peer_is(fd, &call->to, word) ? word : answer);
}

static void fastopen_unsent(const struct call *call)
{
	int fd = fastopen_socket(call), r = connect_to(fd, &call->to);

	say_and_stay(r ? error_word(-r) : "connected");
}

struct ring {
	int fd;
	uint8_t *submissions, *completions;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static int ring_open(struct ring *ring)
{
	size_t sq, cq;

	memset(ring, 0, sizeof(*ring));
	ring->fd = (int)syscall(__NR_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		return -errno;
	sq = ring->params.sq_off.array + ring->params.sq_entries * sizeof(uint32_t);
	cq = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->submissions =
		mmap(NULL, sq, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->completions =
		mmap(NULL, cq, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, ring->params.sq_entries * sizeof(struct io_uring_sqe),
			     PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (ring->submissions == MAP_FAILED || ring->completions == MAP_FAILED ||
	    ring->entries == MAP_FAILED)
		return -errno;
	return 0;
}

/* One connect() by the ring; what the kernel says of it. */
static int ring_connect(struct ring *ring, int fd, const struct address *to)
{
	const struct io_uring_cqe *done =
		(const struct io_uring_cqe *)(ring->completions + ring->params.cq_off.cqes);
	uint32_t *tail = (uint32_t *)(ring->submissions + ring->params.sq_off.tail);

	ring->entries[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT,
		.flags = IOSQE_ASYNC,
		.fd = fd,
		.addr = (uint64_t)(uintptr_t)&to->any,
		.off = to->len,
	};
	*(uint32_t *)(ring->submissions + ring->params.sq_off.array) = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return done->res;
}

static void uring(const struct call *call)
{
	int fd = stream_to(&call->to);
	struct ring ring;
	char word[WORD];

	if (ring_open(&ring)) {
		say("skip");
		return;
	}
	say_and_stay(outcome(fd, ring_connect(&ring, fd, &call->to), &call->to, word));
}

static void mptcp(const struct call *call)
{
	int fd = open_socket(call->to.any.ss_family, IPPROTO_MPTCP);
	char word[WORD];

	if (fd < 0) {
		say("skip");
		return;
	}
	say_and_stay(outcome(fd, connect_to(fd, &call->to), NULL, word));
}

static void again(const struct call *call)
{
	int fd = stream_to(&call->to), r = connect_to(fd, &call->other);
	char word[WORD], both[2 * WORD];

	snprintf(both, sizeof(both), "%s,%s", r ? error_word(-r) : "connected",
		 outcome(fd, connect_to(fd, &call->to), &call->to, word));
	say_and_stay(both);
}

static void twice(const struct call *call)
{
	int fd = stream_to(&call->to), r;

	set_nonblocking(fd, true);
	r = connect_to(fd, &call->to);
	if (r == -EINPROGRESS)
		r = connect_to(fd, &call->to);
	say_and_stay(r ? error_word(-r) : "connected");
}

static void unspec(const struct call *call)
{
	struct address nowhere = { .any.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr) };
	int fd = stream_to(&call->to), r = connect_to(fd, &call->to);
	char word[WORD], peer[WORD], both[3 * WORD];
	const char *first = outcome(fd, r, &call->to, word);

	connect_to(fd, &nowhere);
	if (peer_is(fd, &call->to, peer) || strcmp(peer, "peer-ENOTCONN")) {
		say_and_stay("still-connected");
		return;
	}
	snprintf(both, sizeof(both), "%s,%s", first,
		 outcome(fd, connect_to(fd, &call->other), &call->other, peer));
	say_and_stay(both);
}

static void forked(const struct call *call)
{
	int fd = stream_to(&call->to), r = connect_to(fd, &call->to);
	pid_t child = fork();
	char word[WORD];

	if (!child) {
		usleep(50000); /* the parent has closed it */
		say_and_stay(outcome(fd, r, &call->to, word));
		_exit(0);
	}
	close(fd);
	waitpid(child, NULL, 0);
}

static int pass_fd(int over, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec io = { &byte, 1 };
	struct msghdr message = { .msg_iov = &io,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS,
					   .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(over, &message, 0) < 0 ? -errno : 0;
}

static int take_fd(int over)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte;
	struct iovec io = { &byte, 1 };
	struct msghdr message = { .msg_iov = &io,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(over, &message, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void pass(const struct call *call)
{
	int pair[2], fd, r;
	char word[WORD];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	child = fork(); /* before there is a socket: it comes to have it in no other way */
	if (!child) {
		fd = take_fd(pair[1]);
		usleep(50000); /* the sender has closed it */
		say_and_stay(fd < 0 ? "no-fd" : ask(fd, &call->to, word));
		_exit(0);
	}
	fd = stream_to(&call->to);
	r = connect_to(fd, &call->to);
	if (r)
		say(error_word(-r));
	pass_fd(pair[0], fd);
	close(fd);
	waitpid(child, NULL, 0);
}

static void pass_lost(const struct call *call)
{
	int pair[2], fd = stream_to(&call->to), r = connect_to(fd, &call->to);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	pass_fd(pair[0], fd);
	close(fd);
	say_and_stay(r ? error_word(-r) : "sent");
}

static void late_bytes(const struct call *call)
{
	int fd = stream_to(&call->to), r = connect_to(fd, &call->to);
	char bytes[LATE_BYTES] = { 0 };

	if (r || recv(fd, bytes, sizeof(bytes), 0) != 0) {
		say(r ? error_word(-r) : "bytes");
		return;
	}
	say_and_stay("half");
	send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
}

static const struct kind {
	const char *name;
	void (*run)(const struct call *call);
} kinds[] = {
	{ "plain", plain },
	{ "mapped", mapped },
	{ "nonblocking", nonblocking },
	{ "bound", bound },
	{ "fastopen", fastopen },
	{ "fastopen-connect", fastopen_connect },
	{ "fastopen-unsent", fastopen_unsent },
	{ "uring", uring },
	{ "mptcp", mptcp },
	{ "again", again },
	{ "twice", twice },
	{ "unspec", unspec },
	{ "fork", forked },
	{ "pass", pass },
	{ "pass-lost", pass_lost },
	{ "late-bytes", late_bytes },
};

int main(int argc, char **argv)
{
	struct call call;

	if (argc < 4 || argc > 6)
		usage();
	call.to = address_of(argv[2], argv[3]);
	if (argc == 6)
		call.other = address_of(argv[4], argv[5]);
	call.local_port = argc == 5 ? atoi(argv[4]) : 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]))
			continue;
		kinds[i].run(&call);
		return 0;
	}
	return usage();
}
