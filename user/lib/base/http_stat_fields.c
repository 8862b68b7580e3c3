// SPDX-License-Identifier: Apache-2.0
#include "lib/base/http_stat_fields.h"

#define CLUSTER(prefix, field)                                                  \
	{                                                                       \
		prefix #field, offsetof(struct http_cluster_stat, field), false \
	}
#define GAUGE(prefix, field)                                                   \
	{                                                                      \
		prefix #field, offsetof(struct http_cluster_stat, field), true \
	}
#define ROUTE(prefix, field)                                                  \
	{                                                                     \
		prefix #field, offsetof(struct http_route_stat, field), false \
	}

#define LISTENER(prefix, field)                                                  \
	{                                                                        \
		prefix #field, offsetof(struct http_listener_stat, field), false \
	}

const struct stat_field http_cluster_fields[] = {
	CLUSTER("", upstream_cx_total),
	CLUSTER("", upstream_cx_http1_total),
	GAUGE("", upstream_cx_active),
	CLUSTER("", upstream_cx_connect_fail),
	CLUSTER("", upstream_cx_connect_timeout),
	CLUSTER("", upstream_cx_overflow),
	CLUSTER("", upstream_cx_idle_timeout),
	CLUSTER("", upstream_cx_max_requests),
	CLUSTER("", upstream_cx_none_healthy),
	CLUSTER("", upstream_cx_protocol_error),
	CLUSTER("", upstream_cx_destroy),
	CLUSTER("", upstream_cx_destroy_local),
	CLUSTER("", upstream_cx_destroy_remote),
	CLUSTER("", upstream_cx_rx_bytes_total),
	CLUSTER("", upstream_cx_tx_bytes_total),
	CLUSTER("", upstream_rq_total),
	GAUGE("", upstream_rq_active),
	CLUSTER("", upstream_rq_pending_total),
	GAUGE("", upstream_rq_pending_active),
	CLUSTER("", upstream_rq_pending_overflow),
	CLUSTER("", upstream_rq_pending_failure_eject),
	CLUSTER("", upstream_rq_cancelled),
	CLUSTER("", upstream_rq_timeout),
	CLUSTER("", upstream_rq_per_try_timeout),
	CLUSTER("", upstream_rq_rx_reset),
	CLUSTER("", upstream_rq_tx_reset),
	CLUSTER("", upstream_rq_retry),
	CLUSTER("", upstream_rq_retry_success),
	CLUSTER("", upstream_rq_retry_overflow),
	CLUSTER("", upstream_rq_retry_limit_exceeded),
	CLUSTER("", upstream_rq_completed),
	CLUSTER("", upstream_rq_1xx),
	CLUSTER("", upstream_rq_2xx),
	CLUSTER("", upstream_rq_3xx),
	CLUSTER("", upstream_rq_4xx),
	CLUSTER("", upstream_rq_5xx),
	CLUSTER("", network_policy),
	CLUSTER("rbac.", allowed),
	CLUSTER("rbac.", denied),
	CLUSTER("rbac.", logged),
	GAUGE("outlier_detection.", ejections_active),
	CLUSTER("outlier_detection.", ejections_enforced_total),
	CLUSTER("outlier_detection.", ejections_overflow),
	CLUSTER("outlier_detection.", ejections_enforced_consecutive_5xx),
	CLUSTER("outlier_detection.", ejections_enforced_consecutive_gateway_failure),
	CLUSTER("outlier_detection.", ejections_enforced_consecutive_local_origin_failure),
	CLUSTER("ssl.", handshake),
	CLUSTER("ssl.", session_reused),
	CLUSTER("ssl.", connection_error),
	CLUSTER("ssl.", fail_verify_error),
	CLUSTER("ssl.", fail_verify_san),
	{ 0 },
};

const struct stat_field http_route_fields[] = {
	ROUTE("", rq_total),
	ROUTE("", cx_total),
	ROUTE("", rq_redirect),
	ROUTE("", rq_direct_response),
	ROUTE("", rq_mirrored),
	ROUTE("fault.", delays_injected),
	ROUTE("fault.", aborts_injected),
	ROUTE("", upstream_rq_total),
	ROUTE("", upstream_rq_timeout),
	ROUTE("", upstream_rq_retry),
	ROUTE("", upstream_rq_retry_success),
	ROUTE("", upstream_rq_retry_overflow),
	ROUTE("", upstream_rq_retry_limit_exceeded),
	ROUTE("", upstream_rq_completed),
	ROUTE("", upstream_rq_1xx),
	ROUTE("", upstream_rq_2xx),
	ROUTE("", upstream_rq_3xx),
	ROUTE("", upstream_rq_4xx),
	ROUTE("", upstream_rq_5xx),
	{ 0 },
};

const struct stat_field http_listener_fields[] = {
	LISTENER("", no_filter_chain_match),	 LISTENER("ssl.", handshake),
	LISTENER("ssl.", session_reused),	 LISTENER("ssl.", no_certificate),
	LISTENER("ssl.", connection_error),	 LISTENER("ssl.", fail_verify_no_cert),
	LISTENER("ssl.", fail_verify_error),	 LISTENER("ssl.", fail_verify_san),
	LISTENER("ssl.", fail_verify_cert_hash), { 0 },
};

__u64 gauge_sum(const __u32 gauge[HTTP_PROXIES])
{
	__u64 sum = 0;

	for (int i = 0; i < HTTP_PROXIES; i++)
		sum += gauge[i];
	return sum;
}

__u64 stat_value(const struct stat_field *f, const void *row)
{
	const char *at = (const char *)row + f->at;

	return f->gauge ? gauge_sum((const __u32 *)at) : *(const __u64 *)at;
}
