/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_COMPILE_H
#define WEFT_LIB_COMPILE_COMPILE_H
/*
 * Objects -> the tables of one generation (headers/weft/service.h). Pure: no I/O, no globals.
 */
#include "lib/model/model.h"
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
struct pool;
struct http_snapshot;

enum registry_kind {
	REG_SERVICE,  /* "default/tcp-echo:9000", "gateway:31400" */
	REG_ROUTE,    /* struct route_stat.name */
	REG_CLUSTER,  /* struct cluster_stat.name */
	REG_ENDPOINT, /* struct endpoint_stat.name */
	REG_MAX,
};

struct registry *registry_new(void);
void registry_free(struct registry *r);
/* The id of `name`, a new one if it has none. 0 when out of memory. */
__u32 registry_id(struct registry *r, enum registry_kind kind, const char *name);
/* NULL if no such id. Owned by the registry. */
const char *registry_name(struct registry *r, enum registry_kind kind, __u32 id);
/* Takes over a name and id found elsewhere. 0, -EEXIST if either is taken by another, -ENOMEM. */
int registry_adopt(struct registry *r, enum registry_kind kind, const char *name, __u32 id);

struct service_entry {
	struct service_key key;
	struct service value;
};

struct source_entry {
	struct addr addr;
	struct source value;
	const struct object *pod; /* borrowed from the compiled objects */
};

/* Where a rule came from, one per element of `rules`. Strings are owned by the tables. */
struct rule_origin {
	const char *kind, *namespace, *name; /* "VirtualService" ..., or the plain "Service" */
	const char *route; /* "tcp[0].match[1]", "tcp[0]"; "" for the plain service */
	const char *label; /* the route's own name; NULL: none */
	const char *file;
	struct pos pos;		/* of the match that holds, or of what `whole_pos` is of */
	struct pos whole_pos;	/* of the route, or of the Service's port */
	const char *conditions; /* what `ns` and `selector` stand for: "sourceLabels: app=sleep" */
};

struct skipped_rule {
	struct rule_origin rule;
	const char *why; /* owned by the tables */
};

struct service_origin {
	const char *namespace, *name; /* of the Service, or of the Gateway */
	const char *host;	      /* of the Service, else "" */
	/* Rules of VirtualServices for this host that can never match here, decided at compile
	 * time: why. */
	struct skipped_rule *skipped;
	size_t skipped_count;
};

/* What a cluster stands for. Strings are owned by the tables. */
struct cluster_origin {
	const char *host;   /* tcp-echo.default.svc.cluster.local */
	const char *subset; /* "" for all endpoints */
	__u16 port;	    /* of the service */
	bool known;	    /* the service and the subset exist */
};

#define TABLE(type)                 \
	struct {                    \
		type *items;        \
		size_t count, room; \
	}

/* One compiled generation. Owns everything in it. */
struct tables {
	TABLE(struct service_entry) services;
	TABLE(struct service_origin) service_origins; /* parallel to services */
	/* Services whose cluster IP isn't given, under made-up addresses: for explain, never
	 * published. Parallel. */
	TABLE(struct service_entry) unaddressed;
	TABLE(struct service_origin) unaddressed_origins;
	TABLE(struct rule) rules;
	TABLE(struct rule_origin) rule_origins; /* parallel to rules */
	TABLE(struct route) routes;
	TABLE(struct dest) dests;
	TABLE(struct cluster) clusters;
	TABLE(struct endpoint) endpoints;
	TABLE(struct source_entry) sources;
	TABLE(struct selected_key) selected;
	/* Names for the counters that this generation uses. Parallel to routes, clusters,
	 * endpoints. Owned by the registry. */
	TABLE(const char *) route_names;
	TABLE(const char *) cluster_names;
	TABLE(const char *) endpoint_names;
	TABLE(const char *) namespaces; /* index + 1 is struct source.ns */
	/* Index + 1 is struct rule.selector: the labels it asks for, borrowed from the compiled
	 * objects. */
	TABLE(struct kvs) selectors;
	TABLE(struct cluster_origin) cluster_origins; /* parallel to clusters */
	/* The shortest connect, idle or duration timeout that is set; 0: none. */
	uint32_t min_timeout_ms;
	/* What weft-proxy decides by, where any HTTP rule, policy or server is known; else NULL. */
	struct http_snapshot *http;
	void *http_bytes; /* the snapshot's */
	size_t http_size;
	struct pool *arena; /* tables.h */
};

/*
 * Compiles `objects` (each with its own file and positions; the order is the order of first apply).
 * Checks that need more than one object are made here (subsets, conflicting hosts, what weft does
 * not carry out). Returns 0 and sets *out; -EINVAL when `errors` got an error (then *out is
 * untouched); -ENOMEM. Pointers into `objects` are kept: the objects must outlive the tables.
 * Deterministic.
 */
int compile(const struct objects *objects, struct registry *registry, struct tables **out,
	    struct errors *errors);
/* The same for what the kernel carries out alone, as if there were no HTTP rules, servers and
 * policies: for explain, which asks http_compile()'s tables about those. */
int compile_l4(const struct objects *objects, struct registry *registry, struct tables **out,
	       struct errors *errors);
/* Adds the HTTP part, which compile() leaves out while nothing speaks of HTTP. 0 (also when
 * `errors` got an error), -ENOMEM or -E2BIG. */
int compile_http(struct tables *t, const struct objects *objects, struct registry *registry,
		 struct errors *errors);
void tables_free(struct tables *t);

#endif
