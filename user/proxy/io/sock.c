// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool is_v4(const struct addr *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

static socklen_t to_sockaddr(const struct addr *a, uint16_t port, union any *out)
{
	memset(out, 0, sizeof(*out));
	if (is_v4(a)) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(port);
		memcpy(&out->in.sin_addr, a->b + 12, 4);
		return sizeof(out->in);
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(port);
	memcpy(&out->in6.sin6_addr, a->b, 16);
	return sizeof(out->in6);
}

static void from_sockaddr(const union any *s, struct addr *a, uint16_t *port)
{
	memset(a, 0, sizeof(*a));
	*port = 0;
	if (s->sa.sa_family == AF_INET) {
		a->b[10] = a->b[11] = 0xff;
		memcpy(a->b + 12, &s->in.sin_addr, 4);
		*port = ntohs(s->in.sin_port);
	} else if (s->sa.sa_family == AF_INET6) {
		memcpy(a->b, &s->in6.sin6_addr, 16);
		*port = ntohs(s->in6.sin6_port);
	}
}

static void no_delay(int fd)
{
	static const int on = 1;

	/* Not a TCP socket: then it has no delay either. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void sock_keep_alive(int fd, const struct keepalive *k)
{
	static const struct keepalive unless_given = { true, 60, 15, 4 };
	const struct keepalive *set = k && k->given ? k : &unless_given;
	const struct {
		int level, name;
		uint32_t value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, set->time_s },
		{ IPPROTO_TCP, TCP_KEEPINTVL, set->interval_s },
		{ IPPROTO_TCP, TCP_KEEPCNT, set->probes },
	};

	/* Without it they are noticed when something is sent. */
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i].value)
			(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
					 sizeof(options[i].value));
}

int sock_new(const struct addr *to, const struct keepalive *k)
{
	int fd = socket(is_v4(to) ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd < 0)
		return -errno;
	no_delay(fd);
	sock_keep_alive(fd, k);
	return fd;
}

int sock_bind_foreign(int fd, const struct addr *from, uint16_t port)
{
	static const int on = 1;
	bool v4 = is_v4(from);
	union any s;
	socklen_t len = to_sockaddr(from, port, &s);

	if (setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
		       sizeof(on)))
		return -errno;
	/* The same port serves connections to several destinations. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	return bind(fd, &s.sa, len) ? -errno : 0;
}

int sock_connect(int fd, const struct addr *to, uint16_t port)
{
	union any s;
	socklen_t len = to_sockaddr(to, port, &s);

	return connect(fd, &s.sa, len) ? -errno : 0;
}

int sock_local(int fd, struct addr *addr, uint16_t *port)
{
	union any s = { 0 };
	socklen_t len = sizeof(s);

	if (getsockname(fd, &s.sa, &len))
		return -errno;
	from_sockaddr(&s, addr, port);
	return 0;
}

int sock_accept(int listener, struct addr *client, uint16_t *client_port, struct addr *called,
		uint16_t *called_port)
{
	union any s = { 0 };
	socklen_t len = sizeof(s);
	int fd = accept4(listener, &s.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	from_sockaddr(&s, client, client_port);
	if (sock_local(fd, called, called_port)) {
		close(fd);
		return -ECONNABORTED;
	}
	no_delay(fd);
	return fd;
}

static bool is_option(int fd, int name, int wanted)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return !getsockopt(fd, SOL_SOCKET, name, &value, &len) && value == wanted;
}

int sock_adopt(int fd, struct addr *client, uint16_t *client_port, struct addr *called,
	       uint16_t *called_port)
{
	int flags = fcntl(fd, F_GETFL);
	union any s = { 0 };
	socklen_t len = sizeof(s);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	if (!is_option(fd, SO_PROTOCOL, IPPROTO_TCP) || !is_option(fd, SO_ACCEPTCONN, 0))
		return -EPROTOTYPE;
	if (getpeername(fd, &s.sa, &len))
		return -errno;
	from_sockaddr(&s, client, client_port);
	return sock_local(fd, called, called_port);
}
