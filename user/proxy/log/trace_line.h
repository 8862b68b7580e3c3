/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_TRACE_LINE_H
#define WEFT_PROXY_LOG_TRACE_LINE_H
/* clang-format off */
/*
 * A request's spans as a line of JSON: what its line of the access log says, and
 *
 *	"trace_id": HEX, "parent_span_id": HEX or null, "scheme", "host", "gateway": 0 or 1, "attempts": N,
 *	"source": ID, "destination": ID,         of peers (weft/traffic.h); 0: not known
 *	"cluster": ID,                           the one that was chosen, also where none was asked; 0: none
 *	"client": SPAN, "server": SPAN           those that there are
 *
 * where SPAN is {"span_id": HEX, "start_ns": N, "end_ns": N, "tags": {NAME: VALUE, ...}}. Tags for which there is no
 * room any more are left out.
 */
/* clang-format on */
#include "proxy/log/access_line.h"

/* Writes the line, its end included. Its length. */
size_t trace_line(char line[ACCESS_LINE_MAX], const struct trace_entry *e);

#endif
