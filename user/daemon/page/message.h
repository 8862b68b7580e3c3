/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_MESSAGE_H
#define WEFT_DAEMON_PAGE_MESSAGE_H
/*
 * Texts that several connections send, each at its own pace. Of one thread.
 */
#include <stdbool.h>
#include <stddef.h>

enum { MESSAGES_MAX = 6 };

struct message;

/* A copy, with one reference. NULL when out of memory. */
struct message *message_new(const char *text);
void message_unref(struct message *m); /* accepts NULL */

/* What is still to be sent. Zero-initialise. */
struct message_queue {
	struct message *items[MESSAGES_MAX];
	size_t count;
	size_t at; /* of the first, bytes that are sent already */
};

/* Takes a reference of its own. False: it is full, and nothing is added. */
bool message_queue_add(struct message_queue *q, struct message *m);
/* Copies the next bytes, and takes off what is sent. How many; 0: there are none. */
size_t message_queue_read(struct message_queue *q, char *out, size_t max);
void message_queue_free(struct message_queue *q);

#endif
