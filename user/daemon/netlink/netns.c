/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/netlink/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/id_set.h"
#include "daemon/netlink/netlink.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

/* Where container runtimes and iproute2 keep namespaces. Those of the host are also seen from a
 * container with the host's processes. */
static const char *const dirs[] = { "/run/netns", "/run/docker/netns", "/proc/1/root/run/netns",
				    "/proc/1/root/run/docker/netns" };

struct walk {
	int netlink;
	struct ids seen; /* inodes */
	int (*each)(void *arg, int nsid, int fd);
	void *arg;
};

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int take_nsid(void *arg, const struct nlmsghdr *h)
{
	struct nl_attrs a;

	if (h->nlmsg_type != RTM_NEWNSID)
		return 0;
	nl_parse(h, sizeof(struct rtgenmsg), &a);
	*(int *)arg = nl_int(a.at[NETNSA_NSID], NL_NSID_OWN);
	return 0;
}

/* NL_NSID_OWN if the node has given it none. */
static int nsid_of(int netlink, int fd)
{
	__u32 value = (__u32)fd;
	int nsid = NL_NSID_OWN;
	struct nl_request q;

	nl_begin(&q, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	nl_put(&q, NETNSA_FD, &value, sizeof(value));
	return nl_call(netlink, &q, take_nsid, &nsid) ? NL_NSID_OWN : nsid;
}

/* What can't be opened or is something else is not there for us. */
static int visit(struct walk *w, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat s;
	int r, nsid;

	if (fd < 0 || fstat(fd, &s) || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return 0;
	r = ids_add(&w->seen, s.st_ino);
	if (r <= 0)
		return r;
	nsid = nsid_of(w->netlink, fd);
	return nsid == NL_NSID_OWN ? 0 : w->each(w->arg, nsid, fd);
}

static int visit_dir(struct walk *w, const char *dir, const char *suffix)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	while (!r && d && (e = readdir(d))) {
		char path[512];

		if (e->d_name[0] == '.' || (*suffix && (e->d_name[0] < '1' || e->d_name[0] > '9')))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s%s", dir, e->d_name, suffix) <
		    (int)sizeof(path))
			r = visit(w, path);
	}
	return r;
}

int netns_each(int netlink, int (*each)(void *arg, int nsid, int fd), void *arg)
{
	struct walk w = { .netlink = netlink, .each = each, .arg = arg };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(dirs) / sizeof(dirs[0]); i++)
		r = visit_dir(&w, dirs[i], "");
	if (!r)
		r = visit_dir(&w, "/proc", "/ns/net");
	ids_free(&w.seen);
	return r;
}

struct order {
	int netns, domain, type, protocol;
	int result;
};

static void *make_socket(void *arg)
{
	struct order *o = arg;

	o->result = setns(o->netns, CLONE_NEWNET)
			    ? -1
			    : socket(o->domain, o->type | SOCK_CLOEXEC, o->protocol);
	if (o->result < 0)
		o->result = -errno;
	return NULL;
}

/* A thread of its own enters the namespace, so that no failure leaves weftd in it. */
int netns_socket(int netns_fd, int domain, int type, int protocol)
{
	struct order o = { netns_fd, domain, type, protocol, -EIO };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, make_socket, &o);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return o.result;
}

int netns_cookie(int netns_fd, __u64 *out)
{
	_cleanup_close_ int fd = netns_socket(netns_fd, AF_UNIX, SOCK_DGRAM, 0);
	socklen_t size = sizeof(*out);

	if (fd < 0)
		return fd;
	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &size) ? -errno : 0;
}
