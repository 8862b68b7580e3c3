/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>

#include "daemon/bpf/pin.h"
#include "lib/base/cleanup.h"

static const char SUBDIR[] = "xdp";

const char *xdp_mode_name(enum xdp_mode mode)
{
	static const char *const names[] = {
		[XDP_OFF] = "off",
		[XDP_NATIVE] = "native",
		[XDP_GENERIC] = "generic",
		[XDP_AUTO] = "auto",
	};

	return names[mode];
}

/* The program that a link runs on an interface; 0: none, or not there. A link whose interface has
 * gone, or that was detached, names none. */
static __u32 link_runs(int fd, int ifindex)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_LINK_TYPE_XDP &&
			       info.xdp.ifindex == (__u32)ifindex
		       ? info.prog_id
		       : 0;
}

/*
 * Whether a link runs its program in this mode on an interface of this namespace: one that was made
 * in another, where weftd once ran, may have an interface of the same number.
 */
static bool is_here(int fd, int ifindex, enum xdp_mode mode)
{
	__u8 attached = mode == XDP_NATIVE ? XDP_ATTACHED_DRV : XDP_ATTACHED_SKB;
	__u32 id = link_runs(fd, ifindex);
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	return id && !bpf_xdp_query(ifindex, 0, &q) && q.prog_id == id && q.attach_mode == attached;
}

static __u32 id_of(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
}

/* 0: none. */
static __u32 pinned_runs(const char *dir, int ifindex)
{
	_cleanup_close_ int fd = -1;
	struct pin_path path;

	if (pin_path_ifindex(&path, dir, SUBDIR, ifindex))
		return 0;
	fd = bpf_obj_get(path.s);
	return fd < 0 ? 0 : link_runs(fd, ifindex);
}

bool xdp_runs(const char *dir, int ifindex, int prog_fd)
{
	return pinned_runs(dir, ifindex) == id_of(prog_fd);
}

bool xdp_runs_any(const char *dir, int ifindex)
{
	return pinned_runs(dir, ifindex) != 0;
}

/* 0: the pinned link runs the program, in that mode. -ENOENT: there is none that could. */
static int update(const struct pin_path *path, int ifindex, int prog_fd, enum xdp_mode mode)
{
	_cleanup_close_ int fd = bpf_obj_get(path->s);

	if (fd < 0)
		return -errno;
	if (!is_here(fd, ifindex, mode))
		return -ENOENT;
	return bpf_link_update(fd, prog_fd, NULL) ? -errno : 0;
}

static int create(const struct pin_path *path, int ifindex, int prog_fd, enum xdp_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = mode == XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	_cleanup_close_ int fd = bpf_link_create(prog_fd, ifindex, BPF_XDP, &opts);

	return fd < 0 ? fd : pin_replace(fd, path);
}

int xdp_put(const char *dir, int ifindex, int prog_fd, enum xdp_mode mode)
{
	struct pin_path path;
	int r = mode == XDP_OFF ? 0 : pin_path(&path, dir, SUBDIR, NULL);

	if (mode == XDP_OFF)
		return xdp_remove(dir, ifindex);
	if (!r)
		r = pin_mkdirs(path.s);
	if (!r)
		r = pin_path_ifindex(&path, dir, SUBDIR, ifindex);
	if (!r)
		r = update(&path, ifindex, prog_fd, mode);
	if (r != -ENOENT)
		return r;
	r = xdp_remove(dir, ifindex);
	return r ? r : create(&path, ifindex, prog_fd, mode);
}

int xdp_remove(const char *dir, int ifindex)
{
	struct pin_path path;
	int r = pin_path_ifindex(&path, dir, SUBDIR, ifindex);

	return r ? r : pin_detach(path.s);
}

struct prune {
	const char *dir;
	bool (*wanted)(void *arg, int ifindex);
	void *arg;
};

static int prune_one(void *arg, int ifindex)
{
	const struct prune *p = arg;

	return p->wanted && p->wanted(p->arg, ifindex) ? 0 : xdp_remove(p->dir, ifindex);
}

int xdp_prune(const char *dir, bool (*wanted)(void *arg, int ifindex), void *arg)
{
	struct prune p = { dir, wanted, arg };

	return pin_each_ifindex(dir, SUBDIR, prune_one, &p);
}

int xdp_remove_all(const char *dir)
{
	return xdp_prune(dir, NULL, NULL);
}
