// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/reflector.h"
#include "lib/base/cleanup.h"
#include "lib/kube/call.h"

/*
 * The server sends a bookmark every minute or so: a watch that is silent for much longer is dead.
 * It ends each one by itself after five to ten minutes, so that load spreads over servers.
 */
enum {
	STREAM_SILENT_MS = 30000,
	STREAM_MS = 60000, /* in all: changes keep one that never ends from being silent */
	PAGES_SILENT_MS = 60000,
	WATCH_SILENT_MS = 150000,
	WATCH_S = 300,
	PAGE_ITEMS = 500,
	/* Of continue tokens: a list that takes so long is asked for in one piece. */
	EXPIRATIONS_MAX = 2,
};

enum {
	BACKOFF_MS = 500,
	BACKOFF_MAX_MS = 30000,
	FORBIDDEN_MAX_MS = 10000, /* until it may be read */
	/* Until it is defined, 25 s at most: a user who has defined it waits for that, and every
	 * node asks. */
	ABSENT_MAX_MS = 20000,
	CONFIRM_MS = 2000,  /* that it is not there any more */
	FORBIDDEN_SURE = 3, /* a server that is starting may forbid everything */
	WAKE_MS = 250,
	SHORT_MS = 1000, /* a watch of less is not begun again at once */
	LONG_MS = 10000, /* a watch of more is a success */
};

static void begin_list(struct reflector *r);

void reflector_init(struct reflector *r, const struct informer_resource *resource,
		    const struct reflector_sink *sink, uint32_t seed)
{
	*r = (struct reflector){ .resource = resource, .sink = *sink, .random = seed | 1 };
	begin_list(r);
}

/* Versions are decimal numbers. 0: it is none. */
static uint64_t number_of(struct json_span version)
{
	uint64_t n = 0;

	for (size_t i = 0; version.at && i < version.len; i++) {
		if (version.at[i] < '0' || version.at[i] > '9' || n > UINT64_MAX / 100)
			return 0;
		n = 10 * n + (uint64_t)(version.at[i] - '0');
	}
	return n;
}

int reflector_seed(struct reflector *r, struct told_key key, struct json_span version)
{
	uint64_t number = number_of(version);

	r->newest = number > r->newest ? number : r->newest;
	return told_put(&r->told, key, version);
}

void reflector_list_again(struct reflector *r)
{
	begin_list(r);
	r->not_before = 0;
}

void reflector_list_anew(struct reflector *r)
{
	reflector_list_again(r);
	r->went_back = false;
	r->newest = 0;
	r->retells = true;
}

void reflector_free(struct reflector *r)
{
	told_free(&r->told);
	free(r->resource_version);
	free(r->continue_token);
}

/* xorshift32. */
static uint32_t random_below(struct reflector *r, uint32_t limit)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 17;
	r->random ^= r->random << 5;
	return r->random % limit;
}

/* ---- which version ---- */

static const char *version_at(const struct reflector *r, unsigned version)
{
	const char *const *others = r->resource->other_versions;

	return version == 0 ? r->resource->api_version : others ? others[version - 1] : NULL;
}

const char *reflector_api_version(const struct reflector *r)
{
	return version_at(r, r->version);
}

static void put_path(const struct reflector *r, char *out)
{
	if (r->version == 0)
		snprintf(out, REFLECTOR_PATH_MAX, "%s", r->resource->path);
	else
		snprintf(out, REFLECTOR_PATH_MAX, "/apis/%s%s", reflector_api_version(r),
			 strrchr(r->resource->path, '/'));
}

/* ---- what to ask ---- */

__attribute__((format(printf, 2, 3))) static void put(char *path, const char *fmt, ...)
{
	size_t used = strlen(path);
	va_list args;

	va_start(args, fmt);
	vsnprintf(path + used, REFLECTOR_PATH_MAX - used, fmt, args);
	va_end(args);
}

/* Versions and tokens are the server's own: any bytes. */
static void put_escaped(char *path, const char *value)
{
	for (; *value; value++) {
		bool plain = (*value >= '0' && *value <= '9') || (*value >= 'a' && *value <= 'z') ||
			     (*value >= 'A' && *value <= 'Z') || strchr("-._~", *value);

		put(path, plain ? "%c" : "%%%02X", (unsigned char)*value);
	}
}

static void put_watch(struct reflector *r, char *path)
{
	put(path, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u",
	    WATCH_S + random_below(r, WATCH_S));
	if (r->ask == REFLECTOR_STREAM) {
		put(path, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
		return;
	}
	put(path, "&resourceVersion=");
	put_escaped(path, r->resource_version);
}

static void put_page(struct reflector *r, char *path)
{
	if (r->expirations <= EXPIRATIONS_MAX)
		put(path, "limit=%u", PAGE_ITEMS);
	if (r->continue_token) {
		put(path, "&continue=");
		put_escaped(path, r->continue_token);
	}
}

static void ask_for_list(struct reflector *r, unsigned version)
{
	r->version = version;
	r->ask = r->no_stream ? REFLECTOR_PAGES : REFLECTOR_STREAM;
}

/* Each list looks for the first of the versions again. */
static void begin_list(struct reflector *r)
{
	free(r->continue_token);
	r->continue_token = NULL;
	r->begun = r->by_itself = false;
	ask_for_list(r, 0);
	if (r->resource->optional)
		r->ask = REFLECTOR_DISCOVERY;
}

bool reflector_next(struct reflector *r, uint64_t now_ms, char path[REFLECTOR_PATH_MAX])
{
	if (now_ms < r->not_before || reflector_discovers(r))
		return false;
	if (r->ask == REFLECTOR_STREAM || (r->ask == REFLECTOR_PAGES && !r->begun))
		told_begin(&r->told);
	r->begun = true;
	put_path(r, path);
	put(path, "?%s%s", r->resource->query ? r->resource->query : "",
	    r->resource->query ? "&" : "");
	if (r->ask == REFLECTOR_PAGES)
		put_page(r, path);
	else
		put_watch(r, path);
	r->requests++;
	r->watches += r->ask == REFLECTOR_WATCH;
	r->answered = r->bad_event = false;
	r->asked_ms = r->heard_ms = now_ms;
	return true;
}

bool reflector_begins_list(const struct reflector *r)
{
	return r->ask == REFLECTOR_STREAM || (r->ask == REFLECTOR_PAGES && !r->continue_token);
}

bool reflector_is_list(const struct reflector *r)
{
	return r->ask == REFLECTOR_PAGES;
}

uint64_t reflector_deadline(const struct reflector *r)
{
	uint64_t silent = r->heard_ms + STREAM_SILENT_MS, end = r->asked_ms + STREAM_MS;

	switch (r->ask) {
	case REFLECTOR_DISCOVERY:
		return UINT64_MAX;
	case REFLECTOR_STREAM:
		return silent < end ? silent : end;
	case REFLECTOR_PAGES:
		return r->heard_ms + PAGES_SILENT_MS;
	case REFLECTOR_WATCH:
		break;
	}
	/* The head of the answer comes at once. */
	return r->heard_ms + (r->answered ? WATCH_SILENT_MS : STREAM_SILENT_MS);
}

/* ---- how it goes ---- */

static void set_phase(struct reflector *r, enum informer_phase phase, const char *error)
{
	r->changed = r->changed || r->phase != phase || strcmp(r->error, error) != 0;
	r->phase = phase;
	snprintf(r->error, sizeof(r->error), "%s", error);
}

static void succeed(struct reflector *r)
{
	r->failures = 0;
	set_phase(r, INFORMER_SYNCED, "");
}

static uint64_t backoff(struct reflector *r, uint32_t most)
{
	uint32_t ms = r->failures < 8 ? (uint32_t)BACKOFF_MS << r->failures : most;

	ms = ms < most ? ms : most;
	r->failures++;
	/* Half of it either way: agents that were cut off together do not come back together. */
	return ms - ms / 4 + random_below(r, ms / 2);
}

static void fail(struct reflector *r, uint64_t now_ms, enum informer_phase phase, const char *error)
{
	uint32_t most = phase == INFORMER_ABSENT      ? ABSENT_MAX_MS
			: phase == INFORMER_FORBIDDEN ? FORBIDDEN_MAX_MS
						      : BACKOFF_MAX_MS;

	set_phase(r, phase, error);
	r->not_before = now_ms + backoff(r, most);
}

/* Everything that there is has been told: what has not been told of is not there. */
static int finish_list(struct reflector *r)
{
	int err = told_sweep(&r->told, r->sink.gone, r->sink.arg);

	if (err)
		return err;
	r->settled = true;
	r->watches += r->ask == REFLECTOR_STREAM;
	r->lists++;
	r->changed = true; /* it may be of another version than the one before */
	r->expirations = 0;
	r->retells = false;
	r->ask = REFLECTOR_WATCH;
	succeed(r);
	return r->sink.listed(r->sink.arg);
}

/* Of a list that is whole, or an event of a watch: the server has told of no older one before. */
static int set_version(struct reflector *r, struct json_span version)
{
	char *copy = strndup(version.at ? version.at : "", version.len);
	uint64_t number = number_of(version);

	if (!copy)
		return -ENOMEM;
	r->went_back = r->went_back || (number && number < r->newest);
	r->newest = number;
	free(r->resource_version);
	r->resource_version = copy;
	return 0;
}

/* ---- what comes ---- */

void reflector_paused(struct reflector *r, uint64_t ms)
{
	r->asked_ms += ms;
	r->heard_ms += ms;
}

void reflector_heard(struct reflector *r, uint64_t now_ms)
{
	r->heard_ms = now_ms;
}

void reflector_answered(struct reflector *r, uint64_t now_ms, long status, enum kube_format format)
{
	r->heard_ms = now_ms;
	if (status != 200)
		return;
	r->answered = true;
	r->format = format;
	r->refusals = r->forbidden = r->not_found = 0;
	if (r->ask == REFLECTOR_WATCH)
		set_phase(r, INFORMER_SYNCED, "");
}

struct object {
	struct json_span bytes, version;
	struct told_key key;
};

static bool read_object(const struct reflector *r, struct json_span bytes, struct object *out)
{
	struct kube_head head;

	if (!kube_read_head(r->format, bytes, &head))
		return false;
	*out = (struct object){ bytes, head.version, { head.namespace, head.name } };
	return true;
}

/* Another cluster's object may have the same version, and so may one of another history. */
static bool retold(const struct reflector *r)
{
	return (r->resource->anew || r->retells) && r->ask != REFLECTOR_WATCH;
}

static int put_object(struct reflector *r, const struct object *o)
{
	int err;

	if (told_is(&r->told, o->key, o->version) && !retold(r))
		return 0;
	err = r->sink.put(r->sink.arg, o->key, o->version, o->bytes);
	if (err)
		return err;
	r->events++;
	return told_put(&r->told, o->key, o->version);
}

static int remove_object(struct reflector *r, const struct object *o)
{
	char name[512], namespace[512];
	int err;

	if (!told_remove(&r->told, o->key))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)o->key.name.len, o->key.name.at);
	snprintf(namespace, sizeof(namespace), "%.*s", (int)o->key.namespace.len,
		 o->key.namespace.at);
	err = r->sink.gone(r->sink.arg, namespace, name);
	if (err) {
		/* It is known still, in a version that no object has. */
		told_put(&r->told, o->key, (struct json_span){ "", 0 });
		return err;
	}
	r->events++;
	return 0;
}

static int take_bookmark(struct reflector *r, struct json_span object)
{
	struct json_span version;
	bool ends;

	kube_read_bookmark(r->format, object, &version, &ends);
	if (!version.len)
		return -EPROTO;
	if (r->ask == REFLECTOR_STREAM && !ends)
		return 0;
	if (set_version(r, version))
		return -ENOMEM;
	return r->ask == REFLECTOR_STREAM ? finish_list(r) : 0;
}

/* The watch can't go on. */
static int take_error(struct reflector *r, struct json_span object)
{
	_cleanup_(kube_status_free) struct kube_status status = { 0 };
	char error[KUBE_ERROR_MAX];

	r->bad_event = true;
	kube_status_text(200, object.at, object.len, error);
	snprintf(r->error, sizeof(r->error), "%s", error);
	r->changed = true;
	/* What it has is too old, which is nobody's fault: it is listed anew, at once. */
	if (kube_read_status(object.at, object.len, &status) && status.code == 410)
		set_phase(r, INFORMER_CONNECTING, "");
	return -ECANCELED;
}

static int take_change(struct reflector *r, struct json_span bytes, bool gone)
{
	struct object o;
	int err;

	if (!read_object(r, bytes, &o))
		return -EPROTO;
	err = gone ? remove_object(r, &o) : put_object(r, &o);
	/* Until a streamed list has ended there is no version to go on from. */
	if (err || r->ask == REFLECTOR_STREAM)
		return err;
	succeed(r);
	return set_version(r, o.version);
}

static int take_event(struct reflector *r, struct json_span bytes)
{
	struct kube_watch_event event;

	if (!kube_read_event(r->format, bytes, &event))
		return -EPROTO;
	if (json_span_is(event.type, "ADDED") || json_span_is(event.type, "MODIFIED"))
		return take_change(r, event.object, false);
	if (json_span_is(event.type, "DELETED"))
		return take_change(r, event.object, true);
	if (json_span_is(event.type, "BOOKMARK"))
		return take_bookmark(r, event.object);
	if (json_span_is(event.type, "ERROR"))
		return take_error(r, event.whole);
	return -EPROTO;
}

int reflector_value(struct reflector *r, const char *bytes, size_t size)
{
	struct json_span span = { bytes, size };
	struct object o;

	if (r->ask != REFLECTOR_PAGES)
		return take_event(r, span);
	return read_object(r, span, &o) ? put_object(r, &o) : -EPROTO;
}

/* ---- what it has come to ---- */

static const char *value_error(int err)
{
	switch (err) {
	case -EFBIG:
		return "the API server sent an object of more than 16 MiB";
	case -ENOMEM:
		return "out of memory";
	case -EOPNOTSUPP:
		return "the API server has fields that weft knows no name of: it is asked for JSON";
	}
	return "the API server sent what is no object";
}

/* What is around the items of a page. */
static int end_page(struct reflector *r, const struct reflector_end *end)
{
	_cleanup_(kube_list_end_free) struct kube_list_end page = { 0 };
	int err = kube_read_list_end(r->format, (struct json_span){ end->body, end->size }, &page);

	if (err)
		return err;
	free(r->continue_token);
	r->continue_token = *page.more ? TAKE_PTR(page.more) : NULL;
	if (r->continue_token)
		return 0;
	err = set_version(r, (struct json_span){ page.version, strlen(page.version) });
	return err ? err : finish_list(r);
}

static void end_list(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	int err = end->complete && !end->r ? end_page(r, end) : end->r;

	if (!err && end->complete)
		return;
	begin_list(r);
	fail(r, now_ms, INFORMER_CONNECTING, err ? value_error(err) : end->error);
}

static void end_stream(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	/* A server that does not know how to stream a list watches from now on, and says nothing.
	 */
	if (!end->r && (end->complete || now_ms >= reflector_deadline(r)))
		r->no_stream = true;
	begin_list(r);
	fail(r, now_ms, INFORMER_CONNECTING,
	     end->r	     ? value_error(end->r)
	     : end->complete ? "the API server ended a streamed list early"
			     : end->error);
}

static void end_watch(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	uint64_t lasted = now_ms - r->asked_ms;

	if (lasted >= LONG_MS)
		r->failures = 0;
	if (end->r) {
		begin_list(r);
		fail(r, now_ms, INFORMER_CONNECTING, value_error(end->r));
	} else if (!end->complete && now_ms < reflector_deadline(r)) {
		fail(r, now_ms, INFORMER_CONNECTING, end->error);
	} else if (lasted < SHORT_MS) {
		r->not_before = now_ms + backoff(r, BACKOFF_MAX_MS);
	}
	if (r->resource->anew)
		begin_list(r);
}

static void end_by_error_event(struct reflector *r, uint64_t now_ms)
{
	char error[REFLECTOR_ERROR_MAX];

	begin_list(r);
	if (!*r->error && r->failures == 0) {
		r->failures++;
		return;
	}
	snprintf(error, sizeof(error), "%s", r->error);
	fail(r, now_ms, INFORMER_CONNECTING, error);
}

static void end_too_old(struct reflector *r, uint64_t now_ms, const char *error)
{
	bool page = r->ask == REFLECTOR_PAGES && r->continue_token;

	r->expirations += page;
	begin_list(r);
	if (r->failures++ > 0 && !page)
		fail(r, now_ms, INFORMER_CONNECTING, error);
}

/* All objects that there were went with their definition. */
static void set_absent(struct reflector *r, uint64_t now_ms)
{
	int err = 0;

	if (r->phase != INFORMER_ABSENT || r->told.count) {
		told_begin(&r->told);
		err = told_sweep(&r->told, r->sink.gone, r->sink.arg);
		r->settled = r->settled || !err;
		err = err ? err : r->sink.listed(r->sink.arg);
	}
	fail(r, now_ms, err ? INFORMER_CONNECTING : INFORMER_ABSENT, err ? value_error(err) : "");
}

/* Rules are not dropped for one answer of a server that is just starting. */
static void not_found(struct reflector *r, uint64_t now_ms, const char *error)
{
	if (r->resource->optional && r->not_found++ > 0) {
		set_absent(r, now_ms);
		return;
	}
	fail(r, now_ms, INFORMER_CONNECTING, error);
	if (r->told.count && r->not_before < now_ms + CONFIRM_MS)
		r->not_before = now_ms + CONFIRM_MS;
}

static void end_absent(struct reflector *r, uint64_t now_ms, const char *error)
{
	unsigned next = r->version + 1;
	bool discovered = r->resource->optional && !r->by_itself;

	begin_list(r);
	if (discovered) {
		/* Discovery knows it from now on: the definition has gone, or is only just there.
		 */
		if (r->failures++ > 0)
			fail(r, now_ms, INFORMER_CONNECTING, error);
	} else if (version_at(r, next)) {
		ask_for_list(r, next);
		r->by_itself = true;
	} else {
		not_found(r, now_ms, error);
	}
}

static void end_forbidden(struct reflector *r, uint64_t now_ms, const char *error)
{
	r->settled = r->settled || ++r->forbidden >= FORBIDDEN_SURE;
	fail(r, now_ms, INFORMER_FORBIDDEN, error);
}

/* The caller has looked for another token meanwhile. */
static void end_unauthorized(struct reflector *r, uint64_t now_ms, const char *error)
{
	if (r->refusals++ > 0)
		fail(r, now_ms, INFORMER_CONNECTING, error);
}

static void end_busy(struct reflector *r, uint64_t now_ms, const struct reflector_end *end,
		     const char *error)
{
	/* It may be the version that the server does not take: after etcd was restored it is ahead
	 * of the server's. */
	if (r->ask == REFLECTOR_WATCH && end->status != 429 && end->status != 503)
		begin_list(r);
	fail(r, now_ms, INFORMER_CONNECTING, error);
	if (r->not_before < now_ms + end->retry_after_ms)
		r->not_before = now_ms + end->retry_after_ms + random_below(r, BACKOFF_MS);
}

static void end_refused(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	char error[KUBE_ERROR_MAX];

	kube_status_text(end->status, end->body, end->size, error);
	if (end->status != 401)
		r->refusals = 0;
	if ((end->status == 400 || end->status == 422) && r->ask == REFLECTOR_STREAM) {
		r->no_stream = true;
		begin_list(r);
	} else if (end->status == 401) {
		end_unauthorized(r, now_ms, error);
	} else if (end->status == 403) {
		end_forbidden(r, now_ms, error);
	} else if (end->status == 404) {
		end_absent(r, now_ms, error);
	} else if (end->status == 410) {
		end_too_old(r, now_ms, error);
	} else {
		end_busy(r, now_ms, end, error);
	}
}

void reflector_end(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	r->unreachable = !r->bad_event && !end->complete && !end->r;
	if (r->unreachable && r->resource->anew) {
		begin_list(r);
		fail(r, now_ms, INFORMER_CONNECTING, end->error);
	} else if (r->bad_event) {
		end_by_error_event(r, now_ms);
	} else if (end->status == 0) {
		fail(r, now_ms, INFORMER_CONNECTING, end->error);
	} else if (end->status != 200) {
		end_refused(r, now_ms, end);
	} else if (r->ask == REFLECTOR_PAGES) {
		end_list(r, now_ms, end);
	} else if (r->ask == REFLECTOR_STREAM) {
		end_stream(r, now_ms, end);
	} else {
		end_watch(r, now_ms, end);
	}
}

/* ---- which version the server has ---- */

bool reflector_discovers(const struct reflector *r)
{
	return r->ask == REFLECTOR_DISCOVERY;
}

/* A server that is just starting does not tell of all that it has, but answers with 503 where it
 * would with 404 later. */
static void ask_by_itself(struct reflector *r)
{
	ask_for_list(r, 0);
	r->by_itself = true;
}

bool reflector_discovered(struct reflector *r, uint64_t now_ms, int version)
{
	bool absent = r->phase == INFORMER_ABSENT;

	if (!reflector_discovers(r))
		return false;
	if (version != REFLECTOR_NONE) {
		ask_for_list(r, (unsigned)version);
		r->not_before = now_ms;
		if (absent) {
			r->failures = 0;
			set_phase(r, INFORMER_CONNECTING, "");
		}
		return absent;
	}
	/* What it is known to have had is surely gone only after a while. */
	if (now_ms < r->not_before && r->told.count)
		return false;
	if (absent)
		not_found(r, now_ms, "the API server does not have the resource");
	else
		ask_by_itself(r);
	return false;
}

void reflector_undiscovered(struct reflector *r, uint64_t now_ms, const struct reflector_end *end)
{
	if (!reflector_discovers(r) || now_ms < r->not_before)
		return;
	if (end->status == 0 || end->status == 401 || end->status == 429 || end->status == 503) {
		r->bad_event = false; /* that was the last watch's */
		reflector_end(r, now_ms, end);
		return;
	}
	/* It is not allowed, or not known to an older server. */
	ask_by_itself(r);
}

void reflector_expect(struct reflector *r, uint64_t now_ms)
{
	if (r->phase != INFORMER_ABSENT || !reflector_discovers(r))
		return;
	r->failures = 0;
	r->not_before = now_ms + BACKOFF_MS;
}

void reflector_wake(struct reflector *r, uint64_t now_ms)
{
	if (!r->unreachable)
		return;
	r->unreachable = false;
	if (r->not_before > now_ms + WAKE_MS)
		r->not_before = now_ms + random_below(r, WAKE_MS);
}
