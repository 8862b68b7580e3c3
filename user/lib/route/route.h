/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_ROUTE_H
#define WEFT_LIB_ROUTE_ROUTE_H
/*
 * A request and the tables -> what is to be done with it. Pure; nothing is allocated, everything in
 * a decision points into the snapshot or into the request.
 */
#include <stdbool.h>

#include "lib/route/snapshot.h"
#include "lib/model/model.h"

/* Text that is not NUL-terminated. */
struct http_span {
	const char *at;
	size_t len;
};

struct http_field {
	struct http_span name, value;
};

struct http_request {
	struct http_span method, scheme, authority;
	struct http_span path; /* with the query */
	const struct http_field *fields;
	size_t field_count;
};

/* The client, in the mesh: one of the snapshot's pods, or any with these labels. */
struct http_source {
	__u32 ns;		       /* index + 1; 0: one that no rule speaks of */
	struct http_span name;	       /* of the namespace */
	const struct hs_source *known; /* or NULL */
	const struct kvs *labels;      /* without `known`; may be NULL */
};

/* Numbers that grow by one with each request of a route; one for each kind of choice, so that they
 * don't move in step. */
struct http_turns {
	__u64 dest, delay, abort, mirror;
};

enum http_action {
	HTTP_ROUTE,
	HTTP_REDIRECT,
	HTTP_DIRECT_RESPONSE,
	HTTP_NOT_FOUND,	  /* 404 */
	HTTP_NO_CLUSTER,  /* 503: the chosen destination does not exist */
	HTTP_PASSTHROUGH, /* no rule or service claims the host: on to the address that was called
			   */
	HTTP_MISDIRECTED, /* 421: another HTTPS server of the port has the host */
	HTTP_BLOCKED,	  /* 502: like PASSTHROUGH, where the snapshot says HS_REGISTRY_ONLY */
};

enum http_cors_answer {
	HTTP_CORS_NONE,
	HTTP_CORS_ALLOWED,   /* the response gets the headers for this origin */
	HTTP_CORS_PREFLIGHT, /* answer 200 with all the headers, ask no endpoint */
};

enum { HTTP_OPS = 2 };

struct http_decision {
	enum http_action action;
	const struct hs_listener *listener;
	const struct hs_server *server; /* HTTPS: the connection's; or NULL */
	const struct hs_vhost *vhost;	/* NULL: none has the host */
	const struct hs_rule *rule;	/* NULL: the plain service */
	const struct hs_action *route;	/* NULL with NOT_FOUND, MISDIRECTED, PASSTHROUGH, BLOCKED, a
					   redirect to https */
	const struct hs_dest *dest;	/* the chosen one, with ROUTE and NO_CLUSTER */
	const struct hs_cluster *cluster;
	struct http_span authority; /* for the endpoint */
	/* Carried out one list after the other. */
	struct hs_range request[HTTP_OPS], response[HTTP_OPS];
	unsigned status;   /* redirect, direct response, 404, 503, abort; 0: the endpoint's */
	unsigned delay_ms; /* before anything else */
	bool aborted; /* after the delay, with `status` (0: a gRPC status, route->abort_grpc) */
	enum http_cors_answer cors;
	struct http_span origin; /* with cors */
};

/* Told of each rule that is passed over, and why. */
struct http_trace {
	void (*skip)(void *arg, const struct hs_place *place, const char *why);
	void *arg;
};

/* The listener for a port: of the node (gateways) or of services. NULL: no HTTP there. */
const struct hs_listener *http_listener(const struct http_snapshot *s, enum service_scope scope,
					unsigned port);
/* The same for the address that was called; `node`: it is one of the node's own. */
const struct hs_listener *http_listener_at(const struct http_snapshot *s, const struct addr *called,
					   unsigned port, bool node);
/*
 * The server of a listener of TLS that a client gets which asks for that name in its ClientHello
 * (in any case, with or without a dot at its end; empty: it asks for none): the one that has the
 * name; else the one with the longest wildcard for it. `source` is NULL for a client from outside.
 * NULL: none, and the handshake must fail.
 */
const struct hs_server *http_server_for(const struct http_snapshot *s,
					const struct hs_listener *listener,
					const struct http_source *source, struct http_span sni);
/* The row of a service's address and port; NULL: it is none of ours. */
const struct hs_address *http_address_at(const struct http_snapshot *s, const struct addr *addr,
					 unsigned port);
/* Whether the SNI of connections to that address is asked for. */
static inline bool http_address_has_sni(const struct hs_address *address)
{
	return address->sni_exact.count || address->sni_wild.count;
}
/* Whether all of them go the same way, so that nobody need look at what they send. */
bool http_address_is_opaque(const struct http_snapshot *s, const struct hs_address *address);
/*
 * The same as http_server_for() for the mesh: the `tls` route that takes a connection to that
 * address, of the kind PASSTHROUGH. A client that speaks no TLS is one that asks for no name. NULL:
 * none, address->action has it.
 */
const struct hs_server *http_server_at(const struct http_snapshot *s,
				       const struct hs_address *address,
				       const struct http_source *source, struct http_span sni);
/* The pod at that address, or NULL. */
const struct hs_source *http_source_at(const struct http_snapshot *s, const struct addr *addr);
void http_source_known(const struct http_snapshot *s, const struct hs_source *row,
		       struct http_source *out);
void http_source_given(const struct http_snapshot *s, const char *ns, const struct kvs *labels,
		       struct http_source *out);

/*
 * Decides, in two steps, because turns belong to a route and the route must be known first.
 * http_find() matches the request; without out->route the decision is made. With one, http_choose()
 * takes the route's turns for its faults and destinations, and matches nothing again. `server` is
 * what http_server_for() has said when an HTTPS listener's connection began, NULL where none is
 * spoken. `source` is NULL for a request from outside, at a gateway. `trace` is NULL unless the
 * caller wants to be told why.
 */
void http_find(const struct http_snapshot *s, const struct hs_listener *listener,
	       const struct hs_server *server, const struct http_source *source,
	       const struct http_request *q, struct http_decision *out,
	       const struct http_trace *trace);
void http_choose(const struct http_snapshot *s, const struct http_request *q,
		 const struct http_turns *turns, struct http_decision *out);
/* Both, for turns that are given. */
void http_route(const struct http_snapshot *s, const struct hs_listener *listener,
		const struct hs_server *server, const struct http_source *source,
		const struct http_request *q, const struct http_turns *turns,
		struct http_decision *out, const struct http_trace *trace);

/* The action of the service at the address that was called, for PASSTHROUGH; NULL: not one of ours.
 */
const struct hs_action *http_plain(const struct http_snapshot *s, const struct addr *addr,
				   unsigned port);

/* Whether what no rule and no service claims is answered, not passed on: outboundTrafficPolicy. */
bool http_is_registry_only(const struct http_snapshot *s);

/* Whether the n-th of route->mirrors gets a copy. */
bool http_mirrored(const struct http_snapshot *s, const struct hs_action *route, __u32 n,
		   __u64 turn);

/* ---- text that has to be put together: the length, or -ENOSPC ---- */

/* The path and query for the endpoint. */
long http_path(const struct http_snapshot *s, const struct http_decision *d,
	       const struct http_request *q, char *out, size_t size);
/* The Host for mirrors. */
long http_shadow(const struct http_decision *d, char *out, size_t size);

/* A Location, in its parts. `host` may bring a port of its own. */
struct http_location {
	struct http_span scheme, host;
	unsigned port; /* 0: none */
};

void http_location(const struct http_snapshot *s, const struct http_decision *d,
		   const struct http_request *q, struct http_location *out);
/* The path and query of a Location. */
long http_location_path(const struct http_snapshot *s, const struct http_decision *d,
			const struct http_request *q, char *out, size_t size);
/* All of it. */
long http_location_text(const struct http_snapshot *s, const struct http_decision *d,
			const struct http_request *q, char *out, size_t size);

enum { HTTP_CORS_FIELDS = 6 };

/* The fields that the response gets because of d->cors; returns how many. */
size_t http_cors_fields(const struct http_snapshot *s, const struct http_decision *d,
			struct http_field out[HTTP_CORS_FIELDS]);

/* Whether some name on the listener, or of the server if it is not NULL, is this host, for that
 * source. */
bool http_host_is_here(const struct http_snapshot *s, const struct hs_listener *listener,
		       const struct hs_server *server, const struct http_source *source,
		       struct http_span authority);

/* ---- for the parts of this ---- */

/* Why a match does not hold. */
struct http_reason {
	char text[256];
};

/* Whether the source's side of the match holds; `m` may be NULL, `why` too. */
bool http_match_source(const struct http_snapshot *s, const struct hs_match *m,
		       const struct http_source *source, struct http_reason *why);
bool http_match_request(const struct http_snapshot *s, const struct hs_match *m,
			const struct http_request *q, struct http_reason *why);
bool http_value_holds(const struct http_snapshot *s, const struct hs_value *v,
		      struct http_span text);
/* The first field of that name (in lower case), or NULL. */
const struct http_field *http_find_field(const struct http_request *q, struct http_span name);

static inline struct http_span http_span(const char *text)
{
	return (struct http_span){ text, __builtin_strlen(text) };
}

static inline struct http_span hs_span(const struct http_snapshot *s, struct hs_str str)
{
	return (struct http_span){ hs_text(s, str), str.len };
}

bool http_span_is(struct http_span a, struct http_span b);
bool http_span_folds(struct http_span a, struct http_span b); /* without regard to case */

#endif
