// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/health.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/base/library.h"
#include "lib/base/log.h"

enum {
	BACKLOG = 16,
	CONNECTIONS_MAX = 16,
	SILENCE_MAX_S = 10,
	MEMORY_PER_CONNECTION = 4096,
};

struct health {
	struct health_options options;
	struct event listener;	   /* until there is a daemon */
	struct MHD_Daemon *daemon; /* NULL until it is asked for the first time */
	struct event event;	   /* its epoll descriptor, which stays the library's */
	struct event_timer timer;  /* what it has to do by itself */
};

/* ---- libmicrohttpd, loaded when something is asked ---- */

#define MHD_FUNCTIONS(do)                                                              \
	do                                                                             \
	(start_daemon) do(stop_daemon) do(run) do(get_timeout) do(get_daemon_info) do( \
		create_response_from_buffer) do(add_response_header) do(queue_response) do(destroy_response)

#define MHD_POINTER(name) __typeof__(&MHD_##name) name;
static struct {
	MHD_FUNCTIONS(MHD_POINTER)
} mhd;

#define MHD_SYMBOL(name) { "MHD_" #name, (void *)&mhd.name },
static const struct library_symbol mhd_symbols[] = { MHD_FUNCTIONS(MHD_SYMBOL) };

static int load_library(void)
{
	return library_load("libmicrohttpd.so.12", mhd_symbols,
			    sizeof(mhd_symbols) / sizeof(mhd_symbols[0]));
}

/* ---- where it listens ---- */

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

bool health_address_valid(const char *address)
{
	struct addr addr;
	uint16_t port;

	return !strcmp(address, "off") || !parse(address, &addr, &port);
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

/* A descriptor or -errno. */
static int listen_at(const char *address)
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

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, char *text)
{
	struct MHD_Response *response =
		mhd.create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	r = mhd.queue_response(c, status, response);
	mhd.destroy_response(response);
	return r;
}

struct reasons {
	FILE *f;
	unsigned count;
};

static void add_reason(void *list, const char *what)
{
	struct reasons *reasons = list;

	reasons->count++;
	fprintf(reasons->f, "%s\n", what);
}

static enum MHD_Result answer_ready(const struct health *h, struct MHD_Connection *c)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct reasons reasons = { .f = open_memstream(&text, &size) };

	if (!reasons.f)
		return MHD_NO;
	h->options.each_reason(h->options.arg, add_reason, &reasons);
	if (!reasons.count)
		fputs("ok\n", reasons.f);
	if (fclose(reasons.f))
		return MHD_NO;
	return answer(c, reasons.count ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, text);
}

/* Called once with the request's head, then for its body, which is let go by, and at its end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *body_size, void **state)
{
	static char begun, ok[] = "ok\n", unknown[] = "there are /healthz and /readyz\n",
			   only_get[] = "GET is expected\n";

	(void)version;
	(void)body;
	if (!*state || *body_size) {
		*state = &begun;
		*body_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, only_get);
	if (!strcmp(url, "/healthz"))
		return answer(c, MHD_HTTP_OK, ok);
	if (!strcmp(url, "/readyz"))
		return answer_ready(arg, c);
	return answer(c, MHD_HTTP_NOT_FOUND, unknown);
}

/* ---- in the loop ---- */

static void turn(struct health *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	mhd.run(h->daemon);
	if (mhd.get_timeout(h->daemon, &ms) == MHD_YES)
		event_timer_set(&h->timer, ms ? (unsigned)ms : 1);
	else
		event_timer_stop(&h->timer);
}

static void on_ready(void *arg, uint32_t events)
{
	(void)events;
	turn(arg);
}

static void on_timer(void *arg)
{
	turn(arg);
}

DEFINE_CLEANUP(struct health *, health_close);

/* The library owns `fd` once it has it. */
static int start_daemon(struct health *h, int fd)
{
	const union MHD_DaemonInfo *info;

	h->daemon = mhd.start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned)SILENCE_MAX_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_END);
	if (!h->daemon)
		return -ENOMEM;
	info = mhd.get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return -ENOTSUP;
	h->event = (struct event){ .fd = info->epoll_fd, .ready = on_ready, .arg = h };
	return event_watch(h->options.loop, &h->event, EPOLLIN);
}

static void on_first(void *arg, uint32_t events)
{
	struct health *h = arg;
	int fd = h->listener.fd, r = load_library();

	(void)events;
	event_forget(&h->listener);
	h->listener.fd = -1;
	if (!r)
		r = start_daemon(h, fd);
	if (!r)
		return turn(h);
	log_err(r, "answer for health");
	if (!h->daemon)
		close(fd);
}

int health_open(const struct health_options *o, struct health **out)
{
	_cleanup_(health_closep) struct health *h = calloc(1, sizeof(*h));
	_cleanup_close_ int fd = -1;
	int r;

	if (!h)
		return -ENOMEM;
	h->listener.fd = -1;
	h->options = *o;
	fd = listen_at(o->address);
	if (fd < 0)
		return fd;
	r = event_timer_open(o->loop, &h->timer, on_timer, h);
	h->listener = (struct event){ .fd = TAKE_FD(fd), .ready = on_first, .arg = h };
	if (!r)
		r = event_watch(o->loop, &h->listener, EPOLLIN);
	if (r)
		return r;
	*out = TAKE_PTR(h);
	return 0;
}

void health_close(struct health *h)
{
	if (!h)
		return;
	event_close(&h->listener);
	event_forget(&h->event);
	event_timer_close(&h->timer);
	if (h->daemon)
		mhd.stop_daemon(h->daemon);
	free(h);
}
