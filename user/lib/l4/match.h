/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L4_MATCH_H
#define WEFT_LIB_L4_MATCH_H
/*
 * What of a rule's match is known before any connection comes, and what is left for decide().
 */
#include "lib/l4/rules.h"

/*
 * Why a match of `o` can never hold for what is called, in the mesh's arena or static; NULL if it
 * can. `m` may be NULL: the route has no match.
 */
const char *match_never(struct mesh *mesh, const struct called *to, const struct object *o,
			const struct l4_match *m);
/* Sets rule->ns and rule->selector, and `text` to what they stand for. 0 or -ENOMEM. */
int match_conditions(struct mesh *mesh, const struct called *to, const struct l4_match *m,
		     struct rule *rule, const char **text);

#endif
