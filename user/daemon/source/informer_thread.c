// SPDX-License-Identifier: Apache-2.0
/*
 * libcurl says by which sockets and when it wants to be called, and is told of those that are
 * ready (libcurl-multi(3), "multi_socket"): curl_multi_perform() would look at each watch's socket
 * several times an event.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/source/informer_priv.h"
#include "lib/base/clock.h"

enum { POLL_MAX_MS = 60000, AGAIN_MS = 1000, BATCH = 8 };

/* ---- what libcurl wants to be called for ---- */

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *ours)
{
	const struct informer *i = arg;
	struct epoll_event how = { .data.fd = fd };

	(void)easy;
	(void)ours;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(i->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	how.events |= what & CURL_POLL_IN ? EPOLLIN : 0;
	how.events |= what & CURL_POLL_OUT ? EPOLLOUT : 0;
	if (epoll_ctl(i->epoll, EPOLL_CTL_ADD, fd, &how) && errno == EEXIST)
		epoll_ctl(i->epoll, EPOLL_CTL_MOD, fd, &how);
	return 0; /* What could not be watched is silent, and given up as that. */
}

static int want_time(CURLM *multi, long ms, void *arg)
{
	struct informer *i = arg;

	(void)multi;
	i->due_ms = ms < 0 ? UINT64_MAX : clock_ms() + (uint64_t)ms;
	return 0;
}

int informer_thread_open(struct informer *i)
{
	i->due_ms = UINT64_MAX;
	i->multi = curl_multi_init();
	if (!i->multi)
		return -ENOMEM;
	curl_multi_setopt(i->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(i->multi, CURLMOPT_SOCKETDATA, i);
	curl_multi_setopt(i->multi, CURLMOPT_TIMERFUNCTION, want_time);
	curl_multi_setopt(i->multi, CURLMOPT_TIMERDATA, i);
	i->epoll = epoll_create1(EPOLL_CLOEXEC);
	i->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->epoll < 0 || i->wake < 0 ||
	    epoll_ctl(i->epoll, EPOLL_CTL_ADD, i->wake,
		      &(struct epoll_event){ .events = EPOLLIN, .data.fd = i->wake }))
		return -errno;
	return 0;
}

void informer_thread_close(struct informer *i)
{
	if (i->multi)
		curl_multi_cleanup(i->multi);
	closep(&i->epoll);
	closep(&i->wake);
}

void informer_wake(struct informer *i)
{
	eventfd_write(i->wake, 1); /* It is full only after 2^64 of them. */
}

/* ---- transfers ---- */

int informer_transfer_start(struct informer *i, struct informer_transfer *t,
			    void (*over)(struct informer_transfer *t, CURLcode code))
{
	t->over = over;
	curl_easy_setopt(t->kube.easy, CURLOPT_PRIVATE, t);
	return curl_multi_add_handle(i->multi, t->kube.easy) ? -ENOMEM : 0;
}

static void finish_transfers(struct informer *i)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(i->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct informer_transfer *t = NULL;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
		curl_multi_remove_handle(i->multi, easy);
		t->over(t, code);
	}
}

/* ---- the thread ---- */

static int timeout(const struct informer *i)
{
	uint64_t now = clock_ms(), at = now + POLL_MAX_MS;
	uint64_t discovery = informer_discovery_deadline(i);

	at = i->due_ms < at ? i->due_ms : at;
	at = discovery < at ? discovery : at;
	for (size_t k = 0; k < i->count; k++) {
		uint64_t deadline = informer_watch_deadline(&i->watches[k]);

		at = deadline < at ? deadline : at;
	}
	return at > now ? (int)(at - now) : 0;
}

/* Without memory libcurl does not say when it wants to be called again. */
static void act(struct informer *i, curl_socket_t fd, int how)
{
	int running;

	if (curl_multi_socket_action(i->multi, fd, how, &running))
		i->due_ms = clock_ms() + AGAIN_MS;
}

static void socket_ready(struct informer *i, const struct epoll_event *e)
{
	const uint32_t failed = e->events & (EPOLLERR | EPOLLHUP);
	int how = failed ? CURL_CSELECT_ERR : 0;
	eventfd_t count;

	if (e->data.fd == i->wake) {
		eventfd_read(i->wake, &count);
		return;
	}
	how |= e->events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0;
	how |= e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	act(i, e->data.fd, how);
}

/* Works on what is ready, after having waited for it. */
static void turn_transfers(struct informer *i)
{
	struct epoll_event ready[BATCH];
	int n = epoll_wait(i->epoll, ready, BATCH, timeout(i));

	for (int k = 0; k < n; k++)
		socket_ready(i, &ready[k]);
	if (clock_ms() >= i->due_ms) {
		i->due_ms = UINT64_MAX;
		act(i, CURL_SOCKET_TIMEOUT, 0);
	}
	finish_transfers(i);
}

void *informer_thread(void *informer)
{
	struct informer *i = informer;

	while (!atomic_load(&i->stop)) {
		turn_transfers(i);
		informer_past_check(i);
		informer_calls_turn(i);
		informer_discovery_turn(i, clock_ms());
		for (size_t k = 0; k < i->count; k++)
			informer_watch_turn(&i->watches[k], clock_ms());
		informer_flush(i);
	}
	return NULL;
}
