/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_TRAFFIC_H
#define WEFT_DAEMON_DATAPATH_TRAFFIC_H
/*
 * Who talks to whom, with names: the rows of weft/traffic.h, one by one, as `/metrics`, the page
 * and `weft top` have them.
 */
#include "daemon/datapath/datapath.h"
#include "daemon/datapath/tcp_ledger.h"
#include "lib/base/response_flags.h"
#include "lib/mesh/peer.h"
#include "lib/model/hostname.h"

/* One row. Texts are borrowed for the time of the call. */
struct traffic {
	const struct peer *source, *destination;
	const char *service;	       /* FQDN or Host that was called; "unknown" */
	const char *service_name;      /* its first label where it is a Service; else `service` */
	const char *service_namespace; /* "unknown" where it is no Service */
	const char *cluster;	       /* "outbound|9080|v1|..."; NULL: none was chosen */
	const char *protocol;	       /* "http", "grpc", "tcp" */
	const char *by;	    /* what counted it: "proxy" (weft-proxy) or "kernel" (the programs) */
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
	/* Another number whenever pod_at() may answer otherwise. */
	uint64_t version;
};

/*
 * Calls each() for every row that has counted anything. What the programs count of TCP comes once
 * for each caller, called one and cluster, with all that pods of the two have had since weftd was
 * started. What has not counted for long is not there any more, and begins at 0 should it count
 * again (idle.h). Several rows may have the same labels. A non-zero answer of each() ends the walk
 * and is returned; -errno.
 */
int traffic_each(const struct traffic_walk *walk, int (*each)(void *arg, const struct traffic *t),
		 void *arg);

/* ---- the same in pieces, for a thread of its own ---- */

/* Puts down what has been counted of TCP since the last time. For the event loop. 0 or -errno. */
int traffic_tcp_update(const struct traffic_walk *walk);
/* What was put down (tcp_ledger_list()). */
const struct tcp_sum *traffic_tcp(const struct kernel *k, size_t *count);

/* `http_traffic` as it is in memory: rows that weft-proxy and the event loop go on writing. For any
 * thread, until kernel_close(). */
const struct http_traffic *traffic_http_rows(const struct kernel *k);
/* Whether the row may be read: there is one of that number, and it is in memory. Likewise. */
bool traffic_http_reach(struct kernel *k, __u32 i);
/* A row as it is at the moment, from what weft-proxy, which is not trusted, has there: its texts
 * end, and its key says nothing that is not defined. In another epoch it is another's; row 0 has
 * none. False: it has counted nothing. *end: nor have those behind it. */
bool traffic_http_read(const struct http_traffic *rows, __u32 i, struct http_traffic *out,
		       bool *end);

/* The texts of a row. */
struct traffic_texts {
	struct peer source, destination;
	char service[HOST_MAX], service_name[HOST_MAX], service_namespace[HOST_MAX];
	char flags[FLAGS_TEXT];
	struct tcp_traffic tcp; /* of a row of connections */
};

/* What a row says with the names of its ids: those of peers (peer.h) and the cluster's, each NULL
 * where it isn't known. `out` refers to all of them. */
void traffic_of_http(const struct http_traffic *row, const char *source, const char *destination,
		     const char *cluster, struct traffic_texts *texts, struct traffic *out);
void traffic_of_tcp(const struct tcp_sum *sum, const char *source, const char *destination,
		    const char *cluster, struct traffic_texts *texts, struct traffic *out);

#endif
