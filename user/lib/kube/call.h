/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_CALL_H
#define WEFT_LIB_KUBE_CALL_H
/*
 * One request to an API server after the other, each waited for: for a CLI, not for weftd's loop.
 */
#include "lib/kube/transfer.h"

struct kube_client;

/* Takes the configuration over, also when it fails. 0, -ENOMEM or -EIO. */
int kube_client_open(struct kube_config *config, struct kube_client **out);
void kube_client_close(struct kube_client *c); /* accepts NULL */
DEFINE_CLEANUP(struct kube_client *, kube_client_close);

/* Borrowed from the client. */
const struct kube_config *kube_client_config(const struct kube_client *c);

struct kube_reply {
	long status; /* of HTTP; 0: no answer came */
	char *body;  /* owned, with a NUL behind it; NULL: no answer came */
	size_t size;
};

void kube_reply_free(struct kube_reply *reply);

/*
 * Sends a request and waits for the answer; a timeout of 0 is half a minute. 0 when its status is
 * 2xx. Otherwise why in `error`, in a user's words: what the server says itself where it says
 * something. -ENOENT for 404, -EACCES for 401 and 403, -EEXIST for 409, -EINVAL for 400, 415 and
 * 422, -EAGAIN for 429 and 5xx, -EPROTO for any other status; `out` is the answer then, too.
 * -ECONNREFUSED, -ETIMEDOUT, -EIO when no answer came; -EFBIG for one of over 256 MiB; -ENOMEM.
 */
int kube_call(struct kube_client *c, const struct kube_request *request, struct kube_reply *out,
	      char error[KUBE_ERROR_MAX]);

/* What the body of an answer that is none of 2xx says: the message of its Status object, or its
 * first line, or else only that status. Returns `error`. */
const char *kube_status_text(long status, const char *body, size_t size,
			     char error[KUBE_ERROR_MAX]);

#endif
