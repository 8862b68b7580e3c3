// SPDX-License-Identifier: Apache-2.0
#include "daemon/start/netns_lock.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

/*
 * Any process of the namespace may take any such name, so that one that is not root's says nothing:
 * then it is the next that counts.
 */
enum {
	NAMES = 4,
	BACKLOG = 4096, /* processes that ask stay in it: nothing is ever accepted */
	WAIT_MS =
		500, /* for the child of a weftd that was killed, as for the locks of directories */
};

static socklen_t name(unsigned i, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1,
					    "weftd/%u", i));
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Its descriptor; -1: the name is taken. */
static int take(unsigned i)
{
	_cleanup_close_ int fd = open_socket();
	struct sockaddr_un at;
	socklen_t len = name(i, &at);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) || listen(fd, BACKLOG))
		return -1;
	return TAKE_FD(fd);
}

/* A connection to the process like this one that has the name; -1: there is none. */
static int find(unsigned i, pid_t *pid)
{
	_cleanup_close_ int fd = open_socket();
	struct sockaddr_un at;
	socklen_t len = name(i, &at), size = sizeof(struct ucred);
	struct ucred peer;

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ||
	    (peer.uid != 0 && peer.uid != geteuid()))
		return -1;
	*pid = peer.pid;
	return TAKE_FD(fd);
}

/* -EBUSY, or -EAGAIN where the process that held it has just ended. */
static int wait_gone(int conn)
{
	struct pollfd polled = { conn, POLLIN, 0 };

	return poll(&polled, 1, WAIT_MS) > 0 ? -EAGAIN : -EBUSY;
}

static int take_one(pid_t *pid)
{
	_cleanup_close_ int fd = -1;

	for (unsigned i = 0; i < NAMES; i++) {
		int one = fd < 0 ? take(i) : -1;
		_cleanup_close_ int other = one < 0 ? find(i, pid) : -1;

		if (other >= 0)
			return wait_gone(other);
		if (one >= 0)
			fd = one;
	}
	if (fd < 0)
		log_warning("others have the names by which a second weftd in this network "
			    "namespace would be told: it would not be refused");
	return fd < 0 ? -ENOENT : TAKE_FD(fd);
}

int netns_lock(pid_t *pid)
{
	int fd;

	do
		fd = take_one(pid);
	while (fd == -EAGAIN);
	return fd;
}
