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

void inner_wanted_free(struct inner_wanted *w)
{
	rows_free(&w->rows);
}

static void unmap(struct inner *i)
{
	if (i->at)
		munmap(i->at, i->mapped);
	i->at = NULL;
}

void inner_free(struct inner *i)
{
	unmap(i);
	closep(&i->fd);
}

static int make(const struct loader *l, enum map_id id, size_t room)
{
	const struct inner_layout *in = &l->inner[id];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = in->flags, .btf_fd = (__u32)l->btf_fd,
		    .btf_key_type_id = in->key_type, .btf_value_type_id = in->value_type);
	int fd = bpf_map_create(in->type, loader_map_name(id), in->key_size, in->value_size,
				(__u32)room, &opts);

	return fd < 0 ? -errno : fd;
}

/* ---- arrays, as memory ---- */

static size_t stride_of(const struct inner_layout *in)
{
	return (in->value_size + STRIDE - 1) / STRIDE * STRIDE;
}

static void copy_rows(char *to, const char *from, size_t count, const struct inner_layout *in)
{
	size_t stride = stride_of(in);

	if (stride == in->value_size) {
		memcpy(to, from, count * stride);
		return;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(to + i * stride, from + i * in->value_size, in->value_size);
}

static int fill_mapped(struct inner *i, const struct inner_wanted *w, const struct inner_layout *in)
{
	size_t size = (w->in_place ? i->room : w->rows.count) * stride_of(in);
	void *at = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, i->fd, 0) : NULL;

	if (at == MAP_FAILED)
		return -errno;
	if (at && w->rows.count)
		copy_rows(at, w->rows.values, w->rows.count, in);
	i->at = at;
	i->mapped = size;
	if (!w->in_place)
		unmap(i);
	return 0;
}

void inner_write(struct inner *i, const struct inner_layout *in, size_t first, const void *values,
		 size_t count)
{
	if (count)
		copy_rows(i->at + first * stride_of(in), values, count, in);
}

void inner_store(struct inner *i, const struct inner_layout *in, size_t row, size_t offset,
		 __u64 word)
{
	void *at = i->at + row * stride_of(in) + offset;

	__atomic_store_n((__u64 *)at, word, __ATOMIC_RELEASE);
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
static int fill_array(struct inner *i, const struct inner_wanted *w, const struct inner_layout *in)
{
	_cleanup_free_ __u32 *keys = NULL;
	struct rows numbered = w->rows;

	if (in->flags & BPF_F_MMAPABLE)
		return fill_mapped(i, w, in);
	keys = calloc(w->rows.count + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (__u32 k = 0; k < w->rows.count; k++)
		keys[k] = k;
	numbered.keys = keys;
	return fill_batches(i->fd, &numbered, in);
}

static int make_filled(struct inner *i, const struct loader *l, enum map_id map,
		       const struct inner_wanted *w)
{
	const struct inner_layout *in = &l->inner[map];
	int r;

	i->room = w->room ? w->room : 1;
	i->fd = make(l, map, i->room);
	if (i->fd < 0)
		return log_err(i->fd, "make a table for %s", loader_map_name(map));
	r = in->type == BPF_MAP_TYPE_ARRAY ? fill_array(i, w, in)
					   : fill_batches(i->fd, &w->rows, in);
	return r ? log_err(r, "fill the table of %s", loader_map_name(map)) : 0;
}

static int put(const struct inner *i, const struct loader *l, enum map_id map, __u32 slot)
{
	return bpf_map_update_elem(l->map[map], &slot, &i->fd, BPF_ANY) ? -errno : 0;
}

static int put_failed(int r, enum map_id map)
{
	return log_err(r, "put a table into %s", loader_map_name(map));
}

int inner_put(const struct inner *i, const struct loader *l, enum map_id map, __u32 slot)
{
	int r = put(i, l, map, slot);

	return r ? put_failed(r, map) : 0;
}

int inner_make(struct inner *i, struct loader *l, enum map_id map, __u32 slot,
	       const struct inner_wanted *wanted)
{
	int r = make_filled(i, l, map, wanted);

	if (r)
		return r;
	r = put(i, l, map, slot);
	if (r == -EINVAL && l->inner[map].flags & BPF_F_MMAPABLE) {
		l->inner[map].flags &= ~(__u32)BPF_F_MMAPABLE;
		inner_free(i);
		r = make_filled(i, l, map, wanted);
		if (r)
			return r;
		r = put(i, l, map, slot);
	}
	return r ? put_failed(r, map) : 0;
}
