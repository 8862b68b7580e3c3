// SPDX-License-Identifier: Apache-2.0
/*
 * Proxies that have been replaced, as long as they have something under way. They need no weftd to
 * drain, and are watched only to give back what they held.
 */
#include <errno.h>
#include <sys/socket.h>

#include "daemon/supervisor/proxy_link.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"

enum { KILL_MS = 5000, ANSWERS_MAX = 64 };

static void take_out(struct draining *d)
{
	struct draining **at = &d->s->draining;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	orders_drain_over(d);
	event_forget(&d->pid_event);
	event_forget(&d->conn_event);
	proxy_process_forget(&d->proxy);
}

/* It has ended. */
static void over(struct draining *d)
{
	struct supervisor *s = d->s;
	_cleanup_close_ int held = proxy_link_held(s->options.run_dir, d->slot, true);

	if (s->options.on_death)
		s->options.on_death(s->options.arg, d->slot, held);
	proxy_link_remove(s->options.run_dir, d->slot);
	take_out(d);
	free(d);
}

static void on_end(void *arg, uint32_t events)
{
	struct draining *d = arg;
	char how[64];

	(void)events;
	proxy_process_describe_end(&d->proxy, how, sizeof(how));
	log_info("weft-proxy (process %d), which was draining, %s", (int)d->proxy.pid, how);
	over(d);
}

/* One that can't drain would go on for ever. */
static void on_answer(void *arg, uint32_t events)
{
	struct draining *d = arg;
	struct proxy_reply reply;
	int r = 0;

	(void)events;
	for (int i = 0; !r && i < ANSWERS_MAX; i++) {
		r = proxy_link_receive(d->proxy.conn, 0, &reply, sizeof(reply), NULL, NULL);
		if (!r)
			orders_drain_answered(d, &reply);
		if (!r && reply.type == PROXY_DRAIN && reply.error) {
			log_err(proxy_reply_error(&reply),
				"have weft-proxy (process %d) drain: it is killed",
				(int)d->proxy.pid);
			proxy_process_kill(&d->proxy);
		}
	}
	if (r && r != -ETIMEDOUT)
		event_forget(&d->conn_event);
}

static int watch(struct draining *d)
{
	int r;

	d->pid_event = (struct event){ .fd = d->proxy.pidfd, .ready = on_end, .arg = d };
	d->conn_event = (struct event){ .fd = d->proxy.conn, .ready = on_answer, .arg = d };
	r = event_watch(d->s->loop, &d->pid_event, EPOLLIN);
	if (!r)
		r = event_watch(d->s->loop, &d->conn_event, EPOLLIN);
	if (r)
		event_forget(&d->pid_event);
	return r;
}

int drain_add(struct supervisor *s, struct proxy_process *proxy, int slot, unsigned shared)
{
	struct draining *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct draining){ .s = s, .proxy = *proxy, .slot = slot, .shared = shared };
	r = watch(d);
	if (r) {
		free(d);
		return r;
	}
	*proxy = proxy_process_none;
	d->next = s->draining;
	s->draining = d;
	return 0;
}

int drain_current(struct supervisor *s)
{
	struct proxy_process proxy = s->proxy;
	int r;

	event_forget(&s->pid_event);
	event_forget(&s->conn_event);
	r = drain_add(s, &proxy, s->slot, s->shared);
	if (!r)
		s->proxy = proxy_process_none;
	return r;
}

/* The two ends belong to the two processes from now on: they go on without weftd. */
static void connect_them(struct supervisor *s, struct draining *d)
{
	const struct proxy_order drain = { .type = PROXY_DRAIN,
					   .drain = { s->options.drain_ms, d->shared } };
	_cleanup_close_ int end = -1;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		log_err(-errno, "connect two weft-proxies");
		return;
	}
	end = ends[1];
	if (s->succeeds)
		orders_give_plain(s, (struct proxy_order){ .type = PROXY_SUCCEED }, ends[0]);
	else
		close(ends[0]); /* nothing takes clients over yet */
	if (s->succeeds)
		orders_pass_tickets(s, d);
	r = proxy_process_order(&d->proxy, drain, end);
	if (r && r != -EPIPE && r != -ECONNRESET)
		log_err(r, "have weft-proxy (process %d) drain", (int)d->proxy.pid);
}

void drain_all(struct supervisor *s)
{
	int r = proxy_link_serve(s->options.run_dir, s->slot);

	if (r)
		log_err(r, "name weft-proxy in %s", s->options.run_dir);
	s->succeeds = true;
	for (struct draining *d = s->draining; d; d = d->next)
		connect_them(s, d);
}

void supervisor_settle(struct supervisor *s)
{
	for (struct draining *d = s->draining; !s->succeeds && d; d = d->next)
		connect_them(s, d);
}

static bool is_free(const struct supervisor *s, int slot)
{
	const struct draining *d = s->draining;

	while (d && d->slot != slot)
		d = d->next;
	return !d;
}

static void end(struct draining *d)
{
	proxy_process_kill(&d->proxy);
	if (!proxy_process_ended(&d->proxy, KILL_MS))
		log_warning("weft-proxy (process %d) does not end", (int)d->proxy.pid);
	over(d);
}

int drain_free_slot(struct supervisor *s)
{
	struct draining *oldest = s->draining;
	int slot = 0;

	while (slot < HTTP_PROXIES && !is_free(s, slot))
		slot++;
	if (slot < HTTP_PROXIES)
		return slot;
	while (oldest->next)
		oldest = oldest->next;
	log_warning("weft-proxy (process %d) is ended: more than %d would drain",
		    (int)oldest->proxy.pid, HTTP_PROXIES - 1);
	slot = oldest->slot;
	end(oldest);
	return slot;
}

void drain_forget(struct supervisor *s, bool end_them)
{
	while (s->draining) {
		struct draining *d = s->draining;

		if (end_them) {
			end(d);
		} else {
			take_out(d);
			free(d);
		}
	}
}
