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
void targets_free(struct targets *t);

#endif
