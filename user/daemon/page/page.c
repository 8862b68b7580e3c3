// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/page.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/api/listen_address.h"
#include "daemon/page/ask.h"
#include "daemon/page/assets.h"
#include "daemon/page/feed.h"
#include "daemon/page/page_api.h"
#include "daemon/page/page_http.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum {
	TURN_MS = 1000,
	TURN_MAX_MS = 10000,
};

struct page {
	struct ask ask;
	struct page_api api;
	struct event_loop *loop;
	struct page_http *http;
	struct event_timer timer; /* to ask weftd again, while somebody watches */
	struct event quit;
	int listener;
	pthread_t thread;
	bool started, ending;

	struct feed *feed; /* NULL: nobody watches, or there was no memory for it */
	/* Of the last answers to "mesh" that had them, each told by an event of its own. */
	json_t *mesh, *pods, *clusters;
	json_int_t revision; /* of `mesh` and `pods`, where they are there */
	uint64_t fed;	     /* when it last took an answer, clock_ms() */
};

/* ---- what is told to those that watch ---- */

/* "event: NAME\ndata: {...}\n\n"; takes `json` over. NULL when out of memory. */
static char *event_text(const char *name, json_t *json)
{
	_cleanup_json_ json_t *data = json;
	_cleanup_free_ char *text = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(5))
					 : NULL;
	char *event = NULL;

	if (!text || asprintf(&event, "event: %s\ndata: %s\n\n", name, text) < 0)
		return NULL;
	return event;
}

/* Takes `json` over. */
static void tell(struct page *p, const char *name, json_t *json)
{
	_cleanup_free_ char *event = event_text(name, json);

	if (event)
		page_http_send(p->http, event);
}

static json_t *trouble(int r, const json_t *why)
{
	return json_pack("{s:o}", "error",
			 why ? json_text(json_string_value(why))
			 : r == -E2BIG
				 ? json_string("there are more kinds of traffic than can be shown")
				 : json_textf("weftd does not answer: %s", strerror(-r)));
}

/* ---- what weftd is asked ---- */

/* Takes `now` over in place of what was known, and tells it if it is something else. */
static void replace(struct page *p, const char *name, json_t **known, json_t *now)
{
	bool changed = !json_equal(now, *known);

	json_decref(*known);
	*known = now;
	if (changed)
		tell(p, name, json_incref(now));
}

/* Out of `data`: what is called so there. */
static json_t *take_out(json_t *data, const char *name)
{
	json_t *member = json_incref(json_object_get(data, name));

	json_object_del(data, name);
	return member;
}

/* The rules are in it where anything is not as the last time: most often that is a Pod, which is no
 * reason to tell them again. */
static int ask_mesh(struct page *p, json_t **why)
{
	_cleanup_json_ json_t *data = NULL;
	json_t *request = json_pack("{s:s, s:I}", "command", "mesh", "unless",
				    p->mesh ? p->revision : (json_int_t)-1);
	int r = ask_weftd(&p->ask, request, &data, why);

	if (r)
		return r;
	replace(p, "clusters", &p->clusters, take_out(data, "clusters"));
	if (!json_object_get(data, "routes"))
		return 0;
	r = page_api_redact(data);
	if (r)
		return r;
	p->revision = json_get_int(data, "revision", -1);
	json_object_del(data, "revision");
	replace(p, "pods", &p->pods, take_out(data, "pods"));
	replace(p, "mesh", &p->mesh, TAKE_PTR(data));
	return 0;
}

/* What can't go on with half of an answer: ids count from 0 again, so all that watch are told so.
 */
static int begin_anew(struct page *p, const json_t *data)
{
	json_t *all;
	int r;

	feed_free(p->feed);
	p->feed = feed_new();
	r = p->feed ? feed_take(p->feed, data, 0) : -ENOMEM;
	if (r) {
		feed_free(p->feed);
		p->feed = feed_new();
	}
	if (!p->feed)
		return r;
	all = feed_changes(p->feed); /* which is everything, the first time */
	json_object_set_new(all, "full", json_true());
	tell(p, "traffic", all);
	return r;
}

static int ask_traffic(struct page *p, json_t **why)
{
	_cleanup_json_ json_t *data = NULL;
	uint64_t now;
	int r = ask_weftd(&p->ask, json_pack("{s:s}", "command", "traffic"), &data, why);

	if (r)
		return r;
	now = clock_ms();
	r = p->feed ? feed_take(p->feed, data, (double)(now - p->fed) / 1000) : -ENOMEM;
	p->fed = now;
	if (r)
		return begin_anew(p, data);
	tell(p, "traffic", feed_changes(p->feed));
	return 0;
}

static void ask_all(struct page *p)
{
	_cleanup_json_ json_t *why = NULL;
	int r = ask_mesh(p, &why);

	if (!r)
		r = ask_traffic(p, &why);
	if (r)
		tell(p, "trouble", trouble(r, why));
}

static void forget(struct page *p)
{
	feed_free(p->feed);
	json_decref(p->mesh);
	json_decref(p->pods);
	json_decref(p->clusters);
	p->feed = NULL;
	p->mesh = p->pods = p->clusters = NULL;
	page_api_forget(&p->api);
}

/* Asks, and again when that is not too much of weftd's time. */
static void ask_in_turn(struct page *p)
{
	uint64_t begun = clock_ms(), next;

	ask_all(p);
	next = PAGE_SHARE * (clock_ms() - begun);
	event_timer_set(&p->timer, next < TURN_MS	? TURN_MS
				   : next > TURN_MAX_MS ? TURN_MAX_MS
							: (unsigned)next);
}

/* As long as somebody watches. */
static void on_timer(void *arg)
{
	struct page *p = arg;

	if (page_http_watchers(p->http))
		ask_in_turn(p);
	else
		forget(p);
}

/* All that is known, for one that begins to watch. */
static char *greet(void *arg)
{
	struct page *p = arg;
	_cleanup_free_ char *mesh = NULL, *pods = NULL, *clusters = NULL, *traffic = NULL;
	char *all = NULL;

	if (!p->feed) {
		p->feed = feed_new();
		if (!p->feed)
			return NULL;
		p->fed = clock_ms();
		ask_in_turn(p);
	}
	mesh = event_text("mesh", p->mesh ? json_incref(p->mesh) : json_object());
	pods = event_text("pods", p->pods ? json_incref(p->pods) : json_array());
	clusters = event_text("clusters", p->clusters ? json_incref(p->clusters) : json_array());
	traffic = event_text("traffic", p->feed ? feed_all(p->feed) : NULL);
	if (!mesh || !pods || !clusters || !traffic ||
	    asprintf(&all, "%s%s%s%s", mesh, pods, clusters, traffic) < 0)
		return NULL;
	return all;
}

/* ---- what is asked ---- */

static int on_request(void *arg, const struct page_request *request, struct page_answer *out)
{
	struct page *p = arg;
	struct asset asset;

	if (!strncmp(request->path, "/api/", 5))
		return page_api_answer(&p->api, request, out);
	if (!asset_find(request->path, &asset)) {
		static const char gone[] = "there is no such page\n";

		*out = (struct page_answer){
			.status = 404, .type = "text/plain", .bytes = gone, .size = sizeof(gone) - 1
		};
		return 0;
	}
	*out = (struct page_answer){ .status = 200,
				     .type = asset.type,
				     .bytes = asset.bytes,
				     .size = asset.size,
				     .gzip = true };
	return 0;
}

/* ---- the thread ---- */

static void on_quit(void *arg, uint32_t events)
{
	(void)events;
	((struct page *)arg)->ending = true;
}

static void *run(void *arg)
{
	struct page *p = arg;

	while (!p->ending && !event_loop_turn(p->loop, -1))
		;
	return NULL;
}

/* Signals are the event loop's affair. */
static int start(struct page *p)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->started = !r;
	return r;
}

static int set_up(struct page *p)
{
	const struct page_http_options http = {
		.listener = p->listener, .answer = on_request, .greet = greet, .arg = p
	};
	struct page_http_options with_loop = http;
	int r = event_loop_open(&p->loop);

	if (r)
		return r;
	p->quit = (struct event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				  .ready = on_quit,
				  .arg = p };
	r = p->quit.fd < 0 ? -errno : event_watch(p->loop, &p->quit, EPOLLIN);
	if (!r)
		r = event_timer_open(p->loop, &p->timer, on_timer, p);
	with_loop.loop = p->loop;
	if (!r)
		r = page_http_open(&with_loop, &p->http);
	return r ? r : start(p);
}

DEFINE_CLEANUP(struct page *, page_close);

int page_open(const struct page_options *o, struct page **out)
{
	_cleanup_(page_closep) struct page *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return log_err(-ENOMEM, "serve the page");
	p->ask.run_dir = o->run_dir;
	p->api.ask = &p->ask;
	p->quit.fd = -1;
	ask_open(&p->ask);
	p->listener = listen_address_open(o->address, LISTEN_ONE);
	if (p->listener < 0)
		return log_err(p->listener, "--dashboard: listen at %s", o->address);
	r = set_up(p);
	if (r)
		return log_err(r, "serve the page");
	*out = TAKE_PTR(p);
	return 0;
}

void page_close(struct page *p)
{
	if (!p)
		return;
	if (p->started) {
		ask_end(&p->ask);
		eventfd_write(p->quit.fd, 1);
		pthread_join(p->thread, NULL);
	}
	page_http_close(p->http);
	event_timer_close(&p->timer);
	event_close(&p->quit);
	event_loop_close(p->loop);
	closep(&p->listener);
	forget(p);
	page_api_close(&p->api);
	ask_close(&p->ask);
	free(p);
}
