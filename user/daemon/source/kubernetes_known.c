// SPDX-License-Identifier: Apache-2.0
/*
 * What is known from before: how it is written down, and how the engine begins with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/schema/object_text.h"

/* ---- written down ---- */

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
	if (!kube_kind_is_kept(o->kind))
		return;
	if (o->gone)
		note(s, o, NULL, false);
	else if (o->newest || o->text)
		note(s, o, o->newest, true);
	else if (o->live)
		note(s, o, o->live, false);
}

/* As short as it can be: the version that is in force, and behind it the one that should be. */
void kube_source_compact(struct kube_source *s)
{
	kube_cache_rewrite(s->cache);
	kube_cluster_note(s);
	kube_objects_each(&s->objects, o, after)
	{
		if (o->gone || !kube_kind_is_kept(o->kind))
			continue;
		if (o->live && !o->live->stands_in)
			note(s, o, o->live, false);
		if (o->newest || o->text)
			note(s, o, o->newest, true);
	}
	kube_cache_rewritten(s->cache);
}

void kube_source_write(struct kube_source *s)
{
	if (kube_cache_wants_compaction(s->cache))
		kube_source_compact(s);
	kube_cache_flush(s->cache);
}

/* ---- taken up ---- */

static int load_unreadable(struct kube_source *s, struct kube_object *o,
			   const struct kube_record *r, struct errors *errors)
{
	int e = kube_source_take_unreadable(s, o, r->object, r->size, errors);

	if (!o->stand_in && !o->outlived)
		return e;
	object_free(o->live);
	o->live = TAKE_PTR(o->stand_in);
	o->outlived = false;
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
	kube_object_drop_newest(o);
	kube_source_acquit(s, o);
	if (!r->object) {
		kube_objects_remove(&s->objects, o);
		return 0;
	}
	e = kube_object_set_version(o, r->version);
	if (!e)
		e = kube_object_decode(o, r->object, r->size, &object, &errors);
	if (e == -EINVAL)
		return load_unreadable(s, o, r, &errors);
	if (e)
		return e;
	if (r->bad) {
		if (o->live && !kube_object_is_same(o->live, r->object, r->size))
			object_free(TAKE_PTR(o->live));
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
	kube_source_schedule(s, KUBE_WINDOW_MS);
}

static bool has_more(struct object_source *source)
{
	return !((const struct kube_source *)source)->complete;
}

const struct object_source kube_source_calls = { .load = load,
						 .mend = mend,
						 .accept = accept_loaded,
						 .others_changed = others_changed,
						 .has_more = has_more,
						 .many_changes = true };
