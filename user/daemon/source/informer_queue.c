// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/source/informer_queue.h"
#include "lib/base/clock.h"

enum { SIZE_MAX_QUEUED = 4 << 20 };

struct informer_message *informer_message_new(enum informer_message_kind kind)
{
	struct informer_message *m = calloc(1, sizeof(*m));

	if (m)
		m->kind = kind;
	return m;
}

void informer_message_free(struct informer_message *m)
{
	if (!m)
		return;
	buffer_wipe(&m->bytes); /* there may be Secrets in it */
	free(m->records.items);
	free(m);
}

int informer_queue_open(struct informer_queue *q)
{
	*q = (struct informer_queue){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.due_ms = UINT64_MAX,
	};
	if (q->fd < 0)
		return -errno;
	q->last = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->taken, NULL);
	return 0;
}

static void free_all(struct informer_message *m)
{
	while (m) {
		struct informer_message *next = m->next;

		informer_message_free(m);
		m = next;
	}
}

void informer_queue_close(struct informer_queue *q)
{
	if (!q->last)
		return;
	free_all(q->first);
	close(q->fd);
	pthread_cond_destroy(&q->taken);
	pthread_mutex_destroy(&q->lock);
}

static size_t weight(const struct informer_message *m)
{
	return sizeof(*m) + m->bytes.size;
}

static bool is_full(const struct informer_queue *q)
{
	return q->size > SIZE_MAX_QUEUED;
}

/* Never later than it is set already. */
static void set_due(struct informer_queue *q, unsigned ms)
{
	const struct itimerspec in = { .it_value = { ms / 1000, ms ? ms % 1000 * 1000000L : 1 } };
	uint64_t at = clock_ms() + ms;

	if (q->due_ms <= at)
		return;
	q->due_ms = at;
	timerfd_settime(q->fd, 0, &in, NULL); /* which can't fail for a time that is one */
}

void informer_queue_put(struct informer_queue *q, struct informer_message *m, unsigned ms)
{
	pthread_mutex_lock(&q->lock);
	while (is_full(q) && !q->stopped)
		pthread_cond_wait(&q->taken, &q->lock);
	if (q->stopped) {
		informer_message_free(m);
	} else {
		q->size += weight(m);
		*q->last = m;
		q->last = &m->next;
		set_due(q, is_full(q) ? 0 : ms);
	}
	pthread_mutex_unlock(&q->lock);
}

struct informer_message *informer_queue_take(struct informer_queue *q)
{
	struct informer_message *m;
	uint64_t ticks;

	pthread_mutex_lock(&q->lock);
	if (read(q->fd, &ticks, sizeof(ticks)) < 0)
		ticks = 0; /* It was set anew. */
	q->due_ms = UINT64_MAX;
	m = q->first;
	q->first = NULL;
	q->last = &q->first;
	q->size = 0;
	pthread_cond_signal(&q->taken);
	pthread_mutex_unlock(&q->lock);
	return m;
}

void informer_queue_stop(struct informer_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopped = true;
	pthread_cond_broadcast(&q->taken);
	pthread_mutex_unlock(&q->lock);
}
