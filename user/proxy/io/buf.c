// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

static char *take(struct buffer_pool *pool, size_t size)
{
	char *bytes;

	if (size == BUF_SIZE && pool->buf_count)
		return pool->bufs[--pool->buf_count];
	if (size == BUF_BIG && pool->big_count)
		return pool->bigs[--pool->big_count];
	bytes = malloc(size);
	if (bytes && size > BUF_BIG)
		pool->beyond += size;
	return bytes;
}

static void give(struct buffer_pool *pool, char *bytes, size_t size)
{
	if (size == BUF_SIZE && pool->buf_count < BUFFER_POOL_BUFS)
		pool->bufs[pool->buf_count++] = bytes;
	else if (size == BUF_BIG && pool->big_count < BUFFER_POOL_BIGS)
		pool->bigs[pool->big_count++] = bytes;
	else
		free(bytes);
	if (size > BUF_BIG)
		pool->beyond -= size;
}

void buffer_pool_free(struct buffer_pool *pool)
{
	while (pool->buf_count)
		free(pool->bufs[--pool->buf_count]);
	while (pool->big_count)
		free(pool->bigs[--pool->big_count]);
	while (pool->pipe_count) {
		pool->pipe_count--;
		close(pool->pipes[pool->pipe_count].in);
		close(pool->pipes[pool->pipe_count].out);
	}
}

static void slide(struct buf *b)
{
	size_t n = buf_len(b);

	memmove(b->bytes, buf_at(b), n);
	b->start = 0;
	b->end = (uint32_t)n;
}

static int move_to(struct buffer_pool *pool, struct buf *b, size_t size)
{
	char *bytes = take(pool, size);
	size_t n = buf_len(b);

	if (!bytes)
		return -ENOMEM;
	if (n)
		memcpy(bytes, buf_at(b), n);
	if (b->bytes)
		give(pool, b->bytes, b->size);
	*b = (struct buf){ bytes, (uint32_t)size, 0, (uint32_t)n };
	return 0;
}

int buf_enlarge(struct buffer_pool *pool, struct buf *b, size_t n)
{
	size_t need = buf_len(b) + n;

	if (b->bytes && buf_room(b) >= n)
		return 0;
	if (need > UINT32_MAX / 2)
		return -ENOMEM;
	if (b->bytes && need <= b->size) {
		slide(b);
		return 0;
	}
	if (need <= BUF_SIZE)
		return move_to(pool, b, BUF_SIZE);
	return move_to(pool, b, need <= BUF_BIG ? BUF_BIG : need + need / 2);
}

int buf_reserve(struct buffer_pool *pool, struct buf *b, size_t n, size_t max)
{
	size_t need = buf_len(b) + n;

	if (b->bytes && buf_room(b) >= n)
		return 0;
	if (need > max || (need > BUF_BIG && pool->beyond + need > BUFFER_POOL_BEYOND))
		return -ENOBUFS;
	return buf_enlarge(pool, b, n);
}

int buf_append(struct buffer_pool *pool, struct buf *b, const void *bytes, size_t n)
{
	int r = buf_enlarge(pool, b, n);

	if (r)
		return r;
	if (n)
		memcpy(b->bytes + b->end, bytes, n);
	b->end += (uint32_t)n;
	return 0;
}

void buf_shrink(struct buffer_pool *pool, struct buf *b)
{
	if (b->size > BUF_BIG && buf_len(b) <= BUF_SIZE)
		(void)move_to(pool, b, BUF_SIZE);
}

void buf_consume(struct buffer_pool *pool, struct buf *b, size_t n)
{
	b->start += (uint32_t)n;
	if (b->start == b->end)
		buf_release(pool, b);
}

void buf_release(struct buffer_pool *pool, struct buf *b)
{
	if (b->bytes)
		give(pool, b->bytes, b->size);
	*b = (struct buf){ 0 };
}

/* A user's share of large pipes may be used up. One of a page or two is slower than a buffer. */
static int open_pipe(struct pipe *p)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	*p = (struct pipe){ .in = fds[1], .out = fds[0] };
	if (fcntl(p->in, F_SETPIPE_SZ, PIPE_SIZE) >= PIPE_SIZE)
		return 0;
	closep(&p->in);
	closep(&p->out);
	return -ENOBUFS;
}

int pipe_take(struct buffer_pool *pool, struct pipe *p)
{
	int r;

	if (pool->pipe_count) {
		*p = pool->pipes[--pool->pipe_count];
		return 0;
	}
	if (pool->pause) {
		pool->pause--;
		return -ENOBUFS;
	}
	r = open_pipe(p);
	if (r)
		pool->pause = BUFFER_POOL_PAUSE;
	return r;
}

void pipe_release(struct buffer_pool *pool, struct pipe *p)
{
	if (p->in < 0)
		return;
	if (!p->n && pool->pipe_count < BUFFER_POOL_PIPES) {
		pool->pipes[pool->pipe_count++] = *p;
	} else {
		closep(&p->in);
		closep(&p->out);
	}
	*p = (struct pipe){ .in = -1, .out = -1 };
}
