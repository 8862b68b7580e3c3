/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_SELECTOR_H
#define WEFT_LIB_SCHEMA_SELECTOR_H
/*
 * Label selectors as kubectl's -l takes them: "app=web", "app==web", "app!=web", "app in (a,b)",
 * "app notin (a,b)", "app", "!app", "n>3", "n<3", several with commas between: all must hold.
 */
#include <stdbool.h>

#include "lib/base/arena.h"
#include "lib/model/model.h"

enum selector_relation {
	SELECTOR_IN, /* the label is there and its value is one of these */
	SELECTOR_NOT_IN,
	SELECTOR_EXISTS,
	SELECTOR_ABSENT,
	SELECTOR_GREATER,
	SELECTOR_LESS,
};

struct requirement {
	const char *key;
	enum selector_relation relation;
	struct strs values;
	int64_t number; /* of GREATER and LESS */
};

/* No requirement at all: everything matches. Zero-initialise; free with selector_free(). */
struct selector {
	struct requirement *items;
	size_t count;
	struct arena *arena; /* owns the above */
};

/* 0; -EINVAL with what is wrong in `why`; -ENOMEM. *out is untouched on failure. */
int selector_parse(const char *text, struct selector *out, char *why, size_t size);
bool selector_matches(const struct selector *s, const struct kvs *labels);
void selector_free(struct selector *s);

#endif
