/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H1_HTTP_STATUS_H
#define WEFT_PROXY_H1_HTTP_STATUS_H

/* "Not Found"; "Unknown" for statuses without a registered reason. */
const char *status_reason(unsigned status);

#endif
