/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_TREE_H
#define WEFT_LIB_YAML_TREE_H
/*
 * A YAML or JSON document as nodes that know where they stood. Nodes live in the document's arena
 * and are immutable.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/errors.h"

enum node_type {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_ALIAS, /* stands for `target`; the functions below see through it */
};

/* What a scalar means to Kubernetes (scalar.c); a quoted one is always a string. */
enum scalar_type { SCALAR_STRING, SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT };

struct node {
	uint32_t line, col; /* 1-based; columns count characters */
	uint8_t type;	    /* enum node_type */
	bool quoted;	    /* a string whatever it looks like: quoted, a block, or tagged !!str */
	uint32_t count;	    /* children of a list, pairs of a map, bytes of a scalar */
	union {
		const char *text;	   /* scalar, with a NUL behind it */
		const struct node *child;  /* first of a list, first key of a map */
		const struct node *target; /* alias */
	};
	const struct node *next; /* sibling; a key's is its value, a value's the next key */
};

static inline struct pos node_pos(const struct node *n)
{
	return (struct pos){ (int)n->line, (int)n->col };
}

/* The node that an alias stands for, or the node itself. */
static inline const struct node *node_target(const struct node *n)
{
	return n->type == NODE_ALIAS ? n->target : n;
}

/* The value under `key`, or NULL (also when `map` is NULL or no map). */
const struct node *node_get(const struct node *map, const char *key);
/* The key's own node. */
const struct node *node_key(const struct node *map, const char *key);
/* For a scalar only; other nodes are SCALAR_STRING. */
enum scalar_type node_scalar(const struct node *n);
/* The value of a SCALAR_INT, in whatever base; false if it does not fit (or is no such scalar). */
bool node_int(const struct node *n, int64_t *out);
/* The value of a SCALAR_INT or SCALAR_FLOAT; false if it is none, or not finite. */
bool node_number(const struct node *n, double *out);
/* A plain y or n: a SCALAR_STRING, and a truth value where one is expected. */
bool node_is_letter_bool(const struct node *n);
/* Whether a SCALAR_BOOL, or such a letter, says true: true, yes, y, on. */
bool node_true(const struct node *n);
/* Whether a plain scalar of this text was a string until weft read it as Kubernetes does; only for
 * those that are none now. */
bool scalar_was_text(const char *text);
/* Given as nothing: `key:`, `key: null`, `key: ~`. */
bool node_is_null(const struct node *n);
/* The text of a scalar, else NULL. */
const char *node_text(const struct node *n);
/* "\"80\"", "a list", "a map", "nothing": for messages, shortened to fit. Returns `buf`. */
const char *node_describe(const struct node *n, char *buf, size_t size);

/* One document of a stream. */
struct document {
	struct arena *arena;	 /* owned */
	const struct node *root; /* never NULL: empty documents are left out */
};

struct documents {
	struct document *items;
	size_t count;
};

void documents_free(struct documents *docs);

/*
 * Parses all documents of `bytes`. Returns 0; -EINVAL when `errors` got the (one) syntax error,
 * `out` then holds the documents before it; -ENOMEM. What nests deeper than 64 levels, expands its
 * aliases to far more than was written, refers to itself, gives a key twice, or is not clean UTF-8
 * is refused.
 */
int yaml_parse(const char *name, const char *bytes, size_t len, struct documents *out,
	       struct errors *errors);

/*
 * As yaml_parse(), for what an earlier weft has taken and kept: scalars that were text to it (y,
 * 1_000, 0X1F) are, and keys stay as they were written.
 */
int yaml_parse_kept(const char *name, const char *bytes, size_t len, struct documents *out,
		    struct errors *errors);

/* As yaml_parse(), for what no user has as a file: every node is at line 1, column 0. */
int yaml_parse_placeless(const char *name, const char *bytes, size_t len, struct documents *out,
			 struct errors *errors);

/* 0, or -EINVAL with an error for the first byte that no YAML document can have. */
int yaml_check_bytes(const char *name, const char *bytes, size_t len, struct errors *errors);

#endif
