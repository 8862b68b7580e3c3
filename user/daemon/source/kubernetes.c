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
#include "lib/base/clock.h"
#include "lib/base/heap.h"
#include "lib/base/log.h"

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

void kube_source_schedule_now(struct kube_source *s)
{
	s->scheduled = false;
	kube_source_schedule(s, 1);
}

static void complete(struct kube_source *s)
{
	if (s->replaced)
		kube_source_compact(s);
	s->replaced = false;
	if (!s->complete)
		log_info("the API server has told of %zu objects, and they are in force",
			 s->objects.count);
	s->complete = true;
	malloc_trim(0); /* what the lists, and a generation of everything, have needed */
	heap_keep_changes();
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
	kube_source_write(s);
	if (r == -ECANCELED) /* weftd ends */
		return;
	if (r)
		kube_source_schedule(s, KUBE_RETRY_MS);
	else if (s->late)
		kube_source_schedule_now(s);
	s->late = false;
}

void kube_source_begin(struct kube_source *s)
{
	struct kube_change *c;
	int r;

	s->scheduled = false;
	s->begun_ms = clock_ms();
	if (s->on_its_way) {
		s->late = true;
		return;
	}
	if (!s->synced && !s->cached)
		return;
	r = kube_change_new(s, &c);
	if (r < 0) {
		log_err(r, "take over what the API server has told");
		kube_source_schedule(s, KUBE_RETRY_MS);
	}
	if (r)
		return;
	s->on_its_way = c;
	s->options.submit(s->options.arg, kube_change_base(c), done, s);
}

static void begin(void *arg)
{
	kube_source_begin(arg);
}

/* ---- asking ---- */

static void name_resources(struct kube_source *s)
{
	for (size_t i = 0; i < kube_kind_count; i++) {
		const struct kube_kind *k = &kube_kinds[i];
		const char *slash = *k->group ? "/" : "";

		snprintf(s->versions[i], KUBE_PATH_MAX, "%s%s%s", k->group, slash, k->version);
		kube_kind_path(s->paths[i], k, s->versions[i], KUBE_SECRETS_NAMESPACE);
		kube_kind_path(s->served[i], k, s->versions[i], KUBE_SECRETS_NAMESPACE);
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
		event_timer_set(&s->restart, KUBE_RETRY_MS);
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
	s->source = kube_source_calls;
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
	return key ? kube_cache_open(options->state_dir,
				     kube_kinds_hash(kube_kinds, kube_kind_count), key, &s->cache)
		   : -ENOMEM;
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
		kube_source_schedule(s, KUBE_HOLD_MS);
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

struct object_source *kube_source_base(struct kube_source *s)
{
	return &s->source;
}
