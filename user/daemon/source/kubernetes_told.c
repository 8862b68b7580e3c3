// SPDX-License-Identifier: Apache-2.0
/*
 * What the server tells: events of objects, that all is listed, how it is going with a kind; and
 * that it is another cluster.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

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
		return o ? kube_source_take(s, o, e->resource_version, e->json, e->size) : -ENOMEM;
	}
	o = kube_objects_find(&s->objects, e->resource, e->namespace, e->name);
	return o ? kube_source_gone(s, o) : 0;
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
	if (s->pending_count && s->cached && !s->synced)
		kube_source_schedule(s, KUBE_HOLD_MS);
	if (!s->pending_count)
		kube_cache_flush(s->cache);
}

/* Without its services, or their endpoints, a cluster is not known: what is in force must not go
 * for that. Without Secrets it is only TLS that gateways do not speak. */
static bool lacks_rights(const struct kube_source *s)
{
	for (size_t i = 0; i < kube_kind_count; i++)
		if (!kube_kinds[i].optional && kube_kinds[i].kind != KIND_SECRET &&
		    s->forbidden & 1ull << i)
			return true;
	return false;
}

static void drop_foreign(struct kube_source *s)
{
	int r = 0;

	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->foreign)
			r = kube_source_gone(s, o);
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
	kube_source_schedule_now(s);
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
		kube_kind_path(s->served[resource], k, status->api_version, KUBE_SECRETS_NAMESPACE);
	s->forbidden &= ~(1ull << resource);
	s->forbidden |= (uint64_t)(status->phase == INFORMER_FORBIDDEN) << resource;
	/* What it may read now is told before long. */
	if (s->listed && !s->synced && !lacks_rights(s)) {
		sync_up(s);
		kube_source_schedule(s, KUBE_RETRY_MS);
	}
	if (status->phase == INFORMER_CONNECTING && *status->error)
		log_debug("%s: %s", k->plural, status->error);
}

/* The informer has gathered them. */
static void told(void *arg)
{
	struct kube_source *s = arg;
	uint64_t since = clock_ms() - s->begun_ms;

	if (!s->pending_count || !s->synced || s->scheduled)
		return;
	if (since >= KUBE_WINDOW_MS)
		kube_source_begin(s);
	else
		kube_source_schedule(s, KUBE_WINDOW_MS - (unsigned)since);
}

struct informer_sink kube_source_sink(struct kube_source *s)
{
	return (struct informer_sink){ .events = take_events,
				       .synced = take_synced,
				       .status = take_status,
				       .told = told,
				       .arg = s,
				       .gather_ms = KUBE_WINDOW_MS };
}
