/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CHANGES_H
#define WEFT_CLI_CHANGES_H

#include <jansson.h>

/* Prints "virtualservice/reviews configured" for each of data's "changes". Returns an exit status.
 */
int changes_print(const json_t *data);

#endif
