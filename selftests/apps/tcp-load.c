/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-load ADDRESS PORT: opens TCP connections in a chosen pattern and says what became of each.
 * One epoll loop and a heap of deadlines; `tcp-load --help` has the options.
 *
 * A connection's result is the first word of the answer ("one"), "connected" when nothing was
 * asked, the name of an errno ("ECONNREFUSED"), "closed" (FIN before the answer), "timeout",
 * "corrupt" (another line came back), or, once it had been answered, "lost" (ended by the other
 * side) or "moved" (a later answer came from another server).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum { EVENTS = 512, BATCH = 16 };

struct timer {
	uint64_t at;
	uint32_t conn;
};

static struct conn *conns; /* in order of opening */
static uint32_t opened, room, busy, settled, open_now, open_peak;
static struct timer *heap;
static size_t heap_len, heap_room;
static int loop;
static volatile sig_atomic_t
	stopped; /* signals: the first lets connections come to their end, but not held ones */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void *grow(void *items, size_t size)
{
	items = realloc(items, size);
	if (!items) {
		fprintf(stderr, "tcp-load: out of memory\n");
		exit(1);
	}
	return items;
}

/* ---- deadlines ---- */

static void timer_set(uint32_t conn, uint64_t at)
{
	size_t i = heap_len++;

	if (heap_len > heap_room) {
		heap_room = heap_room ? heap_room * 2 : 1024;
		heap = grow(heap, heap_room * sizeof(*heap));
	}
	for (; i && heap[(i - 1) / 2].at > at; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = (struct timer){ .at = at, .conn = conn };
	conns[conn].deadline = at;
}

static struct timer timer_pop(void)
{
	struct timer first = heap[0], last = heap[--heap_len];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < heap_len) {
		if (child + 1 < heap_len && heap[child + 1].at < heap[child].at)
			child++;
		if (heap[child].at >= last.at)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return first;
}

/* ---- a connection's life ---- */

static void settle(struct conn *c, const char *result)
{
	if (!c->settled)
		settled++;
	c->settled = true;
	snprintf(c->result, sizeof(c->result), "%s", result);
}

static void close_now(struct conn *c, bool reset)
{
	struct linger linger = { .l_onoff = 1 };

	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(c->fd);
	c->fd = -1;
	if (c->connected)
		open_now--;
	if (c->state == KEEPING && opt.end == END_HOLD)
		busy++; /* a held connection was not counted */
	c->state = DONE;
	c->deadline = 0;
	busy--;
}

static void fail(struct conn *c, const char *result)
{
	settle(c, result);
	close_now(c, false);
}

static void end(struct conn *c)
{
	if (opt.end == END_HALF && c->state == KEEPING) {
		c->state = HALF_CLOSED;
		shutdown(c->fd, SHUT_WR);
		timer_set((uint32_t)(c - conns), now_ns() + opt.timeout_ns);
		return;
	}
	close_now(c, opt.end == END_RST || (opt.end == END_MIX && random() % 2));
}

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = (uint32_t)(c - conns) };

	epoll_ctl(loop, op, c->fd, &event);
}

static void keep(struct conn *c)
{
	uint64_t now = now_ns();

	if (c->state != KEEPING && opt.end == END_HOLD)
		busy--;
	c->state = KEEPING;
	if (!c->keep_until)
		c->keep_until = opt.end == END_HOLD && !opt.keep_ns ? UINT64_MAX
								    : now + opt.keep_ns;
	if (now >= c->keep_until)
		end(c);
	else if (opt.every_ns && now + opt.every_ns < c->keep_until)
		timer_set((uint32_t)(c - conns), now + opt.every_ns);
	else if (c->keep_until != UINT64_MAX)
		timer_set((uint32_t)(c - conns), c->keep_until);
}

static void send_more(struct conn *c)
{
	while (c->sent < opt.line_len) {
		ssize_t n = send(c->fd, opt.line + c->sent, opt.line_len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			fail(c, c->answered ? "lost" : strerrorname_np(errno));
			return;
		}
		c->sent += (size_t)n;
	}
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void ask(struct conn *c)
{
	if (c->state == KEEPING && opt.end == END_HOLD)
		busy++;
	c->state = ASKING;
	c->sent = c->got = 0;
	c->word[0] = 0;
	c->named = false;
	timer_set((uint32_t)(c - conns), now_ns() + opt.timeout_ns);
	send_more(c);
}

static void on_connected(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	c->answered = 0;
	if (err) {
		uint64_t now = now_ns();

		settle(c, strerrorname_np(err));
		close_now(c, false);
		c->connected = now; /* when it was refused */
		return;
	}
	c->connected = now_ns();
	if (++open_now > open_peak)
		open_peak = open_now;
	if (opt.line) {
		ask(c);
		return;
	}
	settle(c, "connected");
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	keep(c);
}

static void on_answer(struct conn *c)
{
	bool first = !c->answered;

	c->answered = now_ns();
	if (first)
		settle(c, c->word);
	else if (strcmp(c->word, c->result)) {
		fail(c, "moved");
		return;
	}
	keep(c);
}

/* Takes in bytes of "WORD line\n"; false when they are not an answer to our line. */
static bool answer_matches(struct conn *c, const char *in, size_t len)
{
	size_t i = 0;

	for (; i < len && !c->named; i++) {
		size_t n = strlen(c->word);

		if (in[i] == ' ') {
			c->named = true;
			continue;
		}
		if (n + 1 >= sizeof(c->word))
			return false;
		c->word[n] = in[i];
		c->word[n + 1] = 0;
	}
	if (c->got + (len - i) > opt.line_len || memcmp(in + i, opt.line + c->got, len - i))
		return false;
	c->got += len - i;
	return true;
}

static void on_readable(struct conn *c)
{
	char in[16384];
	ssize_t n = recv(c->fd, in, sizeof(in), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (c->state == HALF_CLOSED && n == 0) {
		close_now(c, false);
		return;
	}
	if (n <= 0) {
		fail(c, c->settled ? "lost" : n ? strerrorname_np(errno) : "closed");
		return;
	}
	if (c->state != ASKING || !answer_matches(c, in, (size_t)n)) {
		fail(c, "corrupt");
		return;
	}
	if (c->named && c->got == opt.line_len)
		on_answer(c);
}

static void on_event(struct conn *c, uint32_t events)
{
	if (c->state == CONNECTING) {
		on_connected(c);
		return;
	}
	if (c->state == ASKING && (events & EPOLLOUT))
		send_more(c);
	if (c->state != DONE && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		on_readable(c);
}

static void on_deadline(struct conn *c)
{
	if (c->state != KEEPING)
		fail(c, c->answered ? "silent" : "timeout");
	else if (now_ns() >= c->keep_until)
		end(c);
	else if (opt.line)
		ask(c);
	else
		keep(c);
}

static void bind_source(int fd)
{
	struct sockaddr_storage from = opt.from;
	socklen_t len = opt.to_len;
	int on = 1;

	if (!opt.bound)
		return;
	if (opt.source_port)
		((struct sockaddr_in *)&from)->sin_port =
			htons((uint16_t)(opt.source_port + opened));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, len)) {
		fprintf(stderr, "tcp-load: bind: %s\n", strerror(errno));
		exit(1);
	}
}

static void open_one(void)
{
	struct sockaddr_storage local = { 0 };
	socklen_t len = sizeof(local);
	struct conn *c;
	int on = 1;

	if (opened == room) {
		room = room ? room * 2 : 1024;
		conns = grow(conns, room * sizeof(*conns));
	}
	c = &conns[opened];
	*c = (struct conn){ .fd = socket(opt.to.ss_family,
					 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (c->fd < 0) {
		fprintf(stderr, "tcp-load: socket: %s\n", strerror(errno));
		exit(1);
	}
	bind_source(c->fd);
	if (opt.fastopen)
		setsockopt(c->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	opened++;
	busy++;
	c->opened = now_ns();
	if (connect(c->fd, (struct sockaddr *)&opt.to, opt.to_len) && errno != EINPROGRESS) {
		fail(c, strerrorname_np(errno));
		return;
	}
	getsockname(c->fd, (struct sockaddr *)&local, &len);
	c->local_port = ntohs(((struct sockaddr_in *)&local)->sin_port);
	timer_set(opened - 1, c->opened + opt.timeout_ns);
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* ---- the run ---- */

static bool more_to_open(uint64_t start)
{
	if (stopped)
		return false;
	if (opt.seconds > 0)
		return (double)(now_ns() - start) < opt.seconds * 1e9;
	return opened < opt.total;
}

/* Opens what is due, some at a time, as an answer must not be noticed late; returns when the next
 * one is, or UINT64_MAX if that is not for the clock to say. */
static uint64_t open_due(uint64_t start)
{
	for (int n = 0; more_to_open(start) && busy < opt.concurrency; n++) {
		uint64_t due = opt.rate > 0 ? start + (uint64_t)(opened * 1e9 / opt.rate) : 0;

		if (n == BATCH)
			return 0;
		if (due > now_ns())
			return due;
		open_one();
	}
	return UINT64_MAX;
}

static int wait_ms(uint64_t due)
{
	uint64_t now = now_ns();

	if (heap_len && heap[0].at < due)
		due = heap[0].at;
	if (due == UINT64_MAX)
		return 1000;
	return due <= now ? 0 : (int)((due - now + 999999) / 1000000);
}

static void say_ready(void)
{
	int fd;

	if (!opt.ready_file)
		return;
	fd = open(opt.ready_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	opt.ready_file = NULL;
}

static bool holding(void)
{
	return opt.end == END_HOLD && open_now && !stopped;
}

static void run(void)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();

	for (;;) {
		uint64_t due = open_due(start);
		int n;

		if (!more_to_open(start)) {
			if (settled == opened)
				say_ready();
			if ((!busy && !holding()) || stopped > 1 ||
			    (stopped && opt.end == END_HOLD))
				break;
		}
		n = epoll_wait(loop, events, EVENTS, wait_ms(due));
		for (int i = 0; i < n; i++)
			on_event(&conns[events[i].data.u32], events[i].events);
		while (heap_len && heap[0].at <= now_ns()) {
			struct timer t = timer_pop();

			if (conns[t.conn].deadline == t.at && conns[t.conn].state != DONE)
				on_deadline(&conns[t.conn]);
		}
	}
	for (uint32_t i = 0; i < opened; i++)
		if (conns[i].state != DONE) {
			if (!conns[i].settled)
				settle(&conns[i], "stopped");
			close_now(&conns[i], opt.end == END_RST);
		}
}

static void on_signal(int signal)
{
	(void)signal;
	stopped++;
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_signal };
	struct rlimit limit;

	options_parse(argc, argv);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	srandom((unsigned)now_ns());
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0) {
		perror("tcp-load: epoll_create1");
		return 1;
	}
	run();
	report(conns, opened, open_peak);
	return 0;
}
