/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_AUTHZ_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_AUTHZ_H
/*
 * Which AuthorizationPolicy, by which of its rules, or which PeerAuthentication refuses a client,
 * and which ones audit it.
 */
#include "lib/authz/authz.h"
#include "lib/explain/explain_target.h"
#include "lib/mesh/peers.h"
#include "lib/route/route.h"

/* Borrows from the objects and the client. */
struct explain_authz {
	struct authz_rows rows;
	const struct objects *objects;
	const struct explain_client *client;
	enum enrol_mode enrol;
	struct peers peers;
	struct bytemap pods; /* struct addr -> struct object; empty without policies */
	struct pool *pool;
	TABLE(const char *)
	audits; /* what explain_authz_ask() has found of AUDIT policies, each
		   sentence once; they live as long as this */
};

/* A request as its endpoint gets it; all of it NULL: a connection. */
struct explain_authz_request {
	const struct http_snapshot *s;
	const struct http_request *request;
	const struct http_decision *decision;
	bool gateway; /* it came in at one */
	/* It takes the caller's identity along to another node: weft-proxy speaks mutual TLS. */
	bool mutual;
};

/* 0 or -ENOMEM; free it in either case. */
int explain_authz_init(struct explain_authz *x, const struct objects *objects,
		       enum enrol_mode enrol, const struct explain_client *client);
void explain_authz_free(struct explain_authz *x);
/*
 * Why the client may not call the endpoint, a sentence that lives as long as `x`; NULL in *why: it
 * may. Adds the AUDIT policies that are met, either way, to x->audits. 0 or -ENOMEM.
 */
int explain_authz_ask(struct explain_authz *x, const struct explain_authz_request *q,
		      const struct addr *endpoint, unsigned port, const char **why);

#endif
