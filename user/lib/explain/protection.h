/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_PROTECTION_H
#define WEFT_LIB_EXPLAIN_PROTECTION_H
/*
 * What the ConnectionPolicy says, and what becomes of a caller from outside by it.
 */
#include "lib/tables/tables.h"

/* "2 subnets allowed, 1 denied; 10 new connections per second of a source (20 at once); SYN cookies
 * above 5000 per second; ports 80, 443"; "none" without a policy. The caller frees; NULL when out
 * of memory. */
char *protection_text(const struct protection *p);
/* Its parts, for tables of one line: "100/s, 200 at once", "Auto above 5000/s". */
void protection_rate_text(const struct token_bucket *b, char *out, size_t size);
void protection_cookies_text(const struct cookie_policy *c, char *out, size_t size);

/* A call from outside. */
struct protection_query {
	const struct addr *from; /* NULL: not known */
	unsigned port;		 /* that is called */
	bool served;		 /* weft serves it; else only `ports` can speak of it */
};

/*
 * Whether the policy, one of `objects`, drops each connection of that caller; how much rates leave
 * of others is not known here. *why is a sentence with the policy's name and place, which the
 * caller frees; NULL: the policy has nothing to say. 0 or -ENOMEM.
 */
int protection_ask(const struct protection *p, const struct objects *objects,
		   const struct protection_query *q, bool *dropped, char **why);

#endif
