// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_stream.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/socket.h>

#include "test_proxy_env.h"

unsigned char stream_byte(uint64_t at)
{
	return (unsigned char)((at * 2654435761u) >> 13);
}

void *stream_send(void *arg)
{
	const struct stream *s = arg;
	char block[8192];
	uint64_t at = 0;

	while (at < s->n) {
		size_t n = s->n - at < sizeof(block) ? (size_t)(s->n - at) : sizeof(block);

		for (size_t i = 0; i < n; i++)
			block[i] = (char)stream_byte(at + i);
		put_bytes(s->fd, block, n);
		at += n;
	}
	return NULL;
}

void stream_want(int fd, uint64_t n)
{
	static unsigned char block[65536];
	uint64_t at = 0;

	while (at < n) {
		size_t most = n - at < sizeof(block) ? (size_t)(n - at) : sizeof(block);
		ssize_t r = recv(fd, block, most, 0);

		cr_assert_gt(r, 0, "ends after %llu", (unsigned long long)at);
		for (ssize_t i = 0; i < r; i++, at++)
			if (block[i] != stream_byte(at))
				cr_assert_fail("wrong byte at %llu", (unsigned long long)at);
	}
}

void stream_transfer(int from, int to, uint64_t n)
{
	struct stream s = { from, n };
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, stream_send, &s), 0);
	stream_want(to, n);
	pthread_join(t, NULL);
}
