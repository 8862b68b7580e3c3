/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HANDLERS_HTTP_H
#define WEFT_DAEMON_API_HANDLERS_HTTP_H
/*
 * The HTTP rules in force, as the proxy has them, for replies.
 */
#include "daemon/api/ejections.h"
#include "daemon/api/handlers.h"
#include "lib/route/snapshot.h"

/* The rules of a host at a port, for clients of one namespace (0: for all others). */
struct http_site_rules {
	const struct hs_vhost *vhost;
	__u32 ns; /* its id */
};

/* Names of a listener, of HS_DOMAINS, or of one of its servers. */
struct http_names {
	struct hs_range exact, wild;
};

/* The next one at or after *next (0 at first); NULL in ->vhost: there are no more. `host`: only
 * those of that name; NULL: all. */
struct http_site_rules http_next_site(const struct http_snapshot *s, struct http_names names,
				      const char *host, __u32 *next);

/* {"host", "subset", "port", "cluster", "known", "endpoints"}: what cluster_json() says of the
 * kernel's (handlers_tables.h), with endpoints as ejections_endpoint() tells them. */
json_t *http_cluster_json(struct ejections *e, const struct hs_cluster *c);
/* {"kind", "namespace", "name", "route", "at", "action", "conditions", "destinations"} of each; a
 * destination is its cluster with its "weight". */
json_t *http_rules_json(struct ejections *e, const struct hs_vhost *v);
/* The same of what an SNI chooses: `count` rows of HS_SNI from `first` on, of one name. */
json_t *http_sni_rules_json(struct ejections *e, __u32 first, __u32 count);
/* {"requests": 0, "destinations": [...]} by the name of each route of a VirtualService; without
 * "requests" those of tcp and tls rules. */
json_t *http_routes_json(struct ejections *e, const struct object *vs);

/* What http_cluster_json() or cluster_json() says of each cluster that a DestinationRule's host and
 * subsets name, or that a Pod is an endpoint of: then with its own endpoints alone. */
json_t *clusters_of(const struct tables *t, struct ejections *e, const struct object *o);

#endif
