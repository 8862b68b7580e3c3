/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_PARSE_H
#define WEFT_LIB_SCHEMA_PARSE_H
/*
 * From a file's bytes to objects. Everything else in this room serves this function.
 */
#include "lib/model/model.h"

/*
 * Parses one file's bytes (YAML or JSON, any number of documents, kind: List flattened), decodes
 * and validates every object in it, and appends the good ones to `out` in file order. Kinds that
 * have no say in traffic are skipped with one line each in `skipped` (if not NULL); those that have
 * (schema_unknown.h) are errors. Returns 0, or -EINVAL when `errors` got at least one error (`out`
 * may then hold some objects), or -ENOMEM. Pure: no I/O, no globals.
 */
int rules_parse(const char *name, const char *bytes, size_t len, struct objects *out,
		struct errors *errors, struct errors *skipped);

struct parse_options {
	/* Objects that name no namespace are in this one, and one that names another is an error;
	 * NULL: they are in "default". */
	const char *namespace;
	bool skip_unknown; /* no kind is refused because weft does not carry it out */
	/* It is kept from an earlier weft: what that took is taken, as it meant it. */
	bool kept;
	bool kept_scalars; /* so old that its scalars count: yaml_parse_kept() */
	bool placeless;	   /* no file of a user's: errors tell no lines */
	/* One object, of which there may be tens of thousands: placeless, and its text is kept, not
	 * its tree. */
	bool compact;
};

int rules_parse_with(const struct parse_options *how, const char *name, const char *bytes,
		     size_t len, struct objects *out, struct errors *errors,
		     struct errors *skipped);

#endif
