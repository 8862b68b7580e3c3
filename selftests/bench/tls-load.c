/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls-load handshakes|requests|idle ADDRESS PORT NAME [OPTION...]
 *
 * Calls an HTTPS server, whose certificate is not looked at. One JSON object on stdout: how many
 * (`done`), of those with a session of before (`reused`), per second (`rate`), and the processor
 * time that process PID has used meanwhile (`cpu_us`).
 *
 * handshakes: connections, one after the other, each closed once its handshake is done. requests:
 * on connections that are kept. idle: connections that ask once; says how many there are and keeps
 * them until the end of stdin.
 *
 *   -c N         connections (1)                 -d SECONDS   how long (1)
 *   -p PATH      what is asked for (/)           -r RATE      so many per second; 0: as many as can
 * be (0) -v 2|3       TLS 1.2 or 1.3 (3)              -R           sessions are resumed -H HEADER
 * one more of each request        -C PID       whose processor time
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { HEADERS_MAX = 2048, CHUNK = 64 * 1024, EVENTS = 64, SECOND = 1000000000 };

struct conn {
	SSL *ssl;
	struct conn *next; /* of those that wait for their turn */
	char head[HEADERS_MAX];
	size_t head_len;
	uint64_t left; /* bytes of the body that are still to come */
	bool body;
};

static struct sockaddr_in to;
static const char *name, *path = "/";
static char headers[HEADERS_MAX];
static double seconds = 1, rate;
static unsigned count = 1;
static bool resume, cpu_wanted;
static clockid_t cpu_clock;
static SSL_CTX *ctx;
static SSL_SESSION *session;
static char request[2 * HEADERS_MAX];
static int request_len;
static uint64_t done, reused;

static void die(const char *what)
{
	fprintf(stderr, "tls-load: %s: %s\n", what, errno ? strerror(errno) : "");
	ERR_print_errors_fp(stderr);
	exit(1);
}

static uint64_t clock_of(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

static void report(uint64_t began, uint64_t cpu)
{
	double took = (double)(now() - began) / SECOND;

	printf("{\"done\":%" PRIu64 ",\"reused\":%" PRIu64 ",\"rate\":%.1f", done, reused,
	       (double)done / took);
	if (cpu_wanted)
		printf(",\"cpu_us\":%.1f", (double)(clock_of(cpu_clock) - cpu) / 1000);
	puts("}");
	fflush(stdout);
}

/* ---- a connection ---- */

static SSL *call(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	SSL *s = SSL_new(ctx);

	if (fd < 0 || !s || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	SSL_set_fd(s, fd);
	SSL_set_tlsext_host_name(s, name);
	if (session)
		SSL_set_session(s, session);
	errno = 0;
	if (SSL_connect(s) != 1)
		die("handshake");
	return s;
}

/* With close_notify and FIN; the server's own are not waited for. */
static void hang_up(SSL *s)
{
	int fd = SSL_get_fd(s);

	SSL_shutdown(s);
	SSL_free(s);
	close(fd);
}

static void send_request(struct conn *c)
{
	c->head_len = 0;
	c->body = false;
	errno = 0;
	if (SSL_write(c->ssl, request, request_len) != request_len)
		die("send");
}

/* What comes of an answer's head; where the body begins, 0 if it does not yet. */
static size_t take_head(struct conn *c, const char *bytes, size_t n)
{
	size_t room = sizeof(c->head) - 1 - c->head_len, before = c->head_len;
	const char *end, *length;

	n = n < room ? n : room;
	memcpy(c->head + c->head_len, bytes, n);
	c->head_len += n;
	c->head[c->head_len] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_len == sizeof(c->head) - 1)
			die("an answer's head is too long");
		return 0;
	}
	length = strcasestr(c->head, "\r\ncontent-length:");
	if (!length || strncmp(c->head, "HTTP/1.1 200", 12) != 0)
		die("an answer that was not expected");
	c->left = strtoull(length + 17, NULL, 10);
	c->body = true;
	return (size_t)(end + 4 - c->head) - before;
}

/* Whether the answer is complete. */
static bool receive(struct conn *c)
{
	static char bytes[CHUNK];

	for (;;) {
		int n = SSL_read(c->ssl, bytes, sizeof(bytes));
		size_t used = 0;

		if (n <= 0 && SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
			return false;
		if (n <= 0)
			die("receive");
		if (!c->body)
			used = take_head(c, bytes, (size_t)n);
		if (!c->body)
			continue;
		if ((size_t)n - used > c->left)
			die("more than the answer");
		c->left -= (size_t)n - used;
		if (!c->left)
			return true;
	}
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	if (session || !resume)
		return 0;
	session = s;
	return 1;
}

/* The session that others resume: tickets come with an answer at the latest. */
static void get_session(void)
{
	struct conn c = { .ssl = call() };

	send_request(&c);
	while (!receive(&c))
		;
	hang_up(c.ssl);
	if (!session)
		die("there is no session to resume");
	/* Else a client of TLS 1.3 uses it once. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

/* ---- handshakes ---- */

static void pace(uint64_t began)
{
	uint64_t due = rate ? began + (uint64_t)((double)done / rate * SECOND) : 0;
	struct timespec t = { (time_t)(due / SECOND), (long)(due % SECOND) };

	if (due)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void handshakes(void)
{
	uint64_t began = now(), end = began + (uint64_t)(seconds * SECOND), cpu;

	cpu = cpu_wanted ? clock_of(cpu_clock) : 0;
	for (; now() < end; done++) {
		SSL *s;

		pace(began);
		s = call();
		reused += (uint64_t)SSL_session_reused(s);
		hang_up(s);
	}
	report(began, cpu);
}

/* ---- requests ---- */

static struct conn *open_all(int epoll)
{
	struct conn *all = calloc(count, sizeof(*all));

	for (unsigned i = 0; all && i < count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &all[i] };

		all[i].ssl = call();
		send_request(&all[i]);
		while (!receive(&all[i]))
			;
		fcntl(SSL_get_fd(all[i].ssl), F_SETFL, O_NONBLOCK);
		if (epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, SSL_get_fd(all[i].ssl), &e))
			die("epoll_ctl");
	}
	return all;
}

/* Those that wait for their turn, the one that has waited longest first. */
static struct conn *ready, **ready_end = &ready;

static void put_ready(struct conn *c)
{
	c->next = NULL;
	*ready_end = c;
	ready_end = &c->next;
}

static void send_next(void)
{
	struct conn *c = ready;

	ready = c->next;
	if (!ready)
		ready_end = &ready;
	send_request(c);
}

/* What can be received, within `ns`. How many answers are complete. */
static unsigned receive_some(int epoll, uint64_t ns)
{
	struct timespec t = { (time_t)(ns / SECOND), (long)(ns % SECOND) };
	struct epoll_event events[EVENTS];
	int n = epoll_pwait2(epoll, events, EVENTS, &t, NULL);
	unsigned complete = 0;

	for (int i = 0; i < n; i++)
		if (receive(events[i].data.ptr)) {
			put_ready(events[i].data.ptr);
			complete++;
		}
	return complete;
}

/* When the next request is to be sent. */
static uint64_t due_at(uint64_t began, uint64_t begun)
{
	return rate ? began + (uint64_t)((double)begun / rate * SECOND) : began;
}

/* What has been begun is waited for. */
static void requests(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct conn *all = open_all(epoll);
	uint64_t begun = 0, began = now(), end = began + (uint64_t)(seconds * SECOND);
	uint64_t cpu = cpu_wanted ? clock_of(cpu_clock) : 0, at, due;

	for (unsigned i = 0; i < count; i++)
		put_ready(&all[i]);
	while ((at = now()) < end || done < begun) {
		due = at < end && ready ? due_at(began, begun) : UINT64_MAX;
		if (due <= at) {
			send_next();
			begun++;
			continue;
		}
		done += receive_some(epoll, due == UINT64_MAX ? SECOND / 100 : due - at);
	}
	report(began, cpu);
}

static void idle(void)
{
	struct conn *all = open_all(-1);
	char byte;

	printf("{\"done\":%u}\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (unsigned i = 0; i < count; i++)
		SSL_free(all[i].ssl);
	free(all);
}

/* ---- main ---- */

static int version = TLS1_3_VERSION;

static void option(int o, const char *value)
{
	switch (o) {
	case 'c':
		count = (unsigned)atoi(value);
		break;
	case 'd':
		seconds = atof(value);
		break;
	case 'p':
		path = value;
		break;
	case 'r':
		rate = atof(value);
		break;
	case 'v':
		version = value[0] == '2' ? TLS1_2_VERSION : TLS1_3_VERSION;
		break;
	case 'R':
		resume = true;
		break;
	case 'H':
		strncat(headers, value, sizeof(headers) - strlen(headers) - 1);
		strncat(headers, "\r\n", sizeof(headers) - strlen(headers) - 1);
		break;
	case 'C':
		cpu_wanted = true;
		if (clock_getcpuclockid((pid_t)atoi(value), &cpu_clock))
			die("the processor time of that process");
		break;
	default:
		exit(2);
	}
}

static void prepare(void)
{
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		die("OpenSSL");
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	/* Servers prefer different ones: all are to compute the same. */
	if (SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM+AES128") != 1)
		die("OpenSSL's ciphers");
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	request_len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
			       path, name, headers);
	if (resume)
		get_session();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = { { "handshakes", handshakes }, { "requests", requests }, { "idle", idle } };
	int o;

	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt(argc, argv, "c:d:p:r:v:RH:C:")) != -1)
		option(o, optarg);
	argv += optind;
	if (argc - optind != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fputs("tls-load handshakes|requests|idle ADDRESS PORT NAME [OPTION...]\n", stderr);
		return 2;
	}
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	name = argv[3];
	prepare();
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(argv[0], modes[i].name)) {
			modes[i].run();
			return 0;
		}
	return 2;
}
