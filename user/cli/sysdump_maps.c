// SPDX-License-Identifier: Apache-2.0
#include "cli/sysdump_maps.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

enum { TEXT_MAX = 4 << 20 }; /* bytes of a map */

struct dump {
	FILE *f;
	int map;
	struct bpf_map_info info;
	struct btf *btf; /* NULL: it has none */
	struct btf_dump *printer;
	size_t value_size; /* all CPUs' */
	void *key, *value;
};

static void print(void *f, const char *fmt, va_list args)
{
	vfprintf(f, fmt, args);
}

static bool is_per_cpu(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_PERCPU_HASH || info->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       info->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_array(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static void put_hex(FILE *f, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		fprintf(f, "%s%02x", i ? " " : "", bytes[i]);
}

/* By the type that BTF has of it, or byte by byte. */
static void put(struct dump *d, __u32 type, const void *bytes, size_t size)
{
	LIBBPF_OPTS(btf_dump_type_data_opts, o, .compact = true);

	if (!d->printer || !type || btf_dump__dump_type_data(d->printer, type, bytes, size, &o) < 0)
		put_hex(d->f, bytes, size);
}

static void put_value(struct dump *d)
{
	size_t each = d->info.value_size, step = (each + 7) / 8 * 8;

	if (!is_per_cpu(&d->info)) {
		put(d, d->info.btf_value_type_id, d->value, each);
		return;
	}
	for (size_t at = 0; at + step <= d->value_size; at += step) {
		fprintf(d->f, "%scpu %zu: ", at ? ", " : "", at / step);
		put(d, d->info.btf_value_type_id, (const char *)d->value + at, each);
	}
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
	return !size || (!bytes[0] && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int dump_map(int map, FILE *f);

/* The tables of a generation: what is looked up in such a map is another one. */
static void put_inner(struct dump *d)
{
	int map = bpf_map_get_fd_by_id(*(const __u32 *)d->value);

	fputs("key: ", d->f);
	put(d, d->info.btf_key_type_id, d->key, d->info.key_size);
	fprintf(d->f, " map %u\n", *(const __u32 *)d->value);
	if (map >= 0)
		(void)dump_map(map, d->f);
}

static void put_entry(struct dump *d)
{
	if (bpf_map_lookup_elem(d->map, d->key, d->value))
		return;
	if (d->info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		put_inner(d);
		return;
	}
	if (is_array(&d->info) && is_zero(d->value, d->value_size))
		return;
	fputs("key: ", d->f);
	put(d, d->info.btf_key_type_id, d->key, d->info.key_size);
	fputs(" value: ", d->f);
	put_value(d);
	fputc('\n', d->f);
}

/* Values of some kinds of maps can't be read from here; that there are such maps is told. */
static void put_entries(struct dump *d)
{
	void *last = NULL;
	int left = is_array(&d->info) ? INT_MAX : SYSDUMP_ENTRIES;

	while (!bpf_map_get_next_key(d->map, last, d->key)) {
		if (!left-- || ftell(d->f) > TEXT_MAX) {
			fputs("... and more\n", d->f);
			return;
		}
		put_entry(d);
		last = d->key;
	}
}

static void free_dump(struct dump *d)
{
	btf_dump__free(d->printer);
	btf__free(d->btf);
	free(d->key);
	free(d->value);
	closep(&d->map);
}

static int describe(struct dump *d)
{
	__u32 size = sizeof(d->info);

	if (bpf_obj_get_info_by_fd(d->map, &d->info, &size))
		return -errno;
	d->value_size = d->info.value_size;
	if (is_per_cpu(&d->info))
		d->value_size = (size_t)((d->info.value_size + 7) / 8 * 8) *
				(size_t)libbpf_num_possible_cpus();
	if (d->info.btf_id)
		d->btf = btf__load_from_kernel_by_id(d->info.btf_id);
	if (d->btf)
		d->printer = btf_dump__new(d->btf, print, d->f, NULL);
	d->key = calloc(1, d->info.key_size + 8);
	d->value = calloc(1, d->value_size + 8);
	return d->key && d->value ? 0 : -ENOMEM;
}

/* Takes the descriptor over. */
static int dump_map(int map, FILE *f)
{
	_cleanup_(free_dump) struct dump d = { .f = f, .map = map };
	int r = describe(&d);

	if (r)
		return r;
	fprintf(f, "# %s: type %u, key %u bytes, value %u bytes, room for %u\n", d.info.name,
		d.info.type, d.info.key_size, d.info.value_size, d.info.max_entries);
	if (d.info.type != BPF_MAP_TYPE_RINGBUF && d.info.type != BPF_MAP_TYPE_SOCKMAP)
		put_entries(&d);
	return 0;
}

/* -EINVAL: what is pinned there is no map. */
static int open_map(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int dump_one(const char *dir, const char *name,
		    void (*file)(void *arg, const char *name, const char *text, size_t size),
		    void *arg)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int map = open_map(dir, name), r;
	FILE *f = map < 0 ? NULL : open_memstream(&text, &size);

	if (map < 0)
		return map;
	if (!f) {
		close(map);
		return -ENOMEM;
	}
	r = dump_map(map, f);
	fclose(f);
	if (!r)
		file(arg, name, text, size);
	return r;
}

int sysdump_maps(const char *dir,
		 void (*file)(void *arg, const char *name, const char *text, size_t size),
		 void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (e->d_type != DT_DIR && e->d_name[0] != '.') {
			int one = dump_one(dir, e->d_name, file, arg);

			r = r ? r : one;
		}
	}
	closedir(d);
	return r;
}
