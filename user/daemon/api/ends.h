/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_ENDS_H
#define WEFT_DAEMON_API_ENDS_H
/*
 * Who is at the ends of a connection, for people: pods by their addresses, as the known objects
 * have them.
 */
#include "daemon/engine/engine.h"
#include "lib/base/json_io.h"

/* {"address", "port", "namespace", "pod", "workload", "app"}; the last four if it is a pod's. A new
 * object, or NULL when out of memory. */
json_t *ends_at(const struct engine *e, const struct addr *addr, unsigned port);
/* Adds "service" and "host" to an end that `host` was called at, and its namespace if there is none
 * yet. */
void ends_add_host(json_t *end, const char *host, size_t len);

#endif
