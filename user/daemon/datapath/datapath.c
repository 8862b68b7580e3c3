/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/datapath.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/utsname.h>

#include "daemon/bpf/cgroup.h"
#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "daemon/node/tproxy_rules.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"
#include "daemon/bpf/pin.h"
#include "daemon/datapath/preflight.h"

DEFINE_CLEANUP(struct kernel *, kernel_close);

static struct kernel *kernel_new(const char *dir)
{
	struct kernel *k = calloc(1, sizeof(*k));
	struct utsname u;

	if (!k)
		return NULL;
	k->netlink = k->links = k->node_routes = k->epoll = -1;
	shortcut_init(&k->shortcut);
	pods_init(&k->pods);
	sweep_init(&k->sweep);
	guard_init(&k->guard);
	published_init(&k->published);
	uname(&u);
	snprintf(k->release, sizeof(k->release), "%s", u.release);
	k->dir = strdup(dir);
	if (!k->dir) {
		free(k);
		return NULL;
	}
	return k;
}

/* Whoever listens before he asks misses nothing. */
static int open_netlink(struct kernel *k)
{
	static const unsigned links[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  0 };
	static const unsigned routes[] = { RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
					   RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, 0 };

	k->links = nl_listen(links, true);
	if (k->links < 0)
		return log_err(k->links, "listen to changes of interfaces");
	k->node_routes = nl_listen(routes, false);
	if (k->node_routes < 0)
		return log_err(k->node_routes, "listen to changes of routes");
	k->netlink = nl_open();
	return k->netlink < 0 ? log_err(k->netlink, "open a netlink socket") : 0;
}

static int watch(struct kernel *k, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e) ? log_err(-errno, "watch for changes")
							  : 0;
}

static int open_epoll(struct kernel *k)
{
	int guard[GUARD_FDS], r;

	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll < 0)
		return log_err(-errno, "watch for changes");
	r = watch(k, k->links);
	if (!r)
		r = watch(k, k->node_routes);
	if (!r)
		r = watch(k, k->sweep.timer);
	if (!r)
		r = watch(k, k->pods.leave_timer);
	if (!r)
		r = watch(k, k->pods.retry_timer);
	if (!r && k->shortcut.timer >= 0)
		r = watch(k, k->shortcut.timer);
	if (!r && k->shortcut.tc >= 0)
		r = watch(k, k->shortcut.tc);
	if (!r && k->shortcut.nft >= 0)
		r = watch(k, k->shortcut.nft);
	guard_fds(&k->guard, guard);
	for (int i = 0; !r && i < GUARD_FDS; i++)
		r = guard[i] < 0 ? 0 : watch(k, guard[i]);
	return r;
}

static int note_source(void *arg, const void *key, const void *value)
{
	(void)value;
	return addr_set_add(arg, key);
}

/* Of the generation that an earlier weftd has left in force. */
static int read_sources(struct kernel *k)
{
	_cleanup_close_ int fd = publish_open_table(&k->loader, MAP_GEN_SOURCES);
	int r;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd
		   : map_walk(fd, sizeof(struct addr), sizeof(struct source), note_source,
			      &k->sources);
	return r ? log_err(r, "read the sources in force") : 0;
}

static int open_parts(struct kernel *k, const struct kernel_options *o)
{
	int r = loader_open(&k->loader, k->dir, o->max_connections, o->refuse_unseen);

	if (!r)
		r = counters_open(&k->counters, &k->loader);
	if (!r)
		r = read_sources(k);
	if (!r)
		r = open_netlink(k);
	if (!r)
		r = kernel_adopt_handover(k);
	if (!r)
		r = attach_open(&k->attach, k->dir, k->netlink);
	if (!r)
		r = sweep_open(k);
	if (!r)
		r = shortcut_open(k, o->shortcut);
	if (!r)
		r = pods_open(k, o);
	if (!r)
		r = cgroup_attach(&k->loader, k->dir, k->cgroup);
	if (!r)
		r = guard_open(k);
	if (!r)
		r = open_epoll(k);
	return r;
}

int kernel_default_cgroup(char *out, size_t size)
{
	int r = cgroup_root(out, size);

	if (!r && !cgroup_is_whole(out))
		log_warning(
			"%s is only this container's part of cgroup v2: the pods' processes are "
			"elsewhere, and --cgroup must say where",
			out);
	return r;
}

int kernel_check(const struct kernel_options *options)
{
	return preflight(options);
}

bool kernel_pinned(const char *bpffs)
{
	struct pin_path path;

	return !pin_path(&path, bpffs, NULL, loader_map_name(MAP_GENERATION)) &&
	       !access(path.s, F_OK);
}

int kernel_open(const struct kernel_options *options, struct kernel **out)
{
	_cleanup_(kernel_closep) struct kernel *k = NULL;
	int r = preflight(options);

	if (r)
		return r;
	r = pin_mkdirs(options->bpffs);
	if (r)
		return log_err(r, "make the directory %s", options->bpffs);
	k = kernel_new(options->bpffs);
	if (k &&
	    snprintf(k->cgroup, sizeof(k->cgroup), "%s", options->cgroup) >= (int)sizeof(k->cgroup))
		return log_err(-ENAMETOOLONG, "--cgroup %s", options->cgroup);
	r = k ? open_parts(k, options) : log_err(-ENOMEM, "start");
	if (r)
		return r;
	*out = TAKE_PTR(k);
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	guard_free(&k->guard);
	sweep_free(&k->sweep);
	pods_free(&k->pods);
	shortcut_free(&k->shortcut);
	published_free(&k->published);
	addr_set_free(&k->sources);
	counters_free(&k->counters);
	loader_close(&k->loader);
	closep(&k->netlink);
	closep(&k->links);
	closep(&k->node_routes);
	closep(&k->epoll);
	free(k->dir);
	free(k);
}

static void remove_dirs(const char *dir)
{
	static const char *const subs[] = { "link", "qdisc", "prog", NULL };
	struct pin_path path;

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		int r = pin_path(&path, dir, subs[i], NULL);

		if (!r)
			r = pin_rmdir(path.s);
		if (r)
			log_warning("%s stays: %s", path.s, strerror(-r));
	}
}

int kernel_detach(const struct kernel_options *options, bool shared)
{
	_cleanup_close_ int netlink = -1;
	int r = preflight_privileges();

	if (!r)
		r = preflight_bpffs(options->bpffs);
	if (r)
		return r;
	netlink = nl_open();
	if (netlink < 0)
		return log_err(netlink, "open a netlink socket");
	r = cgroup_detach(options->bpffs);
	if (!r)
		r = loader_unpin(options->bpffs);
	if (!r)
		r = shared ? attach_detach_pinned(options->bpffs, netlink)
			   : attach_detach_all(options->bpffs, netlink);
	if (!r && !shared)
		r = handover_remove(netlink);
	if (!r && !access(options->bpffs, F_OK))
		remove_dirs(options->bpffs);
	return r;
}

int kernel_fd(struct kernel *k)
{
	return k->epoll;
}

static int dispatch_one(struct kernel *k, int fd)
{
	int r = 0;

	if (guard_dispatch(k, fd))
		return 0;
	if (shortcut_dispatch(k, fd, &r))
		return r;
	if (fd == k->pods.leave_timer)
		return pods_on_leave_timer(k);
	if (fd == k->pods.retry_timer)
		return pods_on_retry_timer(k);
	if (fd != k->sweep.timer) {
		r = pods_follow(k);
		shortcut_soon(k);
		guard_soon(k);
		return r;
	}
	r = sweep_on_timer(k);
	publish_tidy(&k->published, &k->loader);
	return r;
}

int kernel_dispatch(struct kernel *k)
{
	struct epoll_event events[8];
	int n = epoll_wait(k->epoll, events, 8, 0), r = 0;

	if (n < 0)
		return errno == EINTR ? 0 : log_err(-errno, "watch for changes");
	for (int i = 0; i < n; i++) {
		int one = dispatch_one(k, events[i].data.fd);

		r = r ? r : one;
	}
	return r;
}

int kernel_explain(struct kernel *k, const struct question *q, struct verdict *out)
{
	char in[EXPLAIN_PACKET] = {}, answer[EXPLAIN_PACKET] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .data_out = answer, .data_size_out = sizeof(answer), .repeat = 1);

	memcpy(in, q, sizeof(*q));
	if (bpf_prog_test_run_opts(k->loader.prog[PROG_EXPLAIN], &opts))
		return log_err(-errno, "run the explain program");
	memcpy(out, answer, sizeof(*out));
	return 0;
}
