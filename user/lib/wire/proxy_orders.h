/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_PROXY_ORDERS_H
#define WEFT_LIB_WIRE_PROXY_ORDERS_H
/*
 * What weftd and weft-proxy say to each other.
 *
 * It goes over RUN_DIR/proxy.sock (SOCK_SEQPACKET), which weftd binds and the proxy inherits:
 * whichever weftd connects to it has the proxy, also one that did not start it. One connection is
 * served at a time; its end changes nothing. An order is one struct proxy_order, with a descriptor
 * (SCM_RIGHTS) where it says so. Each is answered by a message that begins with a struct
 * proxy_reply:
 *
 *	order           its descriptor                answer
 *	PROXY_HELLO     where messages are to go      struct proxy_hello, with the listening sockets
 *	PROXY_SNAPSHOT  a snapshot of compile()       once every worker has switched to it
 *	PROXY_PATCH     a patch of the snapshot that  once every worker has carried it out; -ESTALE:
 *	                it has (lib/route/patch.h);   it has another one
 *	                none: it is behind the order
 *	PROXY_REQUESTS  a file to write to            once it has a struct proxy_request for each
 *	                                              request under way
 *	PROXY_QUIT                                    none: the process ends
 *	PROXY_LOG       where the access log goes;    once every worker writes there
 *	                none: nowhere
 *	PROXY_SUCCEED   its end of a socket by which  once every worker serves them
 *	                a predecessor's clients come
 *	PROXY_DRAIN     the other end                 once no worker begins a request any more
 *	PROXY_CREDENTIALS  all certificates and keys  once every worker uses them for handshakes
 *	                (credentials.h)               that begin; connections go on with what they
 *	                                              have
 *	PROXY_TICKETS   a file to write to            once it has what opens the session tickets
 *	                                              that clients have of it
 *	PROXY_TAKE_TICKETS  such a file of another    once it opens them, too
 *	                weft-proxy
 *	PROXY_IDENTITIES  a file to write to          once it has the certificates and keys of
 *	                                              identities that are in use (credentials.h)
 *	PROXY_TAKE_IDENTITIES  such a file of         once identities that have no certificate use
 *	                another weft-proxy            theirs
 *	PROXY_FOLLOW    a pipe; none: nothing         once every worker writes what `weft logs`
 *	                follows any more              shows there: the access log, in JSON, and
 *	                                              first the latest lines that it has kept
 *	PROXY_TRACE     a pipe; none: spans are told  once every worker writes there what is told
 *	                no more                       of spans (proxy/log/trace_line.h)
 *
 * PROXY_CREDENTIALS comes before the snapshot that needs them, also to a weft-proxy that has just
 * been started, and again whenever any of them has changed. A server whose credential is not among
 * them completes no handshake.
 *
 * A weft-proxy that does not know an order answers -EOPNOTSUPP. After a patch that some workers
 * have not carried out it has none that others build on: the next order is the whole snapshot.
 *
 * Connections are accepted from the first snapshot on. What PROXY_DRAIN means proxy/request/drain.h
 * says: the process ends by itself, when nothing is left or its time is up. Given once more it
 * names another successor, and may make the time shorter.
 */
#include <stdint.h>

#include <linux/types.h>

#include "weft/tproxy.h"
#include "weft/policy.h"

enum { PROXY_VERSION_SIZE = 32, PROXY_IDENTITY_SIZE = 1024 };

enum proxy_order_type {
	PROXY_HELLO = 1,
	PROXY_SNAPSHOT,
	PROXY_QUIT,
	PROXY_REQUESTS,
	PROXY_LOG,
	PROXY_SUCCEED,
	PROXY_DRAIN,
	PROXY_PATCH,
	PROXY_CREDENTIALS,
	PROXY_TICKETS,
	PROXY_TAKE_TICKETS,
	PROXY_IDENTITIES,
	PROXY_TAKE_IDENTITIES,
	PROXY_FOLLOW,
	PROXY_TRACE,
};

/* What a weft-proxy can do beyond the first four orders: carry PROXY_DRAIN out; read a patch that
 * is behind its order. */
enum { PROXY_CAN_DRAIN = 1, PROXY_CAN_READ = 2 };

/* At most so many bytes are behind an order: what a file would cost more for. */
enum { PROXY_ORDER_BYTES = 16384 };

struct proxy_order {
	uint32_t type;
	uint32_t sequence; /* comes back in the reply */
	union {
		/* Of PROXY_SNAPSHOT and PROXY_PATCH: a number, not 0, for what the proxy has then;
		 * PROXY_PATCH: that of what it must have before. */
		struct {
			uint32_t state, before;
		} snapshot;
		uint32_t json; /* of PROXY_LOG: 0 or 1 */
		struct {
			uint32_t ms;
			uint32_t shared; /* of its listening sockets: so many, from the first on,
					  * the successor accepts from, too */
		} drain;
	};
};

/* What a weft-proxy has of `proxied` in the map `limits`, by cluster id: a file that it maps. */
struct proxy_held {
	uint32_t connections[CLUSTER_IDS_MAX];
};

struct proxy_reply {
	uint32_t type;
	uint32_t sequence;
	int32_t error; /* 0 or -errno; of a snapshot: at least one worker keeps the rules it had */
	uint32_t pad;
};

struct proxy_hello {
	struct proxy_reply reply;
	uint32_t workers; /* as many listening sockets come with it */
	uint32_t can;	  /* PROXY_CAN_... */
	char version[PROXY_VERSION_SIZE];
	char identity[PROXY_IDENTITY_SIZE]; /* what weftd started it with: --identity */
};

/* Ports in host byte order. Texts are cut where they are too long, and come from clients as they
 * are. */
struct proxy_request {
	struct addr client, called;
	struct addr endpoint; /* of the last try */
	uint16_t client_port, called_port;
	uint16_t endpoint_port; /* 0: none was asked yet */
	uint16_t tries;
	uint32_t status; /* of the response that has begun, or 0 */
	uint32_t pad;
	uint64_t age_ms;
	uint64_t received, sent; /* bytes from and to the client, after the request's head */
	char state[16];
	char cluster[CLUSTER_NAME_MAX], route[ROUTE_NAME_MAX];
	char method[16], authority[128], path[256];
};

#endif
