/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TRAFFIC_H
#define WEFT_DAEMON_DATAPATH_TRAFFIC_H
/*
 * Who talks to whom, with names: the rows of weft/traffic.h, one by one, as `/metrics`, the page
 * and `weft top` have them.
 */
#include "daemon/datapath/datapath.h"
#include "lib/mesh/peer.h"

/* One row. Texts are borrowed for the time of the call. */
struct traffic {
	const struct peer *source, *destination;
	const char *service;	       /* FQDN or Host that was called; "unknown" */
	const char *service_name;      /* its first label where it is a Service; else `service` */
	const char *service_namespace; /* "unknown" where it is no Service */
	const char *cluster;	       /* "outbound|9080|v1|..."; NULL: none was chosen */
	const char *protocol;	       /* "http", "grpc", "tcp" */
	const char *flags;  /* "UO", "NR", ..., several with a comma between; "-": none */
	unsigned reporters; /* enum traffic_reporters */
	enum traffic_security security;
	const struct http_traffic *http; /* or NULL, and then: */
	const struct tcp_traffic *tcp;
};

struct traffic_walk {
	struct kernel *kernel;
	struct registry *registry;
	/* The pod at an address, as the known objects have it; NULL: there is none. */
	const struct object *(*pod_at)(void *arg, const struct addr *addr);
	void *arg;
};

/* Calls each() for every row that has counted anything. Its non-zero answer ends the walk and is
 * returned; -errno. */
int traffic_each(const struct traffic_walk *walk, int (*each)(void *arg, const struct traffic *t),
		 void *arg);

#endif
