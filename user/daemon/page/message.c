// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/message.h"

#include <stdlib.h>
#include <string.h>

struct message {
	unsigned refs;
	size_t size;
	char text[];
};

struct message *message_new(const char *text)
{
	size_t size = strlen(text);
	struct message *m = malloc(sizeof(*m) + size + 1);

	if (!m)
		return NULL;
	m->refs = 1;
	m->size = size;
	memcpy(m->text, text, size + 1);
	return m;
}

void message_unref(struct message *m)
{
	if (m && !--m->refs)
		free(m);
}

bool message_queue_add(struct message_queue *q, struct message *m)
{
	if (q->count == MESSAGES_MAX)
		return false;
	m->refs++;
	q->items[q->count++] = m;
	return true;
}

static void drop_first(struct message_queue *q)
{
	message_unref(q->items[0]);
	memmove(q->items, q->items + 1, --q->count * sizeof(*q->items));
	q->at = 0;
}

size_t message_queue_read(struct message_queue *q, char *out, size_t max)
{
	size_t done = 0;

	while (q->count && done < max) {
		const struct message *m = q->items[0];
		size_t n = m->size - q->at < max - done ? m->size - q->at : max - done;

		memcpy(out + done, m->text + q->at, n);
		q->at += n;
		done += n;
		if (q->at == m->size)
			drop_first(q);
	}
	return done;
}

void message_queue_free(struct message_queue *q)
{
	while (q->count)
		drop_first(q);
}
