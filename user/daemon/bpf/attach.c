/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/netlink/netlink_query.h"
#include "daemon/bpf/pin.h"
#include "daemon/bpf/tcx.h"

enum {
	OUR_PRIORITY = 77, /* early: others begin at 1, those numbered by the kernel at 49152 */
	OUR_HANDLE = 0x77656674, /* "weft" */
};

static struct bpf_tc_hook tc_hook(int ifindex, enum hook hook)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = ifindex,
				     .attach_point = hook == HOOK_EGRESS ? BPF_TC_EGRESS
									 : BPF_TC_INGRESS };
}

int attach_make_dir(const struct attach *a)
{
	struct pin_path path;
	int r = pin_path(&path, a->dir, a->tcx ? "link" : "qdisc", NULL);

	return r ? r : pin_mkdirs(path.s);
}

int attach_open(struct attach *a, const char *dir, int netlink)
{
	const char *way = getenv("WEFT_ATTACH");
	int r;

	a->dir = dir;
	a->netlink = netlink;
	a->tcx = (!way || strcmp(way, "clsact") != 0) && tcx_supported();
	r = attach_make_dir(a);
	return r ? log_err(r, "make a directory in %s", dir) : 0;
}

/* ---- clsact ---- */

static int remove_filter(int ifindex, enum hook at)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = OUR_HANDLE, .priority = OUR_PRIORITY);
	struct bpf_tc_hook hook = tc_hook(ifindex, at);
	int r = bpf_tc_query(&hook, &opts);

	if (r)
		return r == -ENOENT || r == -EINVAL || r == -ENODEV ? 0 : r;
	opts.prog_fd = opts.prog_id = opts.flags = 0;
	return bpf_tc_detach(&hook, &opts);
}

/* Removes the clsact that we have made, unless others have come to use it. */
static int remove_qdisc(const char *dir, int netlink, int ifindex)
{
	struct bpf_tc_hook hook = tc_hook(ifindex, HOOK_INGRESS);
	struct pin_path mark;
	unsigned filters = 0;
	int r = pin_path_ifindex(&mark, dir, "qdisc", ifindex);

	if (r || access(mark.s, F_OK))
		return r;
	r = nl_count_filters(netlink, ifindex, &filters);
	if (!r && !filters) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		r = bpf_tc_hook_destroy(&hook);
	}
	if (r == -ENODEV || r == -ENOENT || r == -EINVAL)
		r = 0; /* the interface or the qdisc has gone before us */
	return r ? r : pin_rmdir(mark.s);
}

static int clsact_remove(const char *dir, int netlink, int ifindex)
{
	int r = remove_filter(ifindex, HOOK_INGRESS);

	if (!r)
		r = remove_filter(ifindex, HOOK_EGRESS);
	return r ? r : remove_qdisc(dir, netlink, ifindex);
}

static int clsact_put(struct attach *a, int ifindex, enum hook at, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = OUR_HANDLE, .priority = OUR_PRIORITY,
		    .prog_fd = prog_fd, .flags = BPF_TC_F_REPLACE);
	struct bpf_tc_hook hook = tc_hook(ifindex, at);
	struct pin_path mark;
	bool marked;
	int r = pin_path_ifindex(&mark, a->dir, "qdisc", ifindex);

	if (r)
		return r;
	/* marked first: if we are killed in between, the next weftd makes the qdisc and it is still
	 * ours */
	marked = mkdir(mark.s, 0700) == 0;
	if (!marked && errno != EEXIST)
		return -errno;
	r = bpf_tc_hook_create(&hook);
	if (r && marked)
		pin_rmdir(mark.s);
	if (r && r != -EEXIST)
		return r;
	return bpf_tc_attach(&hook, &opts);
}

static bool clsact_runs(int ifindex, enum hook at, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = OUR_HANDLE, .priority = OUR_PRIORITY);
	struct bpf_tc_hook hook = tc_hook(ifindex, at);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return !bpf_tc_query(&hook, &opts) && !bpf_obj_get_info_by_fd(prog_fd, &info, &len) &&
	       opts.prog_id == info.id;
}

/* ---- TCX ---- */

static int link_path(struct pin_path *path, const char *dir, int ifindex, enum hook hook)
{
	return hook == HOOK_EGRESS ? pin_path_egress(path, dir, "link", ifindex)
				   : pin_path_ifindex(path, dir, "link", ifindex);
}

static int tcx_remove_one(const char *dir, int ifindex, enum hook hook)
{
	struct pin_path path;
	int r = link_path(&path, dir, ifindex, hook);

	return r ? r : pin_detach(path.s);
}

static int tcx_remove(const char *dir, int ifindex)
{
	int r = tcx_remove_one(dir, ifindex, HOOK_EGRESS);

	return r ? r : tcx_remove_one(dir, ifindex, HOOK_INGRESS);
}

/*
 * 0 when the pinned link now runs the program here; -ENOENT when there is none, its interface has
 * gone, or it belongs to another namespace where weftd once ran: interfaces are numbered from 1 in
 * each.
 */
static int tcx_update(const struct pin_path *path, int ifindex, enum hook hook, int prog_fd)
{
	_cleanup_close_ int fd = bpf_obj_get(path->s);

	if (fd < 0)
		return -errno;
	if (!bpf_link_update(fd, prog_fd, NULL))
		return tcx_runs(prog_fd, ifindex, hook) ? 0 : -ENOENT;
	return errno == ENOLINK ? -ENOENT : -errno;
}

static int tcx_put(struct attach *a, int ifindex, enum hook hook, int prog_fd)
{
	_cleanup_close_ int fd = -1;
	struct pin_path path;
	int r = link_path(&path, a->dir, ifindex, hook);

	if (!r)
		r = tcx_update(&path, ifindex, hook, prog_fd);
	if (r != -ENOENT)
		return r;
	fd = tcx_link_create(prog_fd, ifindex, hook);
	return fd < 0 ? fd : pin_replace(fd, &path);
}

/* ---- either ---- */

static bool is_gone(int netlink, int ifindex)
{
	struct nl_link l;

	return nl_get_link(netlink, NL_NSID_OWN, ifindex, &l) == -ENODEV;
}

/* Of an earlier weftd that went the other way: of two filters on one side, the first would steer.
 */
static int remove_other(struct attach *a, int ifindex, enum hook hook)
{
	int r;

	if (!a->tcx)
		return tcx_remove_one(a->dir, ifindex, hook);
	r = remove_filter(ifindex, hook);
	return r ? r : remove_qdisc(a->dir, a->netlink, ifindex);
}

int attach_put_back(struct attach *a, int ifindex, enum hook hook, int prog_fd)
{
	int r = a->tcx ? tcx_put(a, ifindex, hook, prog_fd) : clsact_put(a, ifindex, hook, prog_fd);

	if (!r)
		r = remove_other(a, ifindex, hook);
	return r && is_gone(a->netlink, ifindex) ? -ENODEV : r;
}

int attach_put(struct attach *a, int ifindex, enum hook hook, int prog_fd)
{
	int r = attach_put_back(a, ifindex, hook, prog_fd);

	return r && r != -ENODEV ? log_err(r, "attach to interface %d", ifindex) : r;
}

bool attach_runs(const struct attach *a, int ifindex, enum hook hook, int prog_fd)
{
	bool runs = a->tcx ? tcx_runs(prog_fd, ifindex, hook) : clsact_runs(ifindex, hook, prog_fd);

	return runs || is_gone(a->netlink, ifindex);
}

static int remove_egress(struct attach *a, int ifindex)
{
	int r = tcx_remove_one(a->dir, ifindex, HOOK_EGRESS);

	if (!r)
		r = remove_filter(ifindex, HOOK_EGRESS);
	return r ? log_err(r, "detach from interface %d", ifindex) : 0;
}

int attach_put_both(struct attach *a, int ifindex, int ingress_fd, int egress_fd)
{
	int r = egress_fd < 0 ? remove_egress(a, ifindex)
			      : attach_put(a, ifindex, HOOK_EGRESS, egress_fd);

	return r ? r : attach_put(a, ifindex, HOOK_INGRESS, ingress_fd);
}

int attach_remove(struct attach *a, int ifindex)
{
	int r = tcx_remove(a->dir, ifindex);

	if (!r)
		r = clsact_remove(a->dir, a->netlink, ifindex);
	return r ? log_err(r, "detach from interface %d", ifindex) : 0;
}

bool attach_has_foreign(struct attach *a, int ifindex, bool filters, const int *own, size_t count)
{
	bool found = false;

	if (filters &&
	    (nl_has_other_filters(a->netlink, ifindex, OUR_PRIORITY, OUR_HANDLE, &found) || found))
		return true;
	return tcx_has_foreign(own, count, ifindex);
}

struct prune {
	struct attach *attach;
	bool (*wanted)(void *arg, int ifindex);
	void *arg;
};

static int prune_one(void *arg, int ifindex)
{
	struct prune *p = arg;

	return p->wanted(p->arg, ifindex) ? 0 : attach_remove(p->attach, ifindex);
}

int attach_prune(struct attach *a, bool (*wanted)(void *arg, int ifindex), void *arg)
{
	struct prune p = { a, wanted, arg };
	int r = pin_each_ifindex(a->dir, "link", prune_one, &p);

	if (!r)
		r = pin_each_ifindex(a->dir, "qdisc", prune_one, &p);
	return r;
}

/* Interfaces, collected first: a dump's socket can't be asked something else meanwhile. */
struct indexes {
	int *items;
	size_t count;
};

static void indexes_free(struct indexes *x)
{
	free(x->items);
}

static int collect(void *arg, const struct nl_link *l)
{
	struct indexes *x = arg;
	int *more = reallocarray(x->items, x->count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	x->items = more;
	x->items[x->count++] = l->ifindex;
	return 0;
}

static int detach_pinned(void *arg, int ifindex)
{
	return attach_remove(arg, ifindex);
}

static int unpin_link(void *arg, int ifindex)
{
	const struct attach *a = arg;
	int r = tcx_remove(a->dir, ifindex);

	return r ? log_err(r, "detach from interface %d", ifindex) : 0;
}

/* The mark of an interface's clsact: whose filters are in it is not known here. */
static int drop_mark(void *arg, int ifindex)
{
	const struct attach *a = arg;
	struct pin_path mark;
	int r = pin_path_ifindex(&mark, a->dir, "qdisc", ifindex);

	return r ? r : pin_rmdir(mark.s);
}

int attach_detach_pinned(const char *dir, int netlink)
{
	struct attach a = { .dir = dir, .netlink = netlink };
	int r = pin_each_ifindex(dir, "link", unpin_link, &a);

	return r ? r : pin_each_ifindex(dir, "qdisc", drop_mark, &a);
}

int attach_detach_all(const char *dir, int netlink)
{
	_cleanup_(indexes_free) struct indexes x = {};
	struct attach a = { .dir = dir, .netlink = netlink };
	int r = nl_each_link(netlink, collect, &x);

	if (r)
		return log_err(r, "list the interfaces");
	r = pin_each_ifindex(dir, "link", detach_pinned, &a);
	for (size_t i = 0; !r && i < x.count; i++)
		r = attach_remove(&a, x.items[i]);
	if (!r)
		r = pin_each_ifindex(dir, "qdisc", detach_pinned,
				     &a); /* marks of interfaces that are no more */
	return r;
}
