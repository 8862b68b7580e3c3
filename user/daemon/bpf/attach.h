/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_ATTACH_H
#define WEFT_DAEMON_BPF_ATTACH_H
/*
 * Programs on interfaces. TCX links pinned at DIR/link/IFINDEX (ingress) and
 * DIR/link/IFINDEX-egress where the kernel has TCX, otherwise filters with a priority and a handle
 * of our own on clsact. The environment variable WEFT_ATTACH=clsact chooses the latter on any
 * kernel; the tests use it.
 *
 * Functions return 0 or -errno and log.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "weft/addr.h"

struct attach {
	const char *dir; /* borrowed */
	bool tcx;
	int netlink; /* borrowed: nl_open() */
};

/* Chooses the way and makes the directory that it needs. */
int attach_open(struct attach *a, const char *dir, int netlink);
/* Makes the directory again if it is gone. Does not log. */
int attach_make_dir(const struct attach *a);
/*
 * Puts the program on one side of an interface, in place of ours that is there, in one step.
 * -ENODEV, without logging, if the interface has just gone.
 */
int attach_put(struct attach *a, int ifindex, enum hook hook, int prog_fd);
/* Puts programs on both sides; `egress_fd` -1: none on that one. */
int attach_put_both(struct attach *a, int ifindex, int ingress_fd, int egress_fd);
/* The same without a word. */
int attach_put_back(struct attach *a, int ifindex, enum hook hook, int prog_fd);
/* Whether the program runs on that side of an interface; true where the interface has just gone. */
bool attach_runs(const struct attach *a, int ifindex, enum hook hook, int prog_fd);
/* Takes what is there off both sides of an interface that lives on. */
int attach_remove(struct attach *a, int ifindex);
/* Removes what is left of interfaces that `wanted` denies: stale pins, and our program on those
 * still there. */
int attach_prune(struct attach *a, bool (*wanted)(void *arg, int ifindex), void *arg);
/* Whether others than the programs `own` treat packets at an interface, coming in or going out;
 * true where that can't be told. `filters`: it has, or may have, a clsact or ingress. Does not log.
 */
bool attach_has_foreign(struct attach *a, int ifindex, bool filters, const int *own, size_t count);
/* Takes off what is pinned in the directory, and empties it: no filters. Needs no attach_open(). */
int attach_detach_pinned(const char *dir, int netlink);
/* Takes everything of ours off every interface of this namespace and empties the directory. Needs
 * no attach_open(). */
int attach_detach_all(const char *dir, int netlink);

#endif
