// SPDX-License-Identifier: Apache-2.0
/*
 * Bodies between connections of which one turns its bytes into others, as TLS does.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/stream/half.h"
#include "test_proxy_stream.h"

enum { LENGTH = 1024 * 1024, BLOCK = 16 * 1024, KEY = 0x5a };

static unsigned closed, shut;

static ssize_t coded_recv(struct transport *t, void *to, size_t n)
{
	unsigned char *bytes = to;
	ssize_t r = recv(t->io.fd, to, n, MSG_DONTWAIT);

	for (ssize_t i = 0; i < r; i++)
		bytes[i] ^= KEY;
	return r < 0 ? -errno : r;
}

static ssize_t coded_send(struct transport *t, const struct iovec *parts, size_t count)
{
	ssize_t sum = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].iov_len; j++, sum++) {
			unsigned char c = ((unsigned char *)parts[i].iov_base)[j] ^ KEY;

			if (send(t->io.fd, &c, 1, MSG_DONTWAIT) < 0)
				return sum ? sum : -errno;
		}
	return sum;
}

static void coded_shut(struct transport *t)
{
	shut++;
	shutdown(t->io.fd, SHUT_WR);
}

static void coded_close(struct transport *t)
{
	cr_expect_geq(t->io.fd, 0, "closed before it was told");
	closed++;
}

static const struct transport_ops coded = { coded_recv, coded_send, coded_shut, coded_close };

struct pair {
	struct half from, to;
	struct loop *loop;
	struct buffer_pool buffers;
	int sender, receiver;
};

static void changed(struct half *h)
{
	(void)h;
}

static void open_half(struct pair *p, struct half *h, bool code, int *other)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	cr_assert_eq(half_open(h, fds[0], p->loop, &p->buffers, changed), 0);
	if (code)
		h->transport.ops = &coded;
	*other = fds[1];
}

static void open_pair(struct pair *p, bool code_from, bool code_to)
{
	*p = (struct pair){ .loop = loop_new() };
	closed = shut = 0;
	open_half(p, &p->from, code_from, &p->sender);
	open_half(p, &p->to, code_to, &p->receiver);
	body_begin(&p->from, H1_LENGTH, LENGTH);
}

static void close_pair(struct pair *p)
{
	half_close(&p->from);
	half_close(&p->to);
	close(p->sender);
	close(p->receiver);
	loop_free(p->loop);
	buffer_pool_free(&p->buffers);
}

static size_t put_some(int fd, size_t at)
{
	unsigned char block[BLOCK];
	size_t n = LENGTH - at < BLOCK ? LENGTH - at : BLOCK;
	ssize_t r;

	for (size_t i = 0; i < n; i++)
		block[i] = stream_byte(at + i);
	r = send(fd, block, n, 0);
	return r < 0 ? 0 : (size_t)r;
}

static size_t want_some(int fd, size_t at, unsigned char key)
{
	unsigned char block[BLOCK];
	ssize_t r = recv(fd, block, sizeof(block), 0);

	for (ssize_t i = 0; i < r; i++)
		if (block[i] != (stream_byte(at + (size_t)i) ^ key))
			cr_assert_fail("wrong byte at %zu", at + (size_t)i);
	return r < 0 ? 0 : (size_t)r;
}

/* All of the body; each byte comes out with `key`. */
static void pass(struct pair *p, unsigned char key)
{
	size_t sent = 0, got = 0;

	while (got < LENGTH) {
		sent += put_some(p->sender, sent);
		cr_assert_eq(loop_once(p->loop, 0), 0);
		cr_assert_lt(relay(&p->from, &p->to), RELAY_BAD);
		got += want_some(p->receiver, got, key);
	}
	cr_expect_eq(relay(&p->from, &p->to), RELAY_DONE);
}

TestSuite(proxy_transport, .timeout = 60);

Test(proxy_transport, what_a_sender_codes_is_never_spliced_past_its_code)
{
	struct pair p;

	open_pair(&p, true, false);
	pass(&p, KEY);
	close_pair(&p);
	cr_expect_eq(closed, 1u);
}

Test(proxy_transport, what_a_receiver_codes_is_never_spliced_past_its_code)
{
	struct pair p;

	open_pair(&p, false, true);
	pass(&p, KEY);
	half_shut(&p.to);
	half_shut(&p.to);
	cr_expect_eq(shut, 1u);
	close_pair(&p);
	cr_expect_eq(closed, 1u);
}

Test(proxy_transport, between_sockets_the_kernel_moves_it)
{
	struct pair p;

	open_pair(&p, false, false);
	pass(&p, 0);
	cr_expect_eq(p.buffers.pipe_count, 1u, "no pipe was used");
	close_pair(&p);
}
