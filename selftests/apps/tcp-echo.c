/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-echo [OPTION] PORT[,PORT...] PREFIX: answers every line with "PREFIX line", as the server of
 * Istio's tcp-echo tutorial does, on all addresses of both families. One epoll loop; a connection
 * reads on only when its answer has left.
 *
 *   --peer   the answer is "PREFIX@ADDRESS line", with the address that the caller has here
 *   --abort  connections end with RST when the process does
 *   --count  sends FIN at once and reads on; prints "PORT BYTES" when a connection has ended
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	IN_MAX = 4096,
	PREFIX_MAX = 112, /* a name, and an address of a caller */
	OUT_MAX = IN_MAX * (PREFIX_MAX + 1),
	BACKLOG = 4096,
	EVENTS = 256
};

struct conn {
	int fd;
	bool listener;
	bool mid_line; /* the prefix of the line under way is written */
	bool ended;    /* the client has sent FIN */
	size_t pending, sent, taken;
	char *out; /* NULL when nothing is pending */
	char prefix[PREFIX_MAX];
};

static const char *prefix;
static bool names_peer, aborts, counts;
static int loop;

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c->out);
	free(c);
}

static int conn_watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	return epoll_ctl(loop, op, c->fd, &event) ? -errno : 0;
}

static void conn_name_peer(struct conn *c)
{
	struct sockaddr_in6 peer = { 0 };
	socklen_t len = sizeof(peer);
	char text[INET6_ADDRSTRLEN] = "";

	getpeername(c->fd, (struct sockaddr *)&peer, &len);
	if (peer.sin6_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text, sizeof(text));
	else if (IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr))
		inet_ntop(AF_INET, &peer.sin6_addr.s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
	snprintf(c->prefix, sizeof(c->prefix), "%.60s@%s", prefix, text);
}

static void conn_init(struct conn *c, int fd)
{
	struct linger linger = { .l_onoff = 1 };

	c->fd = fd;
	snprintf(c->prefix, sizeof(c->prefix), "%s", prefix);
	if (names_peer)
		conn_name_peer(c);
	if (aborts)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (counts)
		shutdown(fd, SHUT_WR);
}

static void accept_all(const struct conn *listener)
{
	for (;;) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct conn *c;

		if (fd < 0)
			return;
		c = calloc(1, sizeof(*c));
		if (!c) {
			close(fd);
			return;
		}
		conn_init(c, fd);
		if (conn_watch(c, EPOLL_CTL_ADD, EPOLLIN))
			conn_close(c);
	}
}

/* False when the connection is over. */
static bool conn_flush(struct conn *c)
{
	while (c->sent < c->pending) {
		ssize_t n = send(c->fd, c->out + c->sent, c->pending - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return conn_watch(c, EPOLL_CTL_MOD, EPOLLOUT) == 0;
		if (n < 0)
			return false;
		c->sent += (size_t)n;
	}
	c->pending = c->sent = 0;
	free(c->out);
	c->out = NULL;
	return !c->ended;
}

static void conn_answer(struct conn *c, const char *in, size_t len)
{
	size_t prefix_len = strlen(c->prefix);

	for (size_t i = 0; i < len; i++) {
		if (!c->mid_line) {
			memcpy(c->out + c->pending, c->prefix, prefix_len);
			c->pending += prefix_len;
			c->out[c->pending++] = ' ';
		}
		c->out[c->pending++] = in[i];
		c->mid_line = in[i] != '\n';
	}
}

static void conn_say_count(const struct conn *c)
{
	struct sockaddr_in6 here = { 0 };
	socklen_t len = sizeof(here);

	getsockname(c->fd, (struct sockaddr *)&here, &len);
	printf("%u %zu\n", ntohs(here.sin6_port), c->taken);
	fflush(stdout);
}

static bool conn_read(struct conn *c)
{
	char in[IN_MAX];

	for (;;) {
		ssize_t n = recv(c->fd, in, sizeof(in), 0);

		if (n < 0)
			return errno == EAGAIN;
		c->ended = n == 0;
		c->taken += (size_t)n;
		if (counts && c->ended)
			conn_say_count(c);
		if (n > 0 && !counts) {
			c->out = malloc(OUT_MAX);
			if (!c->out)
				return false;
			conn_answer(c, in, (size_t)n);
		}
		if (!conn_flush(c))
			return false;
		if (c->pending)
			return true;
	}
}

static bool conn_event(struct conn *c, uint32_t events)
{
	if (events & EPOLLOUT) {
		if (!conn_flush(c))
			return false;
		if (c->pending)
			return true;
		if (conn_watch(c, EPOLL_CTL_MOD, EPOLLIN))
			return false;
	}
	return conn_read(c);
}

static int listen_socket(uint16_t port)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
	bool six = fd >= 0;

	if (!six)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, six ? (struct sockaddr *)&any6 : (struct sockaddr *)&any4,
		 six ? sizeof(any6) : sizeof(any4)) ||
	    listen(fd, BACKLOG)) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int listen_on(const char *word)
{
	char *end;
	unsigned long port = strtoul(word, &end, 10);
	struct conn *c;
	int fd;

	if (*end || port < 1 || port > 65535)
		return -EINVAL;
	fd = listen_socket((uint16_t)port);
	if (fd < 0)
		return fd;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->listener = true;
	return conn_watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static int listen_all(char *ports)
{
	char *save = NULL;

	for (char *word = strtok_r(ports, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		int r = listen_on(word);

		if (r) {
			fprintf(stderr, "tcp-echo: port %s: %s\n", word, strerror(-r));
			return r;
		}
	}
	return 0;
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];

	for (; argc > 1 && !strncmp(argv[1], "--", 2); argc--, argv++) {
		names_peer |= !strcmp(argv[1], "--peer");
		aborts |= !strcmp(argv[1], "--abort");
		counts |= !strcmp(argv[1], "--count");
	}
	if (argc != 3 || strlen(argv[2]) >= PREFIX_MAX) {
		fprintf(stderr,
			"usage: tcp-echo [--peer | --abort | --count] PORT[,PORT...] PREFIX\n");
		return 2;
	}
	raise_file_limit();
	prefix = argv[2];
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0 || listen_all(argv[1]))
		return 1;
	puts("listening");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(loop, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c->listener)
				accept_all(c);
			else if (!conn_event(c, events[i].events))
				conn_close(c);
		}
	}
}
