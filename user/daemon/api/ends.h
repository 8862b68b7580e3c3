/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_ENDS_H
#define WEFT_DAEMON_API_ENDS_H
/*
 * Who is at the ends of a connection, for people: pods by their addresses, as the known objects
 * have them.
 */
#include "daemon/engine/engine.h"
#include "lib/base/json_io.h"
#include "lib/base/table.h"

struct pod_address {
	struct addr addr;
	const struct object *pod;
};

/* Zero-initialise; free with ends_free(). */
struct ends {
	struct engine *engine;
	uint64_t version; /* of the engine, when `pods` was made */
	bool made;
	TABLE(struct pod_address) pods; /* by address */
};

/* Looks again what pods there are, if any has changed. 0 or -ENOMEM. */
int ends_refresh(struct ends *e, struct engine *engine);
void ends_free(struct ends *e);

/* {"address", "port", "namespace", "pod", "workload", "app"}; the last four if it is a pod's. */
json_t *ends_at(const struct ends *e, const struct addr *addr, unsigned port);
/* Adds "service" and "host" to an end that `host` was called at, and its namespace if there is none
 * yet. */
void ends_add_host(json_t *end, const char *host, size_t len);

#endif
