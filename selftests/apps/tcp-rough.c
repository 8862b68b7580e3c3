/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-rough: connections that end in every way there is, and how many of them a mesh has to have
 * counted.
 *
 * tcp-rough serve PORT           does what the first byte of a connection says (enum order)
 * tcp-rough SEED N SERVICE...    N operations, each of a kind (`kinds`) chosen by the seed
 *
 * SERVICE is ROLE=IPV4,IPV6,PORT:
 *	echo	led to `tcp-rough serve`
 *	one	the same, with a single endpoint
 *	refuses	led to an endpoint that answers RST
 *	mute	led to an endpoint that doesn't answer
 *	far	led to an endpoint that the kernel has no route to
 *	full	refused by the mesh itself
 *
 * Says in JSON: "reserved", the connect() calls that must have taken a place; "refused", those by
 * the mesh; how many operations there were of each kind; "wrong", whose result was another than the
 * kind's (the first few are told on stderr). With -l, `echo` has a limit too: that it refuses is no
 * wrong result.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

enum order { ORDER_KEEP = 'k', ORDER_FIN = 'f', ORDER_RESET = 'r', ORDER_TALK = 't' };

enum {
	OPEN_MAX = 64, /* connections that are open at a time: an operation ends an older one */
	EVENTS = 256,
	KILLED = 6,
	WAIT_MS = 10000,
	TOLD_MAX = 20,
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "tcp-rough: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void reset_at_close(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* ---- the server ---- */

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		die("listen");
	return fd;
}

static void watch(int loop, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
}

/* Every order is answered by a byte; so is the client's FIN. */
static void handle_order(int fd)
{
	static const char talk[4096];
	char order;

	if (recv(fd, &order, 1, 0) != 1) {
		send(fd, "e", 1, MSG_NOSIGNAL);
		close(fd);
		return;
	}
	if (order == ORDER_TALK)
		send(fd, talk, sizeof(talk), MSG_NOSIGNAL);
	else
		send(fd, &order, 1, MSG_NOSIGNAL);
	if (order == ORDER_RESET)
		reset_at_close(fd);
	if (order == ORDER_RESET || order == ORDER_FIN)
		close(fd);
}

static _Noreturn void serve(uint16_t port)
{
	int loop = epoll_create1(EPOLL_CLOEXEC), listener = listen_on(port);
	struct epoll_event events[EVENTS];

	watch(loop, listener);
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(loop, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener)
				handle_order(fd);
			else
				while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
					watch(loop, fd);
		}
	}
}

/* ---- the addresses called ---- */

enum role { ECHO_, ONE, REFUSES, MUTE, FAR, FULL, ROLES };

static const char *const role_names[ROLES] = { "echo", "one", "refuses", "mute", "far", "full" };

enum family { V4, V6, MAPPED, FAMILIES };

static struct {
	struct sockaddr_storage to[FAMILIES];
	bool known;
} services[ROLES];

static void read_service(char *word)
{
	char *name = strsep(&word, "="), *four = strsep(&word, ","), *six = strsep(&word, ",");
	char mapped[INET6_ADDRSTRLEN + 8];
	int role = 0;

	while (role < ROLES && strcmp(name, role_names[role]) != 0)
		role++;
	if (role == ROLES || !word)
		die("not ROLE=IPV4,IPV6,PORT");
	uint16_t port = htons((uint16_t)atoi(word));
	struct sockaddr_in *a4 = (void *)&services[role].to[V4];
	struct sockaddr_in6 *a6 = (void *)&services[role].to[V6];
	struct sockaddr_in6 *am = (void *)&services[role].to[MAPPED];

	snprintf(mapped, sizeof(mapped), "::ffff:%s", four);
	a4->sin_family = AF_INET;
	a6->sin6_family = am->sin6_family = AF_INET6;
	a4->sin_port = a6->sin6_port = am->sin6_port = port;
	if (inet_pton(AF_INET, four, &a4->sin_addr) != 1 ||
	    inet_pton(AF_INET6, six, &a6->sin6_addr) != 1 ||
	    inet_pton(AF_INET6, mapped, &am->sin6_addr) != 1)
		die("address");
	services[role].known = true;
}

/* ---- operations ---- */

static uint64_t seed;
static uint64_t reserved, refused, wrong;
static bool limited;
static uint16_t own_port; /* this process's, within the pod's ip_local_port_range */

static uint32_t chance(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

struct op {
	const struct kind *kind;
	enum family family;
	int fd;
	pid_t child; /* that has to be waited for */
};

struct kind {
	const char *name;
	bool (*begin)(struct op *o); /* false: the result is wrong, or the mesh has refused */
	void (*end)(struct op *o);   /* where the connection stays open for a while */
};

static bool is_wrong(const struct op *o, const char *step)
{
	if (wrong++ < TOLD_MAX)
		fprintf(stderr, "tcp-rough: %s, family %d: %s: %s\n", o->kind->name, o->family,
			step, strerror(errno));
	return false;
}

static int open_socket(const struct op *o)
{
	int fd = socket(o->family == V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int call(struct op *o, enum role role)
{
	const struct sockaddr_storage *to = &services[role].to[o->family];
	int r = connect(o->fd, (const struct sockaddr *)to,
			o->family == V4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));

	return r ? errno : 0;
}

/* connect() to a service that leads to an endpoint; `want` is how it must end. */
static bool call_steered(struct op *o, enum role role, int want)
{
	int r = call(o, role);

	if (r == ECONNREFUSED && limited && role == ECHO_) {
		refused++;
		return false;
	}
	reserved++;
	errno = r;
	return r == want || is_wrong(o, role_names[role]);
}

static bool call_full(struct op *o)
{
	int r = call(o, FULL);

	refused++;
	errno = r;
	return r == ECONNREFUSED || is_wrong(o, "full");
}

static void give_up(struct op *o)
{
	close(o->fd);
	o->fd = -1;
}

/* Sends an order and waits for the answer. */
static bool order(struct op *o, enum order what)
{
	char c = (char)what;
	struct pollfd p = { .fd = o->fd, .events = POLLIN };

	if (send(o->fd, &c, 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, WAIT_MS) != 1)
		return is_wrong(o, "order");
	if (what == ORDER_TALK)
		return true;
	if (recv(o->fd, &c, 1, 0) != 1)
		return is_wrong(o, "answer");
	return c == (char)what || is_wrong(o, "another answer");
}

static bool open_and(struct op *o, enum order what)
{
	o->fd = open_socket(o);
	return call_steered(o, ECHO_, 0) && order(o, what);
}

/* What comes at the end: 0, or an errno. */
static bool ends_with(struct op *o, int want)
{
	struct pollfd p = { .fd = o->fd, .events = POLLIN };
	char c;
	ssize_t n = poll(&p, 1, WAIT_MS) == 1 ? recv(o->fd, &c, 1, 0) : -2;

	return (want ? n == -1 && errno == want : n == 0) || is_wrong(o, "end");
}

static bool keep_open(struct op *o)
{
	return open_and(o, ORDER_KEEP);
}

static void end_reset(struct op *o)
{
	reset_at_close(o->fd);
	give_up(o);
}

static bool fin_by_server(struct op *o)
{
	return open_and(o, ORDER_FIN);
}

static void end_after_fin(struct op *o)
{
	ends_with(o, 0);
	give_up(o);
}

/* The RST may be there before the answer is read, and takes it away. */
static bool reset_by_server(struct op *o)
{
	char c = ORDER_RESET;

	o->fd = open_socket(o);
	if (!call_steered(o, ECHO_, 0))
		return false;
	return send(o->fd, &c, 1, MSG_NOSIGNAL) == 1 || is_wrong(o, "order");
}

static void end_after_reset(struct op *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLRDHUP };

	/* The kernel notes the error before the end: poll() may see the one alone. */
	if (poll(&p, 1, WAIT_MS) != 1 || !(p.revents & (POLLHUP | POLLERR)))
		is_wrong(o, "reset");
	give_up(o);
}

static void end_half_closed(struct op *o)
{
	char c;

	if (shutdown(o->fd, SHUT_WR) || recv(o->fd, &c, 1, MSG_WAITALL) != 1 || c != 'e')
		is_wrong(o, "half-closed");
	else
		ends_with(o, 0);
	give_up(o);
}

static bool unread_data(struct op *o)
{
	return open_and(o, ORDER_TALK);
}

/* A child with connections of its own, which it tells its parent about. */
static _Noreturn void be_killed(struct op *o, int tell)
{
	uint64_t count[2] = { reserved, refused };

	for (int i = 0; i < KILLED; i++) {
		o->fd = open_socket(o);
		if (call_steered(o, ECHO_, 0) && i % 2)
			order(o, ORDER_KEEP);
	}
	count[0] = reserved - count[0];
	count[1] = refused - count[1];
	if (write(tell, count, sizeof(count)) != sizeof(count))
		_exit(1);
	for (;;)
		pause();
}

static bool killed(struct op *o)
{
	uint64_t count[2];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	o->child = fork();
	if (o->child < 0)
		die("fork");
	if (!o->child)
		be_killed(o, ends[1]);
	close(ends[1]);
	if (read(ends[0], count, sizeof(count)) != sizeof(count))
		die("a child has died");
	close(ends[0]);
	reserved += count[0];
	refused += count[1];
	kill(o->child, SIGKILL);
	return true;
}

static void end_wait(struct op *o)
{
	(void)o;
}

static bool syn_sent(struct op *o)
{
	o->fd = open_socket(o);
	fcntl(o->fd, F_SETFL, O_NONBLOCK);
	return call_steered(o, MUTE, EINPROGRESS);
}

static bool reset_syn(struct op *o)
{
	o->fd = open_socket(o);
	return call_steered(o, REFUSES, ECONNREFUSED);
}

static bool refused_by_mesh(struct op *o)
{
	o->fd = open_socket(o);
	return call_full(o);
}

static bool no_route(struct op *o)
{
	o->fd = open_socket(o);
	return call_steered(o, FAR, EHOSTUNREACH);
}

/* A socket that may have one port only, which other sockets may have, too. */
static int call_from_own_port(struct op *o)
{
	uint32_t range = (uint32_t)own_port << 16 | own_port;
	int r;

	o->fd = open_socket(o);
	if (setsockopt(o->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range)))
		return errno;
	r = call(o, ONE);
	reserved++;
	return r;
}

/* Two that lead to one endpoint. A port in TIME_WAIT may be as good as none. */
static bool no_port(struct op *o)
{
	int first = call_from_own_port(o), other = o->fd, second;

	if (first == ENOPROTOOPT)
		return true;
	second = call_from_own_port(o);
	reset_at_close(other);
	close(other);
	errno = first ?: second;
	return (second == EADDRNOTAVAIL || first == EADDRNOTAVAIL) || is_wrong(o, "one");
}

static bool forked(struct op *o)
{
	if (!open_and(o, ORDER_KEEP))
		return false;
	o->child = fork();
	if (o->child < 0)
		die("fork");
	if (!o->child) {
		usleep(chance(5000));
		_exit(0);
	}
	return true;
}

static bool pass(struct op *o, int way)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &o->fd, sizeof(int));
	return sendmsg(way, &m, 0) == 1 || is_wrong(o, "SCM_RIGHTS");
}

static bool take(struct op *o, int way)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };

	if (recvmsg(way, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
		return is_wrong(o, "SCM_RIGHTS");
	memcpy(&o->fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return true;
}

/* The descriptor exists in the message only, for a moment or to its end. */
static bool passed(struct op *o)
{
	bool drop = chance(2), ok;
	int ends[2];

	if (!open_and(o, ORDER_KEEP))
		return false;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends))
		die("socketpair");
	ok = pass(o, ends[0]);
	give_up(o);
	if (ok && !drop)
		ok = take(o, ends[1]);
	close(ends[0]);
	close(ends[1]);
	return ok;
}

static bool never_sent(struct op *o)
{
	int on = 1;

	o->fd = open_socket(o);
	if (setsockopt(o->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)))
		return is_wrong(o, "TCP_FASTOPEN_CONNECT");
	return call_steered(o, ECHO_, 0);
}

static bool dissolve(struct op *o)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return !connect(o->fd, &none, sizeof(none)) || is_wrong(o, "AF_UNSPEC");
}

static bool elsewhere(struct op *o)
{
	if (!open_and(o, ORDER_KEEP) || !dissolve(o))
		return false;
	if (chance(2))
		return call_steered(o, ECHO_, 0) && order(o, ORDER_KEEP);
	return call_steered(o, REFUSES, ECONNREFUSED);
}

static bool retries(struct op *o)
{
	o->fd = open_socket(o);
	for (uint32_t n = 1 + chance(3); n; n--) {
		bool ok = true;

		switch (chance(3)) {
		case 0:
			ok = call_steered(o, FAR, EHOSTUNREACH);
			break;
		case 1:
			ok = call_steered(o, REFUSES, ECONNREFUSED);
			break;
		default:
			ok = call_full(o);
		}
		if (!ok)
			return false;
	}
	return call_steered(o, ECHO_, 0) && order(o, ORDER_KEEP);
}

static const struct kind kinds[] = {
	{ "fin", keep_open, give_up },
	{ "fin_by_server", fin_by_server, end_after_fin },
	{ "reset", keep_open, end_reset },
	{ "reset_by_server", reset_by_server, end_after_reset },
	{ "half_close", keep_open, end_half_closed },
	{ "killed", killed, end_wait },
	{ "syn_sent", syn_sent, give_up },
	{ "unread_data", unread_data, give_up },
	{ "reset_syn", reset_syn, give_up },
	{ "refused_by_mesh", refused_by_mesh, give_up },
	{ "no_route", no_route, give_up },
	{ "no_port", no_port, give_up },
	{ "forked", forked, give_up },
	{ "passed", passed, give_up },
	{ "never_sent", never_sent, give_up },
	{ "elsewhere", elsewhere, give_up },
	{ "retries", retries, give_up },
	{ "retries_reset", retries, end_reset },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void finish(struct op *o)
{
	if (o->fd >= 0)
		o->kind->end(o);
	if (o->child)
		waitpid(o->child, NULL, 0);
	*o = (struct op){ .fd = -1 };
}

static void start(struct op *o, const struct kind *kind)
{
	*o = (struct op){ .kind = kind, .family = chance(FAMILIES), .fd = -1 };
	if (!kind->begin(o) && o->fd >= 0)
		give_up(o);
}

static void run(uint64_t n)
{
	struct op open[OPEN_MAX];
	uint64_t counts[KINDS] = {};

	for (int i = 0; i < OPEN_MAX; i++)
		open[i] = (struct op){ .fd = -1 };
	while (n--) {
		struct op *o = &open[chance(OPEN_MAX)];
		uint32_t kind = chance(KINDS);

		finish(o);
		start(o, &kinds[kind]);
		counts[kind]++;
	}
	for (int i = 0; i < OPEN_MAX; i++)
		finish(&open[i]);
	printf("{\"reserved\":%lu,\"refused\":%lu,\"wrong\":%lu,\"kinds\":{", reserved, refused,
	       wrong);
	for (int i = 0; i < KINDS; i++)
		printf("%s\"%s\":%lu", i ? "," : "", kinds[i].name, counts[i]);
	printf("}}\n");
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };

	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve((uint16_t)atoi(argv[2]));
	if (argc > 1 && !strcmp(argv[1], "-l")) {
		limited = true;
		argc--;
		argv++;
	}
	if (argc < 3 + ROLES) {
		fprintf(stderr, "usage: tcp-rough serve PORT | tcp-rough [-l] SEED N SERVICE...\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	own_port = (uint16_t)(60000 + seed % 5000);
	seed = seed * 0x9e3779b97f4a7c15 + 1;
	for (int i = 3; i < argc; i++)
		read_service(argv[i]);
	for (int i = 0; i < ROLES; i++) {
		if (!services[i].known)
			die(role_names[i]);
	}
	run(strtoull(argv[2], NULL, 10));
	return wrong > 0;
}
