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
 * Connections may be those of some time ago: at least of the last second, and of longer where telling
 * them takes weftd long.
 *
 * An answer is what weftd says as "data", or with 4xx and 5xx {"error": TEXT}. Values of headers
 * that carry secrets are left out, and so is what stands behind the ? of a path.
 */
/* clang-format on */
#include <stdint.h>

#include "daemon/page/ask.h"
#include "daemon/page/page_http.h"

/* Of weftd's time, answers for the page take at most the 20th part. */
enum { PAGE_SHARE = 20 };

/* Zero-initialise but for `ask`, which is borrowed; then page_api_close(). */
struct page_api {
	struct ask *ask;
	json_t *conns;		       /* the last answer, without what is not told; or NULL */
	uint64_t conns_ms, conns_took; /* when it came, clock_ms(), and after how many ms */
};

void page_api_close(struct page_api *a);
/* Lets go what was kept and is too old to be told. */
void page_api_forget(struct page_api *a);

/* 0 or -ENOMEM. */
int page_api_answer(struct page_api *a, const struct page_request *request,
		    struct page_answer *out);

/* Takes the values of such headers out of all of it, in place: members of their names, YAML in a
 * string called "yaml", and what other strings say of a header. 0 or -ENOMEM. */
int page_api_redact(json_t *json);
/* The same of YAML and of words: a new string, NULL when out of memory. */
char *page_api_redact_yaml(const char *yaml);
char *page_api_redact_text(const char *text);

#endif
