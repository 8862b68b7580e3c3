/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_ACCESS_LINE_H
#define WEFT_PROXY_LOG_ACCESS_LINE_H
/*
 * A request as a line of the access log.
 */
#include "proxy/request/access_entry.h"

enum {
	ACCESS_LINE_MAX = 4096,
	ACCESS_PATH_SHORT = 256, /* bytes of the path, where there is more in a line */
	ACCESS_MORE = 1100,	 /* bytes of that */
};

/* Writes the line, its end included; what is too long in it is cut. Its length. */
size_t access_line(char line[ACCESS_LINE_MAX], bool json, const struct access_entry *e);

/* The beginning of such a line of JSON; what is more in it, and "}", is for the caller to write,
 * who has room for ACCESS_MORE bytes at least. Where it ends. */
char *access_line_begin(char line[ACCESS_LINE_MAX], const struct access_entry *e);
/* Writes a text in quotes, cut to `max` bytes of what stands between them, or null; a number, of 20
 * digits at most. Where it ends. */
char *access_line_text(char *p, struct h1_span text, size_t max);
char *access_line_number(char *p, uint64_t n);

#endif
