// SPDX-License-Identifier: Apache-2.0
#include "lib/route/authz.h"

#include <stdlib.h>
#include <string.h>

/* They are in the block: no patch adds to them. */
static const void *rows(const struct http_snapshot *s, enum hs_table table)
{
	return (const char *)s->header + s->header->tables[table].at;
}

static __u32 count(const struct http_snapshot *s, enum hs_table table)
{
	return s->header->tables[table].count;
}

struct authz_view http_authz_view(const struct http_snapshot *s)
{
	return (struct authz_view){
		.sets = rows(s, HS_AUTHZ_SETS),
		.members = rows(s, HS_AUTHZ_MEMBERS),
		.policies = rows(s, HS_AUTHZ_POLICIES),
		.rules = rows(s, HS_AUTHZ_RULES),
		.alternatives = rows(s, HS_AUTHZ_ALTERNATIVES),
		.clauses = rows(s, HS_AUTHZ_CLAUSES),
		.values = rows(s, HS_AUTHZ_VALUES),
		.bytes = rows(s, HS_AUTHZ_BYTES),
		.set_count = count(s, HS_AUTHZ_SETS),
		.member_count = count(s, HS_AUTHZ_MEMBERS),
		.policy_count = count(s, HS_AUTHZ_POLICIES),
		.rule_count = count(s, HS_AUTHZ_RULES),
		.alternative_count = count(s, HS_AUTHZ_ALTERNATIVES),
		.clause_count = count(s, HS_AUTHZ_CLAUSES),
		.value_count = count(s, HS_AUTHZ_VALUES),
		.byte_count = count(s, HS_AUTHZ_BYTES),
	};
}

static bool str_ok(const struct authz_view *v, struct authz_str s)
{
	return s.at <= v->byte_count && s.len <= v->byte_count - s.at;
}

bool http_authz_ok(const struct http_snapshot *s)
{
	struct authz_view v = http_authz_view(s);

	for (__u32 i = 0; i < count(s, HS_AUTHZ_PODS); i++)
		if (!str_ok(&v, hs_authz_pod(s, i)->ns) || !str_ok(&v, hs_authz_pod(s, i)->account))
			return false;
	return authz_view_ok(&v);
}

static int compare_pods(const void *addr, const void *row)
{
	return memcmp(addr, &((const struct hs_authz_pod *)row)->addr, sizeof(struct addr));
}

const struct hs_authz_pod *http_authz_pod(const struct http_snapshot *s, const struct addr *addr)
{
	__u32 n = count(s, HS_AUTHZ_PODS);

	return n ? bsearch(addr, hs_authz_pod(s, 0), n, sizeof(struct hs_authz_pod), compare_pods)
		 : NULL;
}

bool http_authz_authorizes(const struct http_snapshot *s, const struct hs_authz_pod *pod)
{
	return pod->set && http_authz_view(s).sets[pod->set - 1].authorizes;
}

bool http_authz_is_inbound(const struct http_snapshot *s, const struct addr *called)
{
	const struct hs_authz_pod *pod = http_authz_pod(s, called);

	return pod && pod->set &&
	       (http_authz_authorizes(s, pod) || http_authz_view(s).sets[pod->set - 1].audits);
}

bool http_authz_audit(const struct http_snapshot *s, const struct hs_authz_pod *pod,
		      const struct authz_question *q, struct authz_audit *out)
{
	const struct authz_view v = http_authz_view(s);
	__u32 at = 0;

	return authz_audit_next(&v, pod->set, q, &at, out);
}

struct authz_verdict http_authz_judge(const struct http_snapshot *s, struct authz_question *q)
{
	const struct hs_authz_pod *pod = http_authz_pod(s, &q->destination);
	const struct hs_authz_pod *caller =
		pod && pod->set && !q->ns.len ? http_authz_pod(s, &q->source) : NULL;
	struct authz_view v = http_authz_view(s);

	if (caller && !q->ns.len) {
		q->ns = (struct authz_text){ v.bytes + caller->ns.at, caller->ns.len };
		q->account =
			(struct authz_text){ v.bytes + caller->account.at, caller->account.len };
	}
	return authz_judge(&v, pod ? pod->set : 0, q);
}
