// SPDX-License-Identifier: Apache-2.0
/*
 * The objects of the cluster by kind, namespace and name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/arena.h"
#include "lib/base/json_io.h"
#include "lib/schema/object_text.h"

enum { FIRST_SLOTS = 256 };

static uint32_t hash_of(unsigned kind, const char *namespace, const char *name)
{
	uint32_t h = (2166136261u ^ kind) * 16777619u;

	/* Both NULs are part of it. */
	for (const char *c = namespace;; c++) {
		h = (h ^ (unsigned char)*c) * 16777619u;
		if (!*c)
			break;
	}
	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	return h ^ h >> 15;
}

static bool is(const struct kube_object *o, unsigned kind, const char *namespace, const char *name)
{
	return o->kind == kind && !strcmp(o->name, name) && !strcmp(o->namespace, namespace);
}

struct kube_object *kube_objects_find(const struct kube_objects *set, unsigned kind,
				      const char *namespace, const char *name)
{
	uint32_t hash = hash_of(kind, namespace, name);

	if (!set->slot_count)
		return NULL;
	for (struct kube_object *o = set->slots[hash & (set->slot_count - 1)]; o; o = o->next)
		if (o->hash == hash && is(o, kind, namespace, name))
			return o;
	return NULL;
}

static void put_slot(struct kube_object **slots, size_t slot_count, struct kube_object *o)
{
	struct kube_object **at = &slots[o->hash & (slot_count - 1)];

	o->next = *at;
	*at = o;
}

static int grow(struct kube_objects *set)
{
	size_t slot_count = set->slot_count ? 2 * set->slot_count : FIRST_SLOTS;
	struct kube_object **slots;

	if (set->count < set->slot_count)
		return 0;
	slots = calloc(slot_count, sizeof(struct kube_object *));
	if (!slots)
		return -ENOMEM;
	kube_objects_each(set, o, after) put_slot(slots, slot_count, o);
	free(set->slots);
	set->slots = slots;
	set->slot_count = slot_count;
	return 0;
}

struct kube_object *kube_objects_get(struct kube_objects *set, unsigned kind, const char *namespace,
				     const char *name)
{
	struct kube_object *o = kube_objects_find(set, kind, namespace, name);
	size_t first = strlen(namespace) + 1, second = strlen(name) + 1;

	if (o || grow(set))
		return o;
	o = calloc(1, sizeof(*o) + first + second);
	if (!o)
		return NULL;
	o->kind = (uint16_t)kind;
	o->hash = hash_of(kind, namespace, name);
	o->namespace = memcpy(o->texts, namespace, first);
	o->name = memcpy(o->texts + first, name, second);
	put_slot(set->slots, set->slot_count, o);
	set->count++;
	return o;
}

static void object_done(struct kube_object *o)
{
	object_free(o->live);
	object_free(o->newest);
	object_free(o->stand_in);
	errors_free(&o->errors);
	free(o->version);
	free(o->text);
	free(o);
}

void kube_objects_remove(struct kube_objects *set, struct kube_object *o)
{
	struct kube_object **at = &set->slots[o->hash & (set->slot_count - 1)];

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	set->count--;
	object_done(o);
}

void kube_objects_free(struct kube_objects *set)
{
	kube_objects_each(set, o, after) object_done(o);
	free(set->slots);
	*set = (struct kube_objects){ 0 };
}

struct object *kube_object_ref(struct object *o)
{
	if (o)
		arena_ref(o->arena);
	return o;
}

const char *kube_object_text(const struct kube_object *o, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s%s%s", kube_kinds[o->kind].word, o->namespace,
		 *o->namespace ? "/" : "", o->name);
	return buf;
}

struct object *kube_object_wanted(const struct kube_object *o)
{
	return o->newest ? o->newest : o->stand_in;
}

static char *uid_of(const char *json, size_t size)
{
	_cleanup_json_ json_t *object = json ? json_loadb(json, size, 0, NULL) : NULL;
	const char *uid = json_get_text(json_object_get(object, "metadata"), "uid", NULL);

	return uid ? strdup(uid) : NULL;
}

bool kube_object_is_same(const struct object *object, const char *json, size_t size)
{
	size_t known_size = 0;
	_cleanup_free_ char *known = object_json_text(object, &known_size);
	_cleanup_free_ char *a = uid_of(known, known_size), *b = uid_of(json, size);

	return !a || !b || !strcmp(a, b);
}

const struct object *kube_object_stays(const struct kube_object *o)
{
	return o->stand_in ? o->stand_in : o->outlived ? NULL : o->live;
}

const char *kube_object_effect(const struct kube_object *o)
{
	const struct object *is = kube_object_stays(o);

	if (!is)
		return "left out";
	if (!is->stands_in)
		return "in force as it last was right";
	if (is->kind == KIND_PEER_AUTHENTICATION && is->peer.mode == MTLS_STRICT)
		return "in force as a policy that is STRICT";
	return is->kind == KIND_NETWORK_POLICY || is->kind == KIND_AUTHORIZATION_POLICY
		       ? "in force as a policy that lets nothing through"
		       : "in force as far as it can be read";
}

struct object_id kube_object_id(const struct kube_object *o)
{
	return (struct object_id){ kube_kinds[o->kind].kind, *o->namespace ? o->namespace : NULL,
				   o->name };
}
