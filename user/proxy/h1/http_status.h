/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H1_HTTP_STATUS_H
#define WEFT_PROXY_H1_HTTP_STATUS_H

#include <stdbool.h>

/* "Not Found"; "Unknown" for statuses without a registered reason. */
const char *status_reason(unsigned status);
/* Whether a response with it has a body, be it an empty one. */
bool status_has_body(unsigned status);

#endif
