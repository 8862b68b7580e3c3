/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on the control socket: each request is answered with one frame, and what is no frame
 * with an error, after which nothing more is read. The first byte of the input says in what pieces
 * the rest arrives.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/control_conn.h"

static unsigned asked;

/* In place of weftd's own, which would change the kernel: reads all of a request. */
void handle(struct weftd *d, const struct request *request, reply_send_fn send, void *arg)
{
	char *copy = malloc(request->blob_len + 1);

	(void)d;
	if (request->blob_len)
		memcpy(copy, request->blob, request->blob_len);
	free(copy);
	asked++;
	send(arg, json_pack("{s:b, s:O}", "ok", 1, "data", request->args));
}

json_t *refusal(const char *text)
{
	return json_pack("{s:b, s:[s]}", "ok", 0, "errors", text);
}

/* Every answer is a frame; an error is the last one. Returns how many were none. */
static void take_answers(int fd, struct wire_inbox *in, unsigned *good, bool *over)
{
	enum wire_problem problem;
	struct wire_frame frame;
	size_t need = WIRE_HEADER;
	long n;

	while (wire_inbox_read(in, fd, need) > 0)
		;
	while (in->len && (n = wire_parse(in->bytes, in->len, &frame, &need, &problem)) != -2) {
		if (n < 0 || *over)
			abort();
		*over = !json_is_true(json_object_get(frame.json, "ok"));
		*good += !*over;
		json_decref(frame.json);
		wire_inbox_drop(in, (size_t)n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_inbox in = { 0 };
	struct control_conn *c;
	bool alive = true, over = false;
	unsigned good = 0;
	int ends[2];

	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
		return 0;
	asked = 0;
	c = control_conn_new(ends[0], 0);
	if (!c)
		abort();
	for (size_t at = 1, piece = data[0] ? data[0] : 65536; alive && at < size;) {
		size_t n = size - at < piece ? size - at : piece;
		ssize_t sent = send(ends[1], data + at, n, MSG_NOSIGNAL);

		if (sent > 0)
			at += (size_t)sent;
		alive = control_conn_step(c, NULL, 0);
		take_answers(ends[1], &in, &good, &over);
	}
	for (int i = 0; alive && i < 8; i++) {
		alive = control_conn_step(c, NULL, 0);
		take_answers(ends[1], &in, &good, &over);
	}
	control_conn_free(c);
	take_answers(ends[1], &in, &good, &over);
	if (good != asked || in.len)
		abort();
	wire_inbox_free(&in);
	close(ends[1]);
	return 0;
}
