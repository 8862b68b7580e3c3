/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_TARGETS_H
#define WEFT_CLI_TARGETS_H
/*
 * The objects that get and delete are told of, as kubectl takes them: KIND[,KIND...] [NAME...], or
 * KIND/NAME...
 */
#include <jansson.h>
#include <stdbool.h>

struct targets {
	json_t *list; /* [{"kind", "name"}...] for a request; owned */
	bool named;   /* each by its name */
	bool kinds;   /* may be of more than one kind */
};

/* Zero-initialise *out; free with targets_free(). 0, or STATUS_USAGE after a message. */
int targets_parse(int argc, char **argv, struct targets *out);
/* "No resources found in shop namespace." on stderr; `namespace` is NULL for all. */
void targets_none(const struct targets *t, const char *namespace);
/* What was named and is not there is a failure, though the rest of a reply to "get" is shown: each
 * on stderr, and STATUS_FAILED; STATUS_DONE if there is none. */
int targets_missing(const json_t *data);
void targets_free(struct targets *t);

#endif
