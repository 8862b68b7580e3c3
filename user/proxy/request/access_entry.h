/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_ACCESS_ENTRY_H
#define WEFT_PROXY_REQUEST_ACCESS_ENTRY_H
/*
 * What the access log is told of a request, or of a connection without any, and what is told of a
 * request's spans.
 */
#include "lib/route/snapshot.h"
#include "proxy/h1/h1.h"
#include "proxy/route/route.h"
#include "weft/addr.h"

/* One request, when it is over. Spans are valid during the call only. */
struct access_entry {
	const struct h1_request *request; /* NULL: it could not be read, or there is none */
	const struct plan *plan;	  /* NULL: as above */
	const struct route_tls *tls;	  /* NULL: plain TCP */
	unsigned status;		  /* 0: the client got none */
	const char *flags;		  /* Envoy's response flags, "-" for none */
	const char *details;		  /* Envoy's response code details; NULL: none */
	const char *audit;		  /* as in struct route_rbac; NULL: none */
	uint64_t received, sent;	  /* bytes of bodies */
	uint64_t duration_ms;
	struct h1_span request_id;
	int64_t service_ms; /* from the whole request to the endpoint's response; -1: none */
	unsigned tries;
	struct addr client, called;
	struct addr local, endpoint; /* the last try's */
	uint16_t client_port, called_port;
	uint16_t local_port, endpoint_port; /* 0: none was asked */
	struct h1_span server_name; /* that a ClientHello asks for, whose TLS is not ended here */
};

enum { SPAN_ID = 16, TRACE_TAGS_MAX = HS_TAGS_MAX };

/* One of a request's two spans. Times are nanoseconds of CLOCK_REALTIME. */
struct trace_span {
	char id[SPAN_ID]; /* hexadecimal digits; id[0] is 0: there is no such span */
	uint64_t start_ns, end_ns;
	struct {
		struct h1_span name, value;
	} tags[TRACE_TAGS_MAX];
	size_t tag_count;
};

/* A request that is sampled, when it is over. Spans of bytes are valid during the call only. */
struct trace_entry {
	struct access_entry access;
	struct h1_span trace_id;  /* 16 or 32 digits */
	struct h1_span parent_id; /* of the outermost of the two; empty: it is the root */
	struct trace_span client; /* who calls has made it, or the Gateway */
	struct trace_span server; /* the endpoint has got it: within the other, if there is one */
	bool gateway;
	uint32_t source, destination; /* peers (weft/traffic.h); 0: not known */
	uint32_t cluster;	      /* stable id of the one that was chosen; 0: none */
	struct h1_span host;	      /* that was called then, or empty */
	struct h1_span scheme;
};

#endif
