/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_REFUSAL_LINES_H
#define WEFT_DAEMON_API_REFUSAL_LINES_H
/*
 * Connections that the kernel's side has refused, as lines among those of weft-proxy's access log.
 */
#include "daemon/api/handlers.h"
#include "weft/event.h"

struct access_follow_more;
struct refusal_lines;

/* `d`, borrowed, is complete when lines are first asked for. 0 or -errno. */
int refusal_lines_open(struct weftd *d, struct kernel *k, struct refusal_lines **out);
void refusal_lines_close(struct refusal_lines *l); /* accepts NULL */
/* What access_follow_open() is given. */
void refusal_lines_more(struct refusal_lines *l, struct access_follow_more *out);

/* {"refusal": {"time", "client", "called", "reason", "cluster"}}, of which log_entry() makes one. A
 * new string; NULL when out of memory. `reason` and `cluster` are their names; "": none. */
char *refusal_line(const struct refusal_event *e, const char *reason, const char *cluster);

#endif
