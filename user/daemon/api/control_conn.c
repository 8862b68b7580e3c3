// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "daemon/api/control_conn.h"
#include "lib/base/log.h"

enum { IDLE_S = 60 };

struct control_conn *control_conn_new(int fd, uint64_t now)
{
	struct control_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->need = WIRE_HEADER;
	c->seen = now;
	return c;
}

void control_conn_free(struct control_conn *c)
{
	if (!c)
		return;
	close(c->fd);
	json_decref(c->frame.json);
	wire_inbox_free(&c->in);
	free(c->out);
	free(c);
}

/* Takes over `reply`. */
static void answer(struct control_conn *c, json_t *reply)
{
	int r = reply ? wire_pack(reply, NULL, 0, &c->out, &c->out_len) : -ENOMEM;

	json_decref(reply);
	if (r == -E2BIG) {
		json_t *shorter = refusal("the answer is too long for one frame: ask for less");

		r = shorter ? wire_pack(shorter, NULL, 0, &c->out, &c->out_len) : -ENOMEM;
		json_decref(shorter);
	}
	c->out_at = 0;
	if (r) {
		log_err(r, "answer a request");
		c->closing = true;
	}
}

void control_conn_greet(struct control_conn *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	    (peer.uid == 0 || peer.uid == geteuid()))
		return;
	c->closing = true;
	answer(c, refusal("only root may talk to weftd"));
}

static bool flush_out(struct control_conn *c, uint64_t now)
{
	while (c->out) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->seen = now;
		c->out_at += n;
		if (c->out_at < c->out_len)
			continue;
		free(c->out);
		c->out = NULL;
	}
	return !c->closing;
}

/* The request has been handled, at once or now at last. */
static void handled(void *arg, json_t *reply)
{
	struct control_conn *c = arg;

	json_decref(c->frame.json);
	c->frame.json = NULL;
	wire_inbox_drop(&c->in, c->frame_len);
	answer(c, reply);
	if (c->waiting) {
		c->waiting = false;
		c->answered(c);
	}
}

/* Handles the first frame of the inbox. False: there is no whole one yet. */
static bool handle_frame(struct control_conn *c, struct weftd *d)
{
	enum wire_problem problem;
	long n = wire_parse(c->in.bytes ? c->in.bytes : "", c->in.len, &c->frame, &c->need,
			    &problem);

	if (n == -2)
		return false;
	if (n == -1) {
		c->closing = true;
		answer(c, refusal(wire_problem_text(problem)));
		return true;
	}
	c->frame_len = n;
	handle(d, &(struct request){ c->frame.json, c->frame.blob, c->frame.blob_len }, handled, c);
	c->waiting = c->frame.json;
	return true;
}

static bool serve(struct control_conn *c, struct weftd *d, uint64_t now)
{
	while (!c->closing && !c->out && !c->waiting && handle_frame(c, d))
		if (!flush_out(c, now))
			return false;
	return true;
}

bool control_conn_step(struct control_conn *c, struct weftd *d, uint64_t now)
{
	long n;

	if (c->out || c->closing)
		return flush_out(c, now) && serve(c, d, now);
	n = wire_inbox_read(&c->in, c->fd, c->need);
	if (n == -EAGAIN || n == -EINTR)
		return true;
	if (n <= 0)
		return false;
	c->seen = now;
	return serve(c, d, now);
}

uint32_t control_conn_events(const struct control_conn *c)
{
	return c->out || c->closing ? EPOLLOUT : EPOLLIN;
}

bool control_conn_stalled(const struct control_conn *c, uint64_t now)
{
	uint64_t limit = c->out || c->in.len || c->closing ? WIRE_STALL_S : IDLE_S;

	return !c->waiting && now > c->seen + 1000 * limit;
}
