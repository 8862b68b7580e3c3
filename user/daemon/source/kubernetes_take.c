// SPDX-License-Identifier: Apache-2.0
/*
 * What the server, or the cache, has of an object: as it is to be in force, or why it is not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/kube/unsupported.h"
#include "lib/schema/parse.h"
#include "lib/schema/stand_in.h"

/* What weft does not carry out is an error for as long as it is there. */
static int refuse_kind(const struct kube_object *o, struct errors *errors)
{
	char text[KUBE_TEXT_MAX];

	errors_add(errors, kube_object_text(o, text, sizeof(text)), (struct pos){ 0 },
		   "weft does not carry out %s: %s", kube_kinds[o->kind].name,
		   unsupported_effect(unsupported_find(kube_kinds[o->kind].name)));
	return -EINVAL;
}

static bool is_object(const struct objects *objects, const struct kube_object *o)
{
	struct object_id id = kube_object_id(o);

	return objects->count == 1 && object_is(objects->items[0], &id);
}

/* 0, -EINVAL with errors, -ENOMEM. */
int kube_object_decode(const struct kube_object *o, const char *json, size_t size,
		       struct object **out, struct errors *errors)
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

void kube_object_drop_newest(struct kube_object *o)
{
	object_free(TAKE_PTR(o->newest));
	object_free(TAKE_PTR(o->stand_in));
	free(TAKE_PTR(o->text));
}

int kube_object_set_version(struct kube_object *o, const char *version)
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
	if (!o->live || o->outlived)
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

/* It can't be read: what is in force of it stays, or something else takes its place. What was an
 * earlier object's goes as that has gone, though it was not told. */
int kube_source_take_unreadable(struct kube_source *s, struct kube_object *o, const char *json,
				size_t size, struct errors *errors)
{
	int r = keep_text(o, json, size);

	o->outlived = o->live && !kube_object_is_same(o->live, json, size);
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
static bool is_known(const struct kube_object *o, struct object *object)
{
	return !o->gone && o->newest && object_same(o->newest, object);
}

static int take_new(struct kube_source *s, struct kube_object *o, const char *json, size_t size)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct object *object = NULL;
	int r = kube_object_decode(o, json, size, &object, &errors);

	o->foreign = false;
	if (!r && is_known(o, object)) {
		object_free(object);
		return 0;
	}
	o->gone = o->outlived = false;
	kube_object_drop_newest(o);
	if (!r)
		return take_object(s, o, object);
	if (r != -EINVAL)
		return r;
	r = kube_source_take_unreadable(s, o, json, size, &errors);
	kube_source_note(s, o);
	return !r && (o->stand_in || o->outlived) ? kube_source_queue(s, o) : r;
}

int kube_source_take(struct kube_source *s, struct kube_object *o, const char *version,
		     const char *json, size_t size)
{
	_cleanup_(buffer_free) struct buffer plain = { 0 };
	int r = kube_object_set_version(o, version);

	o->foreign = false;
	if (!r)
		r = kube_report_take(s, o, &json, &size, &plain);
	return r ? r : take_new(s, o, json, size);
}

int kube_source_gone(struct kube_source *s, struct kube_object *o)
{
	kube_object_drop_newest(o);
	o->gone = true;
	kube_source_acquit(s, o);
	kube_report_gone(s, o);
	if (o->live || o->in_change)
		return kube_source_queue(s, o);
	kube_source_note(s, o);
	kube_source_forget(s, o);
	return 0;
}
