/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_PAGE_HTTP_H
#define WEFT_DAEMON_PAGE_PAGE_HTTP_H
/*
 * libmicrohttpd in the loop of the page's thread: GET alone, and a stream of server-sent events,
 * which all that watch get alike. What asks by a name that is not this machine's own is refused: a
 * page of another site, whose name leads here, is to read nothing (DNS rebinding). So is what
 * browsers say comes from a page of another site.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/loop/event.h"

struct page_http;
struct MHD_Connection;

/* What is asked. */
struct page_request {
	const char *path;
	struct MHD_Connection *connection;
};

/* What is answered. */
struct page_answer {
	unsigned status;
	const char *type;
	const void *bytes;
	size_t size;
	bool gzip;     /* the bytes are compressed so */
	bool malloced; /* they are freed then; else they are the program's own */
};

struct page_http_options {
	struct event_loop *loop; /* borrowed until page_http_close() */
	int listener;		 /* likewise, non-blocking */
	/* Fills *out. 0, or -errno, which is answered by 500. */
	int (*answer)(void *arg, const struct page_request *request, struct page_answer *out);
	/* The first event of one that begins to watch: a new string, NULL when out of memory. */
	char *(*greet)(void *arg);
	void *arg;
};

/* 0, or -errno after having logged. */
int page_http_open(const struct page_http_options *o, struct page_http **out);
void page_http_close(struct page_http *h); /* accepts NULL */

/* How many watch. */
unsigned page_http_watchers(const struct page_http *h);
/* Sends an event, a text of lines, to all that watch. One that has not taken the last few is
 * dropped: it is not waited for. */
void page_http_send(struct page_http *h, const char *event);

/* A parameter of the query; NULL: it is not there. Valid as long as the request. */
const char *page_request_value(const struct page_request *request, const char *name);
/* Each of that name, in order. */
void page_request_each(const struct page_request *request, const char *name,
		       void (*each)(void *arg, const char *value), void *arg);

/* Whether the Host of a request is an address or "localhost", with a port or without. */
bool page_host_allowed(const char *host);
/* Whether by these headers, Sec-Fetch-Site and -Mode, which may be NULL, no page of another site
 * asks for what is at that path: it can't read the answer, but would have weftd work for it. */
bool page_site_allowed(const char *site, const char *mode, const char *path);

#endif
