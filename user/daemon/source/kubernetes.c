// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/kubernetes.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/schema/object_text.h"
#include "lib/schema/parse.h"
#include "lib/schema/stand_in.h"

enum {
	WINDOW_MS = 50,	 /* so long what comes after the first event goes with it */
	HOLD_MS = 10000, /* with a cache: so long for the rest of the first lists */
	RETRY_MS = 2000, /* a change that could not be carried out */
};

/* ---- what is wrong ---- */

static bool is_new(const struct errors *was, const struct errors *is)
{
	const char *a = was->count ? was->items[0].text : NULL;
	const char *b = is->count ? is->items[0].text : NULL;

	return b && (!a || strcmp(a, b) != 0);
}

static void tell(struct kube_source *s, const struct kube_object *o, const struct errors *errors)
{
	const struct kube_kind *k = &kube_kinds[o->kind];

	if (k->kind >= 0)
		log_warning("%s; it is %s", errors->items[0].text, kube_object_effect(o));
	else if (!(s->told & 1ull << o->kind))
		log_warning("%s; this is said once, and for as long as there are any in `weft "
			    "status`",
			    errors->items[0].text);
	if (k->kind < 0)
		s->told |= 1ull << o->kind;
}

void kube_source_blame(struct kube_source *s, struct kube_object *o, struct errors *errors)
{
	bool news = is_new(&o->errors, errors);

	s->bad += !o->errors.count;
	errors_free(&o->errors);
	errors_move(&o->errors, errors);
	/* It is wrong even if there is no memory for why. */
	if (!o->errors.count)
		s->bad--;
	else if (news)
		tell(s, o, &o->errors);
	status_writer_changed(s->writer);
}

void kube_source_acquit(struct kube_source *s, struct kube_object *o)
{
	char text[KUBE_TEXT_MAX];

	if (!o->errors.count)
		return;
	s->bad--;
	if (!o->gone)
		log_info("%s: is right, and in force", kube_object_text(o, text, sizeof(text)));
	errors_free(&o->errors);
	status_writer_changed(s->writer);
}

struct kube_object *kube_source_blamed(const struct kube_source *s, const struct error *e)
{
	_cleanup_free_ char *at = e->text ? strndup(e->text, e->place) : NULL;
	char *slash = at ? strchr(at, '/') : NULL, *name = slash ? strrchr(at, '/') : NULL;
	int kind = slash ? kube_kind_of_word(at, (size_t)(slash - at)) : -1;

	if (kind < 0)
		return NULL;
	*name++ = 0;
	return kube_objects_find(&s->objects, (unsigned)kind, name > slash + 1 ? slash + 1 : "",
				 name);
}

/* ---- the cache ---- */

static void note(struct kube_source *s, const struct kube_object *o, const struct object *object,
		 bool bad)
{
	_cleanup_free_ char *printed = NULL;
	struct kube_record r = { .resource = kube_kinds[o->kind].plural,
				 .namespace = o->namespace,
				 .name = o->name,
				 .version = o->version,
				 .bad = bad };

	if (object)
		r.object = printed = object_json_text(object, &r.size);
	else
		r.object = o->text;
	if (!object && o->text)
		r.size = o->size;
	if (r.object || o->gone)
		kube_cache_put(s->cache, &r);
}

void kube_source_note(struct kube_source *s, const struct kube_object *o)
{
	if (o->gone)
		note(s, o, NULL, false);
	else if (o->newest || o->text)
		note(s, o, o->newest, true);
	else if (o->live)
		note(s, o, o->live, false);
}

/* As short as it can be: the version that is in force, and behind it the one that should be. */
static void compact(struct kube_source *s)
{
	kube_cache_rewrite(s->cache);
	kube_cluster_note(s);
	kube_objects_each(&s->objects, o, after)
	{
		if (o->gone)
			continue;
		if (o->live && !o->live->stands_in)
			note(s, o, o->live, false);
		if (o->newest || o->text)
			note(s, o, o->newest, true);
	}
	kube_cache_rewritten(s->cache);
}

static void write_cache(struct kube_source *s)
{
	if (kube_cache_wants_compaction(s->cache))
		compact(s);
	kube_cache_flush(s->cache);
}

/* ---- the next change ---- */

int kube_source_queue(struct kube_source *s, struct kube_object *o)
{
	size_t room = s->pending_room ? 2 * s->pending_room : 64;
	struct kube_object **items;

	if (o->pending)
		return 0;
	if (s->pending_count == s->pending_room) {
		items = realloc(s->pending, room * sizeof(struct kube_object *));
		if (!items)
			return -ENOMEM;
		s->pending = items;
		s->pending_room = room;
	}
	s->pending[s->pending_count++] = o;
	o->pending = true;
	return 0;
}

void kube_source_forget(struct kube_source *s, struct kube_object *o)
{
	if (!o->gone || o->live || o->pending || o->in_change)
		return;
	kube_source_acquit(s, o);
	kube_objects_remove(&s->objects, o);
}

void kube_source_schedule(struct kube_source *s, unsigned ms)
{
	if (!s->scheduled)
		event_timer_set(&s->window, ms);
	s->scheduled = true;
}

/* In place of a later one that is set already. */
static void schedule_now(struct kube_source *s)
{
	s->scheduled = false;
	kube_source_schedule(s, 1);
}

static void complete(struct kube_source *s)
{
	if (s->replaced)
		compact(s);
	s->replaced = false;
	if (!s->complete)
		log_info("the API server has told of %zu objects, and they are in force",
			 s->objects.count);
	s->complete = true;
	malloc_trim(0); /* what the lists, and a generation of everything, have needed */
	s->since = time(NULL);
	status_writer_changed(s->writer);
}

static void log_failure(int r, const struct change_report *report)
{
	if (r == -ECANCELED)
		return;
	for (size_t i = 0; i < report->errors.count; i++)
		if (!report->errors.items[i].warning)
			log_warning("%s", report->errors.items[i].text);
	log_err(r, "carry out a change of the cluster's objects");
}

static void done(void *arg, int r, struct change_report *report)
{
	struct kube_source *s = arg;
	struct kube_change *c = s->on_its_way;

	if (r)
		log_failure(r, report);
	kube_change_done(c, r);
	s->on_its_way = NULL;
	if (!r && kube_change_base(c)->completes)
		complete(s);
	if (!r)
		kube_report_change(s);
	write_cache(s);
	if (r == -ECANCELED) /* weftd ends */
		return;
	if (r)
		kube_source_schedule(s, RETRY_MS);
	else if (s->late)
		schedule_now(s);
	s->late = false;
}

static void begin(void *arg)
{
	struct kube_source *s = arg;
	struct kube_change *c;
	int r;

	s->scheduled = false;
	if (s->on_its_way) {
		s->late = true;
		return;
	}
	if (!s->synced && !s->cached)
		return;
	r = kube_change_new(s, &c);
	if (r < 0) {
		log_err(r, "take over what the API server has told");
		kube_source_schedule(s, RETRY_MS);
	}
	if (r)
		return;
	s->on_its_way = c;
	s->options.submit(s->options.arg, kube_change_base(c), done, s);
}

/* ---- what the server tells ---- */

/* What weft does not carry out is an error for as long as it is there. */
static int refuse_kind(const struct kube_object *o, struct errors *errors)
{
	char text[KUBE_TEXT_MAX];

	errors_add(errors, kube_object_text(o, text, sizeof(text)), (struct pos){ 0 },
		   "weft does not carry out %s", kube_kinds[o->kind].name);
	return -EINVAL;
}

static bool is_object(const struct objects *objects, const struct kube_object *o)
{
	struct object_id id = kube_object_id(o);

	return objects->count == 1 && object_is(objects->items[0], &id);
}

/* 0, -EINVAL with errors, -ENOMEM. */
static int decode(const struct kube_object *o, const char *json, size_t size, struct object **out,
		  struct errors *errors)
{
	const struct parse_options how = { .compact = true };
	_cleanup_(objects_free) struct objects objects = { 0 };
	char text[KUBE_TEXT_MAX];
	int r;

	if (kube_kinds[o->kind].kind < 0)
		return refuse_kind(o, errors);
	kube_object_text(o, text, sizeof(text));
	r = rules_parse_with(&how, text, json, size, &objects, errors, NULL);
	if (!r && !is_object(&objects, o)) {
		errors_add(errors, text, (struct pos){ 0 },
			   "expected the %s of that name from the API server, not something else",
			   kube_kinds[o->kind].name);
		r = -EINVAL;
	}
	if (!r)
		*out = TAKE_PTR(objects.items[0]);
	if (!r)
		objects.count = 0;
	return r;
}

static void drop_newest(struct kube_object *o)
{
	object_free(TAKE_PTR(o->newest));
	object_free(TAKE_PTR(o->stand_in));
	free(TAKE_PTR(o->text));
}

static int set_version(struct kube_object *o, const char *version)
{
	char *copy = strdup(version ? version : "");

	if (!copy)
		return -ENOMEM;
	free(o->version);
	o->version = copy;
	return 0;
}

static int keep_text(struct kube_object *o, const char *json, size_t size)
{
	o->text = malloc(size + 1);
	if (!o->text)
		return -ENOMEM;
	memcpy(o->text, json, size);
	o->text[size] = 0;
	o->size = size;
	return 0;
}

static void own_errors(const struct kube_object *o, struct errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		if (!errors->items[i].namespace && *o->namespace)
			errors->items[i].namespace = strdup(o->namespace);
}

/* Whether what is in force is no worse than a stand-in: a policy's rules stay as they last were
 * while it is about the same pods, and a pod's addresses stay when others can't be read. */
static bool live_is_better(const struct kube_object *o, const struct object *stand_in)
{
	if (!o->live)
		return false;
	if (o->live->kind == KIND_POD)
		return !stand_in->pod.ips.count && o->live->pod.ips.count;
	return stand_in_selects_same(stand_in, o->live);
}

/* Puts what takes the place of the text into *out: NULL if what is in force stays, or nothing
 * does. */
static int make_stand_in(const struct kube_object *o, struct object **out)
{
	struct object *object = NULL;
	char text[KUBE_TEXT_MAX];
	const struct unreadable from = { .kind = (enum kind)kube_kinds[o->kind].kind,
					 .file = kube_object_text(o, text, sizeof(text)),
					 .namespace = o->namespace,
					 .name = o->name,
					 .json = o->text,
					 .size = o->size };
	int r = kube_kinds[o->kind].kind < 0 ? -ENOENT : stand_in_make(&from, &object);

	if (!r && !live_is_better(o, object))
		*out = TAKE_PTR(object);
	object_free(object);
	return r == -ENOENT ? 0 : r;
}

/* It can't be read: what is in force of it stays, or something else takes its place. */
static int take_unreadable(struct kube_source *s, struct kube_object *o, const char *json,
			   size_t size, struct errors *errors)
{
	int r = keep_text(o, json, size);

	if (!r)
		r = make_stand_in(o, &o->stand_in);
	own_errors(o, errors);
	kube_source_blame(s, o, errors);
	return r;
}

/* Takes over `object`. */
static int take_object(struct kube_source *s, struct kube_object *o, struct object *object)
{
	bool same = o->live && !o->in_change && object_same(o->live, object);

	if (!same) {
		o->newest = object;
		return kube_source_queue(s, o);
	}
	/* What weft reads of it is as it was. */
	object_free(object);
	if (o->errors.count) {
		kube_source_acquit(s, o);
		kube_source_note(s, o);
	}
	return 0;
}

/* What is not in force, or not yet, is told again, for its status or what weft does not keep of it.
 */
static bool is_known(const struct kube_object *o, const struct object *object)
{
	return !o->gone && o->newest && object_same(o->newest, object);
}

static int take_new(struct kube_source *s, struct kube_object *o, const char *json, size_t size)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct object *object = NULL;
	int r = decode(o, json, size, &object, &errors);

	o->foreign = false;
	if (!r && is_known(o, object)) {
		object_free(object);
		return 0;
	}
	o->gone = false;
	drop_newest(o);
	if (!r)
		return take_object(s, o, object);
	if (r != -EINVAL)
		return r;
	r = take_unreadable(s, o, json, size, &errors);
	kube_source_note(s, o);
	return !r && o->stand_in ? kube_source_queue(s, o) : r;
}

static int put(struct kube_source *s, struct kube_object *o, const char *version, const char *json,
	       size_t size)
{
	_cleanup_(buffer_free) struct buffer plain = { 0 };
	int r = set_version(o, version);

	o->foreign = false;
	if (!r)
		r = kube_report_take(s, o, &json, &size, &plain);
	return r ? r : take_new(s, o, json, size);
}

static int gone(struct kube_source *s, struct kube_object *o)
{
	drop_newest(o);
	o->gone = true;
	kube_source_acquit(s, o);
	kube_report_gone(s, o);
	if (o->live || o->in_change)
		return kube_source_queue(s, o);
	kube_source_note(s, o);
	kube_source_forget(s, o);
	return 0;
}

/* All that is known is another cluster's. It stays in force until this one has told of all that it
 * has: what it tells takes its place then, at once, and the rest goes. */
static void begin_anew(struct kube_source *s)
{
	log_warning("the API server at %s is that of another cluster than before: what was known "
		    "goes once it has told of its own objects",
		    s->config->server);
	kube_objects_each(&s->objects, o, after) o->foreign = !o->gone;
	kube_cache_rewrite(s->cache);
	kube_cluster_note(s);
	kube_cache_rewritten(s->cache);
	s->replaced = s->restarts = true;
	s->listed = s->synced = s->complete = false;
	s->cached = 0;
	s->since = time(NULL);
	event_timer_set(&s->restart, 1);
}

static int check_cluster(struct kube_source *s, const json_t *object)
{
	bool other;
	int r = kube_cluster_told(s, object, &other);

	if (!r && other)
		begin_anew(s);
	return r;
}

static int check_event(struct kube_source *s, const struct informer_event *e)
{
	_cleanup_json_ json_t *object = json_loadb(e->json, e->size, 0, NULL);

	return check_cluster(s, object);
}

static int take_event(struct kube_source *s, const struct informer_event *e)
{
	struct kube_object *o;
	int r;

	if (e->change == INFORMER_PUT) {
		r = kube_is_identity(e->resource, e->name) ? check_event(s, e) : 0;
		o = r ? NULL : kube_objects_get(&s->objects, e->resource, e->namespace, e->name);
		return o ? put(s, o, e->resource_version, e->json, e->size) : -ENOMEM;
	}
	o = kube_objects_find(&s->objects, e->resource, e->namespace, e->name);
	return o ? gone(s, o) : 0;
}

static void take_events(void *arg, const struct informer_event *events, size_t count)
{
	struct kube_source *s = arg;
	int r = 0;

	for (size_t i = 0; i < count && !s->restarts; i++) {
		int e = take_event(s, &events[i]);

		r = r ? r : e;
	}
	if (r)
		log_err(r, "take over what the API server tells");
	if (s->pending_count && (s->synced || s->cached))
		kube_source_schedule(s, s->synced ? WINDOW_MS : HOLD_MS);
	if (!s->pending_count)
		kube_cache_flush(s->cache);
}

/* Without its services, or their endpoints, a cluster is not known: what is in force must not go
 * for that. */
static bool lacks_rights(const struct kube_source *s)
{
	for (size_t i = 0; i < kube_kind_count; i++)
		if (!kube_kinds[i].optional && s->forbidden & 1ull << i)
			return true;
	return false;
}

static void drop_foreign(struct kube_source *s)
{
	int r = 0;

	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->foreign)
			r = gone(s, o);
	}
	if (r)
		log_err(r, "drop the objects of another cluster");
}

static void sync_up(struct kube_source *s)
{
	if (s->replaced && !s->synced)
		drop_foreign(s);
	s->synced = true;
}

static void take_synced(void *arg)
{
	struct kube_source *s = arg;

	if (s->restarts)
		return;
	s->listed = true;
	if (!s->synced && lacks_rights(s))
		return;
	sync_up(s);
	kube_cache_touch(s->cache);
	schedule_now(s);
}

/* "/api/v1/pods", "/apis/networking.istio.io/v1/gateways". */
static void name_path(char path[KUBE_PATH_MAX], const struct kube_kind *k, const char *api_version)
{
	snprintf(path, KUBE_PATH_MAX, "/%s/%s/%s", *k->group ? "apis" : "api", api_version,
		 k->plural);
}

static void take_status(void *arg, unsigned resource, const struct informer_status *status)
{
	struct kube_source *s = arg;
	const struct kube_kind *k = &kube_kinds[resource];

	if (status->phase == INFORMER_CONNECTING && s->complete)
		kube_cache_touch(s->cache);
	if (status->phase == INFORMER_FORBIDDEN && !(s->forbidden & 1ull << resource))
		log_warning("%s: %s", s->paths[resource], status->error);
	if (status->phase == INFORMER_SYNCED && status->api_version)
		name_path(s->served[resource], k, status->api_version);
	s->forbidden &= ~(1ull << resource);
	s->forbidden |= (uint64_t)(status->phase == INFORMER_FORBIDDEN) << resource;
	/* What it may read now is told before long. */
	if (s->listed && !s->synced && !lacks_rights(s)) {
		sync_up(s);
		kube_source_schedule(s, RETRY_MS);
	}
	if (status->phase == INFORMER_CONNECTING && *status->error)
		log_debug("%s: %s", k->plural, status->error);
}

struct informer_sink kube_source_sink(struct kube_source *s)
{
	return (struct informer_sink){ take_events, take_synced, take_status, s };
}

/* ---- for the engine ---- */

static int load_unreadable(struct kube_source *s, struct kube_object *o,
			   const struct kube_record *r, struct errors *errors)
{
	int e = take_unreadable(s, o, r->object, r->size, errors);

	if (!o->stand_in)
		return e;
	object_free(o->live);
	o->live = TAKE_PTR(o->stand_in);
	return e;
}

static int take_record(void *arg, const struct kube_record *r)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct kube_source *s = arg;
	int kind = kube_kind_of_plural(r->resource), e;
	struct object *object = NULL;
	struct kube_object *o;

	if (kind < 0)
		return kube_cluster_load(s, r);
	o = kube_objects_get(&s->objects, (unsigned)kind, r->namespace, r->name);
	if (!o)
		return -ENOMEM;
	drop_newest(o);
	kube_source_acquit(s, o);
	if (!r->object) {
		kube_objects_remove(&s->objects, o);
		return 0;
	}
	e = set_version(o, r->version);
	if (!e)
		e = decode(o, r->object, r->size, &object, &errors);
	if (e == -EINVAL)
		return load_unreadable(s, o, r, &errors);
	if (e)
		return e;
	if (r->bad) {
		o->newest = object;
		return 0;
	}
	object_free(o->live);
	o->live = object;
	return 0;
}

/* Tells what had been refused when it was written down, and will be tried when the server has told
 * of the others. */
static int queue_refused(struct kube_source *s)
{
	int r = 0;

	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->newest)
			r = kube_source_queue(s, o);
	}
	return r;
}

static int add_loaded(struct kube_source *s, struct kube_object *o, struct known_set *set)
{
	struct object_id id = kube_object_id(o);
	int r;

	if (known_find(set, &id)) { /* a file has it, too */
		object_free(o->newest);
		o->newest = TAKE_PTR(o->live);
		return kube_source_queue(s, o);
	}
	r = known_add(set, o->live, &s->origin, 0);
	if (r)
		return r;
	kube_object_ref(o->live);
	origin_ref(&s->origin);
	return 0;
}

static int load(struct object_source *source, struct known_set *set, struct errors *errors)
{
	struct kube_source *s = (struct kube_source *)source;
	int r = kube_cache_load(s->cache, take_record, s, &s->cached);

	(void)errors;
	if (!r)
		r = queue_refused(s);
	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->live)
			r = add_loaded(s, o, set);
	}
	if (!r && s->cached)
		log_info("begins with %zu objects of the cluster, as they were when last seen",
			 s->objects.count);
	return r;
}

/* Takes one that is in the set out of it. */
static void unload(struct kube_object *o, struct known_set *set)
{
	struct object_id id = kube_object_id(o);
	struct known *k = known_find(set, &id);

	object_free(k->object);
	origin_unref(k->origin);
	*k = (struct known){ .hash = k->hash };
	if (o->newest)
		object_free(o->live);
	else
		o->newest = o->live;
	o->live = NULL;
}

static int mend(struct object_source *source, struct known_set *set, const struct errors *errors)
{
	struct kube_source *s = (struct kube_source *)source;
	bool found = false;

	for (size_t i = 0; i < errors->count; i++) {
		const struct error *e = &errors->items[i];
		struct kube_object *o = e->warning ? NULL : kube_source_blamed(s, e);
		_cleanup_(errors_free) struct errors why = { 0 };

		if (!o || !o->live)
			continue;
		found = true;
		unload(o, set);
		if (errors_copy(&why, e, o->namespace))
			return -ENOMEM;
		kube_source_blame(s, o, &why);
	}
	known_squeeze(set);
	return found ? 0 : -EINVAL;
}

static int accept_loaded(struct object_source *source, const struct known_set *set,
			 uint64_t generation)
{
	struct kube_source *s = (struct kube_source *)source;

	(void)set;
	(void)generation;
	if (s->cached)
		return 0;
	log_info("waits for the API server: what is in force stays until it has told of its "
		 "objects");
	return SOURCE_WAITS;
}

static void others_changed(struct object_source *source)
{
	struct kube_source *s = (struct kube_source *)source;

	if (!s->bad)
		return;
	s->retry = true;
	kube_source_schedule(s, WINDOW_MS);
}

struct object_source *kube_source_base(struct kube_source *s)
{
	return &s->source;
}

/* ---- asking ---- */

static void name_resources(struct kube_source *s)
{
	for (size_t i = 0; i < kube_kind_count; i++) {
		const struct kube_kind *k = &kube_kinds[i];
		const char *slash = *k->group ? "/" : "";

		snprintf(s->versions[i], KUBE_PATH_MAX, "%s%s%s", k->group, slash, k->version);
		name_path(s->paths[i], k, s->versions[i]);
		name_path(s->served[i], k, s->versions[i]);
		s->resources[i] = (struct informer_resource){ .path = s->paths[i],
							      .api_version = s->versions[i],
							      .kind = k->name,
							      .other_versions = k->others_served,
							      .optional = k->optional,
							      .anew = k->kind == KIND_NAMESPACE,
							      .fields = k->fields };
	}
}

const struct informer_resource *kube_source_resources(const struct kube_source *s, size_t *count)
{
	*count = kube_kind_count;
	return s->resources;
}

/* Of what has a status, the server is to tell again what that says. */
static const char *known_version(const struct kube_object *o)
{
	return kube_kind_has_status(&kube_kinds[o->kind]) ? "" : o->version;
}

/* What is known already is not told again, but for what tells which cluster it is. */
static int seed(struct kube_source *s)
{
	int r = 0;

	kube_objects_each(&s->objects, o, after)
	{
		if (!r && !o->gone && !o->foreign && o->version &&
		    !kube_is_identity(o->kind, o->name))
			r = informer_seed(s->informer, o->kind, o->namespace, o->name,
					  known_version(o));
	}
	return r;
}

static int could_not_ask(const struct kube_source *s, int r)
{
	return r ? log_err(r, "ask the API server at %s", s->config->server) : 0;
}

static int open_informer(struct kube_source *s)
{
	const struct informer_sink sink = kube_source_sink(s);
	int r = informer_open(s->config, s->resources, kube_kind_count, &sink, s->options.loop,
			      &s->informer);

	return r ? r : seed(s);
}

static int ask(struct kube_source *s)
{
	int r = s->informer ? 0 : open_informer(s);

	if (!r)
		r = informer_start(s->informer);
	if (!r)
		r = kube_report_open(s);
	return could_not_ask(s, r);
}

static void ask_anew(void *arg)
{
	struct kube_source *s = arg;

	informer_close(TAKE_PTR(s->informer));
	status_writer_close(TAKE_PTR(s->writer));
	s->restarts = false;
	if (ask(s))
		event_timer_set(&s->restart, RETRY_MS);
}

/* ---- its life ---- */

/* It is a part of the source. */
static void release_nothing(struct origin *o)
{
	(void)o;
}

static int make(const struct kube_source_options *options, struct kube_source *s)
{
	_cleanup_free_ char *key = NULL;

	s->options = *options;
	s->source = (struct object_source){ .load = load,
					    .mend = mend,
					    .accept = accept_loaded,
					    .others_changed = others_changed,
					    .many_changes = true };
	s->origin = (struct origin){ .refs = 1, .release = release_nothing };
	s->since = time(NULL);
	s->config = kube_config_copy(options->config);
	s->resources = calloc(kube_kind_count, sizeof(*s->resources));
	s->paths = calloc(kube_kind_count, sizeof(*s->paths));
	s->served = calloc(kube_kind_count, sizeof(*s->served));
	s->versions = calloc(kube_kind_count, sizeof(*s->versions));
	s->node = options->node ? strdup(options->node) : NULL;
	s->agents_namespace = options->namespace ? strdup(options->namespace) : NULL;
	if ((options->node && !s->node) || (options->namespace && !s->agents_namespace))
		return -ENOMEM;
	if (!s->config || !s->resources || !s->paths || !s->served || !s->versions ||
	    object_fields_new(kube_plain_fields, NULL, &s->plain))
		return -ENOMEM;
	name_resources(s);
	key = kube_cluster_key(s->config);
	return key ? kube_cache_open(options->state_dir, key, &s->cache) : -ENOMEM;
}

int kube_source_open(const struct kube_source_options *options, struct kube_source **out)
{
	struct kube_source *s = calloc(1, sizeof(*s));
	int r = s ? make(options, s) : -ENOMEM;

	if (!r)
		r = event_timer_open(options->loop, &s->window, begin, s);
	if (!r)
		r = event_timer_open(options->loop, &s->restart, ask_anew, s);
	if (r) {
		kube_source_close(s);
		return log_err(r, "set up the Kubernetes source");
	}
	*out = s;
	return 0;
}

int kube_source_ask_early(struct kube_source *s)
{
	int r = kube_cache_is_empty(s->cache) ? open_informer(s) : 0;

	if (!r && s->informer)
		r = informer_begin(s->informer);
	return could_not_ask(s, r);
}

int kube_source_start(struct kube_source *s)
{
	if (s->pending_count && s->cached)
		kube_source_schedule(s, HOLD_MS);
	return ask(s);
}

void kube_source_stop(struct kube_source *s)
{
	informer_close(TAKE_PTR(s->informer));
	status_writer_close(TAKE_PTR(s->writer));
	event_timer_close(&s->window);
	event_timer_close(&s->restart);
	if (s->complete)
		kube_cache_touch(s->cache);
}

void kube_source_close(struct kube_source *s)
{
	if (!s)
		return;
	kube_source_stop(s);
	kube_cache_close(s->cache);
	kube_objects_free(&s->objects);
	kube_config_free(s->config);
	object_fields_free(s->plain);
	json_decref(s->warned);
	free(s->node);
	free(s->agents_namespace);
	free(s->uid);
	free(s->pending);
	free(s->resources);
	free(s->paths);
	free(s->served);
	free(s->versions);
	free(s);
}

bool kube_source_is_ready(const struct kube_source *s)
{
	return s->cached || s->complete;
}
