/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_TABLES_REGISTRY_H
#define WEFT_LIB_TABLES_REGISTRY_H
/*
 * Ids that stay what they are over reloads and restarts.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/addr.h"
#include "weft/policy.h"
#include "weft/service.h"

/*
 * Stable ids by name. One registry per kind of thing; ids start at 1 and are never given to another
 * name while the registry lives. weftd fills it from the pinned counter maps at start. No map holds
 * the names of services: their ids are 32-bit hashes of the names, so that a restart gives the same
 * ones. Of two names with one hash the later one gets the next free number; only for such a pair
 * does the id depend on which came first.
 */
struct registry;

enum registry_kind {
	REG_SERVICE,  /* "default/tcp-echo:9000", "gateway:31400" */
	REG_ROUTE,    /* struct route_stat.name */
	REG_CLUSTER,  /* struct cluster_stat.name */
	REG_ENDPOINT, /* struct endpoint_stat.name */
	REG_PEER,     /* struct traffic_peer.name */
	/* What weftd knows while it runs: nothing in the kernel outlives its ids. */
	REG_NAMESPACE,
	REG_SELECTOR, /* its labels, ordered: "app=sleep, version=v1" */
	REG_WORKLOAD, /* the ids of the selectors that hold: "3,7" (sources.h) */
	REG_MAX,
};

struct registry *registry_new(void);
void registry_free(struct registry *r);
/* The id of `name`, a new one if it has none. 0 when out of memory, or out of ids. */
__u32 registry_id(struct registry *r, enum registry_kind kind, const char *name);
/* NULL if no such id. Owned by the registry; of a REG_PEER until registry_review() forgets it. */
const char *registry_name(struct registry *r, enum registry_kind kind, __u32 id);
/* Takes over a name and id found elsewhere. 0, -EEXIST if either is taken by another, -ENOMEM. */
int registry_adopt(struct registry *r, enum registry_kind kind, const char *name, __u32 id);

/*
 * Forgets the names of REG_PEER of which keep() says false; their ids are not given again. *mark is
 * keep()'s own for each name, 0 at first and never all ones. keep() is not asked for the name with
 * the highest id, which stays: a registry that is filled from the same maps goes on behind it. 0;
 * or -ENOMEM: then all names are still there.
 */
int registry_review(struct registry *r, enum registry_kind kind,
		    bool (*keep)(void *arg, __u32 id, __u64 *mark), void *arg);
/* The highest id that was ever given; 0: none. */
__u32 registry_last(const struct registry *r, enum registry_kind kind);
/* How many names there are. */
size_t registry_count(const struct registry *r, enum registry_kind kind);

/* What the compiler alone asks: endpoints by their address, of which there may be 100,000. */

/* An endpoint that has had an id, found without making its name first. Owned by the registry. */
struct known_endpoint {
	struct endpoint endpoint;
	const char *name;
	__u64 stamp; /* of the last list that was given this endpoint */
};

/* The endpoint at that address and port, with a new id if it has none. NULL when out of memory. */
struct known_endpoint *registry_endpoint(struct registry *r, const struct addr *addr, __u16 port);
/* A number that no known_endpoint has for its stamp. */
__u64 registry_stamp(struct registry *r);

#endif
