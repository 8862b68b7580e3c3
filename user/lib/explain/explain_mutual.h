/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_MUTUAL_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_MUTUAL_H
/*
 * With which endpoints of a cluster mutual TLS is spoken, and why not with others.
 */
#include "lib/explain/explain_http.h"

/* Whether mutual TLS, or that a rule wants none, has a part in what goes to the cluster. */
bool explain_mutual_is_used(const struct http_answer *a, const struct hs_cluster *c);
/* Then: {"mode", "identity": the client's, "peers": {ENDPOINT: its identity}, "in_clear": [...],
 * "refused": [...]}, each only where there is one. NULL when out of memory. */
json_t *explain_mutual_json(const struct http_answer *a, const struct hs_cluster *c);
/* Why that endpoint can't be called by the client, a sentence; NULL: it can. */
const char *explain_mutual_refuses(const struct http_answer *a, const struct hs_cluster *c,
				   const struct endpoint *e);

#endif
