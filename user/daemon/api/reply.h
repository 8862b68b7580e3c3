/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_REPLY_H
#define WEFT_DAEMON_API_REPLY_H
/*
 * A request of the control protocol as the handlers get it, and the reply that they fill in.
 */
#include <jansson.h>

#include "daemon/objects/object_set.h"
#include "lib/base/json_io.h"

struct request {
	const json_t *args;
	const char *blob;
	size_t blob_len;
};

/* Takes over the packed reply. */
typedef void (*reply_send_fn)(void *arg, json_t *packed);

/* `data` is given to the reply. */
struct reply {
	json_t *data;
	struct errors errors, notes;
	const char *command; /* of the request */
	reply_send_fn send;
	void *arg;
};

/* The answer comes later: as if it were the handler's. Frees the reply. */
void reply_send(struct reply *reply, int r);

/* A reply that only says what was wrong. */
json_t *refusal(const char *text);

/* Adds "what: message" to the errors. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int refuse(struct reply *reply, const char *what,
						 const char *fmt, ...);

/* "no such kind of object", with the one that may be meant. Returns -EINVAL. */
int refuse_kind(struct reply *reply, const char *word);

/* {"kind", "name", "namespace"} of a request as an identity; -EINVAL with an error if it is none.
 */
int request_id(const struct request *request, struct object_id *out, struct reply *reply);

#endif
