// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/source/informer_priv.h"
#include "lib/base/clock.h"

enum { BODY_MAX = 64 << 10, BATCH_MAX = 256 << 10 };

/* ---- what is told ---- */

static void show_counts(struct informer_watch *w)
{
	const struct reflector *r = &w->reflector;

	atomic_store(&w->counts[COUNT_REQUESTS], r->requests);
	atomic_store(&w->counts[COUNT_LISTS], r->lists);
	atomic_store(&w->counts[COUNT_WATCHES], r->watches);
	atomic_store(&w->counts[COUNT_EVENTS], r->events);
	atomic_store(&w->counts[COUNT_BYTES], w->bytes);
}

void informer_put(struct informer *i, struct informer_message *m)
{
	bool gathers = m->kind == MESSAGE_EVENTS && i->synced;
	uint64_t before = clock_ms(), waited;

	informer_queue_put(&i->queue, m, gathers ? i->sink.gather_ms : 0);
	waited = clock_ms() - before;
	for (size_t k = 0; k < i->count; k++)
		reflector_paused(&i->watches[k].reflector, waited);
}

static void flush_events(struct informer *i)
{
	struct informer_message *batch = i->batch;

	i->batch = NULL;
	if (batch && batch->records.count)
		informer_put(i, batch);
	else
		informer_message_free(batch);
}

static int put_text(struct buffer *b, struct json_span text)
{
	return buffer_add(b, text.at, text.len) || buffer_add(b, "", 1) ? -ENOMEM : 0;
}

static int put_key(struct buffer *b, struct told_key key, struct json_span version)
{
	return put_text(b, key.namespace) || put_text(b, key.name) || put_text(b, version) ? -ENOMEM
											   : 0;
}

static unsigned place(const struct informer_watch *w)
{
	return (unsigned)(w - w->informer->watches);
}

static struct informer_message *batch(struct informer *i)
{
	if (i->batch && i->batch->bytes.size > BATCH_MAX)
		flush_events(i);
	if (!i->batch)
		i->batch = informer_message_new(MESSAGE_EVENTS);
	return i->batch;
}

static int add_record(struct informer_message *m, struct informer_record record)
{
	struct informer_record *r = table_push(&m->records);

	if (!r)
		return -ENOMEM;
	*r = record;
	return 0;
}

static int tell_put(void *arg, struct told_key key, struct json_span version,
		    struct json_span object)
{
	struct informer_watch *w = arg;
	struct informer_message *m = batch(w->informer);
	size_t at = m ? m->bytes.size : 0, json;
	int r = m ? put_key(&m->bytes, key, version) : -ENOMEM;

	if (r)
		return r;
	json = m->bytes.size;
	r = object_fields_keep(w->fields, w->reflector.format, object,
			       reflector_api_version(&w->reflector), w->reflector.resource->kind,
			       &m->bytes);
	if (!r)
		r = add_record(m, (struct informer_record){ place(w), INFORMER_PUT, at,
							    m->bytes.size - json });
	if (!r)
		r = buffer_add(&m->bytes, "", 1);
	if (r)
		m->bytes.size = at;
	return r;
}

static int tell_gone(void *arg, const char *namespace, const char *name)
{
	struct informer_watch *w = arg;
	struct informer_message *m = batch(w->informer);
	size_t at = m ? m->bytes.size : 0;

	if (!m || put_key(&m->bytes, told_key(namespace, name), (struct json_span){ "", 0 }) ||
	    put_text(&m->bytes, (struct json_span){ "", 0 }))
		return -ENOMEM;
	return add_record(m, (struct informer_record){ place(w), INFORMER_GONE, at, 0 });
}

static int tell_listed(void *arg)
{
	struct informer_watch *w = arg;

	w->informer->list_told = true;
	return 0;
}

static void tell_status(struct informer_watch *w)
{
	struct reflector *r = &w->reflector;
	struct informer_message *m;

	show_counts(w);
	if (!r->changed)
		return;
	m = informer_message_new(MESSAGE_STATUS);
	if (!m)
		return; /* It is tried again. */
	r->changed = false;
	m->resource = place(w);
	m->status.phase = r->phase;
	m->status.since = time(NULL);
	m->status.api_version = reflector_api_version(r);
	snprintf(m->status.error, sizeof(m->status.error), "%s", r->error);
	informer_put(w->informer, m);
}

static bool all_settled(const struct informer *i)
{
	for (size_t k = 0; k < i->count; k++)
		if (!i->watches[k].reflector.settled)
			return false;
	return true;
}

static void tell_synced(struct informer *i)
{
	struct informer_message *m;

	if ((i->synced && !i->list_told) || !all_settled(i))
		return;
	m = informer_message_new(MESSAGE_SYNCED);
	if (!m)
		return;
	informer_put(i, m);
	i->synced = true;
	i->list_told = false;
}

void informer_flush(struct informer *i)
{
	flush_events(i);
	for (size_t k = 0; k < i->count; k++)
		tell_status(&i->watches[k]);
	tell_synced(i);
}

/* ---- what comes ---- */

static int take_value(void *arg, const char *bytes, size_t size)
{
	struct informer_watch *w = arg;

	return reflector_value(&w->reflector, bytes, size);
}

static bool is_proto(const struct informer_watch *w)
{
	return w->reflector.format == KUBE_PROTO;
}

/* A new answer comes. */
static void reset_stream(struct informer_watch *w)
{
	bool list = reflector_is_list(&w->reflector);

	json_stream_free(&w->json);
	proto_stream_free(&w->proto);
	w->json = (struct json_stream){ .mode = list ? JSON_STREAM_LIST : JSON_STREAM_VALUES };
	w->proto = (struct proto_stream){ .mode = list ? PROTO_STREAM_LIST : PROTO_STREAM_FRAMES };
}

static int feed_stream(struct informer_watch *w, const char *bytes, size_t size)
{
	return is_proto(w) ? proto_stream_feed(&w->proto, bytes, size, take_value, w)
			   : json_stream_feed(&w->json, bytes, size, take_value, w);
}

static bool stream_is_complete(const struct informer_watch *w)
{
	return is_proto(w) ? proto_stream_complete(&w->proto) : json_stream_complete(&w->json);
}

static size_t take_header(char *line, size_t one, size_t size, void *arg)
{
	struct informer_watch *w = arg;
	struct informer *i = w->informer;
	uint64_t now = clock_ms();
	const char *type = NULL;

	(void)one;
	/* The empty line behind them. */
	if (size > 2 || *line != '\r')
		return size;
	curl_easy_getinfo(w->transfer.kube.easy, CURLINFO_RESPONSE_CODE, &w->status);
	curl_easy_getinfo(w->transfer.kube.easy, CURLINFO_CONTENT_TYPE, &type);
	reflector_answered(&w->reflector, now, w->status, kube_format_of(type));
	for (size_t k = 0; k < i->count; k++)
		if (!i->watches[k].busy)
			reflector_wake(&i->watches[k].reflector, now);
	return size;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
	struct informer_watch *w = arg;

	(void)one;
	w->bytes += size;
	reflector_heard(&w->reflector, clock_ms());
	if (w->status == 200)
		w->r = feed_stream(w, bytes, size);
	else if (w->body.size + size <= BODY_MAX)
		w->r = buffer_add(&w->body, bytes, size);
	return w->r ? 0 : size;
}

/* ---- the request ---- */

static void release(struct informer_watch *w)
{
	reset_stream(w);
	buffer_free(&w->body);
	w->busy = false;
}

static void finish(struct informer_watch *w, const struct reflector_end *how)
{
	if (how->r == -EOPNOTSUPP)
		w->accept = NULL;
	reflector_end(&w->reflector, clock_ms(), how);
	release(w);
}

static void over(struct informer_transfer *t, CURLcode code)
{
	struct informer_watch *w = (struct informer_watch *)t;
	struct informer *i = w->informer;
	char error[KUBE_ERROR_MAX] = "the connection ended in the middle of an object",
	     ignored[KUBE_ERROR_MAX];
	struct buffer *rest = is_proto(w) ? &w->proto.rest : &w->json.rest,
		      *body = w->status == 200 ? rest : &w->body;
	struct reflector_end how = { .status = w->status,
				     .complete = code == CURLE_OK,
				     .error = error,
				     .r = w->r,
				     .body = body->bytes,
				     .size = body->size };
	curl_off_t retry_after = 0;

	if (code != CURLE_OK)
		kube_transfer_error(&t->kube, i->config, code, error);
	else if (w->status == 200)
		how.complete = stream_is_complete(w);
	curl_easy_getinfo(t->kube.easy, CURLINFO_RETRY_AFTER, &retry_after);
	how.retry_after_ms = 1000 * (uint64_t)retry_after;
	/* The next try shows another token, if there is one; else it is told what is wrong. */
	if (w->status == 401)
		kube_credentials_renew(i->credentials, true, ignored);
	finish(w, &how);
}

static void give_up(struct informer_watch *w, uint64_t now)
{
	char error[KUBE_ERROR_MAX];
	struct reflector_end how = { .status = w->status, .error = error };

	snprintf(error, sizeof(error), "nothing was heard of the API server at %s for %u seconds",
		 w->informer->config->server, (unsigned)((now - w->reflector.heard_ms) / 1000));
	curl_multi_remove_handle(w->informer->multi, w->transfer.kube.easy);
	finish(w, &how);
}

static int open_transfer(struct informer_watch *w)
{
	struct kube_request request = { .method = "GET", .path = w->path, .accept = w->accept };
	struct informer *i = w->informer;
	CURL *easy;

	if (kube_transfer_open(&w->transfer.kube, i->config, i->credentials, &request))
		return -ENOMEM;
	easy = w->transfer.kube.easy;
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, w);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, w);
	return informer_transfer_start(i, &w->transfer, over);
}

static void begin(struct informer_watch *w)
{
	char error[KUBE_ERROR_MAX] = "out of memory";
	struct reflector_end failed = { .error = error };

	informer_past_asked(w);
	w->status = 0;
	w->r = 0;
	reset_stream(w);
	w->busy = true;
	if (kube_credentials_renew(w->informer->credentials, false, error) || open_transfer(w))
		finish(w, &failed);
}

void informer_watch_turn(struct informer_watch *w, uint64_t now)
{
	if (w->busy && now >= reflector_deadline(&w->reflector))
		give_up(w, now);
	if (!w->busy && reflector_next(&w->reflector, now, w->path))
		begin(w);
}

uint64_t informer_watch_deadline(const struct informer_watch *w)
{
	return w->busy || reflector_discovers(&w->reflector) ? reflector_deadline(&w->reflector)
							     : w->reflector.not_before;
}

void informer_watch_cancel(struct informer_watch *w)
{
	if (w->busy)
		curl_multi_remove_handle(w->informer->multi, w->transfer.kube.easy);
	release(w);
}

/* ---- its life ---- */

int informer_watch_open(struct informer *i, unsigned resource,
			const struct informer_resource *definition)
{
	struct informer_watch *w = &i->watches[resource];
	const struct reflector_sink sink = { tell_put, tell_gone, tell_listed, w };
	/* What is kept wholly is kept as it stands in JSON. */
	const struct proto_message *message =
		definition->fields ? proto_kind(definition->api_version, definition->kind) : NULL;
	uint32_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint32_t)clock_ns();
	w->informer = i;
	reflector_init(&w->reflector, definition, &sink, seed);
	w->served = REFLECTOR_NONE;
	w->shown.api_version = definition->api_version;
	w->shown.since = time(NULL);
	w->accept = message ? KUBE_PROTO_TYPE ",application/json" : NULL;
	return object_fields_new(definition->fields, message, &w->fields);
}

void informer_watch_close(struct informer_watch *w)
{
	if (w->busy)
		curl_multi_remove_handle(w->informer->multi, w->transfer.kube.easy);
	kube_transfer_close(&w->transfer.kube);
	json_stream_free(&w->json);
	proto_stream_free(&w->proto);
	buffer_free(&w->body);
	object_fields_free(w->fields);
	reflector_free(&w->reflector);
}
