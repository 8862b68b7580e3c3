/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_OBJECTS_STAGE_H
#define WEFT_DAEMON_OBJECTS_STAGE_H
/*
 * A change in the making: a copy of the known objects to work on, and what to free when it is kept
 * or dropped.
 */
#include <jansson.h>

#include "daemon/objects/object_set.h"

struct object_list {
	struct object **items;
	size_t count, room;
};

struct stage {
	struct known_set set; /* as it will be */
	struct object_list
		fresh; /* owned until the stage is kept: objects that came with the change */
	struct object_list gone; /* to be freed once it is kept: replaced and deleted ones */
	bool dirty;		 /* anything is to be written and published */
	int64_t now;		 /* when the change was begun, in Unix seconds */
};

int stage_init(struct stage *st, const struct known_set *from);
/*
 * Takes over `o` in any case. *change is a word for the report. 0 or -ENOMEM.
 * An object that is as it was is replaced, too: if the stage is kept, nothing holds on to the
 * documents and files that were applied before. By itself it does not make the stage dirty.
 */
int stage_put(struct stage *st, struct object *o, const char **change);
/* 0, or -ENOENT. stage_seal() must follow the last one. */
int stage_remove(struct stage *st, const struct object_id *id);
/* Whether this change has already taken it away. */
bool stage_removed(const struct stage *st, const struct object_id *id);
int stage_seal(struct stage *st);

/* Makes `set` the staged one and frees what is gone. */
void stage_keep(struct stage *st, struct known_set *set);
/* Frees what came with it. Harmless after stage_keep(). */
void stage_drop(struct stage *st);

/* Whether two objects say the same, wherever they were written. */
bool object_same(const struct object *a, const struct object *b);

#endif
