// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/start/dirs.h"

#define LOCK "weftd.lock"

enum { DIR_MODE = 0755, PID_TEXT = 24, LOCK_TRIES = 50, LOCK_PAUSE_MS = 10 };

int dir_make(const char *dir)
{
	_cleanup_free_ char *path = strdup(dir);

	if (!path)
		return log_err(-ENOMEM, "make %s", dir);
	for (char *at = path + 1; at[-1]; at++) {
		char end = *at;

		if (end && end != '/')
			continue;
		*at = 0;
		if (mkdir(path, DIR_MODE) && errno != EEXIST)
			return log_err(-errno, "make the directory %s", path);
		*at = end;
	}
	return 0;
}

static long owner(int fd)
{
	char text[PID_TEXT] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

/*
 * 0, -EWOULDBLOCK or another -errno. A weftd that was killed while it started weft-proxy leaves a
 * child that has its locks until it becomes another program: that is waited for.
 */
static int lock(int fd)
{
	for (int i = 1; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			return -errno;
		usleep(LOCK_PAUSE_MS * 1000);
	}
	return 0;
}

int dir_lock(const char *dir, long *pid)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	char text[PID_TEXT];
	int n, r;

	if (asprintf(&path, "%s/" LOCK, dir) < 0) {
		path = NULL;
		return log_err(-ENOMEM, "lock %s", dir);
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return log_err(-errno, "open %s", path);
	r = lock(fd);
	if (r) {
		*pid = owner(fd);
		return r == -EWOULDBLOCK ? -EBUSY : log_err(r, "lock %s", path);
	}
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != n)
		return log_err(-errno, "write %s", path);
	return TAKE_FD(fd);
}

/* Whether `path` still leads to the open directory `fd`. */
static bool still_there(int fd, const char *path)
{
	struct stat opened, named;

	return !fstat(fd, &opened) && !stat(path, &named) && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

int dir_lock_itself(const char *dir)
{
	for (;;) {
		_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int r;

		if (fd < 0)
			return errno == ENOENT ? -ENOENT : log_err(-errno, "open %s", dir);
		r = lock(fd);
		if (r)
			return r == -EWOULDBLOCK ? -EBUSY : log_err(r, "lock %s", dir);
		/* The process that held the lock may have removed the directory before it let go.
		 */
		if (still_there(fd, dir))
			return TAKE_FD(fd);
	}
}

bool dir_same(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int note_path(const char *dir, const char *name, char **out)
{
	return asprintf(out, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

int dir_note(const char *dir, const char *name, const char *text)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL;

	if (note_path(dir, name, &path)) {
		path = NULL;
		return log_err(-ENOMEM, "write %s/%s", dir, name);
	}
	f = fopen(path, "we");
	if (!f || fprintf(f, "%s\n", text) < 0 || fflush(f))
		return log_err(-errno, "write %s", path);
	return 0;
}

char *dir_noted(const char *dir, const char *name)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL, *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (note_path(dir, name, &path)) {
		path = NULL;
		return NULL;
	}
	f = fopen(path, "re");
	n = f ? getline(&line, &room, f) : -1;
	if (n <= 1)
		return NULL;
	line[n - 1] = 0;
	return TAKE_PTR(line);
}

static void remove_file(const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (note_path(dir, name, &path))
		path = NULL;
	else
		unlink(path);
}

/* What is mounted can't be removed in the mount namespace that it is mounted in. */
static int remove_of_node(const char *dir)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "/proc/1/root%s", dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return dir_same(dir, path) && !rmdir(path) ? 0 : -EBUSY;
}

void dir_leave(const char *dir, const char *name)
{
	int r;

	remove_file(dir, name);
	remove_file(dir, LOCK);
	r = rmdir(dir) ? -errno : 0;
	if (r == -EBUSY)
		r = remove_of_node(dir);
	if (r)
		log_info("the directory %s stays: %s", dir, strerror(-r));
}
