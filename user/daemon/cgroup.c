/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "cleanup.h"
#include "failed.skel.h"
#include "log.h"
#include "pin.h"

enum { CHAIN_MAX = 64 }; /* programs of one hook, those of all parent cgroups counted */

static const enum bpf_attach_type types[PROG_MAX] = {
	[PROG_CONNECT4] = BPF_CGROUP_INET4_CONNECT,
	[PROG_CONNECT6] = BPF_CGROUP_INET6_CONNECT,
	[PROG_GETPEERNAME4] = BPF_CGROUP_INET4_GETPEERNAME,
	[PROG_GETPEERNAME6] = BPF_CGROUP_INET6_GETPEERNAME,
	[PROG_SOCK_OPS] = BPF_CGROUP_SOCK_OPS,
	[PROG_SOCK_RELEASE] = BPF_CGROUP_INET_SOCK_RELEASE,
};

/* connect() comes last: a connection must not be steered by one half of the programs. */
static const enum prog_id order[] = { PROG_SOCK_RELEASE, PROG_SOCK_OPS, PROG_GETPEERNAME4,
				      PROG_GETPEERNAME6, PROG_CONNECT4, PROG_CONNECT6 };

enum { HOOKS = sizeof(order) / sizeof(order[0]) };

int cgroup_root(char *out, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int r = -ENOENT;

	if (!mounts)
		return -errno;
	while (r == -ENOENT && (m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "cgroup2") == 0)
			r = snprintf(out, size, "%s", m->mnt_dir) < (int)size ? 0 : -ENAMETOOLONG;
	}
	endmntent(mounts);
	return r;
}

int cgroup_check(const char *dir)
{
	struct statfs s;

	if (statfs(dir, &s))
		return log_err(-errno, "--cgroup %s", dir);
	if (s.f_type == CGROUP2_SUPER_MAGIC)
		return 0;
	log_err(0, "--cgroup %s is not a directory of cgroup v2", dir);
	return -EINVAL;
}

/* The pinned link is on this very cgroup. A cgroup's id is its inode. */
static bool is_on(int link, int cgroup)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct stat s;

	return !bpf_obj_get_info_by_fd(link, &info, &len) && !fstat(cgroup, &s) &&
	       info.cgroup.cgroup_id == s.st_ino;
}

static int put(const struct loader *l, const char *dir, int cgroup, enum prog_id id)
{
	_cleanup_close_ int link = -1, fresh = -1;
	struct pin_path path;
	int r = pin_path(&path, dir, "cgroup", loader_prog_name(id));

	if (r)
		return r;
	link = bpf_obj_get(path.s);
	if (link >= 0 && is_on(link, cgroup) && !bpf_link_update(link, l->prog[id], NULL))
		return 0;
	fresh = bpf_link_create(l->prog[id], cgroup, types[id], NULL);
	if (fresh < 0)
		return -errno;
	r = pin_replace(fresh, &path);
	if (!r && link >= 0)
		bpf_link_detach(link);
	return r;
}

/* ---- connect() that fails early: not on the cgroup, but part of the same ---- */

static const char *const failed_names[] = { "connect4_failed", "connect6_failed" };

enum { FAILED = sizeof(failed_names) / sizeof(failed_names[0]) };

/* Links of this kind can't be given another program: the new one is there before the old one goes.
 */
static int put_failed(struct bpf_program *p, const char *dir)
{
	struct pin_path path;
	struct bpf_link *link;
	int r = pin_path(&path, dir, "cgroup", bpf_program__name(p));

	if (r)
		return r;
	link = bpf_program__attach(p);
	if (!link)
		return -errno;
	r = pin_replace(bpf_link__fd(link), &path);
	bpf_link__destroy(link);
	return r;
}

static int load_failed(const char *dir)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = dir);
	struct failed_bpf *o = failed_bpf__open_opts(&opts);
	struct bpf_program *p;
	int r = o ? loader_fit(o->obj, dir, 0) : -errno;

	if (!r)
		r = failed_bpf__load(o);
	if (!r) {
		bpf_object__for_each_program(p, o->obj) r = r ?: put_failed(p, dir);
	}
	failed_bpf__destroy(o);
	return r;
}

static void attach_failed(const char *dir)
{
	int r = load_failed(dir);

	if (r)
		log_info("a connect() that fails before its SYN is noticed by the sweep only: "
			 "the kernel refuses fexit programs (%s)",
			 strerror(-r));
}

static int detach_failed(const char *dir)
{
	int r = 0;

	for (int i = 0; !r && i < FAILED; i++) {
		struct pin_path path;

		r = pin_path(&path, dir, "cgroup", failed_names[i]);
		if (!r)
			r = pin_unlink(path.s);
	}
	return r;
}

int cgroup_attach(const struct loader *l, const char *dir, const char *cgroup)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pin_path path;
	int r = fd < 0 ? -errno : pin_path(&path, dir, "cgroup", NULL);

	if (!r)
		r = pin_mkdirs(path.s);
	for (int i = 0; !r && i < HOOKS; i++)
		r = put(l, dir, fd, order[i]);
	if (!r)
		attach_failed(dir);
	return r ? log_err(r, "attach to the cgroup %s", cgroup) : 0;
}

static int take_off(const char *dir, enum prog_id id)
{
	_cleanup_close_ int fd = -1;
	struct pin_path path, fresh;
	int r = pin_path(&path, dir, "cgroup", loader_prog_name(id));

	if (r)
		return r;
	fd = bpf_obj_get(path.s);
	if (fd >= 0)
		bpf_link_detach(fd);
	snprintf(fresh.s, sizeof(fresh.s), "%.*s-new", (int)sizeof(fresh.s) - 8, path.s);
	pin_unlink(fresh.s);
	return pin_unlink(path.s);
}

int cgroup_detach(const char *dir)
{
	struct pin_path path;
	int r = 0;

	for (int i = HOOKS; !r && i-- > 0;)
		r = take_off(dir, order[i]);
	if (!r)
		r = detach_failed(dir);
	if (!r)
		r = pin_path(&path, dir, "cgroup", NULL);
	if (!r)
		r = pin_rmdir(path.s);
	return r ? log_err(r, "detach from the cgroup") : 0;
}

static __u32 prog_id_of(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

int cgroup_look(const struct loader *l, const char *cgroup, struct cgroup_hooks *out)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*out = (struct cgroup_hooks){ .wanted = HOOKS };
	if (fd < 0)
		return -errno;
	for (int i = 0; i < HOOKS; i++) {
		__u32 ids[CHAIN_MAX] = {}, count = CHAIN_MAX, own = prog_id_of(l->prog[order[i]]);

		if (bpf_prog_query(fd, types[order[i]], BPF_F_QUERY_EFFECTIVE, NULL, ids, &count))
			return -errno;
		for (__u32 n = 0; n < count && n < CHAIN_MAX; n++) {
			out->own += ids[n] == own;
			out->foreign += ids[n] != own;
		}
	}
	return 0;
}
