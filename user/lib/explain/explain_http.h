/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_HTTP_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_HTTP_H
/*
 * What happens to a request, and why: the HTTP tables' answer.
 */
#include "lib/explain/explain.h"
#include "lib/route/route.h"

/* What is asked beyond struct explain_query. Unset strings are NULL. */
struct explain_request {
	const char *method, *scheme, *path; /* "GET", as the port is, "/" by default */
	/* "NAME=VALUE" each; Host or :authority take the place of the name that is called. */
	const char *const *headers;
	size_t header_count;
};

/*
 * Answers as documented for `weft explain -o json`. Returns 0 and the caller's reference in *out;
 * -EPROTONOSUPPORT if no HTTP is spoken at the place that is asked about: then explain() has the
 * answer; -ENOENT or -EINVAL when `errors` says why; -ENOMEM.
 */
int explain_http(const struct http_snapshot *s, const struct tables *t,
		 const struct objects *objects, const struct explain_query *q,
		 const struct explain_request *request, json_t **out, struct errors *errors);

/* The answer for people: a line for each key. The caller frees; NULL when out of memory. */
char *explain_http_text(const json_t *answer);

/* ---- between the parts of this ---- */

/* An answer in the making. */
struct http_answer {
	const struct http_snapshot *s;
	struct http_request request;
	struct http_decision decision;
	json_t *skipped; /* borrowed */
};

json_t *explain_http_json(const struct http_answer *a);

#endif
