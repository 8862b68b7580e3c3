/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_HOST_INDEX_H
#define WEFT_LIB_MESH_HOST_INDEX_H
/*
 * Objects by the hosts that they name, and which of them the clients of a namespace see. Everything
 * grows in the mesh's pool, but for the maps. Functions that return int return 0, or -ENOMEM.
 */
#include "lib/base/bytemap.h"
#include "lib/model/hostname.h"

struct mesh;

/* Objects in some order. Grows in the mesh's pool. */
struct refs {
	const struct object **items;
	size_t count, room;
};

enum { TRAFFIC_HTTP, TRAFFIC_L4, TRAFFIC_MAX };

/* Some of a host's VirtualServices, as indices into its refs. */
struct ranks {
	size_t *items;
	size_t count, room;
	size_t oldest[TRAFFIC_MAX]; /* the first with rules for such traffic, + 1 */
};

/* The objects that name one host or wildcard, oldest first. */
struct hosted {
	const char *host;
	struct refs refs;
	struct ranks all, exported; /* of VirtualServices: `exported`: every namespace sees them */
	bool has_service;	    /* see host_index_mark() */
};

struct host_index {
	struct bytemap map;	/* host -> struct hosted */
	struct bytemap lists;	/* a host's of a namespace -> struct ranks */
	bool lengths[HOST_MAX]; /* lengths at which there is a wildcard */
	bool wildcards;
};

/* `host` as host_complete() writes it; `o` comes after the older ones. */
int host_index_add(struct mesh *mesh, struct host_index *x, const char *host,
		   const struct object *o);
/* Notes who sees the VirtualService that was added last at the host. */
int host_index_show(struct mesh *mesh, struct host_index *x, const char *host);

/* Notes that a service has that name: the host is its own, the wildcards have it among others. */
void host_index_mark(struct host_index *x, const char *name);

/* What a host means for the objects of an index: the exact name first, then wildcards, longest
 * first. */
struct host_iter {
	struct host_index *index;
	const char *host;
	size_t len, next;
};

struct host_iter host_iter(struct host_index *index, const char *host);
const struct hosted *host_iter_next(struct host_iter *it);

/* Whether the iterator, which is at `at`, has had `o` at a more specific host that it names, too.
 */
bool hosted_before(const struct host_iter *it, const struct hosted *at, const struct object *o);

/* The VirtualServices of a host that the clients of one namespace see, oldest first, without
 * looking at the others. */
struct visible {
	const struct ranks *lists[2];
	size_t next[2];
};

/* `client`: their namespace; NULL: those that every namespace sees. */
struct visible hosted_visible(struct host_index *x, const struct hosted *hosted,
			      const char *client);
/* The next one's index in the host's refs; false at the end. */
bool visible_next(struct visible *v, size_t *index);
/* The oldest VirtualService of the host that has rules for the same kind of traffic as `o`, and
 * which a client that sees one of them may see, too; or NULL. */
const struct object *hosted_older(struct host_index *x, const char *host, const struct object *o);

#endif
