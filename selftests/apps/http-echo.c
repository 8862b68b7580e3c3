/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-echo PORT[,PORT...] NAME: an HTTP/1.1 server for tests, on all addresses of both families.
 * Answers "NAME\n", in a header x-served-by, too; some paths ask for something else:
 *
 *   /anything...   JSON: the request, headers in their order, client address
 *   /status/N      that status                /delay/MS      after so long
 *   /bytes/N       a body of N bytes          /chunks/N      the same, chunked
 *   /upload        JSON: length and adler32 of the request's body
 *   /close         no answer, FIN             /close/reset   no answer, RST
 *   /close/half-head, /close/half-body        FIN in the middle of it
 *   /response-headers?NAME=VALUE&...          with those
 *   /_set?status=N&times=N&delay=MS           from now on (and so often), whatever the path
 *   /_stats        JSON: requests and connections until now, without /_set and /_stats
 *
 * After CONNECT, or an Upgrade to websocket, it sends back whatever comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "http_common.h"
#include "http_echo.h"
#include "proxy/io/loop.h"
#include "proxy/h1/http_status.h"

enum {
	IN_FIRST = 8 * 1024, /* bytes of buffer at first, ... */
	IN_MAX = 256 * 1024, /* ... and when there are many to come */
	CHUNK = 64 * 1024,   /* of /chunks */
	BACKLOG = 4096,
	TURN = 4 * 1024 * 1024, /* bytes that one connection sends before it's the others' turn */
};

enum state { HEAD, BODY, DELAY, ANSWER, TUNNEL };

struct conn {
	struct loop_io io;
	struct loop_timer timer;
	enum state state;
	uint64_t number;
	char *in; /* bytes[0..in_len); the head of the request under way stays in front */
	size_t in_len, in_size, head_len, seen;
	struct h1_chunks chunks;
	bool chunked, drained, ended, keep_alive, is_head;
	uint64_t body_left, body_bytes;
	uint32_t body_sum;
	struct answer answer;
	char *out; /* of head and body what is not yet sent */
	size_t out_len, out_sent;
	uint64_t pattern_sent; /* of answer.pattern */
	char peer[INET6_ADDRSTRLEN];
	unsigned peer_port;
};

static struct loop *loop;
static int log_fd = -1;

static void conn_close(struct conn *c, bool reset)
{
	struct linger linger = { .l_onoff = 1 };

	if (reset)
		setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	loop_timer_clear(loop, &c->timer);
	close(c->io.fd);
	free(c->in);
	free(c->out);
	free(c->answer.body);
	free(c);
	echo.open--;
}

/* ---- bytes ---- */

static void log_bytes(const struct conn *c, const char *bytes, size_t n)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "\n== connection %" PRIu64 ": %zu bytes\n",
			   c->number, n);
	struct iovec iov[] = { { line, (size_t)len }, { (void *)bytes, n } };

	if (log_fd >= 0 && writev(log_fd, iov, 2) < 0)
		perror("http-echo: log");
}

static bool in_grow(struct conn *c)
{
	size_t size = c->state == BODY ? IN_MAX : c->in_size ? c->in_size * 2 : IN_FIRST;
	char *in;

	if (c->in_len < c->in_size && (c->state != BODY || c->in_size == IN_MAX))
		return true;
	if (size > IN_MAX)
		return false;
	in = realloc(c->in, size);
	if (!in)
		return false;
	c->in = in;
	c->in_size = size;
	return true;
}

/* More input: > 0; 0: not now; < 0: never again. */
static int conn_receive(struct conn *c)
{
	ssize_t n;

	if (c->drained && !c->ended)
		return 0;
	if (!in_grow(c))
		return -ENOBUFS;
	n = recv(c->io.fd, c->in + c->in_len, c->in_size - c->in_len, 0);
	if (n < 0 && errno == EAGAIN) {
		c->drained = true;
		return 0;
	}
	if (n <= 0)
		return -EPIPE;
	log_bytes(c, c->in + c->in_len, (size_t)n);
	c->drained = (size_t)n < c->in_size - c->in_len;
	c->in_len += (size_t)n;
	return 1;
}

/* Bytes [from, from + n) of the input are done with. */
static void in_drop(struct conn *c, size_t from, size_t n)
{
	memmove(c->in + from, c->in + from + n, c->in_len - from - n);
	c->in_len -= n;
	if (c->in_len)
		return;
	free(c->in);
	c->in = NULL;
	c->in_size = 0;
}

/* Sends head, then body; what there is no room for is kept. False: the connection is of no use. */
static bool conn_send(struct conn *c, const char *head, size_t head_len, const char *body,
		      size_t body_len)
{
	struct iovec iov[] = { { (void *)head, head_len }, { (void *)body, body_len } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = body_len ? 2 : 1 };
	ssize_t n = sendmsg(c->io.fd, &message, MSG_NOSIGNAL);
	size_t sent = n < 0 ? 0 : (size_t)n, all = head_len + body_len;

	if ((n < 0 && errno != EAGAIN) || sent == all)
		return sent == all;
	c->out = malloc(all - sent);
	if (!c->out)
		return false;
	c->out_sent = 0;
	c->out_len = all - sent;
	if (sent < head_len) {
		memcpy(c->out, head + sent, head_len - sent);
		memcpy(c->out + head_len - sent, body, body_len);
	} else {
		memcpy(c->out, body + sent - head_len, all - sent);
	}
	return true;
}

/* 0: all is sent; -EAGAIN; another: the connection is of no use. */
static int conn_flush(struct conn *c)
{
	while (c->out && c->out_sent < c->out_len) {
		ssize_t n = send(c->io.fd, c->out + c->out_sent, c->out_len - c->out_sent,
				 MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->out_sent += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	return 0;
}

/* ---- the answer ---- */

static size_t head_format(const struct conn *c, char *head, size_t size)
{
	const struct answer *a = &c->answer;
	size_t len = (size_t)snprintf(head, size, "HTTP/1.1 %u %s\r\nx-served-by: %s\r\n%s",
				      a->status, status_reason(a->status), echo.name, a->fields);

	if (a->tunnel || a->status == 204)
		;
	else if (a->chunked)
		len += (size_t)snprintf(head + len, size - len, "transfer-encoding: chunked\r\n");
	else
		len += (size_t)snprintf(head + len, size - len, "content-length: %" PRIu64 "\r\n",
					a->body ? a->body_len : a->pattern);
	if (!c->keep_alive && !a->tunnel)
		len += (size_t)snprintf(head + len, size - len, "connection: close\r\n");
	len += (size_t)snprintf(head + len, size - len, "\r\n");
	return len;
}

/* Sends what was promised of the pattern; as conn_flush(). */
static int pattern_send(struct conn *c)
{
	struct answer *a = &c->answer;
	uint64_t turn = 0;

	while (c->pattern_sent < a->pattern) {
		uint64_t left = a->pattern - c->pattern_sent;
		size_t part = left < PATTERN_RUN ? (size_t)left : PATTERN_RUN;
		ssize_t n;

		if (turn > TURN) {
			loop_timer_set(loop, &c->timer, 0);
			return -EAGAIN;
		}
		n = send(c->io.fd, pattern_at(c->pattern_sent), part, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		c->pattern_sent += (size_t)n;
		turn += (size_t)n;
	}
	return 0;
}

/* The same in chunks. The end of the body is one, too. */
static int chunks_send(struct conn *c)
{
	struct answer *a = &c->answer;
	int r = 0;

	while (a->chunked && !r) {
		uint64_t left = a->pattern - c->pattern_sent;
		size_t part = left < CHUNK ? (size_t)left : CHUNK;
		char line[32], *chunk = malloc(part + 2);
		int len = snprintf(line, sizeof(line), "%zx\r\n", part);

		if (!chunk)
			return -ENOMEM;
		memcpy(chunk, pattern_at(c->pattern_sent), part);
		memcpy(chunk + part, "\r\n", 2);
		if (!conn_send(c, line, (size_t)len, chunk, part + 2))
			r = -EPIPE;
		free(chunk);
		c->pattern_sent += part;
		a->chunked = part > 0;
		if (!r)
			r = conn_flush(c);
	}
	return r;
}

/* Begins the answer, with as much of it as one call takes. False: the connection is over. */
static bool answer_begin(struct conn *c)
{
	struct answer *a = &c->answer;
	char head[2048];
	size_t len = head_format(c, head, sizeof(head));
	uint64_t part = 0;

	c->state = ANSWER;
	c->pattern_sent = 0;
	if (a->fate == FATE_NOTHING || a->fate == FATE_RESET)
		return false;
	if (a->fate == FATE_HALF_HEAD || a->fate == FATE_HALF_BODY) {
		conn_send(c, head, a->fate == FATE_HALF_HEAD ? len / 2 : len, a->body,
			  a->fate == FATE_HALF_HEAD ? 0 : a->body_len / 2);
		return false;
	}
	if (c->is_head) {
		a->pattern = 0;
		a->chunked = false;
		return conn_send(c, head, len, NULL, 0);
	}
	if (a->body)
		return conn_send(c, head, len, a->body, a->body_len);
	if (!a->chunked && a->pattern <= CHUNK) {
		part = a->pattern;
		c->pattern_sent = part;
	}
	return conn_send(c, head, len, pattern_at(0), part);
}

/* 1: the answer is out; 0: not yet; < 0: the connection is over. */
static int answer_go_on(struct conn *c)
{
	int r = conn_flush(c);

	if (!r)
		r = c->answer.chunked ? chunks_send(c) : pattern_send(c);
	if (r)
		return r == -EAGAIN ? 0 : r;
	c->state = c->answer.tunnel ? TUNNEL : HEAD;
	if (!c->keep_alive && !c->answer.tunnel)
		return -EPIPE;
	free(c->answer.body);
	c->answer.body = NULL;
	return 1;
}

/* ---- the request ---- */

static struct h1_request request; /* of the connection that is being looked at */

static void request_done(struct conn *c)
{
	struct asked asked = { .request = &request,
			       .body_bytes = c->body_bytes,
			       .body_sum = c->body_sum,
			       .peer = c->peer,
			       .peer_port = c->peer_port };

	h1_parse_request(c->in, c->head_len, 0, &request);
	c->answer = (struct answer){ 0 };
	answer_make(&asked, &c->answer);
	in_drop(c, 0, c->head_len);
	c->seen = 0;
	c->state = DELAY;
	if (c->answer.delay_ms)
		loop_timer_set(loop, &c->timer, c->answer.delay_ms);
}

static bool refuse(struct conn *c)
{
	c->answer = (struct answer){ .status = h1_error_status(request.m.error) };
	c->keep_alive = false;
	c->state = DELAY;
	return true;
}

/* 1: it is there; 0: more is needed; < 0: the connection is over. */
static int request_head(struct conn *c)
{
	int n = c->in_len ? h1_parse_request(c->in, c->in_len, c->seen, &request) : H1_MORE;

	if (n == H1_MORE) {
		c->seen = c->in_len;
		n = conn_receive(c);
		return n < 0 ? n : n ? request_head(c) : 0;
	}
	if (n == H1_BAD)
		return refuse(c);
	c->head_len = (size_t)n;
	c->keep_alive = request.m.keep_alive;
	c->is_head = request.is_head;
	c->chunked = request.m.framing == H1_CHUNKED;
	c->chunks = (struct h1_chunks){ 0 };
	c->body_left = request.m.framing == H1_LENGTH ? request.m.content_length : 0;
	c->body_bytes = 0;
	c->body_sum = (uint32_t)adler32(0, NULL, 0);
	c->state = BODY;
	if (request.expect_continue && c->in_len == c->head_len)
		return conn_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0) ? 1 : -EPIPE;
	return 1;
}

static void body_take(struct conn *c, const char *bytes, size_t n)
{
	c->body_sum = (uint32_t)adler32(c->body_sum, (const Bytef *)bytes, (uInt)n);
	c->body_bytes += n;
}

/* What has come of it. False: it is malformed. */
static bool body_scan(struct conn *c)
{
	const char *p = c->in + c->head_len;
	size_t n = c->in_len - c->head_len, done = 0;

	if (!c->chunked) {
		done = n < c->body_left ? n : (size_t)c->body_left;
		body_take(c, p, done);
		c->body_left -= done;
	}
	while (c->chunked && done < n && !c->chunks.done) {
		long r = h1_chunks_next(&c->chunks, p + done, n - done);

		if (r < 0)
			return false;
		if (c->chunks.data)
			body_take(c, p + done, (size_t)r);
		done += (size_t)r;
	}
	in_drop(c, c->head_len, done);
	return true;
}

/* As request_head(). */
static int request_body(struct conn *c)
{
	for (;;) {
		int r;

		if (!body_scan(c))
			return refuse(c);
		if (c->chunked ? c->chunks.done : !c->body_left) {
			request_done(c);
			return 1;
		}
		r = conn_receive(c);
		if (r <= 0)
			return r;
	}
}

/* As request_head(). */
static int tunnel(struct conn *c)
{
	int r = conn_flush(c);

	while (!r) {
		if (c->in_len) {
			if (!conn_send(c, c->in, c->in_len, NULL, 0))
				return -EPIPE;
			in_drop(c, 0, c->in_len);
			r = conn_flush(c);
			continue;
		}
		r = conn_receive(c);
		if (r <= 0)
			return r;
		r = 0;
	}
	return r == -EAGAIN ? 0 : r;
}

/* ---- the loop ---- */

/* 1: there is more to do at once; 0: not now; < 0: the connection is over. */
static int step(struct conn *c)
{
	switch (c->state) {
	case HEAD:
		return request_head(c);
	case BODY:
		return request_body(c);
	case DELAY:
		if (c->timer.slot)
			return 0;
		return answer_begin(c) ? 1 : -EPIPE;
	case ANSWER:
		return answer_go_on(c);
	case TUNNEL:
		return tunnel(c);
	}
	return -EINVAL;
}

static void conn_run(struct conn *c)
{
	int r;

	while ((r = step(c)) > 0)
		;
	if (r < 0)
		conn_close(c, c->state == ANSWER && c->answer.fate == FATE_RESET);
}

static void conn_ready(struct loop_io *io, unsigned events)
{
	struct conn *c = (struct conn *)io;

	if (events & LOOP_READ)
		c->drained = false;
	if (events & (LOOP_HUP | LOOP_ERROR))
		c->ended = true;
	if ((events & LOOP_ERROR) && c->state == DELAY)
		conn_close(c, false);
	else
		conn_run(c);
}

static void conn_timer(struct loop_timer *t)
{
	conn_run((struct conn *)((char *)t - offsetof(struct conn, timer)));
}

static void peer_name(struct conn *c, const struct sockaddr_in6 *from)
{
	if (from->sin6_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, c->peer,
			  sizeof(c->peer));
	else if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr))
		inet_ntop(AF_INET, &from->sin6_addr.s6_addr[12], c->peer, sizeof(c->peer));
	else
		inet_ntop(AF_INET6, &from->sin6_addr, c->peer, sizeof(c->peer));
	c->peer_port = ntohs(from->sin6_port);
}

static void accept_one(int fd, const struct sockaddr_in6 *from)
{
	struct conn *c = calloc(1, sizeof(*c));
	int on = 1;

	if (!c) {
		close(fd);
		return;
	}
	*c = (struct conn){ .io = { fd, conn_ready }, .number = ++echo.connections };
	c->timer.fire = conn_timer;
	echo.open++;
	peer_name(c, from);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (loop_watch(loop, &c->io, true))
		conn_close(c, true);
}

static void listener_ready(struct loop_io *io, unsigned events)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	int fd;

	(void)events;
	while ((fd = accept4(io->fd, (struct sockaddr *)&from, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		accept_one(fd, &from);
		len = sizeof(from);
	}
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
	    listen(fd, BACKLOG))
		return -errno;
	return fd;
}

static bool listen_all(char *ports)
{
	char *save = NULL;

	for (char *word = strtok_r(ports, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		struct loop_io *io = calloc(1, sizeof(*io));
		int fd = listen_socket((uint16_t)strtoul(word, NULL, 10));

		if (fd < 0 || !io) {
			fprintf(stderr, "http-echo: port %s: %s\n", word, strerror(-fd));
			return false;
		}
		*io = (struct loop_io){ fd, listener_ready };
		if (loop_watch(loop, io, false))
			return false;
	}
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: http-echo [--log FILE] PORT[,PORT...] NAME\n"
			"  --log FILE  append every byte that is received to FILE\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "log", required_argument, NULL, 'l' }, { 0 } };

	while (getopt_long(argc, argv, "", options, NULL) == 'l') {
		log_fd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (log_fd < 0) {
			perror(optarg);
			return 1;
		}
	}
	if (argc - optind != 2)
		return usage();
	raise_file_limit();
	pattern_init();
	echo.name = argv[optind + 1];
	loop = loop_new();
	if (!loop || !listen_all(argv[optind]))
		return 1;
	puts("listening");
	fflush(stdout);
	while (!loop_once(loop, -1))
		;
	return 1;
}
