// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/listen_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"

enum { BACKLOG = 16 };

struct place {
	struct addr addr; /* ::, which is IPv4's, too: all of them */
	uint16_t port;
};

static int parse_port(const char *text, uint16_t *port)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end || n < 1 || n > 65535)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

/* 0 or -EINVAL. */
static int parse(const char *text, enum listen_any any, struct place *out)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct place p = { 0 };
	char host[ADDR_TEXT_MAX];

	if (!colon || parse_port(colon + 1, &p.port))
		return -EINVAL;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL;
	}
	if (len >= sizeof(host) || (!len && any == LISTEN_ONE))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (len && addr_parse(host, &p.addr))
		return -EINVAL;
	*out = p;
	return 0;
}

bool listen_address_valid(const char *text, enum listen_any any)
{
	struct place p;

	return !parse(text, any, &p);
}

static int bind_to(int fd, const struct place *p, bool v4)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	int r;

	memcpy(&in4.sin_addr, p->addr.b + 12, 4);
	memcpy(&in6.sin6_addr, p->addr.b, 16);
	r = v4 ? bind(fd, (struct sockaddr *)&in4, sizeof(in4))
	       : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	return r ? -errno : 0;
}

/* A descriptor or -errno. */
static int open_at(const struct place *p, bool v4)
{
	_cleanup_close_ int fd =
		socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, zero = 0, r;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero))))
		return -errno;
	r = bind_to(fd, p, v4);
	if (r)
		return r;
	return listen(fd, BACKLOG) ? -errno : TAKE_FD(fd);
}

int listen_address_open(const char *text, enum listen_any any)
{
	struct place p;
	int r = parse(text, any, &p);

	if (r)
		return r;
	r = open_at(&p, addr_is_v4(&p.addr));
	/* A node may have no IPv6; zeros are all of its addresses, of either family. */
	return r == -EAFNOSUPPORT && *text == ':' ? open_at(&p, true) : r;
}
