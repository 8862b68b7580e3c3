/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_DECODE_H
#define WEFT_LIB_SCHEMA_DECODE_H
/*
 * From a document's tree to the model, by the tables of schema.h.
 */
#include "lib/schema/schema.h"

/* Where the decoder is: one per open field, linked through the stack. */
struct path {
	const struct path *up;
	const char *name; /* a field, or a map's key when `key` is set; NULL for a list's element */
	size_t index;
	bool key;
};

struct decoder {
	const char *file;
	struct errors *errors;
	struct arena *arena; /* what is decoded lives here */
	struct object *object;
	const struct path *path;
	size_t reported; /* errors so far */
	bool strict;	 /* an Istio kind: snake_case is understood, unknown fields are errors */
	bool kept;	 /* what an earlier weft took, and today's refuses, is taken */
	bool no_memory;
};

enum {
	DECODE_ERRORS_MAX = 100, /* no more errors are reported for one file */
	/* Elements of one list, unless it is of endpoints: lists written by hand are shorter, and
	 * searches in them may take the square of their length. */
	DECODE_LIST_MAX = 4096,
	DECODE_DURATION_MAX = 64, /* bytes of a duration */
};

/* Decodes `node` into `target` (message->size bytes, zeroed). Errors go to d->errors. */
void decode_message(struct decoder *d, const struct message *m, const struct node *node,
		    void *target);

/* An error at `at`; the message is preceded by the path of the field being decoded and `sub` (NULL:
 * nothing). */
__attribute__((format(printf, 4, 5))) void decode_error(struct decoder *d, const struct node *at,
							const char *sub, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void decode_warn(struct decoder *d, const struct node *at,
						       const char *sub, const char *fmt, ...);
/* Whether a key of a map can be written behind a dot, or needs brackets to be told from the path
 * around it. */
bool decode_key_is_plain(const char *s);
/* "expected WHAT, not "VALUE"" for the value `at`. */
void decode_expected(struct decoder *d, const struct node *at, const char *sub, const char *what);

/* An error: weft does not carry out what schema_refused[what] describes, a field at `at` or one of
 * its values. */
void decode_refuse(struct decoder *d, const struct node *at, enum refused what);
void decode_refuse_value(struct decoder *d, const struct node *value, enum refused what);

/* Decoding of one value; false after an error. A plain y or n, a truth value to kubectl, is text
 * with a warning; not so among the values of a map, unless objects are `named` by them. */
bool decode_string(struct decoder *d, const struct node *value, const char **out);
bool decode_strings(struct decoder *d, const struct node *value, struct strs *out);
bool decode_kvs(struct decoder *d, const struct node *value, const struct field *f,
		struct kvs *out);
bool decode_bool(struct decoder *d, const struct node *value, bool *out);
bool decode_integer(struct decoder *d, const struct node *value, int64_t min, int64_t max,
		    int64_t *out);
bool decode_double(struct decoder *d, const struct node *value, double *out);
bool decode_duration(struct decoder *d, const struct node *value, int64_t min_ms, msecs *out);
bool decode_list(struct decoder *d, const struct node *value, const struct message *m, void **items,
		 size_t *count, bool keyed);
/* Adds to what a strs already holds, up to DECODE_LIST_MAX; `node` is where `s` stands. Only for
 * one that nothing else fills. */
bool decode_strs_append(struct decoder *d, struct strs *strs, const char *s,
			const struct node *node);
/* Room for `more` beside the `count` elements of an array that only this function has made: the
 * array itself or a copy of it. NULL and d->no_memory without memory. */
void *decode_grow(struct decoder *d, void *items, size_t count, size_t more, size_t size);
/* False, with an error at `node`, if `count` elements are too many. */
bool decode_count(struct decoder *d, const struct node *node, size_t count);
/* The same for `max` (0: DECODE_LIST_MAX). */
bool decode_at_most(struct decoder *d, const struct node *node, size_t count, int64_t max);

/* Nanoseconds of "1h30m", "0.5s", ...; -EINVAL if it is no duration, -ERANGE if it is too long. */
int decode_duration_ns(const char *s, int64_t *ns);

/* The value of a field as the message's table names it, in either spelling; `map` itself when it is
 * not given. */
const struct node *decode_at(const struct decoder *d, const struct node *map, const char *name);
/* Whether it is given, and not as null. */
bool decode_given(const struct decoder *d, const struct node *map, const char *name);

/* Memory of the object's arena, zeroed; NULL and d->no_memory without any. */
void *decode_alloc(struct decoder *d, size_t size);

#endif
