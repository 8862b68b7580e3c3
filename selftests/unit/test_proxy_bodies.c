// SPDX-License-Identifier: Apache-2.0
/*
 * Large bodies, slow readers.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_proxy_env.h"
#include "test_proxy_stream.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_bodies, .init = setup, .fini = teardown, .timeout = 60);

enum { LARGE = 32 * 1024 * 1024 };

Test(proxy_bodies, large_ones_in_both_directions)
{
	int c = env_client(e), s;
	char head[128];

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
		 LARGE);
	put(c, head);
	s = env_accept(e);
	get_head(s);
	stream_transfer(c, s, LARGE);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
	put(s, head);
	want(c, head);
	stream_transfer(s, c, LARGE);
	put(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	want(s, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
}

Test(proxy_bodies, sizes_around_every_limit)
{
	static const unsigned sizes[] = { 1,	 4095,	4096,  16000, 16383, 16384,  16385,
					  32768, 65535, 65536, 65537, 81920, 262144, 262145 };
	int c = env_client(e), s = -1;
	char head[128];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(head, sizeof(head),
			 "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %u\r\n\r\n", sizes[i]);
		put(c, head);
		if (s < 0)
			s = env_accept(e);
		get_head(s);
		stream_transfer(c, s, sizes[i]);
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n",
			 sizes[i]);
		put(s, head);
		want(c, head);
		stream_transfer(s, c, sizes[i]);
	}
}

static char *encode(size_t chunk, size_t n, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	cr_assert(f);
	for (size_t at = 0; at < n; at += chunk) {
		size_t size = n - at < chunk ? n - at : chunk;

		fprintf(f, "%zx\r\n", size);
		for (size_t i = 0; i < size; i++)
			fputc(stream_byte(at + i), f);
		fputs("\r\n", f);
	}
	fputs("0\r\n\r\n", f);
	fclose(f);
	return text;
}

struct text {
	int fd;
	const char *bytes;
	size_t len;
};

static void *send_text(void *arg)
{
	const struct text *t = arg;

	put_bytes(t->fd, t->bytes, t->len);
	return NULL;
}

/* What comes out of the proxy must be what went in, framing included. */
static void chunked(size_t chunk, size_t n)
{
	int c = env_client(e), s;
	size_t len, at = 0;
	char *text = encode(chunk, n, &len), *got = malloc(len);
	struct text t = { c, text, len };
	pthread_t thread;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	s = env_accept(e);
	get_head(s);
	pthread_create(&thread, NULL, send_text, &t);
	while (at < len) {
		ssize_t r = recv(s, got + at, len - at, 0);

		cr_assert_gt(r, 0, "ends after %zu", at);
		at += (size_t)r;
	}
	pthread_join(thread, NULL);
	cr_assert_eq(memcmp(got, text, len), 0, "chunks of %zu", chunk);
	free(text);
	free(got);
	close(c);
	close(s);
}

Test(proxy_bodies, chunks_of_any_size)
{
	chunked(1, 20000);
	chunked(7, 50000);
	chunked(4096, 1000000);
	chunked(8192, 4000000);
}

Test(proxy_bodies, one_huge_chunk)
{
	int c = env_client(e), s;

	put(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n");
	s = env_accept(e);
	get_head(s);
	want(s, "2000000\r\n");
	stream_transfer(c, s, 0x2000000);
	put(c, "\r\n0\r\n\r\n");
	want(s, "\r\n0\r\n\r\n");
}

/* What is known of a chunk's size while its line is still coming is not its size. */
Test(proxy_bodies, a_large_chunk_whose_size_comes_in_pieces)
{
	static const char *const first[] = { "1", "10000", "10000\r", "100000", "1000000" };
	static const char *const rest[] = { "000000\r\n", "00\r\n", "\n", "0\r\n", "\r\n" };
	static const unsigned size[] = { 0x1000000, 0x1000000, 0x10000, 0x1000000, 0x1000000 };

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
		int c = env_client(e), s;

		put(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
		s = env_accept(e);
		get_head(s);
		put(c, first[i]);
		want(s, first[i]);
		put(c, rest[i]);
		want(s, rest[i]);
		stream_transfer(c, s, size[i]);
		put(c, "\r\n0\r\n\r\n");
		want(s, "\r\n0\r\n\r\n");
		close(c);
		close(s);
	}
}

Test(proxy_bodies, until_the_end_of_the_connection)
{
	int c = env_client(e), s;

	put(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	s = env_accept(e);
	get_head(s);
	put(s, "HTTP/1.1 200 OK\r\n\r\n");
	get_head(c);
	stream_transfer(s, c, LARGE);
	close(s);
	want_end(c);
}

Test(proxy_bodies, a_tunnel_in_both_directions_at_once)
{
	int c = env_client(e), s;
	struct stream there, back;
	pthread_t t, u;

	put(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	s = env_accept(e);
	get_head(s);
	put(s, "HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	get_head(c);
	there = (struct stream){ c, LARGE };
	back = (struct stream){ s, LARGE / 2 };
	pthread_create(&t, NULL, stream_send, &there);
	pthread_create(&u, NULL, stream_send, &back);
	stream_want(s, LARGE);
	stream_want(c, LARGE / 2);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	shutdown(c, SHUT_WR);
	want_end(s);
	put(s, "bye");
	want(c, "bye");
	shutdown(s, SHUT_WR);
	want_end(c);
}

/* Sends until the socket takes no more for 0.3 s; how many bytes that was. */
static uint64_t fill(int fd)
{
	static char block[65536];
	struct pollfd p = { fd, POLLOUT, 0 };
	uint64_t n = 0;

	while (poll(&p, 1, 300) > 0) {
		ssize_t r = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		cr_assert_gt(r, 0);
		n += (uint64_t)r;
	}
	return n;
}

Test(proxy_bodies, a_slow_reader_slows_the_sender_down)
{
	int c = env_client(e), s;
	uint64_t n;

	put(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	s = env_accept(e);
	get_head(s);
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
	get_head(c);
	n = fill(s);
	cr_expect_lt(n, 40000000u, "%llu bytes are buffered", (unsigned long long)n);
}
