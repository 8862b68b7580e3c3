// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/authz/authz.h"

/* ---- texts ---- */

enum {
	PRINCIPAL_MAX = 1024,
	TEMPLATE_ONE = 3, /* bytes of "{*}" */
	TEMPLATE_ANY = 4, /* and of "{**}" */
	ADDR_BITS = 128,
};

/* What a caller is called by, in the words of one attribute. */
struct words {
	char text[PRINCIPAL_MAX];
};

static struct authz_text text_at(const struct authz_view *v, struct authz_str s)
{
	return (struct authz_text){ v->bytes + s.at, s.len };
}

static bool same(const char *a, const char *b, size_t n, bool fold)
{
	return fold ? !strncasecmp(a, b, n) : !memcmp(a, b, n);
}

/* `*` is any text, also none. */
static bool glob(struct authz_text pattern, struct authz_text text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.len && pattern.at[p] == text.at[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*')
		p++;
	return p == pattern.len;
}

/* What a wildcard of Envoy's URI templates takes (RFC 3986's pchar). */
static bool is_pchar(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-._~%!$&'()*+,;=:@", c));
}

static bool begins(struct authz_text t, const char *word, size_t len)
{
	return t.len >= len && !memcmp(t.at, word, len);
}

static struct authz_text behind(struct authz_text t, size_t n)
{
	return (struct authz_text){ t.at + n, t.len - n };
}

/* {**} is the last operator of a template: what is behind it is the end of the path. */
static bool any_segments(struct authz_text end, struct authz_text path)
{
	if (path.len < end.len || memcmp(path.at + path.len - end.len, end.at, end.len) != 0)
		return false;
	for (size_t i = 0; i < path.len - end.len; i++)
		if (path.at[i] != '/' && !is_pchar(path.at[i]))
			return false;
	return true;
}

/* {*} is a whole segment, of at least one character: what is behind it begins with '/'. */
static bool template(struct authz_text t, struct authz_text path)
{
	while (t.len) {
		size_t n = 0;

		if (begins(t, "{**}", TEMPLATE_ANY))
			return any_segments(behind(t, TEMPLATE_ANY), path);
		if (begins(t, "{*}", TEMPLATE_ONE)) {
			while (n < path.len && is_pchar(path.at[n]))
				n++;
			if (!n)
				return false;
			t = behind(t, TEMPLATE_ONE);
			path = behind(path, n);
			continue;
		}
		if (!path.len || *t.at != *path.at)
			return false;
		t = behind(t, 1);
		path = behind(path, 1);
	}
	return !path.len;
}

static bool text_holds(const struct authz_view *v, const struct authz_value *value,
		       struct authz_text text, bool fold)
{
	struct authz_text want = text_at(v, value->text);

	switch (value->match) {
	case AUTHZ_EXACT:
		return text.len == want.len && same(text.at, want.at, want.len, fold);
	case AUTHZ_PREFIX:
		return text.len >= want.len && same(text.at, want.at, want.len, fold);
	case AUTHZ_SUFFIX:
		return text.len >= want.len &&
		       same(text.at + text.len - want.len, want.at, want.len, fold);
	case AUTHZ_PRESENT:
		return text.len;
	case AUTHZ_GLOB:
		return glob(want, text);
	case AUTHZ_TEMPLATE:
		return template(want, text);
	default:
		return false;
	}
}

/* ---- clauses ---- */

/* IPv4 has its own subnets: "::/0" is not all of it. */
static bool subnet_holds(const struct authz_value *value, const struct addr *addr, __u32 wide)
{
	const struct cidr c = { value->addr, value->number };

	return value->number + wide <= ADDR_BITS && addr_is_v4(&value->addr) == addr_is_v4(addr) &&
	       cidr_holds(&c, addr);
}

static bool is_identified(const struct authz_question *q)
{
	return q->ns.len && q->account.len;
}

static struct authz_text put_words(struct words *w, const char *fmt, const struct authz_question *q)
{
	int n = snprintf(w->text, sizeof(w->text), fmt, (int)q->ns.len, q->ns.at,
			 (int)q->account.len, q->account.at);

	return (struct authz_text){ w->text, (size_t)n < sizeof(w->text) ? (size_t)n : 0 };
}

/* False: the caller, or the request, has none. */
static bool text_of(const struct authz_view *v, const struct authz_clause *c,
		    const struct authz_question *q, struct words *w, struct authz_text *out)
{
	switch (c->attribute) {
	case AUTHZ_PRINCIPAL:
		*out = put_words(w, AUTHZ_TRUST_DOMAIN "/ns/%.*s/sa/%.*s", q);
		return is_identified(q);
	case AUTHZ_NAMESPACE:
		*out = q->ns;
		return is_identified(q);
	case AUTHZ_SERVICE_ACCOUNT:
		*out = put_words(w, "%.*s/%.*s", q);
		return is_identified(q);
	case AUTHZ_HOST:
		*out = q->host;
		return true;
	case AUTHZ_METHOD:
		*out = q->method;
		return true;
	case AUTHZ_PATH:
		*out = q->path;
		return true;
	default:
		return q->header && q->header(q->arg, text_at(v, c->key), out);
	}
}

static const struct addr *addr_of(const struct authz_clause *c, const struct authz_question *q)
{
	switch (c->attribute) {
	case AUTHZ_SOURCE_IP:
		return &q->source;
	case AUTHZ_REMOTE_IP:
		return &q->remote;
	default:
		return &q->destination;
	}
}

static bool is_of_requests(const struct authz_clause *c)
{
	return c->attribute >= AUTHZ_HOST;
}

/* Whether one of the values holds. */
static bool any_holds(const struct authz_view *v, const struct authz_clause *c,
		      struct authz_range values, const struct authz_question *q)
{
	struct words words;
	struct authz_text text = { "", 0 };
	bool is_text = c->attribute <= AUTHZ_SERVICE_ACCOUNT || is_of_requests(c);

	if (is_text && !text_of(v, c, q, &words, &text))
		return false;
	for (__u32 i = 0; i < values.count; i++) {
		const struct authz_value *value = &v->values[values.first + i];

		if (is_text ? text_holds(v, value, text, c->attribute == AUTHZ_HOST)
		    : c->attribute == AUTHZ_DESTINATION_PORT
			    ? value->number == q->port
			    : subnet_holds(value, addr_of(c, q),
					   c->attribute == AUTHZ_DESTINATION_IP ? 0 : q->wide))
			return true;
	}
	return false;
}

static bool clause_holds(const struct authz_view *v, const struct authz_clause *c,
			 const struct authz_question *q)
{
	if (!q->http && is_of_requests(c))
		return true; /* of a rule that denies: see rule_holds() */
	return (!c->yes.count || any_holds(v, c, c->yes, q)) &&
	       (!c->no.count || !any_holds(v, c, c->no, q));
}

static bool clauses_hold(const struct authz_view *v, struct authz_range clauses,
			 const struct authz_question *q)
{
	for (__u32 i = 0; i < clauses.count; i++)
		if (!clause_holds(v, &v->clauses[clauses.first + i], q))
			return false;
	return true;
}

static bool one_holds(const struct authz_view *v, struct authz_range alternatives,
		      const struct authz_question *q)
{
	for (__u32 i = 0; i < alternatives.count; i++)
		if (clauses_hold(v, v->alternatives[alternatives.first + i].clauses, q))
			return true;
	return !alternatives.count;
}

/* ---- rules ---- */

/* Where no request is to be seen an ALLOW rule that asks for one allows less than it says, and a
 * DENY rule denies more: neither lets through what its author has closed. */
static bool rule_holds(const struct authz_view *v, const struct authz_policy *p,
		       const struct authz_rule_row *r, const struct authz_question *q)
{
	if (!q->http && r->http && p->action == AUTHZ_ALLOW)
		return false;
	return one_holds(v, r->from, q) && one_holds(v, r->to, q) && clauses_hold(v, r->when, q);
}

/* The policy's rule that holds, or AUTHZ_NONE. */
static __u32 rule_of(const struct authz_view *v, const struct authz_policy *p,
		     const struct authz_question *q)
{
	for (__u32 i = 0; i < p->rules.count; i++)
		if (rule_holds(v, p, &v->rules[p->rules.first + i], q))
			return i;
	return AUTHZ_NONE;
}

struct authz_verdict authz_judge(const struct authz_view *v, __u32 set,
				 const struct authz_question *q)
{
	struct authz_verdict verdict = { .allowed = true,
					 .policy = AUTHZ_NONE,
					 .rule = AUTHZ_NONE };
	struct authz_range members = { 0, 0 };

	if (set)
		members = v->sets[set - 1].members;
	for (__u32 i = 0; i < members.count; i++) {
		__u32 policy = v->members[members.first + i].policy;
		const struct authz_policy *p = &v->policies[policy];
		__u32 rule;

		if (p->action == AUTHZ_AUDIT)
			continue;
		rule = rule_of(v, p, q);
		if (rule != AUTHZ_NONE)
			return (struct authz_verdict){ p->action == AUTHZ_ALLOW, policy, rule };
		if (p->action == AUTHZ_ALLOW)
			verdict.allowed = false; /* unless another one allows it */
	}
	return verdict;
}

bool authz_audit_next(const struct authz_view *v, __u32 set, const struct authz_question *q,
		      __u32 *at, struct authz_audit *out)
{
	struct authz_range members = { 0, 0 };

	if (set && v->sets[set - 1].audits)
		members = v->sets[set - 1].members;
	while (*at < members.count) {
		const __u32 policy = v->members[members.first + (*at)++].policy;
		const struct authz_policy *p = &v->policies[policy];
		const __u32 rule = p->action == AUTHZ_AUDIT ? rule_of(v, p, q) : AUTHZ_NONE;

		if (rule == AUTHZ_NONE)
			continue;
		*out = (struct authz_audit){ policy, rule };
		return true;
	}
	return false;
}

bool authz_is_plaintext(const struct authz_view *v, const struct authz_verdict *verdict)
{
	return verdict->policy != AUTHZ_NONE && v->policies[verdict->policy].plaintext;
}

const char *authz_rule_name(const struct authz_view *v, __u32 policy, __u32 rule, char *out,
			    size_t size)
{
	const struct authz_text ns = text_at(v, v->policies[policy].ns);
	const struct authz_text name = text_at(v, v->policies[policy].name);

	snprintf(out, size, "ns[%.*s]-policy[%.*s]-rule[%u]", (int)ns.len, ns.at, (int)name.len,
		 name.at, rule);
	return out;
}

const char *authz_details(const struct authz_view *v, const struct authz_verdict *verdict,
			  char out[AUTHZ_DETAILS_MAX])
{
	static const char begin[] = "rbac_access_denied_matched_policy[";
	char rule[AUTHZ_DETAILS_MAX - sizeof(begin)];
	struct authz_text ns, name;

	if (verdict->policy == AUTHZ_NONE) {
		snprintf(out, AUTHZ_DETAILS_MAX, "%snone]", begin);
		return out;
	}
	if (authz_is_plaintext(v, verdict)) {
		ns = text_at(v, v->policies[verdict->policy].ns);
		name = text_at(v, v->policies[verdict->policy].name);
		snprintf(out, AUTHZ_DETAILS_MAX, "plaintext_denied[ns[%.*s]-policy[%.*s]]",
			 (int)ns.len, ns.at, (int)name.len, name.at);
		return out;
	}
	snprintf(out, AUTHZ_DETAILS_MAX, "%s%s]", begin,
		 authz_rule_name(v, verdict->policy, verdict->rule, rule, sizeof(rule)));
	return out;
}

/* ---- rows from elsewhere ---- */

static bool range_ok(struct authz_range r, __u32 count)
{
	return r.first <= count && r.count <= count - r.first;
}

static bool str_ok(const struct authz_view *v, struct authz_str s)
{
	return range_ok((struct authz_range){ s.at, s.len }, v->byte_count);
}

static bool policies_ok(const struct authz_view *v)
{
	for (__u32 i = 0; i < v->set_count; i++)
		if (!range_ok(v->sets[i].members, v->member_count))
			return false;
	for (__u32 i = 0; i < v->member_count; i++)
		if (v->members[i].policy >= v->policy_count)
			return false;
	for (__u32 i = 0; i < v->policy_count; i++)
		if (v->policies[i].action > AUTHZ_AUDIT ||
		    !range_ok(v->policies[i].rules, v->rule_count) ||
		    !str_ok(v, v->policies[i].ns) || !str_ok(v, v->policies[i].name))
			return false;
	return true;
}

static bool rules_ok(const struct authz_view *v)
{
	for (__u32 i = 0; i < v->rule_count; i++)
		if (!range_ok(v->rules[i].from, v->alternative_count) ||
		    !range_ok(v->rules[i].to, v->alternative_count) ||
		    !range_ok(v->rules[i].when, v->clause_count))
			return false;
	for (__u32 i = 0; i < v->alternative_count; i++)
		if (!range_ok(v->alternatives[i].clauses, v->clause_count))
			return false;
	return true;
}

static bool clauses_ok(const struct authz_view *v)
{
	for (__u32 i = 0; i < v->clause_count; i++)
		if (v->clauses[i].attribute >= AUTHZ_ATTRIBUTES || !str_ok(v, v->clauses[i].key) ||
		    !range_ok(v->clauses[i].yes, v->value_count) ||
		    !range_ok(v->clauses[i].no, v->value_count))
			return false;
	for (__u32 i = 0; i < v->value_count; i++)
		if (v->values[i].match >= AUTHZ_MATCHES || !str_ok(v, v->values[i].text) ||
		    (v->values[i].match == AUTHZ_SUBNET && v->values[i].number > ADDR_BITS))
			return false;
	return true;
}

bool authz_view_ok(const struct authz_view *v)
{
	return policies_ok(v) && rules_ok(v) && clauses_ok(v);
}
