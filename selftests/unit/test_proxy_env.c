// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_env.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, A_WHILE_MS = 150 };

_Thread_local const char *env_line = "";

static pthread_t thread;

struct env_other {
	pthread_t thread;
	struct http_worker worker;
	struct http_worker *peers[2];
	uint16_t port;
};

static struct addr loopback(void)
{
	struct addr a = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

	return a;
}

static void enter_namespace(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		cr_assert_eq(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0, "%s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static void patient(int fd)
{
	struct timeval t = { PATIENCE_MS / 1000, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int env_listen(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fd, 128), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	patient(fd);
	return fd;
}

static struct env *of(struct router *r)
{
	return (struct env *)((char *)r - offsetof(struct env, router));
}

static void plan(struct router *r, const struct route_ask *ask, struct buffer_pool *buffers,
		 struct plan *out)
{
	struct env *e = of(r);

	(void)buffers;
	*out = e->plan;
	out->cluster = &e->cluster;
	out->route = &e->route;
	if (!out->authority.p)
		out->authority = ask->request->authority;
	if (!out->authority.p)
		out->authority = (struct h1_span){ "none", 4 };
	if (!out->path.p)
		out->path = ask->request->path;
}

static enum pick pick(struct router *r, struct plan *p, unsigned n, struct target *out)
{
	struct env *e = of(r);

	(void)p;
	*out = n && e->second.port ? e->second : e->target;
	out->stat = &e->cluster;
	if (e->pick == PICK_OK)
		__atomic_add_fetch(&e->picks, 1, __ATOMIC_SEQ_CST);
	return e->pick;
}

static void done(struct router *r, struct plan *p, struct target *t, enum outcome outcome,
		 unsigned status)
{
	struct env *e = of(r);

	(void)p;
	(void)t;
	e->outcome = outcome;
	e->outcome_status = status;
	__atomic_add_fetch(&e->dones, 1, __ATOMIC_SEQ_CST);
}

static enum pick pick_mirror(struct router *r, struct plan *p, size_t i, struct target *out)
{
	(void)p;
	(void)i;
	*out = of(r)->mirror;
	out->stat = &of(r)->shadow;
	return PICK_OK;
}

static bool turn(struct router *r)
{
	return __atomic_exchange_n(&of(r)->other_rules, false, __ATOMIC_SEQ_CST);
}

static bool gone(struct router *r, uint32_t endpoint)
{
	return endpoint == __atomic_load_n(&of(r)->gone, __ATOMIC_SEQ_CST);
}

static void release(struct router *r, struct plan *p)
{
	(void)p;
	__atomic_add_fetch(&of(r)->releases, 1, __ATOMIC_SEQ_CST);
}

static void logged(void *arg, const struct access_entry *entry)
{
	struct env *e = arg;

	e->last = *entry;
	e->last.flags = strcpy(e->flags, entry->flags);
	__atomic_add_fetch(&e->logged, 1, __ATOMIC_SEQ_CST);
}

static void *run(void *arg)
{
	cr_assert_eq(worker_run(arg), 0);
	return NULL;
}

static void open_worker(struct env *e, struct http_worker *w, int listener,
			const struct worker_options *options)
{
	struct worker_options o = *options;

	o.log = logged;
	o.log_arg = e;
	cr_assert_eq(http_worker_open(w, listener, &o, &e->router), 0);
}

static struct env *prepare(const struct worker_options *options)
{
	struct env *e = calloc(1, sizeof(*e));

	cr_assert(e);
	enter_namespace();
	memset(e->sockets, -1, sizeof(e->sockets));
	e->second_endpoint = e->mirror_endpoint = -1;
	e->listener = env_listen(&e->port);
	e->endpoint = env_listen(&e->endpoint_port);
	e->router = (struct router){ .plan = plan,
				     .pick = pick,
				     .done = done,
				     .release = release,
				     .pick_mirror = pick_mirror,
				     .turn = turn,
				     .gone = gone };
	e->target = (struct target){ .addr = loopback(), .port = e->endpoint_port };
	open_worker(e, &e->worker, dup(e->listener), options ? options : &worker_defaults);
	return e;
}

struct env *env_new(const struct worker_options *options)
{
	struct env *e = prepare(options);

	cr_assert_eq(pthread_create(&thread, NULL, run, &e->worker.io), 0);
	return e;
}

struct env *env_new_pair(void)
{
	struct env *e = prepare(NULL);
	struct env_other *o = e->other = calloc(1, sizeof(*o));

	cr_assert(o);
	open_worker(e, &o->worker, env_listen(&o->port), &worker_defaults);
	o->peers[0] = &e->worker;
	o->peers[1] = &o->worker;
	e->worker.peers = o->worker.peers = o->peers;
	e->worker.peer_count = o->worker.peer_count = 2;
	cr_assert_eq(pthread_create(&thread, NULL, run, &e->worker.io), 0);
	cr_assert_eq(pthread_create(&o->thread, NULL, run, &o->worker.io), 0);
	return e;
}

static void stop_worker(struct http_worker *w, pthread_t of)
{
	worker_stop(&w->io);
	pthread_join(of, NULL);
	w->peer_count = 0;
}

static void close_worker(struct http_worker *w)
{
	worker_close(&w->io);
	cr_expect_eq(w->stats.active, 0u);
	cr_expect_eq(w->upstreams.count, 0u, "%zu connections to endpoints left",
		     w->upstreams.count);
}

static void close_sockets(struct env *e)
{
	int *fd = e->sockets[0], *end = fd + sizeof(e->sockets) / sizeof(*fd);

	for (; fd < end; fd++)
		if (*fd >= 0)
			close(*fd);
	close(e->listener);
	close(e->endpoint);
	if (e->second_endpoint >= 0)
		close(e->second_endpoint);
	if (e->mirror_endpoint >= 0)
		close(e->mirror_endpoint);
}

void env_free(struct env *e)
{
	/* Until both have stopped either may wake the other. */
	if (e->other)
		stop_worker(&e->other->worker, e->other->thread);
	stop_worker(&e->worker, thread);
	if (e->other)
		close_worker(&e->other->worker);
	close_worker(&e->worker);
	cr_expect_eq(e->picks, e->dones);
	free(e->other);
	close_sockets(e);
	free(e);
}

const struct access_entry *env_log(struct env *e, unsigned n)
{
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&e->logged, __ATOMIC_SEQ_CST) < n; i++)
		wait_ms(1);
	cr_assert_eq(e->logged, n, "%s: %u requests logged", env_line, e->logged);
	return &e->last;
}

static int client_of(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	patient(fd);
	return fd;
}

int env_client(struct env *e)
{
	return client_of(e->port);
}

int env_client_of_other(struct env *e)
{
	return client_of(e->other->port);
}

struct http_worker *env_other_worker(struct env *e)
{
	return &e->other->worker;
}

int env_accept_maybe(struct env *e)
{
	struct pollfd p = { e->endpoint, POLLIN, 0 };

	return poll(&p, 1, A_WHILE_MS) > 0 ? env_accept(e) : -1;
}

int env_accept_at(int listener)
{
	int fd = accept(listener, NULL, NULL);

	cr_assert_geq(fd, 0, "%s: no connection to the endpoint", env_line);
	patient(fd);
	return fd;
}

int env_accept(struct env *e)
{
	return env_accept_at(e->endpoint);
}

void env_second(struct env *e)
{
	e->second = e->target;
	e->second_endpoint = env_listen(&e->second.port);
}

void env_mirror(struct env *e)
{
	e->mirror = e->target;
	e->mirror_endpoint = env_listen(&e->mirror.port);
	e->plan.mirror_count = 1;
	e->plan.mirror_authority = (struct h1_span){ "h-shadow", 8 };
}

void put_bytes(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t r = send(fd, bytes, n, MSG_NOSIGNAL);

		cr_assert_gt(r, 0, "%s: send: %s", env_line, strerror(errno));
		bytes += r;
		n -= (size_t)r;
	}
}

void put(int fd, const char *text)
{
	put_bytes(fd, text, strlen(text));
}

void want(int fd, const char *text)
{
	size_t n = strlen(text), have = 0;
	char *got = calloc(1, n + 1);

	while (have < n) {
		ssize_t r = recv(fd, got + have, n - have, 0);

		cr_assert_gt(r, 0, "'%s' instead of '%s'", got, text);
		have += (size_t)r;
	}
	cr_assert_str_eq(got, text);
	free(got);
}

static _Thread_local char head[70000];

const char *get_head(int fd)
{
	size_t n = 0;

	while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
		cr_assert_lt(n, sizeof(head) - 1);
		cr_assert_eq(recv(fd, head + n, 1, 0), 1, "%s: only '%.*s'", env_line, (int)n,
			     head);
		n++;
	}
	head[n] = 0;
	return head;
}

const char *get_message(int fd)
{
	const char *length;
	size_t n, have;

	get_head(fd);
	have = strlen(head);
	length = strcasestr(head, "content-length: ");
	n = length ? strtoul(length + 16, NULL, 10) : 0;
	for (; n; n--)
		cr_assert_eq(recv(fd, head + have++, 1, 0), 1, "%s: only '%s'", env_line, head);
	head[have] = 0;
	return head;
}

void want_message(int fd, ...)
{
	const char *text;
	va_list args;

	get_message(fd);
	va_start(args, fd);
	while ((text = va_arg(args, const char *)))
		cr_assert(*text == '!' ? !strcasestr(head, text + 1) : !!strcasestr(head, text),
			  "'%s' in '%s'", text, head);
	va_end(args);
}

void want_end(int fd)
{
	char c;
	ssize_t r = recv(fd, &c, 1, 0);

	cr_assert_eq(r, 0, "%s", r < 0 ? strerror(errno) : "more bytes");
}

void wait_ms(unsigned ms)
{
	usleep(ms * 1000);
}
