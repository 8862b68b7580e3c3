/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_H
/*
 * What happens to a connection, and why: the tables' answer, by name.
 */
#include <jansson.h>

#include "lib/explain/decide_user.h"
#include "lib/mesh/enrol.h"
#include "lib/model/hostname.h"
#include "lib/tables/tables.h"

/* What is asked. Unset strings are NULL; nothing is copied, all of it must outlive the call. */
struct explain_query {
	/* The client: a Pod, or any with these labels in that namespace ... */
	const char *namespace; /* "default" by default */
	const char *pod;
	const struct kvs *labels; /* those of `pod` by default */
	/* ... or it calls the node from outside, at that Gateway or from that address, or both. */
	const char *gateway_namespace, *gateway;
	const char *source;
	/* What is called: a name as a client writes it, or an address. */
	const char *host;
	const char *address;
	unsigned port;
	const char *sni;       /* at an HTTPS port: NULL: the host; else it changes nothing */
	enum enrol_mode enrol; /* who is in the mesh */
};

enum explain_action {
	EXPLAIN_ROUTE,
	EXPLAIN_NO_CLUSTER,
	EXPLAIN_NO_ENDPOINT,
	EXPLAIN_PASSTHROUGH,
	EXPLAIN_REFUSE,
};

struct explain_destination {
	const char *host;
	const char *subset; /* "" for none */
	unsigned port;
	unsigned weight; /* as the rule has it; 100 for a single destination */
	unsigned max_connections;
	const char **endpoints;
	const char **closed; /* those that a NetworkPolicy, or an AuthorizationPolicy, closes to the
				client */
	size_t endpoint_count, closed_count;
};

struct explain_skipped {
	const char *rule; /* "VirtualService default/tcp-echo tcp[0].match[0]" */
	const char *at;	  /* "f.yaml:12:5" */
	const char *why;
};

/* Borrows from the tables; owns the rest. */
struct explain_answer {
	enum explain_action action;
	const struct rule_origin
		*rule; /* NULL: none, the connection is not ours or is refused for want of a rule */
	const struct service_origin *service; /* NULL: none */
	TABLE(struct explain_destination) destinations;
	TABLE(struct explain_skipped) skipped;
	TABLE(const char *) policies; /* why they are closed: for the CNI to carry out */
	TABLE(const char *) refusals; /* by AuthorizationPolicies, where the pod is */
	TABLE(const char *) audits;   /* by those with the action AUDIT, likewise */
	struct question question;
	struct verdict verdict; /* which destination and endpoint the next connection gets */
	const char *cluster, *endpoint; /* names of the verdict's; NULL: none */
	const char *reason;		/* why it is refused or passes: a short sentence, or NULL */
	const char *protection; /* what the ConnectionPolicy has to say of a caller from outside,
				   whom it lets in; NULL: nothing */
	struct pool *pool;
};

/* Another place to ask than decide_tables(): weftd asks the kernel. 0 or -errno. */
typedef int (*explain_decide)(void *arg, const struct question *q, struct verdict *out);

/*
 * Answers `q`. The tables must be those of the generation that `decide` asks; NULL asks
 * decide_tables(). A client in the mesh that is no Pod of the tables is always answered by
 * decide_tables(), because the kernel doesn't know it; one that is not in the mesh is answered
 * without. Returns 0; -ENOENT when there is no such pod
 * or gateway, -EINVAL when the query makes no sense (`errors` says so); -ENOMEM; or what `decide`
 * returned, -ESTALE if that was about other tables. Zero-initialise `out` and free it with
 * explain_done(), whatever is returned.
 */
int explain(const struct tables *t, const struct objects *objects, const struct explain_query *q,
	    explain_decide decide, void *arg, struct explain_answer *out, struct errors *errors);
void explain_done(struct explain_answer *a);

/* "route", "no_cluster", "passthrough", "refuse" */
const char *explain_action_name(enum explain_action action);
/* The answer as documented for `weft explain -o json`. The caller's reference; NULL when out of
 * memory. */
json_t *explain_json(const struct explain_answer *a);
/* The same for people: several lines. The caller frees; NULL when out of memory. */
char *explain_text(const struct explain_answer *a);

#endif
