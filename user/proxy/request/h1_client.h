/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_H1_CLIENT_H
#define WEFT_PROXY_REQUEST_H1_CLIENT_H
/*
 * A client's connection that speaks HTTP/1, over TCP or over TLS: it reads heads, one request at a
 * time is under way. Or, where its ClientHello says so, one that has no requests: a tunnel.
 */
#include "proxy/request/http_worker.h"
#include "proxy/request/request.h"

enum h1_client_state {
	H1_CLIENT_PEEK,	     /* a ClientHello is to say what it is */
	H1_CLIENT_HANDSHAKE, /* of TLS, which comes before anything else */
	H1_CLIENT_HEAD,	     /* waits for a request, or the rest of its head */
	H1_CLIENT_REQUEST,   /* one is under way */
	H1_CLIENT_TUNNEL,    /* its bytes go on as they are */
	H1_CLIENT_LINGER,    /* the client is to take notice that we have ended */
	H1_CLIENT_END,	     /* the connection is of no further use */
	H1_CLIENT_STATES,
};

struct h1_client {
	struct downstream down; /* first */
	struct http_worker *worker;
	struct route_tls *tls; /* down.tls, when the handshake is done; NULL: plain TCP */
	struct tunnel *tunnel; /* H1_CLIENT_TUNNEL; else NULL */
	enum h1_client_state state;
	int low_mark;  /* H1_CLIENT_PEEK: bytes that are waited for (SO_RCVLOWAT); 0: any */
	size_t seen;   /* bytes of the next head that have been looked at */
	bool opaque;   /* H1_CLIENT_PEEK: nothing is to be looked at */
	bool mixed;    /* likewise: what is no TLS may be requests, or not */
	bool hurries;  /* likewise: its server may speak first, and is not to be waited for long */
	bool unsorted; /* H1_CLIENT_HEAD: what comes may be no HTTP, for a tunnel */
	bool waiting;  /* `timer` counts */
	bool fired;    /* and has fired */
	bool granted;  /* one that drains waits for one more request */
	bool running;
	struct loop_timer timer;	/* of the state */
	struct worker_task later;	/* another turn */
	struct h1_client *next, **link; /* worker->clients */
};

/* Of struct worker_service: a client has connected. */
int h1_client_serve(struct worker *io, int fd, const struct addr *client, uint16_t client_port,
		    const struct addr *called, uint16_t called_port);
/* Likewise a connection that another process has served, which has read `n` bytes of the next
 * requests. `fresh`: it has only accepted it, and what is spoken there is for this one to say; else
 * it is plain TCP. */
int h1_client_serve_on(struct http_worker *w, int fd, const char *bytes, size_t n, bool fresh);
/* Goes on with one that waits for a request, for its handshake or a ClientHello. */
void h1_client_run(struct h1_client *c);
/* Ends it, and the request under way. */
void h1_client_close(struct h1_client *c);

#endif
