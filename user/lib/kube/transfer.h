/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_TRANSFER_H
#define WEFT_LIB_KUBE_TRANSFER_H
/*
 * A libcurl handle set up for one request to an API server.
 */
#include "lib/kube/credentials.h"
#include "lib/kube/curl.h"

/* Everything is borrowed. */
struct kube_request {
	const char *method;
	const char *path; /* with its query: "/api/v1/pods?limit=500" */
	const char *type; /* the Content-Type of the body */
	const char *body; /* NULL: none */
	size_t size;
	const char *accept; /* NULL: JSON */
	const char *etag; /* of what is known: a status of 304 says that it is so still; or NULL */
	unsigned timeout_s; /* for all of it; 0: none, as for a watch */
};

struct kube_transfer {
	CURL *easy; /* NULL: not open */
	struct curl_slist *headers, *connect_to;
	char detail[CURL_ERROR_SIZE];
};

/*
 * Sets up t->easy, which is made if there is none: one that is there keeps its connections. The
 * transfer must stay where it is, and the request, config and credentials must stay until it is
 * over. Where to put what comes is for the caller to set. 0 or -ENOMEM.
 */
int kube_transfer_open(struct kube_transfer *t, const struct kube_config *config,
		       const struct kube_credentials *credentials,
		       const struct kube_request *request);
void kube_transfer_close(struct kube_transfer *t); /* harmless for one that is not open */

/* Why it failed, in a user's words: "no API server at https://10.0.0.1:443: connection refused".
 * Returns `error`. */
const char *kube_transfer_error(const struct kube_transfer *t, const struct kube_config *config,
				CURLcode code, char error[KUBE_ERROR_MAX]);

#endif
