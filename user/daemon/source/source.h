/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_SOURCE_H
#define WEFT_DAEMON_SOURCE_SOURCE_H
/*
 * Where objects come from: the files of weft apply, or the Kubernetes API. A source loads what it
 * knows of from before, and makes changes; the engine carries them out, and knows no more of either
 * than what is here.
 */
#include <jansson.h>
#include <stdint.h>

#include "daemon/objects/stage.h"

enum { SOURCE_WAITS = 1 };

struct object_source {
	/* Adds to a set, which may have objects of other sources. 0; -EINVAL with the reasons in
	 * `errors`; other -errno. */
	int (*load)(struct object_source *s, struct known_set *set, struct errors *errors);
	/* Takes objects that `errors` of a compilation blame out of what was loaded, for it to be
	 * tried again. 0; -EINVAL: none is of this source; -ENOMEM. NULL: never. */
	int (*mend)(struct object_source *s, struct known_set *set, const struct errors *errors);
	/* Whether what was loaded may take the place of the generation in force (0: there is none).
	 * 0; SOURCE_WAITS: it is not known yet what the objects are; -errno after having logged. */
	int (*accept)(struct object_source *s, const struct known_set *set, uint64_t generation);
	/* Another source's change has taken effect. NULL: that is of no interest. */
	void (*others_changed)(struct object_source *s);
	/* Whether there may be more than it has told of: Secrets, which it does not write down, are
	 * told of some time after the start. NULL: never. */
	bool (*has_more)(struct object_source *s);
	/* Its changes are many and small, and no file comes with them: what compile() knows of all
	 * objects is kept in memory, so that most of them need no compilation of all. */
	bool many_changes;
};

/* A file that a change brings. Borrowed. */
struct store_input {
	const char *name;
	const char *bytes;
	size_t size;
	bool skip_unknown;     /* kinds that are not carried out are skipped, not refused */
	const char *namespace; /* of its objects that name none; NULL: none was said */
};

/* What came of a change. Zero-initialise; free with change_report_free(). */
struct change_report {
	json_t *changes;       /* [{"kind", "namespace", "name", "change":
				  created|configured|unchanged|deleted|pruned}...] */
	struct errors errors;  /* and warnings */
	struct errors skipped; /* objects of kinds that weft does not know */
};

void change_report_free(struct change_report *report);
/* Adds a row. 0 or -ENOMEM. */
int change_report_add(struct change_report *report, const struct object_id *id, const char *change);

/* Made by a source, carried out by the engine. */
struct change {
	/* Stages the change on a copy of what is known, and fills the report. Called anew, with
	 * both of them fresh, when another change has come in between. 0; -EINVAL when the report
	 * says why it can't be; other -errno. */
	int (*stage)(struct change *c, struct stage *st, struct change_report *report);
	/* compile() refuses what was staged, for these reasons. 0: stage() is to be called anew,
	 * and will stage less; -EINVAL: it won't; -ENOMEM. NULL: it never does. */
	int (*refused)(struct change *c, const struct errors *errors);
	/* Makes it last, once it is known to be right and before it takes effect, and gives the
	 * objects that came with it their origin. 0 or -errno. NULL, like the next two, where the
	 * source keeps nothing. */
	int (*store)(struct change *c, struct stage *st);
	/* It could not take effect: takes that back. */
	void (*undo)(struct change *c);
	/* It has taken effect: `known` is what is in force now. */
	void (*kept)(struct change *c, const struct known_set *known);
	void (*free)(struct change *c);
	bool dry_run;	/* is staged and compiled, and no more */
	bool completes; /* takes effect even if it changes nothing: its source waits no more */
	bool anew;	/* is compiled even if it changes no object: DNS says something else */
	struct object_source *source; /* that made it */
	const struct store_input
		*files; /* warnings about these are told even if they are not new */
	size_t file_count;
};

#endif
