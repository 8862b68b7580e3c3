// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/status_writer.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum {
	GATHER_MS = 200,   /* so long what is told after the first news is looked at with it */
	TURN_MS = 100,	   /* at most STARTS objects are begun with in one */
	STARTS = 2,	   /* that is twenty a second */
	IN_FLIGHT_MAX = 4, /* objects */
	HOLD_MIN_MS = 500, /* between two writes about one object: more, the more there are */
	HOLD_MAX_MS = 30000,
	REMEMBER_MS = 300000, /* so long after a write it counts for the next one's hold */
	BACKOFF_MIN_MS = 1000,
	BACKOFF_MAX_MS = 60000,
	FORBIDDEN_MS = 300000, /* between two attempts at what is forbidden */
	SETTLE_MS = 10000,     /* so long warnings must have come or gone: pods come and go */
	LOOK_MS = 500,	       /* whether the Lease is to be looked at */
	URL_MAX = 1024,
};

/* An object that is wrong, or whose status says so. */
struct status_entry {
	struct status_entry *next;
	char *key, *path, *api_version, *kind, *namespace, *name;
	bool has_status;
	uint32_t round;		 /* of each() that told of it last */
	struct status_said said; /* what is to be said of it */
	struct status_seen seen; /* what its status says, as far as is known */
	bool event_due;
	bool told;	/* an Event has said it, where the status can't be written */
	bool busy;	/* a request is under way */
	json_t *object; /* as it was read, while it is busy */
	char mark[32];	/* of its Event: the version that the write has made */
	struct status_writer *writer;
	uint64_t settle_ms; /* until then it is not to be written yet */
	uint64_t next_ms;   /* nothing before then */
	uint64_t forget_ms;
	unsigned hold_ms;
};

/* What is written. */
enum { WRITE_STATUS, WRITE_EVENT, WRITE_MAX };

struct status_writer {
	struct status_writer_options options;
	char *node;
	struct lease *lease;
	struct event_timer timer;
	void *tree; /* of entries, by their key */
	struct status_entry *entries;
	uint32_t round;
	bool news;  /* each() is to be called, at news_ms */
	bool known; /* it has told */
	uint64_t news_ms, now_ms;
	uint64_t dirty_ms; /* since when something is to be written; 0: nothing is */
	unsigned delay_ms; /* so long after that this agent looks at the Lease */
	uint64_t blocked_ms, forbidden_ms; /* until then nothing is written, or no status */
	unsigned backoff_ms;
	unsigned in_flight;
	uint64_t written, events;
	char errors[WRITE_MAX][160];
};

static const char merge_type[] = "application/merge-patch+json";
static const char plain_type[] = "application/json";

/* ---- entries ---- */

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct status_entry *)a)->key, ((const struct status_entry *)b)->key);
}

static void entry_free(struct status_entry *e)
{
	if (!e)
		return;
	status_said_free(&e->said);
	status_seen_free(&e->seen);
	json_decref(e->object);
	free(e->key);
	free(e->path);
	free(e->api_version);
	free(e->kind);
	free(e->namespace);
	free(e->name);
	free(e);
}
DEFINE_CLEANUP(struct status_entry *, entry_free);

static struct status_entry *find(struct status_writer *w, const struct status_target *t)
{
	_cleanup_free_ char *key = NULL;
	struct status_entry **at;

	if (asprintf(&key, "%s/%s/%s", t->kind, t->namespace, t->name) < 0) {
		key = NULL;
		return NULL;
	}
	at = tfind(&(struct status_entry){ .key = key }, &w->tree, by_key);
	return at ? *at : NULL;
}

static struct status_entry *entry_new(const struct status_target *t)
{
	_cleanup_(entry_freep) struct status_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->kind = strdup(t->kind);
	e->namespace = strdup(t->namespace);
	e->name = strdup(t->name);
	if (asprintf(&e->key, "%s/%s/%s", t->kind, t->namespace, t->name) < 0)
		e->key = NULL;
	return e->kind && e->namespace && e->name && e->key ? TAKE_PTR(e) : NULL;
}

/* The server may have come to serve it in another version. */
static int entry_locate(struct status_entry *e, const struct status_target *t)
{
	_cleanup_free_ char *path = NULL, *api_version = NULL;

	e->has_status = t->has_status;
	if (e->path && !strcmp(e->path, t->path))
		return 0;
	path = strdup(t->path);
	api_version = strdup(t->api_version);
	if (!path || !api_version)
		return -ENOMEM;
	free(e->path);
	free(e->api_version);
	e->path = TAKE_PTR(path);
	e->api_version = TAKE_PTR(api_version);
	return 0;
}

/* The one that there is, or a new one; NULL when out of memory. */
static struct status_entry *get(struct status_writer *w, const struct status_target *t)
{
	_cleanup_(entry_freep) struct status_entry *made = NULL;
	struct status_entry *e = find(w, t);

	if (!e)
		e = made = entry_new(t);
	if (!e || entry_locate(e, t))
		return NULL;
	if (!made)
		return e;
	if (!tsearch(e, &w->tree, by_key))
		return NULL;
	made = NULL;
	e->writer = w;
	e->next = w->entries;
	w->entries = e;
	return e;
}

/* Something is still to be written. */
static bool is_dirty(const struct status_entry *e)
{
	if (e->writer->now_ms < e->settle_ms)
		return false;
	return e->event_due || (e->has_status && !status_seen_is(&e->seen, &e->said));
}

static void forget_settled(struct status_writer *w)
{
	struct status_entry **at = &w->entries;

	while (*at) {
		struct status_entry *e = *at;

		if (e->busy || e->said.reason || is_dirty(e) || w->now_ms < e->forget_ms ||
		    w->now_ms < e->settle_ms) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		tdelete(e, &w->tree, by_key);
		entry_free(e);
	}
}

/* ---- what the source tells ---- */

static void wake(struct status_writer *w, unsigned ms)
{
	event_timer_set(&w->timer, ms);
}

void status_writer_changed(struct status_writer *w)
{
	if (!w || w->news)
		return;
	w->news = true;
	w->news_ms = w->now_ms + GATHER_MS;
	wake(w, GATHER_MS);
}

/* `said`: what is to be said instead; NULL: nothing. Is taken over. */
static void say(struct status_entry *e, struct status_said *said)
{
	bool warns = (said ? said : &e->said)->verdict == STATUS_WARNED;

	e->settle_ms = warns && (said || e->said.reason) ? e->writer->now_ms + SETTLE_MS : 0;
	status_said_free(&e->said);
	if (said)
		e->said = *said;
	e->event_due = said && !e->has_status;
	e->told = false;
}

int status_writer_want(struct status_writer *w, const struct status_target *t,
		       struct status_said *said)
{
	struct status_entry *e = get(w, t);

	if (!e) {
		status_said_free(said);
		return -ENOMEM;
	}
	e->round = w->round;
	if (status_said_same(&e->said, said)) {
		status_said_free(said);
		return 0;
	}
	say(e, said);
	*said = (struct status_said){ 0 };
	return 0;
}

void status_writer_seen(struct status_writer *w, const struct status_target *t,
			struct status_seen *seen)
{
	struct status_entry *e = w ? find(w, t) : NULL;

	if (w && !e && seen->reason)
		e = get(w, t);
	if (!e) {
		status_seen_free(seen);
		return;
	}
	status_seen_free(&e->seen);
	e->seen = *seen;
	*seen = (struct status_seen){ 0 };
	status_writer_changed(w);
}

/* Asks the source what there is to be said. */
static void refresh(struct status_writer *w)
{
	w->round++;
	w->known = w->options.each(w->options.arg, w);
	w->news = false;
	for (struct status_entry *e = w->entries; e; e = e->next) {
		if (e->round != w->round && e->said.reason)
			say(e, NULL);
	}
}

/* ---- how it goes ---- */

static void note_success(struct status_writer *w, int what)
{
	w->errors[what][0] = 0;
	w->backoff_ms = 0;
	if (what == WRITE_STATUS)
		w->forbidden_ms = 0;
}

/* In the server's words, if it has sent a Status. */
static void note_error(struct status_writer *w, int what, long status, const char *body,
		       size_t size, const char *error)
{
	static const char *const names[] = { "the status of objects", "events" };
	_cleanup_json_ json_t *answer = status ? json_loadb(body, size, 0, NULL) : NULL;
	char text[sizeof(w->errors[what])];

	snprintf(text, sizeof(text), "%s",
		 error ? error : json_get_text(answer, "message", "an answer without a reason"));
	json_clean(text);
	if (!*w->errors[what])
		log_warning("%s can't be written, and `weft status` says so while that is so: %s",
			    names[what], text);
	memcpy(w->errors[what], text, sizeof(text));
}

/* The server, or the way to it, is in trouble: nothing is tried for a while. */
static void back_off(struct status_writer *w)
{
	uint32_t jitter = 0;

	if (getrandom(&jitter, sizeof(jitter), 0) != sizeof(jitter))
		jitter = (uint32_t)w->now_ms;
	w->backoff_ms = w->backoff_ms ? 2 * w->backoff_ms : BACKOFF_MIN_MS;
	if (w->backoff_ms > BACKOFF_MAX_MS)
		w->backoff_ms = BACKOFF_MAX_MS;
	w->blocked_ms = w->now_ms + w->backoff_ms + jitter % w->backoff_ms;
}

/* One that is in force is none of the cluster's incidents. */
static bool has_event(const struct status_entry *e)
{
	return e->said.reason && e->said.verdict != STATUS_WARNED;
}

/* Not now: the more often, the later. */
static void put_off(struct status_entry *e)
{
	uint64_t now = e->writer->now_ms;

	e->hold_ms = now >= e->forget_ms || !e->hold_ms ? HOLD_MIN_MS : 2 * e->hold_ms;
	if (e->hold_ms > HOLD_MAX_MS)
		e->hold_ms = HOLD_MAX_MS;
	e->next_ms = now + e->hold_ms;
	e->forget_ms = now + REMEMBER_MS;
}

static void finish(struct status_entry *e)
{
	json_decref(e->object);
	e->object = NULL;
	e->busy = false;
	e->writer->in_flight--;
	wake(e->writer, 1);
}

/* ---- requests ---- */

static const char *time_text(char text[32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

/* Frees `body`. False: it can't be sent. */
static bool send_request(struct status_writer *w, const char *method, const char *path,
			 const char *type, json_t *body, informer_reply_fn done,
			 struct status_entry *e)
{
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	return (text || !type) && !w->options.request(w->options.server, method, path, type, text,
						      text ? strlen(text) : 0, done, e);
}

/* What can't be had for the moment of a server that is there: HTTP 429, 5xx. */
static bool is_trouble(long status)
{
	return !status || status == 429 || status >= 500;
}

static void posted(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct status_entry *e = arg;
	struct status_writer *w = e->writer;

	if (is_trouble(status)) {
		note_error(w, WRITE_EVENT, status, body, size, error);
		back_off(w);
		finish(e);
		return;
	}
	/* 409: it is there. Others but 403: in a namespace that is gone, or going. */
	if (status == 403 && !strstr(body, "NamespaceTerminating"))
		note_error(w, WRITE_EVENT, status, body, size, error);
	else
		note_success(w, WRITE_EVENT);
	w->events += status == 201;
	e->event_due = false;
	finish(e);
}

static void post_event(struct status_entry *e)
{
	struct status_writer *w = e->writer;
	char path[URL_MAX], now[32];
	const struct status_event event = { .object = e->object,
					    .api_version = e->api_version,
					    .kind = e->kind,
					    .node = w->node,
					    .now = time_text(now),
					    .mark = e->mark };

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/events?fieldManager=weft",
		 status_event_namespace(e->object));
	if (!send_request(w, "POST", path, plain_type, status_event(&event, &e->said), posted, e))
		finish(e);
}

/* Goes on with the Event, if there is to be one. */
static void go_on(struct status_entry *e)
{
	if (e->event_due && e->said.reason && lease_held(e->writer->lease))
		post_event(e);
	else
		finish(e);
}

static void see(struct status_entry *e, const json_t *object)
{
	struct status_seen seen = { 0 };

	if (!json_is_object(object) || status_see(object, &seen))
		return;
	status_seen_free(&e->seen);
	e->seen = seen;
}

/* An Event has to do, once. */
static void tell_instead(struct status_entry *e)
{
	e->event_due = !e->told && has_event(e);
	e->told = true;
}

/* By a definition that has no such status, for one. */
static void refused(struct status_entry *e, long status, const char *body)
{
	if (!e->told)
		log_warning("%s %s/%s does not take a status: HTTP %ld: %.300s", e->kind,
			    e->namespace, e->name, status, body);
	e->next_ms = e->writer->now_ms + FORBIDDEN_MS;
	tell_instead(e);
}

static void written(struct status_entry *e, const char *body, size_t size)
{
	_cleanup_json_ json_t *object = json_loadb(body, size, 0, NULL);

	see(e, object);
	note_success(e->writer, WRITE_STATUS);
	if (e->said.reason && !e->seen.reason) {
		refused(e, 200, "it was dropped");
		return;
	}
	e->writer->written++;
	snprintf(e->mark, sizeof(e->mark), "%s",
		 json_get_text(json_object_get(object, "metadata"), "resourceVersion", ""));
	e->event_due = has_event(e);
}

static void patched(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct status_entry *e = arg;
	struct status_writer *w = e->writer;

	put_off(e);
	if (is_trouble(status)) {
		note_error(w, WRITE_STATUS, status, body, size, error);
		back_off(w);
	} else if (status == 200) {
		written(e, body, size);
	} else if (status == 403) {
		note_error(w, WRITE_STATUS, status, body, size, error);
		w->forbidden_ms = w->now_ms + FORBIDDEN_MS;
		tell_instead(e);
	} else if (status != 409) {
		refused(e, status, body);
	}
	go_on(e);
}

static void patch(struct status_entry *e)
{
	char path[URL_MAX], now[32];

	snprintf(path, sizeof(path), "%s/status?fieldManager=weft", e->path);
	if (!send_request(e->writer, "PATCH", path, merge_type,
			  status_patch(e->object, &e->said, time_text(now)), patched, e))
		finish(e);
}

/* Whether what is known of the object is about what has been read. */
static bool is_judged(const struct status_entry *e)
{
	const struct status_writer_options *o = &e->writer->options;
	const char *version = o->version(o->arg, e->kind, e->namespace, e->name);
	const json_t *metadata = json_object_get(e->object, "metadata");

	return version && !strcmp(version, json_get_text(metadata, "resourceVersion", ""));
}

static void judge(struct status_entry *e)
{
	struct status_writer *w = e->writer;

	if (w->news)
		refresh(w);
	see(e, e->object);
	if (!lease_held(w->lease)) {
		finish(e);
	} else if (!is_judged(e)) {
		put_off(e);
		finish(e);
	} else if (!e->has_status || status_seen_is(&e->seen, &e->said)) {
		go_on(e);
	} else if (w->now_ms >= w->forbidden_ms) {
		patch(e);
	} else {
		tell_instead(e);
		go_on(e);
	}
}

static void got(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct status_entry *e = arg;
	struct status_writer *w = e->writer;

	if (status == 200)
		e->object = json_loadb(body, size, 0, NULL);
	if (json_is_object(e->object)) {
		judge(e);
		return;
	}
	put_off(e);
	if (status != 404 && status != 200)
		note_error(w, WRITE_STATUS, status, body, size, error);
	if (is_trouble(status))
		back_off(w);
	finish(e);
}

static void begin(struct status_entry *e)
{
	e->busy = true;
	e->writer->in_flight++;
	if (!send_request(e->writer, "GET", e->path, NULL, NULL, got, e))
		finish(e);
}

/* ---- the time ---- */

/* When it may be begun with. */
static uint64_t due_ms(const struct status_entry *e)
{
	uint64_t forbidden = e->writer->forbidden_ms;
	bool waits = e->has_status && !e->event_due && (e->told || !e->said.reason);

	return waits && forbidden > e->next_ms ? forbidden : e->next_ms;
}

static bool is_due(const struct status_entry *e)
{
	return !e->busy && is_dirty(e) && e->writer->now_ms >= due_ms(e);
}

static void start_some(struct status_writer *w)
{
	unsigned n = 0;

	if (!lease_held(w->lease) || w->now_ms < w->blocked_ms)
		return;
	for (struct status_entry *e = w->entries; e && n < STARTS; e = e->next)
		if (w->in_flight < IN_FLIGHT_MAX && is_due(e)) {
			begin(e);
			n++;
		}
}

/* Another agent makes the Events. Which ones it has made already can't be seen. */
static void leave_events(struct status_writer *w)
{
	if (!lease_is_others(w->lease))
		return;
	for (struct status_entry *e = w->entries; e; e = e->next)
		e->event_due = false;
}

static void begin_waiting(struct status_writer *w)
{
	uint32_t random = 0;

	w->dirty_ms = w->now_ms;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)w->now_ms;
	w->delay_ms = random % (w->options.spread_ms(w->options.arg) + 1);
}

/* Whether this agent is to hold the Lease, or to go on holding it. */
static void decide(struct status_writer *w, bool dirty, bool wrong)
{
	bool late;

	if (!dirty)
		w->dirty_ms = 0;
	else if (!w->dirty_ms)
		begin_waiting(w);
	late = dirty && w->now_ms - w->dirty_ms >= w->delay_ms;
	lease_want(w->lease, lease_held(w->lease) ? dirty || wrong : late);
}

/* Until the next that may be begun with. */
static unsigned rest_of(const struct status_writer *w, uint64_t next_ms)
{
	if (!lease_held(w->lease))
		return LOOK_MS;
	if (next_ms < w->blocked_ms)
		next_ms = w->blocked_ms;
	return next_ms <= w->now_ms + TURN_MS ? TURN_MS : (unsigned)(next_ms - w->now_ms);
}

/* What there is to do, and when. */
struct work {
	bool dirty, wrong;
	uint64_t next_ms;
	uint64_t settle_ms; /* the next one to settle; UINT64_MAX: none is to */
};

static struct work find_work(const struct status_writer *w)
{
	struct work work = { .next_ms = w->now_ms + BACKOFF_MAX_MS, .settle_ms = UINT64_MAX };

	for (const struct status_entry *e = w->known ? w->entries : NULL; e; e = e->next) {
		work.wrong |= e->said.reason != NULL;
		work.dirty |= is_dirty(e);
		if (is_dirty(e) && due_ms(e) < work.next_ms)
			work.next_ms = due_ms(e);
		if (e->settle_ms > w->now_ms && e->settle_ms < work.settle_ms)
			work.settle_ms = e->settle_ms;
	}
	return work;
}

unsigned status_writer_turn(struct status_writer *w, uint64_t now_ms)
{
	struct work work;
	unsigned rest;

	w->now_ms = now_ms;
	if (w->news && now_ms >= w->news_ms)
		refresh(w);
	leave_events(w);
	if (w->known)
		start_some(w);
	forget_settled(w);
	work = find_work(w);
	decide(w, work.dirty, work.wrong);
	rest = work.dirty ? rest_of(w, work.next_ms) : w->entries ? REMEMBER_MS : 0;
	if (work.settle_ms != UINT64_MAX && (!rest || work.settle_ms - now_ms < rest))
		rest = (unsigned)(work.settle_ms - now_ms);
	return w->news && (!rest || rest > GATHER_MS) ? GATHER_MS : rest;
}

static void fired(void *arg)
{
	struct status_writer *w = arg;
	unsigned next = status_writer_turn(w, clock_ms());

	if (next)
		wake(w, next);
}

/* ---- its life ---- */

static void lease_changed(void *arg, bool held)
{
	struct status_writer *w = arg;

	log_debug("this agent %s writes the status of objects", held ? "now" : "no longer");
	wake(w, 1);
}

json_t *status_writer_status(const struct status_writer *w)
{
	const char *error = "";
	json_int_t pending = 0;

	for (const struct status_entry *e = w->entries; e; e = e->next)
		pending += is_dirty(e);
	for (int i = 0; i < WRITE_MAX && !*error; i++)
		error = w->errors[i];
	if (!*error && pending && !lease_held(w->lease))
		error = lease_error(w->lease);
	return json_pack("{s:b, s:I, s:I, s:I, s:o}", "holder", lease_held(w->lease), "pending",
			 pending, "written", (json_int_t)w->written, "events",
			 (json_int_t)w->events, "error", json_text(error));
}

struct lease *status_writer_lease(struct status_writer *w)
{
	return w->lease;
}

int status_writer_open(const struct status_writer_options *options, struct status_writer **out)
{
	struct status_writer *w = calloc(1, sizeof(*w));
	struct lease_options lease = {
		options->namespace, "weft", options->node, options->request, options->server,
		lease_changed,	    w
	};
	int r = -ENOMEM;

	if (!w)
		return r;
	w->options = *options;
	w->node = strdup(options->node);
	if (w->node)
		r = event_timer_open(options->loop, &w->timer, fired, w);
	if (!r)
		r = lease_open(&lease, options->loop, &w->lease);
	if (r)
		status_writer_close(w);
	else
		*out = w;
	return r;
}

void status_writer_close(struct status_writer *w)
{
	if (!w)
		return;
	while (w->entries) {
		struct status_entry *e = w->entries;

		w->entries = e->next;
		tdelete(e, &w->tree, by_key);
		entry_free(e);
	}
	lease_close(w->lease);
	event_timer_close(&w->timer);
	free(w->node);
	free(w);
}
