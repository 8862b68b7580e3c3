/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_DOWNSTREAM_H
#define WEFT_PROXY_REQUEST_DOWNSTREAM_H
/*
 * The client's side of a request, as the request sees it: all of a connection with HTTP/1
 * (h1_client.h), a stream of one with HTTP/2. The request's body comes from `half`, the response's
 * goes there.
 */
#include "proxy/route/route.h"
#include "proxy/stream/half.h"
#include "weft/addr.h"

struct downstream;
struct request;

enum downstream_end {
	DOWNSTREAM_DONE, /* the response is out: others may follow */
	DOWNSTREAM_LAST, /* likewise, but what follows it could not be told from its rest */
	DOWNSTREAM_CUT,	 /* there is no more to be sent, and the response is not whole */
};

struct downstream_ops {
	/* Puts the head of an endpoint's response, also of a 1xx, into half.out. `dechunk`: the
	 * client doesn't know chunks. 0 or -ENOMEM. */
	int (*send_head)(struct request *rq, const struct h1_response *r, bool dechunk);
	/* Likewise a response of the proxy's own, with its body. */
	int (*send_answer)(struct request *rq, const struct plan_answer *a);
	/* The client is to see that what it got is not all. The half is closed. */
	void (*reset)(struct request *rq);
	/* The request is gone. May free `d`, or begin the next one. */
	void (*over)(struct downstream *d, enum downstream_end end);
};

struct downstream {
	struct half half; /* first: half.changed() and half.tee() find the rest */
	const struct downstream_ops *ops;
	struct request *request;     /* that is under way, or NULL; with a tunnel there is none */
	const struct route_tls *tls; /* NULL: plain TCP, or no handshake yet */
	struct addr client_addr, called;
	uint16_t client_port, called_port;
};

#endif
