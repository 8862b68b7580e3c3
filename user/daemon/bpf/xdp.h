/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_XDP_H
#define WEFT_DAEMON_BPF_XDP_H
/*
 * XDP programs on interfaces: links pinned at DIR/xdp/IFINDEX. Functions return 0 or -errno and
 * don't log.
 */
#include <stdbool.h>

enum xdp_mode {
	XDP_OFF = 0,
	XDP_NATIVE,  /* in the interface's driver */
	XDP_GENERIC, /* in the kernel's own receive path, on any interface */
	XDP_AUTO,    /* only asked for: native where nothing would mind, else off */
};

/* "off", "native", "generic", "auto" */
const char *xdp_mode_name(enum xdp_mode mode);

/*
 * Has the program run on what comes in by an interface, in place of ours that is there, in one step
 * where that runs in the same mode, which is not XDP_AUTO. Only ours is replaced. XDP_OFF: none of
 * ours. -EBUSY or -EEXIST: another's program is there. -EOPNOTSUPP: the driver has no XDP. Other
 * errors are the driver's own.
 */
int xdp_put(const char *dir, int ifindex, int prog_fd, enum xdp_mode mode);
/* Whether the program runs on that interface of this namespace, by our link. */
bool xdp_runs(const char *dir, int ifindex, int prog_fd);
/* Whether any of ours runs there. */
bool xdp_runs_any(const char *dir, int ifindex);
/* Takes ours off an interface, which may be gone. */
int xdp_remove(const char *dir, int ifindex);
/* Removes what is left on interfaces that `wanted` denies. */
int xdp_prune(const char *dir, bool (*wanted)(void *arg, int ifindex), void *arg);
/* Takes ours off all interfaces. */
int xdp_remove_all(const char *dir);

#endif
