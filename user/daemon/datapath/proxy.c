// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel's side and weft-proxy have in common.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/datapath/datapath_priv.h"
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

void kernel_proxy_died(struct kernel *k)
{
	for (size_t i = 0; i < CLUSTER_IDS_MAX; i++)
		__atomic_store_n(&k->loader.limits[i].proxied, 0, __ATOMIC_SEQ_CST);
}

int kernel_map(struct kernel *k, const char *name)
{
	for (int id = 0; id < MAP_MAX; id++)
		if (!strcmp(loader_map_name(id), name))
			return k->loader.map[id];
	return -ENOENT;
}
