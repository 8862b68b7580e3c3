/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_JSON_TEXT_H
#define WEFT_LIB_YAML_JSON_TEXT_H
/*
 * The tree of an object that an API server has written as JSON, of which there are tens of
 * thousands: its strings stand in the text itself. A NUL takes the place of each closing quotation
 * mark, so that the text can be kept in place of the tree, what was decoded from it may go on
 * pointing into it, and both can be made again: no JSON has a NUL.
 */
#include "lib/yaml/tree.h"

/*
 * As yaml_parse_placeless() would make it. `text` is changed in place, and must outlive the tree
 * and everything decoded from it; so must `texts`, which takes the few scalars that do not stand in
 * the text as they are. The nodes are in `nodes`, which may be the same arena.
 *
 * 0; -ENOMEM; or -EINVAL with `text` as it was: this is not plain JSON (it has escapes of other
 * than ASCII characters, fractions, a key twice, ...), and yaml_parse_placeless() may have it or
 * say what is wrong.
 */
int json_text_parse(char *text, size_t size, struct arena *texts, struct arena *nodes,
		    const struct node **out);

/* The JSON again that json_text_parse() was given. */
void json_text_restore(char *text, size_t size);

#endif
