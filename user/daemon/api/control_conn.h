/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_CONTROL_CONN_H
#define WEFT_DAEMON_API_CONTROL_CONN_H
/*
 * One peer of the control socket: bytes in, frames, bytes out. Never blocks.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/api/handlers.h"
#include "daemon/loop/event.h"
#include "lib/wire/wire.h"

struct control_conn {
	struct control_conn *next;
	int fd; /* owned, non-blocking */
	struct wire_inbox in;
	size_t need; /* size of the frame that is coming in, as far as known */
	char *out;
	size_t out_len, out_at;
	uint64_t seen; /* ms by control_clock.h; last byte in either direction */
	bool closing;  /* nothing more is read */
	bool waiting;  /* for the answer to the request in `frame`: nothing is read or written */
	struct wire_frame frame; /* the first of `in` */
	long frame_len;
	/* Called when the answer that was waited for is there, unless NULL. */
	void (*answered)(struct control_conn *c);
	void *arg; /* of the owner */
	struct event event;
};

/* Takes over `fd`. NULL when out of memory (then `fd` is closed). */
struct control_conn *control_conn_new(int fd, uint64_t now);
void control_conn_free(struct control_conn *c);

/* Whether the peer may give orders; if not, its refusal is on the way out. */
void control_conn_greet(struct control_conn *c);

/* Reads what is there, handles whole frames, writes what goes. False: the connection is over. */
bool control_conn_step(struct control_conn *c, struct weftd *d, uint64_t now);

/* The epoll events to wait for. */
uint32_t control_conn_events(const struct control_conn *c);
/* Whether it has been silent for too long. */
bool control_conn_stalled(const struct control_conn *c, uint64_t now);

#endif
