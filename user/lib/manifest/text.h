/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_TEXT_H
#define WEFT_LIB_MANIFEST_TEXT_H
/*
 * The parts of a manifest as YAML, in its order, but for those of addons.h; with values in them as
 * template.h has it. Each object begins with "---".
 */

extern const char manifest_labels[]; /* of every object: lines of metadata.labels */
extern const char manifest_namespaces[], manifest_crd_comment[], manifest_rights[];
extern const char manifest_daemon_set[], manifest_pull_secret[], manifest_container[],
	manifest_tracing_endpoint[], manifest_tracing_addon[], manifest_workers[], manifest_dns[],
	manifest_nic[], manifest_dashboard[], manifest_environment[], manifest_kubernetes_host[],
	manifest_kubernetes_port[], manifest_kubernetes_default_port[], manifest_probes[],
	manifest_privileged[], manifest_capabilities[], manifest_requests[], manifest_limit_cpu[],
	manifest_limit_memory[], manifest_volumes[];
extern const char manifest_gateway[], manifest_port_http2[], manifest_node_port_http2[],
	manifest_port_https[], manifest_node_port_https[], manifest_port_tcp[],
	manifest_node_port_tcp[];
extern const char manifest_pod_monitor[];

#endif
