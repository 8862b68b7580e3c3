/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/tcx.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	TCX_INGRESS = 46, /* BPF_TCX_INGRESS of enum bpf_attach_type */
	TCX_EGRESS = 47,
	TCX_BEFORE = 1 << 3, /* BPF_F_BEFORE; with no relative program: the head of the chain */
	TCX_AFTER = 1 << 4,  /* BPF_F_AFTER, likewise: the tail */
	CHAIN_MAX = 64,	     /* programs of one chain */
	LOOPBACK = 1,	     /* every network namespace has interface 1 */
};

/* link_create of union bpf_attr, as Linux 6.6 has it. */
struct tcx_create {
	__u32 prog_fd;
	__u32 ifindex;
	__u32 attach_type;
	__u32 flags;
	__u32 relative_fd;
	__u32 pad;
	__u64 expected_revision;
};
_Static_assert(sizeof(struct tcx_create) == 32, "expected_revision is at 24");

/* query of union bpf_attr, as Linux 6.6 has it. */
struct tcx_query {
	__u32 ifindex;
	__u32 attach_type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 prog_ids;
	__u32 count;
	__u32 pad;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision;
};

static int bpf_call(int cmd, void *attr, unsigned size)
{
	int r = (int)syscall(__NR_bpf, cmd, attr, size);

	return r < 0 ? -errno : r;
}

bool tcx_supported(void)
{
	struct tcx_query query = { .ifindex = LOOPBACK, .attach_type = TCX_INGRESS };

	return bpf_call(BPF_PROG_QUERY, &query, sizeof(query)) != -EINVAL;
}

static __u32 attach_type(enum hook hook)
{
	return hook == HOOK_EGRESS ? TCX_EGRESS : TCX_INGRESS;
}

int tcx_link_create(int prog_fd, int ifindex, enum hook hook)
{
	struct tcx_create create = {
		.prog_fd = (__u32)prog_fd,
		.ifindex = (__u32)ifindex,
		.attach_type = attach_type(hook),
		.flags = hook == HOOK_EGRESS ? TCX_AFTER : TCX_BEFORE,
	};

	return bpf_call(BPF_LINK_CREATE, &create, sizeof(create));
}

/* The ids of the programs of a chain: 0, or -errno. */
static int query_chain(int ifindex, enum hook hook, __u32 ids[CHAIN_MAX])
{
	struct tcx_query query = {
		.ifindex = (__u32)ifindex,
		.attach_type = attach_type(hook),
		.prog_ids = (__u64)(uintptr_t)ids,
		.count = CHAIN_MAX,
	};

	memset(ids, 0, CHAIN_MAX * sizeof(*ids));
	return bpf_call(BPF_PROG_QUERY, &query, sizeof(query));
}

static __u32 id_of(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
}

bool tcx_runs(int prog_fd, int ifindex, enum hook hook)
{
	__u32 ids[CHAIN_MAX], own = id_of(prog_fd);

	if (!own || query_chain(ifindex, hook, ids) < 0)
		return false;
	for (int i = 0; i < CHAIN_MAX; i++) {
		if (ids[i] == own)
			return true;
	}
	return false;
}

static bool is_one_of(__u32 id, const int *own, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (id == id_of(own[i]))
			return true;
	}
	return false;
}

bool tcx_has_foreign(const int *own, size_t count, int ifindex)
{
	static const enum hook hooks[] = { HOOK_INGRESS, HOOK_EGRESS };

	for (size_t t = 0; t < 2; t++) {
		__u32 ids[CHAIN_MAX];
		int r = query_chain(ifindex, hooks[t], ids);

		if (r < 0)
			return r != -EINVAL; /* a kernel without TCX */
		for (size_t i = 0; i < CHAIN_MAX && ids[i]; i++) {
			if (!is_one_of(ids[i], own, count))
				return true;
		}
	}
	return false;
}
