/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_COMPILE_UTIL_H
#define WEFT_TEST_COMPILE_UTIL_H
/*
 * Rules as text -> tables -> text.
 */
#include "lib/compile/compile.h"
#include "lib/schema/parse.h"
#include "lib/tables/tables.h"

struct compiled {
	struct objects objects;
	struct registry *registry;
	struct tables *tables; /* NULL if it was refused */
	struct errors errors;
	int r;
};

/* Parses and compiles `yaml` as the file "t.yaml"; keeps the registry of `before`, if given. Never
 * fails itself. */
void compiled_text(struct compiled *c, const char *yaml);
void compiled_again(struct compiled *c, struct compiled *before, const char *yaml);
void compiled_free(struct compiled *c);
/* All messages, one per line, warnings marked. The caller frees. */
char *errors_text(const struct errors *e);
/* All of the tables, for reading. The caller frees. */
char *tables_text(const struct tables *t);
/* The whole file; the caller frees. NULL if it can't be read. */
char *file_text(const char *path);

#define _cleanup_compiled_ _cleanup_(compiled_free)

#endif
