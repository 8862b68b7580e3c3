// SPDX-License-Identifier: Apache-2.0
/*
 * What is told of the Kubernetes source, and of the objects that are not in force.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/kube/unsupported.h"

enum { PROBLEMS_MAX = 100 }; /* that are told by name in a status */

size_t kube_source_problem_count(const struct kube_source *s)
{
	return s->bad;
}

void kube_source_each_problem(const struct kube_source *s,
			      void (*each)(void *arg, const struct kube_problem *p), void *arg)
{
	kube_objects_each(&s->objects, o, after)
	{
		const struct kube_problem p = { .path = s->served[o->kind],
						.kind = kube_kinds[o->kind].name,
						.namespace = o->namespace,
						.name = o->name,
						.version = o->version,
						.errors = &o->errors,
						.in_force = o->live && !o->live->stands_in,
						.effect = kube_object_effect(o) };

		if (o->errors.count)
			each(arg, &p);
	}
}

int kube_source_each_rejected(const struct kube_source *s,
			      int (*each)(void *arg, const char *word, size_t count), void *arg)
{
	size_t counts[64] = { 0 }; /* there are no more kinds */
	int r = 0;

	if (s->bad)
		kube_objects_each(&s->objects, o, after) counts[o->kind] += o->errors.count != 0;
	for (size_t i = 0; !r && i < kube_kind_count; i++)
		r = each(arg, kube_kinds[i].plural, counts[i]);
	return r;
}

/* Whether what its author has closed may be open. */
static bool closes(const struct kube_object *o)
{
	const struct kube_kind *kind = &kube_kinds[o->kind];
	const struct unsupported_kind *k = unsupported_find(kind->name);

	return kind->kind == KIND_NETWORK_POLICY || kind->kind == KIND_CONNECTION_POLICY ||
	       kind->kind == KIND_AUTHORIZATION_POLICY || kind->kind == KIND_PEER_AUTHENTICATION ||
	       (k && k->closes);
}

/* What closes something comes first: the last ones may be left out. */
static int by_name(const void *a, const void *b)
{
	const struct kube_object *x = *(struct kube_object *const *)a;
	const struct kube_object *y = *(struct kube_object *const *)b;
	int r = closes(y) - closes(x);

	if (!r)
		r = strcmp(x->namespace, y->namespace);
	if (!r)
		r = strcmp(x->name, y->name);
	return r ? r : x->kind - y->kind;
}

/* Those with errors, for the caller to free; NULL when out of memory. */
static struct kube_object **sorted(const struct kube_source *s, size_t *count)
{
	struct kube_object **list = calloc(s->bad + 1, sizeof(struct kube_object *));

	*count = 0;
	if (!list)
		return NULL;
	kube_objects_each(&s->objects, o, after)
	{
		if (o->errors.count && *count < s->bad)
			list[(*count)++] = o;
	}
	qsort(list, *count, sizeof(struct kube_object *), by_name);
	return list;
}

/* What is in force in the place of one that can't be read, which is none of its versions. */
static int add_stand_in(const struct kube_object *o, struct errors *out)
{
	_cleanup_(errors_free) struct errors why = { 0 };
	char text[KUBE_TEXT_MAX];

	if (!o->live || !o->live->stands_in)
		return 0;
	errors_add(&why, kube_object_text(o, text, sizeof(text)), (struct pos){ 0 },
		   "until it can be read it is %s", kube_object_effect(o));
	return why.count ? errors_copy(out, &why.items[0], o->namespace) : -ENOMEM;
}

int kube_source_errors(const struct kube_source *s, struct errors *out)
{
	size_t count;
	_cleanup_free_ struct kube_object **list = sorted(s, &count);
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < count; i++) {
		for (size_t k = 0; !r && k < list[i]->errors.count; k++)
			if (!list[i]->errors.items[k].warning)
				r = errors_copy(out, &list[i]->errors.items[k],
						list[i]->errors.items[k].namespace);
		r = r ? r : add_stand_in(list[i], out);
	}
	return r;
}

static json_t *problem_json(const struct kube_object *o)
{
	json_t *messages = json_array();

	for (size_t i = 0; i < o->errors.count; i++) {
		const struct error *e = &o->errors.items[i];

		if (!e->warning && e->text)
			json_array_append_new(messages, json_text(e->text + e->place + 2));
	}
	return json_pack("{s:s, s:o, s:o, s:b, s:s, s:o}", "kind", kube_kinds[o->kind].name,
			 "namespace", json_text(o->namespace), "name", json_text(o->name),
			 "in_force", o->live && !o->live->stands_in, "effect",
			 kube_object_effect(o), "messages", messages);
}

static json_t *problems_json(const struct kube_source *s)
{
	size_t count;
	_cleanup_free_ struct kube_object **list = sorted(s, &count);
	json_t *json = list ? json_array() : NULL;

	for (size_t i = 0; json && i < count && i < PROBLEMS_MAX; i++)
		json_array_append_new(json, problem_json(list[i]));
	return json;
}

static const char *phase_name(enum informer_phase phase)
{
	static const char *const names[] = {
		[INFORMER_CONNECTING] = "connecting",
		[INFORMER_SYNCED] = "synced",
		[INFORMER_ABSENT] = "absent",
		[INFORMER_FORBIDDEN] = "forbidden",
	};

	return names[phase];
}

static size_t count_of(const struct kube_source *s, size_t kind)
{
	size_t n = 0;

	kube_objects_each(&s->objects, o, after) n += o->kind == kind && !o->gone;
	return n;
}

static json_t *resource_json(const struct kube_source *s, size_t i)
{
	const struct informer_status *st = s->informer ? informer_status(s->informer, (unsigned)i)
						       : NULL;
	json_t *json = json_pack("{s:s, s:s, s:I}", "resource", kube_kinds[i].plural, "path",
				 s->served[i], "objects", (json_int_t)count_of(s, i));
	json_t *more = st ? json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:I}", "phase",
				      phase_name(st->phase), "since", (json_int_t)st->since,
				      "error", json_text(st->error), "requests",
				      (json_int_t)st->requests, "lists", (json_int_t)st->lists,
				      "watches", (json_int_t)st->watches, "events",
				      (json_int_t)st->events, "bytes", (json_int_t)st->bytes)
			  : NULL;

	if (more)
		json_object_update(json, more);
	json_decref(more);
	return json;
}

int kube_source_each_watch(const struct kube_source *s,
			   int (*each)(void *arg, const struct kube_watch *w), void *arg)
{
	int r = 0;

	for (size_t i = 0; !r && s->informer && i < kube_kind_count; i++) {
		const struct informer_status *st = informer_status(s->informer, (unsigned)i);

		r = each(arg, &(struct kube_watch){ .resource = kube_kinds[i].plural,
						    .phase = phase_name(st->phase),
						    .lists = st->lists,
						    .watches = st->watches,
						    .events = st->events,
						    .bytes = st->bytes });
	}
	return r;
}

/* The first of what is not as it should be, of the kinds that there must be. */
static const struct informer_status *first_broken(const struct kube_source *s)
{
	for (size_t i = 0; s->informer && i < kube_kind_count; i++) {
		const struct informer_status *st = informer_status(s->informer, (unsigned)i);

		if (st->phase == INFORMER_CONNECTING || st->phase == INFORMER_FORBIDDEN)
			return st;
	}
	return NULL;
}

static const char *phase_of(const struct kube_source *s, const struct informer_status *broken)
{
	if (!s->complete)
		return s->cached ? "cached" : "waiting";
	return !broken				     ? "synced"
	       : broken->phase == INFORMER_FORBIDDEN ? "forbidden"
						     : "reconnecting";
}

json_t *kube_source_status(const struct kube_source *s)
{
	const struct informer_status *broken = first_broken(s);
	const char *phase = phase_of(s, broken);
	json_t *resources = json_array();
	json_t *writer = s->writer ? status_writer_status(s->writer) : json_null();

	for (size_t i = 0; i < kube_kind_count; i++)
		json_array_append_new(resources, resource_json(s, i));
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:I, s:o, s:o, s:I, s:o}", "name", "kubernetes",
			 "phase", phase, "since",
			 (json_int_t)(!s->complete && s->cached ? s->cached
				      : s->complete && broken	? broken->since
								: s->since),
			 "server", json_text(s->config->server), "error",
			 json_text(broken ? broken->error : ""), "problem_count",
			 (json_int_t)s->bad, "problems", problems_json(s), "resources", resources,
			 "discoveries",
			 (json_int_t)(s->informer ? informer_discoveries(s->informer) : 0),
			 "status_writer", writer);
}

/* ---- what is known of each object ---- */

/* The one that is asked for: an older server has an older one. */
static json_t *path_json(const struct kube_source *s, size_t i)
{
	const char *version = s->informer ? informer_status(s->informer, (unsigned)i)->api_version
					  : s->versions[i];

	char path[KUBE_PATH_MAX];

	kube_kind_path(path, &kube_kinds[i], version, KUBE_SECRETS_NAMESPACE);
	return json_string(path);
}

static json_t *version_json(const struct kube_object *o)
{
	bool pending = o->pending || o->in_change || o->gone;
	const struct error *e = o->errors.count ? &o->errors.items[0] : NULL;
	json_t *json = json_pack("{s:o, s:s}", "version", json_text(o->version ? o->version : ""),
				 "state",
				 pending ? "pending"
				 : e	 ? "wrong"
					 : "in force");

	if (e && e->text)
		json_object_set_new(json, "error", json_text(e->text));
	return json;
}

json_t *kube_source_versions(const struct kube_source *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < kube_kind_count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o, s:o}", "resource",
						kube_kinds[i].plural, "word", kube_kinds[i].word,
						"path", path_json(s, i), "objects", json_object()));
	kube_objects_each(&s->objects, o, after)
	{
		_cleanup_json_ json_t *key = json_textf("%s/%s", o->namespace, o->name);

		json_object_set_new(json_object_get(json_array_get(list, o->kind), "objects"),
				    json_string_value(key), version_json(o));
	}
	return list;
}
