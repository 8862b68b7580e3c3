/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_AUTHZ_AUTHZ_H
#define WEFT_LIB_AUTHZ_AUTHZ_H
/*
 * AuthorizationPolicies: whether a caller may connect to a pod, or send it a request, as Istio's
 * reference of AuthorizationPolicy and pilot/pkg/security/authz have it. A PeerAuthentication that
 * is STRICT is one more policy here: it denies those who have no identity.
 *
 * Policies are rows that refer to each other by index, so that weft-proxy's snapshot can have them
 * as they are. A set is what all policies say together that select a pod. One function judges: the
 * kernel's table (lib/l4/authz.c), weft-proxy and `weft explain` all ask it. Policies with the
 * action AUDIT decide nothing: what one of their rules holds for is marked (Envoy's RBAC filter
 * with the action LOG), whether it is let through or not.
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "lib/base/addr.h"
#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/base/table.h"
#include "lib/model/model.h"

#define AUTHZ_TRUST_DOMAIN "cluster.local"

enum { AUTHZ_NONE = 0xffffffffu };

enum authz_attribute {
	AUTHZ_PRINCIPAL,
	AUTHZ_NAMESPACE,
	AUTHZ_SERVICE_ACCOUNT, /* "NAMESPACE/NAME" */
	AUTHZ_SOURCE_IP,
	AUTHZ_REMOTE_IP,
	AUTHZ_DESTINATION_IP,
	AUTHZ_DESTINATION_PORT,
	AUTHZ_HOST, /* this one and the following: of requests only */
	AUTHZ_METHOD,
	AUTHZ_PATH,
	AUTHZ_HEADER,
	AUTHZ_ATTRIBUTES,
};

enum authz_match {
	AUTHZ_EXACT,
	AUTHZ_PREFIX,
	AUTHZ_SUFFIX,
	AUTHZ_PRESENT,	/* not empty */
	AUTHZ_GLOB,	/* `*` is any text */
	AUTHZ_TEMPLATE, /* of a path: {*} is one segment, {**} is any number of them */
	AUTHZ_SUBNET,
	AUTHZ_NUMBER,
	AUTHZ_MATCHES,
};

struct authz_range {
	__u32 first, count;
};

/* Bytes of the table of bytes, without a NUL. */
struct authz_str {
	__u32 at, len;
};

struct authz_value {
	struct addr addr;
	__u32 match;  /* enum authz_match */
	__u32 number; /* a port, or a prefix: 0..128 */
	struct authz_str text;
};

/* One of `yes`, if there are any, and none of `no`. */
struct authz_clause {
	__u32 attribute;      /* enum authz_attribute */
	struct authz_str key; /* of AUTHZ_HEADER: the header's name, in lower case */
	struct authz_range yes, no;
};

/* All of its clauses. */
struct authz_alternative {
	struct authz_range clauses;
};

struct authz_rule_row {
	struct authz_range from, to; /* alternatives: one of them, or there is none */
	struct authz_range when;     /* clauses: all of them */
	__u32 http;		     /* some clause is about requests */
};

struct authz_policy {
	struct authz_str ns, name;
	__u32 action;		  /* enum authz_action */
	struct authz_range rules; /* none: it holds for nothing */
	__u32 plaintext; /* a PeerAuthentication that is STRICT: it denies who has no identity */
};

struct authz_member {
	__u32 policy;
};

/* Those of PeerAuthentications come first, then those that audit, then those that deny. */
struct authz_set {
	struct authz_range members;
	__u32 authorizes; /* an AuthorizationPolicy that allows or denies is among them */
	__u32 audits;	  /* one that audits is */
};

/* The rows, borrowed. */
struct authz_view {
	const struct authz_set *sets;
	const struct authz_member *members;
	const struct authz_policy *policies;
	const struct authz_rule_row *rules;
	const struct authz_alternative *alternatives;
	const struct authz_clause *clauses;
	const struct authz_value *values;
	const char *bytes;
	__u32 set_count, member_count, policy_count, rule_count, alternative_count, clause_count,
		value_count, byte_count;
};

/* Whether every reference leads to a row that there is, and every enum is known. */
bool authz_view_ok(const struct authz_view *v);

/* ---- making them ---- */

/* Where a pod takes callers with an identity only, by the PeerAuthentications in force for it. */
struct authz_strict {
	const struct object *by; /* it is STRICT at the ports that are not listed; NULL: it isn't */
	const struct object *ports; /* whose portLevelMtls list some; NULL: none are */
};

/* A policy that one of them makes. */
struct authz_strict_row {
	struct authz_strict strict;
	__u32 policy;
};

/* Zero-initialise; free with authz_rows_free(). */
struct authz_rows {
	TABLE(struct authz_set) sets; /* set n is element n - 1 */
	TABLE(struct authz_member) members;
	TABLE(struct authz_policy) policies;
	TABLE(struct authz_rule_row) rules;
	TABLE(struct authz_alternative) alternatives;
	TABLE(struct authz_clause) clauses;
	TABLE(struct authz_value) values;
	TABLE(char) bytes;
	TABLE(const struct object *) objects; /* of the policies, in their order; borrowed */
	struct bytemap by_members;	      /* members of a set -> its number */
	struct pool *pool;
	const char *root; /* the namespace whose policies are for all */
	__u32 nothing;	  /* of the policies, from 1: one that allows nothing; 0: there is none */
	TABLE(struct authz_strict_row) strict;
};

/* "10.0.0.0/8", or an address. IPv4 in the form of IPv6 ("::ffff:10.0.0.0/104") is IPv4, and no
 * more of IPv6 goes with it. */
bool authz_subnet(const char *text, struct cidr *out);
/* Adds what an AuthorizationPolicy says; those of other kinds are passed over. `root`: see there,
 * borrowed. 0, -ENOMEM, or -EINVAL for a subnet that is none. */
int authz_rows_make(struct authz_rows *r, const struct object *const *objects, size_t count,
		    const char *root);
/* The number of the set that holds for a pod; 0: no policy selects it. `labels`: NULL, they are not
 * known: what may deny does, and of what may allow it only what is for all pods. 0 or -ENOMEM. */
int authz_rows_select(struct authz_rows *r, const char *ns, const struct kvs *labels,
		      const struct authz_strict *strict, __u32 *set);
/* The AuthorizationPolicy or PeerAuthentication that a row is of; NULL: it is of none. */
const struct object *authz_rows_object(const struct authz_rows *r, __u32 policy);
/* Adds to the bytes. 0 or -ENOMEM. */
int authz_rows_put(struct authz_rows *r, const char *text, size_t len);
struct authz_view authz_rows_view(const struct authz_rows *r);
void authz_rows_free(struct authz_rows *r);

/* Whether the policy selects a pod of that namespace. `labels`, here and above: NULL, they are not
 * known and may be any. */
bool authz_selects(const struct object *policy, const char *root, const char *ns,
		   const struct kvs *labels);
const char *authz_action_name(int action); /* "ALLOW" */
/* Whether a rule of the policy speaks of requests. */
bool authz_speaks_of_requests(const struct authorization_policy *p);

/* What conditions are about. AUTHZ_ATTRIBUTES: of a key that weft does not know. */
enum authz_attribute authz_condition_attribute(const char *key);

/* ---- asking ---- */

struct authz_text {
	const char *at;
	size_t len;
};

/* What is known of a connection, or of a request. */
struct authz_question {
	struct authz_text ns, account; /* the caller's; both empty: it has no identity */
	struct addr source, remote, destination;
	__u32 wide; /* bits of `source` and `remote` that are not known, 0..128: they stand for
		       all such addresses but those of narrower subnets of the policies */
	__u32 port; /* that of the pod, host byte order */
	bool http;  /* the rest is known: it is a request */
	struct authz_text host, method;
	struct authz_text path; /* normalized (lib/route/path.h), without the query */
	/* The header's value, all of them with ',' between; false: there is none. It is valid until
	 * the next call. `name` in lower case. */
	bool (*header)(void *arg, struct authz_text name, struct authz_text *out);
	void *arg;
};

struct authz_verdict {
	bool allowed;
	__u32 policy; /* the one that decided; AUTHZ_NONE: none, or that none allows it */
	__u32 rule;   /* its number in the policy, from 0 */
};

/* An AUDIT policy that is met. */
struct authz_audit {
	__u32 policy;
	__u32 rule; /* as in struct authz_verdict */
};

enum { AUTHZ_DETAILS_MAX = 640 };

/*
 * What the set (a number; 0: everything is allowed) says. Without `http`, rules are as Istio has
 * them at a port of TCP: an ALLOW rule that speaks of requests never holds, and of a DENY rule only
 * what speaks of connections counts.
 */
struct authz_verdict authz_judge(const struct authz_view *v, __u32 set,
				 const struct authz_question *q);
/*
 * The next one of the set's AUDIT policies of which a rule holds, from its member *at on, which
 * goes on behind it; 0 to begin with. Without `http` they are as those that deny. False: there is
 * no other. What a STRICT PeerAuthentication refuses (authz_is_plaintext()) never gets to them.
 */
bool authz_audit_next(const struct authz_view *v, __u32 set, const struct authz_question *q,
		      __u32 *at, struct authz_audit *out);
/* Whether a PeerAuthentication refuses it. */
bool authz_is_plaintext(const struct authz_view *v, const struct authz_verdict *verdict);
/* "ns[foo]-policy[p]-rule[0]", as Istio names rules; cut to `size` bytes, the NUL included. Returns
 * `out`. */
const char *authz_rule_name(const struct authz_view *v, __u32 policy, __u32 rule, char *out,
			    size_t size);
/* Envoy's response code details of a refusal: "rbac_access_denied_matched_policy[...]", and of a
 * PeerAuthentication's "plaintext_denied[...]". Returns `out`. */
const char *authz_details(const struct authz_view *v, const struct authz_verdict *verdict,
			  char out[AUTHZ_DETAILS_MAX]);

#endif
