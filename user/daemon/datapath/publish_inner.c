/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish_inner.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/bpf/map_batch.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum {
	SPLIT_ROWS = 16384, /* worth a second thread */
	STRIDE = 8,	    /* elements of an array begin at multiples of it */
};

void inner_init(struct inner *i)
{
	*i = (struct inner){ .fd = -1 };
}

void inner_free(struct inner *i)
{
	closep(&i->fd);
	rows_free(&i->rows);
}

static int make(const struct loader *l, enum map_id id, size_t room)
{
	const struct inner_layout *in = &l->inner[id];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = in->flags, .btf_fd = (__u32)l->btf_fd,
		    .btf_key_type_id = in->key_type, .btf_value_type_id = in->value_type);
	int fd = bpf_map_create(in->type, loader_map_name(id), in->key_size, in->value_size,
				room ? (__u32)room : 1, &opts);

	return fd < 0 ? -errno : fd;
}

/* ---- arrays, as memory ---- */

static void copy_rows(char *to, const struct rows *rows, size_t value_size, size_t stride)
{
	const char *from = rows->values;

	if (stride == value_size) {
		memcpy(to, from, rows->count * value_size);
		return;
	}
	for (size_t i = 0; i < rows->count; i++)
		memcpy(to + i * stride, from + i * value_size, value_size);
}

static int fill_mapped(int fd, const struct rows *rows, const struct inner_layout *in)
{
	size_t stride = (in->value_size + STRIDE - 1) / STRIDE * STRIDE;
	size_t size = rows->count * stride;
	void *at = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : NULL;

	if (at == MAP_FAILED)
		return -errno;
	if (size) {
		copy_rows(at, rows, in->value_size, stride);
		munmap(at, size);
	}
	return 0;
}

/* ---- others, by batches ---- */

struct fill {
	int fd;
	const char *keys, *values;
	size_t key_size, value_size, count;
	int result;
};

static void *fill_main(void *arg)
{
	struct fill *f = arg;

	f->result = map_fill(f->fd, f->keys, f->key_size, f->values, f->value_size, f->count);
	return NULL;
}

/* In two halves at once if it is long. */
static int fill_batches(int fd, const struct rows *rows, const struct inner_layout *in)
{
	size_t half = rows->count < SPLIT_ROWS ? 0 : rows->count / 2;
	struct fill one = { .fd = fd,
			    .keys = rows->keys,
			    .values = rows->values,
			    .key_size = in->key_size,
			    .value_size = in->value_size,
			    .count = half };
	struct fill two = one;
	pthread_t thread;
	bool threaded;

	two.keys += half * in->key_size;
	two.values += half * in->value_size;
	two.count = rows->count - half;
	threaded = half && !pthread_create(&thread, NULL, fill_main, &one);
	fill_main(&two);
	if (threaded)
		pthread_join(thread, NULL);
	else if (half)
		fill_main(&one);
	return two.result ? two.result : one.result;
}

/* An outer map that an earlier version of weft has made takes none that are memory. */
static int fill_array(int fd, const struct rows *rows, const struct inner_layout *in)
{
	_cleanup_free_ __u32 *keys = NULL;
	struct rows numbered = *rows;

	if (in->flags & BPF_F_MMAPABLE)
		return fill_mapped(fd, rows, in);
	keys = calloc(rows->count + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (__u32 i = 0; i < rows->count; i++)
		keys[i] = i;
	numbered.keys = keys;
	return fill_batches(fd, &numbered, in);
}

int inner_make(struct inner *i, const struct loader *l, enum map_id map, size_t room)
{
	const struct inner_layout *in = &l->inner[map];
	int r;

	i->room = room;
	i->fd = make(l, map, room);
	if (i->fd < 0)
		return log_err(i->fd, "make a table for %s", loader_map_name(map));
	r = in->type == BPF_MAP_TYPE_ARRAY ? fill_array(i->fd, &i->rows, in)
					   : fill_batches(i->fd, &i->rows, in);
	return r ? log_err(r, "fill the table of %s", loader_map_name(map)) : 0;
}

static int put(const struct inner *i, const struct loader *l, enum map_id map, __u32 slot)
{
	return bpf_map_update_elem(l->map[map], &slot, &i->fd, BPF_ANY) ? -errno : 0;
}

int inner_put(struct inner *i, struct loader *l, enum map_id map, __u32 slot)
{
	int r = put(i, l, map, slot);

	if (r == -EINVAL && l->inner[map].flags & BPF_F_MMAPABLE) {
		l->inner[map].flags &= ~(__u32)BPF_F_MMAPABLE;
		closep(&i->fd);
		r = inner_make(i, l, map, i->room);
		if (!r)
			r = put(i, l, map, slot);
	}
	return r;
}
