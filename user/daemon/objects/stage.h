/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_OBJECTS_STAGE_H
#define WEFT_DAEMON_OBJECTS_STAGE_H
/*
 * A change in the making: carried out on the known objects themselves, with a list of what was
 * done, so that it can be taken back.
 */
#include <jansson.h>

#include "daemon/objects/object_set.h"

struct object_list {
	struct object **items;
	size_t count, room;
};

/* What was done at one position of the set. */
struct edit {
	size_t at;
	struct known other; /* that was there before; of an edit that is withdrawn, that will be */
	bool added;	    /* none was there */
	bool first;	    /* of this position */
};

struct stage {
	struct known_set *set; /* as it will be, unless it is withdrawn */
	struct edit *edits;
	size_t edit_count, edit_room;
	struct object_list
		fresh; /* owned until the stage is kept: objects that came with the change */
	struct object_list gone; /* to be freed once it is kept: replaced and deleted ones */
	bool dirty;		 /* anything is to be written and published */
	bool removed;		 /* there are elements to be squeezed out */
	bool withdrawn;
	int64_t now; /* when the change was begun, in Unix seconds */
};

/* Borrows the set, which is the stage's alone until it is kept, withdrawn or dropped. */
void stage_init(struct stage *st, struct known_set *set);
/*
 * Takes over `o` in any case. *change is a word for the report. 0 or -ENOMEM.
 * An object that is as it was is replaced, too: if the stage is kept, nothing holds on to the
 * documents and files that were applied before. By itself it does not make the stage dirty.
 */
int stage_put(struct stage *st, struct object *o, const char **change);
/* 0, -ENOENT, -ENOMEM. */
int stage_remove(struct stage *st, const struct object_id *id);
/* Whether this change has already taken it away. */
bool stage_removed(const struct stage *st, const struct object_id *id);
/* What has become of an object, in the order of the set: *old and *new are what it was and will be,
 * NULL: it was not there, or won't be. False: there is no `i`th; *i is where to go on. */
bool stage_next_change(const struct stage *st, size_t *i, const struct object **old,
		       const struct object **new);

/* Gives the set back as it was, for as long as the change waits. */
void stage_withdraw(struct stage *st);
/* Carries it out again on the set, which has not changed meanwhile. */
void stage_again(struct stage *st);
/* The set is the staged one from now on; frees what is gone. */
void stage_keep(struct stage *st);
/* Gives the set back as it was, and frees what came with the change. Harmless after stage_keep(),
 * on what is zeroed, and once more. */
void stage_drop(struct stage *st);

/* Whether two objects of one id say the same, wherever they were written. Without memory they do
 * not. */
bool object_same(struct object *a, struct object *b);

#endif
