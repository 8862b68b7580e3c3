// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies of the endpoint, for a request as the endpoint would get it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/authz.h"
#include "lib/route/fields.h"
#include "lib/route/path.h"
#include "proxy/route/router_priv.h"

enum {
	JOINED_MAX = 16384, /* a header that comes several times, joined */
	PATH_MAX_BYTES = 16384,
};

/* A request that is judged; `request` is NULL for a connection without any. */
struct judged {
	const struct h1_request *request;
	const struct plan *plan;
	size_t len; /* of `joined` */
	bool present, full;
	char joined[JOINED_MAX];
	char path[PATH_MAX_BYTES];
};

static struct authz_text text(struct h1_span s)
{
	return (struct authz_text){ s.p ? s.p : "", s.n };
}

/* ---- headers ---- */

static bool is_named(struct h1_span name, struct authz_text want)
{
	return h1_same_nocase(name, (struct h1_span){ want.at, want.len });
}

static void append(struct judged *j, struct h1_span value)
{
	size_t comma = j->present;

	if (j->len + comma + value.n > JOINED_MAX) {
		j->full = true;
		return;
	}
	if (comma)
		j->joined[j->len++] = ',';
	memcpy(j->joined + j->len, value.p, value.n);
	j->len += value.n;
	j->present = true;
}

/* What rules do to it on the way. */
static void apply(struct judged *j, const struct plan_op *op)
{
	if (op->type != PLAN_ADD) {
		j->len = 0;
		j->present = false;
	}
	if (op->type != PLAN_REMOVE)
		append(j, op->value);
}

static bool pseudo(struct judged *j, struct authz_text name, struct authz_text *out)
{
	const struct h1_request *q = j->request;
	const struct {
		const char *name;
		struct h1_span value;
	} words[] = { { ":authority", j->plan->authority },
		      { "host", j->plan->authority },
		      { ":method", q->method },
		      { ":path", j->plan->path },
		      { ":scheme", j->plan->scheme } };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (h1_is((struct h1_span){ name.at, name.len }, words[i].name)) {
			*out = text(words[i].value);
			return true;
		}
	return false;
}

static bool read_header(void *arg, struct authz_text name, struct authz_text *out)
{
	struct judged *j = arg;
	const struct h1_request *q = j->request;

	if (pseudo(j, name, out))
		return true;
	j->len = 0;
	j->present = false;
	for (size_t i = 0; i < q->m.header_count; i++) {
		struct h1_span at = q->m.headers[i].name;

		if (is_named(at, name) &&
		    !http_field_is_forged((struct http_span){ at.p, at.n }, j->plan->gateway))
			append(j, q->m.headers[i].value);
	}
	for (size_t i = 0; i < j->plan->request.count; i++)
		if (is_named(j->plan->request.items[i].name, name))
			apply(j, &j->plan->request.items[i]);
	*out = (struct authz_text){ j->joined, j->len };
	return j->present;
}

/* ---- the rest ---- */

static struct authz_text without_query(struct h1_span path)
{
	size_t n = 0;

	while (n < path.n && path.p[n] != '?' && path.p[n] != '#')
		n++;
	return text((struct h1_span){ path.p, n });
}

/* As the endpoint gets it: normalized when it came in, and not again, then rewritten. */
static bool find_path(struct judged *j, struct authz_text *out)
{
	if (j->plan->path.n > PATH_MAX_BYTES)
		return false;
	*out = without_query(j->plan->path);
	return true;
}

/* As an endpoint that normalizes what it gets would read it. False: that is the same. */
static bool resolve_path(struct judged *j, struct authz_question *q)
{
	size_t n = q->path.len;

	memcpy(j->path, q->path.at, n);
	n = http_path_normalize(j->path, n);
	if (n == q->path.len && !memcmp(j->path, q->path.at, n))
		return false;
	q->path = (struct authz_text){ j->path, n };
	return true;
}

/* Whom a proxy in front of the caller has seen: the last one of x-forwarded-for. A Gateway goes by
 * what it has seen itself. */
static struct addr remote_of(struct judged *j, const struct router_plan *p)
{
	const struct authz_text name = { "x-forwarded-for", sizeof("x-forwarded-for") - 1 };
	char last[ADDR_TEXT_MAX] = "";
	struct authz_text all;
	struct addr addr;
	size_t from, end;

	if (j->plan->gateway || !read_header(j, name, &all))
		return p->client;
	for (end = all.len; end && isspace((unsigned char)all.at[end - 1]);)
		end--;
	for (from = end; from && all.at[from - 1] != ',' && all.at[from - 1] != ' ';)
		from--;
	if (end - from < sizeof(last))
		memcpy(last, all.at + from, end - from);
	return addr_parse(last, &addr) ? p->client : addr;
}

/* False: it can't be judged. */
static bool ask(struct judged *j, const struct router_plan *p, struct authz_question *q)
{
	if (!j->request)
		return true;
	q->http = true;
	q->host = text(j->plan->authority);
	q->method = text(j->request->method);
	q->header = read_header;
	q->arg = j;
	q->remote = remote_of(j, p);
	return find_path(j, &q->path);
}

/* ---- what is told of it ---- */

/* `out`: NULL, nothing is. */
static void tell(struct router_plan *p, const struct authz_verdict *verdict, struct route_rbac *out)
{
	struct authz_view view = http_authz_view(p->version->snapshot);
	char details[AUTHZ_DETAILS_MAX];

	if (!out)
		return;
	free(p->denied);
	p->denied = strdup(authz_details(&view, verdict, details));
	out->details = p->denied;
}

static void tell_audit(struct router_plan *p, const struct authz_audit *audit,
		       struct route_rbac *out)
{
	struct authz_view view = http_authz_view(p->version->snapshot);

	if (out)
		out->audit = authz_rule_name(&view, audit->policy, audit->rule, p->audit,
					     sizeof(p->audit));
}

static void count(const struct router_plan *p, const struct hs_authz_pod *pod, bool allowed,
		  struct http_cluster_stat *stat)
{
	if (!allowed)
		stat_inc(&stat->denied);
	else if (http_authz_authorizes(p->version->snapshot, pod))
		stat_inc(&stat->allowed);
}

/* ---- judging ---- */

/* What a STRICT PeerAuthentication refuses is met by no AUDIT policy. */
static bool is_plaintext(const struct http_snapshot *s, const struct authz_verdict *verdict)
{
	const struct authz_view view = http_authz_view(s);

	return authz_is_plaintext(&view, verdict);
}

static bool judge(struct router_plan *p, const struct plan *plan, const struct h1_request *request,
		  const struct target *target, const struct hs_authz_pod *pod,
		  struct route_rbac *out)
{
	const struct http_snapshot *s = p->version->snapshot;
	struct authz_verdict none = { .policy = AUTHZ_NONE }, verdict;
	struct judged j; /* most of it is room, not to be cleared each time */
	struct authz_question q = { .ns = p->caller_ns,
				    .account = p->caller_account,
				    .source = p->client,
				    .remote = p->client,
				    .destination = target->addr,
				    .port = target->port };
	struct authz_audit audit;
	bool asked, audited;

	j.request = request;
	j.plan = plan;
	j.full = false;
	asked = ask(&j, p, &q);
	verdict = asked ? http_authz_judge(s, &q) : none;
	audited = !is_plaintext(s, &verdict) && http_authz_audit(s, pod, &q, &audit);
	/* A path that means another one is to be allowed as both, and audited as either. */
	if (verdict.allowed && q.http && resolve_path(&j, &q)) {
		verdict = http_authz_judge(s, &q);
		audited = audited || http_authz_audit(s, pod, &q, &audit);
	}
	/* A header of which not all is known may be any. */
	if (verdict.allowed && j.full)
		verdict = none;
	if (!verdict.allowed)
		tell(p, &verdict, out);
	if (audited) {
		tell_audit(p, &audit, out);
		stat_inc(&target->stat->logged);
	}
	count(p, pod, verdict.allowed, target->stat);
	return verdict.allowed;
}

bool router_allows(struct router *r, const struct plan *plan, const struct h1_request *request,
		   const struct target *target, struct route_rbac *out)
{
	struct router_plan *p = plan->data;
	const struct hs_authz_pod *pod;

	(void)r;
	pod = p ? http_authz_pod(p->version->snapshot, &target->addr) : NULL;
	return !pod || !pod->set || judge(p, plan, request, target, pod, out);
}
