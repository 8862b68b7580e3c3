/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_YAML_JSON_H
#define WEFT_LIB_YAML_YAML_JSON_H
/*
 * JSON is YAML but for two things, which are put right before the parser sees it.
 */
#include <stdbool.h>
#include <stddef.h>

/* Whether a text begins as JSON does. It has no NULs. */
bool yaml_is_json(const char *bytes, size_t len);

/*
 * A copy with the tabs outside of the outermost brackets as spaces, and characters that JSON writes
 * as two surrogate escapes (\ud83d\ude00) as one that YAML knows (\U0001f600). Positions stay but
 * for the rest of such a line. The caller frees; NULL without memory.
 */
char *yaml_from_json(const char *bytes, size_t *len);

#endif
