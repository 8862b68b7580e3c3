/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef WEFT_HTTP_STAT_H
#define WEFT_HTTP_STAT_H
/*
 * What weft-proxy counts, in arrays that it maps into its memory: `http_clusters`, `http_routes`
 * and `http_listeners`. A row belongs to the name in it for good; rows are taken in order, and the
 * first one without a name is the end. Row 0 is for all names that found no row left.
 *
 * While a weft-proxy drains there are several. They count together; of a gauge each has a number of
 * its own, by its slot, and the gauge is their sum. weftd sets those of one that has ended to 0.
 *
 * Names and meanings are Envoy's (its "cluster statistics"), gauges are marked. What the kernel
 * counts for the same cluster is in `clusters` (policy.h).
 */
#include "policy.h"

enum {
	HTTP_STAT_ROWS = 4096, /* of clusters, and of routes */
	HTTP_LISTENER_ROWS = 256,
	LISTENER_NAME_MAX = 64,
	HISTOGRAM_BUCKETS = 64,
	HTTP_EJECTED_MAX = 12,
	HTTP_PROXIES = 8, /* weft-proxies at a time: one serves, the others drain */
};

/*
 * How many values there were of each size. Bucket i < 8 is for the value i; from there on four
 * buckets share a power of two: bucket i begins at (4 + i % 4) << (i / 4 - 1). The last one, from
 * 114688 on, has no end.
 */
struct histogram {
	__u64 buckets[HISTOGRAM_BUCKETS];
};

/* An endpoint that outlier detection keeps out. */
struct http_ejection {
	__u32 endpoint; /* stable id */
	__u32 back_ds;	/* tenths of a second of CLOCK_MONOTONIC; 0: nothing is here */
	__u32 proxy;	/* the slot of the one that keeps it out */
	__u32 pad;
};

/* `http_clusters`. A try is a request as one endpoint gets it: there may be several to a request.
 */
struct http_cluster_stat {
	char name[CLUSTER_NAME_MAX]; /* outbound|9080|v1|reviews.default.svc.cluster.local */

	/* Connections from the proxy to endpoints, those of clients without requests included. */
	__u64 upstream_cx_total;
	__u64 upstream_cx_http1_total;		/* those for HTTP/1.1 */
	__u32 upstream_cx_active[HTTP_PROXIES]; /* gauge: open, or being opened */
	__u64 upstream_cx_connect_fail;		/* did not come about, for whatever reason */
	__u64 upstream_cx_connect_timeout;	/* of those, because of connectTimeout */
	__u64 upstream_cx_overflow;		/* not opened when wanted: maxConnections */
	__u64 upstream_cx_idle_timeout;		/* closed: not in use for idleTimeout */
	__u64 upstream_cx_max_requests;		/* closed: maxRequestsPerConnection */
	__u64 upstream_cx_none_healthy;		/* not opened: no healthy endpoint */
	__u64 upstream_cx_protocol_error;	/* what came was not HTTP */
	__u64 upstream_cx_destroy;		/* closed, for whatever reason */
	__u64 upstream_cx_destroy_local;	/* of those, by the proxy */
	__u64 upstream_cx_destroy_remote;	/* of those, by the endpoint */
	__u64 upstream_cx_rx_bytes_total;	/* from endpoints; counted when a try is over */
	__u64 upstream_cx_tx_bytes_total;	/* to endpoints; likewise */

	/* Requests. */
	__u64 upstream_rq_total;		/* tries that got a connection */
	__u32 upstream_rq_active[HTTP_PROXIES]; /* gauge: of those, not over yet */
	__u64 upstream_rq_pending_total;	/* tries that had to wait for a connection */
	__u32 upstream_rq_pending_active[HTTP_PROXIES]; /* gauge: of those, still waiting */
	__u64 upstream_rq_pending_overflow;		/* requests refused by a limit: 503, UO */
	__u64 upstream_rq_pending_failure_eject; /* tries whose connection did not come about */
	__u64 upstream_rq_cancelled;		 /* tries given up while they waited for one */
	__u64 upstream_rq_timeout;		 /* requests that the route's timeout ended */
	__u64 upstream_rq_per_try_timeout;	 /* tries that perTryTimeout ended */
	__u64 upstream_rq_rx_reset; /* tries whose connection the endpoint ended too early */
	__u64 upstream_rq_tx_reset; /* tries that the proxy broke off: timeout, client gone, ... */
	__u64 upstream_rq_retry;    /* tries beyond the first */
	__u64 upstream_rq_retry_success;	/* requests that such a try has saved */
	__u64 upstream_rq_retry_overflow;	/* not tried again: maxRetries */
	__u64 upstream_rq_retry_limit_exceeded; /* not tried again: `attempts` used up */
	__u64 upstream_rq_completed; /* answers, the proxy's own for the cluster (503, 504) too */
	__u64 upstream_rq_1xx;	     /* of those, by class */
	__u64 upstream_rq_2xx;
	__u64 upstream_rq_3xx;
	__u64 upstream_rq_4xx;
	__u64 upstream_rq_5xx;

	__u64 network_policy; /* tries and copies that a NetworkPolicy lets no connection through
				 for */

	/* rbac.*: requests, connections without any and copies that AuthorizationPolicies of the
	 * endpoint let through, and that they don't */
	__u64 allowed;
	__u64 denied;
	__u64 logged; /* that AUDIT policies are met by, whether they are let through or not */

	/* outlier_detection.* */
	/* gauge: endpoints that are out, as of the last request */
	__u32 ejections_active[HTTP_PROXIES];
	__u64 ejections_enforced_total; /* of any type */
	__u64 ejections_overflow;	/* did not come about: maxEjectionPercent */
	__u64 ejections_enforced_consecutive_5xx;
	__u64 ejections_enforced_consecutive_gateway_failure;
	__u64 ejections_enforced_consecutive_local_origin_failure;

	/* ssl.*: TLS that the proxy speaks with endpoints */
	__u64 handshake;	 /* that came about */
	__u64 session_reused;	 /* of those, that went on with an earlier session */
	__u64 connection_error;	 /* that did not, but for those below */
	__u64 fail_verify_error; /* the endpoint's certificate is not believed */
	__u64 fail_verify_san;	 /* it has none of the names */

	struct histogram upstream_rq_time; /* ms, from the whole request to the whole response */

	/* Those that are out. One that is past its time is back, although nothing has called it
	 * yet. Of more than fit in here only the number is known. */
	struct http_ejection ejected[HTTP_EJECTED_MAX];
};

/* `http_routes`: what a route of a VirtualService, or the plain service, has decided. */
struct http_route_stat {
	char name[ROUTE_NAME_MAX]; /* default/reviews/http[0] */

	__u64 rq_total;		  /* requests */
	__u64 cx_total;		  /* connections without requests: of `tls` and `tcp` routes */
	__u64 rq_redirect;	  /* of those, answered with a redirect */
	__u64 rq_direct_response; /* of those, answered by the rule itself */
	__u64 rq_mirrored;	  /* copies sent */
	__u64 delays_injected;	  /* fault.* */
	__u64 aborts_injected;

	/* Of requests that went on to a cluster; as above. */
	__u64 upstream_rq_total;
	__u64 upstream_rq_timeout;
	__u64 upstream_rq_retry;
	__u64 upstream_rq_retry_success;
	__u64 upstream_rq_retry_overflow;
	__u64 upstream_rq_retry_limit_exceeded;
	__u64 upstream_rq_completed;
	__u64 upstream_rq_1xx;
	__u64 upstream_rq_2xx;
	__u64 upstream_rq_3xx;
	__u64 upstream_rq_4xx;
	__u64 upstream_rq_5xx;

	struct histogram upstream_rq_time;
};

/* `http_listeners`: the handshakes at a Gateway's port (Envoy's "listener statistics"). */
struct http_listener_stat {
	char name[LISTENER_NAME_MAX]; /* 0.0.0.0_443 */

	__u64 no_filter_chain_match; /* no server has the name that the client asks for */
	/* ssl.* */
	__u64 handshake;	     /* done */
	__u64 session_reused;	     /* of those, with a session of before */
	__u64 no_certificate;	     /* of those, without a client's certificate */
	__u64 connection_error;	     /* failed for other reasons than the following ones */
	__u64 fail_verify_no_cert;   /* failed: the client has no certificate */
	__u64 fail_verify_error;     /* failed: it is another CA's, has expired, is revoked, ... */
	__u64 fail_verify_san;	     /* failed: none of subjectAltNames is in it */
	__u64 fail_verify_cert_hash; /* failed: verifyCertificateSpki, verifyCertificateHash */
};

#endif
