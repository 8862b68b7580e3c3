// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/listeners.h"

#include <errno.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "weft/tproxy.h"

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Serves both: bound to ::1 it would be one for IPv6 only to bpf_tcp_check_syncookie(). */
static int bind_v6(int fd)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6,
				   .sin6_addr.s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	int r = set(fd, SOL_IPV6, IPV6_V6ONLY, 0);

	if (!r)
		r = set(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
	if (!r && bind(fd, (struct sockaddr *)&at, sizeof(at)))
		r = -errno;
	return r;
}

static int bind_v4(int fd)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int r = set(fd, SOL_IP, IP_TRANSPARENT, 1);

	if (!r && bind(fd, (struct sockaddr *)&at, sizeof(at)))
		r = -errno;
	return r;
}

static int new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int listener_open(void)
{
	_cleanup_close_ int fd = new_socket(AF_INET6);
	int r;

	if (fd >= 0) {
		r = bind_v6(fd);
	} else {
		fd = new_socket(AF_INET);
		r = fd < 0 ? -errno : bind_v4(fd);
	}
	if (!r && listen(fd, PROXY_BACKLOG))
		r = -errno;
	return r ? log_err(r, "listen for weft-proxy") : TAKE_FD(fd);
}

int listeners_open(unsigned count, int *fds)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = listener_open();
		if (fds[i] < 0) {
			int r = fds[i];

			listeners_close(i, fds);
			return r;
		}
	}
	return 0;
}

void listeners_close(unsigned count, int *fds)
{
	for (unsigned i = 0; i < count; i++) {
		closep(&fds[i]);
		fds[i] = -1;
	}
}

static uint64_t netns_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) ? -1 : value;
}

static bool is_transparent(int fd)
{
	return option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6
		       ? option(fd, SOL_IPV6, IPV6_TRANSPARENT) == 1
		       : option(fd, SOL_IP, IP_TRANSPARENT) == 1;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? 0 : cookie;
}

bool listeners_same(int a, int b)
{
	return cookie_of(a) == cookie_of(b);
}

static bool is_listener(int fd)
{
	_cleanup_close_ int own = new_socket(AF_INET);

	return netns_of(fd) && netns_of(fd) == netns_of(own) &&
	       option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP &&
	       option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 && is_transparent(fd);
}

bool listeners_usable(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!is_listener(fds[i]))
			return false;
		for (unsigned k = 0; k < i; k++)
			if (cookie_of(fds[k]) == cookie_of(fds[i]))
				return false;
	}
	return true;
}
