/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-load ADDRESS PORT: opens TCP connections in a chosen pattern and says what became of each.
 * One epoll loop and a heap of deadlines; `tcp-load --help` has the options.
 *
 * A connection's result is the first word of the answer ("one"), "connected" when nothing was
 * asked, the name of an errno ("ECONNREFUSED"), "closed" (FIN before the answer), "timeout",
 * "corrupt" (another line came back), or, once it had been answered, "lost" (ended by the other
 * side) or "moved" (a later answer came from someone else).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
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

enum { WORD_MAX = 24, EVENTS = 512 };
enum end { END_FIN, END_RST, END_MIX, END_HALF, END_HOLD };
enum state { CONNECTING, ASKING, KEEPING, HALF_CLOSED, DONE };
enum output { OUT_SUMMARY, OUT_JSON, OUT_SEQUENCE, OUT_TIMES };

struct conn {
	int fd;
	enum state state;
	bool named;   /* the answer's first word is complete */
	bool settled; /* connected, and answered where it asks */
	uint64_t opened, connected, answered, keep_until;
	uint64_t deadline; /* of its live timer; others of it in the heap are stale */
	size_t sent, got;  /* bytes of the line; of the answer, without its first word */
	char result[WORD_MAX], word[WORD_MAX];
	uint16_t local_port;
};

struct timer {
	uint64_t at;
	uint32_t conn;
};

static struct {
	struct sockaddr_storage to, from;
	socklen_t to_len;
	bool bound;
	uint32_t total, concurrency;
	double rate, seconds;
	uint64_t keep_ns, every_ns, timeout_ns;
	char *line; /* with its newline; NULL: ask nothing */
	size_t line_len;
	enum end end;
	enum output output;
	const char *ready_file;
	unsigned source_port;
} opt = { .total = 1, .concurrency = 1, .timeout_ns = 5000000000ULL };

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

static void *grow(void *items, size_t size)
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

/* Opens what is due; returns when the next one is, or UINT64_MAX if that is not for the clock to
 * say. */
static uint64_t open_due(uint64_t start)
{
	while (more_to_open(start) && busy < opt.concurrency) {
		uint64_t due = opt.rate > 0 ? start + (uint64_t)(opened * 1e9 / opt.rate) : 0;

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

/* ---- what is printed ---- */

static int by_result(const void *a, const void *b)
{
	return strcmp(((const struct conn *)a)->result, ((const struct conn *)b)->result);
}

static void print_counts(void)
{
	qsort(conns, opened, sizeof(*conns), by_result);
	putchar('{');
	for (uint32_t i = 0, n; i < opened; i += n) {
		for (n = 1; i + n < opened && !strcmp(conns[i].result, conns[i + n].result);)
			n++;
		printf("%s\"%s\":%" PRIu32, i ? "," : "", conns[i].result, n);
	}
	putchar('}');
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const char *name, bool refused)
{
	uint64_t *us = grow(NULL, (opened + 1) * sizeof(*us));
	uint32_t n = 0;

	for (uint32_t i = 0; i < opened; i++)
		if (conns[i].connected && refused == !strcmp(conns[i].result, "ECONNREFUSED"))
			us[n++] = (conns[i].connected - conns[i].opened) / 1000;
	qsort(us, n, sizeof(*us), by_number);
	us[n] = 0;
	printf(",\"%s\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}", name,
	       us[n / 2], us[n - n / 100 - (n > 0)], us[n - (n > 0)]);
	free(us);
}

static void print_json(void)
{
	putchar('[');
	for (uint32_t i = 0; i < opened; i++) {
		const struct conn *c = &conns[i];

		printf("%s{\"result\":\"%s\",\"connect_us\":%" PRIu64 ",\"local_port\":%u}",
		       i ? ",\n" : "", c->result,
		       c->connected ? (c->connected - c->opened) / 1000 : 0, c->local_port);
	}
	puts("]");
}

static void print_results(void)
{
	if (opt.output == OUT_JSON) {
		print_json();
		return;
	}
	if (opt.output == OUT_SEQUENCE) {
		for (uint32_t i = 0; i < opened; i++)
			puts(conns[i].result);
		return;
	}
	if (opt.output == OUT_TIMES)
		fputs("{\"results\":", stdout);
	print_counts();
	if (opt.output == OUT_TIMES) {
		print_times("connect_us", false);
		print_times("refused_us", true);
		printf(",\"peak_open\":%" PRIu32 "}", open_peak);
	}
	putchar('\n');
}

/* ---- the command line ---- */

static const char help[] =
	"usage: tcp-load ADDRESS PORT [option...]\n"
	"  -n N              connections in all (1)\n"
	"  -d SECONDS        instead of -n: open connections for so long\n"
	"  -c N              at most N at a time, held ones not counted (1)\n"
	"  -r RATE           begin RATE connections a second (as fast as -c lets)\n"
	"  -s LINE           send LINE, read the answer\n"
	"  --bytes N         send a line of N bytes\n"
	"  -k MS             keep open after that (0)\n"
	"  --every MS        while kept open, ask again every MS\n"
	"  -e, --end HOW     fin, rst, mix (fin or rst at random), half (shutdown, then wait for "
	"the other's FIN),\n"
	"                    hold (keep open until -k, or until SIGTERM)\n"
	"  -t MS             give up connecting, or waiting for an answer (5000)\n"
	"  --source ADDRESS  bind to it\n"
	"  --source-port P   the nth connection comes from port P + n\n"
	"  --ready FILE      create FILE when every connection is answered, refused or failed\n"
	"  --json | --sequence | --times\n"
	"                    print every connection | every result, in order of opening | the "
	"counts, with times;\n"
	"                    otherwise the counts: {\"one\":8,\"two\":2}\n";

static int usage(const char *why)
{
	fprintf(stderr, "tcp-load: %s\n%s", why, help);
	exit(2);
}

static double number(const char *word)
{
	char *end;
	double n = strtod(word, &end);

	if (end == word || *end || n < 0)
		usage("not a number");
	return n;
}

static socklen_t address(const char *word, unsigned port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, word, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, word, &six->sin6_addr) != 1)
		usage("not an address");
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)port);
	return sizeof(*six);
}

static enum end end_named(const char *word)
{
	static const char *const names[] = { "fin", "rst", "mix", "half", "hold" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(word, names[i]))
			return (enum end)i;
	return (enum end)usage("no such way to end");
}

static void set_line(const char *text, size_t len)
{
	opt.line = grow(NULL, len + 2);
	if (text)
		memcpy(opt.line, text, len);
	for (size_t i = 0; !text && i < len; i++)
		opt.line[i] = (char)('a' + i % 23);
	opt.line[len] = '\n';
	opt.line_len = len + 1;
}

static const struct option long_options[] = {
	{ "bytes", required_argument, NULL, 'b' },
	{ "every", required_argument, NULL, 'E' },
	{ "end", required_argument, NULL, 'e' },
	{ "source", required_argument, NULL, 'S' },
	{ "source-port", required_argument, NULL, 'P' },
	{ "ready", required_argument, NULL, 'R' },
	{ "json", no_argument, NULL, 'j' },
	{ "sequence", no_argument, NULL, 'q' },
	{ "times", no_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void set_pattern(int option, const char *arg)
{
	switch (option) {
	case 'n':
		opt.total = (uint32_t)number(arg);
		break;
	case 'd':
		opt.seconds = number(arg);
		break;
	case 'c':
		opt.concurrency = (uint32_t)number(arg);
		break;
	case 'r':
		opt.rate = number(arg);
		break;
	case 'k':
		opt.keep_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 'E':
		opt.every_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 't':
		opt.timeout_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 'e':
		opt.end = end_named(arg);
		break;
	default:
		usage("unknown option");
	}
}

static void set_option(int option, const char *arg)
{
	switch (option) {
	case 's':
		set_line(arg, strlen(arg));
		break;
	case 'b':
		set_line(NULL, (size_t)number(arg));
		break;
	case 'S':
		address(arg, 0, &opt.from);
		opt.bound = true;
		break;
	case 'P':
		opt.source_port = (unsigned)number(arg);
		break;
	case 'R':
		opt.ready_file = arg;
		break;
	case 'j':
		opt.output = OUT_JSON;
		break;
	case 'q':
		opt.output = OUT_SEQUENCE;
		break;
	case 'T':
		opt.output = OUT_TIMES;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		set_pattern(option, arg);
	}
}

static void set_options(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "n:d:c:r:s:k:e:t:h", long_options, NULL)) != -1)
		set_option(option, optarg);
	if (argc - optind != 2)
		usage("expected an address and a port");
	opt.to_len = address(argv[optind], (unsigned)number(argv[optind + 1]), &opt.to);
	if (opt.source_port && !opt.bound) {
		opt.from.ss_family = opt.to.ss_family;
		opt.bound = true;
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

	set_options(argc, argv);
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
	print_results();
	return 0;
}
