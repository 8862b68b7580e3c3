// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define NAME "weft-proxy"

enum { DIR_MAX = 512 };

/* "/", or "/../.." as a process in a cgroup namespace of its own sees it. */
static bool is_root(const char *path)
{
	if (!strcmp(path, "/"))
		return true;
	while (!strncmp(path, "/..", 3))
		path += 3;
	return !*path;
}

bool proxy_cgroup_parse(const char *line, char *dir, size_t size, int *version)
{
	char root[DIR_MAX], at[DIR_MAX], type[16];
	const char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*s %*s %*s %511s %511s", root, at) != 2 ||
	    sscanf(rest, " - %15s", type) != 1)
		return false;
	if (!strcmp(type, "cgroup"))
		*version = 1;
	else if (!strcmp(type, "cgroup2"))
		*version = 2;
	else
		return false;
	return is_root(root) && !strchr(at, '\\') && snprintf(dir, size, "%s", at) < (int)size;
}

/* Calls each() with weft-proxy's directory in every hierarchy, by this process's own mounts where
 * those of process 1 can't be reached. The first -errno, or -ENOENT when there is none. */
static int each_hierarchy(int (*each)(const char *dir, int version))
{
	bool node = !access("/proc/1/root/.", F_OK);
	_cleanup_fclose_ FILE *mounts =
		fopen(node ? "/proc/1/mountinfo" : "/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int first = -ENOENT, found = 0;

	if (!mounts)
		return -errno;
	while (getline(&line, &room, mounts) > 0) {
		char at[DIR_MAX], dir[DIR_MAX + 64];
		int version, r;

		if (!proxy_cgroup_parse(line, at, sizeof(at), &version))
			continue;
		snprintf(dir, sizeof(dir), "%s%s/" NAME, node ? "/proc/1/root" : "", at);
		r = each(dir, version);
		if (!found++ || !first)
			first = r;
	}
	return first;
}

/* ---- in ---- */

static int write_file(const char *dir, const char *name, const char *text, size_t size)
{
	char path[DIR_MAX + 128];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, size) < 0 ? -errno : 0;
}

/* A new cpuset of cgroup 1 has no CPUs nor memory, and takes no process without. */
static int inherit(const char *dir, const char *name)
{
	char path[DIR_MAX + 128], text[4096];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/../%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, text, sizeof(text));
	return n < 0 ? -errno : write_file(dir, name, text, (size_t)n);
}

static int enter(const char *dir, int version)
{
	int r = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if (version == 1)
		r = inherit(dir, "cpuset.cpus");
	if (!r && version == 1)
		r = inherit(dir, "cpuset.mems");
	return r ? r : write_file(dir, "cgroup.procs", "0", 1);
}

/* Nobody leaves the root of its cgroup namespace, where the hierarchy is mounted with nsdelegate.
 */
static int join_node(void)
{
	_cleanup_close_ int fd = open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC);

	return fd < 0 || setns(fd, CLONE_NEWCGROUP) ? -errno : 0;
}

int proxy_cgroup_enter(void)
{
	int r = join_node();

	return r ? r : each_hierarchy(enter);
}

/* ---- out ---- */

static int remove_one(const char *dir, int version)
{
	(void)version;
	rmdir(dir);
	return 0;
}

void proxy_cgroup_remove(void)
{
	(void)each_hierarchy(remove_one);
}

/* ---- where it is ---- */

static char *read_cgroups(const char *pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], *text = NULL;
	size_t room = 0;

	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	f = fopen(path, "re");
	if (f && getdelim(&text, &room, 0, f) < 0) {
		free(text);
		text = NULL;
	}
	return text;
}

/* In the root of a hierarchy are those that no container is in, as far as this process sees it. */
static bool in_both(const char *line, const char *of_other, bool root_counts)
{
	const char *path = strchr(line, ':'), *at = of_other;
	size_t len = strlen(line);

	path = path ? strchr(path + 1, ':') : NULL;
	if (!path || (!root_counts && !strcmp(path, ":/")))
		return false;
	while ((at = strstr(at, line))) {
		if ((at == of_other || at[-1] == '\n') && (at[len] == '\n' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

/* A cgroup namespace of its own shows a container's cgroups as roots. */
static bool has_own_namespace(void)
{
	struct stat own, node;

	return !stat("/proc/self/ns/cgroup", &own) && !stat("/proc/1/ns/cgroup", &node) &&
	       own.st_ino != node.st_ino;
}

bool proxy_cgroup_shared(pid_t pid)
{
	_cleanup_free_ char *own = read_cgroups("self"), *other = NULL;
	char number[16], *rest = own, *line;
	bool shared = false, roots = has_own_namespace();

	snprintf(number, sizeof(number), "%d", (int)pid);
	other = read_cgroups(number);
	while (other && !shared && (line = strsep(&rest, "\n")))
		shared = *line && in_both(line, other, roots);
	return shared;
}
