// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/map_use.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/cleanup.h"

/* What the kernel says of the memory of a map; 0 where it says nothing. */
static uint64_t memory_of(int fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long bytes = 0;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	return bytes;
}

static int count_one(void *arg, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(uint64_t *)arg;
	return 0;
}

static int count(int fd, struct map_use *u)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	u->filled = info.type == BPF_MAP_TYPE_HASH || info.type == BPF_MAP_TYPE_LRU_HASH;
	u->evicts = info.type == BPF_MAP_TYPE_LRU_HASH || info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	u->room = info.max_entries;
	return u->filled ? map_walk(fd, info.key_size, info.value_size, count_one, &u->entries) : 0;
}

/* The tables of a generation are maps in a map, as large as they have to be. */
static void add_tables(const struct kernel *k, enum map_id id, struct map_use *u)
{
	_cleanup_close_ int fd = publish_open_table(&k->loader, id);

	if (fd >= 0)
		u->memory += memory_of(fd);
}

int map_use_each(const struct kernel *k, int (*each)(void *arg, const struct map_use *u), void *arg)
{
	int r = 0;

	for (enum map_id id = 0; !r && id < MAP_MAX; id++) {
		int fd = k->loader.map[id];
		struct map_use u = { .name = loader_map_name(id), .memory = memory_of(fd) };

		if (id >= MAP_GEN_SERVICES)
			add_tables(k, id, &u);
		else
			r = count(fd, &u);
		if (!r)
			r = each(arg, &u);
	}
	return r;
}
