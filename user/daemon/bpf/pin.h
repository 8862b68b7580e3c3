/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_PIN_H
#define WEFT_DAEMON_BPF_PIN_H
/*
 * Names under the bpffs directory DIR:
 *
 *   DIR/NAME            maps
 *   DIR/prog/NAME       programs
 *   DIR/link/IFINDEX    TCX links of what enters; of what leaves: DIR/link/IFINDEX-egress
 *   DIR/xdp/IFINDEX     XDP links
 *   DIR/qdisc/IFINDEX   empty directories: the clsact of this interface is of our making
 *
 * A path is a struct by value, so that it needs no freeing. Functions return 0 or -errno and don't
 * log.
 */
#include <limits.h>

struct pin_path {
	char s[PATH_MAX];
};

/* "DIR/NAME" or, with `sub`, "DIR/SUB/NAME"; "DIR/SUB" without `name`. -ENAMETOOLONG if it doesn't
 * fit. */
int pin_path(struct pin_path *out, const char *dir, const char *sub, const char *name);
/* "DIR/SUB/IFINDEX", and "DIR/SUB/IFINDEX-egress" */
int pin_path_ifindex(struct pin_path *out, const char *dir, const char *sub, int ifindex);
int pin_path_egress(struct pin_path *out, const char *dir, const char *sub, int ifindex);
/* The nearest ancestor of `path` (or itself) that exists. */
int pin_nearest(struct pin_path *out, const char *path);
/* mkdir -p, mode 0700. */
int pin_mkdirs(const char *path);
/* Pins `fd` at `path`, replacing what is there without a moment in which nothing is. */
int pin_replace(int fd, const struct pin_path *path);
/* unlink() and rmdir() that are content when there is nothing. */
int pin_unlink(const char *path);
int pin_rmdir(const char *path);
/* The same for a link, whose program runs no more, even if another process holds it open. */
int pin_detach(const char *path);
/* Every entry of DIR/SUB. */
int pin_unlink_all(const char *dir, const char *sub);
/* Calls `each` for every entry of DIR/SUB whose name is an interface index; entries may be removed
 * meanwhile. */
int pin_each_ifindex(const char *dir, const char *sub, int (*each)(void *arg, int ifindex),
		     void *arg);

#endif
