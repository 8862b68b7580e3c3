// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

enum { ROOM = 1 << 20 }; /* bytes that wait for the next weftd */

int fifo_open(const char *run_dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", run_dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkfifo(path, 0600) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EEXIST;
	(void)fcntl(fd, F_SETPIPE_SZ, ROOM); /* less will do */
	return TAKE_FD(fd);
}

void fifo_remove(const char *run_dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", run_dir, name) < (int)sizeof(path) &&
	    !lstat(path, &st) && S_ISFIFO(st.st_mode))
		unlink(path);
}
