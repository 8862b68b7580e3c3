/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_CONTAINER_H
#define WEFT_DAEMON_SUPERVISOR_CONTAINER_H
/*
 * Whether weftd runs in a container: a pod of the node's own network and processes, that sees
 * directories of the node's. All processes of a container's cgroups are killed when it ends, and
 * its files go; what weftd leaves behind for the next one must be neither there nor here.
 */
#include <stdbool.h>

/* Whether this process has another root directory than process 1, or is process 1 itself. */
bool container_inside(void);

/* Whether a directory is on the container's own file system, and goes with it. False outside a
 * container. */
bool container_owns(const char *dir);

/* Calls each() with a line for every thing that the container should have of the node and has not,
 * in a user's words; not at all outside a container. */
void container_each_lacking(const char *run_dir, const char *state_dir,
			    void (*each)(void *arg, const char *what), void *arg);

#endif
