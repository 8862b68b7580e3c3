// SPDX-License-Identifier: Apache-2.0
#include "test_dns_util.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HEAD = 12,
	MESSAGE_MAX = 4096,
	TYPE_A = 1,
	TYPE_AAAA = 28,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	TCP_CONNS = 8,
};

struct dns_server {
	struct event_loop *loop;
	struct event udp, tcp, conns[TCP_CONNS];
	struct dns_zone *zones;
	size_t count;
	char at[32];
};

/* The name of the question, and what follows it. */
static const unsigned char *read_name(const unsigned char *at, char out[256])
{
	size_t used = 0;

	while (*at) {
		memcpy(out + used, at + 1, *at);
		used += *at;
		out[used++] = '.';
		at += *at + 1;
	}
	out[used ? used - 1 : 0] = '\0';
	return at + 1;
}

static struct dns_zone *zone_of(struct dns_server *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!s->zones[i].name || !strcasecmp(s->zones[i].name, name))
			return &s->zones[i];
	return NULL;
}

static unsigned char *put16(unsigned char *at, unsigned v)
{
	at[0] = (unsigned char)(v >> 8);
	at[1] = (unsigned char)v;
	return at + 2;
}

/* Returns how many. */
static unsigned put_addresses(unsigned char **at, const char *list, int family, unsigned ttl)
{
	char copy[MESSAGE_MAX], *rest = copy, *word;
	unsigned count = 0;

	snprintf(copy, sizeof(copy), "%s", list ? list : "");
	while ((word = strsep(&rest, " "))) {
		unsigned size = family == AF_INET ? 4 : 16;
		unsigned char *p = *at;

		if (!*word)
			continue;
		p = put16(p, 0xc000 | HEAD); /* the question's name */
		p = put16(p, family == AF_INET ? TYPE_A : TYPE_AAAA);
		p = put16(p, 1);
		p = put16(p, ttl >> 16);
		p = put16(p, ttl & 0xffff);
		p = put16(p, size);
		cr_assert_eq(inet_pton(family, word, p), 1, "%s", word);
		*at = p + size;
		count++;
	}
	return count;
}

/* The length of the answer, which overwrites the question; 0: none. */
static size_t answer(struct dns_server *s, unsigned char *m, bool tcp)
{
	char name[256];
	const unsigned char *type_at = read_name(m + HEAD, name);
	unsigned type = (unsigned)type_at[0] << 8 | type_at[1], flags = 0x8180, count = 0;
	unsigned char *at = (unsigned char *)type_at + 4;
	struct dns_zone *z = zone_of(s, name);
	enum dns_mode mode = z ? z->mode : SAYS_NXDOMAIN;

	if (z && type == TYPE_AAAA && z->mode_v6)
		mode = z->mode_v6;
	if (z) {
		*(type == TYPE_AAAA ? &z->asked_v6 : &z->asked) += 1;
		z->by_tcp += tcp;
	}
	if (mode == SAYS_NOTHING)
		return 0;
	if (mode == SAYS_TRUNCATED && !tcp)
		flags |= 0x0200;
	else if (mode == SAYS_SERVFAIL)
		flags |= RCODE_SERVFAIL;
	else if (mode == SAYS_NXDOMAIN)
		flags |= RCODE_NXDOMAIN;
	else if (type == TYPE_A || type == TYPE_AAAA)
		count = put_addresses(&at, type == TYPE_A ? z->a : z->aaaa,
				      type == TYPE_A ? AF_INET : AF_INET6, z->ttl);
	put16(m + 2, flags);
	put16(m + 6, count);
	put16(m + 8, 0);
	put16(m + 10, 0);
	return (size_t)(at - m);
}

static void on_udp(void *server, uint32_t events)
{
	struct dns_server *s = server;
	unsigned char m[MESSAGE_MAX];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(s->udp.fd, m, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	size_t size = n > HEAD ? answer(s, m, false) : 0;

	(void)events;
	if (size)
		sendto(s->udp.fd, m, size, 0, (struct sockaddr *)&from, len);
}

static void on_conn(void *server, uint32_t events)
{
	struct dns_server *s = server;

	(void)events;
	for (int i = 0; i < TCP_CONNS; i++) {
		unsigned char head[2], m[MESSAGE_MAX];
		int fd = s->conns[i].fd;
		ssize_t n;

		/* Several may have come at once. */
		while (fd >= 0 && (n = recv(fd, head, 2, MSG_DONTWAIT)) == 2) {
			size_t size = (size_t)head[0] << 8 | head[1];

			cr_assert_eq(recv(fd, m + 2, size, MSG_DONTWAIT), (ssize_t)size);
			size = answer(s, m + 2, true);
			put16(m, (unsigned)size);
			send(fd, m, size + 2, MSG_NOSIGNAL);
		}
		if (fd >= 0 && !n)
			event_close(&s->conns[i]);
	}
}

static void on_tcp(void *server, uint32_t events)
{
	struct dns_server *s = server;
	int fd = accept(s->tcp.fd, NULL, NULL);

	(void)events;
	for (int i = 0; i < TCP_CONNS; i++)
		if (s->conns[i].fd < 0) {
			s->conns[i] = (struct event){ .fd = fd, .ready = on_conn, .arg = s };
			event_watch(s->loop, &s->conns[i], EPOLLIN);
			return;
		}
	cr_assert_fail("too many connections");
}

struct dns_server *dns_server_start(struct event_loop *loop, struct dns_zone *zones, size_t count)
{
	struct dns_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);

	s->loop = loop;
	s->zones = zones;
	s->count = count;
	s->udp = (struct event){ .fd = socket(AF_INET, SOCK_DGRAM, 0), .ready = on_udp, .arg = s };
	s->tcp = (struct event){ .fd = socket(AF_INET, SOCK_STREAM, 0), .ready = on_tcp, .arg = s };
	cr_assert_eq(bind(s->udp.fd, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(getsockname(s->udp.fd, (struct sockaddr *)&at, &len), 0);
	cr_assert_eq(bind(s->tcp.fd, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(s->tcp.fd, TCP_CONNS), 0);
	for (int i = 0; i < TCP_CONNS; i++)
		s->conns[i].fd = -1;
	cr_assert_eq(event_watch(loop, &s->udp, EPOLLIN), 0);
	cr_assert_eq(event_watch(loop, &s->tcp, EPOLLIN), 0);
	snprintf(s->at, sizeof(s->at), "127.0.0.1:%u", ntohs(at.sin_port));
	return s;
}

const char *dns_server_at(const struct dns_server *s)
{
	return s->at;
}

void dns_server_stop(struct dns_server *s)
{
	event_close(&s->udp);
	event_close(&s->tcp);
	for (int i = 0; i < TCP_CONNS; i++)
		event_close(&s->conns[i]);
	free(s);
}
