/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_YAML_TEXT_H
#define WEFT_YAML_TEXT_H

#include <jansson.h>

/* Prints JSON as one YAML document on stdout, in block style. Returns an exit status. */
int yaml_print(const json_t *json);

#endif
