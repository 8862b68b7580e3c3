/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "lib/base/cleanup.h"
#include "failed.skel.h"
#include "lib/base/log.h"
#include "daemon/bpf/pin.h"

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

/* All cgroups but the root have this file (cgroup-v2.rst, "Core Interface Files"). */
bool cgroup_is_whole(const char *root)
{
	char path[640];

	snprintf(path, sizeof(path), "%s/cgroup.events", root);
	return access(path, F_OK) != 0;
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

/* A cgroup's id is its inode; 0 once the cgroup is gone. */
static __u64 cgroup_of(int link)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(link, &info, &len) ? 0 : info.cgroup.cgroup_id;
}

static __u64 id_of(const char *cgroup)
{
	struct stat s;

	return stat(cgroup, &s) ? 0 : s.st_ino;
}

/* The directory of the cgroup with this id, below the root of the hierarchy. */
static void find_dir(__u64 id, char *out, size_t size)
{
	char root[512], *roots[] = { root, NULL };
	FTSENT *e;
	FTS *tree;

	snprintf(out, size, "cgroup %llu", (unsigned long long)id);
	if (cgroup_root(root, sizeof(root)))
		return;
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (tree && (e = fts_read(tree))) {
		if (e->fts_info != FTS_D || e->fts_statp->st_ino != id)
			continue;
		snprintf(out, size, "%s", e->fts_path);
		break;
	}
	if (tree)
		fts_close(tree);
}

int cgroup_check_pinned(const char *dir, const char *cgroup)
{
	_cleanup_close_ int link = -1;
	struct pin_path path;
	char there[512];
	__u64 id;

	if (pin_path(&path, dir, "cgroup", loader_prog_name(PROG_CONNECT4)))
		return 0;
	link = bpf_obj_get(path.s);
	id = link < 0 ? 0 : cgroup_of(link);
	if (!id || id == id_of(cgroup))
		return 0;
	find_dir(id, there, sizeof(there));
	log_err(0,
		"--cgroup %s: an earlier weftd steers the processes of %s: start with --cgroup %s, "
		"or run `weftd --detach` first, which ends what is steered",
		cgroup, there, there);
	return -EEXIST;
}

static int put(const struct loader *l, const char *dir, int cgroup, enum prog_id id)
{
	_cleanup_close_ int link = -1, fresh = -1;
	struct pin_path path;
	int r = pin_path(&path, dir, "cgroup", loader_prog_name(id));

	if (r)
		return r;
	link = bpf_obj_get(path.s);
	if (link >= 0 && cgroup_of(link))
		return bpf_link_update(link, l->prog[id], NULL) ? -errno : 0;
	fresh = bpf_link_create(l->prog[id], cgroup, types[id], NULL);
	return fresh < 0 ? -errno : pin_replace(fresh, &path);
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

/* With what a weftd has left that was killed while it pinned. */
static int unpin(const char *dir, const char *name)
{
	struct pin_path path, fresh;
	int r = pin_path(&path, dir, "cgroup", name);

	if (r)
		return r;
	snprintf(fresh.s, sizeof(fresh.s), "%.*s-new", (int)sizeof(fresh.s) - 8, path.s);
	r = pin_unlink(fresh.s);
	return r ? r : pin_unlink(path.s);
}

static int detach_failed(const char *dir)
{
	int r = 0;

	for (int i = 0; !r && i < FAILED; i++)
		r = unpin(dir, failed_names[i]);
	return r;
}

static int put_all(const struct loader *l, const char *dir, const char *cgroup)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pin_path path;
	int r = fd < 0 ? -errno : pin_path(&path, dir, "cgroup", NULL);

	if (!r)
		r = pin_mkdirs(path.s);
	for (int i = 0; !r && i < HOOKS; i++)
		r = put(l, dir, fd, order[i]);
	return r;
}

int cgroup_attach(const struct loader *l, const char *dir, const char *cgroup)
{
	int r = put_all(l, dir, cgroup);

	if (!r)
		attach_failed(dir);
	return r ? log_err(r, "attach to the cgroup %s", cgroup) : 0;
}

int cgroup_put_back(const struct loader *l, const char *dir, const char *cgroup, bool failed)
{
	int r = put_all(l, dir, cgroup);

	return !r && failed && !cgroup_notices_failed(dir) ? load_failed(dir) : r;
}

static int take_off(const char *dir, enum prog_id id)
{
	_cleanup_close_ int fd = -1;
	struct pin_path path;
	int r = pin_path(&path, dir, "cgroup", loader_prog_name(id));

	if (r)
		return r;
	fd = bpf_obj_get(path.s);
	if (fd >= 0)
		bpf_link_detach(fd);
	return unpin(dir, loader_prog_name(id));
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

/* Links of this kind can't be detached: what is pinned runs. */
bool cgroup_notices_failed(const char *dir)
{
	struct pin_path path;

	for (int i = 0; i < FAILED; i++) {
		if (pin_path(&path, dir, "cgroup", failed_names[i]) || access(path.s, F_OK))
			return false;
	}
	return true;
}

static bool runs(const struct loader *l, const char *dir, __u64 cgroup, enum prog_id id)
{
	_cleanup_close_ int link = -1;
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct pin_path path;

	if (pin_path(&path, dir, "cgroup", loader_prog_name(id)))
		return false;
	link = bpf_obj_get(path.s);
	return link >= 0 && !bpf_obj_get_info_by_fd(link, &info, &len) && cgroup &&
	       info.cgroup.cgroup_id == cgroup && info.prog_id == prog_id_of(l->prog[id]);
}

void cgroup_each_missing(const struct loader *l, const char *dir, const char *cgroup, bool failed,
			 void (*tell)(void *arg, const char *what), void *arg)
{
	__u64 id = id_of(cgroup);
	char text[640];

	for (int i = 0; i < HOOKS; i++) {
		if (runs(l, dir, id, order[i]))
			continue;
		snprintf(text, sizeof(text), "program %s on the cgroup %s",
			 loader_prog_name(order[i]), cgroup);
		tell(arg, text);
	}
	if (failed && !cgroup_notices_failed(dir))
		tell(arg, "programs that notice a connect() that fails early");
}

int cgroup_count_hooks(const struct loader *l, const char *cgroup, struct cgroup_hooks *out)
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
