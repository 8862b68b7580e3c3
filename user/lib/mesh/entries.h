/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_ENTRIES_H
#define WEFT_LIB_MESH_ENTRIES_H
/*
 * ServiceEntries: each of their hosts is a struct host beside those of Services. What struct host
 * has for its Service is then an object of the kind ServiceEntry with the entry's name and place,
 * whose `service` has the ports, and nothing else.
 */
#include "lib/mesh/mesh.h"

/* What a host of ServiceEntries has. In the mesh's lasting pool. */
struct entry_host {
	struct object service; /* first: host.service */
	const char *name;      /* of the host, in lower case, without a final dot */
	/* Those that have it, oldest first, of one namespace, resolution and exportTo. Their ports
	 * and addresses are united, as in Istio. */
	struct refs entries;
	int resolution; /* enum resolution */
	struct addr *addrs;
	size_t addr_count;
	struct cidr *ranges; /* addresses that are subnets, of whose bits those behind are 0 */
	size_t range_count;
};

/* What a host has of ServiceEntries; NULL: it is a Service's. */
static inline struct entry_host *host_entry(const struct host *h)
{
	const struct object *o = h->service;

	return o && o->kind == KIND_SERVICE_ENTRY ? (struct entry_host *)(void *)o : NULL;
}

/* Nothing but the name that a client asks for, or its port, says that it is called. */
static inline bool host_is_anywhere(const struct host *h)
{
	const struct entry_host *e = host_entry(h);

	return e && !e->addr_count && !e->range_count;
}

/* Whether weft-proxy can know that the port was called, of which it reads no requests: by the
 * address, or, where it is called at none, by the name that TLS asks for. */
static inline bool host_tells_port(const struct host *h, const struct mesh_port *sp)
{
	const struct entry_host *e = host_entry(h);

	return !e || (!e->range_count && (e->addr_count || sp->protocol == PORT_TLS));
}

/* Its connections go where they were sent. */
static inline bool host_keeps_address(const struct host *h)
{
	const struct entry_host *e = host_entry(h);

	return e && e->resolution == RESOLUTION_NONE;
}

/* exportTo of the host's ServiceEntries; NULL: it is a Service's, which everyone sees. */
const struct strs *host_exports(const struct host *h);
/* Whether clients of that namespace (NULL: of an unknown one) see the host. */
bool host_is_seen(const struct host *h, const char *client);

/* Adds an object to mesh->services for each host of the mesh's ServiceEntries, the oldest first.
 * What can't be carried out is an error. 0 or -ENOMEM. */
int entries_add(struct mesh *mesh);

/* In lower case, without a final dot. False: it is no name. */
bool entry_name(const char *given, char out[HOST_MAX]);

#endif
