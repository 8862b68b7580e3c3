/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_AGE_H
#define WEFT_CLI_AGE_H
/*
 * Ages as kubectl prints them: "45s", "3m20s", "47m", "5h3m", "26h", "3d4h", "400d", "2y35d".
 */
#include <stdint.h>

enum { AGE_TEXT_MAX = 48 };

/* Returns `out`. */
const char *age_text(int64_t seconds, char out[AGE_TEXT_MAX]);

#endif
