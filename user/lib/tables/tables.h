/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_TABLES_TABLES_H
#define WEFT_LIB_TABLES_TABLES_H
/*
 * What compile() makes: the tables of one generation (headers/weft/service.h), and where each row
 * came from.
 */
#include "lib/base/cleanup.h"
#include "lib/base/table.h"
#include "lib/model/model.h"
#include "weft/authz.h"
#include "weft/policy.h"
#include "weft/protect.h"
#include "weft/service.h"

struct http_snapshot;
struct pool;

struct service_entry {
	struct service_key key;
	struct service value;
};

struct namespace_id {
	const char *name; /* owned by the registry */
	__u32 id;	  /* struct source.ns, struct rule.ns */
};

/* sourceLabels of rules. */
struct source_selector {
	struct kvs labels; /* borrowed from the compiled objects */
	__u32 id;	   /* struct rule.selector */
};

struct source_entry {
	struct addr addr;
	struct source value;
	const struct object *pod; /* borrowed from the compiled objects */
	bool labelled;		  /* into the mesh (lib/mesh/enrol.h) */
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

/* A range of addresses, and what the ConnectionPolicy says of it. */
struct protect_range {
	struct protect_key key; /* bits beyond the prefix are 0 */
	__u32 verdict; /* enum protect_source; 0: neither, which a wider range does not change */
};

/* What is let in from outside (lib/l4/protect.c). */
struct protection {
	struct protect_limits limits;	    /* no flags: there is no policy */
	TABLE(struct protect_range) ranges; /* in the order of protect_range_compare() */
};

/* A pod of this node and the set of AuthorizationPolicies that holds for it. */
struct authz_pod {
	struct addr addr;
	__u32 set; /* 1.. */
};

struct authz_table_row {
	struct authz_key key; /* of the sets of this generation */
	__u32 verdict;	      /* enum authz_verdicts */
};

/* What the kernel knows of AuthorizationPolicies (lib/l4/authz.c). */
struct authz_table {
	TABLE(struct authz_pod) pods;
	TABLE(struct authz_table_row) rows;
	__u32 sets; /* numbers 1 to this one */
};

/* By prefix, then by address: no two are the same. */
int protect_range_compare(const struct protect_range *a, const struct protect_range *b);
/* The longest of the ranges that the address is in; NULL: it is in none. */
const struct protect_range *protection_find(const struct protection *p, const struct addr *addr);

/* An endpoint that a change may have brought. The name is owned by the registry. */
struct named_endpoint {
	__u32 id;
	const char *name;
};

/* What generations share when a change has left it as it was (tables_sharing()). */
enum tables_group {
	TABLES_RULES,	  /* everything but the following, and the arena */
	TABLES_CLUSTERS,  /* clusters: of those with the same rules, only which endpoints they have
			   * may differ */
	TABLES_ENDPOINTS, /* endpoints, endpoint_names: those that share them may each have more
			   * rows than the one before, at the end */
	TABLES_SOURCES,	  /* sources, selected */
	TABLES_HTTP,	  /* http */
	TABLES_GROUPS,
};

/* One compiled generation. Owns everything in it, alone or with others. */
struct tables {
	/* Whose each group is, and how many have that of this one, itself included. */
	struct tables *owner[TABLES_GROUPS];
	size_t users[TABLES_GROUPS];
	/* Of the owner of TABLES_ENDPOINTS: how many rows there are room for, and how many are
	 * taken by any tables that share them. 0: none are ever added. */
	size_t endpoints_room, endpoints_taken;
	/* Of a patch: the endpoints of all services that it has changed. */
	TABLE(struct named_endpoint) touched;
	bool http_patched;	  /* the snapshot is that of `touched`, and else the one before */
	__u32 http_routes_before; /* rows of its HS_ACTIONS that there were; 0: none is new */
	TABLE(struct service_entry) services;
	TABLE(struct service_origin) service_origins; /* parallel to services */
	/* Services whose cluster IP isn't given, under made-up addresses: for explain, never
	 * published. Parallel. */
	TABLE(struct service_entry) unaddressed;
	TABLE(struct service_origin) unaddressed_origins;
	TABLE(struct rule) rules;
	TABLE(struct rule_origin) rule_origins; /* parallel to rules */
	TABLE(struct admit) admits;
	TABLE(struct route) routes;
	TABLE(struct dest) dests;
	TABLE(struct cluster) clusters;
	TABLE(struct endpoint) endpoints; /* some of them of no cluster, after a patch */
	TABLE(struct source_entry) sources;
	TABLE(struct selected_key) selected;
	/* Names for the counters that this generation uses. Parallel to routes, clusters,
	 * endpoints. Owned by the registry. */
	TABLE(const char *) route_names;
	TABLE(const char *) cluster_names;
	TABLE(const char *) endpoint_names;
	TABLE(struct namespace_id) namespaces; /* that pods or rules are of, ordered by id */
	TABLE(struct source_selector) selectors;
	TABLE(struct cluster_origin) cluster_origins; /* parallel to clusters */
	/* The shortest connect, idle or duration timeout that is set; 0: none. */
	uint32_t min_timeout_ms;
	struct protection protection;
	struct authz_table authz;
	/* What weft-proxy decides by, where any HTTP rule, policy or server is known; else NULL. */
	struct http_snapshot *http;
	struct pool *arena;
};

struct tables *tables_new(void); /* NULL when out of memory */
/* Its groups are freed with the last tables that have them. */
void tables_free(struct tables *t);
/* Tables that share every group of `from`. NULL when out of memory. */
struct tables *tables_sharing(struct tables *from);
/* Leaves a group, not TABLES_RULES, to others that have it: it is empty, and the tables' own.
 * Nothing but endpoints is ever added to what is shared. */
void tables_part(struct tables *t, enum tables_group group);
DEFINE_CLEANUP(struct tables *, tables_free);

/* NULL, 0 or NULL if there is none. */
const char *tables_namespace(const struct tables *t, __u32 id);
__u32 tables_namespace_id(const struct tables *t, const char *name);
const struct kvs *tables_selector(const struct tables *t, __u32 id);
/* Puts the namespaces in order. */
void tables_order_namespaces(struct tables *t);

/* Shares TABLES_SOURCES of `from`, of which the tables have none. */
void tables_join_sources(struct tables *t, struct tables *from);

/* Gives new endpoints, which nothing shares yet, room for half as many again and some. 0 or
 * -ENOMEM. */
int tables_spare_endpoints(struct tables *t);
/* Rows for `count` more endpoints, which the caller fills in; *first is the first of them. False if
 * there is no room. */
bool tables_add_endpoints(struct tables *t, size_t count, __u32 *first);

/* Whether kernel and proxy would do the same by either: where rules came from, and in which
 * rows the endpoints are, is not compared.
 * Both are of one registry. */
bool tables_same(const struct tables *a, const struct tables *b);

#endif
