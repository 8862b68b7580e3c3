/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CHECKLIST_H
#define WEFT_CLI_CHECKLIST_H
/*
 * What `weft verify-install` has looked at, point by point.
 */
#include <jansson.h>
#include <stdbool.h>

struct checklist {
	json_t *items; /* [{"check", "ok", "detail"}...] */
	bool failed;
};

/* Takes over `detail`. */
void checklist_add(struct checklist *l, bool ok, const char *what, json_t *detail);
/* What is to be known, but no fault. Takes over `detail`. */
void checklist_note(struct checklist *l, const char *what, json_t *detail);
/* Prints it, as JSON if `json`. Returns an exit status. */
int checklist_print(const struct checklist *l, bool json);

#endif
