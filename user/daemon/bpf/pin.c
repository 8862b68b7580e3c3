/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/pin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int fits(int n)
{
	return n < 0 || n >= (int)sizeof(struct pin_path) ? -ENAMETOOLONG : 0;
}

int pin_path(struct pin_path *out, const char *dir, const char *sub, const char *name)
{
	return fits(snprintf(out->s, sizeof(out->s), "%s%s%s%s%s", dir, sub ? "/" : "",
			     sub ? sub : "", name ? "/" : "", name ? name : ""));
}

int pin_path_ifindex(struct pin_path *out, const char *dir, const char *sub, int ifindex)
{
	return fits(snprintf(out->s, sizeof(out->s), "%s/%s/%d", dir, sub, ifindex));
}

int pin_path_egress(struct pin_path *out, const char *dir, const char *sub, int ifindex)
{
	return fits(snprintf(out->s, sizeof(out->s), "%s/%s/%d-egress", dir, sub, ifindex));
}

/* Cuts the last component off; "." and "/" are the ends. */
static void to_parent(struct pin_path *p)
{
	char *slash;
	size_t len = strlen(p->s);

	while (len > 1 && p->s[len - 1] == '/')
		p->s[--len] = 0;
	slash = strrchr(p->s, '/');
	if (!slash)
		strcpy(p->s, ".");
	else
		slash[slash == p->s ? 1 : 0] = 0;
}

int pin_nearest(struct pin_path *out, const char *path)
{
	int r = fits(snprintf(out->s, sizeof(out->s), "%s", path));

	if (r)
		return r;
	while (access(out->s, F_OK)) {
		if (errno != ENOENT)
			return -errno;
		to_parent(out);
	}
	return 0;
}

int pin_mkdirs(const char *path)
{
	struct pin_path p;
	int r = fits(snprintf(p.s, sizeof(p.s), "%s", path));

	for (char *at = p.s; !r && *at; at++) {
		if (*at != '/' || at == p.s)
			continue;
		*at = 0;
		if (mkdir(p.s, 0700) && errno != EEXIST)
			r = -errno;
		*at = '/';
	}
	if (!r && mkdir(p.s, 0700) && errno != EEXIST)
		r = -errno;
	return r;
}

int pin_replace(int fd, const struct pin_path *path)
{
	struct pin_path fresh;
	int r = fits(
		snprintf(fresh.s, sizeof(fresh.s), "%.*s-new", (int)sizeof(fresh.s) - 8, path->s));

	if (r)
		return r;
	pin_unlink(fresh.s); /* of an earlier weftd that was killed here */
	if (bpf_obj_pin(fd, fresh.s))
		return -errno;
	return rename(fresh.s, path->s) ? -errno : 0;
}

int pin_unlink(const char *path)
{
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int pin_rmdir(const char *path)
{
	return rmdir(path) && errno != ENOENT ? -errno : 0;
}

/* The number that is all of `word`, but for "-egress"; 0 if it isn't one. */
static int parse_ifindex(const char *word)
{
	char *end;
	long n = strtol(word, &end, 10);

	if (*end && strcmp(end, "-egress") != 0)
		return 0;
	return n <= 0 || n > INT_MAX ? 0 : (int)n;
}

int pin_detach(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd >= 0)
		bpf_link_detach(fd);
	return pin_unlink(path);
}

/* An entry that is removed does not hide another one: the directory is read again until it is empty
 * of files. */
int pin_unlink_all(const char *dir, const char *sub)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct pin_path path;
	struct dirent *e;
	int r = pin_path(&path, dir, sub, NULL);

	if (r)
		return r;
	d = opendir(path.s);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		r = pin_path(&path, dir, sub, e->d_name);
		if (!r)
			r = pin_unlink(path.s);
		rewinddir(d);
	}
	return r;
}

int pin_each_ifindex(const char *dir, const char *sub, int (*each)(void *arg, int ifindex),
		     void *arg)
{
	_cleanup_(closedirp) DIR *d = NULL;
	_cleanup_free_ int *found = NULL;
	size_t count = 0, room = 0;
	struct pin_path path;
	struct dirent *e;
	int r = pin_path(&path, dir, sub, NULL);

	if (r)
		return r;
	d = opendir(path.s);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		int ifindex = parse_ifindex(e->d_name);
		int *more;

		if (!ifindex)
			continue;
		if (count == room) {
			room = room ? 2 * room : 64;
			more = reallocarray(found, room, sizeof(*found));
			if (!more)
				return -ENOMEM;
			found = more;
		}
		found[count++] = ifindex;
	}
	for (size_t i = 0; i < count; i++) {
		r = each(arg, found[i]);
		if (r)
			return r;
	}
	return 0;
}
