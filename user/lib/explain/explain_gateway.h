/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_GATEWAY_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_GATEWAY_H
/*
 * A Gateway by itself: the rules as they would be if there were no other. Gateways that are served
 * together share listeners, hosts and ports; a question about one of them is none about the others.
 */
#include "lib/explain/explain.h"
#include "lib/tables/registry.h"

/* Zero-initialise, and free with explain_gateway_free(). */
struct explain_gateway {
	struct objects objects; /* borrowed from the list that was given; the list is owned */
	struct tables *tables;	/* of these, with their snapshot */
};

/*
 * Compiles what q->gateway is alone. `registry` is that of the tables in force, whose names are
 * known to it. 0; -ENOENT where there is no such Gateway, or nothing leads to it at q->port and it
 * has no server of that number: `errors` says so; -EINVAL, -ENOMEM or -E2BIG as compile() has it.
 */
int explain_gateway_make(const struct objects *objects, const struct explain_query *q,
			 struct registry *registry, struct explain_gateway *out,
			 struct errors *errors);
void explain_gateway_free(struct explain_gateway *g);

/* Whether an entry of the tables leads to a Gateway. */
bool explain_leads_to_gateway(const struct service_entry *e, const struct service_origin *o);

#endif
