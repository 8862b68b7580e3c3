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

#include "test_proxy_script.h"
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

/* A stream behind what has just been said, from one to the other. */
static void transfer(const char *from, const char *to, uint64_t n)
{
	stream_transfer(script_socket(e, from), script_socket(e, to), n);
}

/* A request and its response with bodies of that size. */
static void both_ways(unsigned n)
{
	char post[64], posted[64], answer[64], answered[64];

	snprintf(post, sizeof(post), "C> POST / HTTP/1.1|Host: h|Content-Length: %u||", n);
	snprintf(posted, sizeof(posted), "U> POST / HTTP/1.1|host: h|Content-Length: %u||", n);
	snprintf(answer, sizeof(answer), "U< 200 OK|Content-Length: %u||", n);
	snprintf(answered, sizeof(answered), "C< 200 OK|Content-Length: %u||", n);
	PLAY(post, posted);
	transfer("C", "U", n);
	PLAY(answer, answered);
	transfer("U", "C", n);
}

#define POSTS_CHUNKS                                               \
	"C> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||", \
		"U> POST / HTTP/1.1|host: h|transfer-encoding: chunked||"

Test(proxy_bodies, large_ones_in_both_directions)
{
	both_ways(LARGE);
	PLAY("C> GET /", "U> GET /");
}

Test(proxy_bodies, sizes_around_every_limit)
{
	static const unsigned sizes[] = { 1,	 4095,	4096,  16000, 16383, 16384,  16385,
					  32768, 65535, 65536, 65537, 81920, 262144, 262145 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		both_ways(sizes[i]);
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
	size_t len, at = 0;
	char *text = encode(chunk, n, &len), *got = malloc(len);
	struct text t = { script_socket(e, "C"), text, len };
	pthread_t thread;

	PLAY(POSTS_CHUNKS);
	pthread_create(&thread, NULL, send_text, &t);
	while (at < len) {
		ssize_t r = recv(script_socket(e, "U"), got + at, len - at, 0);

		cr_assert_gt(r, 0, "ends after %zu", at);
		at += (size_t)r;
	}
	pthread_join(thread, NULL);
	cr_assert_eq(memcmp(got, text, len), 0, "chunks of %zu", chunk);
	free(text);
	free(got);
	PLAY("C> RST", "U> GONE");
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
	PLAY(POSTS_CHUNKS, "C> 2000000|", "U> 2000000|");
	transfer("C", "U", 0x2000000);
	PLAY("C> |0||", "U> |0||");
}

/* What is known of a chunk's size while its line is still coming is not its size. */
Test(proxy_bodies, a_large_chunk_whose_size_comes_in_pieces)
{
	static const struct {
		const char *lines[5];
		unsigned size;
	} rows[] = {
		{ { "C> 1", "U> 1", "C> 000000|", "U> 000000|" }, 0x1000000 },
		{ { "C> 10000", "U> 10000", "C> 00|", "U> 00|" }, 0x1000000 },
		{ { "C> 10000\r", "U> 10000\r", "C> \n", "U> \n" }, 0x10000 },
		{ { "C> 100000", "U> 100000", "C> 0|", "U> 0|" }, 0x1000000 },
		{ { "C> 1000000", "U> 1000000", "C> |", "U> |" }, 0x1000000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		PLAY(POSTS_CHUNKS);
		script_play(e, *rows[i].lines, rows[i].lines);
		transfer("C", "U", rows[i].size);
		PLAY("C> |0||", "U> |0||", "C> RST", "U> GONE");
	}
}

Test(proxy_bodies, until_the_end_of_the_connection)
{
	PLAY("C> GET /", "U> GET /", "U< 200 OK||", "C< 200 OK|connection: close||");
	transfer("U", "C", LARGE);
	PLAY("U< END", "C< END");
}

Test(proxy_bodies, a_tunnel_in_both_directions_at_once)
{
	struct stream there, back;
	pthread_t t, u;
	int c, s;

	PLAY("C> GET / HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket||",
	     "U> GET / HTTP/1.1|host: h|connection: upgrade|upgrade: websocket||",
	     "U< 101 OK|Connection: upgrade|Upgrade: websocket||",
	     "C< 101 OK|connection: upgrade|upgrade: websocket||");
	c = script_socket(e, "C");
	s = script_socket(e, "U");
	there = (struct stream){ c, LARGE };
	back = (struct stream){ s, LARGE / 2 };
	pthread_create(&t, NULL, stream_send, &there);
	pthread_create(&u, NULL, stream_send, &back);
	stream_want(s, LARGE);
	stream_want(c, LARGE / 2);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	PLAY("C> END", "U> END", "U< bye", "C< bye", "U< END", "C< END");
}

/* Sends until no more is taken; how many bytes that was. */
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
	uint64_t n;

	PLAY("C> GET /", "U> GET /", "U< 200 OK|Content-Length: 1000000000||",
	     "C< 200 OK|Content-Length: 1000000000||");
	n = fill(script_socket(e, "U"));
	cr_expect_lt(n, 40000000u, "%llu bytes are buffered", (unsigned long long)n);
}
