/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_ERRORS_H
#define WEFT_LIB_BASE_ERRORS_H
/*
 * Positions in files, and the problems found there.
 */
#include <stdbool.h>
#include <stddef.h>

/* 1-based; line 0 means "not given". Column 0: given, but in what has no lines to tell a user of
 * (an object of the Kubernetes API). */
struct pos {
	int line, col;
};

struct remark; /* lib/model/remarks.h */

/* Room for most places as text. */
enum { PLACE_MAX = 512 };

/* Every problem of one parse, validation or compilation, in order. Zero-initialise; free with
 * errors_free(). */
struct error {
	const struct remark *remark; /* NULL: none of analyze's */
	size_t place;		     /* length of "file:line:col" in `text` */
	char *text; /* NULL if there was no memory for it. "file:line:col: path.to.field: expected,
		       not "value"" */
	char *namespace; /* of the object that a remark is about; NULL: none, or not known */
	bool warning;
};

struct errors {
	struct error *items;
	size_t count, warnings; /* count includes the warnings */
};

__attribute__((format(printf, 4, 5))) void errors_add(struct errors *e, const char *file,
						      struct pos at, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void errors_warn(struct errors *e, const char *file,
						       struct pos at, const char *fmt, ...);
/* "FILE:LINE:COL", or "FILE" where there is no place to tell of; cut off at `size`. Returns `buf`.
 */
const char *place_text(char *buf, size_t size, const char *file, struct pos at);

bool errors_fatal(const struct errors *e); /* any that is not a warning */
/* Drops those that wanted() does not want. */
void errors_keep(struct errors *e, bool (*wanted)(const struct error *error, void *arg), void *arg);
/* Appends those of `from`, which is empty then. */
void errors_move(struct errors *to, struct errors *from);
/* Appends a copy, as being about an object of that namespace (NULL: none). 0 or -ENOMEM. */
int errors_copy(struct errors *to, const struct error *e, const char *namespace);
void errors_free(struct errors *e);

#endif
