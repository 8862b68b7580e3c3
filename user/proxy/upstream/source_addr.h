/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_UPSTREAM_SOURCE_ADDR_H
#define WEFT_PROXY_UPSTREAM_SOURCE_ADDR_H
/*
 * Where addresses are; from that follows the one that an endpoint sees: the client's own wherever
 * replies to it come back by us.
 */
#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "weft/addr.h"

struct source_route {
	bool local; /* to the node itself */
	uint32_t ifindex;
};

/* What source_for() must know of addresses. */
struct source_lookup {
	bool (*is_pod)(void *arg, const struct addr *a); /* of this node */
	int (*find_route)(void *arg, const struct addr *to,
			  struct source_route *out);  /* 0 or -errno */
	bool (*is_ours)(void *arg, uint32_t ifindex); /* weft sees what goes there and comes back */
	void *arg;
};

/* Where an address is. */
enum source_place {
	SOURCE_NODE,   /* one of the node's own */
	SOURCE_POD,    /* a pod of this node */
	SOURCE_BEYOND, /* elsewhere, reached by an interface of ours */
	SOURCE_ASIDE,  /* elsewhere, and not seen by us */
};

enum { SOURCE_PLACES = 1024, SOURCE_CLIENTS = 256, SOURCE_FRESH_MS = 1000 };

struct sources {
	struct source_lookup lookup;
	struct {
		struct addr addr;
		enum source_place place;
		uint64_t until;	 /* ms */
	} places[SOURCE_PLACES]; /* as they were a moment ago */
	/* Clients that were pods of this node a moment ago. */
	struct {
		struct addr addr;
		uint64_t until;
	} clients[SOURCE_CLIENTS];
};

/* Maps of weft's, and the mark of packets to endpoints. -1, 0: none. */
struct source_options {
	int pod_addrs, nics, pods; /* descriptors */
	uint32_t mark;
};

/* The lookups in the kernel, which `out` owns until it is closed. 0 or -errno. */
int source_lookup_open(const struct source_options *o, struct source_lookup *out);
void source_lookup_close(
	struct source_lookup *l); /* one that source_lookup_open() has opened, or {0} */

/* Whether it is an address of the node itself. `now` in ms. */
bool source_is_node(struct sources *s, const struct addr *a, uint64_t now);
/* What to connect to the endpoint from; ::, if the node's own address will do. `now` in ms. */
struct addr source_for(struct sources *s, const struct addr *endpoint, const struct addr *client,
		       const struct addr *called, uint64_t now);

#endif
