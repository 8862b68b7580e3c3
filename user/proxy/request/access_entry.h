/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_ACCESS_ENTRY_H
#define WEFT_PROXY_REQUEST_ACCESS_ENTRY_H
/*
 * What the access log is told of a request, or of a connection without any.
 */
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

#endif
