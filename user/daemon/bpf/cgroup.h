/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_CGROUP_H
#define WEFT_DAEMON_BPF_CGROUP_H
/*
 * The programs on the cgroup whose processes are steered at connect(): links that allow others
 * beside them, pinned at DIR/cgroup/PROGRAM. Functions return 0 or -errno and log.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/bpf/loader.h"

/* The directory of cgroup v2's hierarchy, as the mount table has it. -ENOENT, without logging, if
 * it is not mounted. */
int cgroup_root(char *out, size_t size);
/* Whether it is the root of the whole hierarchy, and not of a cgroup namespace's part. */
bool cgroup_is_whole(const char *root);
/* Whether `dir` is a directory of cgroup v2. */
int cgroup_check(const char *dir);
/* Whether an earlier weftd has left its programs, pinned below `dir`, on another cgroup that is
 * still there: -EEXIST after having logged. Sockets that are steered there would be forgotten with
 * their places. */
int cgroup_check_pinned(const char *dir, const char *cgroup);
/* Attaches the programs to `cgroup`, in place of those of an earlier weftd, each in one step; takes
 * them off another cgroup. */
int cgroup_attach(const struct loader *l, const char *dir, const char *cgroup);
/* The programs that run there no more, or whose link is not pinned, by name. `failed`: those of
 * cgroup_notices_failed() are wanted, too. */
void cgroup_each_missing(const struct loader *l, const char *dir, const char *cgroup, bool failed,
			 void (*tell)(void *arg, const char *what), void *arg);
/* Attaches them again. Does not log; 0 or -errno. */
int cgroup_put_back(const struct loader *l, const char *dir, const char *cgroup, bool failed);
/* Whether cgroup_attach() has found a kernel where a connect() that fails early can be noticed. */
bool cgroup_notices_failed(const char *dir);
/* Takes them off and empties the directory. Needs no cgroup_attach(). */
int cgroup_detach(const char *dir);
struct cgroup_hooks {
	unsigned own, wanted; /* programs of ours that are attached, and how many there should be */
	unsigned foreign;     /* programs of others at the same hooks, parent cgroups' included */
};

/* Counts the programs that run for this cgroup's processes. 0 or -errno; logs nothing. */
int cgroup_count_hooks(const struct loader *l, const char *cgroup, struct cgroup_hooks *out);

#endif
