// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/container.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

struct root {
	char device[32], dir[512];
};

/* Whether both are there, and are two. */
static bool differ(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && (x.st_dev != y.st_dev || x.st_ino != y.st_ino);
}

/* The device and the directory on it that are mounted as a process's root: that of process 1 can be
 * read here, while /proc/1/root takes CAP_SYS_PTRACE. */
static bool root_of(const char *mountinfo, struct root *out)
{
	_cleanup_fclose_ FILE *f = fopen(mountinfo, "re");
	_cleanup_free_ char *line = NULL;
	struct root one;
	size_t room = 0;
	char at[512];
	bool found = false;

	while (f && getline(&line, &room, f) > 0) {
		if (sscanf(line, "%*s %*s %31s %511s %511s", one.device, one.dir, at) != 3 ||
		    strcmp(at, "/") != 0)
			continue;
		*out = one; /* the last one is on top */
		found = true;
	}
	return found;
}

bool container_inside(void)
{
	struct root own, node;

	if (getpid() == 1)
		return true;
	return root_of("/proc/self/mountinfo", &own) && root_of("/proc/1/mountinfo", &node) &&
	       (strcmp(own.device, node.device) != 0 || strcmp(own.dir, node.dir) != 0);
}

/* A process whose parent is in another PID namespace is the first one that was started in its own.
 */
static bool has_own_pids(void)
{
	return getpid() == 1 || getppid() == 0;
}

bool container_owns(const char *dir)
{
	struct stat root, s;

	return container_inside() && !stat("/", &root) && !stat(dir, &s) && root.st_dev == s.st_dev;
}

static void check_dir(const char *option, const char *dir,
		      void (*each)(void *arg, const char *what), void *arg)
{
	char line[512];

	if (!container_owns(dir))
		return;
	snprintf(line, sizeof(line),
		 "a hostPath at %s %s: what is kept there goes with the container", option, dir);
	each(arg, line);
}

void container_each_lacking(const char *run_dir, const char *state_dir,
			    void (*each)(void *arg, const char *what), void *arg)
{
	if (!container_inside())
		return;
	if (has_own_pids())
		each(arg, "hostPID: weft-proxy and its connections end with the container");
	else if (access("/proc/1/root/.", F_OK))
		each(arg, "CAP_SYS_PTRACE: neither the pods' network namespaces nor the node's "
			  "cgroups can be found");
	else if (differ("/proc/self/ns/net", "/proc/1/ns/net"))
		each(arg, "hostNetwork: no pod is seen");
	check_dir("--run-dir", run_dir, each, arg);
	check_dir("--state-dir", state_dir, each, arg);
}
