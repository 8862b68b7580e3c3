/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_CHECK_H
#define WEFT_LIB_COMPILE_CHECK_H
/*
 * What can only be said once all objects are known, and what weft understands but does not carry
 * out.
 *
 * Problems go to the mesh's errors. Functions that return int return 0 or -ENOMEM.
 */
#include "lib/mesh/mesh.h"

int check_objects(struct mesh *mesh);
/* What rules for HTTP say, and lead to. */
void check_http_rules(struct mesh *mesh);
/* All that a compilation says of what a VirtualService does with requests. */
void check_requests_of(struct mesh *mesh, const struct object *o);
/* Warns of AuthorizationPolicies that say less than they seem to. Comes after
 * authorized_index(). */
void check_authorization(struct mesh *mesh);
/* The limits that decide() counts on. */
int check_tables(struct mesh *mesh);

/* Of ServiceEntries: what of rules for their hosts can't be carried out. */
void check_entries(struct mesh *mesh);
void check_virtual_service(struct mesh *mesh, const struct object *o);
void check_destination_rule(struct mesh *mesh, const struct object *o);
/* The i-th server of a Gateway, which ends TLS: whether its Secret is there. */
void check_tls_server(struct mesh *mesh, const struct object *o, size_t i);
/* The tls (NULL: none) of the policy at `field` of a DestinationRule: whether it may name its
 * files.
 */
void check_client_files(struct mesh *mesh, const struct object *o, const char *field,
			const struct client_tls *t);
/* Refuses rules for ports without requests that ServiceEntries have at subnets, or at no address,
 * where weft-proxy would have to know what was called. Comes after mark_sni(). */
void check_tunnels(struct mesh *mesh);
/* Warns of names that two HTTPS servers of a port have. */
void check_sni_names(struct mesh *mesh);

/* Warns of DestinationRules whose tls does not go with what endpoints take. Comes after
 * mark_mutual(). */
void check_mutual(struct mesh *mesh);

/* Warn of what is right and changes nothing. */
void check_idle_virtual_service(struct mesh *mesh, const struct object *o);
void check_idle_destination_rule(struct mesh *mesh, const struct object *o);

/* What istioctl analyze would find, and what Istio's merging drops in silence. For rules that have
 * no error, once the tables are made. */
void check_remarks(struct mesh *mesh);

/* Its parts. */
void check_http_rules_of(struct mesh *mesh, const struct object *virtual_service);
void check_remarks_of(struct mesh *mesh, const struct object *virtual_service);
void check_covered_routes(struct mesh *mesh, const struct object *o);
void check_effect(struct mesh *mesh, const struct object *o);
void check_delegates(struct mesh *mesh, const struct object *o);
void check_policy_parts(struct mesh *mesh);
void check_workloads(struct mesh *mesh);
void check_peers(struct mesh *mesh);
void check_telemetries(struct mesh *mesh);
/* What the remarks about the workloads of a host hang on. False: more than that. */
bool workloads_facts(struct mesh *mesh, struct host *h, uint64_t *facts);
/* Whether no remark about workloads hangs on the VirtualService's leading to its destinations, now
 * that it does. */
bool workloads_serve(struct mesh *mesh, const struct object *o);
/* Warns of rules for ports that carry HTTP/2. Comes after mark_proxied(). */
void check_http2(struct mesh *mesh);
void check_http2_of(struct mesh *mesh, const struct object *virtual_service);

/* Whether it comes from a cluster, where objects come and go in any order. What another object
 * lacks for it (a subset, a port) is told of then, and connections sent there are refused, as with
 * Istio; a file that says so is wrong. */
bool comes_from_cluster(const struct object *o);

/* Where a field of the object stands, "spec" then `key`; the object's own position if that isn't
 * known. */
struct pos spec_pos(const struct object *o, const char *key);

#endif
