// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/http_listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"

enum { BACKLOG = 16 };

/* 0 or -EINVAL. */
static int parse(const char *text, struct addr *addr, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	char host[ADDR_TEXT_MAX], *end;
	size_t len = colon ? (size_t)(colon - text) : 0;
	unsigned long n;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL;
	}
	if (!len || len >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	n = strtoul(colon + 1, &end, 10);
	if (*end || n < 1 || n > 65535)
		return -EINVAL;
	*port = (uint16_t)n;
	return addr_parse(host, addr) ? -EINVAL : 0;
}

bool http_address_valid(const char *address)
{
	struct addr addr;
	uint16_t port;

	return !parse(address, &addr, &port);
}

static int bind_to(int fd, const struct addr *a, uint16_t port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int r;

	memcpy(&in4.sin_addr, a->b + 12, 4);
	memcpy(&in6.sin6_addr, a->b, 16);
	r = addr_is_v4(a) ? bind(fd, (struct sockaddr *)&in4, sizeof(in4))
			  : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	return r ? -errno : 0;
}

int http_listen(const char *address)
{
	_cleanup_close_ int fd = -1;
	struct addr addr;
	uint16_t port;
	int one = 1, r = parse(address, &addr, &port);

	if (r)
		return r;
	fd = socket(addr_is_v4(&addr) ? AF_INET : AF_INET6,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		return -errno;
	r = bind_to(fd, &addr, port);
	if (r)
		return r;
	return listen(fd, BACKLOG) ? -errno : TAKE_FD(fd);
}
