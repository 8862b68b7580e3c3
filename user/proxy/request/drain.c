// SPDX-License-Identifier: Apache-2.0
#include "proxy/request/drain.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "proxy/request/h1_client.h"

enum {
	PASS_AGAIN_MS = 5,
	/* A SYN that is on its way when another socket takes its place, or sent again. */
	LISTEN_ON_MS = 5000,
	TAKE_AT_ONCE = 16, /* before others have their turn */
};

/* Of struct passed: the connection has only been accepted. Else it is plain TCP. */
#define PASSED_FRESH (1u << 31)

/* What goes with a client's socket; the bytes follow. */
struct passed {
	uint32_t bytes; /* their number, and PASSED_FRESH */
};

/* ---- the one that drains ---- */

static int pass(int successor, int fd, const void *bytes, uint32_t n, bool fresh)
{
	struct passed head = { fresh ? PASSED_FRESH : n };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} space = { .align = { .cmsg_len = CMSG_LEN(sizeof(fd)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS } };
	struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)bytes, n } };
	struct msghdr m = { .msg_iov = parts,
			    .msg_iovlen = n ? 2 : 1,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };

	memcpy(CMSG_DATA(&space.align), &fd, sizeof(fd));
	return sendmsg(successor, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Whatever it fails of may pass: the successor has died and another one is about to come, or too
 * many are on their way. */
bool drain_client(struct h1_client *c)
{
	struct http_worker *w = c->worker;
	const struct half *h = &c->down.half;
	const struct buf *in = &h->in;

	if (h->eof || h->broken)
		return true;
	if (w->successor >= 0 &&
	    !pass(w->successor, h->transport.io.fd, buf_len(in) ? buf_at(in) : NULL,
		  (uint32_t)buf_len(in), c->state != H1_CLIENT_HEAD))
		return true;
	loop_timer_set(w->io.loop, &w->pass_again, PASS_AGAIN_MS);
	return false;
}

/* Only those that wait for a request, and so don't change each other. */
static void pass_all(struct http_worker *w)
{
	for (struct h1_client *c = w->clients, *next; c; c = next) {
		next = c->next;
		h1_client_run(c);
	}
}

void drain_pass_again(struct loop_timer *t)
{
	pass_all((struct http_worker *)((char *)t - offsetof(struct http_worker, pass_again)));
}

static void stop_listening(struct http_worker *w)
{
	w->listens = false;
	worker_unlisten(&w->io);
}

void drain_unlisten(struct loop_timer *t)
{
	stop_listening((struct http_worker *)((char *)t - offsetof(struct http_worker, unlisten)));
}

void drain_begin(struct http_worker *w, int successor, bool listens, int tell)
{
	bool first = !w->draining;

	closep(&w->successor);
	w->successor = successor;
	w->draining = true;
	w->tell_drained = tell;
	if (first && listens) {
		w->listens = true;
		loop_timer_set(w->io.loop, &w->unlisten, LISTEN_ON_MS);
	} else if (first) {
		stop_listening(w);
	}
	upstreams_close_gone(&w->upstreams);
	pass_all(w);
}

void drain_look(struct http_worker *w)
{
	static const uint64_t one = 1;
	bool drained = !w->clients && !w->mirrors && !w->listens && !w->predecessors;

	if (drained == w->drained)
		return;
	__atomic_store_n(&w->drained, drained, __ATOMIC_RELEASE);
	if (drained && write(w->tell_drained, &one, sizeof(one)) < 0)
		log_err(-errno, "tell that a worker has drained");
}

/* ---- its successor ---- */

struct predecessor {
	struct loop_io io; /* first */
	struct http_worker *worker;
	struct worker_task later; /* another turn */
	struct predecessor *next;
};

static void forget(struct predecessor *p)
{
	struct predecessor **at = &p->worker->predecessors;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	worker_not_later(&p->worker->io, &p->later);
	loop_unwatch(p->worker->io.loop, &p->io);
	close(p->io.fd);
	free(p);
}

/* A client and its bytes, of which there is room for BUF_BIG. 1; 0 at the end; -errno. */
static int take(int from, int *fd, char *bytes, uint32_t *n, bool *fresh)
{
	struct passed head = { 0 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	struct iovec parts[2] = { { &head, sizeof(head) }, { bytes, BUF_BIG } };
	struct msghdr m = { .msg_iov = parts,
			    .msg_iovlen = 2,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };
	ssize_t got = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	*fd = -1;
	if (got <= 0)
		return got ? -errno : 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	*fresh = head.bytes == PASSED_FRESH;
	*n = *fresh ? 0 : head.bytes;
	if (*fd >= 0 && !(m.msg_flags & MSG_TRUNC) && (size_t)got == sizeof(head) + *n)
		return 1;
	closep(fd);
	return -EBADMSG;
}

static void take_some(struct predecessor *p)
{
	struct http_worker *w = p->worker;
	char bytes[BUF_BIG];
	uint32_t n = 0;
	bool fresh = false;
	int fd, r = 1;

	for (int i = 0; r > 0 && i < TAKE_AT_ONCE; i++) {
		r = take(p->io.fd, &fd, bytes, &n, &fresh);
		if (r > 0)
			(void)h1_client_serve_on(w, fd, bytes, n, fresh);
	}
	if (r > 0)
		worker_later(&w->io, &p->later);
	else if (r != -EAGAIN && r != -EINTR)
		forget(p);
}

static void ready(struct loop_io *io, unsigned events)
{
	(void)events;
	take_some((struct predecessor *)io);
}

static void later(struct worker_task *t)
{
	take_some((struct predecessor *)((char *)t - offsetof(struct predecessor, later)));
}

int drain_take_from(struct http_worker *w, int fd)
{
	struct predecessor *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	p->io = (struct loop_io){ fd, ready };
	p->later.run = later;
	p->worker = w;
	p->next = w->predecessors;
	w->predecessors = p;
	r = loop_watch(w->io.loop, &p->io, false);
	if (r)
		forget(p);
	return r;
}

void drain_close(struct http_worker *w)
{
	while (w->predecessors)
		forget(w->predecessors);
	closep(&w->successor);
	w->successor = -1;
}
