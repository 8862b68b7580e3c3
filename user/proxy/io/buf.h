/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_BUF_H
#define WEFT_PROXY_IO_BUF_H
/*
 * Bytes on their way, and a worker's pool of memory and pipes for them. What is idle holds none.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUF_SIZE = 16 * 1024,		       /* of a usual buffer */
	BUF_BIG = 64 * 1024,		       /* of one for a large head */
	PIPE_SIZE = 256 * 1024,		       /* of every pipe */
	BUFFER_POOL_BUFS = 256,		       /* free ones that are kept */
	BUFFER_POOL_BIGS = 4,		       /* likewise, of BUF_BIG */
	BUFFER_POOL_BEYOND = 64 * 1024 * 1024, /* bytes in buffers beyond BUF_BIG */
	BUFFER_POOL_PIPES = 64,
	BUFFER_POOL_PAUSE = 256,
};

/* bytes[start..end) are there. A buffer without memory has bytes == NULL and all else 0. */
struct buf {
	char *bytes;
	uint32_t size, start, end;
};

/* A pipe with `n` bytes in it. fds are -1 without one. */
struct pipe {
	int in, out;
	size_t n;
};

struct buffer_pool {
	char *bufs[BUFFER_POOL_BUFS];
	size_t buf_count;
	char *bigs[BUFFER_POOL_BIGS];
	size_t big_count;
	size_t beyond; /* bytes lent in buffers beyond BUF_BIG */
	struct pipe pipes[BUFFER_POOL_PIPES];
	size_t pipe_count;
	unsigned pause; /* times to do without a pipe before the kernel is asked again */
};

void buffer_pool_free(struct buffer_pool *pool); /* what is kept; not what is lent */

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static inline char *buf_at(const struct buf *b)
{
	return b->bytes + b->start;
}

/* Bytes that can be added as it is. */
static inline size_t buf_room(const struct buf *b)
{
	return b->size - b->end;
}

/* Makes room for at least `n` more bytes, moving what is there if need be. 0, -ENOMEM, or -ENOBUFS
 * if that is more than `max` in all, or too much is in buffers beyond BUF_BIG. */
int buf_reserve(struct buffer_pool *pool, struct buf *b, size_t n, size_t max);
/* The same without a limit. 0 or -ENOMEM. */
int buf_enlarge(struct buffer_pool *pool, struct buf *b, size_t n);
/* Like buf_enlarge() and a copy. 0 or -ENOMEM. */
int buf_append(struct buffer_pool *pool, struct buf *b, const void *bytes, size_t n);
/* Little in a buffer beyond BUF_BIG gets a usual one, if there is memory for it. */
void buf_shrink(struct buffer_pool *pool, struct buf *b);
/* The first `n` bytes are done with. An empty buffer gives its memory back. */
void buf_consume(struct buffer_pool *pool, struct buf *b, size_t n);
void buf_release(struct buffer_pool *pool, struct buf *b);

/* 0 or -errno, -ENOBUFS for one: a pipe that is empty. */
int pipe_take(struct buffer_pool *pool, struct pipe *p);
/* Gives it back; one with bytes in it is closed. Accepts one without fds. */
void pipe_release(struct buffer_pool *pool, struct pipe *p);

#endif
