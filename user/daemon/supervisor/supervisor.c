// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/supervisor/container.h"
#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/proxy_cgroup.h"
#include "daemon/supervisor/proxy_identity.h"
#include "daemon/supervisor/proxy_link.h"
#include "daemon/supervisor/proxy_start.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum {
	START_MS = 10000, /* a machine may be busy with other things */
	HELLO_MS = 3000,  /* for a proxy that runs already */
	PAUSE_MIN_MS = 10,
	PAUSE_MAX_MS = 1000,
	STEADY_MS = 5000, /* a proxy that has run for so long did not die of being started */
};

/* ---- the proxy that runs ---- */

static void died(struct supervisor *s);

static void on_end(void *arg, uint32_t events)
{
	(void)events;
	died(arg);
}

static void on_answer(void *arg, uint32_t events)
{
	struct supervisor *s = arg;

	(void)events;
	if (!orders_read(s))
		return;
	event_forget(&s->conn_event); /* the process itself is watched, too */
	if (!s->begun)
		orders_died(s);
}

static int follow(struct supervisor *s)
{
	int r;

	s->started_ms = clock_ms();
	s->unasked = 0;
	s->pid_event = (struct event){ .fd = s->proxy.pidfd, .ready = on_end, .arg = s };
	s->conn_event = (struct event){ .fd = s->proxy.conn, .ready = on_answer, .arg = s };
	r = event_watch(s->loop, &s->pid_event, EPOLLIN);
	return r ? r : event_watch(s->loop, &s->conn_event, EPOLLIN);
}

static void forget(struct supervisor *s)
{
	event_forget(&s->pid_event);
	event_forget(&s->conn_event);
	proxy_process_forget(&s->proxy);
}

static const struct proxy_order hello = { .type = PROXY_HELLO };

/* As the last one did. Orders wait in the connection until it has started. */
static int go_on(struct supervisor *s)
{
	int r;

	orders_give_log(s);
	r = orders_restore(s);
	if (!r)
		drain_all(s);
	return r;
}

static int launch(struct supervisor *s)
{
	const struct proxy_start start = { .options = &s->options,
					   .program = s->program,
					   .identity = s->identity,
					   .listeners = s->listeners,
					   .slot = s->slot,
					   .messages = s->messages[1] };
	int r = proxy_process_start(&s->proxy, &start);

	if (r)
		return r;
	/* One that others make way for serves once it has the rules. */
	r = s->draining ? 0 : proxy_link_serve(s->options.run_dir, s->slot);
	if (r)
		log_err(r, "name weft-proxy in %s", s->options.run_dir);
	s->can = PROXY_CAN_DRAIN | PROXY_CAN_READ;
	s->cannot_patch = false;
	s->shared = s->options.workers;
	s->succeeds = s->had_credentials = false;
	r = follow(s);
	if (!r)
		r = proxy_process_order(&s->proxy, hello, s->messages[1]);
	if (!r) {
		orders_give_credentials(s);
		orders_pass_identities(s);
	}
	if (!r && s->snapshot)
		r = go_on(s);
	if (r)
		proxy_process_end(&s->proxy);
	return r;
}

/* What was in the slot before is over. */
static void give_back(struct supervisor *s)
{
	_cleanup_close_ int held = proxy_link_held(s->options.run_dir, s->slot, true);

	if (s->options.on_death)
		s->options.on_death(s->options.arg, s->draining ? s->slot : -1, held);
}

static void start(struct supervisor *s)
{
	event_timer_stop(&s->start_timer);
	give_back(s);
	if (!launch(s))
		return;
	forget(s);
	event_timer_set(&s->start_timer, PAUSE_MAX_MS);
}

static unsigned next_pause(const struct supervisor *s)
{
	if (clock_ms() - s->started_ms >= STEADY_MS)
		return 0;
	if (!s->restarts)
		return 0;
	if (!s->pause_ms)
		return PAUSE_MIN_MS;
	return s->pause_ms * 2 < PAUSE_MAX_MS ? s->pause_ms * 2 : PAUSE_MAX_MS;
}

static void died(struct supervisor *s)
{
	char how[64];

	if (!s->begun) {
		event_forget(&s->pid_event);
		orders_died(s);
		return;
	}
	proxy_words_forward(&s->words, s->messages[0]);
	proxy_process_describe_end(&s->proxy, how, sizeof(how));
	log_warning("weft-proxy (process %d) %s: another one is started", (int)s->proxy.pid, how);
	forget(s);
	s->pause_ms = next_pause(s);
	s->restarts++;
	if (s->pause_ms && !orders_must_repeat(s))
		event_timer_set(&s->start_timer, s->pause_ms);
	else
		start(s);
	orders_died(s);
}

int supervisor_ensure(struct supervisor *s)
{
	if (s->proxy.pidfd >= 0 && proxy_process_ended(&s->proxy, 0))
		died(s);
	if (s->proxy.pidfd < 0 && !s->ended)
		start(s);
	return s->proxy.pidfd < 0 ? -ECHILD : 0;
}

static void start_again(void *arg)
{
	(void)supervisor_ensure(arg);
}

/* ---- taking over ---- */

/* What a proxy says of itself while weftd starts. */
struct greeting {
	bool over;
	int r;
	struct proxy_hello hello;
	int fds[PROXY_MAX_WORKERS];
	unsigned count; /* of them */
};

static void greeted(struct supervisor *s, struct order *o, const struct answer *a)
{
	struct greeting *g = o->arg;

	(void)s;
	g->over = true;
	if (!a->hello) {
		g->r = a->error;
		return;
	}
	g->hello = *a->hello;
	g->count = a->fd_count;
	memcpy(g->fds, a->fds, a->fd_count * sizeof(*a->fds));
}

/* Turns the loop until an order's callback has set `*over`. If the loop fails, all orders are
 * dropped: their callbacks would write to what the caller no longer has. 0 or -errno. */
static int await(struct supervisor *s, const bool *over)
{
	int r = 0;

	while (!r && !*over)
		r = event_loop_turn(s->loop, -1);
	if (r)
		orders_free(s);
	return r;
}

/* Those that we have not are ours; the others are closed. How many are. */
static unsigned keep_listeners(struct supervisor *s, const int *fds, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		if (i < s->options.workers && s->listeners[i] < 0) {
			s->listeners[i] = fds[i];
			n++;
		} else {
			n += i < s->options.workers && listeners_same(s->listeners[i], fds[i]);
			close(fds[i]);
		}
	}
	return n;
}

/* Nothing runs there any more. */
static void give_slot_back(struct supervisor *s, int slot)
{
	_cleanup_close_ int held = proxy_link_held(s->options.run_dir, slot, true);

	if (held >= 0 && s->options.on_death)
		s->options.on_death(s->options.arg, slot, held);
	proxy_link_remove(s->options.run_dir, slot);
}

static int await_greeting(struct supervisor *s, struct greeting *g, unsigned limit_ms)
{
	struct order *o = order_new(PROXY_HELLO, -1, greeted);
	int r;

	*g = (struct greeting){ 0 };
	if (!o)
		return -ENOMEM;
	o->arg = g;
	order_expect(s, o, limit_ms);
	r = await(s, &g->over);
	return r ? r : g->r;
}

/* Its sockets become ours, as far as they can be used and we have none: *count of them. Whether it
 * may go on as it is. */
static bool take_over(struct supervisor *s, unsigned *count)
{
	struct greeting g = { 0 };
	bool usable;
	int r = proxy_process_order(&s->proxy, hello, s->messages[1]);

	if (!r)
		r = await_greeting(s, &g, HELLO_MS);
	usable = !r && listeners_usable(g.fds, g.count);
	if (usable)
		*count = keep_listeners(s, g.fds, g.count);
	else
		listeners_close(g.count, g.fds);
	usable = usable && g.count == s->options.workers;
	s->shared = *count;
	s->can = r ? 0 : g.hello.can;
	g.hello.version[sizeof(g.hello.version) - 1] = 0;
	g.hello.identity[sizeof(g.hello.identity) - 1] = 0;
	usable = usable && !g.hello.reply.error && !strcmp(g.hello.identity, s->identity);
	log_info("weft-proxy %s (process %d) %s", r ? "without an answer" : g.hello.version,
		 (int)s->proxy.pid,
		 usable			    ? "goes on"
		 : s->can & PROXY_CAN_DRAIN ? "makes way for another one"
					    : "is replaced");
	return usable;
}

static void end_proxy(struct supervisor *s)
{
	proxy_process_end(&s->proxy);
	forget(s);
	s->took_over = false;
}

/* The proxy that runs is to be replaced: it drains, or is ended. */
static void put_aside(struct supervisor *s)
{
	if (!(s->can & PROXY_CAN_DRAIN) || drain_current(s))
		end_proxy(s);
	s->took_over = false;
	s->slot = drain_free_slot(s);
}

/* The sockets of a proxy that runs already are used on, whether itself is or not. */
static int adopt(struct supervisor *s, unsigned *listeners)
{
	int r = proxy_process_find(&s->proxy, s->options.run_dir, PROXY_SERVES);

	s->slot = proxy_link_served(s->options.run_dir);
	if (r) {
		if (r != -ENOENT && r != -ECONNREFUSED)
			log_err(r, "look for a weft-proxy in %s", s->options.run_dir);
		return 0;
	}
	r = follow(s);
	if (r)
		return log_err(r, "watch weft-proxy");
	s->took_over = s->had_credentials = take_over(s, listeners);
	return 0;
}

/* Those beside the one that serves drain, or were about to when weftd was killed. They may have
 * listening sockets that nothing else has any more. */
static void adopt_draining(struct supervisor *s, int slot, unsigned *listeners)
{
	struct proxy_process proxy = proxy_process_none;
	struct proxy_hello answer = { 0 };
	int fds[PROXY_MAX_WORKERS], r = proxy_process_find(&proxy, s->options.run_dir, slot);
	unsigned count = 0, shared = 0;

	if (!r)
		r = proxy_process_order(&proxy, hello, s->messages[1]);
	if (!r)
		r = proxy_link_receive(proxy.conn, HELLO_MS, &answer, sizeof(answer), fds, &count);
	if (!r && listeners_usable(fds, count))
		shared = keep_listeners(s, fds, count);
	else
		listeners_close(count, fds);
	if (!*listeners)
		*listeners = shared;
	if (!r)
		r = drain_add(s, &proxy, slot, shared);
	if (r && proxy.pidfd >= 0)
		proxy_process_end(&proxy);
	proxy_process_forget(&proxy);
	if (r)
		give_slot_back(s, slot);
}

static void replace(struct supervisor *s)
{
	log_info("weft-proxy (process %d) is replaced", (int)s->proxy.pid);
	put_aside(s);
	start(s);
	orders_died(s);
	if (s->proxy.pidfd >= 0 && !s->snapshot)
		orders_give_log(s);
}

/* ---- the first snapshot ---- */

struct handed_over {
	bool over;
	int r; /* the proxy's answer */
};

static void handed_over(void *arg, int r)
{
	*(struct handed_over *)arg = (struct handed_over){ true, r };
}

/* 0 with the proxy's answer in *answer, or -errno: the loop has failed. */
static int hand_over(struct supervisor *s, uint64_t generation, struct http_snapshot *snapshot,
		     int *answer)
{
	struct handed_over h = { 0 };
	int r;

	supervisor_snapshot(s, generation, snapshot, handed_over, &h);
	r = await(s, &h.over);
	*answer = h.r;
	return r;
}

int supervisor_snapshot_first(struct supervisor *s, uint64_t generation,
			      struct http_snapshot *snapshot)
{
	int answer, r = hand_over(s, generation, snapshot, &answer);

	if (!r && answer && s->took_over) {
		replace(s);
		r = hand_over(s, generation, snapshot, &answer);
	}
	return r ? r : answer;
}

/* ---- the whole ---- */

/* After what it has said itself. Returns r. */
static int does_not_start(struct supervisor *s, int r)
{
	proxy_words_forward(&s->words, s->messages[0]);
	log_err(r == -ECONNRESET || r == -ECHILD ? 0 : r, "weft-proxy does not start");
	return r;
}

/* A first one, or one that is to succeed those that drain. */
static int start_first(struct supervisor *s)
{
	struct greeting g;
	int r;

	start(s);
	if (s->proxy.pidfd < 0)
		return does_not_start(s, -ECHILD);
	r = await_greeting(s, &g, START_MS);
	if (!r) {
		listeners_close(g.count, g.fds); /* they are ours */
		r = proxy_reply_error(&g.hello.reply);
	}
	if (!r)
		return 0;
	proxy_process_end(&s->proxy);
	return does_not_start(s, r);
}

/* Also where another number of workers was wanted before. */
static int open_listeners(struct supervisor *s, unsigned have)
{
	for (unsigned i = 0; have && i < s->options.workers; i++)
		if (s->listeners[i] < 0) {
			int r = listeners_open(1, &s->listeners[i]);

			if (r)
				return r;
		}
	return have ? 0 : listeners_open(s->options.workers, s->listeners);
}

static int begin(struct supervisor *s)
{
	unsigned listeners = 0;
	int r = adopt(s, &listeners);

	for (int slot = 0; !r && slot < HTTP_PROXIES; slot++)
		if (slot != s->slot)
			adopt_draining(s, slot, &listeners);
	if (r)
		return r;
	if (s->proxy.pidfd >= 0 && !s->took_over)
		put_aside(s);
	else if (s->slot < 0)
		s->slot = drain_free_slot(s);
	r = open_listeners(s, listeners);
	if (!r && s->proxy.pidfd < 0)
		r = start_first(s);
	if (!r)
		orders_give_log(s);
	return r;
}

static void on_message(void *arg, uint32_t events)
{
	struct supervisor *s = arg;

	(void)events;
	proxy_words_forward(&s->words, s->messages[0]);
}

static int prepare(struct supervisor *s)
{
	int r = proxy_find(&s->program);

	if (r)
		return r;
	s->identity = proxy_identity(&s->options, s->program);
	if (!s->identity)
		r = -ENOMEM;
	else if (pipe2(s->messages, O_CLOEXEC | O_NONBLOCK))
		r = -errno;
	s->message_event = (struct event){ .fd = s->messages[0], .ready = on_message, .arg = s };
	if (!r)
		r = event_watch(s->loop, &s->message_event, EPOLLIN);
	if (!r)
		r = event_timer_open(s->loop, &s->start_timer, start_again, s);
	if (!r)
		r = event_timer_open(s->loop, &s->order_timer, orders_overdue, s);
	return r ? log_err(r, "prepare for weft-proxy") : 0;
}

int supervisor_check(void)
{
	_cleanup_free_ char *program = NULL;

	return proxy_find(&program);
}

DEFINE_CLEANUP(struct supervisor *, supervisor_close);

int supervisor_open(const struct supervisor_options *o, struct event_loop *loop,
		    struct supervisor **out)
{
	_cleanup_(supervisor_closep) struct supervisor *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return log_err(-ENOMEM, "prepare for weft-proxy");
	*s = (struct supervisor){ .options = *o,
				  .loop = loop,
				  .messages = { -1, -1 },
				  .credentials = -1,
				  .proxy = proxy_process_none };
	memset(s->listeners, 0xff, sizeof(s->listeners));
	r = prepare(s);
	if (!r)
		r = begin(s);
	if (r)
		return r;
	s->begun = true;
	*out = TAKE_PTR(s);
	return 0;
}

void supervisor_close(struct supervisor *s)
{
	if (!s)
		return;
	/* Rules that are not in force are taken back, once it reads again. */
	if (s->snapshot && orders_have_snapshot(s))
		(void)orders_restore(s);
	listeners_close(PROXY_MAX_WORKERS, s->listeners);
	orders_free(s);
	forget(s);
	drain_forget(s, false);
	event_forget(&s->message_event);
	event_timer_close(&s->start_timer);
	event_timer_close(&s->order_timer);
	http_snapshot_close(s->snapshot);
	closep(&s->credentials);
	closep(&s->messages[0]);
	closep(&s->messages[1]);
	free(s->program);
	free(s->identity);
	free(s);
}

void supervisor_end(struct supervisor *s)
{
	s->ended = true;
	if (s->proxy.pidfd >= 0)
		proxy_process_end(&s->proxy);
	proxy_words_forward(&s->words, s->messages[0]);
	forget(s);
	orders_died(s);
	event_timer_stop(&s->start_timer);
	drain_forget(s, true);
	proxy_link_remove(s->options.run_dir, s->slot);
	proxy_link_remove(s->options.run_dir, PROXY_SERVES);
	proxy_cgroup_remove();
}

void supervisor_stop(const char *run_dir)
{
	for (int slot = HTTP_PROXIES - 1; slot >= PROXY_SERVES; slot--) {
		struct proxy_process p = proxy_process_none;

		if (!proxy_process_find(&p, run_dir, slot))
			proxy_process_end(&p);
		proxy_process_forget(&p);
		proxy_link_remove(run_dir, slot);
	}
	proxy_cgroup_remove();
}

bool supervisor_runs(const char *run_dir)
{
	bool runs = false;

	for (int slot = PROXY_SERVES; !runs && slot < HTTP_PROXIES; slot++) {
		struct proxy_process p = proxy_process_none;

		runs = !proxy_process_find(&p, run_dir, slot);
		proxy_process_forget(&p);
	}
	return runs;
}

bool supervisor_took_over(const struct supervisor *s)
{
	return s->took_over || s->draining;
}

bool supervisor_drains(const struct supervisor *s)
{
	return s->draining;
}

bool supervisor_is_to_succeed(const struct supervisor *s)
{
	return s->draining && !s->took_over && !s->succeeds;
}

bool supervisor_had_credentials(const struct supervisor *s)
{
	return s->had_credentials && s->credentials < 0;
}

unsigned supervisor_workers(const struct supervisor *s)
{
	return s->options.workers;
}

int supervisor_listener(const struct supervisor *s, unsigned worker)
{
	return s->listeners[worker];
}

void supervisor_status(const struct supervisor *s, struct supervisor_status *out)
{
	*out = (struct supervisor_status){ .pid = s->proxy.pid,
					   .workers = s->options.workers,
					   .restarts = s->restarts };
	for (const struct draining *d = s->draining; d && out->draining < HTTP_PROXIES; d = d->next)
		out->draining_pids[out->draining++] = d->proxy.pid;
}

void supervisor_each_lacking(const struct supervisor *s, const char *state_dir,
			     void (*each)(void *arg, const char *what), void *arg)
{
	container_each_lacking(s->options.run_dir, state_dir, each, arg);
	if (container_inside() && s->proxy.pid && proxy_cgroup_shared(s->proxy.pid))
		each(arg, "the node's cgroups: weft-proxy and its connections end with the "
			  "container");
}
