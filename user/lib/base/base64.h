/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_BASE64_H
#define WEFT_LIB_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Standard and URL-safe alphabets, padded or not. `out` has room for as much as `s` has. False if
 * it is not base64. */
bool base64_decode(const char *s, char *out, size_t *len);
/* The standard alphabet, padded. The caller frees; NULL without memory. */
char *base64_encode(const char *bytes, size_t len);

#endif
