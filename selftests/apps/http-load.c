/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-load ADDRESS PORT: sends HTTP/1.1 requests in a chosen pattern and says what came of them;
 * `http-load --help` has the options. One epoll loop.
 *
 * A request that gets no whole answer is an error: the name of an errno ("ECONNREFUSED"), "closed"
 * (FIN before the end of the answer), "timeout", "malformed", or "corrupt" (the answer says another
 * body than was sent, or has another than was asked for). A connection that the other side ends
 * between two requests is none: the next request opens a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proxy/h1/h1.h"
#include "http_common.h"
#include "http_load.h"

enum {
	EVENTS = 512,
	IN_SIZE = 512 * 1024,
	SAVED_MAX = 64 * 1024,
	WORD_MAX = 32,
	CONNECTING_MAX = 256, /* connections that are opened at a time beforehand */
};

enum state { CLOSED, CONNECTING, ASKING, KEPT };

struct conn {
	int fd;
	enum state state;
	bool idle;	 /* one of --idle */
	bool headed;	 /* the answer's head has come */
	bool keep_alive; /* as the answer says */
	bool corrupt, word_ended;
	int send_error;
	uint64_t due, sent;
	uint64_t request; /* the number of the one under way */
	unsigned status;
	uint8_t framing;
	uint64_t left, got; /* bytes of the body */
	struct h1_chunks chunks;
	char *saved; /* of a head that isn't whole yet; or of an answer to an upload */
	size_t saved_len;
	char word[WORD_MAX];
	uint64_t touched;	    /* when a byte moved last */
	struct conn *older, *newer; /* in the order of that, while it waits for something */
	struct conn *next_free;
};

static struct results results;
static struct conn *conns, *oldest, *newest, *free_first, *free_last;
static uint32_t conn_count, busy, idle_begun, idle_settled;
static int loop;
static volatile sig_atomic_t stopped;
static char in[IN_SIZE];
static struct h1_response response;
static FILE *printed; /* the current answer */
static char *print;
static size_t print_len;

void *grow(void *items, size_t size)
{
	items = realloc(items, size);
	if (!items) {
		fprintf(stderr, "http-load: out of memory\n");
		exit(1);
	}
	return items;
}

static void *room_for(void *items, uint64_t n, size_t size)
{
	/* Doubled whenever n is a power of two. */
	return n & (n - 1) ? items : grow(items, (n ? n * 2 : 1) * size);
}

/* ---- connections that wait, in the order of their timeouts ---- */

static void wait_end(struct conn *c)
{
	if (!c->older && !c->newer && oldest != c)
		return;
	*(c->older ? &c->older->newer : &oldest) = c->newer;
	*(c->newer ? &c->newer->older : &newest) = c->older;
	c->older = c->newer = NULL;
}

static void wait_begin(struct conn *c)
{
	wait_end(c);
	c->touched = clock_ns();
	c->older = newest;
	*(newest ? &newest->newer : &oldest) = c;
	newest = c;
}

/* ---- connections ---- */

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	epoll_ctl(loop, op, c->fd, &event);
}

static void conn_close(struct conn *c)
{
	wait_end(c);
	if (c->fd >= 0)
		close(c->fd);
	free(c->saved);
	c->fd = -1;
	c->saved = NULL;
	c->saved_len = 0;
	c->state = CLOSED;
}

static void free_push(struct conn *c)
{
	c->next_free = NULL;
	*(free_last ? &free_last->next_free : &free_first) = c;
	free_last = c;
}

static struct conn *free_pop(void)
{
	struct conn *c = free_first;

	free_first = c->next_free;
	if (!free_first)
		free_last = NULL;
	return c;
}

/* ---- the end of a request ---- */

static void idle_over(struct conn *c, const char *error)
{
	idle_settled++;
	if (error || !c->keep_alive) {
		results.idle_lost++;
		conn_close(c);
		return;
	}
	results.idle_open++;
	wait_end(c);
	c->state = KEPT;
}

static void request_count(struct conn *c, const char *error)
{
	char line[WORD_MAX + 16], status[16];

	snprintf(status, sizeof(status), "%u", c->status);
	snprintf(line, sizeof(line), "%s%s%s", error ? error : status,
		 error || !c->word[0] ? "" : " ", error ? "" : c->word);
	tally_add(error ? &results.errors : &results.statuses, error ? error : status);
	if (!error && c->word[0])
		tally_add(&results.words, c->word);
	if (opt.output == OUT_SEQUENCE)
		results.sequence[c->request] = (uint32_t)tally_add(&results.lines, line) + 1;
	results.ended++;
	if (error)
		return;
	results.latency = room_for(results.latency, results.answered, sizeof(*results.latency));
	results.latency[results.answered++] = clock_ns() - c->due;
}

static void request_over(struct conn *c, const char *error)
{
	if (c->idle) {
		idle_over(c, error);
		return;
	}
	request_count(c, error);
	busy--;
	if (error || opt.close || !c->keep_alive || c->sent < opt.size) {
		conn_close(c);
	} else {
		wait_end(c);
		c->state = KEPT;
	}
	free_push(c);
}

/* ---- the answer ---- */

static void print_bytes(const char *bytes, size_t n)
{
	if (printed)
		fwrite(bytes, 1, n, printed);
}

static void print_begin(void)
{
	if (opt.output != OUT_PRINT)
		return;
	if (printed)
		fclose(printed);
	free(print);
	printed = open_memstream(&print, &print_len);
}

static void take_word(struct conn *c, const char *bytes, size_t n)
{
	size_t len = strlen(c->word);

	for (size_t i = 0; i < n && !c->word_ended; i++) {
		c->word_ended = bytes[i] == ' ' || bytes[i] == '\n' || len + 1 == WORD_MAX;
		if (!c->word_ended)
			c->word[len++] = bytes[i];
	}
	c->word[len] = 0;
}

static void save(struct conn *c, const char *bytes, size_t n)
{
	c->saved = grow(c->saved, c->saved_len + n + 1);
	memcpy(c->saved + c->saved_len, bytes, n);
	c->saved_len += n;
	c->saved[c->saved_len] = 0;
}

static void take_body(struct conn *c, const char *bytes, size_t n)
{
	if (!opt.verify && !opt.upload_answer && !opt.count_header)
		take_word(c, bytes, n);
	if (opt.verify && c->status == 200 && !pattern_matches(c->got, bytes, n))
		c->corrupt = true;
	if (opt.upload_answer && c->saved_len + n < SAVED_MAX)
		save(c, bytes, n);
	print_bytes(bytes, n);
	c->got += n;
	results.bytes += n;
}

static void take_header(struct conn *c)
{
	for (size_t i = 0; i < response.m.header_count; i++) {
		const struct h1_header *h = &response.m.headers[i];

		if (!h1_is_nocase(h->name, opt.count_header))
			continue;
		snprintf(c->word, sizeof(c->word), "%.*s", (int)h->value.n, h->value.p);
		return;
	}
	snprintf(c->word, sizeof(c->word), "none");
}

/* How many bytes the head took, 0: not whole; < 0: bad. */
static long take_head(struct conn *c, const char *bytes, size_t n)
{
	int r = h1_parse_response(bytes, n, 0, opt.is_head ? H1_ASKED_HEAD : H1_ASKED_OTHER,
				  &response);

	if (r == H1_MORE)
		return 0;
	if (r < 0)
		return r;
	if (response.status < 200 && response.status != 101)
		return r;
	print_begin();
	print_bytes(bytes, (size_t)r);
	c->headed = true;
	c->status = response.status;
	c->framing = response.m.framing;
	c->left = c->framing == H1_LENGTH ? response.m.content_length : 0;
	c->keep_alive = response.m.keep_alive && c->framing != H1_UNTIL_CLOSE &&
			c->framing != H1_TUNNEL;
	if (opt.count_header)
		take_header(c);
	return r;
}

static bool body_over(const struct conn *c)
{
	switch (c->framing) {
	case H1_LENGTH:
		return !c->left;
	case H1_CHUNKED:
		return c->chunks.done;
	case H1_UNTIL_CLOSE:
		return false;
	default:
		return true;
	}
}

static long take_some(struct conn *c, const char *bytes, size_t n)
{
	long r;

	if (c->framing == H1_CHUNKED) {
		r = h1_chunks_next(&c->chunks, bytes, n);
		if (r > 0 && c->chunks.data)
			take_body(c, bytes, (size_t)r);
		return r;
	}
	if (c->framing == H1_LENGTH && n > c->left)
		n = (size_t)c->left;
	c->left -= c->framing == H1_LENGTH ? n : 0;
	take_body(c, bytes, n);
	return (long)n;
}

static void answer_over(struct conn *c)
{
	if (opt.upload_answer && c->status == 200)
		c->corrupt = !c->saved || !strstr(c->saved, opt.upload_answer);
	if (opt.upload_answer && c->saved) {
		free(c->saved);
		c->saved = NULL;
		c->saved_len = 0;
	}
	request_over(c, c->corrupt ? "corrupt" : NULL);
}

/* The rest of it is what was received; true: the answer has not ended yet. */
static bool take(struct conn *c, const char *bytes, size_t n)
{
	while (n || (c->headed && body_over(c))) {
		long r;

		if (c->headed && body_over(c)) {
			if (n) /* nothing was asked after this */
				request_over(c, "malformed");
			else
				answer_over(c);
			return false;
		}
		r = c->headed ? take_some(c, bytes, n) : take_head(c, bytes, n);
		if (r < 0) {
			request_over(c, "malformed");
			return false;
		}
		if (!r) {
			save(c, bytes, n);
			return true;
		}
		bytes += r;
		n -= (size_t)r;
	}
	return true;
}

static void on_end(struct conn *c, int error)
{
	const char *name = error ? strerrorname_np(error) : "closed";

	if (!error && c->headed && c->framing == H1_UNTIL_CLOSE)
		answer_over(c);
	else
		request_over(c, c->send_error ? strerrorname_np(c->send_error) : name);
}

/* A connection between requests. */
static void on_kept(struct conn *c)
{
	if (recv(c->fd, in, sizeof(in), 0) < 0 && errno == EAGAIN)
		return;
	if (c->idle) {
		results.idle_open--;
		results.idle_lost++;
	} else {
		results.reopened++;
	}
	conn_close(c);
}

static void on_readable(struct conn *c)
{
	size_t before = c->headed ? 0 : c->saved_len;
	ssize_t n;

	if (c->state == KEPT) {
		on_kept(c);
		return;
	}
	if (before)
		memcpy(in, c->saved, before);
	n = recv(c->fd, in + before, sizeof(in) - before, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		on_end(c, n < 0 ? errno : 0);
		return;
	}
	if (before) {
		free(c->saved);
		c->saved = NULL;
		c->saved_len = 0;
	}
	wait_begin(c);
	take(c, in, before + (size_t)n);
}

/* ---- the request ---- */

static size_t next_part(uint64_t sent, const char **bytes)
{
	uint64_t left;

	if (sent < opt.head_len) {
		*bytes = opt.head + sent;
		return opt.head_len - sent;
	}
	left = opt.head_len + opt.upload - sent;
	if (sent < opt.head_len + opt.upload) {
		*bytes = pattern_at(sent - opt.head_len);
		return left < PATTERN_RUN ? (size_t)left : PATTERN_RUN;
	}
	*bytes = opt.tail + (sent - opt.head_len - opt.upload);
	return (size_t)(opt.size - sent);
}

static void send_more(struct conn *c, bool armed)
{
	while (c->sent < opt.size) {
		const char *bytes;
		size_t len = next_part(c->sent, &bytes);
		ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			if (!armed)
				watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			/* There may be an answer all the same. */
			c->send_error = errno;
			break;
		}
		c->sent += (size_t)n;
		wait_begin(c);
	}
	if (armed)
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void conn_open(struct conn *c)
{
	int on = 1;

	c->fd = socket(opt.to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || (opt.bound && bind(c->fd, (struct sockaddr *)&opt.from, opt.to_len))) {
		perror("http-load: socket");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	results.opened++;
	c->state = CONNECTING;
	wait_begin(c);
	if (connect(c->fd, (struct sockaddr *)&opt.to, opt.to_len) && errno != EINPROGRESS) {
		request_over(c, strerrorname_np(errno));
		return;
	}
	watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void ask(struct conn *c, uint64_t due)
{
	c->due = due;
	c->sent = c->got = 0;
	c->status = 0;
	c->headed = c->corrupt = c->word_ended = false;
	c->send_error = 0;
	c->chunks = (struct h1_chunks){ 0 };
	c->word[0] = 0;
	if (c->fd < 0) {
		conn_open(c);
		return;
	}
	c->state = ASKING;
	wait_begin(c);
	send_more(c, false);
}

static void on_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		request_over(c, strerrorname_np(error));
		return;
	}
	c->state = ASKING;
	send_more(c, true);
}

static void on_event(struct conn *c, uint32_t events)
{
	if (c->state == CLOSED)
		return;
	if (c->state == CONNECTING) {
		on_connected(c);
		return;
	}
	if (c->state == ASKING && (events & EPOLLOUT) && !c->send_error)
		send_more(c, true);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(c);
}

/* ---- the run ---- */

static bool more_to_send(uint64_t due, uint64_t start)
{
	if (stopped)
		return false;
	if (opt.seconds > 0)
		return (double)(due - start) < opt.seconds * 1e9;
	return results.sent < opt.total;
}

static void sequence_extend(void)
{
	results.sequence = room_for(results.sequence, results.sent, sizeof(*results.sequence));
	results.sequence[results.sent] = 0;
}

/* Sends what is due. When the next request is, if that is for the clock to say; 0: all are sent. */
static uint64_t send_due(uint64_t start)
{
	for (;;) {
		uint64_t now = clock_ns();
		uint64_t due = opt.rate > 0 ? start + (uint64_t)(results.sent * 1e9 / opt.rate)
					    : now;
		struct conn *c;

		if (!more_to_send(due, start))
			return 0;
		if (due > now)
			return due;
		if (!free_first)
			return UINT64_MAX;
		c = free_pop();
		if (opt.output == OUT_SEQUENCE)
			sequence_extend();
		c->request = results.sent++;
		busy++;
		ask(c, due);
	}
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

/* At most `until`; what has waited too long gives up. */
static void handle_events(uint64_t until)
{
	struct epoll_event events[EVENTS];
	uint64_t now = clock_ns(), wait = 1000000000;
	struct timespec t;
	int n;

	if (oldest && oldest->touched + opt.timeout_ns < now + wait)
		wait = oldest->touched + opt.timeout_ns > now
			       ? oldest->touched + opt.timeout_ns - now
			       : 0;
	if (until < now + wait)
		wait = until > now ? until - now : 0;
	t = (struct timespec){ (time_t)(wait / 1000000000), (long)(wait % 1000000000) };
	n = epoll_pwait2(loop, events, EVENTS, &t, NULL);
	for (int i = 0; i < n; i++)
		on_event(events[i].data.ptr, events[i].events);
	now = clock_ns();
	while (oldest && oldest->touched + opt.timeout_ns <= now)
		request_over(oldest, "timeout");
}

static void open_idle(void)
{
	while (idle_settled < opt.idle && !stopped) {
		while (idle_begun < opt.idle && idle_begun - idle_settled < CONNECTING_MAX)
			ask(&conns[opt.concurrency + idle_begun++], clock_ns());
		handle_events(UINT64_MAX);
	}
	say_ready();
}

static uint64_t cpu_ns(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < opt.cpu_count; i++) {
		struct timespec t = { 0 };

		clock_gettime(opt.cpu_of[i], &t);
		sum += (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return sum;
}

/* Each connection is opened and used once. What fails of that counts, nothing else. */
static void warm_up(void)
{
	for (uint32_t i = 0; opt.warm && i < opt.concurrency && !stopped; i++) {
		while (busy == CONNECTING_MAX)
			handle_events(UINT64_MAX);
		busy++;
		ask(free_pop(), clock_ns());
	}
	while (busy && stopped < 2)
		handle_events(UINT64_MAX);
	free(results.latency);
	results = (struct results){ .errors = results.errors,
				    .opened = results.opened,
				    .idle_open = results.idle_open,
				    .idle_lost = results.idle_lost };
}

static void run(void)
{
	uint64_t start, next, cpu;

	open_idle();
	warm_up();
	cpu = cpu_ns();
	start = clock_ns();
	while ((next = send_due(start)) || busy) {
		if (stopped > 1)
			break;
		handle_events(next ? next : UINT64_MAX);
	}
	results.seconds = (double)(clock_ns() - start) / 1e9;
	results.cpu_ns = cpu_ns() - cpu;
	while (opt.hold && !stopped)
		handle_events(UINT64_MAX);
}

static void on_signal(int signal)
{
	(void)signal;
	stopped++;
}

static void set_up(void)
{
	struct sigaction stop = { .sa_handler = on_signal };

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	raise_file_limit();
	prctl(PR_SET_TIMERSLACK, 1000UL); /* the rate is kept to the microsecond */
	conn_count = opt.concurrency + opt.idle;
	conns = grow(NULL, conn_count * sizeof(*conns));
	for (uint32_t i = 0; i < conn_count; i++) {
		conns[i] = (struct conn){ .fd = -1, .idle = i >= opt.concurrency };
		if (!conns[i].idle)
			free_push(&conns[i]);
	}
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0) {
		perror("http-load: epoll_create1");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	pattern_init();
	options_parse(argc, argv);
	set_up();
	run();
	if (opt.output != OUT_PRINT) {
		report(&results);
		return 0;
	}
	if (printed)
		fclose(printed);
	fwrite(print, 1, print_len, stdout);
	for (size_t i = 0; i < results.errors.len; i++)
		fprintf(stderr, "http-load: %s\n", results.errors.counts[i].text);
	return results.errors.len > 0;
}
