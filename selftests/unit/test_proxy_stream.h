/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_STREAM_H
#define WEFT_TEST_PROXY_STREAM_H
/*
 * Streams of bytes that tell where in it they are.
 */
#include <stdint.h>

struct stream {
	int fd;
	uint64_t n;
};

unsigned char stream_byte(uint64_t at);
/* Sends a stream of that length; for a thread. */
void *stream_send(void *stream);
/* Reads the first `n` bytes of one. */
void stream_want(int fd, uint64_t n);
/* Both at once. */
void stream_transfer(int from, int to, uint64_t n);

#endif
