// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/api/ready.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/table.h"

enum {
	WAIT_MS = 100, /* for the loop: what it does at a time takes less, but for large changes */
	READY_MS =
		5000, /* between looks at whether all is in the kernel, which take a millisecond */
	/* Those that ask more often than this are told the same again. */
	FRESH_MS = 250,
	LOOK_MS = 10000, /* at what TCP counts, so that it is put down before its pods are gone */
};

enum state {
	IDLE,  /* `told` is the thread's */
	ASKED, /* it is the loop's */
	TOLD,  /* it is the thread's again */
};

struct metrics_exchange {
	struct weftd *d;
	struct event event; /* an eventfd that wakes the loop */
	struct event_timer timer;
	bool ready;	   /* the loop's, as it was */
	uint64_t ready_ms; /* then; 0: never */
	uint64_t told_ms;  /* when what is told was looked at; 0: never. The loop's, too */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	enum state state;	       /* by the lock, like the next two */
	struct metrics_question asked; /* by the thread, whose it is again when that is answered */
	struct metrics_told next;      /* what is being told */
	struct metrics_told last;      /* the thread's alone */
};

/* ---- in the loop ---- */

struct id_name {
	__u32 id;
	char name[];
};

static bool has_name(const struct id_name *n)
{
	return n->name[0];
}

void metrics_names_free(struct metrics_names *n)
{
	for (size_t i = 0; i < n->by_id.count; i++)
		free(n->by_id.entries[i].value);
	bytemap_free(&n->by_id);
}

bool metrics_name(struct metrics_names *n, __u32 id, const char **name)
{
	const struct id_name *is = id ? bytemap_get(&n->by_id, &id, sizeof(id)) : NULL;

	*name = is && has_name(is) ? is->name : NULL;
	return !id || is;
}

/* A name is copied, since the registry may forget it. What finds no memory is asked for again. */
static void name_id(struct registry *r, enum registry_kind kind, __u32 id, struct metrics_names *to)
{
	const char *name = registry_name(r, kind, id) ?: "";
	struct id_name *copy;
	size_t len = strlen(name);

	if (!id || to->by_id.count >= METRICS_ASK_MAX || bytemap_get(&to->by_id, &id, sizeof(id)) ||
	    bytemap_reserve(&to->by_id, to->by_id.count + 1))
		return;
	copy = malloc(sizeof(*copy) + len + 1);
	if (!copy)
		return;
	copy->id = id;
	memcpy(copy->name, name, len + 1);
	*bytemap_at(&to->by_id, &copy->id, sizeof(copy->id)) = copy;
}

static void name_ids(struct registry *r, enum registry_kind kind, const struct metrics_ids *ids,
		     struct metrics_names *to)
{
	metrics_names_free(to);
	for (size_t i = 0; i < ids->list.count; i++)
		name_id(r, kind, ids->list.items[i], to);
}

/* Of those that are new to the thread. */
static void name_sums(struct registry *r, uint64_t known, struct metrics_told *to)
{
	for (size_t i = 0; i < to->sum_count; i++) {
		const struct tcp_sum *sum = &to->sums[i];

		if (sum->serial <= known)
			continue;
		name_id(r, REG_PEER, sum->who.source, &to->peers);
		name_id(r, REG_PEER, sum->who.destination, &to->peers);
		name_id(r, REG_CLUSTER, sum->who.cluster, &to->clusters);
	}
}

/* What was put down last. */
static void tell_sums(const struct weftd *d, struct metrics_told *to)
{
	const struct tcp_sum *sums;
	size_t count;

	free(to->sums);
	to->sums = NULL;
	to->sum_count = 0;
	sums = traffic_tcp(d->kernel, &count);
	to->sums = count ? malloc(count * sizeof(*sums)) : NULL;
	to->has_sums = to->sums || !count;
	if (!to->sums)
		return;
	memcpy(to->sums, sums, count * sizeof(*sums));
	to->sum_count = count;
}

static void note_reason(void *ready, const char *what)
{
	(void)what;
	*(bool *)ready = false;
}

static bool is_ready(struct metrics_exchange *x)
{
	uint64_t now = clock_ms();

	if (x->ready_ms && now - x->ready_ms < READY_MS)
		return x->ready;
	x->ready = true;
	x->ready_ms = now;
	ready_each_reason(x->d, note_reason, &x->ready);
	return x->ready;
}

/* As the thread has them from the last time: until it has this answer it only reads them. */
static void tell_samples_again(struct metrics_exchange *x)
{
	const struct metrics_samples *had = &x->last.samples;
	struct metrics_samples *to = &x->next.samples;

	for (size_t i = 0; i < had->count; i++) {
		struct metrics_sample *s = table_push(to);

		if (!s)
			return;
		*s = had->items[i];
	}
}

/* Whether it is so soon after the last time that looking again isn't worth the loop's time. */
static bool is_fresh(struct metrics_exchange *x)
{
	uint64_t now = clock_ms();

	if (x->told_ms && now - x->told_ms < FRESH_MS)
		return true;
	x->told_ms = now;
	return false;
}

static void tell(struct metrics_exchange *x)
{
	const struct traffic_walk walk = weftd_traffic(x->d);
	bool fresh = is_fresh(x);
	struct supervisor_status proxy;
	struct metrics_told *to = &x->next;
	struct weftd *d = x->d;
	struct registry *names = engine_registry(d->engine);

	name_ids(names, REG_PEER, &x->asked.peers, &to->peers);
	name_ids(names, REG_CLUSTER, &x->asked.clusters, &to->clusters);
	if (!fresh) /* should it fail: what was put down before is there all the same */
		(void)traffic_tcp_update(&walk);
	tell_sums(d, to);
	name_sums(names, x->asked.sums_known, to);
	to->samples.count = 0;
	if (fresh)
		tell_samples_again(x);
	else
		(void)metrics_own_loop(d, is_ready(x), &to->samples);
	supervisor_status(d->supervisor, &proxy);
	to->proxy = proxy.pid;
	to->last_cluster = registry_last(names, REG_CLUSTER);
}

static void look(void *arg)
{
	struct metrics_exchange *x = arg;
	const struct traffic_walk walk = weftd_traffic(x->d);

	(void)traffic_tcp_update(&walk);
	event_timer_set(&x->timer, LOOK_MS);
}

static void on_question(void *arg, uint32_t events)
{
	struct metrics_exchange *x = arg;
	uint64_t count;
	bool asked;

	(void)events;
	if (read(x->event.fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&x->lock);
	asked = x->state == ASKED;
	pthread_mutex_unlock(&x->lock);
	if (!asked)
		return;
	tell(x); /* the thread leaves it alone meanwhile */
	pthread_mutex_lock(&x->lock);
	x->state = TOLD;
	pthread_cond_signal(&x->answered);
	pthread_mutex_unlock(&x->lock);
}

DEFINE_CLEANUP(struct metrics_exchange *, metrics_exchange_close);

static void init_lock(struct metrics_exchange *x)
{
	pthread_condattr_t how;

	pthread_mutex_init(&x->lock, NULL);
	pthread_condattr_init(&how);
	pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	pthread_cond_init(&x->answered, &how);
	pthread_condattr_destroy(&how);
}

int metrics_exchange_open(struct event_loop *loop, struct weftd *d, struct metrics_exchange **out)
{
	_cleanup_(metrics_exchange_closep) struct metrics_exchange *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->d = d;
	init_lock(x);
	x->event = (struct event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				   .ready = on_question,
				   .arg = x };
	if (x->event.fd < 0)
		return -errno;
	r = event_watch(loop, &x->event, EPOLLIN);
	if (!r)
		r = event_timer_open(loop, &x->timer, look, x);
	if (r)
		return r;
	event_timer_set(&x->timer, LOOK_MS);
	*out = TAKE_PTR(x);
	return 0;
}

static void told_free(struct metrics_told *t)
{
	metrics_samples_free(&t->samples);
	metrics_names_free(&t->peers);
	metrics_names_free(&t->clusters);
	free(t->sums);
}

void metrics_exchange_close(struct metrics_exchange *x)
{
	if (!x)
		return;
	event_close(&x->event);
	event_timer_close(&x->timer);
	pthread_cond_destroy(&x->answered);
	pthread_mutex_destroy(&x->lock);
	told_free(&x->next);
	told_free(&x->last);
	free(x->asked.peers.list.items);
	free(x->asked.clusters.list.items);
	free(x);
}

/* ---- in the thread ---- */

static struct timespec wait_until(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += WAIT_MS * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* As far as there is memory: the others are asked for again. */
static void copy_ids(struct metrics_ids *to, const struct metrics_ids *from)
{
	__u32 *slot;

	to->list.count = 0;
	for (size_t i = 0; i < from->list.count && (slot = table_push(&to->list)); i++)
		*slot = from->list.items[i];
}

static void ask(struct metrics_exchange *x, const struct metrics_question *q)
{
	copy_ids(&x->asked.peers, &q->peers);
	copy_ids(&x->asked.clusters, &q->clusters);
	x->asked.sums_known = q->sums_known;
	x->state = ASKED;
}

/* Without the lock: the loop, which wakes before this thread goes on, would wait for it. */
static void wake(const struct metrics_exchange *x)
{
	const uint64_t one = 1;

	(void)!write(x->event.fd, &one, sizeof(one));
}

/* Whether what was asked is answered, by then at the latest. The lock is held. */
static bool wait_for_answer(struct metrics_exchange *x)
{
	const struct timespec until = wait_until();

	while (x->state == ASKED)
		if (pthread_cond_timedwait(&x->answered, &x->lock, &until))
			break;
	return x->state == TOLD;
}

/* The answer becomes the last one. */
static void take(struct metrics_exchange *x)
{
	struct metrics_told t = x->last;

	x->last = x->next;
	x->next = t;
	x->state = IDLE;
}

bool metrics_ask(struct metrics_exchange *x, const struct metrics_question *q,
		 struct metrics_told **told)
{
	bool asks, answered;

	pthread_mutex_lock(&x->lock);
	if (x->state == TOLD) /* too late for the question before */
		take(x);
	asks = x->state == IDLE;
	if (asks) {
		ask(x, q);
		pthread_mutex_unlock(&x->lock);
		wake(x);
		pthread_mutex_lock(&x->lock);
	}
	answered = wait_for_answer(x);
	if (answered)
		take(x);
	pthread_mutex_unlock(&x->lock);
	*told = &x->last;
	return answered;
}
