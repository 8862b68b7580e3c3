// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/control_conn.h"

/* A peer of weftd, and weftd's end of the connection. */
static struct weftd weftd;
static struct control_conn *conn;
static int peer;

static void setup(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[0];
	conn = control_conn_new(fds[1], 1000);
}

static void teardown(void)
{
	control_conn_free(conn);
	close(peer);
}

TestSuite(wire_peer, .init = setup, .fini = teardown);

static void say(const char *bytes, size_t len)
{
	cr_assert_eq(write(peer, bytes, len), (ssize_t)len);
}

/* Takes one reply off the peer's end; NULL if there is none. */
static json_t *hear(void)
{
	static char bytes[65536];
	static size_t have;
	enum wire_problem problem;
	struct wire_frame frame;
	size_t need;
	ssize_t got = read(peer, bytes + have, sizeof(bytes) - have);
	long n;

	have += got > 0 ? got : 0;
	n = wire_parse(bytes, have, &frame, &need, &problem);
	if (n < 0)
		return NULL;
	memmove(bytes, bytes + n, have - n);
	have -= n;
	return frame.json;
}

static void expect_error(const char *part)
{
	json_t *reply = hear();
	const char *text = json_string_value(json_array_get(json_object_get(reply, "errors"), 0));

	cr_assert_not_null(reply, "no answer");
	cr_expect(json_is_false(json_object_get(reply, "ok")));
	cr_expect(text && strstr(text, part), "%s", text);
	json_decref(reply);
}

static char *request(size_t *len)
{
	json_t *json = json_pack("{s:s}", "command", "fly");
	char *bytes;

	cr_assert_eq(wire_pack(json, NULL, 0, &bytes, len), 0);
	json_decref(json);
	return bytes;
}

Test(wire_peer, garbage_is_answered_and_ends_only_that_connection)
{
	say("GET / HTTP/1.1\r\n\r\n", 18);
	cr_expect_not(control_conn_step(conn, &weftd, 1000));
	expect_error("not a frame");
}

Test(wire_peer, an_unknown_command_is_answered_and_the_connection_goes_on)
{
	size_t len;
	char *bytes = request(&len);

	for (int i = 0; i < 2; i++) {
		say(bytes, len);
		cr_expect(control_conn_step(conn, &weftd, 1000));
		expect_error("fly");
	}
	free(bytes);
}

Test(wire_peer, a_request_may_come_in_pieces)
{
	size_t len;
	char *bytes = request(&len);

	for (size_t i = 0; i < len; i++) {
		cr_expect_null(hear());
		say(bytes + i, 1);
		cr_expect(control_conn_step(conn, &weftd, 1000));
	}
	expect_error("fly");
	free(bytes);
}

Test(wire_peer, requests_in_one_piece_are_all_answered)
{
	size_t len;
	char *bytes = request(&len);
	char *twice = malloc(2 * len);

	memcpy(twice, bytes, len);
	memcpy(twice + len, bytes, len);
	say(twice, 2 * len);
	cr_expect(control_conn_step(conn, &weftd, 1000));
	expect_error("fly");
	expect_error("fly");
	free(bytes);
	free(twice);
}

Test(wire_peer, silence_in_the_middle_of_a_frame_is_cut_off_sooner_than_between_frames)
{
	say("weft", 4);
	cr_expect(control_conn_step(conn, &weftd, 2000));
	cr_expect_not(control_conn_stalled(conn, 2000 + 1000 * WIRE_STALL_S));
	cr_expect(control_conn_stalled(conn, 2001 + 1000 * WIRE_STALL_S));
	conn->in.len = 0;
	cr_expect_not(control_conn_stalled(conn, 2001 + 1000 * WIRE_STALL_S));
}

Test(wire_peer, a_peer_that_does_not_read_blocks_nobody)
{
	size_t len, sent = 0;
	char *bytes = request(&len);

	/* Until the peer's end is full of answers. */
	while (!conn->out && sent < 1 << 20) {
		say(bytes, len);
		cr_assert(control_conn_step(conn, &weftd, 1000));
		sent += len;
	}
	cr_expect_not_null(conn->out);
	cr_expect_eq(control_conn_events(conn), EPOLLOUT);
	cr_expect(control_conn_stalled(conn, 1001 + 1000 * WIRE_STALL_S));
	free(bytes);
}

Test(wire_peer, the_end_of_the_stream_ends_the_connection)
{
	shutdown(peer, SHUT_WR);
	cr_expect_not(control_conn_step(conn, &weftd, 1000));
}
