/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_AUTHZ_H
#define WEFT_LIB_ROUTE_AUTHZ_H
/*
 * AuthorizationPolicies in a snapshot. Pure.
 */
#include "lib/route/snapshot.h"

struct authz_view http_authz_view(const struct http_snapshot *s);
/* Whether its rows are in order, for http_snapshot_open(). */
bool http_authz_ok(const struct http_snapshot *s);
/* The pod of this node at that address; NULL: there is none that policies know. */
const struct hs_authz_pod *http_authz_pod(const struct http_snapshot *s, const struct addr *addr);
/* Whether AuthorizationPolicies that allow or deny select the pod. */
bool http_authz_authorizes(const struct http_snapshot *s, const struct hs_authz_pod *pod);
/* Whether that address is a pod's own, whose AuthorizationPolicies are to judge, and nothing else:
 * no rule is for a call of a pod itself. */
bool http_authz_is_inbound(const struct http_snapshot *s, const struct addr *called);
/*
 * What the policies of the pod at `q->destination` say of the caller at `q->source`: who that is,
 * q->ns and q->account, is filled in, unless the question has it.
 */
struct authz_verdict http_authz_judge(const struct http_snapshot *s, struct authz_question *q);
/* The first AUDIT policy of the pod that a question is met by which http_authz_judge() has been
 * asked. False: none is. */
bool http_authz_audit(const struct http_snapshot *s, const struct hs_authz_pod *pod,
		      const struct authz_question *q, struct authz_audit *out);

#endif
