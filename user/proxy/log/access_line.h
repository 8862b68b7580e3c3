/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_ACCESS_LINE_H
#define WEFT_PROXY_LOG_ACCESS_LINE_H
/*
 * A request as a line of the access log.
 */
#include "proxy/request/access_entry.h"

enum { ACCESS_LINE_MAX = 4096 };

/* Writes the line, its end included; what is too long in it is cut. Its length. */
size_t access_line(char line[ACCESS_LINE_MAX], bool json, const struct access_entry *e);

#endif
