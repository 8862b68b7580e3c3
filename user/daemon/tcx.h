/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCX_H
#define WEFT_TCX_H
/*
 * TCX links (Linux 6.6 and later) by the bare bpf() system call: libbpf 1.1 and its headers know
 * nothing of them.
 */
#include <stdbool.h>
#include <stddef.h>

/* Whether this kernel has TCX. */
bool tcx_supported(void);
/*
 * A link that runs `prog_fd` on what enters by `ifindex`, before what others have attached there,
 * so that a program which ends the chain can't hide our packets from us. The link's descriptor, to
 * be closed by the caller, or -errno.
 */
int tcx_link_create(int prog_fd, int ifindex);
/* Whether the program runs on an interface of this namespace. */
bool tcx_runs(int prog_fd, int ifindex);
/* Whether other programs than these run on it, in either direction; true where that can't be told.
 */
bool tcx_has_foreign(const int *own, size_t count, int ifindex);

#endif
