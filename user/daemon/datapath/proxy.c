// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel's side and weft-proxy have in common.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"
#include "weft/handover.h"

int kernel_set_listeners(struct kernel *k, const int *fds, unsigned count)
{
	struct proxy_state state = { 0 };
	__u32 zero = 0;

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
