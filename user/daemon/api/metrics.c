// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/api/listen_address.h"
#include "daemon/api/metrics_scrape.h"
#include "daemon/api/mhd.h"
#include "lib/base/cleanup.h"

enum {
	CONNECTIONS_MAX = 32,
	CONNECTIONS_PER_ADDRESS = CONNECTIONS_MAX / 2, /* so that one can't shut out all others */
	SILENCE_MAX_S = 10,
	MEMORY_PER_CONNECTION = 128 * 1024, /* what is sent at once lies there, too */
	BLOCK = 64 * 1024,
	NICE = 10, /* of the thread: a tenth of the weight of weftd's other ones */
};

struct metrics {
	struct metrics_exchange *exchange;
	struct metrics_source *source;
	struct MHD_Daemon *daemon;
	bool nice; /* the thread has its niceness */
};

/* ---- answers ---- */

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status,
			     struct MHD_Response *response)
{
	enum MHD_Result done = mhd.queue_response(c, status, response);

	mhd.destroy_response(response);
	return done;
}

/* `allow`: the methods that there are, or NULL. */
static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text,
				   const char *allow)
{
	struct MHD_Response *response =
		mhd.create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	if (allow)
		mhd.add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	return queue(c, status, response);
}

static ssize_t read_scrape(void *scrape, uint64_t at, char *out, size_t max)
{
	ssize_t n = metrics_scrape_read(scrape, out, max);

	(void)at;
	return n > 0 ? n : n ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_scrape(void *scrape)
{
	metrics_scrape_free(scrape);
}

static enum MHD_Result answer_metrics(struct metrics *m, struct MHD_Connection *c)
{
	const char *accept =
		mhd.lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool gzip = metrics_takes_gzip(
		mhd.lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING));
	enum metrics_format format = metrics_accepted(accept);
	struct MHD_Response *response;
	struct metrics_scrape *scrape;

	if (metrics_scrape_new(m->source, format, gzip, &scrape))
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n", NULL);
	response = mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_scrape, scrape,
						     free_scrape);
	if (!response) {
		metrics_scrape_free(scrape);
		return MHD_NO;
	}
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				metrics_content_type(format));
	mhd.add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	if (gzip)
		mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return queue(c, MHD_HTTP_OK, response);
}

/* Where all processors are busy, weftd's other threads come first, and what is in its cgroup:
 * weft-proxy has another one in a container, where the two have equal shares, as pods have. By the
 * thread, which inherits what the loop's has. */
static void be_nice(struct metrics *m)
{
	if (m->nice)
		return;
	m->nice = true;
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *body,
				  size_t *body_size, void **state)
{
	(void)version;
	(void)body;
	be_nice(arg);
	if (!mhd_is_whole(body_size, state))
		return MHD_YES;
	if (strcmp(path, "/metrics") != 0 && strcmp(path, "/stats/prometheus") != 0)
		return answer_text(c, MHD_HTTP_NOT_FOUND, "there is /metrics\n", NULL);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is expected\n",
				   "GET, HEAD");
	return answer_metrics(arg, c);
}

/* ---- the thread ---- */

/* Signals are the event loop's. The socket is the library's from then on. */
static int start(struct metrics *m, int fd)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	m->daemon = mhd.start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, m,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				     (unsigned)CONNECTIONS_PER_ADDRESS,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_MAX_S,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return m->daemon ? 0 : -ENOMEM;
}

bool metrics_address_valid(const char *address)
{
	return !strcmp(address, "off") || listen_address_valid(address, LISTEN_ANY);
}

DEFINE_CLEANUP(struct metrics *, metrics_close);

int metrics_listen(const char *address)
{
	int r = mhd_load();

	return r ? r : listen_address_open(address, LISTEN_ANY);
}

int metrics_open(const struct metrics_options *o, struct metrics **out)
{
	_cleanup_(metrics_closep) struct metrics *m = calloc(1, sizeof(*m));
	_cleanup_close_ int fd = o->fd;
	int r = m ? metrics_exchange_open(o->loop, o->weftd, &m->exchange) : -ENOMEM;

	if (r)
		return r;
	m->source = metrics_source_new(o->weftd->kernel, m->exchange, o->series_max);
	r = m->source ? start(m, fd) : -ENOMEM;
	if (r)
		return r;
	(void)TAKE_FD(fd);
	*out = TAKE_PTR(m);
	return 0;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	if (m->daemon)
		mhd.stop_daemon(m->daemon);
	metrics_source_free(m->source);
	metrics_exchange_close(m->exchange);
	free(m);
}
