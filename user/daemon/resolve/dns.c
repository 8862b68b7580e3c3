// SPDX-License-Identifier: Apache-2.0
#include "daemon/resolve/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/resolve/cares.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum {
	TRY_MS = 2000, /* the first time; twice as long the second time */
	TRIES = 2,     /* of each server */
	CLASS_IN = 1,
	TYPE_A = 1,
	TYPE_AAAA = 28,
	DNS_PORT = 53,
};

/* A socket of c-ares'. */
struct socket {
	struct event event;
	struct socket *next;
	struct dns *dns;
};

struct dns {
	struct event_loop *loop;
	struct event_timer timer; /* when c-ares wants to be called at the latest */
	ares_channel channel;
	struct socket *sockets;
};

struct question {
	enum family family;
	dns_answer_fn done;
	void *arg;
};

/* ---- c-ares in the loop ---- */

static void rearm(struct dns *d)
{
	struct timeval tv, *at = ares_timeout(d->channel, NULL, &tv);

	if (at)
		event_timer_set(&d->timer, (unsigned)(at->tv_sec * 1000 + at->tv_usec / 1000 + 1));
	else
		event_timer_stop(&d->timer);
}

/* The socket may be closed and gone when this returns. */
static void on_socket(void *arg, uint32_t events)
{
	const struct socket *s = arg;
	struct dns *d = s->dns;
	ares_socket_t fd = s->event.fd;

	ares_process_fd(d->channel, events & ~(uint32_t)EPOLLOUT ? fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	rearm(d);
}

static void on_timer(void *dns)
{
	struct dns *d = dns;

	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(d);
}

/* Where the socket is in the list, or where a new one is to go. */
static struct socket **find_socket(struct dns *d, int fd)
{
	struct socket **at = &d->sockets;

	while (*at && (*at)->event.fd != fd)
		at = &(*at)->next;
	return at;
}

/* c-ares has opened a socket, wants something else of it, or is about to close it. One that can't
 * be watched is as a server that does not answer: the timer comes to it. */
static void on_state(void *dns, ares_socket_t fd, int readable, int writable)
{
	struct dns *d = dns;
	struct socket **at = find_socket(d, fd), *s = *at;

	if (!readable && !writable) {
		if (s) {
			event_forget(&s->event);
			*at = s->next;
			free(s);
		}
		return;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->dns = d;
		s->event = (struct event){ .fd = fd, .ready = on_socket, .arg = s };
		*at = s;
	}
	if (event_watch(d->loop, &s->event,
			(readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0)))
		log_warning("a socket to a DNS server can't be watched");
}

/* ---- servers ---- */

/* "10.0.0.1", "10.0.0.1:53", "fd00::1" or "[fd00::1]:53". 0 or -EINVAL. */
static int parse_server(const char *text, struct addr *addr, unsigned *port)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':'), *from = text;
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	char *end;

	*port = DNS_PORT;
	if (!addr_parse(text, addr))
		return 0;
	if (*text == '[' && len > 1 && text[len - 1] == ']') {
		from = text + 1;
		len -= 2;
	} else if (*text == '[' || memchr(text, ':', len)) {
		return -EINVAL;
	}
	if (!colon || len >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(host, from, len);
	host[len] = '\0';
	*port = (unsigned)strtoul(colon + 1, &end, 10);
	return *end || !*port || *port > 65535 ? -EINVAL : addr_parse(host, addr);
}

int dns_server_valid(const char *server)
{
	struct addr addr;
	unsigned port;

	return !parse_server(server, &addr, &port);
}

static int set_server(struct dns *d, const char *server)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	unsigned port;

	if (parse_server(server, &addr, &port))
		return -EINVAL;
	addr_format_port(&addr, port, text);
	return ares_set_servers_ports_csv(d->channel, text) ? -EINVAL : 0;
}

void dns_servers(const struct dns *d, char out[DNS_SERVERS_MAX])
{
	struct ares_addr_port_node *list = NULL;
	char text[INET6_ADDRSTRLEN];
	size_t used = 0;

	out[0] = '\0';
	if (ares_get_servers_ports(d->channel, &list))
		return;
	for (const struct ares_addr_port_node *n = list; n && used < DNS_SERVERS_MAX; n = n->next) {
		const char *form = n->family == AF_INET6 ? "%s[%s]:%d" : "%s%s:%d";
		int port = n->udp_port ? n->udp_port : DNS_PORT;

		inet_ntop(n->family, &n->addr, text, sizeof(text));
		used += (size_t)snprintf(out + used, DNS_SERVERS_MAX - used, form,
					 n == list ? "" : ", ", text, port);
	}
	ares_free_data(list);
}

/* ---- opening and closing ---- */

static int open_channel(struct dns *d, const char *server, const char *resolv_conf)
{
	struct ares_options options = {
		.timeout = TRY_MS,
		.tries = TRIES,
		.sock_state_cb = on_state,
		.sock_state_cb_data = d,
		.resolvconf_path = (char *)resolv_conf,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
	int r = ares_init_options(&d->channel, &options,
				  mask | (resolv_conf ? ARES_OPT_RESOLVCONF : 0));

	if (r == ARES_ENOMEM)
		return -ENOMEM;
	if (r)
		return -EIO;
	return server ? set_server(d, server) : 0;
}

int dns_open(struct event_loop *loop, const char *server, const char *resolv_conf, struct dns **out)
{
	struct dns *d = calloc(1, sizeof(*d));
	int r = d ? cares_load() : -ENOMEM;

	if (r) {
		free(d);
		return r;
	}
	d->loop = loop;
	d->timer.event.fd = -1;
	r = open_channel(d, server, resolv_conf);
	if (!r)
		r = event_timer_open(loop, &d->timer, on_timer, d);
	if (r) {
		dns_close(d);
		return log_err(r, "get ready to ask DNS");
	}
	*out = d;
	return 0;
}

void dns_close(struct dns *d)
{
	if (!d)
		return;
	if (d->channel)
		ares_destroy(d->channel); /* closes its sockets, which on_state() is told of */
	event_timer_close(&d->timer);
	free(d);
}

/* ---- questions ---- */

/* What is the matter, for people. */
static const char *reason_of(int status)
{
	switch (status) {
	case ARES_ENODATA:
		return "it has no address";
	case ARES_ENOTFOUND:
		return "there is no such name (NXDOMAIN)";
	case ARES_ESERVFAIL:
		return "the server can't tell (SERVFAIL)";
	case ARES_EREFUSED:
		return "the server refuses to tell (REFUSED)";
	case ARES_ENOTIMP:
		return "the server knows no such question (NOTIMP)";
	case ARES_ETIMEOUT:
		return "no server answers";
	case ARES_ECONNREFUSED: /* also where all have said SERVFAIL */
		return "no server is there that can tell";
	case ARES_EBADNAME:
	case ARES_EFORMERR:
		return "DNS knows no such form of a name";
	case ARES_ENOMEM:
		return "out of memory";
	default:
		return "the answer can't be read";
	}
}

/* Of c-ares' answer, which is freed with it: status, TTL and addresses. */
static int parse_v4(const unsigned char *bytes, int size, struct addr out[DNS_ADDRS_MAX],
		    struct dns_answer *a)
{
	struct ares_addrttl rows[DNS_ADDRS_MAX];
	int count = DNS_ADDRS_MAX;
	int status = ares_parse_a_reply(bytes, size, NULL, rows, &count);

	for (int i = 0; !status && i < count; i++) {
		out[i] = (struct addr){ .b = { [10] = 0xff, [11] = 0xff } };
		memcpy(out[i].b + 12, &rows[i].ipaddr, 4);
		if (!i || (uint32_t)rows[i].ttl < a->ttl_s)
			a->ttl_s = (uint32_t)rows[i].ttl;
	}
	a->count = status ? 0 : (size_t)count;
	return status;
}

static int parse_v6(const unsigned char *bytes, int size, struct addr out[DNS_ADDRS_MAX],
		    struct dns_answer *a)
{
	struct ares_addr6ttl rows[DNS_ADDRS_MAX];
	int count = DNS_ADDRS_MAX;
	int status = ares_parse_aaaa_reply(bytes, size, NULL, rows, &count);

	for (int i = 0; !status && i < count; i++) {
		memcpy(out[i].b, &rows[i].ip6addr, 16);
		if (!i || (uint32_t)rows[i].ttl < a->ttl_s)
			a->ttl_s = (uint32_t)rows[i].ttl;
	}
	a->count = status ? 0 : (size_t)count;
	return status;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int size)
{
	_cleanup_free_ struct question *q = arg;
	struct addr addrs[DNS_ADDRS_MAX];
	struct dns_answer a = { .status = DNS_FAILED, .addrs = addrs };

	(void)timeouts;
	if (!status)
		status = q->family == FAMILY_V4 ? parse_v4(bytes, size, addrs, &a)
						: parse_v6(bytes, size, addrs, &a);
	if (!status && a.count)
		a.status = DNS_ANSWERED;
	else if (!status || status == ARES_ENODATA || status == ARES_ENOTFOUND)
		a.status = DNS_EMPTY;
	else if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
		a.status = DNS_CANCELLED;
	a.why = a.status == DNS_ANSWERED ? NULL : reason_of(status ? status : ARES_ENODATA);
	q->done(q->arg, &a);
}

void dns_ask(struct dns *d, const char *name, enum family family, dns_answer_fn done, void *arg)
{
	static const struct dns_answer none = { .status = DNS_FAILED, .why = "out of memory" };
	struct question *q = malloc(sizeof(*q));

	if (!q) {
		done(arg, &none);
		return;
	}
	*q = (struct question){ family, done, arg };
	ares_query(d->channel, name, CLASS_IN, family == FAMILY_V4 ? TYPE_A : TYPE_AAAA, on_answer,
		   q);
	rearm(d);
}
