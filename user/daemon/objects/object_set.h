/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_OBJECTS_OBJECT_SET_H
#define WEFT_DAEMON_OBJECTS_OBJECT_SET_H
/*
 * The objects that are in force, by kind, namespace and name, in the order in which each was first
 * applied. A set borrows what it refers to. An element whose object is NULL has been removed, and
 * keeps its place until known_squeeze().
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/model/model.h"
#include "daemon/objects/origin.h"

/* The namespace is NULL or "" for a Namespace. */
struct object_id {
	int kind; /* enum kind */
	const char *namespace, *name;
};

struct known {
	struct object *object;
	struct origin *origin; /* NULL until its source has given it one */
	uint32_t hash;
	bool staged;   /* by a change in the making (stage.h) */
	int64_t since; /* Unix seconds when weftd first got it; 0: not known */
};

struct known_set {
	struct known *items;
	size_t count, room;
	uint32_t *slots; /* position + 1; a power of two of them, at most half in use */
	size_t slot_count;
};

struct object_id object_id(const struct object *o);
bool object_is(const struct object *o, const struct object_id *id);

/* NULL if there is none. Valid until the set is changed. */
struct known *known_find(const struct known_set *set, const struct object_id *id);
/* Appends an object whose identity is not in the set. 0 or -ENOMEM. */
int known_add(struct known_set *set, struct object *o, struct origin *origin, int64_t since);
/* Takes the last element out, which nothing was added behind since it was added itself. */
struct known known_pop(struct known_set *set);
/* Takes out all elements whose `object` is NULL, keeping the order. */
void known_squeeze(struct known_set *set);
void known_free(struct known_set *set);

#endif
