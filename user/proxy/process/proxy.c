// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log/access_logs.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "proxy/process/orders.h"
#include "proxy/process/requests.h"
#include "proxy/process/workers.h"
#include "proxy/process/options.h"
#include "proxy/route/router.h"
#include "proxy/route/router_version.h"
#include "proxy/route/tls_store.h"
#include "proxy/process/sandbox.h"
#include "proxy/stats/traffic.h"

enum { ADOPT_MS = 5000 };

struct thread {
	pthread_t id;
	bool started, opened;
	struct http_worker worker;
	struct snapshot_router *rules;
};

struct proxy {
	const struct proxy_options *options;
	struct cluster_limit *limits;
	uint32_t *held;
	struct stats *stats;
	struct traffic_rows *traffic;
	struct shared_state *state;
	struct thread *threads;
	struct http_worker **peers;
	struct access_logs *logs; /* one for each worker */
	size_t count, listening;
	int signals;
	uint32_t has;	 /* number of what all workers have; 0: none, or they differ */
	int log;	 /* a file, or -1 */
	int follow;	 /* a pipe of weftd's, or -1 */
	int trace;	 /* likewise */
	int wake;	 /* an eventfd: all workers may have drained */
	int alarm;	 /* a timerfd: the time to drain is over */
	uint64_t end_ms; /* when that is; 0: it does not drain */
};

static void *run(void *arg)
{
	struct thread *t = arg;
	int r = worker_run(&t->worker.io);

	if (r)
		log_err(r, "worker");
	return NULL;
}

static void proxy_stop(struct proxy *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->threads[i].started)
			worker_stop(&p->threads[i].worker.io);
	for (size_t i = 0; i < p->count; i++) {
		struct thread *t = &p->threads[i];

		if (t->started)
			pthread_join(t->id, NULL);
		t->worker.peer_count = 0;
	}
	for (size_t i = 0; i < p->count; i++) {
		if (p->threads[i].opened)
			worker_close(&p->threads[i].worker.io);
		router_free(p->threads[i].rules);
		if (p->logs)
			access_logs_close(&p->logs[i]);
	}
	free(p->threads);
	free(p->peers);
	free(p->logs);
	shared_state_free(p->state);
	stats_close(p->stats);
	traffic_rows_close(p->traffic);
	limits_unmap(p->limits);
	held_unmap(p->held);
	closep(&p->signals);
	closep(&p->log);
	closep(&p->follow);
	closep(&p->trace);
	closep(&p->wake);
	closep(&p->alarm);
}

/* Every worker takes it at its next turn. */
static void offer(const struct proxy *p, struct config *c)
{
	for (size_t i = 0; i < p->count; i++) {
		router_offer(p->threads[i].rules, c);
		loop_wake(p->threads[i].worker.io.loop);
	}
}

static int open_worker(struct proxy *p, struct thread *t)
{
	struct access_logs *logs = &p->logs[t - p->threads];
	struct worker_options o = p->options->worker;

	logs->tail = access_tail_new();
	if (!logs->tail)
		return -ENOMEM;
	o.log = access_logs_write;
	o.log_wants = access_logs_wants;
	o.trace = access_logs_trace;
	o.flush = access_logs_flush;
	o.log_arg = logs;
	o.traffic = p->traffic;
	return http_worker_open(&t->worker, -1, &o, router_interface(t->rules));
}

static int open_workers(struct proxy *p)
{
	int r = 0;

	for (size_t i = 0; !r && i < p->count; i++) {
		struct thread *t = &p->threads[i];

		r = router_new(p->state, &t->rules);
		if (!r)
			r = open_worker(p, t);
		if (r)
			return log_err(r, "open a worker");
		t->opened = true;
		t->worker.peers = p->peers;
		t->worker.peer_count = p->count;
	}
	return r;
}

static int listen_all(struct proxy *p)
{
	for (; p->listening < p->count; p->listening++) {
		int fd = p->options->listeners[p->listening];
		int r = worker_listen(&p->threads[p->listening].worker.io, fd);

		if (r)
			return log_err(r, "listen on descriptor %d", fd);
	}
	return 0;
}

static int start_threads(struct proxy *p)
{
	for (size_t i = 0; i < p->count; i++) {
		int r = pthread_create(&p->threads[i].id, NULL, run, &p->threads[i]);

		if (r)
			return log_err(-r, "start a worker");
		p->threads[i].started = true;
	}
	return 0;
}

/* Until then, and if any can't, they may differ. Takes `c` over. */
static int switch_to(struct proxy *p, struct config *c, uint32_t state)
{
	int r;

	p->has = 0;
	offer(p, c);
	r = config_wait(c, p->count, ADOPT_MS);
	config_unref(c);
	if (!r)
		p->has = state;
	return r;
}

static int switch_snapshot(void *arg, int fd, uint32_t state)
{
	struct proxy *p = arg;
	struct config *c;
	int r = config_map(fd, &c);

	if (!r)
		r = switch_to(p, c, state);
	return r ? r : listen_all(p);
}

static int patch_snapshot(void *arg, const struct patch_order *patch)
{
	struct proxy *p = arg;
	struct config *c;
	int r;

	if (!p->has || p->has != patch->before)
		return -ESTALE;
	r = patch->fd < 0 ? config_copy_patch(patch->bytes, patch->size, &c)
			  : config_read_patch(patch->fd, &c);
	return r ? r : switch_to(p, c, patch->state);
}

static int tell_requests(void *arg, int fd)
{
	const struct proxy *p = arg;

	return requests_write(p->peers, p->count, fd);
}

static int make_logs(struct proxy *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->logs[i].log)
			continue;
		p->logs[i].log = malloc(sizeof(*p->logs[i].log));
		if (!p->logs[i].log)
			return -ENOMEM;
		access_log_open(p->logs[i].log, -1, false);
	}
	return 0;
}

/* The file that there was stays open if a worker may still write to it. */
static int change_log(void *arg, int fd, bool json)
{
	struct proxy *p = arg;
	int r = fd < 0 ? 0 : make_logs(p);

	if (!r)
		r = workers_log(p->peers, p->logs, p->count, fd, json);
	if (!r)
		closep(&p->log);
	p->log = fd;
	return r;
}

/* Likewise. */
static int follow(void *arg, int fd)
{
	struct proxy *p = arg;
	int r = workers_follow(p->peers, p->logs, p->count, fd);

	if (!r)
		closep(&p->follow);
	p->follow = fd;
	return r;
}

static int make_spans(struct proxy *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->logs[i].spans)
			continue;
		p->logs[i].spans = calloc(1, sizeof(*p->logs[i].spans));
		if (!p->logs[i].spans)
			return -ENOMEM;
	}
	return 0;
}

/* The pipe that there was stays open if a worker may still write to it. */
static int trace(void *arg, int fd)
{
	struct proxy *p = arg;
	int r = fd < 0 ? 0 : make_spans(p);

	if (!r)
		r = workers_trace(p->peers, p->logs, p->count, fd);
	if (!r)
		closep(&p->trace);
	p->trace = fd;
	return r;
}

/* Workers look them up when a ClientHello comes. */
static int take_credentials(void *arg, int fd)
{
	const struct proxy *p = arg;

	return tls_store_set(shared_state_tls(p->state), fd);
}

static int tell_tickets(void *arg, int fd)
{
	const struct proxy *p = arg;

	return tls_store_tell_tickets(shared_state_tls(p->state), fd);
}

static int take_tickets(void *arg, int fd)
{
	const struct proxy *p = arg;

	return tls_store_take_tickets(shared_state_tls(p->state), fd);
}

static int tell_identities(void *arg, int fd)
{
	const struct proxy *p = arg;

	return tls_store_tell_identities(shared_state_tls(p->state), fd);
}

static int take_identities(void *arg, int fd)
{
	const struct proxy *p = arg;

	return tls_store_take_identities(shared_state_tls(p->state), fd);
}

static int succeed(void *arg, int fd)
{
	const struct proxy *p = arg;

	return workers_succeed(p->peers, p->count, fd);
}

static int drain(void *arg, int fd, uint32_t ms, uint32_t shared)
{
	struct proxy *p = arg;
	uint64_t end = clock_ms() + ms;
	struct itimerspec t = { 0 };

	if (p->end_ms && p->end_ms < end)
		end = p->end_ms;
	p->end_ms = end;
	t.it_value.tv_sec = (time_t)(end / 1000);
	t.it_value.tv_nsec = (long)(end % 1000) * 1000000 + 1; /* all 0 would be never */
	if (timerfd_settime(p->alarm, TFD_TIMER_ABSTIME, &t, NULL))
		return -errno;
	return workers_drain(p->peers, p->count, fd, shared, p->wake);
}

static bool is_over(void *arg)
{
	const struct proxy *p = arg;
	uint64_t told;

	if (p->end_ms && clock_ms() >= p->end_ms) {
		log_warning("what is left after draining is ended");
		return true;
	}
	if (read(p->wake, &told, sizeof(told)) < 0)
		return false;
	return workers_drained(p->peers, p->count);
}

static int serve(struct proxy *p)
{
	const struct orders orders = {
		.listener = p->options->control,
		.listeners = p->options->listeners,
		.count = p->count,
		.identity = p->options->identity,
		.snapshot = switch_snapshot,
		.patch = patch_snapshot,
		.requests = tell_requests,
		.log = change_log,
		.follow = follow,
		.trace = trace,
		.credentials = take_credentials,
		.tell_tickets = tell_tickets,
		.take_tickets = take_tickets,
		.tell_identities = tell_identities,
		.take_identities = take_identities,
		.succeed = succeed,
		.drain = drain,
		.wake = p->wake,
		.alarm = p->alarm,
		.over = is_over,
		.arg = p,
	};

	return orders_serve(&orders, p->signals);
}

static int begin_with_credentials(struct proxy *p, const char *file)
{
	_cleanup_close_ int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	int r;

	if (!file)
		return 0;
	r = fd < 0 ? -errno : take_credentials(p, fd);
	return r ? log_err(r, "read the credentials %s", file) : 0;
}

/* Connections that come before there are rules wait in the backlog. */
static int begin_with(struct proxy *p, const char *file)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!file)
		return p->options->control < 0 ? listen_all(p) : 0;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : switch_snapshot(p, fd, 0);
	return r ? log_err(r, "read the snapshot %s", file) : 0;
}

/* Each connection takes two descriptors, a large body two more. */
static void raise_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l)) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Before there are threads: they inherit it. */
static int catch_signals(struct proxy *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE); /* of no interest: the call itself says so */
	p->signals = signalfd(-1, &set, SFD_CLOEXEC);
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (p->wake < 0 || p->alarm < 0)
		return log_err(-errno, "wait for workers");
	return p->signals < 0 ? log_err(-errno, "wait for signals") : 0;
}

static int prepare(struct proxy *p)
{
	int r = orders_listen(p->options->control);

	if (r)
		return log_err(r, "listen to weftd");
	r = limits_map(p->options->limits, &p->limits);
	if (r)
		return log_err(r, "map the limits");
	r = held_map(p->options->held, &p->held);
	if (r)
		return log_err(r, "map what it has of the limits");
	/* So that nothing makes the file longer. */
	if (p->options->held >= 0)
		close(p->options->held);
	stats_slot = p->options->slot;
	r = stats_open(p->options->cluster_stats, p->options->route_stats, &p->stats);
	if (!r && p->options->listener_stats >= 0)
		r = stats_map_listeners(p->stats, p->options->listener_stats);
	if (!r)
		r = traffic_rows_open(p->options->traffic, &p->traffic);
	if (r)
		return log_err(r, "map the counters");
	p->state = shared_state_new(p->limits, p->held, p->stats);
	p->threads = calloc(p->options->listener_count, sizeof(*p->threads));
	p->peers = calloc(p->options->listener_count, sizeof(struct http_worker *));
	p->logs = calloc(p->options->listener_count, sizeof(*p->logs));
	if (!p->state || !p->threads || !p->peers || !p->logs)
		return log_err(-ENOMEM, "start");
	p->count = p->options->listener_count;
	for (size_t i = 0; i < p->count; i++)
		p->peers[i] = &p->threads[i].worker;
	return catch_signals(p);
}

int proxy_run(const struct proxy_options *o)
{
	_cleanup_(proxy_stop) struct proxy p = { .options = o,
						 .signals = -1,
						 .log = -1,
						 .follow = -1,
						 .trace = -1,
						 .wake = -1,
						 .alarm = -1 };
	int r;

	raise_limit();
	r = prepare(&p);
	if (!r)
		r = open_workers(&p);
	if (!r)
		r = start_threads(&p);
	if (!r)
		r = begin_with_credentials(&p, o->credentials);
	if (!r)
		r = begin_with(&p, o->snapshot);
	if (!r && o->sandbox)
		r = sandbox_seal();
	if (!r)
		log_info("ready: %zu workers", p.count);
	return r ? r : serve(&p);
}
