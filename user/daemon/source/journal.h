/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_JOURNAL_H
#define WEFT_DAEMON_SOURCE_JOURNAL_H
/* clang-format off */
/*
 * The rules on disk: STATE_DIR/rules.journal. It begins with "weft-j1\n"; after that come records:
 *
 *	offset 0   u32  bytes of the payload, little-endian
 *	       4   u32  crc32 of the payload, little-endian
 *	       8        the payload: a frame as in wire.h
 *
 * Each is a transaction that took effect as a whole. The frame's JSON is one of these:
 *
 *	{"type": "apply", "time": TIME, "files": [FILE...], "selector": TEXT,
 *	 "objects": [[KIND, NAMESPACE, NAME]...]}	those that it pruned
 *	{"type": "delete", "time": TIME, "objects": [[KIND, NAMESPACE, NAME]...]}
 *	{"type": "snapshot", "files": [FILE...],
 *	 "objects": [[KIND, NAMESPACE, NAME, index of the file, TIME]...]}
 *
 * FILE is {"name": NAME, "size": BYTES, "namespace": NAMESPACE}, and the blob holds the bytes of all
 * of them. TIME is in Unix seconds. "selector", "objects" and "namespace" of a file may be missing.
 *
 * Files are kept as they were given, so that positions in them survive. A snapshot is the whole
 * state: the objects listed, in their order, each as in its file.
 *
 * What is behind the last whole record is what a crash left of an append that was never reported as
 * done; store_mend() cuts it off. A record that is not whole and has whole ones behind it is no work
 * of a crash: such a journal is refused.
 */
/* clang-format on */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/source/source.h"

struct store;

/* A file in the journal. It is live as long as objects refer to it. */
struct store_file {
	struct origin origin; /* of the objects in it */
	struct store *store;
	char *name;
	char *namespace; /* of its objects that name none; NULL: "default" */
	off_t at;	 /* of its bytes */
	size_t size;
};

/* What an object's origin is to the journal; NULL: another source has brought it. */
struct store_file *store_file_of(struct origin *o);

/*
 * Opens or creates the journal in the directory `dir`, which must exist. A torn end is copied to
 * DIR/rules.journal.bad and passed over (with one line on stderr). 0; -EBADMSG when the journal is
 * damaged elsewhere or is none; other -errno; all after having logged.
 */
int store_open(const char *dir, struct store **out);
/* Nothing was ever stored, or all of it was torn. */
bool store_is_empty(const struct store *s);
/* Whether a torn end was found that is still there. Nothing can be appended to it. */
bool store_is_torn(const struct store *s);
/* Cuts it off. 0 or -errno. */
int store_mend(struct store *s);
void store_close(struct store *s); /* accepts NULL */

/* One file of a record. */
struct store_item {
	struct store_file *file; /* valid during the call, longer with an origin_ref() */
	const char *bytes;	 /* valid during the call */
};

/* Calls `replay` for every record in order. A non-zero answer ends it and is returned. */
typedef int (*store_replay_fn)(void *arg, const json_t *record, const struct store_item *items,
			       size_t count);
int store_replay(struct store *s, store_replay_fn replay, void *arg);

/*
 * Appends one transaction and brings it to the disk. `record` has its "type" and what goes with it;
 * "files" is added here. files[i] becomes items[i], a reference to which the caller drops. 0, or
 * -errno with the journal as before. The transaction can be taken back with store_undo() until the
 * next append.
 * After an append that could neither be finished nor taken back, and after a store_undo() that
 * failed, the store is stuck: -EIO until a store_compact() has succeeded.
 */
int store_append(struct store *s, json_t *record, const struct store_input *files, size_t count,
		 struct store_file **items);
int store_undo(struct store *s);
bool store_is_stuck(const struct store *s);

/* Whether the journal holds more that is dead than alive, and enough of it to matter. */
int store_wants_compaction(const struct store *s);

/*
 * Replaces the journal by one snapshot, at once or not at all. `objects` is the "objects" list with
 * indices into `files`, which are all that is alive. 0, or -errno with the journal as before.
 */
int store_compact(struct store *s, json_t *objects, struct store_file **files, size_t count);

#endif
