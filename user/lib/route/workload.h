/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_WORKLOAD_H
#define WEFT_LIB_ROUTE_WORKLOAD_H
/*
 * Who is at which address of the mesh, and how it may be called: mutual TLS in a snapshot. Pure.
 */
#include "lib/route/snapshot.h"

#define SPIFFE_SCHEME "spiffe://"
/* Who calls through a Gateway: Istio's name for the account of its ingress gateway. */
#define GATEWAY_NAMESPACE "istio-system"
#define GATEWAY_ACCOUNT "istio-ingressgateway-service-account"
#define GATEWAY_IDENTITY \
	SPIFFE_SCHEME AUTHZ_TRUST_DOMAIN "/ns/" GATEWAY_NAMESPACE "/sa/" GATEWAY_ACCOUNT

enum { IDENTITY_MAX = 512 }; /* bytes of an identity, its NUL included */

/* Mutual TLS is in use: there are rows. */
bool http_uses_mutual(const struct http_snapshot *s);
/* The pod of the mesh at that address; NULL: there is none. */
const struct hs_workload *http_workload(const struct http_snapshot *s, const struct addr *addr);
/* How the pod may be called at the port. */
enum hs_mtls http_workload_mode(const struct http_snapshot *s, const struct hs_workload *w,
				__u32 port);
/* The row of that port; NULL: it is none of those that are listed. */
const struct hs_workload_port *http_workload_port(const struct http_snapshot *s,
						  const struct hs_workload *w, __u32 port);
/* The identity of that account; cut where a name is too long to be one. */
void identity_make(char out[IDENTITY_MAX], const char *ns, const char *account);
/* "spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT" into its parts, which point into `text`: 0, or -EINVAL
 * for anything else, and for another trust domain than AUTHZ_TRUST_DOMAIN. */
int identity_parse(const char *text, size_t len, struct authz_text *ns, struct authz_text *account);

#endif
