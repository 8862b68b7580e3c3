// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/source/informer_queue.h"

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
	*q = (struct informer_queue){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
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

void informer_queue_put(struct informer_queue *q, struct informer_message *m)
{
	uint64_t one = 1;

	pthread_mutex_lock(&q->lock);
	while (q->size > SIZE_MAX_QUEUED && !q->stopped)
		pthread_cond_wait(&q->taken, &q->lock);
	if (q->stopped) {
		informer_message_free(m);
	} else {
		q->size += weight(m);
		*q->last = m;
		q->last = &m->next;
		/* It is full only after 2^64 of them. */
		if (write(q->fd, &one, sizeof(one)) < 0)
			q->stopped = errno != EAGAIN;
	}
	pthread_mutex_unlock(&q->lock);
}

struct informer_message *informer_queue_take(struct informer_queue *q)
{
	struct informer_message *m;
	uint64_t count;

	pthread_mutex_lock(&q->lock);
	if (read(q->fd, &count, sizeof(count)) < 0)
		count = 0;
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
