// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/wire/unix_listen.h"
#include "weft/http_stat.h"

enum { BACKLOG = 128 };

static int path_of(const char *run_dir, int slot, const char *kind, char *out, size_t size)
{
	int n = slot < 0 ? snprintf(out, size, "%s/proxy.%s", run_dir, kind)
			 : snprintf(out, size, "%s/proxy-%d.%s", run_dir, slot, kind);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int address(const char *run_dir, int slot, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return path_of(run_dir, slot, "sock", out->sun_path, sizeof(out->sun_path));
}

int proxy_link_bind(const char *run_dir, int slot)
{
	struct sockaddr_un at;
	int r = address(run_dir, slot, &at);

	return r ? log_err(r, "listen in %s", run_dir) : unix_listen(&at, SOCK_SEQPACKET, BACKLOG);
}

int proxy_link_connect(const char *run_dir, int slot, pid_t *pid)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r = fd < 0 ? -errno : address(run_dir, slot, &at);

	if (r)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	*pid = peer.pid;
	return TAKE_FD(fd);
}

int proxy_link_held(const char *run_dir, int slot, bool keep)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r = path_of(run_dir, slot, "held", path, sizeof(path));

	if (r)
		return r;
	fd = open(path, O_RDWR | O_CLOEXEC | (keep ? 0 : O_CREAT | O_TRUNC), 0600);
	if (fd < 0 || (!keep && ftruncate(fd, sizeof(struct proxy_held))))
		return -errno;
	return TAKE_FD(fd);
}

int proxy_link_serve(const char *run_dir, int slot)
{
	char to[32], fresh[PATH_MAX], path[PATH_MAX];
	int r = path_of(run_dir, PROXY_SERVES, "new", fresh, sizeof(fresh));

	if (!r)
		r = path_of(run_dir, PROXY_SERVES, "sock", path, sizeof(path));
	if (r)
		return r;
	snprintf(to, sizeof(to), "proxy-%d.sock", slot);
	unlink(fresh);
	return symlink(to, fresh) || rename(fresh, path) ? -errno : 0;
}

int proxy_link_served(const char *run_dir)
{
	char path[PATH_MAX], to[32] = "";
	int slot, r = path_of(run_dir, PROXY_SERVES, "sock", path, sizeof(path));

	if (r)
		return r;
	if (readlink(path, to, sizeof(to) - 1) < 0 || sscanf(to, "proxy-%d.sock", &slot) != 1 ||
	    slot < 0 || slot >= HTTP_PROXIES)
		return -ENOENT;
	return slot;
}

void proxy_link_remove(const char *run_dir, int slot)
{
	static const char *const kinds[] = { "sock", "held" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!path_of(run_dir, slot, kinds[i], path, sizeof(path)))
			unlink(path);
}

int proxy_link_send(int conn, const struct proxy_order *order, int fd, const void *bytes,
		    size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} space = { .align = { .cmsg_len = CMSG_LEN(sizeof(fd)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS } };
	struct iovec parts[] = { { (void *)order, sizeof(*order) }, { (void *)bytes, size } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };

	if (fd >= 0) {
		m.msg_control = &space;
		m.msg_controllen = sizeof(space);
		memcpy(CMSG_DATA(&space.align), &fd, sizeof(fd));
	}
	return sendmsg(conn, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *m, int *fds, unsigned *count)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	*count = 0;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	*count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(*fds));
	memcpy(fds, CMSG_DATA(c), *count * sizeof(*fds));
}

int proxy_link_receive(int conn, int ms, void *reply, size_t size, int *fds, unsigned *fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PROXY_MAX_WORKERS)];
	} space;
	struct iovec part = { reply, size };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd polled = { conn, POLLIN, 0 };
	ssize_t n;
	int r;

	if (fds) {
		m.msg_control = &space;
		m.msg_controllen = sizeof(space);
	}
	do
		r = poll(&polled, 1, ms);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? -errno : -ETIMEDOUT;
	n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (fds)
		take_fds(&m, fds, fd_count);
	if (n == 0)
		return -ECONNRESET;
	return (size_t)n < sizeof(struct proxy_reply) ? -EBADMSG : 0;
}
