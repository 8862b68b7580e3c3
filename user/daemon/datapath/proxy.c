// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel's side and weft-proxy have in common.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/datapath/datapath_priv.h"
#include "lib/base/http_stat_fields.h"
#include "lib/base/log.h"
#include "weft/tproxy.h"

int kernel_set_listeners(struct kernel *k, const int *fds, unsigned count)
{
	struct proxy_state state = { 0 };
	__u32 zero = 0;

	memcpy(k->guard.listeners, fds, count * sizeof(*fds));
	k->guard.listener_count = count;
	/* Connections that have been handed over outlive weftd. */
	if (bpf_map_lookup_elem(k->loader.map[MAP_PROXY], &zero, &state))
		return log_err(-errno, "read the map proxy");
	state.workers = count;
	for (__u32 i = 0; i < count; i++) {
		__u64 fd = (__u64)fds[i];

		if (bpf_map_update_elem(k->loader.map[MAP_LISTENERS], &i, &fd, BPF_ANY))
			return log_err(-errno, "put weft-proxy's listeners into the map");
	}
	if (bpf_map_update_elem(k->loader.map[MAP_PROXY], &zero, &state, BPF_ANY))
		return log_err(-errno, "write the map proxy");
	return 0;
}

/* SOCK_DESTROY ends listening sockets, too, and takes them out of the map. */
bool kernel_listens(struct kernel *k, unsigned worker, int fd)
{
	__u64 cookie = 0, there = 0;
	socklen_t len = sizeof(cookie), size = sizeof(int);
	int listens = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) && listens &&
	       !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) &&
	       !bpf_map_lookup_elem(k->loader.map[MAP_LISTENERS], &worker, &there) &&
	       there == cookie;
}

/* ---- what a weft-proxy that has ended had ---- */

/* A weft-proxy is not believed: others keep at least 0. */
static void take_off(__u32 *count, __u32 n)
{
	__u32 have = __atomic_load_n(count, __ATOMIC_SEQ_CST);

	while (!__atomic_compare_exchange_n(count, &have, have > n ? have - n : 0, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* Read, not mapped: the file is another process's to cut. What is given back is no longer in it,
 * should weftd be killed meanwhile. */
static void give_back(struct cluster_limit *limits, int held)
{
	enum { AT_ONCE = 1024 };
	static const __u32 none[AT_ONCE];
	__u32 counts[AT_ONCE];

	for (__u32 i = 0; i < CLUSTER_IDS_MAX; i += AT_ONCE) {
		off_t at = (off_t)(i * sizeof(*counts));
		bool any = false;

		if (pread(held, counts, sizeof(counts), at) != (ssize_t)sizeof(counts))
			return;
		for (__u32 k = 0; k < AT_ONCE; k++) {
			if (!counts[k])
				continue;
			take_off(&limits[i + k].proxied, counts[k]);
			any = true;
		}
		if (any && pwrite(held, none, sizeof(none), at) != (ssize_t)sizeof(none))
			log_warning("what a weft-proxy held may be given back twice");
	}
}

/* Slot -1: all. */
static void clear_slot(struct http_cluster_stat *row, int slot)
{
	for (const struct stat_field *f = http_cluster_fields; f->name; f++)
		for (int i = 0; f->gauge && i < HTTP_PROXIES; i++)
			if (slot < 0 || i == slot)
				__atomic_store_n(gauge_of(f, row, (unsigned)i), 0,
						 __ATOMIC_RELAXED);
	for (int i = 0; i < HTTP_EJECTED_MAX; i++)
		if (slot < 0 || row->ejected[i].proxy == (__u32)slot)
			__atomic_store_n(&row->ejected[i].back_ds, 0, __ATOMIC_RELEASE);
}

static void clear_gauges(int map, int slot)
{
	const size_t size = sizeof(struct http_cluster_stat) * HTTP_STAT_ROWS;
	struct http_cluster_stat *rows =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (rows == MAP_FAILED) {
		log_err(-errno, "map the counters of weft-proxy");
		return;
	}
	clear_slot(&rows[0], slot);
	for (int i = 1; i < HTTP_STAT_ROWS && rows[i].name[0]; i++)
		clear_slot(&rows[i], slot);
	munmap(rows, size);
}

void kernel_proxy_died(struct kernel *k, int slot, int held)
{
	_cleanup_(loader_limits_close) struct mapped_limits limits =
		loader_limits_open(&k->loader, CLUSTER_IDS_MAX);

	for (__u32 i = 0; slot < 0 && i < limits.count; i++)
		__atomic_store_n(&limits.rows[i].proxied, 0, __ATOMIC_SEQ_CST);
	if (limits.rows && slot >= 0 && held >= 0)
		give_back(limits.rows, held);
	clear_gauges(k->loader.map[MAP_HTTP_CLUSTERS], slot);
}

int kernel_map(struct kernel *k, const char *name)
{
	for (int id = 0; id < MAP_MAX; id++)
		if (!strcmp(loader_map_name(id), name))
			return k->loader.map[id];
	return -ENOENT;
}
