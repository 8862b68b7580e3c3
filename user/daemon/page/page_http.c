// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/page_http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "daemon/api/mhd.h"
#include "daemon/page/message.h"
#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum {
	CONNECTIONS_MAX = 64,
	WATCHERS_MAX = 24,
	SILENCE_MAX_S = 60,
	MEMORY_PER_CONNECTION = 16384,
	BLOCK = 65536, /* of a stream */
};

/* One that watches. */
struct watcher {
	struct watcher *next;
	struct page_http *of;
	struct MHD_Connection *connection;
	int fd; /* the library's */
	struct message_queue queue;
	bool suspended, over;
};

struct page_http {
	struct page_http_options options;
	struct MHD_Daemon *daemon;
	struct event event; /* the library's epoll descriptor */
	struct event_timer timer;
	struct watcher *watchers;
	unsigned watcher_count;
	bool running;
};

/* ---- requests ---- */

const char *page_request_value(const struct page_request *request, const char *name)
{
	return mhd.lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct each {
	const char *name;
	void (*each)(void *arg, const char *value);
	void *arg;
};

static enum MHD_Result tell_value(void *arg, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	const struct each *e = arg;

	(void)kind;
	if (value && !strcmp(key, e->name))
		e->each(e->arg, value);
	return MHD_YES;
}

void page_request_each(const struct page_request *request, const char *name,
		       void (*each)(void *arg, const char *value), void *arg)
{
	struct each e = { name, each, arg };

	mhd.get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, tell_value, &e);
}

/* "127.0.0.1:15021" is cut to "127.0.0.1", "[::1]:15021" to "::1". */
bool page_host_allowed(const char *host)
{
	char name[ADDR_TEXT_MAX] = "";
	bool brackets = host && *host == '[';
	const char *from = brackets ? host + 1 : host;
	size_t len = host ? strcspn(from, brackets ? "]" : ":") : 0;
	const char *port = host ? from + len + (brackets && from[len]) : "";
	struct addr addr;

	if (!len || len >= sizeof(name) || (brackets && from[len] != ']') ||
	    (*port && *port != ':') ||
	    (*port && strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	memcpy(name, from, len);
	return !addr_parse(name, &addr) || !strcasecmp(name, "localhost");
}

/* What browsers say of themselves; other clients don't. A link may lead to the page. */
bool page_site_allowed(const char *site, const char *mode, const char *path)
{
	if (!site || !strcmp(site, "same-origin") || !strcmp(site, "none"))
		return true;
	return mode && !strcmp(mode, "navigate") && !strcmp(path, "/");
}

/* ---- answers ---- */

/* Nothing but what comes from here is loaded, nothing is run that stands in the page itself. */
static const char content_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char *const headers[] = {
	"Content-Security-Policy",
	content_policy,
	"X-Content-Type-Options",
	"nosniff",
	"X-Frame-Options",
	"DENY",
	"Referrer-Policy",
	"no-referrer",
	"Cross-Origin-Resource-Policy",
	"same-origin",
	"Cross-Origin-Opener-Policy",
	"same-origin",
	"Cache-Control",
	"no-store",
	NULL,
};

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status, const char *type,
			     struct MHD_Response *response)
{
	enum MHD_Result done;

	if (!response)
		return MHD_NO;
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (const char *const *h = headers; *h; h += 2)
		mhd.add_response_header(response, h[0], h[1]);
	done = mhd.queue_response(c, status, response);
	mhd.destroy_response(response);
	return done;
}

static enum MHD_Result answer(struct MHD_Connection *c, const struct page_answer *a)
{
	struct MHD_Response *response = mhd.create_response_from_buffer(
		a->size, (void *)a->bytes,
		a->malloced ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

	if (response && a->gzip)
		mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED && response)
		mhd.add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return queue(c, a->status, a->type, response);
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
	return answer(c, &(struct page_answer){ .status = status,
						.type = "text/plain",
						.bytes = text,
						.size = strlen(text) });
}

/* ---- those that watch ---- */

static void forget(void *arg)
{
	struct watcher *w = arg, **at = &w->of->watchers;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at) {
		*at = w->next;
		w->of->watcher_count--;
	}
	message_queue_free(&w->queue);
	free(w);
}

/* The library asks for more: nothing is there, so it is to ask again when it is told to. */
static ssize_t read_more(void *arg, uint64_t at, char *out, size_t max)
{
	struct watcher *w = arg;
	size_t n = message_queue_read(&w->queue, out, max);

	(void)at;
	if (n)
		return (ssize_t)n;
	if (w->over)
		return MHD_CONTENT_READER_END_OF_STREAM;
	w->suspended = true;
	mhd.suspend_connection(w->connection);
	return 0;
}

static struct watcher *watcher_new(struct page_http *h, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct watcher *w = info ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	w->of = h;
	w->connection = c;
	w->fd = info->connect_fd;
	w->next = h->watchers;
	h->watchers = w;
	h->watcher_count++;
	return w;
}

static enum MHD_Result watch(struct page_http *h, struct MHD_Connection *c)
{
	_cleanup_free_ char *first = h->options.greet(h->options.arg);
	struct watcher *w;
	struct MHD_Response *response;
	struct message *m;

	if (h->watcher_count >= WATCHERS_MAX)
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many watch already\n");
	m = first ? message_new(first) : NULL;
	w = m ? watcher_new(h, c) : NULL;
	if (!w) {
		message_unref(m);
		return MHD_NO;
	}
	message_queue_add(&w->queue, m);
	message_unref(m);
	response = mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_more, w, forget);
	if (!response) {
		forget(w);
		return MHD_NO;
	}
	return queue(c, MHD_HTTP_OK, "text/event-stream", response);
}

unsigned page_http_watchers(const struct page_http *h)
{
	return h->watcher_count;
}

static void wake(struct watcher *w)
{
	if (w->suspended)
		mhd.resume_connection(w->connection);
	w->suspended = false;
}

static void turn(void *arg);

void page_http_send(struct page_http *h, const char *event)
{
	struct message *m = message_new(event);

	for (struct watcher *w = h->watchers; m && w; w = w->next) {
		if (!message_queue_add(&w->queue, m)) {
			w->over = true;
			shutdown(w->fd, SHUT_RDWR);
		}
		wake(w);
	}
	message_unref(m);
	turn(h);
}

/* ---- requests as they come ---- */

static enum MHD_Result on_get(struct page_http *h, struct MHD_Connection *c, const char *path,
			      bool head)
{
	const struct page_request request = { path, c };
	struct page_answer a = { .status = MHD_HTTP_OK, .type = "text/plain" };

	if (!strcmp(path, "/api/events") && !head)
		return watch(h, c);
	if (h->options.answer(h->options.arg, &request, &a))
		return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	return answer(c, &a);
}

static const char *header_of(struct MHD_Connection *c, const char *name)
{
	return mhd.lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *body,
				  size_t *body_size, void **state)
{
	bool head = !strcmp(method, "HEAD");

	(void)version;
	(void)body;
	if (!mhd_is_whole(body_size, state))
		return MHD_YES;
	if (!page_host_allowed(header_of(c, "Host")))
		return refuse(c, MHD_HTTP_MISDIRECTED_REQUEST,
			      "ask by an address or as localhost: other names are refused\n");
	if (!page_site_allowed(header_of(c, "Sec-Fetch-Site"), header_of(c, "Sec-Fetch-Mode"),
			       path))
		return refuse(c, MHD_HTTP_FORBIDDEN, "pages of other sites are refused\n");
	if (!head && strcmp(method, "GET") != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is expected\n");
	return on_get(arg, c, path, head);
}

/* ---- in the loop ---- */

static void turn(void *arg)
{
	struct page_http *h = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	if (h->running) /* an event is sent from within: it goes with this turn */
		return;
	h->running = true;
	mhd.run(h->daemon);
	h->running = false;
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

static int start(struct page_http *h)
{
	int listener = fcntl(h->options.listener, F_DUPFD_CLOEXEC, 0);

	if (listener < 0)
		return -errno;
	/* Which closes it, started or not. */
	h->daemon = mhd.start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				     on_request, h, MHD_OPTION_LISTEN_SOCKET, listener,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_MAX_S,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_END);
	if (!h->daemon)
		return -ENOMEM;
	return mhd_watch(h->daemon, h->options.loop, &h->event, on_ready, h);
}

DEFINE_CLEANUP(struct page_http *, page_http_close);

int page_http_open(const struct page_http_options *o, struct page_http **out)
{
	_cleanup_(page_http_closep) struct page_http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return log_err(-ENOMEM, "serve the page");
	h->options = *o;
	r = mhd_load();
	if (r)
		return r;
	r = event_timer_open(o->loop, &h->timer, turn, h);
	if (!r)
		r = start(h);
	if (r)
		return log_err(r, "serve the page");
	*out = TAKE_PTR(h);
	return 0;
}

/* The library does not end while connections are suspended. */
void page_http_close(struct page_http *h)
{
	if (!h)
		return;
	for (struct watcher *w = h->watchers; w; w = w->next) {
		w->over = true;
		wake(w);
	}
	event_forget(&h->event);
	event_timer_close(&h->timer);
	if (h->daemon)
		mhd.stop_daemon(h->daemon);
	free(h);
}
