/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_RESPONSE_FLAGS_H
#define WEFT_LIB_BASE_RESPONSE_FLAGS_H
/*
 * Envoy's response flags: why a request ended as it did.
 */
#include <stdint.h>

enum {
	FLAGS_TEXT = 64,
	FLAGS_ALL = (1 << 15) - 1, /* all that there are */
};

/* Adds the flag of that name; "-" is none. */
void flags_add(uint32_t *flags, const char *name);
/* The set of one. */
uint32_t flags_of(const char *name);
/* In Envoy's order, "UF,URX"; "-" for none; bits that are no flag are passed over. `out` is
 * room for it. */
const char *flags_text(uint32_t flags, char out[FLAGS_TEXT]);

#endif
