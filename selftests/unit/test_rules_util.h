/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_RULES_UTIL_H
#define WEFT_TEST_RULES_UTIL_H
/*
 * Rules as text -> objects.
 */
#include <stdio.h>

#include "lib/base/cleanup.h"
#include "lib/schema/parse.h"

struct parsed {
	struct objects objects;
	struct errors errors, skipped;
	int r;
};

/* Parses `yaml` as the file "t.yaml". */
void parsed_text(struct parsed *p, const char *yaml);
void parsed_bytes(struct parsed *p, const char *name, const char *bytes, size_t len);
void parsed_free(struct parsed *p);
#define _cleanup_parsed_ _cleanup_(parsed_free)

/* The first object; fails the test if `yaml` is refused or has none. */
const struct object *parsed_object(struct parsed *p, const char *yaml);

/* Everything there is to read, and a NUL. The caller frees. */
char *stream_bytes(FILE *f, size_t *len);
char *file_bytes(const char *path, size_t *len);
/* One message per line, warnings with "warning: " in front. The caller frees. */
char *messages(const struct errors *e);

#endif
