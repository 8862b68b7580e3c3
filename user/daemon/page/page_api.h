/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_PAGE_API_H
#define WEFT_DAEMON_PAGE_PAGE_API_H
/* clang-format off */
/*
 * What the page asks for beside its events, each with the parameters of the query:
 *
 *	/api/object?kind=&namespace=&name=	what `weft describe -o json` says, of kinds that are
 *						rules or Services
 *	/api/conns?q=TEXT...&limit=N		what `weft conns -o json` says: those that have all
 *						of the texts in them
 *	/api/explain?namespace=&pod=&host=&port=&method=&scheme=&path=&header=K=V...
 *						what `weft explain` says: {"answer", "text"}
 *
 * An answer is what weftd says as "data", or with 4xx and 5xx {"error": TEXT}. Values of headers
 * that carry secrets are left out, and so is what stands behind the ? of a path.
 */
/* clang-format on */
#include "daemon/page/ask.h"
#include "daemon/page/page_http.h"

/* 0 or -ENOMEM. */
int page_api_answer(struct ask *ask, const struct page_request *request, struct page_answer *out);

/* Takes the values of such headers out of all of it, in place: members of their names, YAML in a
 * string called "yaml", and what other strings say of a header. 0 or -ENOMEM. */
int page_api_redact(json_t *json);
/* The same of YAML and of words: a new string, NULL when out of memory. */
char *page_api_redact_yaml(const char *yaml);
char *page_api_redact_text(const char *text);

#endif
