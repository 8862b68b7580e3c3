/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_ASK_H
#define WEFT_DAEMON_PAGE_ASK_H
/*
 * What the page's thread asks weftd, by the control socket as weft does (lib/wire/wire.h): the
 * event loop answers between other things, and nothing is shared with it. Waits for the answer.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

/* Zero-initialise but for `run_dir`, which is borrowed; then ask_open(). */
struct ask {
	const char *run_dir;
	pthread_mutex_t lock; /* of what follows */
	int fd;		      /* -1: not connected */
	bool ended;
};

void ask_open(struct ask *a);
void ask_close(struct ask *a);
/* From another thread: what is asked now fails, and so does all that comes. */
void ask_end(struct ask *a);

/* Sends the request, which it takes over. Into *data what the answer has as "data", a new reference
 * or NULL. 0; -EINVAL: refused, into *why with the reason, a new string; other -errno. */
int ask_weftd(struct ask *a, json_t *request, json_t **data, json_t **why);

#endif
