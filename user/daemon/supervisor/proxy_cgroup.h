/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_CGROUP_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_CGROUP_H
/*
 * The cgroup of weft-proxy where weftd runs in a container: /weft-proxy, below the root of every
 * hierarchy that the node's process 1 has mounted. When a container ends, its runtime kills what is
 * in the container's cgroups, and the kubelet what is in the pod's: weft-proxy is in neither. They
 * are reached by process 1's own mounts.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Moves this process out of all cgroups that it is in, to those. 0; -ENOENT when there is no
 * hierarchy; other -errno of the first one that it could not leave. */
int proxy_cgroup_enter(void);
/* Removes those that are there and have no process in them. */
void proxy_cgroup_remove(void);
/* Whether a process is in a cgroup of this one's container, and is killed with it. */
bool proxy_cgroup_shared(pid_t pid);

/* A line of /proc/PID/mountinfo: whether it is a whole hierarchy, with its mount point in `dir` and
 * its version (1 or 2) in *version. */
bool proxy_cgroup_parse(const char *line, char *dir, size_t size, int *version);

#endif
