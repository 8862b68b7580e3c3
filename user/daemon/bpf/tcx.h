/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_TCX_H
#define WEFT_DAEMON_BPF_TCX_H
/*
 * TCX links (Linux 6.6 and later) by the bare bpf() system call: libbpf 1.1 and its headers know
 * nothing of them.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/addr.h"

/* Whether this kernel has TCX. */
bool tcx_supported(void);
/*
 * A link that runs `prog_fd` on what enters or leaves by `ifindex`: next to the wire, so that
 * others see packets as the node does. On the way in that is the head of the chain, where no
 * program that ends it can hide our packets from us; on the way out the tail. The link's
 * descriptor, to be closed by the caller, or -errno.
 */
int tcx_link_create(int prog_fd, int ifindex, enum hook hook);
/* Whether the program runs on an interface of this namespace. */
bool tcx_runs(int prog_fd, int ifindex, enum hook hook);
/* Whether other programs than these run on it, in either direction; true where that can't be told.
 */
bool tcx_has_foreign(const int *own, size_t count, int ifindex);

#endif
