/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/map_batch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "lib/base/cleanup.h"

enum {
	WALK_BYTES = 64 * 1024, /* at once: some hundreds of entries, of which a page is made */
	MEMORY_TRIES = 200,	/* of 1 ms */
};

struct page {
	size_t room;
	char *keys, *values;
};

static void page_free(struct page *p)
{
	free(p->keys);
	free(p->values);
}

static int page_resize(struct page *p, size_t room, size_t key_size, size_t value_size)
{
	page_free(p);
	p->keys = calloc(room, key_size);
	p->values = calloc(room, value_size);
	p->room = room;
	return p->keys && p->values ? 0 : -ENOMEM;
}

int map_walk(int fd, size_t key_size, size_t value_size,
	     int (*each)(void *arg, const void *key, const void *value), void *arg)
{
	_cleanup_(page_free) struct page p = {};
	_cleanup_free_ char *cursor = calloc(1, key_size < 8 ? 8 : key_size);
	size_t room = WALK_BYTES / (key_size + value_size) + 1;
	int r = cursor ? page_resize(&p, room, key_size, value_size) : -ENOMEM;
	bool begun = false, end = false;

	while (!r && !end) {
		__u32 count = (__u32)p.room;

		if (bpf_map_lookup_batch(fd, begun ? cursor : NULL, cursor, p.keys, p.values,
					 &count, NULL)) {
			if (errno == ENOSPC) { /* a bucket has more entries than that */
				r = page_resize(&p, 2 * p.room, key_size, value_size);
				continue;
			}
			if (errno != ENOENT)
				return -errno;
			end = true;
		}
		begun = true;
		for (__u32 i = 0; !r && i < count; i++)
			r = each(arg, p.keys + i * key_size, p.values + i * value_size);
	}
	return r;
}

static void wait_1ms(void)
{
	struct timespec t = { .tv_nsec = 1000000 };

	nanosleep(&t, NULL);
}

/*
 * The kernel allocates the entries of a map from a small pool per CPU that is refilled in the
 * background, and answers ENOMEM when a batch outruns it: not the end of the memory unless it
 * lasts.
 */
int map_fill(int fd, const void *keys, size_t key_size, const void *values, size_t value_size,
	     size_t count)
{
	size_t done = 0;
	int tries = 0;

	while (done < count) {
		__u32 n = (__u32)(count - done);

		if (!bpf_map_update_batch(fd, (const char *)keys + done * key_size,
					  (const char *)values + done * value_size, &n, NULL))
			return 0;
		if (errno != ENOMEM)
			return -errno;
		if (n == count - done) /* left as it was: the batch did not even begin */
			n = 0;
		tries = n ? 0 : tries + 1;
		if (tries == MEMORY_TRIES)
			return -ENOMEM;
		done += n;
		wait_1ms();
	}
	return 0;
}

int map_delete(int fd, const void *keys, size_t key_size, size_t count)
{
	size_t done = 0;

	while (done < count) {
		__u32 n = (__u32)(count - done);

		if (!bpf_map_delete_batch(fd, (const char *)keys + done * key_size, &n, NULL))
			return 0;
		if (errno != ENOENT)
			return -errno;
		done += n + 1; /* the one that stopped it isn't there */
	}
	return 0;
}
