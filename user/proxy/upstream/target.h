/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_UPSTREAM_TARGET_H
#define WEFT_PROXY_UPSTREAM_TARGET_H
/*
 * An endpoint to connect to, as the router chose it, and what the router is told of the try.
 */
#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "proxy/io/sock.h"
#include "proxy/io/tls_client.h"
#include "proxy/stats/limit.h"
#include "proxy/stats/stats.h"
#include "weft/addr.h"

/* Why no TLS can be spoken with an endpoint where it has to be: then nothing is. */
enum target_broken {
	TARGET_TLS_GOOD,
	TARGET_NO_CLIENT, /* there is no certificate for it, or none that is good */
	/* mutual TLS: the caller is no workload of this node's, or has no certificate yet */
	TARGET_NO_IDENTITY,
	TARGET_NOT_IN_MESH, /* mutual TLS: the endpoint is no workload */
};

/* How TLS is spoken with an endpoint. */
struct target_tls {
	struct tls_client *client; /* a reference; NULL: no TLS is spoken, unless `broken` */
	/* The endpoint is asked for by this name (SNI), unless it is an address; not terminated.
	 * Lasts as long as what the target was chosen for, or until that is settled (route.h). */
	const char *name;
	size_t name_len;
	bool check; /* its certificate must have the name */
	/* Mutual TLS: the identity that its certificate must have; NULL: it is no such. Lasts as
	 * the name does. */
	const char *peer;
	enum target_broken broken;
};

/* An endpoint. Milliseconds; 0: the default, or none. */
struct target {
	struct addr addr;
	uint16_t port;
	uint32_t connect_timeout_ms;
	uint32_t idle_timeout_ms; /* of a connection that is not in use */
	uint32_t max_requests_per_connection;
	uint32_t max_duration_ms; /* of a connection, but for the request it is in use for */
	uint32_t tunnel_idle_ms;  /* of one without requests, in both directions */
	struct keepalive keepalive;
	struct limit *limit;		/* of its cluster; NULL: none */
	struct limit_max max;		/* of it */
	struct http_cluster_stat *stat; /* likewise; never NULL */
	uint32_t endpoint;		/* what the router knows it by; 0: by nothing */
	uint32_t cluster, peer;		/* as http_traffic_key has them; 0: not known */
	bool in_mesh;			/* it is a pod of the mesh */
	bool traced;			/* spans are told of requests that it gets */
	bool closed; /* a NetworkPolicy lets no connection of the client's through */
	bool opaque; /* it is not HTTP that is spoken with it */
	struct target_tls tls;
};

/* Lets go of what the target holds on to. */
static inline void target_done(struct target *t)
{
	if (t->tls.client)
		tls_client_unref(t->tls.client);
	t->tls.client = NULL;
}

/* How a try ended, for outlier detection and counters. */
enum outcome {
	OUTCOME_STATUS,	 /* with a response */
	OUTCOME_CONNECT, /* no connection */
	OUTCOME_RESET,	 /* no whole response */
	OUTCOME_TIMEOUT,
	OUTCOME_ABANDONED, /* the client has gone, or another limit was reached: says nothing */
};

#endif
