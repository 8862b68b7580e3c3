/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_HTTP_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_HTTP_H
/*
 * What happens to a request, or to a connection that weft-proxy has and that is none of HTTP, and
 * why: the snapshot's answer.
 */
#include "lib/explain/explain.h"
#include "lib/explain/explain_policy.h"
#include "lib/mesh/mesh.h"
#include "lib/route/route.h"
#include "weft/http_stat.h"

/* What is asked beyond struct explain_query. Unset strings are NULL. */
struct explain_request {
	const char *method, *scheme, *path; /* "GET", as the port is, "/" by default */
	/* "NAME=VALUE" each; Host or :authority take the place of the name that is called. */
	const char *const *headers;
	size_t header_count;
};

/* What a cluster has at the moment; the proxy and the kernel count it. */
struct explain_load {
	__u64 connections;	 /* of the kernel and the proxy together */
	__u64 steered;		 /* connections that the kernel holds */
	__u64 requests, pending; /* of the proxy: with a connection, and waiting for one */
	__u64 now_ms;		 /* by the clock of `ejected` */
	struct http_ejection ejected[HTTP_EJECTED_MAX];
};

/* Where to ask for it. */
struct explain_live {
	/* Leaves `out` as it is, all zeroes, where nothing is known. 0 or -errno. */
	int (*load)(void *arg, __u32 id, const char *cluster, struct explain_load *out);
	void *arg;
};

/*
 * `live` is NULL for rules from files: then nothing is ejected and no limit is reached.
 *
 * Answers as documented for `weft explain -o json`. Returns 0 and the caller's reference in *out;
 * -EPROTONOSUPPORT if weft-proxy has nothing to do with the place that is asked about: then
 * explain() has the answer; -ENOENT or -EINVAL when `errors` says why; -ENOMEM.
 */
int explain_http(const struct http_snapshot *s, const struct tables *t,
		 const struct objects *objects, const struct explain_query *q,
		 const struct explain_request *request, const struct explain_live *live,
		 json_t **out, struct errors *errors);

/* The answer for people. The caller frees; NULL when out of memory. */
char *explain_http_text(const json_t *answer);

/* ---- between the parts of this ---- */

/* An answer in the making. */
struct http_answer {
	const struct http_snapshot *s;
	struct http_request request;
	struct http_decision decision;
	const struct hs_server *server; /* of TLS; or NULL */
	const char *sni;		/* a connection that is asked about; NULL: a request */
	json_t *skipped;		/* borrowed */
	struct mesh *mesh;
	const char *client; /* its namespace; the Gateway's for a request from outside */
	const struct explain_live *live;
	const struct addr *called; /* NULL: a name, any family */
	struct explain_policies *policies;
	struct explain_authz *authz;
	bool at_gateway; /* it came in there */
};

json_t *explain_http_json(const struct http_answer *a);
/* The same of a connection that the server, or `plain` where there is none, has. */
json_t *explain_sni_json(struct http_answer *a, const struct hs_action *plain);
/* A connection to that address of a service: its SNI is a->sni. As explain_http(). */
int explain_sni_at(struct http_answer *a, const struct hs_address *row,
		   const struct http_source *source, json_t **out);
/* A rule that is passed over. */
void explain_skip(struct http_answer *a, const struct hs_place *place, const char *why);

/* Why a request for the cluster gets no answer of an endpoint's. */
struct explain_failure {
	unsigned status;   /* 0: 503 */
	const char *flags; /* Envoy's response flag; NULL: it does not fail */
	const char *body;
	char *reason;	  /* owned */
	json_t *ejected;  /* owned; the endpoints that are out; NULL: none */
	json_t *closed;	  /* owned; those that NetworkPolicies close; NULL: none */
	json_t *policies; /* owned; which, in sentences; NULL: none */
	/* The same for AuthorizationPolicies. */
	json_t *denied, *authorizations;
};

void explain_failure_free(struct explain_failure *f);
/* 0 or -errno. */
int explain_cluster_failure(const struct http_answer *a, const struct hs_cluster *c,
			    struct explain_failure *out);
/* "the service default/a has no port 81, but port 80": why there is no cluster of that host and
 * port. The caller frees; NULL when out of memory. */
char *explain_no_cluster(const struct objects *objects, const char *host, unsigned port,
			 const char *subset);

#endif
